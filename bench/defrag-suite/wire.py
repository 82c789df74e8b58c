"""Two protocols that caches are spoken to in, memcached's text protocol and Redis' RESP, behind the few operations that the benchmarks need.

Requests are pipelined: a batch is sent and then its answers are read, so that the speed of this client matters less.
"""

import socket


class Closed(Exception):
    """The server closed the connection."""


HANG_S = 120  # what takes longer hangs; what is only slow on a busy machine does not


class Connection:
    def __init__(self, host, port, timeout=HANG_S):
        self.socket = socket.create_connection((host, port), timeout=timeout)
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
            raise Closed
        return line[:-2]

    def others_than(self, good, count):
        """Of so many answers of one line each, how many are not this one. Mostly all are, and are read at once; none is shorter but of mistakes."""
        data = self.file.read(len(good) * count)
        if data == good * count:
            return 0
        if len(data) != len(good) * count:
            raise Closed
        *lines, rest = data.split(b"\r\n")
        if len(lines) < count:
            cut = rest + self.file.readline()
            if not cut.endswith(b"\r\n"):
                raise Closed
            lines.append(cut[:-2])
        lines += [self.line() for _ in range(count - len(lines))]
        return sum(line != good[:-2] for line in lines)

    def block(self, length):
        data = self.file.read(length + 2)
        if len(data) != length + 2:
            raise Closed
        return data[:-2]


class Memcached(Connection):
    """memcached's text protocol."""

    def store_many(self, pairs, seconds=0, flags=0):
        """Stores them, to expire after so many seconds if that is not 0; tells how many were refused."""
        parts, between = [], b" %d %d " % (flags, seconds)
        for key, value in pairs:
            parts += (b"set ", key, between, b"%d\r\n" % len(value), value, b"\r\n")
        self.send(b"".join(parts))
        return self.others_than(b"STORED\r\n", len(pairs))

    def fetch_many(self, keys):
        """The values, None where there is none."""
        self.send(b"".join(b"get %s\r\n" % key for key in keys))
        found = []
        for _ in keys:
            line, value = self.line(), None
            if line.startswith(b"VALUE"):
                value = self.block(int(line.rsplit(b" ", 1)[1]))
                line = self.line()
            if line != b"END":
                raise RuntimeError(f"get: {line!r}")
            found.append(value)
        return found

    def delete_many(self, keys):
        self.send(b"".join(b"delete %s\r\n" % key for key in keys))
        for _ in keys:
            self.line()

    def flush(self):
        self.send(b"flush_all\r\n")
        self.line()

    def command(self, text):
        """A line of the server's own; its answer ends with END, OK or an error, which is raised."""
        self.send(text.encode() + b"\r\n")
        while (line := self.line()) not in (b"END", b"OK"):
            if line.split(b" ")[0].endswith(b"ERROR"):
                raise RuntimeError(line.decode())


class Redis(Connection):
    """RESP, as far as strings need it."""

    @staticmethod
    def encode(words):
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    def answer(self):
        line = self.line()
        if line[:1] == b"$":
            length = int(line[1:])
            return self.block(length) if length >= 0 else None
        return line

    def store_many(self, pairs, seconds=0, flags=0):
        """There are no client flags."""
        expiry = b"$2\r\nEX\r\n$%d\r\n%d\r\n" % (len(str(seconds)), seconds) if seconds else b""
        head, parts = b"*%d\r\n$3\r\nSET\r\n$" % (5 if seconds else 3), []
        for key, value in pairs:
            parts += (head, b"%d\r\n" % len(key), key, b"\r\n$%d\r\n" % len(value), value, b"\r\n", expiry)
        self.send(b"".join(parts))
        return self.others_than(b"+OK\r\n", len(pairs))

    def fetch_many(self, keys):
        self.send(b"".join(self.encode((b"GET", key)) for key in keys))
        return [self.answer() for _ in keys]

    def delete_many(self, keys):
        self.send(b"".join(self.encode((b"DEL", key)) for key in keys))
        for _ in keys:
            self.answer()

    def flush(self):
        self.command("FLUSHALL")

    def command(self, text):
        self.send(self.encode([word.encode() for word in text.split()]))
        answer = self.answer()
        if answer is not None and answer[:1] == b"-":
            raise RuntimeError(answer[1:].decode())


PROTOCOLS = {"memcached": Memcached, "redis": Redis}
