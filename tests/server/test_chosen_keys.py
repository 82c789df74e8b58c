#!/usr/bin/env python3
"""Keys that somebody has chosen who knows the secret, to meet in one place of the index: they make it slower there, and do nothing else.

    test_chosen_keys.py SNUGD CHOSEN_KEYS
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "protocol")]
from cases import run_tests
from waits import HANG_S
from server_process import Server

PROGRAM, CHOSEN_KEYS = sys.argv[1], sys.argv[2]
SECRET = "00112233445566778899aabbccddeeff"
FEW, MANY = 20_000, 100_000
FORMS = (["-t", "1"], ["-t", "3", "--io", "epoll"])


def chosen_keys(count=1000, width=0.0005):
    """All of one of 2000 places: of one group of the index, at the sizes it has here, or of a few beside each other."""
    answer = subprocess.run([CHOSEN_KEYS, SECRET, "0.5", str(width), str(count)], stdout=subprocess.PIPE, check=True, text=True)
    return answer.stdout.split()


class Client:
    def __init__(self, server):
        self.socket = server.connect(timeout=HANG_S)
        self.file = self.socket.makefile("rwb")

    def ask(self, commands, lines):
        self.file.write(commands)
        self.file.flush()
        return [self.file.readline() for _ in range(lines)]

    def ask_to_end(self, command):
        self.file.write(command + b"\r\n")
        self.file.flush()
        answer = []
        while not answer or answer[-1] != b"END\r\n":
            answer.append(self.file.readline())
            assert answer[-1], "closed"
        return answer

    def every(self, keys, command, expected, lines=1):
        """How many of the keys are answered as expected."""
        good = 0
        for first in range(0, len(keys), 500):
            part = keys[first : first + 500]
            answers = self.ask(b"".join(command % key.encode() for key in part), lines * len(part))
            good += sum(b"".join(answers[at : at + lines]) == expected(key) for at, key in zip(range(0, len(answers), lines), part))
        return good

    def store(self, keys):
        return self.every(keys, b"set %s 0 0 1\r\nv\r\n", lambda _: b"STORED\r\n")

    def find(self, keys):
        return self.every(keys, b"mg %s v\r\n", lambda _: b"VA 1\r\nv\r\n", 2)

    def miss(self, keys):
        return self.every(keys, b"mg %s v\r\n", lambda _: b"EN\r\n")

    def delete(self, keys):
        return self.every(keys, b"delete %s\r\n", lambda _: b"DELETED\r\n")

    def check(self):
        lines = self.ask_to_end(b"snug check")[:-1]
        assert lines and all(line.endswith(b":check ok\r\n") for line in lines), lines


def others(first, last):
    return [f"user:{number}" for number in range(first, last)]


def test_chosen_keys_are_kept_while_the_index_grows_and_shrinks():
    keys = chosen_keys()
    for form in FORMS:
        with Server(PROGRAM, ["-m", "64", "--open-commands", "--hash-secret", SECRET, *form]) as server:
            client = Client(server)
            assert client.store(others(0, FEW)) == FEW, form
            assert client.store(keys) == len(keys), f"{form}: some were refused"
            assert client.find(keys) == len(keys), form
            assert client.store(others(FEW, MANY)) == MANY - FEW, form
            client.check()
            assert client.find(keys) == len(keys), f"{form}: some were lost while the index grew"
            assert client.delete(others(0, MANY)) == MANY, form
            client.check()
            assert client.find(keys) == len(keys), f"{form}: some were lost while the index shrank"


def test_flushes_end_after_chosen_keys():
    keys = chosen_keys()
    with Server(PROGRAM, ["-m", "64", "--open-commands", "--hash-secret", SECRET, "-t", "1"]) as server:
        client = Client(server)
        for number in range(8):
            assert client.store(keys) == len(keys)
            assert client.ask(b"flush_all\r\nget %s\r\n" % keys[0].encode(), 2) == [b"OK\r\n", b"END\r\n"], number
            assert client.miss(keys) == len(keys), number
        client.check()


def test_the_secret_is_told_nobody():
    with Server(PROGRAM, ["--hash-secret", SECRET]) as server:
        client = Client(server)
        for command in (b"stats", b"stats settings"):
            text = b"".join(client.ask_to_end(command))
            assert SECRET.encode() not in text and b"secret" not in text, command


def test_a_secret_of_another_form_is_refused():
    for secret in ("", "00", SECRET + "00", SECRET[:-1] + "g"):
        ended = subprocess.run([PROGRAM, "-p", "-1", "--hash-secret", secret], stderr=subprocess.PIPE, text=True, timeout=HANG_S)
        assert ended.returncode != 0 and "--hash-secret" in ended.stderr, (secret, ended)


sys.exit(run_tests(globals()))
