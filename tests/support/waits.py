"""How long tests wait.

What must happen is waited for until it has happened. HANG_S ends a wait that would never end. It says nothing of speed: a machine with other work
is slow, not wrong. So no test names seconds of its own for this, and tests/tree/check_waits.py looks for those that do.

    client.settimeout(HANG_S)
    wait_until(lambda: not server.is_alive(), "the server ends")

Where the claim itself is about time ("who reads is not kept waiting"), its bound is for a machine that does nothing else, and grows with how many want
each processor:

    with Soon(2, "a bystander's get"):
        ask(b"get key")
"""

import os
import time

HANG_S = 120
RUN_HANG_S = 5 * HANG_S  # a program that is itself at work for a while


def wait_until(holds, what="waited in vain", pause_s=0.02):
    """Returns once `holds()`. A test that waits in vain fails and tells `what`; it may be a function that returns what is told then."""
    until = time.monotonic() + HANG_S
    while not holds():
        assert time.monotonic() < until, f"not within {HANG_S} s: {what() if callable(what) else what}"
        time.sleep(pause_s)


def times_as_busy():
    """How many want each of our processors, now or in the last minute; at least 1."""
    with open("/proc/loadavg", encoding="ascii") as figures:
        last_minute, _, _, running = figures.read().split()[:4]
    return max(1, max(float(last_minute), int(running.split("/")[0])) / len(os.sched_getaffinity(0)))


class Soon:
    """What is done within takes at most `seconds`, times as long on a machine that is busy."""

    def __init__(self, seconds, what=""):
        self.seconds = seconds
        self.what = what

    def __enter__(self):
        self.busy = times_as_busy()
        self.began = time.monotonic()
        return self

    def __exit__(self, problem, *_):
        took = time.monotonic() - self.began
        allowed = self.seconds * max(self.busy, times_as_busy())
        assert problem or took <= allowed, f"{self.what} took {took:.1f} s, where {allowed:.1f} are allowed"
