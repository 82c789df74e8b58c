"""Stale items and the client that may renew them: W won, X stale, Z somebody else has won.

A client wins by vivifying (N), by asking in time before the end (R), or by being the first to see a stale item (md I). An item that is
set anew is neither stale nor won.
"""

from answers import *
from case import case

HD = b"HD\r\n"
EX = b"EX\r\n"
FRESH = (meta_set(b"@", b"x"), HD)
MARKED = (b"md @ I\r\n", HD)

CASES = [
    case(
        "recache",
        (meta_set(b"@", b"x", b"T10"), HD),
        (b"mg @ R30 t\r\n", b"HD t<t:10> W\r\n"),
        (b"mg @ R30 t\r\n", b"HD t<t:10> Z\r\n"),
        (b"mg @ R5\r\n", b"HD Z\r\n"),
        (b"mg @ v\r\n", b"VA 1 Z\r\nx\r\n"),
        (b"get @\r\n", hit(b"@", b"x")),
    ),
    case(
        "recache is over with a new value",
        (meta_set(b"@", b"x", b"T10"), HD),
        (b"mg @ R30\r\n", b"HD W\r\n"),
        (meta_set(b"@", b"y", b"T100"), HD),
        (b"mg @ R30\r\n", HD),
    ),
    case("no recache before its time", (meta_set(b"@", b"x", b"T100"), HD), (b"mg @ R30\r\n", HD)),
    case("no recache of what does not expire", FRESH, (b"mg @ R30\r\n", HD), (b"mg @ R2592000\r\n", HD)),
    case("recache after touch in the same request", (meta_set(b"@", b"x", b"T10"), HD), (b"mg @ T60 R30 t\r\n", b"HD t<t:60>\r\n")),
    case(
        "recache before touch in the same request",
        (meta_set(b"@", b"x", b"T10"), HD),
        (b"mg @ R30 T60 t\r\n", b"HD t<t:60> W\r\n"),
        (b"mg @ t\r\n", b"HD t<t:60> Z\r\n"),
    ),
    case("recache with 0", (meta_set(b"@", b"x", b"T10"), HD), (b"mg @ R0\r\n", HD)),
    case("recache and vivify together", (b"mg @ N30 R30\r\n", b"HD W\r\n"), (b"mg @ N30 R60\r\n", b"HD Z\r\n")),
    case("recache on a miss", (b"mg @ R30\r\n", b"EN\r\n")),
    case(
        "stale", FRESH, MARKED, (b"mg @ v\r\n", b"VA 1 X W\r\nx\r\n"), (b"mg @ v\r\n", b"VA 1 Z X\r\nx\r\n"), (b"mg @\r\n", b"HD Z X\r\n")
    ),
    case("stale with a new time", FRESH, (b"md @ I T30\r\n", HD), (b"mg @ t v\r\n", b"VA 1 t<t:30> X W\r\nx\r\n")),
    case("stale keeps its time", (meta_set(b"@", b"x", b"T100"), HD), MARKED, (b"mg @ t\r\n", b"HD t<t:100> X W\r\n")),
    case("stale changes the CAS", FRESH, (b"mg @ c\r\n", b"HD c<cas=a>\r\n"), MARKED, (b"md @ C<cas=a>\r\n", EX)),
    case(
        "stale again resets the winner",
        FRESH,
        MARKED,
        (b"mg @\r\n", b"HD X W\r\n"),
        MARKED,
        (b"mg @\r\n", b"HD X W\r\n"),
        (b"mg @\r\n", b"HD Z X\r\n"),
    ),
    case("stale items are seen by get", FRESH, MARKED, (b"get @\r\n", hit(b"@", b"x")), (b"mg @\r\n", b"HD X W\r\n")),
    case(
        "get does not win",
        FRESH,
        MARKED,
        (b"get @\r\ngets @\r\n", hit(b"@", b"x") + hit(b"@", b"x", cas=b"<n>")),
        (b"mg @\r\n", b"HD X W\r\n"),
    ),
    case(
        "a set makes fresh",
        FRESH,
        MARKED,
        (b"mg @\r\n", b"HD X W\r\n"),
        (store(b"set", b"@", b"y"), STORED),
        (b"mg @ v\r\n", b"VA 1\r\ny\r\n"),
    ),
    case("a meta set makes fresh", FRESH, MARKED, (meta_set(b"@", b"y"), HD), (b"mg @ v\r\n", b"VA 1\r\ny\r\n")),
    case("append makes fresh", FRESH, MARKED, (store(b"append", b"@", b"y"), STORED), (b"mg @ v\r\n", b"VA 2\r\nxy\r\n")),
    case("touch keeps stale", FRESH, MARKED, (b"touch @ 50\r\n", TOUCHED), (b"mg @ t\r\n", b"HD t<t:50> X W\r\n")),
    case("delete of a stale item", FRESH, MARKED, (b"md @\r\n", HD), (b"mg @\r\n", b"EN\r\n")),
    case("md I q", FRESH, (b"md @ I q\r\nmg @\r\n", b"HD X W\r\n")),
    case(
        "md I with C",
        FRESH,
        (b"mg @ c\r\n", b"HD c<cas=a>\r\n"),
        (b"md @ I C18446744073709551615\r\n", EX),
        (b"mg @\r\n", HD),
        (b"md @ I C<cas=a>\r\n", HD),
        (b"mg @\r\n", b"HD X W\r\n"),
    ),
    case("md I on a miss", (b"md @ I k\r\n", b"NF k@\r\n")),
    case("md T without I is a delete", FRESH, (b"md @ T30\r\n", HD), (b"mg @\r\n", b"EN\r\n")),
    case(
        "ms I with an older CAS",
        FRESH,
        (b"mg @ c\r\n", b"HD c<cas=a>\r\n"),
        (b"md @ I T60\r\n", HD),
        (b"mg @ t\r\n", b"HD t<t:60> X W\r\n"),
        (meta_set(b"@", b"old", b"I T500 C<cas=a>"), HD),
        (b"mg @ v t\r\n", b"VA 3 t<t:60> Z X\r\nold\r\n"),
    ),
    case(
        "ms I with an older CAS before anyone has won",
        FRESH,
        (b"mg @ c\r\n", b"HD c<cas=a>\r\n"),
        MARKED,
        (meta_set(b"@", b"old", b"I C<cas=a>"), HD),
        (b"mg @ v\r\n", b"VA 3 X W\r\nold\r\n"),
        (b"mg @ v\r\n", b"VA 3 Z X\r\nold\r\n"),
    ),
    case(
        "ms I with an older CAS over a fresh item",
        FRESH,
        (b"mg @ c\r\n", b"HD c<cas=a>\r\n"),
        (meta_set(b"@", b"y"), HD),
        (meta_set(b"@", b"old", b"I C<cas=a>"), HD),
        (b"mg @ v\r\n", b"VA 3 X W\r\nold\r\n"),
    ),
    case(
        "ms I with the right CAS is fresh",
        FRESH,
        MARKED,
        (b"mg @ c\r\n", b"HD c<cas=a> X W\r\n"),
        (meta_set(b"@", b"new", b"I C<cas=a>"), HD),
        (b"mg @ v\r\n", b"VA 3\r\nnew\r\n"),
    ),
    case("ms I with a newer CAS", FRESH, (meta_set(b"@", b"y", b"I C18446744073709551615"), EX), (b"mg @ v\r\n", b"VA 1\r\nx\r\n")),
    case("ms with an older CAS without I", FRESH, (b"mg @ c\r\n", b"HD c<cas=a>\r\n"), MARKED, (meta_set(b"@", b"old", b"C<cas=a>"), EX)),
    case("ms I without C is a set", FRESH, MARKED, (meta_set(b"@", b"new", b"I"), HD), (b"mg @ v\r\n", b"VA 3\r\nnew\r\n")),
    case(
        "the winner stores with its CAS",
        (b"mg @ N30 c\r\n", b"HD c<cas=a> W\r\n"),
        (meta_set(b"@", b"new", b"C<cas=a> T90"), HD),
        (b"mg @ v t\r\n", b"VA 3 t<t:90>\r\nnew\r\n"),
    ),
    case(
        "the winner was overtaken by a delete",
        (b"mg @ N30 c\r\n", b"HD c<cas=a> W\r\n"),
        (b"md @\r\n", HD),
        (meta_set(b"@", b"new", b"C<cas=a>"), b"NF\r\n"),
    ),
]
