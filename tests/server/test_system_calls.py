#!/usr/bin/env python3
"""How many calls of the system a request takes: one client, one get at a time, each of which meets a server that sleeps. Counted by strace; skipped
where it is missing, or may not look.

    test_system_calls.py SNUGD

Over io_uring one call sends the answer and waits for the next request; over epoll each request is received, answered and waited for. What a second of
its own brings is allowed for each second that the requests took, which is one on a machine that does nothing else.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from waits import HANG_S

PROGRAM = sys.argv[1]
USER = pwd.getpwuid(os.geteuid()).pw_name
REQUESTS = 300
BOUNDS = {"uring": 1.15, "epoll": 3.15}  # calls a request
OWN_CALLS = 200  # a second: ticks, and looks at what is resident
SKIPPED = 77


def begin(io):
    server = subprocess.Popen(
        [PROGRAM, "-p", "-1", "-l", "127.0.0.1", "-u", USER, "-v", "-m", "64", "-t", "1", "--io", io],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in server.stderr:
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        if found:
            return server, int(found.group(1))
    server.wait()
    return None, 0


def trace(server):
    """strace on all of the server's threads, at work; None: it may not."""
    tracer = subprocess.Popen(["strace", "-f", "-c", "-p", str(server.pid)], stderr=subprocess.PIPE, text=True)
    line = tracer.stderr.readline()
    if "attached" in line:
        return tracer
    tracer.kill()
    tracer.communicate()
    return None


def ask(client, command, end):
    client.sendall(command)
    answer = b""
    while not answer.endswith(end):
        part = client.recv(4096)
        assert part, answer
        answer += part


def calls_of(summary):
    return {fields[-1]: int(fields[3]) for fields in map(str.split, summary.splitlines()) if len(fields) >= 5 and re.match(r"[\d.]+$", fields[0])}


def measure(io):
    server, port = begin(io)
    if server is None:
        return None
    try:
        client = socket.create_connection(("127.0.0.1", port), timeout=HANG_S)
        ask(client, b"set k 0 0 1\r\nv\r\n", b"STORED\r\n")
        tracer = trace(server)
        if tracer is None:
            return None
        began = time.monotonic()
        for _ in range(REQUESTS):
            time.sleep(0.002)  # so that it sleeps
            ask(client, b"get k\r\n", b"END\r\n")
        seconds = time.monotonic() - began
        tracer.send_signal(signal.SIGINT)
        calls = calls_of(tracer.communicate(timeout=HANG_S)[1])
        client.close()
    finally:
        server.terminate()
        server.communicate(timeout=HANG_S)
    calls.pop("total", None)
    return seconds, calls


def main():
    if shutil.which("strace") is None:
        return SKIPPED
    measured = {io: measure(io) for io in BOUNDS}
    for io, found in measured.items():
        if found is None:
            print(f"{io}: skipped")
            continue
        seconds, calls = found
        told = ", ".join(f"{name} {count / REQUESTS:.2f}" for name, count in sorted(calls.items()) if count >= 0.05 * REQUESTS)
        print(f"{io}: {sum(calls.values()) / REQUESTS:.2f} calls a request: {told}; {seconds:.1f} s")
        assert sum(calls.values()) <= BOUNDS[io] * REQUESTS + OWN_CALLS * seconds, f"{io}: too many calls"
    return SKIPPED if not any(measured.values()) else 0


sys.exit(main())
