"""get gets gat gats touch delete."""

from answers import *
from case import case

KEY_251 = b"k" * 251
MANY = [b"@%03d" % number for number in range(100)]
USAGE = b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"

CASES = [
    case("get of a missing key", (b"get @\r\n", END), (b"gets @\r\n", END), (b"gat 0 @\r\n", END), (b"gats 0 @\r\n", END)),
    case(
        "get without a key",
        (b"get\r\n", WRONG_COUNT),
        (b"gets\r\n", WRONG_COUNT),
        (b"get \r\n", WRONG_COUNT),
        (b"gat\r\n", WRONG_COUNT),
        (b"gats\r\n", WRONG_COUNT),
    ),
    case("gat without a key", (b"gat 0\r\n", (END,) + WRONG_COUNT), (b"gats 0\r\n", (END,) + WRONG_COUNT)),
    case(
        "get of several keys",
        (store(b"set", b"@a", b"1") + store(b"set", b"@c", b"333", flags=3), STORED * 2),
        (b"get @a @b @c\r\n", value(b"@a", b"1") + value(b"@c", b"333", 3) + END),
    ),
    case(
        "get in the order of the request",
        (store(b"set", b"@a", b"1") + store(b"set", b"@b", b"2"), STORED * 2),
        (b"get @b @a\r\n", value(b"@b", b"2") + value(b"@a", b"1") + END),
    ),
    case("get of the same key twice", (store(b"set", b"@", b"1"), STORED), (b"get @ @ @\r\n", value(b"@", b"1") * 3 + END)),
    case(
        "get of a hundred keys",
        (b"".join(store(b"set", key, b"v" + key) for key in MANY), STORED * 100),
        (b"get " + b" ".join(MANY) + b"\r\n", b"".join(b"VALUE %s 0 8\r\nv%s\r\n" % (key, key) for key in MANY) + END),
    ),
    case(
        "get of a hundred keys, every second missing",
        (b"".join(store(b"set", key, b"v" + key) for key in MANY[::2]), STORED * 50),
        (b"get " + b" ".join(MANY) + b"\r\n", b"".join(b"VALUE %s 0 8\r\nv%s\r\n" % (key, key) for key in MANY[::2]) + END),
    ),
    case("get of 24 and 25 words", *((b"get" + b" @" * count + b"\r\n", END) for count in (22, 23, 24, 25, 46, 47, 48))),
    case(
        "get with a line beyond 2048 bytes",
        (store(b"set", b"@", b"1"), STORED),
        (b"get" + b" missing_key" * 1000 + b" @\r\n", hit(b"@", b"1")),
    ),
    case(
        "gets with a line beyond 64 KiB",
        (store(b"set", b"@", b"1"), STORED),
        (b"gets" + b" missing_key" * 8000 + b" @\r\n", hit(b"@", b"1", cas=b"<n>")),
    ),
    case(
        "gets of several keys",
        (store(b"set", b"@a", b"1") + store(b"set", b"@b", b"2"), STORED * 2),
        (b"gets @a @x @b\r\n", value(b"@a", b"1", cas=b"<cas=a>") + value(b"@b", b"2", cas=b"<cas=b>") + END),
        (b"gets @b @a\r\n", value(b"@b", b"2", cas=b"<cas=b>") + value(b"@a", b"1", cas=b"<cas=a>") + END),
    ),
    case(
        "a key of 251 bytes",
        (b"get " + KEY_251 + b"\r\n", BAD_FORMAT),
        (b"gets " + KEY_251 + b"\r\n", BAD_FORMAT),
        (b"gat 0 " + KEY_251 + b"\r\n", BAD_FORMAT),
        (b"touch " + KEY_251 + b" 0\r\n", BAD_FORMAT),
        (b"delete " + KEY_251 + b"\r\n", (BAD_FORMAT, BAD_FORMAT + b"\r\n")),
    ),
    case(
        "a key of 251 bytes among others",
        (store(b"set", b"@", b"1"), STORED),
        (b"get @ " + KEY_251 + b" @\r\nmn\r\n", (BAD_FORMAT + MN, BAD_FORMAT + b"\r\n" + MN)),
    ),
    case("a key of 2000 bytes", (b"get " + b"k" * 2000 + b"\r\n", BAD_FORMAT)),
    case(
        "words of other letters",
        (b"GET @\r\n", ERROR),
        (b"Get @\r\n", ERROR),
        (b"getx @\r\n", ERROR),
        (b"getss @\r\n", ERROR),
        (b"gett\r\n", WRONG_COUNT),
    ),
    case("a tab is no separator", (b"get\t@\r\n", WRONG_COUNT), (b"get @\t@\r\n", END)),
    case("HTTP as the last key of a get", (b"get / HTTP/1.0\r\n", END)),
    case(
        "gat returns and touches",
        (store(b"set", b"@", b"x", flags=5), STORED),
        (b"gat 100 @\r\n", hit(b"@", b"x", 5)),
        (b"mg @ t\r\n", b"HD t<t:100>\r\n"),
        (b"gat 0 @\r\n", hit(b"@", b"x", 5)),
        (b"mg @ t\r\n", b"HD t-1\r\n"),
    ),
    case(
        "gat of several keys",
        (store(b"set", b"@a", b"1") + store(b"set", b"@b", b"2"), STORED * 2),
        (b"gat 50 @b @x @a\r\n", value(b"@b", b"2") + value(b"@a", b"1") + END),
        (b"mg @a t\r\nmg @b t\r\n", b"HD t<t:50>\r\nHD t<t:50>\r\n"),
    ),
    case(
        "gats",
        (store(b"set", b"@", b"x"), STORED),
        (b"gats 100 @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
        (b"gets @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
    ),
    case("gat with a negative time", (store(b"set", b"@", b"x"), STORED), (b"gat -1 @\r\n", (hit(b"@", b"x"), END)), (b"get @\r\n", END)),
    case(
        "gat with a bad time",
        (b"gat abc @\r\n", BAD_EXPTIME),
        (b"gats 1x @\r\n", BAD_EXPTIME),
        (b"gat 99999999999999999999 @\r\n", BAD_EXPTIME),
    ),
    case(
        "touch",
        (b"touch @ 0\r\n", NOT_FOUND),
        (store(b"set", b"@", b"x"), STORED),
        (b"touch @ 100\r\n", TOUCHED),
        (b"mg @ t\r\n", b"HD t<t:100>\r\n"),
        (b"touch @ 0\r\n", TOUCHED),
        (b"mg @ t v\r\n", b"VA 1 t-1\r\nx\r\n"),
    ),
    case(
        "touch with a negative time",
        (store(b"set", b"@", b"x"), STORED),
        (b"touch @ -1\r\n", TOUCHED),
        (b"get @\r\n", END),
        (b"touch @ 0\r\n", NOT_FOUND),
    ),
    case("touch with a bad time", (b"touch @ abc\r\n", BAD_EXPTIME), (b"touch @ 1x\r\n", BAD_EXPTIME)),
    case("touch with a wrong number of words", (b"touch\r\n", WRONG_COUNT), (b"touch @\r\n", WRONG_COUNT)),
    case(
        "touch noreply",
        (store(b"set", b"@", b"x"), STORED),
        (b"touch @ 100 noreply\r\ntouch @none 100 noreply\r\nmg @ t\r\n", b"HD t<t:100>\r\n"),
    ),
    case(
        "delete",
        (b"delete @\r\n", NOT_FOUND),
        (store(b"set", b"@", b"x"), STORED),
        (b"delete @\r\n", DELETED),
        (b"delete @\r\n", NOT_FOUND),
        (b"get @\r\n", END),
    ),
    case("delete with 0", (store(b"set", b"@", b"x"), STORED), (b"delete @ 0\r\n", DELETED), (b"get @\r\n", END)),
    case(
        "delete noreply",
        (store(b"set", b"@", b"x"), STORED),
        (b"delete @ noreply\r\nget @\r\n", END),
        (b"delete @ noreply\r\nget @\r\n", END),
    ),
    case("delete with 0 noreply", (store(b"set", b"@", b"x"), STORED), (b"delete @ 0 noreply\r\nget @\r\n", END)),
    case("delete with another time", (b"delete @ 10\r\n", (USAGE, NOT_FOUND)), (b"delete @ abc\r\n", (USAGE, NOT_FOUND))),
    case(
        "delete with too many words",
        (b"delete @ 0 1\r\n", (USAGE, NOT_FOUND)),
        (b"delete @ 0 1 2\r\nmn\r\n", (ERROR + MN, BAD_FORMAT + MN, NOT_FOUND + MN)),
        (b"delete\r\n", WRONG_COUNT),
    ),
    case("two connections see each other's items", (store(b"set", b"@", b"x"), STORED), (b"get @\r\n", hit(b"@", b"x"))),
]
