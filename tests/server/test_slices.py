#!/usr/bin/env python3
"""What takes long is cut in slices: while one client's command goes over all memory, the others are answered. Nothing here is timed.

    test_slices.py SNUGD
"""

import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from waits import HANG_S

PROGRAM = sys.argv[1]
USER = pwd.getpwuid(os.geteuid()).pw_name
ITEMS = 300_000


class Server:
    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [PROGRAM, "-p", "-1", "-l", "127.0.0.1", "-u", USER, "--open-commands", "-v", "-m", "128", *arguments],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for line in self.process.stderr:
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                return
        raise AssertionError("it does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=HANG_S)
        assert self.process.returncode == 0, self.process.returncode

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=HANG_S)


def take(client, end=b"END\r\n"):
    answer = b""
    while not answer.endswith(end):
        part = client.recv(1 << 16)
        assert part, f"closed after {answer[-100:]}"
        answer += part
    return answer


def ask(client, command):
    client.sendall(command + b"\r\n")
    return take(client)


def fill(server, items=ITEMS):
    client = server.connect()
    for first in range(0, items, 1000):
        client.sendall(b"".join(b"set %d 0 0 20 noreply\r\n%020d\r\n" % (key, key) for key in range(first, first + 1000)))
    ask(client, b"get none")
    return client


CHECKS = 5  # in one piece each lets two answers through; in slices, dozens, fewer where the machine is busy


def answered_beside(server, client, command):
    """How many gets and sets are answered before the command is."""
    asker = server.connect()
    asker.sendall(command + b"\r\n")
    asker.setblocking(False)
    answered = 0
    while True:
        try:
            first = asker.recv(1 << 16)
            break
        except BlockingIOError:
            pass
        client.sendall(b"set new%d 0 0 1\r\nx\r\nget %d\r\n" % (answered, answered % ITEMS))
        take(client)
        answered += 1
    asker.settimeout(HANG_S)
    return answered, first if first.endswith(b"END\r\n") else first + take(asker)


def test_clients_are_answered_while_memory_is_checked():
    for threads in 1, 2:
        with Server("-t", str(threads)) as server:
            client = fill(server)
            total = 0
            for _ in range(CHECKS):
                answered, answer = answered_beside(server, client, b"snug check")
                assert answer.count(b":check ok\r\n") == threads, answer
                total += answered
            assert total >= 50, f"{threads} workers: {total} answers during {CHECKS} checks"


def test_checks_of_many_clients_end():
    with Server("-t", "2") as server:
        fill(server, 20000)
        askers = [server.connect() for _ in range(12)]
        for asker in askers:
            asker.sendall(b"snug check\r\n")
        for gone in askers[::3]:
            gone.close()
        for asker in (asker for i, asker in enumerate(askers) if i % 3):
            assert take(asker).count(b":check ok\r\n") == 2


def test_a_server_that_ends_waits_for_no_check():
    with Server("-t", "1") as server:
        fill(server)
        server.connect().sendall(b"snug check\r\n")


def test_each_connection_is_told_of_once_while_others_come_and_go():
    with Server("-t", "1", "-c", "2000") as server:
        stay = [server.connect() for _ in range(500)]
        asker = server.connect()
        for asked in range(6):
            others = [server.connect() for _ in range(40)]
            asker.sendall(b"stats conns\r\n")
            for other in others:
                other.close()
            answer = take(asker)
            states = re.findall(rb"STAT (\d+):state ", answer)
            assert len(states) == len(set(states)) and 501 <= len(states) <= 541 + 40, (asked, len(states))
        assert len(stay) == 500


FLOOD = 5000


def stop(process):
    """Until each of its threads stands still."""
    process.send_signal(signal.SIGSTOP)
    until = time.monotonic() + HANG_S
    states = {"R"}
    while states != {"T"} and time.monotonic() < until:
        tasks = [f"/proc/{process.pid}/task/{task}/stat" for task in os.listdir(f"/proc/{process.pid}/task")]
        states = {open(task).read().rpartition(")")[2].split()[0] for task in tasks}
    assert states == {"T"}, states


def test_a_flooder_leaves_the_others_their_turns():
    """Both have asked when the server looks: the number tells how many of the flooder's commands came before the other's only one."""
    for form in (["--io", "uring"], ["--io", "epoll"]):
        try:
            server = Server("-t", "1", *form)
        except AssertionError:
            assert form == ["--io", "uring"], form  # a kernel that does not let us
            continue
        with server:
            flooder, polite = server.connect(), server.connect()
            assert ask(polite, b"set n 0 0 1\r\n0\r\nget n").startswith(b"STORED\r\nVALUE n")
            assert ask(flooder, b"get n").startswith(b"VALUE n")
            stop(server.process)
            flooder.sendall(b"incr n 1\r\n" * FLOOD)
            polite.sendall(b"incr n 1\r\n")
            server.process.send_signal(signal.SIGCONT)
            before = int(take(polite, b"\r\n"))
            assert before <= 200, (form, before)
            answers = b""
            while answers.count(b"\r\n") < FLOOD:
                answers += take(flooder, b"\r\n")
            numbers = [int(number) for number in answers.split()]
            assert numbers == [number + (number >= before) for number in range(1, FLOOD + 1)], form
            assert int(re.search(rb"conn_yields (\d+)", ask(polite, b"stats"))[1]) > FLOOD / 100, form


sys.exit(run_tests(globals()))
