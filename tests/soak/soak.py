"""A soak of snugd: random operations against a model, for as long as is said, while memory is defragmented, the limit changes, connections are
killed, and readers are slow.

    soak.py --server build/snugd [--minutes N] [--seed N] [--limit MIB] [--server-args "-t 2"]

Each client has keys of its own and knows what it stored: a get may miss (evicted, expired, flushed), but what it finds must be what was
stored last, to the byte. A client that killed its connection in the midst of a store knows two values that may be there; and because another worker may come to
the bytes of the dead connection later than to those of the new one, for some seconds also after it has stored anew. At the end `snug
check` walks all memory, resident memory must be within the limit and a bit, and nothing may have been refused but for stores while much of
the memory was held by those who do not read: with little memory (--limit 12) that is more often. The last line is "N passed, N failed".
"""

import argparse
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "protocol"))
from server_process import Server
from waits import HANG_S, times_as_busy

KEYS = 200
LATE_S = 20  # times as long on a busy machine: so long after its connection was killed a store may still be carried out
SIZES = (0, 10, 100, 1000, 5000, 20000, 100000, 600000)


class Wrong(Exception):
    pass


def value_of(random_source, largest=len(SIZES)):
    size = SIZES[random_source.randrange(largest)]
    size += random_source.randrange(size // 2 + 1)
    start = random_source.randrange(251)
    return bytes((start + i) % 251 for i in range(min(size, 251))) * (size // 251 + 1) if size else b""


class Line:
    """A connection that reads lines and blocks."""

    def __init__(self, server):
        self.socket = server.connect()
        self.socket.settimeout(HANG_S)
        self.pending = b""

    def close(self):
        self.socket.close()

    def more(self):
        part = self.socket.recv(262144)
        if not part:
            raise Wrong("the server closed the connection")
        self.pending += part

    def line(self):
        while b"\r\n" not in self.pending:
            self.more()
        line, self.pending = self.pending.split(b"\r\n", 1)
        return line

    def block(self, length):
        while len(self.pending) < length + 2:
            self.more()
        block, self.pending = self.pending[:length], self.pending[length + 2 :]
        return block

    def lines_to_end(self):
        lines = []
        while True:
            line = self.line()
            if line == b"END" or line == b"OK" or line.split(b" ")[0] in (b"CLIENT_ERROR", b"SERVER_ERROR", b"ERROR"):
                return lines + [line]
            lines.append(line)


class Client(threading.Thread):
    def __init__(self, soak, number):
        super().__init__(name=f"client {number}")
        self.soak = soak
        self.number = number
        self.random = random.Random(soak.seed * 1000 + number)
        self.model = {}  # key -> values that may be there; a miss always may
        self.late = {}  # key -> what killed connections may still store, and until when
        self.line = Line(soak.server)
        self.operations = self.hits = self.refused = 0

    def key(self):
        return b"%d:%d" % (self.number, self.random.randrange(KEYS))

    def set_model(self, key, values):
        now = time.monotonic()
        self.late[key] = [(value, until) for value, until in self.late.get(key, []) if until > now]
        self.model[key] = values + [value for value, _ in self.late[key]]

    def send(self, *parts):
        self.line.socket.sendall(b"".join(parts))

    def store(self):
        key, value = self.key(), value_of(self.random)
        self.send(b"set %s 5 0 %d\r\n" % (key, len(value)), value, b"\r\n")
        answer = self.line.line()
        if answer == b"STORED":
            self.set_model(key, [value])
        elif answer == b"SERVER_ERROR out of memory storing object":
            self.set_model(key, [])
            self.refused += 1
        else:
            raise Wrong(f"set answers {answer!r}")

    def take_value(self, key, line):
        words = line.split(b" ")
        if words[0] != b"VALUE" or words[1] != key or words[2] != b"5":
            raise Wrong(f"get {key!r} answers {line!r}")
        value = self.line.block(int(words[3]))
        if value not in self.model.get(key, []):
            raise Wrong(f"get {key!r} finds {len(value)} bytes {value[:20]!r}, not what was stored")
        self.hits += 1

    def fetch(self, count):
        keys = [self.key() for _ in range(count)]
        self.send(b"get ", b" ".join(keys), b"\r\n")
        left = list(keys)
        while True:
            line = self.line.line()
            if line == b"END":
                return
            if line.startswith(b"SERVER_ERROR"):  # ends the answer, as memcached's does
                self.refused += 1
                return
            key = line.split(b" ")[1]
            if key not in left:
                raise Wrong(f"an answer to {key!r}, which was not asked for")
            self.take_value(key, line)

    def append(self):
        key, more = self.key(), value_of(self.random, 4)
        self.send(b"append %s 0 0 %d\r\n" % (key, len(more)), more, b"\r\n")
        if self.line.line() == b"STORED":
            self.set_model(key, [value + more for value in self.model.get(key, [])])

    def delete(self):
        key = self.key()
        self.send(b"delete %s\r\n" % key)
        if self.line.line() not in (b"DELETED", b"NOT_FOUND"):
            raise Wrong("delete")
        self.set_model(key, [])

    def expire(self):
        key = self.key()
        self.send(b"touch %s 1\r\n" % key)
        self.line.line()

    def pipeline(self):
        for _ in range(10):
            key = self.key()
            self.send(b"mg %s v s\r\nmn\r\n" % key)
            line = self.line.line()
            if line.startswith(b"VA "):
                value = self.line.block(int(line.split(b" ")[1]))
                if value not in self.model.get(key, []):
                    raise Wrong(f"mg {key!r} finds what was not stored")
                self.hits += 1
            elif line != b"EN" and not line.startswith(b"SERVER_ERROR"):
                raise Wrong(f"mg answers {line!r}")
            if self.line.line() != b"MN":
                raise Wrong("mn")

    def kill(self):
        """In the midst of a store: the old value is there, or the new one, or none."""
        key, value = self.key(), value_of(self.random)
        cut = self.random.randrange(len(value) + 3)
        self.send(b"set %s 5 0 %d\r\n" % (key, len(value)), (value + b"\r\n")[:cut])
        self.line.close()
        self.line = Line(self.soak.server)
        self.late.setdefault(key, []).append((value, time.monotonic() + LATE_S * times_as_busy()))
        self.set_model(key, self.model.get(key, []))

    def read_slowly(self):
        keys = [self.key() for _ in range(20)]
        self.send(b"".join(b"get %s\r\n" % key for key in keys))
        time.sleep(self.random.random() * 0.3)
        for key in keys:
            line = self.line.line()
            if line.startswith(b"SERVER_ERROR"):
                self.refused += 1
            elif line != b"END":
                self.take_value(key, line)
                if self.line.line() != b"END":
                    raise Wrong("no END")

    def run(self):
        actions = [self.store] * 6 + [lambda: self.fetch(1)] * 6 + [lambda: self.fetch(24)] * 2
        actions += [self.append, self.delete, self.expire, self.pipeline, self.kill, self.read_slowly]
        try:
            while not self.soak.is_over():
                self.random.choice(actions)()
                self.operations += 1
        except Exception as error:
            self.soak.fail(f"{self.name}, after {self.operations} operations: {type(error).__name__}: {error}")


class Keeper(threading.Thread):
    """Cleans up, changes the limit, looks at the figures."""

    def __init__(self, soak):
        super().__init__(name="keeper")
        self.soak = soak
        self.random = random.Random(soak.seed)
        self.reclaimed = self.rounds = 0

    def run(self):
        commands = [b"snug defrag", b"snug defrag coalesce", b"snug defrag bytes 200k", b"snug estimate", b"snug emergency 1m evict"]
        commands += [b"snug limit %dm" % (self.soak.limit_mib * 5 // 8), b"snug limit %dm" % self.soak.limit_mib, b"stats", b"stats items", b"snug metrics", b"snug map", b"snug report 5"]
        try:
            line = Line(self.soak.server)
            while not self.soak.is_over():
                command = self.random.choice(commands)
                line.socket.sendall(command + b"\r\n")
                lines = line.lines_to_end()
                if lines[-1] != b"END":
                    raise Wrong(f"{command!r} answers {lines[-1]!r}")
                self.reclaimed += sum(int(l.split(b" ")[2]) for l in lines if l.startswith(b"STAT reclaimed_bytes "))
                self.rounds += 1
                time.sleep(self.random.random() * 0.2)
            line.socket.sendall(b"snug check\r\n")
            self.soak.sound = all(l.endswith(b"check ok") for l in line.lines_to_end()[:-1])
        except Exception as error:
            self.soak.fail(f"{self.name}: {type(error).__name__}: {error}")


class Soak:
    def __init__(self, server, options):
        self.server = server
        self.seed = options.seed
        self.limit_mib = options.limit
        self.until = time.monotonic() + options.minutes * 60
        self.failures = []
        self.sound = False

    def is_over(self):
        return bool(self.failures) or time.monotonic() >= self.until

    def fail(self, what):
        self.failures.append(what)

    def run(self, count):
        clients = [Client(self, number) for number in range(count)]
        keeper = Keeper(self)
        for thread in clients:
            thread.start()
        keeper.start()
        for thread in clients + [keeper]:
            thread.join()
        operations, hits = sum(c.operations for c in clients), sum(c.hits for c in clients)
        refused, rss = sum(c.refused for c in clients), self.server.rss_bytes() if self.server.is_alive() else 0
        print(f"{operations} operations, {hits} hits verified, {refused} refused; {keeper.rounds} commands of the keeper, ", end="")
        print(f"{keeper.reclaimed} bytes reclaimed; {rss >> 20} MiB resident")
        if not self.server.is_alive():
            self.fail(f"the server has died: {self.server.log_text()}")
        if not self.failures and not self.sound:
            self.fail("snug check finds the memory unsound")
        if not self.failures and (hits == 0 or keeper.reclaimed == 0):
            self.fail("nothing was hit, or nothing reclaimed: this proves nothing")
        if rss > (self.limit_mib + 24) << 20:
            self.fail(f"{rss >> 20} MiB are resident, with a limit of {self.limit_mib}")
        if refused > operations // 50:
            self.fail(f"{refused} of {operations} operations were refused for memory")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--server-args", default="-t 2")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--limit", type=int, default=64, help="of the server's memory, in MiB")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1000000)
    options = parser.parse_args()
    print(f"[==========] Running 1 test(s).\n[ RUN      ] soak: {options.minutes} minutes, seed {options.seed}", flush=True)
    with Server(options.server, ["-m", str(options.limit), *options.server_args.split()]) as server:
        soak = Soak(server, options)
        soak.run(options.clients)
    for failure in soak.failures:
        print(f"  {failure}")
    print("[  FAILED  ] soak" if soak.failures else "[       OK ] soak")
    print("0 passed, 1 failed" if soak.failures else "1 passed, 0 failed")
    sys.exit(1 if soak.failures else 0)


main()
