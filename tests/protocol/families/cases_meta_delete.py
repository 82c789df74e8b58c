"""md: delete, compare by CAS, the quiet mode, refused lines. Stale marks (I) are in cases_meta_stale.py."""

from answers import *
from case import case

HD, EX, NF, EN = (word + b"\r\n" for word in (b"HD", b"EX", b"NF", b"EN"))
FRESH = (meta_set(b"@", b"x"), HD)
READ_CAS = (b"mg @ c\r\n", b"HD c<cas=a>\r\n")
TOP = b"18446744073709551615"

CASES = [
    case("delete", (b"md @\r\n", NF), FRESH, (b"md @\r\n", HD), (b"md @\r\n", NF), (b"mg @\r\n", EN)),
    case("return flags", (b"md @ k O1\r\n", b"NF k@ O1\r\n"), FRESH, (b"md @ O2 k\r\n", b"HD O2 k@\r\n")),
    case("q leaves out HD", FRESH, (b"md @ q\r\nmg @\r\n", EN), FRESH, (b"md @ q k O1\r\nmn\r\n", MN)),
    case("q with a miss", (b"md @ q k\r\nmn\r\n", (b"NF k@\r\n" + MN, MN))),
    case("q shows EX", FRESH, (b"md @ q C" + TOP + b"\r\nmn\r\n", EX + MN)),
    case("C", FRESH, (b"md @ C" + TOP + b" k O3\r\n", b"EX k@ O3\r\n"), READ_CAS, (b"md @ C<cas=a>\r\n", HD), (b"mg @\r\n", EN)),
    case("C on a miss", (b"md @ C5\r\n", NF)),
    case("C after a change", FRESH, READ_CAS, (meta_set(b"@", b"y"), HD), (b"md @ C<cas=a>\r\n", EX), (b"mg @ v\r\n", b"VA 1\r\ny\r\n")),
    case(
        "duplicate and unknown flags",
        *((b"md @ " + flags + b"\r\n", (BAD_OR_DUPLICATE, BAD_FLAG, DUPLICATE_FLAG, BAD_FORMAT)) for flags in (b"k k", b"z", b"S1", b"!"))
    ),
    case("bad numbers", *((b"md @ " + flags + b"\r\n", (BAD_OR_DUPLICATE, BAD_TOKEN)) for flags in (b"C", b"Cx", b"Tx", b"I T"))),
    case("a refused line deletes nothing", FRESH, (b"md @ z\r\n", (BAD_OR_DUPLICATE, BAD_FLAG)), (b"mg @\r\n", HD)),
    case("opaque too long", FRESH, (b"md @ O" + b"o" * 32 + b"\r\n", LONG_OPAQUE), (b"mg @\r\n", HD)),
    case("no key", (b"md\r\n", WRONG_COUNT)),
    case("key of 251 bytes", (b"md " + b"k" * 251 + b"\r\n", BAD_FORMAT), (b"md " + b"k" * 250 + b"\r\n", NF)),
    case(
        "base64",
        (meta_set(b"bWRfb25l", b"x", b"b"), HD),
        (b"md bWRfb25l b k\r\n", b"HD kbWRfb25l b\r\n"),
        (b"mg md_one\r\n", EN),
        (b"md bWRfb25l b k\r\n", b"NF kbWRfb25l b\r\n"),
    ),
    case("base64 of a plain item", (meta_set(b"md_two", b"x"), HD), (b"md bWRfdHdv b\r\n", HD), (b"mg md_two\r\n", EN)),
    case("no base64", (b"md !! b\r\n", (BAD_OR_DUPLICATE, BAD_KEY))),
    case("too many flags", (b"md @ " + b" ".join(b"O%d" % number for number in range(25)) + b"\r\n", b"CLIENT_ERROR <any>\r\n")),
    case(
        "a pipeline of quiet deletes",
        (
            b"".join(meta_set(b"@%d" % number, b"x", b"q") for number in range(50))
            + b"".join(b"md @%d q\r\n" % number for number in range(50))
            + b"mn\r\n",
            MN,
        ),
        (b"get" + b"".join(b" @%d" % number for number in range(50)) + b"\r\n", END),
    ),
]
