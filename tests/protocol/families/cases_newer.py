"""What memcached's meta commands learnt after 1.6.18: numbers of one's own for CAS (E), conditional fetch (mg C), tombstones (md x),
append that creates (ms MA N), the size that ms tells (s). Checked against 1.6.45.
"""

from answers import *
from case import case

SINCE = (1, 6, 40)

HD, NS, EX, NF, EN = (word + b"\r\n" for word in (b"HD", b"NS", b"EX", b"NF", b"EN"))
TOP = b"18446744073709551615"


def refused(flags):
    return (meta_set(b"@", b"x", flags) + b"mn\r\n", BAD_TOKEN + MN)


CASES = [
    case(
        "ms E",
        (meta_set(b"@", b"hi", b"E55 c"), b"HD c55\r\n"),
        (b"mg @ c\r\n", b"HD c55\r\n"),
        (b"gets @\r\n", hit(b"@", b"hi", cas=b"55")),
    ),
    case("E may go down", (meta_set(b"@", b"hi", b"E55"), HD), (meta_set(b"@", b"hi", b"E5 c"), b"HD c5\r\n")),
    case("E of 64 bits", (meta_set(b"@", b"hi", b"c E" + TOP), b"HD c" + TOP + b"\r\n"), (store(b"cas", b"@", b"x", b" " + TOP), STORED)),
    case("E of 0 is the server's own number", (meta_set(b"@", b"hi", b"E0 c"), b"HD c<n>\r\n")),
    case("E bad", refused(b"E"), refused(b"Ex"), refused(b"E18446744073709551616"), (b"mg @\r\n", EN)),
    case(
        "E with modes",
        (meta_set(b"@", b"1", b"ME E7 c"), b"HD c7\r\n"),
        (meta_set(b"@", b"2", b"MA E8 c"), b"HD c8\r\n"),
        (meta_set(b"@", b"3", b"MP E9 c"), b"HD c9\r\n"),
        (meta_set(b"@", b"4", b"MR E10 c"), b"HD c10\r\n"),
        (meta_set(b"@", b"5", b"ME E99"), NS),
        (b"mg @ c v\r\n", b"VA 1 c10\r\n4\r\n"),
    ),
    case(
        "C and E",
        (meta_set(b"@", b"hi", b"E5"), HD),
        (meta_set(b"@", b"yo", b"C5 E9"), HD),
        (meta_set(b"@", b"no", b"C5 E11"), EX),
        (b"mg @ c v\r\n", b"VA 2 c9\r\nyo\r\n"),
    ),
    case(
        "an older version is stale",
        (meta_set(b"@", b"hi", b"E9"), HD),
        (meta_set(b"@", b"xx", b"I C4 E8 c"), b"HD c8\r\n"),
        (b"mg @ c v\r\n", b"VA 2 c8 X W\r\nxx\r\n"),
    ),
    case("vivify with E", (b"mg @ N30 E77 c\r\n", b"HD c77 W\r\n"), (b"mg @ E99 c\r\n", b"HD c77 Z\r\n"), (b"mg @none E99\r\n", EN)),
    case(
        "md I E",
        (meta_set(b"@", b"x", b"E9"), HD),
        (b"md @ I E12\r\n", HD),
        (b"mg @ c\r\n", b"HD c12 X W\r\n"),
        (b"md @ C12 E15\r\n", HD),
        (b"mg @\r\n", EN),
    ),
    case(
        "ma E",
        (meta_set(b"@", b"5", b"E9"), HD),
        (b"ma @ E20 c v\r\n", b"VA 1 c20\r\n6\r\n"),
        (b"ma @ C20 E30 c\r\n", b"HD c30\r\n"),
        (b"ma @ C5 E40\r\n", EX),
        (b"mg @ c\r\n", b"HD c30\r\n"),
    ),
    case("ma vivify with E", (b"ma @ N0 J3 E50 c v\r\n", b"VA 1 c50\r\n3\r\n"), (b"mg @ c\r\n", b"HD c50\r\n")),
    case(
        "mg C",
        (meta_set(b"@", b"hi", b"E5"), HD),
        (b"mg @ C5 v c\r\n", b"HD c5\r\n"),
        (b"mg @ C6 v c\r\n", b"VA 2 c5\r\nhi\r\n"),
        (b"mg @ C5 c\r\n", b"HD c5\r\n"),
        (b"mg @ C6\r\n", HD),
        (b"mg @none C5 v\r\n", EN),
    ),
    case("mg C q", (meta_set(b"@", b"hi", b"E5"), HD), (b"mg @ C5 v q k O1\r\nmn\r\n", b"HD k@ O1\r\n" + MN)),
    case("mg C T", (meta_set(b"@", b"hi", b"E5"), HD), (b"mg @ C5 v T60\r\n", HD), (b"mg @ t\r\n", b"HD t<t:60>\r\n")),
    case(
        "md x",
        (meta_set(b"@", b"abc", b"F5 T100"), HD),
        (b"md @ x\r\n", HD),
        (b"mg @ v f s\r\n", b"VA 0 f0 s0\r\n\r\n"),
        (b"md @none x\r\n", NF),
    ),
    case(
        "md x I",
        (meta_set(b"@", b"abc", b"F5 T100"), HD),
        (b"md @ x I T30\r\n", HD),
        (b"mg @ v f t s\r\n", b"VA 0 f0 t<t:30> s0 X W\r\n\r\n"),
    ),
    case(
        "md x C",
        (meta_set(b"@", b"abc", b"E5"), HD),
        (b"md @ x C4\r\n", EX),
        (b"mg @ s\r\n", b"HD s3\r\n"),
        (b"md @ x C5\r\n", HD),
        (b"mg @ s\r\n", b"HD s0\r\n"),
    ),
    case("md x q", (meta_set(b"@", b"abc"), HD), (b"md @ x q k O1\r\nmg @ v\r\n", b"VA 0\r\n\r\n")),
    case(
        "append that creates",
        (meta_set(b"@", b"x", b"MA N30"), HD),
        (b"mg @ v t\r\n", b"VA 1 t<t:30>\r\nx\r\n"),
        (meta_set(b"@", b"y", b"MA N60"), HD),
        (b"mg @ v t\r\n", b"VA 2 t<t:30>\r\nxy\r\n"),
    ),
    case(
        "prepend that creates",
        (meta_set(b"@", b"x", b"MP N0"), HD),
        (b"mg @ v t\r\n", b"VA 1 t-1\r\nx\r\n"),
        (meta_set(b"@", b"y", b"MP N0"), HD),
        (b"mg @ v\r\n", b"VA 2\r\nyx\r\n"),
    ),
    case("N counts, not T", (meta_set(b"@", b"x", b"MA N30 T90"), HD), (b"mg @ t\r\n", b"HD t<t:30>\r\n")),
    case("N with other modes", (meta_set(b"@", b"x", b"MR N30"), NS), (meta_set(b"@", b"x", b"N30"), HD), (b"mg @ t\r\n", b"HD t-1\r\n")),
    case(
        "ms s",
        (meta_set(b"@", b"abc", b"s"), b"HD s3\r\n"),
        (meta_set(b"@", b"de", b"MA s"), b"HD s5\r\n"),
        (meta_set(b"@", b"x", b"MP s k"), b"HD s6 k@\r\n"),
        (meta_set(b"@", b"hi", b"c s O1"), b"HD c<n> s2 O1\r\n"),
    ),
    case("ms s q", (meta_set(b"@", b"abc", b"s q") + b"mn\r\n", MN)),
]
