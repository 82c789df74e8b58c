"""snugd in the foreground: started, waited for until it says that it listens, and gone at the end of `with`."""

import re
import socket
import subprocess

from waits import HANG_S


class Foreground:
    """`said`: the lines of its log so far, of which the last says where it listens."""

    def __init__(self, command, **options):
        self.said = []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)

    def __enter__(self):
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))
            if "listening on" in line:
                return self
        self.__exit__()
        raise AssertionError(f"not ready, status {self.process.returncode}: {self.said}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    @property
    def ready(self):
        return self.said[-1]

    @property
    def port(self):
        """Of 127.0.0.1; None: it listens on none."""
        found = re.search(r"127\.0\.0\.\d+:(\d+)", self.ready)
        return int(found.group(1)) if found else None


class Asked(Foreground):
    """One with a connection of the test's own, in text."""

    def __enter__(self):
        super().__enter__()
        self.client = socket.create_connection(("127.0.0.1", self.port), HANG_S)
        self.answers = self.client.makefile("rb")
        return self

    def ask(self, text):
        self.client.sendall(text)
        return self.answers.readline().rstrip(b"\r\n")

    def set(self, key, value, flags=0, expires=0):
        assert self.ask(b"set %s %d %d %d\r\n%s\r\n" % (key, flags, expires, len(value), value)) == b"STORED"
