"""The servers that are compared, each as a process of its own with the same memory limit, behind one small interface over a socket.

Requests are pipelined: store_many and fetch_many send a batch and then read its answers, so that the client's speed matters less.
"""

import os
import re
import socket
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 20)

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise RuntimeError("the server closed the connection")
        return line[:-2]


class Server:
    """with Server(...) as server; limit_mb is what the server is told, whatever it makes of it"""

    name = ""

    def __init__(self, limit_mb, threads=1):
        self.limit_mb = limit_mb
        self.threads = threads
        self.port = free_port()
        self.log = tempfile.TemporaryFile()

    def command(self):
        raise NotImplementedError

    def __enter__(self):
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        until = time.monotonic() + 10
        while True:
            try:
                self.connection = Connection(self.port)
                break
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    self.log.seek(0)
                    raise RuntimeError(f"{self.name} does not start: {self.log.read()[-500:]!r}")
                time.sleep(0.02)
        self.prepare()
        return self

    def __exit__(self, *what):
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.log.close()

    def prepare(self):
        """Once connected."""

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) << 10

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # What differs by protocol; each tells how many were refused, or what was found.
    def store_many(self, pairs):
        raise NotImplementedError

    def fetch_many(self, keys):
        raise NotImplementedError

    def delete_many(self, keys):
        raise NotImplementedError

    def defragment(self):
        """What the operator can do about fragmentation; tells what that is. None: nothing."""


class Memcached(Server):
    name = "memcached"

    def command(self):
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-m", str(self.limit_mb), "-t", str(self.threads), *user]

    def store_many(self, pairs):
        parts = []
        for key, value in pairs:
            parts += (b"set %s 0 0 %d\r\n" % (key, len(value)), value, b"\r\n")
        self.connection.send(b"".join(parts))
        return sum(self.connection.line() != b"STORED" for _ in pairs)

    def fetch_many(self, keys):
        self.connection.send(b"".join(b"get %s\r\n" % key for key in keys))
        found = []
        for _ in keys:
            line, value = self.connection.line(), None
            if line.startswith(b"VALUE"):
                value = self.connection.file.read(int(line.rsplit(b" ", 1)[1]))
                self.connection.file.read(2)
                line = self.connection.line()
            if line != b"END":
                raise RuntimeError(f"get: {line!r}")
            found.append(value)
        return found

    def delete_many(self, keys):
        self.connection.send(b"".join(b"delete %s\r\n" % key for key in keys))
        for _ in keys:
            self.connection.line()


class Snugd(Memcached):
    name = "snugd"
    program = "build/snugd"

    def command(self):
        return [self.program, "-p", str(self.port), "-m", str(self.limit_mb), "-t", str(self.threads)]

    def defragment(self):
        self.connection.send(b"snug defrag return\r\n")
        while (line := self.connection.line()) != b"END":
            if not line.startswith(b"STAT "):
                raise RuntimeError(line)
        return "snug defrag return"


class Redis(Server):
    name = "redis"

    def command(self):
        return ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no", "--maxmemory",
                f"{self.limit_mb}mb", "--maxmemory-policy", "allkeys-lru"]

    def ask(self, *words):
        self.connection.send(self.encode(words))
        return self.answer()

    @staticmethod
    def encode(words):
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    def answer(self):
        line = self.connection.line()
        if line[:1] == b"$":
            length = int(line[1:])
            if length < 0:
                return None
            value = self.connection.file.read(length)
            self.connection.file.read(2)
            return value
        return line

    def store_many(self, pairs):
        self.connection.send(b"".join(self.encode((b"SET", key, value)) for key, value in pairs))
        return sum(self.answer() != b"+OK" for _ in pairs)

    def fetch_many(self, keys):
        self.connection.send(b"".join(self.encode((b"GET", key)) for key in keys))
        return [self.answer() for _ in keys]

    def delete_many(self, keys):
        self.connection.send(b"".join(self.encode((b"DEL", key)) for key in keys))
        for _ in keys:
            self.answer()


class RedisActive(Redis):
    """With active defragmentation, as eager as it can be set; RuntimeError where this build has none."""

    name = "redis, activedefrag"

    def prepare(self):
        settings = {"activedefrag": "yes", "active-defrag-ignore-bytes": "1mb", "active-defrag-threshold-lower": "1",
                    "active-defrag-cycle-min": "25", "active-defrag-cycle-max": "75"}
        for name, value in settings.items():
            answer = self.ask(b"CONFIG", b"SET", name.encode(), value.encode())
            if answer != b"+OK":
                raise RuntimeError(answer.decode())

    def defragment(self):
        until = time.monotonic() + 30
        last, since = self.rss_bytes(), time.monotonic()
        while time.monotonic() < until and time.monotonic() - since < 5:
            time.sleep(0.25)
            now = self.rss_bytes()
            if now < last - (256 << 10):
                last, since = now, time.monotonic()
        return "activedefrag, until nothing has come of it for 5 s"
