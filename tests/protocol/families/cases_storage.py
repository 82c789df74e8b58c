"""set add replace append prepend cas: what they store, refuse and answer."""

from answers import *
from case import case

KEY_250 = b"k" * 246 + b"@"

CASES = [
    case("set and get", (store(b"set", b"@", b"value"), STORED), (b"get @\r\n", hit(b"@", b"value"))),
    case(
        "set replaces",
        (store(b"set", b"@", b"one"), STORED),
        (store(b"set", b"@", b"second", flags=9), STORED),
        (b"get @\r\n", hit(b"@", b"second", 9)),
    ),
    case("set of an empty value", (b"set @ 0 0 0\r\n\r\n", STORED), (b"get @\r\n", hit(b"@", b""))),
    case(
        "value with line ends and zeros",
        (store(b"set", b"@", b"a\r\nb\0\xff\nEND\r\n"), STORED),
        (b"get @\r\n", hit(b"@", b"a\r\nb\0\xff\nEND\r\n")),
    ),
    case(
        "value that looks like a command",
        (store(b"set", b"@", b"get @\r\nquit\r\n"), STORED),
        (b"get @\r\n", hit(b"@", b"get @\r\nquit\r\n")),
    ),
    case("flags of 32 bits", (store(b"set", b"@", b"x", flags=4294967295), STORED), (b"get @\r\n", hit(b"@", b"x", 4294967295))),
    case("flags of 33 bits", (b"set @ 4294967296 0 1\r\nx\r\nmn\r\n", (STORED + MN,) + REFUSED_STORE)),
    case("negative flags", (b"set @ -1 0 1\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case("flags no number", (b"set @ abc 0 1\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case("flags with a letter behind", (b"set @ 1a 0 1\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case("flags beyond 64 bits", (b"set @ 99999999999999999999 0 1\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case("exptime no number", (b"set @ 0 abc 1\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case("exptime beyond 64 bits", (b"set @ 0 99999999999999999999 1\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case("length no number", (b"set @ 0 0 abc\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case("length in hex", (b"set @ 0 0 0x1\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case("length negative", (b"set @ 0 0 -1\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case("length negative with noreply", (b"set @ 0 0 -1 noreply\r\nx\r\nmn\r\n", REFUSED_STORE + SILENT_REFUSED_STORE)),
    case("length 2^31 - 1", (b"set @ 0 0 2147483647\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case("length with leading zeros", (b"set @ 0 0 0001\r\nx\r\n", STORED), (b"get @\r\n", hit(b"@", b"x"))),
    case(
        "refused line leaves the old value",
        (store(b"set", b"@", b"old"), STORED),
        (b"set @ 0 0 -1\r\nx\r\nmn\r\n", REFUSED_STORE),
        (b"get @\r\n", hit(b"@", b"old")),
    ),
    case("too few words", (b"set @ 0 0\r\n", WRONG_COUNT), (b"set @\r\n", WRONG_COUNT), (b"set\r\n", WRONG_COUNT)),
    case("too many words in a set", (b"add @ 0 0 1 2 3\r\nx\r\nmn\r\n", (STORED + MN,) + REFUSED_STORE)),
    case(
        "replace without arguments",
        (b"replace @\r\n", WRONG_COUNT),
        (b"append @ 0\r\n", WRONG_COUNT),
        (b"prepend\r\n", WRONG_COUNT),
        (b"cas @ 0 0\r\n", WRONG_COUNT),
    ),
    case("sixth word is not noreply", (b"set @ 0 0 1 reply\r\nx\r\n", STORED), (b"get @\r\n", hit(b"@", b"x"))),
    case("spaces between and around words", (b"  set   @  0   0  1  \r\nx\r\n", STORED), (b"get    @  \r\n", hit(b"@", b"x"))),
    case("data ends with \\r\\n even after \\n", (b"set @ 0 0 1\nx\r\n", STORED), (b"get @\n", hit(b"@", b"x"))),
    case("data without \\r", (b"set @ 0 0 1\nx\ny\r\nmn\r\n", sequence(BAD_CHUNK, WRONG_COUNT, MN))),
    case("data too long", (b"set @ 0 0 3\r\nabcde\r\nmn\r\n", sequence(BAD_CHUNK, WRONG_COUNT, MN)), (b"get @\r\n", END)),
    case("data too long by one", (b"set @ 0 0 3\r\nabcd\r\nmn\r\n", sequence(BAD_CHUNK, WRONG_COUNT, MN)), (b"get @\r\n", END)),
    case("data too short", (b"set @ 0 0 3\r\nab\r\nversion\r\nmn\r\n", sequence(BAD_CHUNK, ERROR, MN)), (b"get @\r\n", END)),
    case(
        "bad data leaves the old value",
        (store(b"set", b"@", b"old"), STORED),
        (b"set @ 0 0 3\r\nabcde\r\nmn\r\n", sequence(BAD_CHUNK, WRONG_COUNT, MN)),
        (b"get @\r\n", (hit(b"@", b"old"), END)),
    ),
    case("bad data with noreply", (b"set @ 0 0 3 noreply\r\nabcde\r\nmn\r\n", sequence((b"", BAD_CHUNK), WRONG_COUNT, MN))),
    case("set noreply", (store(b"set", b"@", b"x", b" noreply") + b"get @\r\n", hit(b"@", b"x"))),
    case("add", (store(b"add", b"@", b"one"), STORED), (store(b"add", b"@", b"two"), NOT_STORED), (b"get @\r\n", hit(b"@", b"one"))),
    case(
        "add noreply",
        (store(b"add", b"@", b"one", b" noreply") + store(b"add", b"@", b"two", b" noreply") + b"get @\r\n", hit(b"@", b"one")),
    ),
    case("add after delete", (store(b"add", b"@", b"one"), STORED), (b"delete @\r\n", DELETED), (store(b"add", b"@", b"two"), STORED)),
    case(
        "replace",
        (store(b"replace", b"@", b"x"), NOT_STORED),
        (b"get @\r\n", END),
        (store(b"set", b"@", b"x"), STORED),
        (store(b"replace", b"@", b"longer", flags=3), STORED),
        (b"get @\r\n", hit(b"@", b"longer", 3)),
    ),
    case("replace noreply", (store(b"replace", b"@", b"x", b" noreply") + b"get @\r\n", END)),
    case(
        "append",
        (store(b"append", b"@", b"x"), NOT_STORED),
        (store(b"set", b"@", b"mid", flags=5), STORED),
        (store(b"append", b"@", b"-end", flags=7), STORED),
        (b"get @\r\n", hit(b"@", b"mid-end", 5)),
    ),
    case(
        "prepend",
        (store(b"prepend", b"@", b"x"), NOT_STORED),
        (store(b"set", b"@", b"mid", flags=5), STORED),
        (store(b"prepend", b"@", b"begin-", flags=7), STORED),
        (b"get @\r\n", hit(b"@", b"begin-mid", 5)),
    ),
    case(
        "append and prepend of nothing",
        (store(b"set", b"@", b"mid"), STORED),
        (b"append @ 0 0 0\r\n\r\nprepend @ 0 0 0\r\n\r\n", STORED * 2),
        (b"get @\r\n", hit(b"@", b"mid")),
    ),
    case(
        "append and prepend noreply",
        (
            store(b"set", b"@", b"2", b" noreply")
            + store(b"append", b"@", b"3", b" noreply")
            + store(b"prepend", b"@", b"1", b" noreply")
            + b"get @\r\n",
            hit(b"@", b"123"),
        ),
    ),
    case(
        "append keeps the expiry",
        (store(b"set", b"@", b"x", exptime=100), STORED),
        (store(b"append", b"@", b"y", exptime=5), STORED),
        (b"mg @ t v\r\n", b"VA 2 t<t:100>\r\nxy\r\n"),
    ),
    case(
        "append changes the CAS",
        (store(b"set", b"@", b"x"), STORED),
        (b"gets @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
        (store(b"append", b"@", b"y"), STORED),
        (store(b"cas", b"@", b"z", b" <cas=a>"), EXISTS),
    ),
    case(
        "cas",
        (store(b"set", b"@", b"x"), STORED),
        (b"gets @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
        (b"gets @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
        (store(b"cas", b"@", b"y", b" <cas=a>"), STORED),
        (store(b"cas", b"@", b"z", b" <cas=a>"), EXISTS),
        (b"get @\r\n", hit(b"@", b"y")),
    ),
    case(
        "cas sets flags",
        (store(b"set", b"@", b"x"), STORED),
        (b"gets @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
        (store(b"cas", b"@", b"yy", b" <cas=a>", flags=77), STORED),
        (b"get @\r\n", hit(b"@", b"yy", 77)),
    ),
    case("cas of a missing key", (store(b"cas", b"@", b"x", b" 5"), NOT_FOUND), (b"get @\r\n", END)),
    case(
        "cas with another number",
        (store(b"set", b"@", b"x"), STORED),
        (store(b"cas", b"@", b"y", b" 18446744073709551615"), EXISTS),
        (store(b"cas", b"@", b"y", b" 0"), EXISTS),
        (b"get @\r\n", hit(b"@", b"x")),
    ),
    case(
        "cas number bad",
        *((b"cas @ 0 0 1 %s\r\nx\r\nmn\r\n" % number, REFUSED_STORE) for number in (b"abc", b"-1", b"1x", b"18446744073709551616"))
    ),
    case("cas without number", (b"cas @ 0 0 1\r\nx\r\nmn\r\n", REFUSED_STORE)),
    case(
        "cas noreply",
        (store(b"set", b"@", b"x"), STORED),
        (b"gets @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
        (store(b"cas", b"@", b"y", b" <cas=a> noreply") + store(b"cas", b"@", b"z", b" <cas=a> noreply") + b"get @\r\n", hit(b"@", b"y")),
    ),
    case(
        "every store gives another CAS",
        (store(b"set", b"@", b"x"), STORED),
        (b"gets @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
        (store(b"set", b"@", b"x"), STORED),
        (store(b"cas", b"@", b"z", b" <cas=a>"), EXISTS),
        (b"delete @\r\n", DELETED),
        (store(b"set", b"@", b"x"), STORED),
        (store(b"cas", b"@", b"z", b" <cas=a>"), EXISTS),
    ),
    case(
        "touch keeps the CAS",
        (store(b"set", b"@", b"x"), STORED),
        (b"gets @\r\n", hit(b"@", b"x", cas=b"<cas=a>")),
        (b"touch @ 100\r\n", TOUCHED),
        (store(b"cas", b"@", b"y", b" <cas=a>"), STORED),
    ),
    case("key of 250 bytes", (store(b"set", KEY_250, b"x"), STORED), (b"get " + KEY_250 + b"\r\n", hit(KEY_250, b"x"))),
    *(
        case(command.decode() + " with a key of 251 bytes", (store(command, KEY_250 + b"k", b"x", tail) + b"mn\r\n", REFUSED_STORE))
        for command, tail in ((b"set", b""), (b"add", b""), (b"replace", b""), (b"append", b""), (b"prepend", b""), (b"cas", b" 1"))
    ),
    case(
        "key of 251 bytes with noreply",
        (store(b"set", KEY_250 + b"k", b"x", b" noreply") + b"mn\r\n", REFUSED_STORE + SILENT_REFUSED_STORE),
    ),
    case(
        "control characters and high bytes in a key",
        (store(b"set", b"@\x01\x7f\xff\x80\t", b"x"), STORED),
        (b"get @\x01\x7f\xff\x80\t\r\n", hit(b"@\x01\x7f\xff\x80\t", b"x")),
        (b"get @\r\n", END),
    ),
    case("keys are case sensitive", (store(b"set", b"@a", b"x"), STORED), (b"get @A\r\n", END)),
    case(
        "flags beyond 64 bits leave the old value",
        (store(b"set", b"@", b"x"), STORED),
        (b"set @ 99999999999999999999 0 1\r\nx\r\nmn\r\n", REFUSED_STORE),
        (b"get @\r\n", hit(b"@", b"x")),
    ),
]
