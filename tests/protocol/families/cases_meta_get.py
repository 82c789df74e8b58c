"""mg: its return flags, h l t and u, keys in base64, vivify (N), touch (T) and the quiet mode.

The flags come back in the order of the request; behind them Z, X and W (cases_meta_stale.py).
"""

from answers import *
from case import case

EN = b"EN\r\n"
HD = b"HD\r\n"


def base64_case(name, encoded, *steps):
    """Keys in base64 cannot hold @: a family's cases have one each."""
    return case(name, (meta_set(encoded, b"hi", b"b"), HD), *steps)


CASES = [
    case("a miss", (b"mg @\r\n", EN), (b"mg @ v\r\n", EN), (b"mg @ s t c f h l u\r\n", EN)),
    case("a miss gives back O and k only", (b"mg @ k Oabc v t s\r\n", b"EN k@ Oabc\r\n"), (b"mg @ O1 v k\r\n", b"EN O1 k@\r\n")),
    case("a hit", (meta_set(b"@", b"hi"), HD), (b"mg @\r\n", HD), (b"mg @ v\r\n", b"VA 2\r\nhi\r\n")),
    case("an empty value", (meta_set(b"@", b""), HD), (b"mg @ v s\r\n", b"VA 0 s0\r\n\r\n")),
    case(
        "return flags in the order of the request",
        (meta_set(b"@", b"hi", b"F5"), HD),
        (b"mg @ t f s c k O123 v\r\n", b"VA 2 t-1 f5 s2 c<cas=a> k@ O123\r\nhi\r\n"),
        (b"mg @ O9 k c s f t\r\n", b"HD O9 k@ c<cas=a> s2 f5 t-1\r\n"),
    ),
    case(
        "letters behind a flag without argument",
        (meta_set(b"@", b"hi"), HD),
        (b"mg @ value\r\n", b"VA 2\r\nhi\r\n"),
        (b"mg @ size\r\n", b"HD s2\r\n"),
    ),
    case("flags of other commands are ignored", (meta_set(b"@", b"hi"), HD), (b"mg @ I D1 J1 F5\r\n", HD)),
    case(
        "L and P are for proxies",
        (meta_set(b"@", b"hi"), HD),
        (b"mg @ L P s\r\n", b"HD s2\r\n"),
        (b"mg @ Lpath/ Pvalue v\r\n", b"VA 2\r\nhi\r\n"),
    ),
    case(
        "c is the number that gets tells",
        (store(b"set", b"@", b"x"), STORED),
        (b"gets @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
        (b"mg @ c\r\n", b"HD c<cas=a>\r\n"),
    ),
    case("f of 32 bits", (store(b"set", b"@", b"x", flags=4294967295), STORED), (b"mg @ f\r\n", b"HD f4294967295\r\n")),
    case(
        "t",
        (meta_set(b"@", b"x", b"T100"), HD),
        (b"mg @ t\r\n", b"HD t<t:100>\r\n"),
        (store(b"set", b"@", b"x", exptime=2592000), STORED),
        (b"mg @ t\r\n", b"HD t<t:2592000>\r\n"),
    ),
    case(
        "h tells of earlier fetches",
        (meta_set(b"@", b"x"), HD),
        (b"mg @ h\r\n", b"HD h0\r\n"),
        (b"mg @ h\r\n", b"HD h1\r\n"),
        (meta_set(b"@", b"x"), HD),
        (b"mg @ h\r\n", b"HD h0\r\n"),
    ),
    case("h after get", (store(b"set", b"@", b"x"), STORED), (b"get @\r\n", hit(b"@", b"x")), (b"mg @ h\r\n", b"HD h1\r\n")),
    case("h after touch and gat", (store(b"set", b"@", b"x"), STORED), (b"touch @ 0\r\n", TOUCHED), (b"mg @ h\r\n", b"HD h1\r\n")),
    case("h after incr", (store(b"set", b"@", b"1"), STORED), (b"incr @ 1\r\n", b"2\r\n"), (b"mg @ h\r\n", b"HD h0\r\n")),
    case(
        "h after append",
        (store(b"set", b"@", b"1"), STORED),
        (b"mg @ v\r\n", b"VA 1\r\n1\r\n"),
        (store(b"append", b"@", b"1"), STORED),
        (b"mg @ h\r\n", b"HD h0\r\n"),
    ),
    case(
        "u leaves no trace",
        (meta_set(b"@", b"x"), HD),
        (b"mg @ u\r\n", HD),
        (b"mg @ u v\r\n", b"VA 1\r\nx\r\n"),
        (b"mg @ h\r\n", b"HD h0\r\n"),
    ),
    case("l of a new item", (meta_set(b"@", b"x"), HD), (b"mg @ l\r\n", b"HD l<t:0>\r\n")),
    case(
        "T touches",
        (meta_set(b"@", b"x"), HD),
        (b"mg @ T50\r\n", HD),
        (b"mg @ t\r\n", b"HD t<t:50>\r\n"),
        (b"mg @ T0\r\n", HD),
        (b"mg @ t\r\n", b"HD t-1\r\n"),
    ),
    case("T acts where it stands", (meta_set(b"@", b"x"), HD), (b"mg @ t T50\r\n", b"HD t-1\r\n"), (b"mg @ T60 t\r\n", b"HD t<t:60>\r\n")),
    case("T negative", (meta_set(b"@", b"x"), HD), (b"mg @ T-1\r\n", HD), (b"mg @\r\n", EN)),
    case("T on a miss", (b"mg @ T50 k\r\n", b"EN k@\r\n"), (b"mg @\r\n", EN)),
    case("q leaves out the miss", (b"mg @ q\r\nmg @ v q k O1\r\nmn\r\n", MN)),
    case(
        "q shows the hit",
        (meta_set(b"@", b"hi"), HD),
        (b"mg @ q v\r\nmg @none q v\r\nmg @ q k\r\nmn\r\n", b"VA 2\r\nhi\r\nHD k@\r\nMN\r\n"),
    ),
    case("q shows errors", (b"mg @ q T\r\nmg @ q !!\r\nmn\r\n", sequence(BAD_TOKEN, (BAD_FLAG, BAD_FORMAT), MN))),
    case(
        "a batch of quiet gets",
        (b"".join(meta_set(b"@%d" % number, b"v%d" % number, b"q") for number in range(0, 20, 2)) + b"mn\r\n", MN),
        (
            b"".join(b"mg @%d q v k O%d\r\n" % (number, number) for number in range(20)) + b"mn\r\n",
            b"".join(
                b"VA 2 k@%d O%d\r\nv%d\r\n" % (number, number, number)
                if number < 10
                else b"VA 3 k@%d O%d\r\nv%d\r\n" % (number, number, number)
                for number in range(0, 20, 2)
            )
            + MN,
        ),
    ),
    case(
        "opaque of 31 and 32 characters",
        (meta_set(b"@", b"hi"), HD),
        (b"mg @ O" + b"o" * 31 + b"\r\n", b"HD O" + b"o" * 31 + b"\r\n"),
        (b"mg @ O" + b"o" * 32 + b"\r\n", LONG_OPAQUE),
        (b"mg @none O" + b"o" * 32 + b"\r\n", LONG_OPAQUE),
        (b"mg @ O\r\n", b"HD O\r\n"),
    ),
    case(
        "vivify",
        (b"mg @ N30 v t\r\n", b"VA 0 t<t:30> W\r\n\r\n"),
        (b"mg @ N90 v t\r\n", b"VA 0 t<t:30> Z\r\n\r\n"),
        (b"get @\r\n", hit(b"@", b"")),
        (meta_set(b"@", b"real"), HD),
        (b"mg @ N30 v\r\n", b"VA 4\r\nreal\r\n"),
    ),
    case("vivify without expiry", (b"mg @ N0 k O4 t s f c h\r\n", b"HD k@ O4 t-1 s0 f0 c<n> h0 W\r\n"), (b"mg @ v\r\n", b"VA 0 Z\r\n\r\n")),
    case(
        "vivify tells the CAS", (b"mg @ N30 c\r\n", b"HD c<cas=a> W\r\n"), (b"mg @ c\r\n", b"HD c<cas=a> Z\r\n"), (b"md @ C<cas=a>\r\n", HD)
    ),
    case("N acts where it stands", (b"mg @ t N30\r\n", b"HD t-1 W\r\n"), (b"mg @ t\r\n", b"HD t<t:30> Z\r\n")),
    case("vivify of what exists", (meta_set(b"@", b"x"), HD), (b"mg @ N30 v t\r\n", b"VA 1 t-1\r\nx\r\n")),
    case("vivify quietly is a hit", (b"mg @ N30 q\r\nmg @ N30 q\r\nmn\r\n", b"HD W\r\nHD Z\r\nMN\r\n")),
    case("vivify with a negative time", (b"mg @ N-1 v\r\n", b"VA 0 W\r\n\r\n"), (b"mg @\r\n", EN)),
    case(
        "vivify and add",
        (b"mg @ N30\r\n", b"HD W\r\n"),
        (store(b"add", b"@", b"x"), NOT_STORED),
        (store(b"replace", b"@", b"x"), STORED),
        (b"mg @ v\r\n", b"VA 1\r\nx\r\n"),
    ),
    case("no key", (b"mg\r\n", WRONG_COUNT)),
    case("keys of 250 and 251 bytes", (b"mg " + b"k" * 250 + b"\r\n", EN), (b"mg " + b"k" * 251 + b"\r\n", BAD_FORMAT)),
    case(
        "duplicate flags",
        (meta_set(b"@", b"hi"), HD),
        (b"mg @ v v\r\n", DUPLICATE_FLAG),
        (b"mg @ Oa Ob\r\n", DUPLICATE_FLAG),
        (b"mg @ T1 t T2\r\n", DUPLICATE_FLAG),
        (b"mg @none k q k\r\n", DUPLICATE_FLAG),
    ),
    case(
        "unknown flags",
        *((b"mg @ " + flag + b"\r\n", (BAD_FLAG, BAD_FORMAT)) for flag in (b"z", b"S1", b"1", b"!", b"X", b"W", b"a", b"v z"))
    ),
    case("a flag beyond ASCII", (b"mg @ \xff\r\n", (DUPLICATE_FLAG, BAD_FLAG, BAD_FORMAT))),
    case(
        "bad numbers",
        *((b"mg @ " + flag + b"\r\n", BAD_TOKEN) for flag in (b"T", b"Tx", b"T1x", b"N", b"Nx", b"R", b"Rx", b"T99999999999999999999"))
    ),
    case("too many flags", (b"mg @ " + b" ".join(b"O%d" % number for number in range(25)) + b"\r\n", b"CLIENT_ERROR <any>\r\n")),
    case(
        "as many flags as there are",
        (meta_set(b"@", b"hi"), HD),
        (b"mg @ k q v t s c f h l u O1 T30 N30 R30\r\n", b"VA 2 k@ t-1 s2 c<n> f0 h0 l<t:0> O1\r\nhi\r\n"),
    ),
    case("spaces", (meta_set(b"@", b"hi"), HD), (b"mg   @    v   s  \r\n", b"VA 2 s2\r\nhi\r\n")),
    base64_case(
        "base64",
        b"bWdfb25l",
        (b"mg mg_one v\r\n", b"VA 2\r\nhi\r\n"),
        (b"mg bWdfb25l b v k\r\n", b"VA 2 kbWdfb25l b\r\nhi\r\n"),
        (b"mg bWdfb25l k O1 b\r\n", b"HD kbWdfb25l b O1\r\n"),
        (b"get mg_one\r\n", hit(b"mg_one", b"hi")),
    ),
    base64_case(
        "an item remembers that its key came in base64",
        b"bWdfdHdv",
        (b"mg mg_two k\r\n", b"HD kbWdfdHdv b\r\n"),
        (meta_set(b"mg_two", b"hi"), HD),
        (b"mg bWdfdHdv b k\r\n", b"HD kmg_two\r\n"),
    ),
    base64_case("base64 of zeros and spaces", b"AAAgDQo=", (b"mg AAAgDQo= b v k\r\n", b"VA 2 kAAAgDQo= b\r\nhi\r\n")),
    base64_case("base64 with two pads", b"bQ==", (b"mg m\r\n", HD), (b"mg bQ== k b\r\n", b"HD kbQ== b\r\n")),
    case("a miss of base64", (b"mg bWdfbm9uZQ== b k O7\r\n", b"EN kbWdfbm9uZQ== b O7\r\n")),
    case("no base64", *((b"mg " + key + b" b\r\n", BAD_KEY) for key in (b"Zm9", b"Z", b"=", b"====", b"Zm9vx"))),
    case(
        "base64 longer than a key",
        (b"mg " + b"QUFB" * 63 + b" b\r\n", (BAD_FORMAT, EN)),
        (b"mg " + b"QUFB" * 84 + b" b\r\n", (BAD_FORMAT, BAD_KEY)),
    ),
]
