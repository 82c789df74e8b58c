"""Expiry. Clocks of seconds: what must be gone is asked for 1.2 s after its time, what must be there before half of it."""

import time

from answers import *
from case import Conversation, case

PARALLEL = True

HD, EN = b"HD\r\n", b"EN\r\n"
GONE = 3.2  # after a time of 2


def absolute_time(server):
    """Beyond 30 days an exptime is a date."""
    conversation = Conversation(server.connect())
    conversation.ask(b"set absolute 0 %d 1\r\nx\r\n" % (time.time() + 3), STORED)
    conversation.ask(b"set later 0 %d 1\r\nx\r\n" % (time.time() + 1000), STORED)
    conversation.ask(b"get absolute later\r\n", value(b"absolute", b"x") + value(b"later", b"x") + END)
    conversation.ask(b"mg later t\r\n", (b"HD t<t:1000>\r\n", b"HD t998\r\n"))
    time.sleep(4.2)
    conversation.ask(b"get absolute later\r\n", value(b"later", b"x") + END)
    conversation.close()


def expired_items_make_room(server):
    """They are found missing, one by one, however many there are."""
    conversation = Conversation(server.connect())
    keys = [b"room%d" % number for number in range(500)]
    conversation.send(b"".join(store(b"set", key, b"x" * 100, b" noreply", exptime=2) for key in keys))
    conversation.ask(b"mn\r\n", MN)
    time.sleep(GONE)
    conversation.ask(b"get " + b" ".join(keys) + b"\r\n", END)
    conversation.close()


def expires(command, answer_after, stored=b"x"):
    name = command.split()[0].decode()
    return case(f"{name} after the end", (store(b"set", b"@", stored, exptime=2), STORED), GONE, (command, answer_after))


CASES = [
    absolute_time,
    expired_items_make_room,
    case("an item expires", (store(b"set", b"@", b"x", exptime=2), STORED), (b"get @\r\n", hit(b"@", b"x")), GONE, (b"get @\r\n", END)),
    case("an item with 0 does not", (store(b"set", b"@", b"x"), STORED), GONE, (b"get @\r\n", hit(b"@", b"x"))),
    case("an item with 30 days does not", (store(b"set", b"@", b"x", exptime=2592000), STORED), GONE, (b"get @\r\n", hit(b"@", b"x"))),
    case("a date that has passed", (store(b"set", b"@", b"x", exptime=2592001), STORED), (b"get @\r\n", END)),
    case(
        "a negative time",
        (store(b"set", b"@", b"x", exptime=-1), STORED),
        (b"get @\r\n", END),
        (store(b"set", b"@", b"x", exptime=-2147483648), STORED),
        (b"get @\r\n", END),
    ),
    case(
        "a negative time replaces",
        (store(b"set", b"@", b"x"), STORED),
        (store(b"set", b"@", b"x", exptime=-1), STORED),
        (b"get @\r\n", END),
        (store(b"add", b"@", b"y"), STORED),
        (b"get @\r\n", hit(b"@", b"y")),
    ),
    case(
        "touch prolongs",
        (store(b"set", b"@", b"x", exptime=2), STORED),
        (b"touch @ 100\r\n", TOUCHED),
        GONE,
        (b"get @\r\n", hit(b"@", b"x")),
    ),
    case(
        "touch shortens",
        (store(b"set", b"@", b"x", exptime=100), STORED),
        (b"touch @ 2\r\n", TOUCHED),
        (b"get @\r\n", hit(b"@", b"x")),
        GONE,
        (b"get @\r\n", END),
    ),
    case(
        "touch with 0 is for ever",
        (store(b"set", b"@", b"x", exptime=2), STORED),
        (b"touch @ 0\r\n", TOUCHED),
        GONE,
        (b"get @\r\n", hit(b"@", b"x")),
    ),
    case(
        "gat prolongs",
        (store(b"set", b"@", b"x", exptime=2), STORED),
        (b"gat 100 @\r\n", hit(b"@", b"x")),
        GONE,
        (b"get @\r\n", hit(b"@", b"x")),
    ),
    case("gats shortens", (store(b"set", b"@", b"x"), STORED), (b"gats 2 @\r\n", hit(b"@", b"x", cas=b"<n>")), GONE, (b"get @\r\n", END)),
    case("mg T prolongs", (meta_set(b"@", b"x", b"T2"), HD), (b"mg @ T100\r\n", HD), GONE, (b"mg @ v\r\n", b"VA 1\r\nx\r\n")),
    case("incr keeps the time", (store(b"set", b"@", b"9", exptime=2), STORED), (b"incr @ 1\r\n", b"10\r\n"), GONE, (b"get @\r\n", END)),
    case(
        "append keeps the time",
        (store(b"set", b"@", b"9", exptime=2), STORED),
        (store(b"append", b"@", b"9"), STORED),
        GONE,
        (b"get @\r\n", END),
    ),
    case(
        "a set sets a new time",
        (store(b"set", b"@", b"x", exptime=2), STORED),
        (store(b"set", b"@", b"y"), STORED),
        GONE,
        (b"get @\r\n", hit(b"@", b"y")),
    ),
    case("vivified items expire", (b"mg @ N2\r\n", b"HD W\r\n"), GONE, (b"mg @\r\n", EN), (b"mg @ N2\r\n", b"HD W\r\n")),
    case("vivified numbers expire", (b"ma @ N2 J5 v\r\n", b"VA 1\r\n5\r\n"), GONE, (b"ma @\r\n", b"NF\r\n")),
    case(
        "stale items expire",
        (meta_set(b"@", b"x", b"T100"), HD),
        (b"md @ I T2\r\n", HD),
        (b"mg @\r\n", b"HD X W\r\n"),
        GONE,
        (b"mg @\r\n", EN),
    ),
    case("t runs down", (meta_set(b"@", b"x", b"T100"), HD), 2.0, (b"mg @ t\r\n", b"HD t<t:98>\r\n")),
    case("l runs up", (meta_set(b"@", b"x"), HD), 2.0, (b"mg @ l u\r\n", b"HD l<t:2>\r\n"), (b"mg @ l\r\n", b"HD l<t:2>\r\n")),
    case(
        "l and la begin anew with each use",
        (meta_set(b"@", b"x"), HD),
        2.0,
        (b"mg @ l\r\nmg @ l\r\n", b"HD l<t:2>\r\nHD l<t:0>\r\n"),
        2.0,
        (b"get @\r\nmg @ l u\r\n", hit(b"@", b"x") + b"HD l<t:0>\r\n"),
        (b"me @\r\n", b"ME @ exp=-1 la=<t:0> cas=<n> fetch=yes cls=<n> size=<n>\r\n"),
    ),
    case("l begins anew with a set", (meta_set(b"@", b"x"), HD), 2.0, (meta_set(b"@", b"x"), HD), (b"mg @ l\r\n", b"HD l<t:0>\r\n")),
    case(
        "recache when the end comes near",
        (meta_set(b"@", b"x", b"T6"), HD),
        (b"mg @ R3\r\n", HD),
        4.2,
        (b"mg @ R3\r\n", b"HD W\r\n"),
        (b"mg @ R3\r\n", b"HD Z\r\n"),
    ),
    expires(b"gets @\r\n", END),
    expires(b"gat 100 @\r\n", END),
    expires(store(b"add", b"@", b"y"), STORED),
    expires(store(b"replace", b"@", b"y"), NOT_STORED),
    expires(store(b"append", b"@", b"y"), NOT_STORED),
    expires(store(b"prepend", b"@", b"y"), NOT_STORED),
    expires(store(b"cas", b"@", b"y", b" 5"), NOT_FOUND),
    expires(b"incr @ 1\r\n", NOT_FOUND, b"5"),
    expires(b"decr @ 1\r\n", NOT_FOUND, b"5"),
    expires(b"touch @ 5\r\n", NOT_FOUND),
    expires(b"delete @\r\n", NOT_FOUND),
    expires(b"md @\r\n", b"NF\r\n"),
    expires(b"me @\r\n", EN),
    expires(meta_set(b"@", b"y", b"ME"), HD),
]
