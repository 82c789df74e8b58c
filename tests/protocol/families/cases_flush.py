"""flush_all: at once, with a delay, with noreply. Each case has a server of its own."""

import time

from answers import *
from case import Conversation, case

PARALLEL = True
OWN_SERVER = True

FILLED = (b"".join(store(b"set", b"key%d" % number, b"x") for number in range(100)), STORED * 100)
ALL = b"get " + b" ".join(b"key%d" % number for number in range(100)) + b"\r\n"
FULL = b"".join(value(b"key%d" % number, b"x") for number in range(100)) + END
FRESH = (store(b"set", b"fresh", b"y"), STORED)
FRESH_IS_THERE = (b"get fresh\r\n", hit(b"fresh", b"y"))
GONE = (ALL, END)


def with_a_date(server):
    conversation = Conversation(server.connect())
    conversation.ask(*FILLED)
    conversation.ask(b"flush_all %d\r\n" % (time.time() + 3), OK)
    conversation.ask(ALL, FULL)
    time.sleep(4.2)
    conversation.ask(*GONE)
    conversation.ask(*FRESH)
    conversation.ask(*FRESH_IS_THERE)
    conversation.close()


def with_a_date_since_the_start(server):
    conversation = Conversation(server.connect())
    conversation.ask(*FILLED)
    conversation.ask(b"flush_all %d\r\n" % (time.time() - 1), OK)
    conversation.ask(*GONE)
    conversation.close()


def is_seen_by_other_connections(server):
    first, second = Conversation(server.connect()), Conversation(server.connect())
    first.ask(*FILLED)
    second.ask(ALL, FULL)
    first.ask(b"flush_all\r\n", OK)
    second.ask(*GONE)
    first.close()
    second.close()


CASES = [
    with_a_date,
    with_a_date_since_the_start,
    is_seen_by_other_connections,
    case("at once", FILLED, (b"flush_all\r\n", OK), GONE),
    case(
        "what is stored in the same second stays",
        FILLED,
        (b"flush_all\r\n" + FRESH[0] + FRESH_IS_THERE[0], OK + FRESH[1] + FRESH_IS_THERE[1]),
        1.2,
        FRESH_IS_THERE,
    ),
    case("several times in a second", *((b"flush_all\r\n" + FRESH[0] + FRESH_IS_THERE[0], OK + FRESH[1] + FRESH_IS_THERE[1]),) * 10),
    case("0", FILLED, (b"flush_all 0\r\n", OK), GONE),
    case("negative", FILLED, (b"flush_all -1\r\n", OK), GONE),
    case("a date before the server's start", FILLED, (b"flush_all 2592001\r\n", OK), (ALL, FULL), (b"flush_all 1500000000\r\n", OK), (ALL, FULL)),
    case("a date before the start replaces a delay", FILLED, (b"flush_all 2\r\n", OK), (b"flush_all 2592001\r\n", OK), 3.2, (ALL, FULL)),
    case("noreply", FILLED, (b"flush_all noreply\r\n" + ALL, END)),
    case("0 noreply", FILLED, (b"flush_all 0 noreply\r\n" + ALL, END)),
    case("with a delay", FILLED, (b"flush_all 2\r\n", OK), (ALL, FULL), FRESH, 3.2, GONE, (b"get fresh\r\n", END), FRESH, FRESH_IS_THERE),
    case("with a delay and noreply", FILLED, (b"flush_all 2 noreply\r\n" + ALL, FULL), 3.2, GONE),
    case("a later one replaces a delayed one", FILLED, (b"flush_all 2\r\n", OK), (b"flush_all\r\n", OK), GONE, FRESH, 3.2, FRESH_IS_THERE),
    case("a longer delay replaces a shorter one", FILLED, (b"flush_all 2\r\n", OK), (b"flush_all 100\r\n", OK), 3.2, (ALL, FULL)),
    case(
        "then add, replace, incr, append, cas",
        (store(b"set", b"n", b"1"), STORED),
        (b"flush_all\r\n", OK),
        (b"incr n 1\r\n", NOT_FOUND),
        (store(b"append", b"n", b"x"), NOT_STORED),
        (store(b"replace", b"n", b"x"), NOT_STORED),
        (store(b"cas", b"n", b"x", b" 1"), NOT_FOUND),
        (b"touch n 0\r\n", NOT_FOUND),
        (b"delete n\r\n", NOT_FOUND),
        (b"mg n\r\n", b"EN\r\n"),
        (store(b"add", b"n", b"2"), STORED),
    ),
    case(
        "bad delays",
        (b"flush_all x\r\n", BAD_EXPTIME),
        (b"flush_all 1x\r\n", BAD_EXPTIME),
        (b"flush_all 99999999999999999999\r\n", BAD_EXPTIME),
    ),
    case("a bad delay flushes nothing", FILLED, (b"flush_all x\r\n", BAD_EXPTIME), (ALL, FULL)),
]
