"""Values up to the limit of an item (-I, 1 MiB) and beyond it, and keys up to theirs.

The limit is one of the whole item, key and header included; how much a header takes is the server's own affair, so what is stored here
stays 1 KiB below and what is refused is 1 byte above.
"""

import random

from answers import *
from case import Conversation, case

LIMIT_BYTES = 1 << 20
FITS = b"f" * (LIMIT_BYTES - 1024)
TOO_MUCH = b"t" * (LIMIT_BYTES + 1)
HALF = b"h" * 600000
HD, NS, EN = b"HD\r\n", b"NS\r\n", b"EN\r\n"
SEED = 11


def value_of_every_length(server):
    """Lengths around the powers of two, and around what fits one buffer."""
    conversation = Conversation(server.connect())
    lengths = sorted({base + extra for base in [2**power for power in range(4, 20)] for extra in (-2, -1, 0, 1, 2)})
    source = random.Random(SEED)
    for length in lengths:
        data = source.randbytes(length)
        conversation.ask(b"set lengths 0 0 %d\r\n%s\r\n" % (length, data), STORED)
        conversation.ask(b"get lengths\r\n", b"VALUE lengths 0 %d\r\n%s\r\nEND\r\n" % (length, data))
    conversation.close()


def key_of_every_length(server):
    conversation = Conversation(server.connect())
    for length in range(1, 251):
        key = b"l" * length
        conversation.ask(store(b"set", key, b"%d" % length), STORED)
    for length in range(1, 251):
        key = b"l" * length
        conversation.ask(b"get " + key + b"\r\n", hit(key, b"%d" % length))
    conversation.close()


CASES = [
    value_of_every_length,
    key_of_every_length,
    case(
        "the largest value",
        (store(b"set", b"@", FITS), STORED),
        (b"get @\r\n", hit(b"@", FITS)),
        (b"mg @ s\r\n", b"HD s%d\r\n" % len(FITS)),
    ),
    case("too large", (store(b"set", b"@", TOO_MUCH), TOO_LARGE), (b"get @\r\n", END)),
    case("too large: the bytes are swallowed", (store(b"set", b"@", TOO_MUCH) + b"mn\r\n", TOO_LARGE + MN)),
    case(
        "too large: bytes that look like commands are swallowed",
        (store(b"set", b"@", b"get a\r\nquit\r\n" * 100000) + b"mn\r\n", TOO_LARGE + MN),
    ),
    case(
        "too large: the old value is gone",
        (store(b"set", b"@", b"old"), STORED),
        (store(b"set", b"@", TOO_MUCH), TOO_LARGE),
        (b"get @\r\n", END),
    ),
    case("too large with noreply", (store(b"set", b"@", b"old"), STORED), (store(b"set", b"@", TOO_MUCH, b" noreply") + b"get @\r\n", END)),
    case(
        "add and append that are too large leave the old value",
        (store(b"set", b"@", b"old"), STORED),
        (store(b"add", b"@", TOO_MUCH), TOO_LARGE),
        (store(b"append", b"@", TOO_MUCH), TOO_LARGE),
        (store(b"prepend", b"@", TOO_MUCH), TOO_LARGE),
        (b"get @\r\n", hit(b"@", b"old")),
    ),
    case(
        "cas that is too large",
        (store(b"set", b"@", b"old"), STORED),
        (store(b"cas", b"@", TOO_MUCH, b" 5"), TOO_LARGE),
        (b"get @\r\n", hit(b"@", b"old")),
    ),
    case(
        "append to something too large",
        (store(b"set", b"@", HALF), STORED),
        (store(b"append", b"@", HALF), (NOT_STORED, TOO_LARGE)),
        (b"mg @ s\r\n", b"HD s600000\r\n"),
        (store(b"prepend", b"@", HALF), (NOT_STORED, TOO_LARGE)),
        (b"mg @ s\r\n", b"HD s600000\r\n"),
    ),
    case(
        "append to something that just fits",
        (store(b"set", b"@", b"x"), STORED),
        (store(b"append", b"@", FITS[1:]), STORED),
        (b"get @\r\n", hit(b"@", b"x" + FITS[1:])),
    ),
    case(
        "prepend to something that just fits",
        (store(b"set", b"@", b"x"), STORED),
        (store(b"prepend", b"@", FITS[1:]), STORED),
        (b"get @\r\n", hit(b"@", FITS[1:] + b"x")),
    ),
    case("ms too large", (meta_set(b"@", b"old"), HD), (meta_set(b"@", TOO_MUCH) + b"mn\r\n", TOO_LARGE + MN), (b"mg @\r\n", EN)),
    case("ms too large, quietly", (meta_set(b"@", TOO_MUCH, b"q k O5") + b"mn\r\n", TOO_LARGE + MN)),
    case(
        "ms append to something too large",
        (meta_set(b"@", HALF), HD),
        (meta_set(b"@", HALF, b"MA"), (NS, TOO_LARGE)),
        (b"mg @ s\r\n", b"HD s600000\r\n"),
    ),
    case(
        "small, large, small",
        *(
            step
            for _ in range(3)
            for step in (
                (store(b"set", b"@", b"s"), STORED),
                (b"get @\r\n", hit(b"@", b"s")),
                (store(b"set", b"@", FITS), STORED),
                (b"get @\r\n", hit(b"@", FITS)),
            )
        )
    ),
]
