"""What strangers send: a browser in front of any page, a store that is refused with its value behind it, lines that are too long. What stands in
a value or a body must never be carried out. Checked against memcached 1.6.45.
"""

from answers import *
from case import Conversation, case

SINCE = (1, 6, 45)

EOF = b"<eof>"
LINE_BYTES_MAX = 2048
LONG_KEY = b"k" * 251
PIECE_BYTES = 700

# Each is followed by a value of nine bytes that is a command.
REFUSED = [
    b"set " + LONG_KEY + b" 0 0 9",
    b"add " + LONG_KEY + b" 0 0 9",
    b"set @ x 0 9",
    b"set @ -1 0 9",
    b"set @ 18446744073709551616 0 9",
    b"set @ 0 x 9",
    b"set @ 0 9223372036854775808 9",
    b"append @ x 0 9",
    b"cas @ 0 0 9",
    b"cas @ 0 0 9 x",
    b"cas @ x 0 9 1",
]
TAKEN = [
    b"set @ 4294967296 0 9",
    b"set @ 18446744073709551615 0 9",
    b"set @ 0 2208988800 9",
    b"set @ 0 4294967295 9",
    b"set @ 0 -99999999999 9",
    b"set @ 0 0 9 more words",
]


def swallowed(lines, answer):
    value = b"\r\nflush_all\r\n"
    return [(b"set @1 0 0 1\r\nx\r\n", STORED)] + [(line + value + b"mn\r\n", answer + MN) for line in lines] + [(b"get @1\r\n", hit(b"@1", b"x"))]


def page_drives_nothing(server):
    """A form of some page, sent to the cache's port."""
    body = b"set p 0 0 1\r\nx\r\nset q 0 0 1\r\ny\r\n"
    conversation = Conversation(server.connect())
    conversation.send(b"POST / HTTP/1.1\r\nHost: 127.0.0.1:11211\r\nContent-Type: text/plain\r\n\r\n" + body)
    conversation.expect(EOF, b"a request of a browser")
    conversation.close()
    conversation = Conversation(server.connect())
    conversation.ask(b"get p q\r\n", END)
    conversation.close()


def hangs_up(line):
    return case(f"hangs up at {line.decode()}", (line + b"\r\nset @ 0 0 1\r\nx\r\n", EOF))


def hang_up_at_once_and_in_pieces(server, line):
    """The answer must not depend on how the bytes were cut."""
    for piece_bytes in (len(line), PIECE_BYTES):
        conversation = Conversation(server.connect())
        for at in range(0, len(line), piece_bytes):
            conversation.send(line[at : at + piece_bytes])
            conversation.connection.settimeout(0.01)
        conversation.expect((b"CLIENT_ERROR line too long\r\n<eof>", EOF), line)
        conversation.close()


def one_bound_for_lines(server):
    for begin in (b"mg a ", b"ms a 1 ", b"md a ", b"ma a ", b"delete a ", b"set a 0 0 1 ", b"x"):
        for filling in (b" ", b"o"):
            rest = LINE_BYTES_MAX + 1 - len(begin)
            hang_up_at_once_and_in_pieces(server, begin + filling * rest + b"\r\n")


def lists_have_none(server):
    """Nor has gat one, though memcached hangs up at it when it comes in pieces."""
    conversation = Conversation(server.connect())
    conversation.ask(b"set list 0 0 1\r\nx\r\n", STORED)
    for begin, line in ((b"get", b"get"), (b"gat 0", b"gat 0")):
        whole = line + b" list" * 1000 + b"\r\n"
        conversation.ask(whole, hit(b"list", b"x")[: -len(END)] * 1000 + END)
        for at in range(0, len(whole), PIECE_BYTES):
            conversation.send(whole[at : at + PIECE_BYTES])
        conversation.expect(hit(b"list", b"x")[: -len(END)] * 1000 + END, begin)
    for blanks in (LINE_BYTES_MAX - 4, LINE_BYTES_MAX, 3 * LINE_BYTES_MAX):
        for keys, answer in ((b"list", hit(b"list", b"x")), (b"list nolist", hit(b"list", b"x")), (b"", WRONG_COUNT)):
            whole = b"get " + b" " * blanks + keys + b"\r\n"
            conversation.ask(whole, answer)
            for at in range(0, len(whole), PIECE_BYTES):
                conversation.send(whole[at : at + PIECE_BYTES])
            conversation.expect(answer, whole)
    conversation.close()


CASES = [
    page_drives_nothing,
    one_bound_for_lines,
    lists_have_none,
    hangs_up(b"GET / HTTP/1.0"),
    hangs_up(b"PUT /a/b HTTP/1.1"),
    hangs_up(b"DELETE HTTP/1.1"),
    hangs_up(b"POST /"),
    hangs_up(b"Host: a"),
    case("a key may be called HTTP/1.1", (b"get HTTP/1.1\r\n", END), (b"mg HTTP/1.1\r\n", b"EN\r\n")),
    case("the value of a refused store is swallowed", *swallowed(REFUSED, BAD_FORMAT)),
    case("and silently", (b"cas @ 0 0 9 noreply\r\nflush_all\r\nset @ x 0 9 noreply\r\nflush_all\r\nmn\r\n", MN)),
    case("numbers that are larger than their field", *swallowed(TAKEN, STORED)),
    case("exptime 4294967295 is -1", (b"set @ 0 4294967295 1\r\nx\r\nget @\r\n", STORED + END)),
    case(
        "what touches takes 31 bits and a sign",
        (b"set @ 0 0 1\r\nx\r\n", STORED),
        (b"touch @ 4294967295\r\n", BAD_EXPTIME),
        (b"gat 4294967295 @\r\n", BAD_EXPTIME),
        (b"gats 2147483648 @\r\n", BAD_EXPTIME),
        (b"mg @ T4294967295\r\n", BAD_TOKEN),
        (b"get @\r\n", hit(b"@", b"x")),
        (b"touch @ 2147483647\r\n", TOUCHED),
        (b"touch @ -1\r\nget @\r\n", TOUCHED + END),
    ),
    case("of flags the low 32 bits count", (b"set @ 4294967301 0 1\r\nx\r\nget @\r\n", STORED + hit(b"@", b"x", flags=5))),
    case("a date after 2038", (b"set @ 0 2208988800 1\r\nx\r\nget @\r\n", STORED + hit(b"@", b"x"))),
    case(
        "a CAS number of 0 where nothing was stored",
        (b"ms @ 1 c C5\r\nx\r\n", b"NF c0\r\n"),
        (b"ms @ 1\r\nx\r\n", b"HD\r\n"),
        (b"ms @ 1 c C9999999\r\nx\r\n", b"EX c0\r\n"),
        (b"ms @ 1 c ME\r\nx\r\n", b"NS c0\r\n"),
    ),
    case("lines that are too short for a command", (b" \n", BAD_FORMAT), (b"\r\n", BAD_FORMAT), (b"x\r\n", BAD_FORMAT), (b"xy\r\n", ERROR)),
]
