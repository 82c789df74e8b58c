"""Strangers that ask and do not take their answers. What they make the server hold is bounded, taken from no item, kept from no other client, and gone
after them.
"""

import contextlib
import socket
import time

from house import HANG_S, MIB, Guest, House, mib, reset, send_some, small, wait_until

KEYS = 50
VALUE_BYTES = 20_000
GETS_IN_ONE_GO = 2  # a socket takes 64 KiB of answers by default
# What may stay after a crowd: the ends of malloc's arenas, of which each thread has one, and pages that were not there before because nobody had come.
KEPT_BYTES = 8 * MIB
ASKED = b"".join(b"get k%d\r\n" % (number % KEYS) for number in range(4000))


def give_up(strangers):
    for stranger in strangers:
        reset(stranger)


def require_served(guest, number, keys=KEYS):
    """Forty gets, a set and a miss, each with its right answer. As many in one go as the kernel takes whether this process runs or not: who is kept from
    reading for a tenth of a second while the server waits for him is a slow reader, too."""
    for first in range(number, number + 40, GETS_IN_ONE_GO):
        asked = [key % keys for key in range(first, first + GETS_IN_ONE_GO)]
        guest.send(b"".join(b"get k%d\r\n" % key for key in asked))
        for key in asked:
            line = guest.line()
            assert line.startswith(b"VALUE k%d 0 " % key), line
            guest.file.read(int(line.split()[3]) + 2)
            assert guest.line() == b"END\r\n"
    guest.send(b"set z%d 0 0 1\r\nz\r\nget none\r\n" % number)
    assert guest.line() == b"STORED\r\n"
    assert guest.line() == b"END\r\n"


def require_items_kept(house, before):
    now = house.stats()
    assert now["evictions"] == before["evictions"], f"{now['evictions']} were evicted"
    assert int(now["curr_items"]) >= int(before["curr_items"]), f"{before['curr_items']} items, then {now['curr_items']}"
    return now


def press(house, strangers, rounds=8):
    """They go on asking for as long as the server listens. How many it has closed."""
    closed = set()
    for _ in range(rounds):
        for stranger in strangers:
            if stranger not in closed and not send_some(stranger, ASKED):
                closed.add(stranger)
    return len(closed)


def crowd_of_readers(house, count, polite_count):
    """`count` readers that do not read, `polite_count` clients that were there before and as many that come meanwhile. Prints its figures."""
    guest = house.guest()
    guest.fill(b"k", KEYS, VALUE_BYTES)
    polite = [house.guest() for _ in range(polite_count)]
    before = house.stats()
    rss_before = house.rss_bytes()
    house.forget_peak()
    strangers = [small(house) for _ in range(count)]
    try:
        closed = press(house, strangers)
        for number in range(polite_count):
            require_served(polite[number], number)
            with contextlib.closing(house.guest()) as newcomer:
                require_served(newcomer, number)
            if number % 50 == 0:
                press(house, strangers, 1)
        now = require_items_kept(house, before)
        peak, budget = house.peak_rss_bytes(), house.budget_bytes()
        assert peak <= budget, f"{mib(peak)} are resident, of {mib(budget)}"
    finally:
        give_up(strangers)
    for guest in polite:
        guest.close()
    wait_until(lambda: house.number("curr_connections") <= 3, "the dead are forgotten")
    wait_until(lambda: house.rss_bytes() <= rss_before + KEPT_BYTES, "what was held for them has gone back")
    print(f"{count} readers that do not read, {closed} of them closed: 2 x {polite_count} others all served;")
    print(f"items {before['curr_items']} before, {now['curr_items']} after, evictions {now['evictions']};")
    print(f"resident {mib(rss_before)} before, {mib(peak)} at most, of {mib(budget)}, {mib(house.rss_bytes())} after")


def slow_readers_cost_nobody_else(form):
    with House(form, "-m", "64", "-c", "1000") as house:
        crowd_of_readers(house, 200, 60)


def five_hundred_readers(form):
    with House(form, "-m", "64", "-c", "2000") as house:
        crowd_of_readers(house, 500, 300)


def answers_nobody_reads(form):
    """A full cache, and hundreds of clients each of which asks for something large in another way."""
    with House(form, "-m", "64", "-c", "2000") as house:
        guest = house.guest()
        guest.fill(b"k", 45_000, 1000)
        before = house.stats()
        rss_before = house.rss_bytes()
        house.forget_peak()
        asked = [b"snug map\r\n", b"stats conns\r\n", b"snug metrics\r\nstats\r\n" * 20, b"get " + b" ".join(b"k%d" % key for key in range(400)) + b"\r\n"]
        strangers = [small(house) for _ in range(800)]
        try:
            for number, stranger in enumerate(strangers):
                send_some(stranger, asked[number % len(asked)] * 4)
            for number in range(20):
                require_served(guest, number, 45_000)
            require_items_kept(house, before)
            peak, budget = house.peak_rss_bytes(), house.budget_bytes()
            assert peak <= budget, f"{mib(peak)} are resident, of {mib(budget)}"
        finally:
            give_up(strangers)
        wait_until(lambda: house.rss_bytes() <= rss_before + KEPT_BYTES, "what was held for them has gone back")
        guest.fill(b"k", 45_000, 1000)
        require_items_kept(house, before)
        print(f"resident {mib(rss_before)} before, {mib(peak)} at most, of {mib(budget)}, {mib(house.rss_bytes())} after")


def taken_list(guest, keys):
    """The values that one get brings, by key, and the line that ends its answer."""
    guest.send(b"get " + b" ".join(keys) + b"\r\n")
    found = {}
    while (line := guest.line()).startswith(b"VALUE "):
        _, key, _, size = line.split()
        found[key] = guest.file.read(int(size) + 2)[:-2]
    return found, line


def hold_values(house, strangers):
    """What a kernel takes for a client is held no more, so they ask again and again."""
    for number, stranger in enumerate(strangers):
        send_some(stranger, b"get big%d\r\n" % (number % LARGE) * 60)
    time.sleep(0.02)


LARGE = 16  # values, of which half of the memory holds ten


def an_answer_that_fails_is_one_answer(form):
    """Slow readers hold all that may be held, so that large values cannot be sent: whoever asks for some of them gets one line for it, and his next
    answers are those of his next questions."""
    with House(form, "-m", "8") as house:
        guest = house.guest()
        large = {b"big%d" % number: b"%d" % (number % 10) * 400_000 for number in range(LARGE)}
        for key, value in large.items():
            guest.send(b"set %s 0 0 %d noreply\r\n%s\r\n" % (key, len(value), value))
        guest.barrier()
        strangers = [small(house) for _ in range(40)]
        number = failed = 0
        try:
            while failed < 20:
                number += 1
                assert number < 1000, "too few fail: this proves nothing"
                if number % 10 == 0:
                    hold_values(house, strangers)
                key = b"small%d" % number
                assert guest.line(b"set %s 0 0 1\r\nx\r\n" % key) == b"STORED\r\n"
                found, last = taken_list(guest, [b"big%d" % (number % LARGE), b"big%d" % ((number + 1) % LARGE), key, b"none"])
                assert last in (b"END\r\n", b"SERVER_ERROR out of memory writing get response\r\n"), last
                failed += last != b"END\r\n"
                for name, value in found.items():
                    assert value == large.get(name, b"x"), name
                assert taken_list(guest, [key]) == ({key: b"x"}, b"END\r\n")
        finally:
            give_up(strangers)
        print(f"{failed} of {number} gets of several keys could not be answered, in one line each")


def ask_over_http(port, path):
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_S) as stream:
        guest = Guest(stream)
        guest.send(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % path)
        with contextlib.closing(guest):
            return guest.file.read()


def http_answers_nobody_reads(form):
    """Many maps of memory, asked for over HTTP from several addresses and left there."""
    http_budget = 16 * MIB
    with House(form, "-m", "128", "--http", "127.0.0.1:0", "-v") as house:
        guest = house.guest()
        guest.fill(b"k", 90_000, 1000)
        port = house.http_port()
        large = len(ask_over_http(port, b"/api/map"))
        assert large > 400_000, large
        rss_before = house.rss_bytes()
        house.forget_peak()
        strangers = []
        try:
            for number in range(128):
                stranger = socket.socket()
                strangers.append(stranger)
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                stranger.bind((f"127.0.0.{2 + number % 4}", 0))
                stranger.connect(("127.0.0.1", port))
                send_some(stranger, b"GET /api/map HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 8)
            for number in range(40):
                # On a busy machine a worker may be late, which is told with 503.
                health = ask_over_http(port, b"/healthz")
                assert health.startswith(b"HTTP/1.1 200 ") or b"\r\n\r\nworker " in health, f"no place for a probe: {health}"
                require_served(guest, number, 90_000)
            peak = house.peak_rss_bytes()
            allowed = rss_before + http_budget + 8 * MIB
            assert peak <= allowed or peak == 0, f"{mib(peak)} are resident, of {mib(allowed)}"
        finally:
            give_up(strangers)
        wait_until(lambda: house.rss_bytes() <= rss_before + KEPT_BYTES, "what was held for them has gone back")
        print(f"an answer of {mib(large)}: resident {mib(rss_before)} before, {mib(peak)} at most, {mib(house.rss_bytes())} after")


CASES = [slow_readers_cost_nobody_else, answers_nobody_reads, an_answer_that_fails_is_one_answer, http_answers_nobody_reads]
CROWD = [five_hundred_readers]
