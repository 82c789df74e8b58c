#!/usr/bin/env python3
"""A worker that sleeps lends its shard: who asks for one of its keys carries that out himself. Nobody is woken, and all is answered as ever.

    test_lent_shards.py SNUGD
"""

import os
import pwd
import random
import re
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests

PROGRAM = sys.argv[1]
USER = pwd.getpwuid(os.geteuid()).pw_name
PATIENCE_S = 60
WORKERS = 4


class Server:
    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [PROGRAM, "-p", "-1", "-l", "127.0.0.1", "-u", USER, "-v", "-m", "64", "-t", str(WORKERS), *arguments],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for line in self.process.stderr:
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                return
        raise AssertionError("it does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, self.process.returncode

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def sleeps(self):
        """How often each worker's thread has gone to sleep, by its name."""
        found = {}
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/status") as status:
                text = status.read()
            name = re.search(r"^Name:\s*(\S+)", text, re.M).group(1)
            if re.fullmatch(r"snugd-\d+", name):
                found[name] = int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M).group(1))
        assert len(found) == WORKERS, found
        return found


def take(client, length):
    answer = b""
    while len(answer) < length:
        part = client.recv(1 << 16)
        assert part, f"closed after {answer[-100:]}"
        answer += part
    return answer


def ask(client, command, answer):
    client.sendall(command)
    got = take(client, len(answer))
    assert got == answer, (command[:100], got[:100])


def test_a_key_of_a_sleeper_wakes_nobody():
    rounds = 300
    with Server() as server:
        client = server.connect()
        for key in range(rounds):
            ask(client, b"set %d 0 0 3\r\nabc\r\n" % key, b"STORED\r\n")
        time.sleep(0.3)
        before = server.sleeps()
        began = time.monotonic()
        for key in range(rounds):
            ask(client, b"get %d\r\n" % key, b"VALUE %d 0 3\r\nabc\r\nEND\r\n" % key)
            ask(client, b"set %d 0 0 1\r\nx\r\n" % key, b"STORED\r\n")
        after = server.sleeps()
        seconds = time.monotonic() - began
    woken = sorted(after[name] - before[name] for name in after)
    # The others look after their shards now and then: ten times a second, those that are in use.
    assert sum(woken[:-1]) <= rounds / 10 + (WORKERS - 1) * 12 * seconds, (woken, seconds)


class Asker:
    """Sends pipelines over keys of its own, and knows what must come."""

    def __init__(self, server, number, until):
        self.client = server.connect()
        self.random = random.Random(number)
        self.number = number
        self.until = until
        self.values = {}
        self.failure = None
        self.pipelines = 0

    def command(self):
        key = b"%d:%d" % (self.number, self.random.randrange(40))
        what = self.random.random()
        if what < 0.5:
            value = self.values.get(key)
            found = b"" if value is None else b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(value), value)
            return b"get %s\r\n" % key, found + b"END\r\n"
        if what < 0.9:
            size = self.random.choice((0, 10, 100, 1000, 10, 100, 30000 if self.random.random() < 0.5 else 200000))
            value = bytes([97 + self.random.randrange(26)]) * size
            self.values[key] = value
            return b"set %s 0 0 %d\r\n%s\r\n" % (key, size, value), b"STORED\r\n"
        was_there = self.values.pop(key, None) is not None
        return b"delete %s\r\n" % key, b"DELETED\r\n" if was_there else b"NOT_FOUND\r\n"

    def run(self):
        try:
            while time.monotonic() < self.until:
                commands, answers = zip(*(self.command() for _ in range(self.random.choice((1, 1, 2, 10)))))
                ask(self.client, b"".join(commands), b"".join(answers))
                self.pipelines += 1
                if self.random.random() < 0.3:
                    time.sleep(self.random.random() / 500)
        except Exception as failure:  # noqa: BLE001: told by the main thread
            self.failure = failure


def test_each_client_sees_what_it_did():
    with Server("-m", "256") as server:
        until = time.monotonic() + 4
        askers = [Asker(server, number, until) for number in range(6)]
        threads = [threading.Thread(target=asker.run) for asker in askers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for asker in askers:
        assert asker.failure is None, asker.failure
        assert asker.pipelines > 20, asker.pipelines


def test_what_expired_at_a_lender_goes():
    """Its own upkeep goes on while others use its shard."""
    items = 2000
    with Server() as server:
        client = server.connect()
        for key in range(items):
            ask(client, b"set %d 0 1 3\r\nabc\r\n" % key, b"STORED\r\n")
        ask(client, b"set stays 0 0 3\r\nabc\r\n", b"STORED\r\n")
        until = time.monotonic() + PATIENCE_S
        left = items
        while left > 1 and time.monotonic() < until:
            for _ in range(2000):
                ask(client, b"get stays\r\n", b"VALUE stays 0 3\r\nabc\r\nEND\r\n")
            client.sendall(b"stats\r\n")
            answer = b""
            while not answer.endswith(b"END\r\n"):
                answer += client.recv(1 << 16)
            left = int(re.search(rb"STAT curr_items (\d+)", answer).group(1))
        assert left == 1, left


sys.exit(run_tests(globals()))
