#!/usr/bin/env python3
"""What a client sees while snugd is restarted: gets and sets on one connection, which is made again at once when it breaks.

    restart_load.py fill ADDRESS ITEMS
    restart_load.py load ADDRESS ITEMS FILE     until FILE is there
    restart_load.py count ADDRESS ITEMS

`load` tells the longest time between two answers, how often the connection broke, and how often it was refused. A value that is not its key's is an
error, and so is one that is missing, as far as a set of it had been answered: one request in ten is a set, of a key that `fill` has stored."""

import os
import random
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from waits import HANG_S

BATCH = 1000


def key_of(number):
    return b"key-%d" % number


def value_of(number):
    return b"%0100d" % number


class Client:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.socket = None
        self.refused = self.broken = 0

    def connect(self):
        while self.socket is None:
            try:
                self.socket = socket.create_connection(self.address, HANG_S)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.answers = self.socket.makefile("rb")
            except ConnectionError:
                self.refused += 1
                time.sleep(0.0005)

    def ask(self, request, last):
        """All lines up to the last one. What was not answered is asked again: gets and sets may be."""
        while True:
            self.connect()
            try:
                self.socket.sendall(request)
                lines = []
                while not lines or lines[-1] not in last:
                    line = self.answers.readline()
                    if not line.endswith(b"\n"):
                        raise ConnectionError
                    lines.append(line)
                return lines
            except ConnectionError:
                self.broken += 1
                self.socket.close()
                self.socket = None

    def get(self, number):
        lines = self.ask(b"get %s\r\n" % key_of(number), (b"END\r\n",))
        return lines[1][:-2] if len(lines) == 3 else None

    def set(self, number):
        assert self.ask(b"set %s 0 0 100\r\n%s\r\n" % (key_of(number), value_of(number)), (b"STORED\r\n",))


def fill(client, items):
    client.connect()
    for first in range(0, items, BATCH):
        client.socket.sendall(b"".join(b"set %s 0 0 100 noreply\r\n%s\r\n" % (key_of(n), value_of(n)) for n in range(first, min(first + BATCH, items))))
    assert client.get(items - 1) == value_of(items - 1)


def count(client, items):
    found = 0
    for first in range(0, items, BATCH):
        numbers = range(first, min(first + BATCH, items))
        lines = client.ask(b"get %s\r\n" % b" ".join(map(key_of, numbers)), (b"END\r\n",))
        found += (len(lines) - 1) // 2
    print(found)


def load(client, items, until):
    random_numbers = random.Random(1)
    requests, missing, longest_s = 0, 0, 0.0
    client.set(0)
    print("begun", flush=True)
    answered_at = time.monotonic()
    while requests % 100 != 0 or not os.path.exists(until):
        number = random_numbers.randrange(items)
        if requests % 10 == 0:
            client.set(number)
        else:
            value = client.get(number)
            missing += value is None
            assert value in (None, value_of(number)), (number, value)
        requests += 1
        now = time.monotonic()
        longest_s = max(longest_s, now - answered_at)
        answered_at = now
    print(
        f"{requests} requests, {missing} misses, longest gap {longest_s * 1000:.0f} ms, connection broken {client.broken} times, refused {client.refused} times"
    )
    return missing


def main():
    what, address, items = sys.argv[1], sys.argv[2], int(sys.argv[3])
    client = Client(address)
    if what == "fill":
        fill(client, items)
    elif what == "count":
        count(client, items)
    else:
        return load(client, items, sys.argv[4]) != 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
