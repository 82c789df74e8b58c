"""Tests of what snugd's log tells unasked: trouble, each kind once with its figure, and nothing of what is fine.

    test_trouble.py SNUGD
"""

import os
import re
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from foreground import Asked
from waits import HANG_S, wait_until

PROGRAM = sys.argv[1]


class Heard(Asked):
    """One worker, or more; `lines` are what it has logged since it listens."""

    def __init__(self, *arguments):
        super().__init__([PROGRAM, "-p", "-1", "-t", "1", "-m", "16", *arguments])

    def __enter__(self):
        super().__enter__()
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(line.rstrip("\n") for line in iter(self.process.stderr.readline, "")))
        self.reader.start()
        return self

    def __exit__(self, *what):
        self.process.kill()
        self.reader.join()
        super().__exit__(*what)

    def hear(self, pattern):
        """The one line that matches."""
        wait_until(lambda: any(re.search(pattern, line) for line in self.lines), lambda: f"{pattern}: {self.lines}", pause_s=0.05)
        found = [line for line in self.lines if re.search(pattern, line)]
        assert len(found) == 1, found
        return re.search(pattern, found[0])

    def store(self, count, size, start=0):
        value = b"x" * size
        for at in range(start, start + count, 50):
            self.client.sendall(b"".join(b"set k%d 0 0 %d noreply\r\n%s\r\n" % (i, size, value) for i in range(at, at + 50)))
        assert self.ask(b"mn\r\n") == b"MN"

    def figure(self, name):
        self.client.sendall(b"stats\r\n")
        stats = {}
        while (line := self.answers.readline()) != b"END\r\n":
            _, key, value = line.decode().split(None, 2)
            stats[key] = value.rstrip()
        return int(stats[name])


def test_evictions_are_told_when_they_begin():
    with Heard() as snugd:
        snugd.store(1000, 20000)
        told = snugd.hear(r"^snugd: warning: evictions have begun: (\d+) items?; the memory limit of 16\.0 MiB is in use$")
        assert 0 < int(told.group(1)) <= snugd.figure("evictions") > 0
        snugd.store(1000, 20000, start=1000)
        assert snugd.ask(b"set big 0 0 99999999\r\n") == b"SERVER_ERROR object too large for cache"
        snugd.hear("larger than an item may be")  # a second later at least: nothing more is said of evictions
        snugd.hear("evictions have begun")


def test_refused_stores_are_told_with_their_number():
    with Heard("-M") as snugd:
        snugd.store(1000, 20000)
        told = snugd.hear(r"^snugd: warning: (\d+) stores refused: no room within the memory limit of 16\.0 MiB, and nothing is evicted \(-M\)$")
        wait_until(lambda: int(told.group(1)) <= snugd.figure("store_no_memory"))
        assert not any("evictions" in line for line in snugd.lines)


def test_too_large_stores_are_told():
    with Heard("-I", "64k") as snugd:
        snugd.client.sendall(b"set big 0 0 100000\r\n" + b"x" * 100000 + b"\r\n")
        assert b"too large" in snugd.answers.readline()
        snugd.hear(r"^snugd: warning: 1 store refused: larger than an item may be, which is 64\.0 KiB \(-I\)$")


def test_connections_turned_away_are_told():
    with Heard("-c", "2") as snugd:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", snugd.port), HANG_S) as one, socket.create_connection(("127.0.0.1", snugd.port), HANG_S) as other:
                other.settimeout(HANG_S)
                one.sendall(b"version\r\n")
                other.sendall(b"version\r\n")
                one.recv(100), other.recv(100)
        told = snugd.hear(r"^snugd: warning: (\d+) connections? turned away: 2 may be open at a time \(-c\)$")
        assert 1 <= int(told.group(1)) <= snugd.figure("rejected_connections")


def test_connections_closed_for_memory_are_told():
    """Those that ask for much and read nothing."""
    with Heard("--connection-memory", "4m") as snugd:
        snugd.set(b"v", b"x" * 8000)
        crowd = []
        for _ in range(120):
            stream = socket.socket()
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.connect(("127.0.0.1", snugd.port))
            stream.setblocking(False)
            crowd.append(stream)
            try:
                stream.sendall(b"get" + b" v" * 1000 + b"\r\n")
            except OSError:
                pass
        told = snugd.hear(r"^snugd: warning: (\d+) connections? closed that held most: connection memory of 4\.00 MiB is short$")
        assert 1 <= int(told.group(1)) <= snugd.figure("snug_memory_closed")
        for stream in crowd:
            stream.close()


def test_what_is_fine_is_not_told():
    """Not even at -v what the memory is cut into."""
    for verbosity in ((), ("-v",)):
        with Heard(*verbosity) as snugd:
            for size in (10, 100, 500, 1000, 3000):
                snugd.store(300, size, start=size)
            for _ in range(10):
                assert snugd.figure("curr_items") > 0
            snugd.process.send_signal(signal.SIGHUP)
            snugd.hear(r"^snugd: reload: done$")
            # The coordinator looks at the machine when it begins, which may be after the server listens.
            assert [line for line in snugd.lines if "reload" not in line and "cgroup" not in line] == [], snugd.lines


sys.exit(run_tests(globals()))
