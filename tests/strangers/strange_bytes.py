"""What one stranger sends: lines that are too long, and stores and answers that are broken off."""

import itertools

from house import LARGE_BYTES, House, reset, send_some, small, wait_until

LINE_BYTES_MAX = 2048
CLOSED = b"closed"

# What a line begins with, around its key, and ends with after its filling.
META_LINES = [
    (b"mg %s v", b" k\r\n"),
    (b"mg %s q", b" v k\r\n"),
    (b"mg %s b", b" v k\r\n"),
    (b"md %s q", b" k\r\n"),
    (b"ma %s", b" k\r\n"),
    (b"ms %s 1", b" k\r\nx\r\n"),
    (b"ms %s 1 b", b" k\r\nx\r\n"),
]
FILLINGS = [lambda size: b" " * size, lambda size: b" O" + b"o" * (size - 2), lambda size: b" s" * (size // 2)]
SIZES = [1900, 2100, 3400, 4090, 10_000, 65_000]

trials = itertools.count()


def said(house, begin, rest, cut, is_behind_value=False):
    """What comes back for one line, about a key of its own, which is KEY in the answer; cut: sent in two pieces."""
    key = b"AAAA%04d" % next(trials)  # is base64, too
    line = begin % key + rest
    guest = house.guest(small(house)) if is_behind_value else house.guest()
    try:
        if is_behind_value:
            guest.send(b"get large\r\n")
        if cut:
            guest.send(line[: len(line) // 2])
            guest.pause()
            line = line[len(line) // 2 :]
        guest.send(line + b"mn\r\n")
        if is_behind_value:
            assert len(guest.lines(b"")[1]) == LARGE_BYTES + 2
        lines = []
        while not lines or lines[-1] != b"MN\r\n":
            lines.append(guest.line())
        return b"".join(lines).replace(key, b"KEY")
    except (ConnectionError, BrokenPipeError):
        return CLOSED
    finally:
        guest.close()


def check_line(house, begin, end, fill, size, is_behind_value):
    """Where it was cut, and what it waits for, changes nothing."""
    expected = said(house, begin, end, cut=False)
    for cut in (False, True):
        answer = said(house, begin, fill(size) + end, cut, is_behind_value)
        told = f"{begin!r} and {size} bytes of {fill(4)!r}: {answer[:100]!r}"
        if size > LINE_BYTES_MAX:
            assert answer == CLOSED, told
        elif fill is FILLINGS[0]:
            assert answer == expected, f"{told}, not {expected!r}"
        else:
            assert answer.startswith(b"CLIENT_ERROR "), told


def long_meta_lines(form):
    """From a little less than a line may have to many times that; of keys of all workers; also while a value is under way to a client that is slow."""
    with House(form, "-m", "64") as house:
        guest = house.guest()
        guest.send(b"set large 0 0 %d noreply\r\n%s\r\n" % (LARGE_BYTES, b"l" * LARGE_BYTES))
        guest.barrier()
        for (begin, end), fill, size in itertools.product(META_LINES, FILLINGS, SIZES):
            check_line(house, begin, end, fill, size, is_behind_value=False)
        for (begin, end), size in itertools.product(META_LINES, (1900, 3400, 65_000)):
            check_line(house, begin, end, FILLINGS[0], size, is_behind_value=True)
        guest.barrier()
        house.require_sound()


def broken_off(number, state):
    """What a client has sent of a large store when it resets."""
    announced = b"set k%d 0 0 100000\r\n" % number
    return [
        announced + b"v" * 17_000,
        announced,
        b"ms k%d 100000\r\n" % number + b"v" * 99_000,
        announced + b"v" * 100_000 + b"\r\nget k%d\r\n" % number * 3 + announced + b"v" * 17_000,
    ][state]


def resets_amid_large_stores(form):
    """Others have announced all that may be held, so that the room for a value is refused, or comes when nobody is there any more."""
    with House(form, "-m", "8") as house:
        for round_ in range(4):
            holders = [house.connect() for _ in range(60 if round_ % 2 else 0)]
            for number, holder in enumerate(holders):
                holder.sendall(b"set held%d 0 0 100000\r\n" % number)
            for number in range(1000):
                stranger = house.connect()
                send_some(stranger, broken_off(number, number % 4 if round_ > 1 else 0))
                reset(stranger)
            for holder in holders:
                reset(holder)
        require_nothing_held(house)


def resets_amid_large_answers(form):
    """Clients that ask for large values of all workers, and go away when a part of them has come."""
    with House(form, "-m", "16", "-I", "512k") as house:
        guest = house.guest()
        guest.fill(b"k", 12, 200_000)
        for number in range(400):
            stranger = small(house)
            send_some(stranger, b"".join(b"get k%d none\r\nmg k%d v k\r\n" % (key % 12, key % 12) for key in range(number, number + 12)))
            if number % 3:
                stranger.setblocking(True)
                stranger.recv(100)
            reset(stranger)
        guest.barrier()
        require_nothing_held(house)


def require_nothing_held(house):
    wait_until(lambda: house.number("snug_leases") == 0, "what the dead held is free")
    house.require_sound()
    guest = house.guest()
    assert guest.line(b"set after 0 0 1\r\nx\r\n") == b"STORED\r\n"
    assert guest.get([b"after"]) == {b"after": b"x"}
    guest.close()


BURST = 400


def stores_in_one_burst(form):
    """Each is whole, and all are less than the memory of connections: nobody is closed for want of it."""
    with House(form, "-m", "64") as house:
        for _ in range(3):
            guests = [house.guest() for _ in range(BURST)]
            for number, guest in enumerate(guests):
                guest.send(b"set burst%d 0 0 20000\r\n%s\r\n" % (number, b"z" * 20000))
            answers = [guest.line() for guest in guests]
            assert answers == [b"STORED\r\n"] * BURST, [answer for answer in answers if answer != b"STORED\r\n"]
            for guest in guests:
                guest.close()


CASES = [stores_in_one_burst, long_meta_lines, resets_amid_large_stores, resets_amid_large_answers]
