"""ma: modes, delta, vivify with an initial value, compare by CAS, times."""

from answers import *
from case import case

HD, EX, NF, EN = (word + b"\r\n" for word in (b"HD", b"EX", b"NF", b"EN"))
BAD_MODE = b"CLIENT_ERROR invalid mode for ma M token\r\n"
BAD_FLAGS = (BAD_OR_DUPLICATE, BAD_TOKEN, BAD_FLAG, DUPLICATE_FLAG, BAD_FORMAT)
TOP = b"18446744073709551615"


def number(data, flags=b""):
    return (meta_set(b"@", data, flags), HD)


CASES = [
    case("a miss", (b"ma @\r\n", NF), (b"ma @ k O5 v t c\r\n", b"NF k@ O5\r\n"), (b"mg @\r\n", EN)),
    case("increments by one", number(b"5"), (b"ma @\r\n", HD), (b"ma @ v\r\n", b"VA 1\r\n7\r\n"), (b"get @\r\n", hit(b"@", b"7"))),
    case("delta", number(b"5"), (b"ma @ D10 v\r\n", b"VA 2\r\n15\r\n"), (b"ma @ D0 v\r\n", b"VA 2\r\n15\r\n")),
    case(
        "modes",
        number(b"50"),
        (b"ma @ MI v\r\n", b"VA 2\r\n51\r\n"),
        (b"ma @ M+ v\r\n", b"VA 2\r\n52\r\n"),
        (b"ma @ MD v\r\n", b"VA 2\r\n51\r\n"),
        (b"ma @ M- D10 v\r\n", b"VA 2\r\n41\r\n"),
    ),
    case(
        "unknown modes",
        number(b"5"),
        (b"ma @ MX\r\n", BAD_MODE),
        (b"ma @ Mi\r\n", BAD_MODE),
        (b"ma @ M\r\n", BAD_FLAGS + (BAD_MODE,)),
        (b"get @\r\n", hit(b"@", b"5")),
    ),
    case(
        "decrement ends at zero", number(b"5"), (b"ma @ MD D6 v\r\n", b"VA 1\r\n0\r\n"), (b"ma @ MD D" + TOP + b" v\r\n", b"VA 1\r\n0\r\n")
    ),
    case("increment wraps", number(TOP), (b"ma @ v\r\n", b"VA 1\r\n0\r\n"), (b"ma @ D" + TOP + b" v\r\n", b"VA 20\r\n" + TOP + b"\r\n")),
    case("the answer has no padding", number(b"100"), (b"ma @ MD v\r\n", b"VA 2\r\n99\r\n")),
    case(
        "return flags",
        number(b"5"),
        (b"ma @ t c k O9 v\r\n", b"VA 1 t-1 c<cas=a> k@ O9\r\n6\r\n"),
        (b"mg @ c\r\n", b"HD c<cas=a>\r\n"),
        (b"ma @ O1 k\r\n", b"HD O1 k@\r\n"),
    ),
    case("the CAS changes", number(b"5"), (b"mg @ c\r\n", b"HD c<cas=a>\r\n"), (b"ma @\r\n", HD), (b"md @ C<cas=a>\r\n", EX)),
    case("flags stay", number(b"9", b"F77 T100"), (b"ma @ v\r\n", b"VA 2\r\n10\r\n"), (b"mg @ f t\r\n", b"HD f77 t<t:100>\r\n")),
    case("vivify", (b"ma @ N0 J13 v\r\n", b"VA 2\r\n13\r\n"), (b"ma @ N0 J13 v\r\n", b"VA 2\r\n14\r\n"), (b"get @\r\n", hit(b"@", b"14"))),
    case("vivify tells the CAS", (b"ma @ N0 c\r\n", b"HD c<cas=a>\r\n"), (b"mg @ c\r\n", b"HD c<cas=a>\r\n"), (b"ma @ C<cas=a>\r\n", HD)),
    case("vivify without J begins with 0", (b"ma @ N0 v\r\n", b"VA 1\r\n0\r\n"), (b"ma @ D5 v\r\n", b"VA 1\r\n5\r\n")),
    case(
        "vivify with the highest number", (b"ma @ N0 J" + TOP + b" v\r\n", b"VA 20\r\n" + TOP + b"\r\n"), (b"ma @ v\r\n", b"VA 1\r\n0\r\n")
    ),
    case("vivify with a time", (b"ma @ N90 J5 t v\r\n", b"VA 1 t<t:90>\r\n5\r\n"), (b"ma @ N30 t\r\n", b"HD t<t:90>\r\n")),
    case("vivify ignores mode and delta", (b"ma @ N0 J5 MD D3 v\r\n", b"VA 1\r\n5\r\n"), (b"ma @ N0 J5 MD D3 v\r\n", b"VA 1\r\n2\r\n")),
    case("vivify quietly", (b"ma @ N0 J5 q v\r\nmn\r\n", (b"VA 1\r\n5\r\n" + MN, MN)), (b"get @\r\n", hit(b"@", b"5"))),
    case("vivify with a negative time", (b"ma @ N-1 J5 v\r\n", b"VA 1\r\n5\r\n"), (b"mg @\r\n", EN)),
    case("vivified by ma is not won", (b"ma @ N30 J5\r\n", HD), (b"mg @ v\r\n", b"VA 1\r\n5\r\n")),
    case("J without N", (b"ma @ J5\r\n", NF)),
    case(
        "T touches",
        number(b"5"),
        (b"ma @ T50 t v\r\n", b"VA 1 t<t:50>\r\n6\r\n"),
        (b"ma @ t T100\r\n", b"HD t<t:50>\r\n"),
        (b"mg @ t\r\n", b"HD t<t:100>\r\n"),
        (b"ma @ T0\r\n", HD),
        (b"mg @ t\r\n", b"HD t-1\r\n"),
    ),
    case(
        "C",
        number(b"5"),
        (b"ma @ C" + TOP + b" v\r\n", EX),
        (b"ma @ C" + TOP + b" k O1\r\n", b"EX k@ O1\r\n"),
        (b"mg @ c v\r\n", b"VA 1 c<cas=a>\r\n5\r\n"),
        (b"ma @ C<cas=a> v\r\n", b"VA 1\r\n6\r\n"),
        (b"ma @ C<cas=a> v\r\n", EX),
    ),
    case("C is compared before the number is read", number(b"abc"), (b"ma @ C" + TOP + b"\r\n", EX)),
    case("C on a miss", (b"ma @ C5\r\n", NF)),
    case(
        "no number stored",
        *(
            step
            for data in (b"abc", b"", b"-1", b"5a", b"18446744073709551616")
            for step in (number(data), (b"ma @\r\nma @ q v k O1\r\nmn\r\n", NON_NUMERIC * 2 + MN))
        )
    ),
    case("q", number(b"5"), (b"ma @ q\r\nma @ q v k\r\nmn\r\n", MN), (b"get @\r\n", hit(b"@", b"7"))),
    case("q with a miss", (b"ma @ q k O5\r\nmn\r\n", (b"NF k@ O5\r\n" + MN, MN))),
    case("q shows EX", number(b"5"), (b"ma @ q C" + TOP + b"\r\nmn\r\n", EX + MN)),
    case(
        "bad numbers",
        number(b"5"),
        *(
            (
                b"ma @ " + flags + b"\r\n",
                BAD_FLAGS + (b"CLIENT_ERROR invalid numeric delta value\r\n", b"CLIENT_ERROR invalid numeric initial value\r\n"),
            )
            for flags in (b"D", b"Dx", b"D-1", b"D18446744073709551616", b"Jx", b"N0 J-1", b"Nx", b"Tx", b"Cx")
        ),
        (b"get @\r\n", hit(b"@", b"5"))
    ),
    case(
        "duplicate and unknown flags",
        number(b"5"),
        *((b"ma @ " + flags + b"\r\n", BAD_FLAGS) for flags in (b"D1 D2", b"z", b"S5", b"!")),
        (b"get @\r\n", hit(b"@", b"5"))
    ),
    case("flags of other commands are ignored", number(b"5"), (b"ma @ s f h l u I F5 v\r\n", (b"VA 1\r\n6\r\n", b"VA 1 <any>\r\n6\r\n"))),
    case(
        "opaque",
        number(b"5"),
        (b"ma @ O" + b"o" * 31 + b"\r\n", b"HD O" + b"o" * 31 + b"\r\n"),
        (b"ma @ O" + b"o" * 32 + b"\r\n", LONG_OPAQUE),
    ),
    case("no key", (b"ma\r\n", WRONG_COUNT)),
    case("key of 251 bytes", (b"ma " + b"k" * 251 + b"\r\n", BAD_FORMAT), (b"ma " + b"k" * 250 + b"\r\n", NF)),
    case(
        "base64",
        (b"ma bWFfb25l b N0 J7 v k\r\n", b"VA 1 kbWFfb25l b\r\n7\r\n"),
        (b"get ma_one\r\n", hit(b"ma_one", b"7")),
        (b"ma bWFfb25l b v\r\n", b"VA 1\r\n8\r\n"),
        (b"ma !! b\r\n", BAD_FLAGS + (BAD_KEY,)),
    ),
    case("ma and incr meet", number(b"5"), (b"incr @ 5\r\n", b"10\r\n"), (b"ma @ v\r\n", b"VA 2\r\n11\r\n"), (b"decr @ 1\r\n", b"10\r\n")),
]
