"""A snugd whose doors are open to strangers: what the cases of this directory share.

    with House(form, "-m", "64") as house:
        house.connect()              a stranger: a bare socket
        house.guest()                a client that behaves well
        house.operator("check")      an answer on the control socket

A house must be left in order: at the end of each case it is told to end, and a status other than 0, or a word of a sanitizer, fails the case.

What is measured is measured so that a busy machine does not change it: processor time in place of time, and the best of several tries where
only a clock will do. The processor time that is permitted is multiplied by PATIENCE, which builds with sanitizers raise (SNUG_PATIENCE).
"""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "protocol"))
from server_process import Server
from waits import HANG_S, wait_until

PATIENCE = float(os.environ.get("SNUG_PATIENCE", "1"))
MIB = 1 << 20
# What the process may take beside the items' limit and the memory of connections: the program, stacks, the coordinator, texts of statistics.
REST_BYTES = 24 * MIB
SMALL_BUFFER_BYTES = 2048
LARGE_BYTES = 900_000  # of a value


class Form:
    """The binary, and the arguments that a whole run adds."""

    def __init__(self, path, args):
        self.path = path
        self.args = args


class Guest:
    """Says one thing after the other, and takes its answers."""

    def __init__(self, connection):
        self.socket = connection
        self.file = connection.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self, data=b""):
        if data:
            self.send(data)
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError(f"closed after {data[:80]!r}, {line!r}")
        return line

    def lines(self, data, last=(b"END\r\n", b"OK\r\n")):
        """All lines up to the last one of an answer, or an error."""
        lines = [self.line(data)]
        while lines[-1] not in last and not re.match(rb"(ERROR|CLIENT_ERROR|SERVER_ERROR)", lines[-1]):
            lines.append(self.line())
        return lines

    def get(self, keys):
        """The values of those that are there, by key."""
        self.send(b"get " + b" ".join(keys) + b"\r\n")
        found = {}
        while (line := self.line()) != b"END\r\n":
            word, key, _, size = line.split()
            assert word == b"VALUE", line
            found[key] = self.file.read(int(size) + 2)[:-2]
        return found

    def stats(self, what=b"stats"):
        words = [line.split(maxsplit=2) for line in self.lines(what + b"\r\n")[:-1]]
        return {word[1].decode(): word[2].decode().strip() for word in words}

    def pause(self):
        """Long enough that what was sent is read before what comes next."""
        time.sleep(0.001)

    def barrier(self):
        assert self.line(b"mn\r\n") == b"MN\r\n"

    def fill(self, prefix, count, size, batch=500):
        """Quietly."""
        value = b"z" * size
        for first in range(0, count, batch):
            numbers = range(first, min(count, first + batch))
            self.send(b"".join(b"set %s%d 0 0 %d noreply\r\n%s\r\n" % (prefix, number, size, value) for number in numbers))
            if first % (20 * batch) == 0:
                self.barrier()
        self.barrier()


class House(Server):
    opens_commands = False  # the doors are as they are by default

    def __init__(self, form, *args):
        super().__init__(form.path, [*form.args, *args])
        self.own_args = self.args

    def _accepts(self):
        """The control socket opens after the port."""
        return super()._accepts() and self._has_control()

    def _has_control(self):
        until = time.monotonic() + HANG_S
        while not os.path.exists(self.control_path) and time.monotonic() < until:
            time.sleep(0.01)
        return os.path.exists(self.control_path)

    def _start(self):
        self.control_path = os.path.join(self.directory, "control")
        self.args = [*self.own_args, "--control", self.control_path]
        super()._start()

    def __exit__(self, kind, problem, trace):
        try:
            if kind is None:
                self.leave()
            else:
                print(f"the server {'lives' if self.is_alive() else 'has died'}; its log: {self.log_text()}")
        finally:
            super().__exit__(kind, problem, trace)

    def leave(self):
        assert self.is_alive(), f"the server has died with {self.process.poll()}: {self.log_text()}"
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            raise AssertionError("the server does not end") from None
        assert status == 0, f"the server ended with {status}: {self.log_text()}"
        assert "Sanitizer" not in self.log_text(), self.log_text()

    def connect(self, receive_buffer_bytes=None, timeout=HANG_S):
        return super().connect(receive_buffer_bytes, timeout)

    def guest(self, connection=None):
        return Guest(connection or self.connect())

    def operator_guest(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(HANG_S)
        connection.connect(self.control_path)
        return Guest(connection)

    def operator(self, command):
        """The fields of the answer; {"error": line} if there are none."""
        guest = self.operator_guest()
        try:
            lines = guest.lines(b"snug " + command + b"\r\n")
        finally:
            guest.close()
        if lines[-1] != b"END\r\n":
            return {"error": lines[-1].decode().strip()}
        words = [line.split(maxsplit=2) for line in lines if line.startswith(b"STAT ")]
        return {word[1].decode(): word[2].decode().strip() for word in words}

    def stats(self, what=b"stats"):
        guest = self.operator_guest()
        try:
            return guest.stats(what)
        finally:
            guest.close()

    def number(self, name):
        return int(self.stats()[name])

    def require_sound(self):
        """All laws of all memory hold."""
        for name, value in self.operator(b"check").items():
            assert value == "ok", f"{name}: {value}"

    def http_port(self):
        return int(re.search(r"http://127\.0\.0\.1:(\d+)", self.log_text()).group(1))

    # ---- what the process costs ----

    def cpu_ns(self):
        """Of all its threads; exact at any moment. The clock's number is that which clock_getcpuclockid makes."""
        return time.clock_gettime_ns((~self.process.pid << 3) | 2)

    def peak_rss_bytes(self):
        """Since forget_peak; 0 for a build with a sanitizer, as rss_bytes."""
        if self.rss_bytes() == 0:
            return 0
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) * 1024

    def forget_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as clear:
            clear.write("5")

    def budget_bytes(self):
        """What the process may take: the items' limit, what connections may hold, and the rest."""
        settings = self.stats(b"stats settings")
        return int(settings["maxbytes"]) + int(settings["connection_memory"]) + REST_BYTES


def small(house):
    """A stranger that can take little at a time."""
    return house.connect(receive_buffer_bytes=SMALL_BUFFER_BYTES)


def send_some(connection, data):
    """What goes without waiting; False: the server has closed the connection."""
    connection.setblocking(False)
    try:
        while data:
            data = data[connection.send(data) :]
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def reset(connection):
    """Closes with RST, whatever is still under way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def mib(size):
    return f"{size / MIB:.1f} MiB"
