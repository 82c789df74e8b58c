"""A server under test: starts any binary that knows memcached's options on a free port or unix socket, and ends it in every case.

The server chooses its port (-p -1) and writes it into a file: a port that somebody else has found free may be another server's by the time it is
used, and then a test talks to a stranger. The server gets its own process group, so that nothing of it stays behind.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from waits import HANG_S



def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ServerDied(Exception):
    pass


class Server:
    """with Server(path, args) as server: server.connect()"""

    opens_commands = True

    def __init__(self, path, args=(), unix=False, port=-1):
        self.path = path
        self.args = list(args)
        self.unix = unix
        self.port = port
        self.process = None
        self.directory = None
        self.address = None
        self.log = None

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="snug-protocol-")
        try:
            self._start()
            if self._accepts():
                return self
            raise ServerDied(f"{self.path} {' '.join(self.args)} does not start: {self.log_text()}")
        except BaseException:
            self._cleanup()
            raise

    def __exit__(self, *_):
        self._cleanup()

    def _start(self):
        # Ends the server with this process, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        command.append(self.path)
        if self.unix:
            self.address = os.path.join(self.directory, "socket")
            command += ["-s", self.address]
        else:
            self.address = None if self.port == -1 else ("127.0.0.1", self.port)
            command += ["-l", "127.0.0.1", "-p", str(self.port), "-U", "0"]
        if os.geteuid() == 0:
            command += ["-u", "root"]
        if self.opens_commands and os.path.basename(self.path) == "snugd":
            # What is an operator's by default is asked for at the port, as memcached's clients do.
            command.append("--open-commands")
        if os.path.exists(self.port_file()):
            os.unlink(self.port_file())
        self.log = self.open_log()
        self.process = subprocess.Popen(
            command + self.args,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            env={**os.environ, "XDG_RUNTIME_DIR": self.directory, "MEMCACHED_PORT_FILENAME": self.port_file()},
        )

    def open_log(self):
        """What the server's standard output and error are."""
        return open(os.path.join(self.directory, "log"), "w+b")

    def port_file(self):
        return os.path.join(self.directory, "ports")

    def _find_port(self):
        """From a line such as "TCP INET: 11211"; OSError until it is there."""
        with open(self.port_file()) as ports:
            found = re.search(r"^TCP INET: (\d+)$", ports.read(), re.MULTILINE)
        if not found:
            raise OSError("no port yet")
        self.address = ("127.0.0.1", int(found.group(1)))

    def _accepts(self):
        until = time.monotonic() + HANG_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                connection = self.connect()
            except OSError:
                time.sleep(0.01)
                continue
            connection.close()
            return True
        return False

    def end(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process:
            self.process.wait()
        if self.log:
            self.log.close()

    def _cleanup(self):
        self.end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self, receive_buffer_bytes=None, timeout=HANG_S):
        if self.address is None:
            self._find_port()
        if self.unix:
            connection = socket.socket(socket.AF_UNIX)
        else:
            connection = socket.socket()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        try:
            connection.settimeout(timeout)
            connection.connect(self.address)
        except BaseException:
            connection.close()
            raise
        return connection

    def is_alive(self):
        return self.process.poll() is None

    def is_serving(self):
        """Alive, and answers a new connection in time."""
        try:
            with self.connect(timeout=HANG_S) as connection:
                connection.sendall(b"mn\r\n")
                return connection.recv(4) != b""
        except OSError:
            return False

    def is_sanitized(self):
        """Built with a sanitizer: several times as slow."""
        with open(self.path, "rb") as binary:
            return re.search(rb"__[at]san_init", binary.read()) is not None

    def rss_bytes(self):
        """0 for a server that was built with a sanitizer, which keeps what was freed: then it says nothing."""
        if self.is_sanitized():
            return 0
        with open(f"/proc/{self.process.pid}/smaps_rollup") as pages:  # statm may be late, by more the more processors there are
            return int(re.search(r"Rss:\s+(\d+) kB", pages.read()).group(1)) * 1024

    def log_text(self):
        try:
            with open(os.path.join(self.directory, "log"), "rb") as log:
                return log.read()[-2000:].decode(errors="replace")
        except OSError:
            return ""
