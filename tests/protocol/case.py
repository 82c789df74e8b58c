"""A case is a name and steps on one connection: what is sent, and what must come back.

    case("get of a missing key", (b"get @a\r\n", b"END\r\n"))

`@` becomes a word of four letters that no other case uses, so that cases share a server without meeting. A step may also be a number:
seconds to wait. What must come back may be a tuple: each of them is right. After the last step a barrier ("mn") shows that nothing else
came, unless the server was expected to close.
"""

import itertools
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from waits import HANG_S

from expectation import COMPLETE, HOLE, INCOMPLETE, compare_any

SHOWN_BYTES = 300
LONG_BYTES = 65536


class Case:
    def __init__(self, name, steps):
        self.name = name
        self.steps = steps


def case(name, *steps):
    return Case(name, steps)


def sequence(*parts):
    """The concatenation of answers, some of which may be tuples of alternatives."""
    choices = [part if isinstance(part, tuple) else (part,) for part in parts]
    return tuple(b"".join(choice) for choice in itertools.product(*choices))


class Failure(Exception):
    """What a failing case prints."""


def shown(data):
    if len(data) > SHOWN_BYTES:
        return f"{data[:SHOWN_BYTES]!r}... ({len(data)} bytes)"
    return repr(data)


class Conversation:
    """A connection with the bytes that came and were not yet asked for."""

    def __init__(self, connection):
        self.connection = connection
        self.pending = bytearray()
        self.at_end = False
        self.names = {}

    def close(self):
        self.connection.close()

    def send(self, data):
        try:
            self.connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what was answered before is still there to be read, and the end behind it

    def expect(self, expected, sent=b"", seconds=HANG_S):
        alternatives = expected if isinstance(expected, tuple) else (expected,)
        until = time.monotonic() + seconds
        if len(alternatives) == 1 and len(alternatives[0]) > LONG_BYTES and not HOLE.search(alternatives[0]):
            self._await_bytes(alternatives[0], until)
        while True:
            state, used = compare_any(alternatives, self.pending, self.at_end, self.names)
            if state == COMPLETE:
                del self.pending[:used]
                return
            if state != INCOMPLETE or not self._receive(until):
                break
        wanted = "\n        or  ".join(shown(alternative) for alternative in alternatives)
        ending = " and closed" if self.at_end else ""
        raise Failure(f"  sent      {shown(sent)}\n  expected  {wanted}\n  got       {shown(bytes(self.pending))}{ending}")

    def _await_bytes(self, expected, until):
        """Long answers are not compared from their beginning with each piece that arrives."""
        checked = 0
        while len(self.pending) < len(expected):
            piece = self.pending[checked:]
            if piece != expected[checked : checked + len(piece)]:
                return
            checked += len(piece)
            if self.at_end or not self._receive(until):
                return

    def _receive(self, until):
        left = until - time.monotonic()
        if left <= 0:
            return False
        self.connection.settimeout(left)
        try:
            data = self.connection.recv(1 << 20)
        except TimeoutError:
            return False
        except ConnectionResetError:
            data = b""
        self.at_end = not data
        self.pending += data
        return True

    def receive_more(self, seconds=HANG_S):
        """False: nothing has come in time."""
        return self._receive(time.monotonic() + seconds)

    def ask(self, data, expected, seconds=HANG_S):
        self.send(data)
        self.expect(expected, data, seconds)

    def receive_until(self, ending, seconds=HANG_S):
        """All bytes up to and with `ending`, which must be the last that came."""
        until = time.monotonic() + seconds
        while not self.pending.endswith(ending):
            if self.at_end or not self._receive(until):
                raise Failure(f"  expected  ... {shown(ending)}\n  got       {shown(bytes(self.pending[-SHOWN_BYTES:]))}")
        data, self.pending = bytes(self.pending), bytearray()
        return data


def ends_closed(expected):
    alternatives = expected if isinstance(expected, tuple) else (expected,)
    return any(alternative.endswith(b"<eof>") for alternative in alternatives)
