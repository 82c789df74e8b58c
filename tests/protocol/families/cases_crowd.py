"""Clients that behave badly, and many of them: none may cost the others their answers or the server its memory."""

import contextlib
import functools
import re
import socket
import struct
import threading
import time

from answers import *
from case import Conversation, Failure
from cases_stats import ask_stats
from server_process import Server
from waits import HANG_S, Soon, wait_until

SERVER_ARGS = ["-c", "600"]
GROWTH_BYTES = 48 << 20
LIMIT_BYTES = 64 << 20  # memcached's default for -m
OUT_OF_MEMORY = b"SERVER_ERROR out of memory storing object\r\n"
SANITIZED_TIMES = 8  # as long
TOO_MANY = b"ERROR Too many open connections\r\n"


def require_service(server, soon_s=2):
    with Soon(soon_s * (SANITIZED_TIMES if server.is_sanitized() else 1), "a bystander's set and get"):
        conversation = Conversation(server.connect())
        conversation.ask(b"set service 0 0 1\r\nx\r\nget service\r\n", STORED + hit(b"service", b"x"))
        conversation.close()


def wait_for_room(server, most=50):
    """Thousands that came and went may not have been seen off yet: each is counted until its end was heard."""

    def is_there():
        with server.connect() as connection:
            connection.settimeout(HANG_S)
            answer = b""
            try:
                connection.sendall(b"stats\r\n")
                while not answer.endswith(b"END\r\n") and not answer.startswith(b"ERROR"):
                    part = connection.recv(65536)
                    if not part:
                        break
                    answer += part
            except OSError:
                pass  # turned away
            found = re.search(rb"curr_connections (\d+)", answer)
            return found and int(found[1]) < most

    wait_until(is_there, "connections that were closed are still counted")


def after_the_last_crowd(case):
    """The server takes 1024, and hundreds come in each case."""

    @functools.wraps(case)
    def with_room(server):
        wait_for_room(server)
        case(server)

    return with_room


def reset(connection):
    """Closes with RST, whatever is still under way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextlib.contextmanager
def that_never_read(server, count):
    """So many connections. At the end they are reset, and everybody else is served."""
    connections = [server.connect(receive_buffer_bytes=4096) for _ in range(count)]
    try:
        yield connections
    finally:
        for connection in connections:
            reset(connection)
    require_service(server)


def send_what_goes(connection, data, may_be_closed=False):
    connection.setblocking(False)
    try:
        connection.send(data)
    except BlockingIOError:
        pass
    except ConnectionError:
        if not may_be_closed:
            raise


def send_until_blocked(connection, data, limit_bytes):
    """As much as the server takes; returns how much that was."""
    connection.setblocking(False)
    sent = 0
    quiet_since = time.monotonic()
    while sent < limit_bytes and time.monotonic() - quiet_since < 0.3:
        try:
            sent += connection.send(data)
            quiet_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            break
    return sent


def require_little_memory_for_unread(server, data, limit_bytes):
    before = server.rss_bytes()
    with that_never_read(server, 10) as connections:
        for connection in connections:
            send_until_blocked(connection, data, limit_bytes)
        require_service(server)
        grown = server.rss_bytes() - before
        if grown > GROWTH_BYTES:
            raise Failure(f"  10 clients that do not read: the server grew by {grown} bytes")


def clients_that_never_read(server):
    """Ten of them ask for a value of 100000 bytes as often as the server listens."""
    conversation = Conversation(server.connect())
    conversation.ask(b"set unread 0 0 100000\r\n" + b"u" * 100000 + b"\r\n", STORED)
    conversation.close()
    require_service(server)
    require_little_memory_for_unread(server, b"get unread\r\n" * 1000, 2 << 20)


def many_clients_that_never_read(server):
    """Sixty that each ask for far more than they take: what the server keeps for their answers is used up, and others must be served all the same, each
    time, whichever worker has their connection or their key."""
    value = b"m" * 100000
    conversation = Conversation(server.connect())
    conversation.ask(b"".join(store(b"set", b"unread%d" % i, value) for i in range(4)), STORED * 4)
    conversation.close()
    with that_never_read(server, 60) as connections:
        for connection in connections:
            send_what_goes(connection, b"get unread0\r\nget unread1\r\nget unread2\r\nget unread3\r\n" * 500)
        for _ in range(12):
            conversation = Conversation(server.connect())
            for key in range(8):
                name = b"bystander%d" % key
                conversation.ask(b"set %s 0 0 1\r\nx\r\nget %s none\r\n" % (name, name), STORED + hit(name, b"x"))
            conversation.close()


def clients_that_never_read_small_answers(server):
    """Answers that are errors, misses and numbers, not values."""
    require_little_memory_for_unread(server, b"get a b c d\r\nbogus\r\nmn\r\nversion\r\nmg none k O123\r\n" * 200, 3 << 20)


def with_readers_that_do_not_read(server, look):
    """Four hundred that ask for much and never read use up what connections may hold, while `look` looks."""
    conversation = Conversation(server.connect())
    conversation.ask(store(b"set", b"wide", b"w" * 8000), STORED)
    conversation.close()
    with that_never_read(server, 400) as connections:
        for connection in connections:
            send_what_goes(connection, b"get wide\r\n" * 3000, may_be_closed=True)
        look()


def readers_evict_nothing(server):
    """The items stay, everybody else is served, and what was held goes."""
    held = Conversation(server.connect())
    for first in range(0, 2000, 100):
        held.ask(b"".join(store(b"set", b"kept%d" % i, b"k" * 1000) for i in range(first, first + 100)), STORED * 100)
    before = ask_stats(held)

    def look():
        for _ in range(20):
            require_service(server)
        stats = ask_stats(held)
        if stats["evictions"] != before["evictions"] or int(stats["curr_items"]) < int(before["curr_items"]):
            raise Failure(f"  items {before['curr_items']} -> {stats['curr_items']}, evictions {stats['evictions']}")

    with_readers_that_do_not_read(server, look)
    held.close()


def a_burst_of_large_stores(server):
    """Five hundred send a value at once, and each waits for its room, at another worker or behind what must go for it: the bytes wait in the kernel, and
    nobody is closed."""
    filling = Conversation(server.connect())
    for number in range(80):
        filling.ask(store(b"set", b"filling%d" % number, b"f" * 900000), STORED)
    filling.close()
    for length in (30000, 50000):
        wait_for_room(server)
        connections = [server.connect() for _ in range(500)]
        value = b"v" * length
        senders = [threading.Thread(target=send_stores, args=(connections[i::8], b"burst%d-" % i, value)) for i in range(8)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        for connection in connections:
            Conversation(connection).expect(STORED, b"set burst")
            connection.close()
    require_service(server)


def send_stores(connections, prefix, value):
    for number, connection in enumerate(connections):
        connection.sendall(store(b"set", prefix + b"%d" % number, value))


def room_in_pieces_of_another_kind(server):
    """What connections may hold is used up by readers that do not read, and there is room enough in pieces that no answer fits: whoever takes nothing is
    closed at once all the same, not one after another at long intervals."""
    unfinished = [server.connect() for _ in range(320)]
    for connection in unfinished:
        connection.sendall(b"set piece 0 0 8000\r\n" + b"p" * 6000)
    require_service(server)
    kept = unfinished[::6]
    for number, connection in enumerate(unfinished):
        if number % 6 != 0:
            connection.close()
    wait_for_room(server, most=100)
    with_readers_that_do_not_read(server, lambda: [require_service(server) for _ in range(20)])
    for connection in kept:
        connection.close()
    require_service(server)


def reads_at_last(server):
    """A client that did not read for a while gets everything."""
    conversation = Conversation(server.connect())
    conversation.ask(b"set late 0 0 100000\r\n" + b"l" * 100000 + b"\r\n", STORED)
    conversation.close()
    connection = server.connect(receive_buffer_bytes=4096)
    connection.sendall(b"get late\r\n" * 100 + b"mn\r\n")
    conversation = Conversation(connection)
    time.sleep(0.2)
    require_service(server)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    conversation.expect(hit(b"late", b"l" * 100000) * 100 + MN, b"100 gets of 100000 bytes")
    conversation.close()


def slow_writers(server):
    """300 connections that stay within a line or a value, and finish at last."""
    half_line = [Conversation(server.connect()) for _ in range(150)]
    half_value = [Conversation(server.connect()) for _ in range(150)]
    for number, conversation in enumerate(half_line):
        conversation.send(b"get slow%d" % number)
    for number, conversation in enumerate(half_value):
        conversation.send(b"set slow%d 0 0 10\r\n12345" % number)
    require_service(server)
    for number, conversation in enumerate(half_value):
        conversation.ask(b"67890\r\n", STORED)
        conversation.close()
    for number, conversation in enumerate(half_line):
        conversation.ask(b"\r\n", hit(b"slow%d" % number, b"1234567890"))
        conversation.close()
    require_service(server)


def values_that_do_not_come(server):
    """200 clients announce a value of a megabyte and send nothing: 200 MB, of which the server may have reserved what its limit permits."""
    before = server.rss_bytes()
    connections = [server.connect() for _ in range(200)]
    try:
        for number, connection in enumerate(connections):
            connection.sendall(b"set announced%d 0 0 1000000\r\n" % number)
        require_service(server)
        grown = server.rss_bytes() - before
        if grown > LIMIT_BYTES + GROWTH_BYTES:
            raise Failure(f"  200 values announced: the server grew by {grown} bytes")
    finally:
        for connection in connections:
            connection.close()
    require_service(server)


def wait_until_settled(conversation, count):
    """Of so many reservations each is held or was refused: none is under way. Nobody else may have asked for one."""

    def is_settled():
        stats = ask_stats(conversation)
        return int(stats["snug_leases"]) + int(stats["store_no_memory"]) == count

    wait_until(is_settled, f"{count} reservations are held or were refused", pause_s=0.01)


def a_refused_value_leaves_no_old_one(server):
    """Others hold all that may be held: a large store finds no room, and who stored it must not find what was there before.

    The server is this case's own. In one that others have used, closed connections may still make room for what they had announced. What is
    promised to them refuses ours, is no lease that could be seen, and is free again a moment later."""
    with Server(server.path, server.args, server.unix) as fresh:
        conversation = Conversation(fresh.connect())
        for number in range(80):  # so that what is reserved evicts, in slices
            conversation.ask(store(b"set", b"filling%d" % number, b"f" * 900000), STORED)
        connections = [fresh.connect() for _ in range(200)]
        for number, connection in enumerate(connections):
            connection.sendall(b"set announced%d 0 0 1000000\r\n" % number)
        wait_until_settled(conversation, 200)
        for number in range(8):
            require_refused_and_removed(conversation, b"refused%d" % number)
        conversation.close()
        for connection in connections:
            connection.close()
        require_service(fresh)


def require_refused_and_removed(conversation, key):
    value = b"r" * 900000
    conversation.ask(store(b"set", key, b"old"), STORED)
    conversation.ask(store(b"set", key, value), OUT_OF_MEMORY)
    conversation.ask(b"get %s\r\n" % key, END)
    conversation.ask(store(b"add", key, b"old"), STORED)
    conversation.ask(store(b"append", key, value), OUT_OF_MEMORY)
    # What would have replaced nothing is answered as if there had been room, and removes nothing.
    conversation.ask(store(b"add", key, value), NOT_STORED)
    for flags, answer in ((b"ME", b"NS\r\n"), (b"C77", b"EX\r\n"), (b"MA", OUT_OF_MEMORY)):
        conversation.ask(b"ms %s 900000 %s\r\n%s\r\n" % (key, flags, value), answer)
    conversation.ask(b"get %s\r\n" % key, hit(key, b"old"))
    conversation.ask(b"ms %s 900000\r\n%s\r\n" % (key, value), OUT_OF_MEMORY)
    conversation.ask(b"get %s\r\n" % key, END)


def aborted_pipelines(server):
    """Connections are reset with answers under way."""
    data = b"p" * 20000
    conversation = Conversation(server.connect())
    conversation.ask(store(b"set", b"aborted", data), STORED)
    for turn in range(200):
        connection = server.connect()
        connection.sendall(
            b"get aborted none\r\nmg aborted v\r\nset aborted%d 0 0 1\r\nx\r\n" % turn * 20
            + b"set aborted 0 0 20000\r\n"
            + data[: turn * 100]
        )
        reset(connection)
    conversation.ask(b"mn\r\n", MN)
    conversation.close()
    require_service(server)


def connect_and_close(server):
    for _ in range(300):
        server.connect().close()
    require_service(server)


def idle_connections(server):
    before = server.rss_bytes()
    idle = [server.connect() for _ in range(500)]
    try:
        require_service(server)
        grown = server.rss_bytes() - before
        if grown > 500 * 40000:
            raise Failure(f"  500 idle connections: the server grew by {grown} bytes")
        for connection in idle[::50]:
            Conversation(connection).ask(b"mn\r\n", MN)
    finally:
        for connection in idle:
            connection.close()
    require_service(server)


def more_connections_than_permitted(server):
    """-c 60: not more are served (memcached keeps some for itself), the others are told, and a place that becomes free is given again."""
    with Server(server.path, [*server.args, "-c", "60"], server.unix) as small:
        connections, served = [], 0
        for _ in range(120):
            conversation = Conversation(small.connect())
            connections.append(conversation)
            conversation.send(b"mn\r\n")
            conversation.expect((MN, TOO_MANY, b"<eof>"), b"mn on one connection of many")
            served += answered(conversation)
        if not 20 <= served <= 60:
            raise Failure(f"  -c 60: {served} of 120 connections are served")
        for conversation in connections:
            conversation.close()
        until = time.monotonic() + HANG_S
        while True:
            conversation = Conversation(small.connect())
            conversation.send(b"mn\r\n")
            conversation.expect((MN, TOO_MANY, b"<eof>"), b"mn after all have gone")
            if answered(conversation):
                conversation.close()
                return
            conversation.close()
            if time.monotonic() > until:
                raise Failure("  -c 60: all 120 connections were closed, and no new one is served")
            time.sleep(0.02)


def answered(conversation):
    """A connection that was refused is closed: the next command shows which it is."""
    conversation.send(b"mn\r\n")
    conversation.expect((MN, b"<eof>"), b"mn again")
    return not conversation.at_end


CASES = [
    more_connections_than_permitted,
    clients_that_never_read,
    many_clients_that_never_read,
    clients_that_never_read_small_answers,
    readers_evict_nothing,
    room_in_pieces_of_another_kind,
    a_burst_of_large_stores,
    reads_at_last,
    slow_writers,
    values_that_do_not_come,
    a_refused_value_leaves_no_old_one,
    aborted_pipelines,
    connect_and_close,
    idle_connections,
]
CASES = [after_the_last_crowd(case) for case in CASES]
