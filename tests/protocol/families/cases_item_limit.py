"""Values of several megabytes, as -I 8m permits them."""

import random

from answers import *
from case import Conversation, case

SERVER_ARGS = ["-I", "8m", "-m", "256"]
SEED = 3
MEBIBYTE = 1 << 20


def five_megabytes_in_pieces(server):
    source = random.Random(SEED)
    data = source.randbytes(5 * MEBIBYTE)
    conversation = Conversation(server.connect())
    conversation.send(b"set pieces 3 0 %d\r\n" % len(data))
    at = 0
    while at < len(data):
        size = source.choice([1, 1000, 65536, 1000000])
        conversation.send(data[at : at + size])
        at += size
    conversation.ask(b"\r\nget pieces\r\n", STORED + b"VALUE pieces 3 %d\r\n%s\r\n" % (len(data), data) + END)
    conversation.close()


def grows_by_appending(server):
    """To 7 MiB, half a MiB at a time from both ends; a MiB more is too much."""
    conversation = Conversation(server.connect())
    half = MEBIBYTE // 2
    conversation.ask(b"set grown 0 0 0\r\n\r\n", STORED)
    expected = b""
    for number in range(14):
        data = bytes([97 + number]) * half
        word = b"append" if number % 2 == 0 else b"prepend"
        expected = expected + data if number % 2 == 0 else data + expected
        conversation.ask(b"%s grown 0 0 %d\r\n%s\r\n" % (word, half, data), STORED)
    conversation.ask(store(b"append", b"grown", b"x" * MEBIBYTE), (NOT_STORED, TOO_LARGE))
    conversation.ask(b"get grown\r\n", b"VALUE grown 0 %d\r\n%s\r\n" % (len(expected), expected) + END)
    conversation.close()


CASES = [
    five_megabytes_in_pieces,
    grows_by_appending,
    case(
        "eight megabytes and a byte",
        (store(b"set", b"@", b"old"), STORED),
        (store(b"set", b"@", b"x" * (8 * MEBIBYTE + 1)) + b"mn\r\n", TOO_LARGE + MN),
        (b"get @\r\n", END),
    ),
    case(
        "seven megabytes, many times",
        *(
            step
            for letter in (b"a", b"b", b"c")
            for step in (
                (store(b"set", b"@", letter * 7 * MEBIBYTE), STORED),
                (b"get @\r\nmg @ s\r\n", hit(b"@", letter * 7 * MEBIBYTE) + b"HD s%d\r\n" % (7 * MEBIBYTE)),
            )
        ),
    ),
]
