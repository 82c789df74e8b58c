#!/usr/bin/env python3
"""A get of several keys is one answer: if a value of it cannot be had, the error ends it, and the next answer is that of the next line.

    test_failed_lists.py PROGRAM

Values that are sent to slow readers stay leased, and leases hold half of a worker's memory at most. Beyond that a large value cannot be got.
"""

import os
import re
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "protocol")]
from cases import run_tests
from waits import HANG_S
from server_process import Server

PROGRAM = sys.argv[1]
LARGE_BYTES = 450000
LARGE_A_WORKER = 14  # Wherever the keys fall, one worker has so many at least, and may lease nine.
SMALL = (b"alice", b"bob")
ERROR = b"SERVER_ERROR out of memory writing get response\r\n"


def fill(server, large):
    with server.connect() as client, client.makefile("rb") as answers:
        for i in range(large):
            client.sendall(b"set big%d 0 0 %d\r\n%s\r\n" % (i, LARGE_BYTES, b"x" * LARGE_BYTES))
            assert answers.readline() == b"STORED\r\n"
        for key in SMALL:
            client.sendall(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(key), key))
            assert answers.readline() == b"STORED\r\n"


def begin_slow_readers(server, large):
    readers = []
    for i in range(large):
        reader = server.connect(receive_buffer_bytes=2048)
        reader.setblocking(False)
        try:
            reader.send(b"get big%d\r\n" % i * 60)
        except BlockingIOError:
            pass
        readers.append(reader)
    return readers


def read_list(answers, keys):
    """One answer: values of keys asked for, in their order, then END or an error. Tells which values, and whether it failed."""
    got = []
    while True:
        line = answers.readline()
        if line == b"END\r\n":
            return got, False
        if line == ERROR:
            return got, True
        match = re.fullmatch(rb"VALUE (\w+) 0 (\d+)\r\n", line)
        assert match and match[1] in keys, (keys, got, line)
        keys = keys[keys.index(match[1]) + 1 :]
        value = answers.read(int(match[2]) + 2)
        assert value == (match[1] if match[1] in SMALL else b"x" * LARGE_BYTES) + b"\r\n", (got, match[1])
        got.append(match[1])


def ask(server, lists, in_one):
    """Each list, then mn; how many failed."""
    failed = 0
    with server.connect() as client, client.makefile("rb") as answers:
        for batch in [lists] if in_one else [[keys] for keys in lists]:
            client.sendall(b"".join(b"get " + b" ".join(keys) + b"\r\nmn\r\n" for keys in batch))
            for keys in batch:
                got, is_failed = read_list(answers, keys)
                failed += is_failed
                assert answers.readline() == b"MN\r\n", (keys, got, is_failed)
                if not any(key.startswith(b"big") for key in keys):
                    assert not is_failed and got == keys, (keys, got)
    return failed


def check(threads, *args, must_fail=False):
    large = LARGE_A_WORKER * threads
    with Server(PROGRAM, ["-t", str(threads), "-m", str(8 * threads), *args]) as server:
        fill(server, large)
        readers = begin_slow_readers(server, large)
        time.sleep(0.5)
        lists = [
            [b"alice", b"big0", b"bob", b"big1", b"alice"],
            [b"big2", b"bob", b"alice"],
            [b"big3"],
            [b"alice", b"bob"],
            [b"big4", b"big5", b"big6"],
            [b"bob", b"big7"],
            [b"bob"] * 40 + [b"big8"] + [b"alice"] * 40,
        ]
        lists += [[b"alice", b"big%d" % i, b"bob"] for i in range(9, large)]
        until, failed = time.monotonic() + HANG_S, 0
        while True:
            failed += sum(ask(server, lists, in_one) for in_one in (False, True))
            if failed > 0 or not must_fail or time.monotonic() > until:
                break
            time.sleep(0.5)
        for reader in readers:
            reader.close()
        return failed


def test_an_error_ends_the_list():
    for threads in (1, 3):
        assert check(threads, "--io", "epoll", must_fail=True) > 0, "no value was refused"


def test_the_same_by_the_default_io():
    for threads in (1, 3):
        check(threads)


sys.exit(run_tests(globals()))
