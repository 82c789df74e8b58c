"""incr and decr: numbers of 64 bits in decimal digits.

A result that is shorter than the stored value is padded with spaces to its length: always in 1.6.18; in 1.6.45 after a wrap only.
"""

from answers import *
from case import case

TOP = b"18446744073709551615"


def padded(key, digits, length, flags=0):
    """The two forms of a value that became shorter."""
    return (hit(key, digits.ljust(length), flags), hit(key, digits, flags))


def of_value(data, *steps):
    return (store(b"set", b"@", data), STORED), *steps


CASES = [
    case("incr", *of_value(b"5", (b"incr @ 1\r\n", b"6\r\n"), (b"incr @ 3\r\n", b"9\r\n"), (b"get @\r\n", hit(b"@", b"9")))),
    case(
        "incr to more digits",
        (store(b"set", b"@", b"99", flags=7, exptime=100), STORED),
        (b"incr @ 1\r\n", b"100\r\n"),
        (b"get @\r\n", hit(b"@", b"100", 7)),
        (b"mg @ t\r\n", b"HD t<t:100>\r\n"),
    ),
    case("incr by zero", *of_value(b"10", (b"incr @ 0\r\n", b"10\r\n"), (b"decr @ 0\r\n", b"10\r\n"), (b"get @\r\n", hit(b"@", b"10")))),
    case("decr", *of_value(b"50", (b"decr @ 1\r\n", b"49\r\n"), (b"get @\r\n", hit(b"@", b"49")))),
    case(
        "decr ends at zero",
        *of_value(b"5", (b"decr @ 6\r\n", b"0\r\n"), (b"decr @ " + TOP + b"\r\n", b"0\r\n"), (b"get @\r\n", hit(b"@", b"0"))),
    ),
    case(
        "decr to fewer digits",
        *of_value(
            b"100",
            (b"decr @ 1\r\n", b"99\r\n"),
            (b"get @\r\n", padded(b"@", b"99", 3)),
            (b"incr @ 5\r\n", b"104\r\n"),
            (b"get @\r\n", hit(b"@", b"104")),
            (b"decr @ 104\r\n", b"0\r\n"),
            (b"get @\r\n", padded(b"@", b"0", 3)),
            (b"incr @ 7\r\n", b"7\r\n"),
            (b"get @\r\n", padded(b"@", b"7", 3)),
        ),
    ),
    case("incr wraps", *of_value(TOP, (b"incr @ 1\r\n", b"0\r\n"), (b"get @\r\n", padded(b"@", b"0", 20)))),
    case("incr wraps by a large delta", *of_value(b"5", (b"incr @ " + TOP + b"\r\n", b"4\r\n"), (b"get @\r\n", hit(b"@", b"4")))),
    case(
        "incr to the top",
        *of_value(
            b"0", (b"incr @ " + TOP + b"\r\n", TOP + b"\r\n"), (b"get @\r\n", hit(b"@", TOP)), (b"decr @ " + TOP + b"\r\n", b"0\r\n")
        ),
    ),
    case("of a missing key", (b"incr @ 1\r\n", NOT_FOUND), (b"decr @ 1\r\n", NOT_FOUND), (b"get @\r\n", END)),
    case(
        "no number stored",
        *(
            step
            for data in (b"abc", b"", b"-5", b"5a", b"0x5", b"5.0", b"18446744073709551616", b"x5")
            for step in of_value(data, (b"incr @ 1\r\ndecr @ 1\r\n", NON_NUMERIC * 2), (b"get @\r\n", hit(b"@", data)))
        ),
    ),
    case("a large value is no number", (store(b"set", b"@", b"x" * 300000), STORED), (b"incr @ 1\r\n", NON_NUMERIC)),
    case("leading zeros", *of_value(b"007", (b"incr @ 1\r\n", b"8\r\n"), (b"get @\r\n", padded(b"@", b"8", 3)))),
    case("a blank behind the number", *of_value(b"5 ", (b"incr @ 1\r\n", b"6\r\n"), (b"get @\r\n", padded(b"@", b"6", 2)))),
    case(
        "a bad delta",
        *of_value(
            b"5",
            *(
                (command + b" @ " + delta + b"\r\n", BAD_DELTA)
                for command in (b"incr", b"decr")
                for delta in (b"abc", b"-1", b"1x", b"18446744073709551616", b"1.0")
            ),
            (b"get @\r\n", hit(b"@", b"5")),
        ),
    ),
    case("a bad delta for a missing key", (b"incr @ abc\r\n", BAD_DELTA)),
    case("noreply", *of_value(b"5", (b"incr @ 3 noreply\r\ndecr @ 1 noreply\r\nincr @none 1 noreply\r\nget @\r\n", hit(b"@", b"7")))),
    case(
        "wrong number of words",
        (b"incr\r\n", WRONG_COUNT),
        (b"incr @\r\n", WRONG_COUNT),
        (b"decr\r\n", WRONG_COUNT),
        (b"decr @\r\n", WRONG_COUNT),
    ),
    case("a fourth word is not noreply", *of_value(b"5", (b"incr @ 1 reply\r\n", b"6\r\n"))),
    case("key of 251 bytes", (b"incr " + b"k" * 251 + b" 1\r\n", BAD_FORMAT), (b"decr " + b"k" * 251 + b" 1\r\n", BAD_FORMAT)),
    case(
        "incr changes the CAS",
        *of_value(
            b"5",
            (b"gets @\r\n", hit(b"@", b"5", cas=b"<cas=a>")),
            (b"incr @ 1\r\n", b"6\r\n"),
            (store(b"cas", b"@", b"9", b" <cas=a>"), EXISTS),
        ),
    ),
    case(
        "decr changes the CAS",
        *of_value(
            b"5",
            (b"gets @\r\n", hit(b"@", b"5", cas=b"<cas=a>")),
            (b"decr @ 1\r\n", b"4\r\n"),
            (store(b"cas", b"@", b"9", b" <cas=a>"), EXISTS),
        ),
    ),
    case(
        "incr keeps flags",
        (store(b"set", b"@", b"5", flags=12345), STORED),
        (b"incr @ 1\r\n", b"6\r\n"),
        (b"get @\r\n", hit(b"@", b"6", 12345)),
    ),
    case("append to a number", *of_value(b"5", (store(b"append", b"@", b"0"), STORED), (b"incr @ 1\r\n", b"51\r\n"))),
    case("many in a pipeline", *of_value(b"0", (b"incr @ 1\r\n" * 300, b"".join(b"%d\r\n" % number for number in range(1, 301))))),
]
