#!/usr/bin/env python3
"""lru_crawler metadump and mgdump, stats cachedump: all keys, at the pace of who reads them, over all workers.

    test_key_dumps.py SNUGD
"""

import base64
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from foreground import Asked
from waits import HANG_S

SNUGD = sys.argv[1]
USER = pwd.getpwuid(os.geteuid()).pw_name
MEMCDUMP = shutil.which("memcdump")


class Snugd(Asked):
    def __init__(self, directory, *arguments):
        self.control = os.path.join(directory, "control")
        super().__init__([SNUGD, "-p", "-1", "-u", USER, "-v", "-t", "3", "-m", "100", "--control", self.control, *arguments])

    def fill(self, count):
        self.client.sendall(b"".join(b"set key-%d 0 0 1 noreply\r\nx\r\n" % number for number in range(count)) + b"mn\r\n")
        assert self.answers.readline() == b"MN\r\n"
        return {b"key-%d" % number for number in range(count)}

    def lines(self, text, end=b"END\r\n"):
        self.client.sendall(text)
        return list(iter(self.answers.readline, end))


def snugd(*arguments):
    directory = tempfile.TemporaryDirectory()
    server = Snugd(directory.name, *arguments)
    server.directory = directory
    return server


def test_what_is_told_of_an_item():
    with snugd() as server:
        now = int(time.time())
        server.set(b"plain", b"value", 7, 0)
        server.set(b"dated", b"", 0, 1000)
        assert server.ask(b"ms %s 1 b\r\nv\r\n" % base64.b64encode(b"two words\n")).startswith(b"HD")
        server.ask(b"mg plain c\r\n")
        told = server.lines(b"lru_crawler metadump all\r\n")
        assert told[0] == b"OK\r\n"
        fields = {}
        for line in told[1:]:
            match = re.fullmatch(rb"key=(\S+) exp=(-?\d+) la=(\d+) cas=(\d+) fetch=(yes|no) cls=1 size=(\d+) flags=(\d+) \n", line)
            fields[urllib.parse.unquote_to_bytes(match[1].decode())] = match
        assert set(fields) == {b"plain", b"dated", b"two words\n"}, told
        plain, dated = fields[b"plain"], fields[b"dated"]
        assert plain[2] == b"-1" and plain[5] == b"yes" and plain[7] == b"7" and int(plain[4]) > 0
        assert dated[5] == b"no" and 0 <= int(dated[2]) - now - 1000 <= 60
        assert 0 <= int(dated[3]) - now <= 60
        assert set(server.lines(b"lru_crawler mgdump hash\r\n", b"EN\r\n")[1:]) == {
            b"mg plain\r\n", b"mg dated\r\n", b"mg %s b\r\n" % base64.b64encode(b"two words\n")}
        told = server.lines(b"stats cachedump 1 0\r\n")
        assert b"ITEM plain [5 b; 0 s]\r\n" in told and len(told) == 2, "a key that is no word is left out"
        assert len(server.lines(b"stats cachedump 1 1\r\n")) == 1
        assert server.lines(b"stats cachedump 2 0\r\n") == []


def test_all_are_told_once_and_others_are_served():
    with snugd() as server:
        keys = server.fill(60000)
        with socket.create_connection(("127.0.0.1", server.port), HANG_S) as other, socket.create_connection(("127.0.0.1", server.port), HANG_S) as slow:
            slow.sendall(b"lru_crawler metadump all\r\nmn\r\n")  # nobody reads it
            other.sendall(b"lru_crawler mgdump all\r\nversion\r\n")
            asked = server.ask(b"get key-1\r\n")
            assert asked == b"VALUE key-1 0 1", asked
            server.answers.readline(), server.answers.readline()
            with other.makefile("rb") as answers:
                told = [line[3:-2] for line in iter(answers.readline, b"EN\r\n")][1:]
                assert len(told) == len(keys) and set(told) == keys
                assert answers.readline().startswith(b"VERSION"), "what was asked behind it"
            held = [int(line.split()[2]) for line in server.lines(b"stats conns\r\n") if b"held_bytes" in line]
            assert max(held) < 300000, held
            with slow.makefile("rb") as answers:
                told = list(iter(answers.readline, b"END\r\n"))
                assert len(told) == len(keys) + 1 and answers.readline() == b"MN\r\n"


def test_a_client_that_goes_leaves_nothing():
    with snugd() as server:
        server.fill(30000)
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port), HANG_S) as client:
                client.sendall(b"lru_crawler metadump all\r\n")
                client.recv(100)
        assert len(server.lines(b"lru_crawler metadump all\r\n")) == 30001


def test_where_it_is_refused():
    words = {
        b"lru_crawler metadump all": b"ERROR metadump not allowed",
        b"lru_crawler mgdump all": b"ERROR key dump not allowed",
        b"stats cachedump 1 0": b"CLIENT_ERROR stats cachedump not allowed",
    }
    for option in ("-X", "--control-only"):
        with snugd(option) as server:
            server.fill(3000)
            for command, refusal in words.items():
                assert server.ask(command + b"\r\n") == refusal, command
            with socket.socket(socket.AF_UNIX) as door:
                door.connect(server.control)
                door.sendall(b"lru_crawler mgdump all\r\nlru_crawler enable\r\n")
                with door.makefile("rb") as answers:
                    assert len(list(iter(answers.readline, b"EN\r\n"))) == 3001, "the operator has it"
                    assert answers.readline() == b"OK\r\n"


def test_rights():
    with tempfile.TemporaryDirectory() as directory:
        users = os.path.join(directory, "users")
        with open(users, "w", encoding="ascii") as file:
            file.write("reader(read):a\nwriter(write):w\n")
        with snugd("-Y", users) as server:
            server.ask(b"set l 0 0 8\r\nwriter w\r\n")
            for command in (b"lru_crawler metadump all", b"stats cachedump 1 0"):
                assert b"not allowed" in server.ask(command + b"\r\n")
            server.client.close()
            server.client = socket.create_connection(("127.0.0.1", server.port), HANG_S)
            server.answers = server.client.makefile("rb")
            server.ask(b"set l 0 0 8\r\nreader a\r\n")
            assert server.lines(b"lru_crawler metadump all\r\n") == [b"OK\r\n"]


def test_memcached_s_other_words():
    with snugd() as server:
        for command, answer in (
            (b"lru_crawler", b"ERROR"),
            (b"lru_crawler metadump", b"ERROR"),
            (b"lru_crawler metadump 64", b"BADCLASS invalid class id"),
            (b"lru_crawler crawl x", b"BADCLASS invalid class id"),
            (b"lru_crawler crawl all", b"OK"),
            (b"lru_crawler enable", b"OK"),
            (b"lru_crawler disable", b"ERROR failed to stop lru crawler thread"),
            (b"lru_crawler sleep 100", b"OK"),
            (b"lru_crawler sleep 1000001", b"CLIENT_ERROR sleep must be one second or less"),
            (b"lru_crawler tocrawl -1", b"CLIENT_ERROR bad command line format"),
            (b"stats cachedump 1", b"CLIENT_ERROR bad command line"),
            (b"stats cachedump 1 x", b"CLIENT_ERROR bad command line format"),
            (b"stats cachedump 64 0", b"CLIENT_ERROR Illegal slab id"),
        ):
            assert server.ask(command + b"\r\n") == answer, command


def test_memcdump():
    if MEMCDUMP is None:
        return
    with snugd() as server:
        keys = server.fill(2000)
        server.set(b"large", b"x" * 300000)
        done = subprocess.run([MEMCDUMP, f"--servers=127.0.0.1:{server.port}"], capture_output=True, timeout=HANG_S)
        assert set(done.stdout.split()) == keys | {b"large"}, done.stderr
        assert len(done.stdout.split()) == 2001


sys.exit(run_tests(globals()))
