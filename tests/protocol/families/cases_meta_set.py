"""ms: modes, compare by CAS, return flags, refused lines, the quiet mode."""

from answers import *
from case import case

HD, NS, EX, NF, EN = (word + b"\r\n" for word in (b"HD", b"NS", b"EX", b"NF", b"EN"))
BAD_MODE = b"CLIENT_ERROR invalid mode for ms M token\r\n"
BAD_MODE_LENGTH = b"CLIENT_ERROR incorrect length for M token\r\n"
FRESH = (meta_set(b"@", b"x"), HD)
READ_CAS = (b"mg @ c\r\n", b"HD c<cas=a>\r\n")
TOP = b"18446744073709551615"

# Refused before the length is known: the data is taken for a command.
UNKNOWN_LENGTH = sequence((BAD_FORMAT, ERROR), (ERROR + MN, BAD_FORMAT + MN, MN))


def refused(flags, answer, data=b"x"):
    """The data is swallowed: the connection goes on."""
    return (meta_set(b"@", data, flags) + b"mn\r\n", sequence(answer, MN))


CASES = [
    case("set", FRESH, (b"mg @ v\r\n", b"VA 1\r\nx\r\n"), (meta_set(b"@", b"longer"), HD), (b"mg @ v\r\n", b"VA 6\r\nlonger\r\n")),
    case("set of an empty value", (b"ms @ 0\r\n\r\n", HD), (b"get @\r\n", hit(b"@", b""))),
    case(
        "flags and time",
        (meta_set(b"@", b"x", b"F77 T100"), HD),
        (b"mg @ f t\r\n", b"HD f77 t<t:100>\r\n"),
        (b"get @\r\n", hit(b"@", b"x", 77)),
    ),
    case("flags of 32 bits", (meta_set(b"@", b"x", b"F4294967295"), HD), (b"mg @ f\r\n", b"HD f4294967295\r\n")),
    case("time negative", FRESH, (meta_set(b"@", b"x", b"T-1"), HD), (b"mg @\r\n", EN)),
    case("time 0", (meta_set(b"@", b"x", b"T0"), HD), (b"mg @ t\r\n", b"HD t-1\r\n")),
    case(
        "return flags",
        (meta_set(b"@", b"x", b"k O77 c"), b"HD k@ O77 c<cas=a>\r\n"),
        (b"mg @ c\r\n", b"HD c<cas=a>\r\n"),
        (meta_set(b"@", b"x", b"c O1 k"), b"HD c<n> O1 k@\r\n"),
    ),
    case("flags of other commands are ignored", (meta_set(b"@", b"x", b"h l v u t f D1 J1 R30"), HD)),
    case("data with line ends", (b"ms @ 6\r\na\r\nb\r\n\r\n", HD), (b"mg @ v\r\n", b"VA 6\r\na\r\nb\r\n\r\n")),
    case("data too long", (b"ms @ 2\r\nabc\r\nmn\r\n", sequence(BAD_CHUNK, WRONG_COUNT, MN)), (b"mg @\r\n", EN)),
    case("data too long, quietly", (b"ms @ 2 q\r\nabc\r\nmn\r\n", sequence(BAD_CHUNK, WRONG_COUNT, MN)), (b"mg @\r\n", EN)),
    case("mode E adds", (meta_set(b"@", b"x", b"ME"), HD), (meta_set(b"@", b"y", b"ME"), NS), (b"mg @ v\r\n", b"VA 1\r\nx\r\n")),
    case(
        "mode R replaces",
        (meta_set(b"@", b"x", b"MR"), NS),
        (b"mg @\r\n", EN),
        FRESH,
        (meta_set(b"@", b"y", b"MR"), HD),
        (b"mg @ v\r\n", b"VA 1\r\ny\r\n"),
    ),
    case(
        "mode A appends",
        (meta_set(b"@", b"x", b"MA"), NS),
        (meta_set(b"@", b"x", b"F5 T100"), HD),
        (meta_set(b"@", b"yz", b"MA F9 T500"), HD),
        (b"mg @ v f t\r\n", b"VA 3 f5 t<t:100>\r\nxyz\r\n"),
    ),
    case(
        "mode P prepends",
        (meta_set(b"@", b"x", b"MP"), NS),
        (meta_set(b"@", b"x", b"F5"), HD),
        (meta_set(b"@", b"yz", b"MP"), HD),
        (b"mg @ v f\r\n", b"VA 3 f5\r\nyzx\r\n"),
    ),
    case("mode S sets", (meta_set(b"@", b"x", b"MS"), HD), (meta_set(b"@", b"y", b"MS"), HD), (b"mg @ v\r\n", b"VA 1\r\ny\r\n")),
    case(
        "unknown modes",
        refused(b"MX", BAD_MODE),
        refused(b"Me", BAD_MODE),
        refused(b"MI", BAD_MODE),
        refused(b"M", (BAD_MODE_LENGTH, BAD_MODE)),
        (b"mg @\r\n", EN),
    ),
    case("mode of several letters", (meta_set(b"@", b"x", b"MEE") + b"mn\r\n", (BAD_MODE_LENGTH + MN, BAD_MODE + MN, HD + MN))),
    case(
        "C with the right number",
        FRESH,
        READ_CAS,
        (meta_set(b"@", b"y", b"C<cas=a> c"), b"HD c<n>\r\n"),
        (meta_set(b"@", b"z", b"C<cas=a>"), EX),
        (b"mg @ v\r\n", b"VA 1\r\ny\r\n"),
    ),
    case("C with another number", FRESH, (meta_set(b"@", b"y", b"C" + TOP + b" k O1"), b"EX k@ O1\r\n"), (b"mg @ v\r\n", b"VA 1\r\nx\r\n")),
    case("C on a miss", (meta_set(b"@", b"y", b"C5 O1"), b"NF O1\r\n"), (meta_set(b"@", b"y", b"MR C5"), NF), (b"mg @\r\n", EN)),
    case("C with mode R", FRESH, (meta_set(b"@", b"y", b"MR C" + TOP), EX), READ_CAS, (meta_set(b"@", b"y", b"MR C<cas=a>"), HD)),
    case(
        "C with mode A",
        FRESH,
        (meta_set(b"@", b"y", b"MA C" + TOP), EX),
        READ_CAS,
        (meta_set(b"@", b"y", b"MA C<cas=a>"), HD),
        (b"mg @ v\r\n", b"VA 2\r\nxy\r\n"),
    ),
    case(
        "C with mode P",
        FRESH,
        (meta_set(b"@", b"y", b"MP C" + TOP), EX),
        READ_CAS,
        (meta_set(b"@", b"y", b"MP C<cas=a>"), HD),
        (b"mg @ v\r\n", b"VA 2\r\nyx\r\n"),
    ),
    case("C with mode E", (meta_set(b"@", b"y", b"ME C5"), HD), (meta_set(b"@", b"z", b"ME C5"), NS)),
    case("C with mode A on a miss", (meta_set(b"@", b"y", b"MA C5"), NS)),
    case(
        "C bad",
        refused(b"C", BAD_TOKEN),
        refused(b"Cx", BAD_TOKEN),
        refused(b"C-1", BAD_TOKEN),
        refused(b"C18446744073709551616", BAD_TOKEN),
    ),
    case("q leaves out HD", (meta_set(b"@", b"x", b"q") + meta_set(b"@", b"x", b"q k O1 c") + b"mg @ v\r\n", b"VA 1\r\nx\r\n")),
    case(
        "q shows NS, EX, NF",
        (meta_set(b"@", b"x", b"q"), b""),
        (meta_set(b"@", b"x", b"ME q k"), b"NS k@\r\n"),
        (meta_set(b"@", b"x", b"q O1 C" + TOP), b"EX O1\r\n"),
        (meta_set(b"@none", b"x", b"q C5"), NF),
    ),
    case("q shows errors", refused(b"q q", DUPLICATE_FLAG), refused(b"q MX", BAD_MODE), refused(b"q T", BAD_TOKEN)),
    case("duplicate flags", refused(b"T1 T2", DUPLICATE_FLAG), refused(b"k k", DUPLICATE_FLAG)),
    case("unknown flags", refused(b"z", BAD_FLAG), refused(b"S5", BAD_FLAG), refused(b"W", BAD_FLAG)),
    case(
        "bad numbers",
        refused(b"T", BAD_TOKEN),
        refused(b"Tx", BAD_TOKEN),
        refused(b"F-1", (BAD_FORMAT, BAD_TOKEN)),
        refused(b"Fx", (BAD_FORMAT, BAD_TOKEN)),
        refused(b"F99999999999999999999", (BAD_FORMAT, BAD_TOKEN)),
    ),
    case(
        "opaque too long", refused(b"O" + b"o" * 32, LONG_OPAQUE), (meta_set(b"@", b"x", b"O" + b"o" * 31), b"HD O" + b"o" * 31 + b"\r\n")
    ),
    case(
        "refused data that looks like commands",
        (b"ms @ 15 z\r\nget @\r\nquit\r\n@\r\nmn\r\n".replace(b"15", b"%d" % wire_length(b"get @\r\nquit\r\n@")), sequence(BAD_FLAG, MN)),
    ),
    case("a refused line leaves the old value", FRESH, refused(b"z", BAD_FLAG, b"y"), (b"mg @ v\r\n", b"VA 1\r\nx\r\n")),
    case("no key, no length", (b"ms\r\n", WRONG_COUNT), (b"ms @\r\n", WRONG_COUNT)),
    case(
        "length bad",
        *(
            (b"ms @ " + length + b"\r\nx\r\nmn\r\n", UNKNOWN_LENGTH)
            for length in (b"abc", b"S1", b"-1", b"1x", b"2147483647", b"99999999999999999999")
        )
    ),
    case("key of 250 bytes", (meta_set(b"k" * 250, b"x", b"k"), b"HD k" + b"k" * 250 + b"\r\n")),
    case("key of 251 bytes", (meta_set(b"k" * 251, b"x") + b"mn\r\n", UNKNOWN_LENGTH)),
    case(
        "base64",
        (meta_set(b"bXNfb25l", b"x", b"b k O1"), b"HD kbXNfb25l b O1\r\n"),
        (b"get ms_one\r\n", hit(b"ms_one", b"x")),
        (meta_set(b"bXNfb25l", b"y", b"k b"), b"HD kbXNfb25l b\r\n"),
        (b"mg ms_one v\r\n", b"VA 1\r\ny\r\n"),
    ),
    case("no base64", (meta_set(b"Zm9", b"x", b"b") + b"mn\r\n", BAD_KEY + MN), (meta_set(b"!!", b"x", b"b") + b"mn\r\n", BAD_KEY + MN)),
    case(
        "key of 250 bytes in base64",
        (meta_set(b"QUFB" * 62, b"x", b"b") + b"mn\r\n", HD + MN),
        (meta_set(b"QUFB" * 63, b"x", b"b") + b"mn\r\n", UNKNOWN_LENGTH + (HD + MN,)),
    ),
    case("key of 252 bytes after base64", (meta_set(b"QUFB" * 84, b"x", b"b") + b"mn\r\n", UNKNOWN_LENGTH + (BAD_KEY + MN,))),
    case(
        "appends by meta and text meet",
        FRESH,
        (store(b"append", b"@", b"1"), STORED),
        (meta_set(b"@", b"2", b"MA"), HD),
        (b"get @\r\n", hit(b"@", b"x12")),
    ),
    case(
        "too many flags",
        (
            meta_set(b"@", b"x", b" ".join(b"O%d" % number for number in range(25))) + b"mn\r\n",
            sequence(b"CLIENT_ERROR <any>\r\n", (ERROR + MN, BAD_FORMAT + MN, MN)),
        ),
    ),
    case(
        "a pipeline of quiet sets",
        (b"".join(meta_set(b"@%d" % number, b"%d" % number, b"q") for number in range(100)) + b"mn\r\n", MN),
        (b"mg @0 v\r\nmg @99 v\r\n", b"VA 1\r\n0\r\nVA 2\r\n99\r\n"),
    ),
]
