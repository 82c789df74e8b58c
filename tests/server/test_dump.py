#!/usr/bin/env python3
"""snugctl dump and load: all items of one server, stored in another, with their flags, dates and bytes.

    test_dump.py SNUGCTL SNUGD
"""

import base64
import contextlib
import os
import pwd
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from foreground import Asked
from waits import HANG_S

SNUGCTL, SNUGD = sys.argv[1:]
USER = pwd.getpwuid(os.geteuid()).pw_name
LARGE = 64 << 10


class Snugd(Asked):
    """One that runs in the foreground, until the end of `with`."""

    def __init__(self, directory, *arguments):
        self.control = os.path.join(directory, f"control-{id(self)}")
        super().__init__([SNUGD, "-p", "-1", "-u", USER, "-v", "-t", "3", "-m", "200", "-I", "4m", "--control", self.control, *arguments])

    def get(self, key):
        """(flags, seconds left, value), or None. A key that is no word is asked for in base64."""
        is_word = re.fullmatch(rb"[!-~]+", key) is not None
        head = self.ask(b"mg %s v f t%s\r\n" % ((key, b"") if is_word else (base64.b64encode(key), b" b")))
        if head == b"EN":
            return None
        length, flags, left = re.match(rb"VA (\d+) f(\d+) t(-?\d+)", head).groups()
        value = self.answers.read(int(length) + 2)[:-2]
        return int(flags), int(left), value

    def stat(self, name):
        self.client.sendall(b"stats\r\n")
        found = None
        while (line := self.answers.readline()) != b"END\r\n":
            words = line.split()
            if words[1] == name:
                found = int(words[2])
        return found


@contextlib.contextmanager
def two_servers():
    with tempfile.TemporaryDirectory() as directory, Snugd(directory) as one, Snugd(directory, "-t", "2") as other:
        yield one, other


def dump(server, *options):
    return subprocess.run([SNUGCTL, "-p", str(server.port), *options, "dump"], capture_output=True, timeout=HANG_S)


def load(server, text):
    return subprocess.run([SNUGCTL, "-p", str(server.port), "load"], input=text, capture_output=True, timeout=HANG_S)


def fill(server):
    """All kinds; tells what is where."""
    chance = random.Random(20261130)
    items = {}
    now = int(time.time())
    for number in range(3000):
        size = chance.choice([0, 1, 30, 500, 5000]) if number % 50 else chance.choice([LARGE - 1, LARGE, LARGE + 1, 300000, 2000000])
        flags, expires = chance.choice([0, 7, 4294967295]), chance.choice([0, now + 5000])
        key = b"key-%d" % number
        value = chance.randbytes(min(size, 1000)) * (size // min(size, 1000) if size else 0)
        server.set(key, value, flags, expires)
        items[key] = (flags, expires, value)
    key = b"two words\n\x00and \xff more"
    encoded = base64.b64encode(key)
    assert server.ask(b"ms %s 5 b F3 T900\r\nEND\r\n\r\n" % encoded).startswith(b"HD")
    items[key] = (3, now + 900, b"END\r\n")
    return items


def expect(server, items):
    now = time.time()
    for key, (flags, expires, value) in items.items():
        got = server.get(key)
        assert got is not None, key
        assert (got[0], got[2]) == (flags, value), key
        left = -1 if expires == 0 else expires - now
        assert abs(got[1] - left) < 10 + (time.time() - now), (key, got[1], left)


def test_another_server_has_it_all():
    with two_servers() as (one, other):
        items = fill(one)
        before = one.stat(b"get_hits")
        dumped = dump(one)
        assert dumped.returncode == 0, dumped.stderr
        assert b"3,001 items" in dumped.stderr, dumped.stderr
        large = sum(len(value) > LARGE for _, _, value in items.values())
        assert large > 5
        assert one.stat(b"get_hits") - before == large, "others are not got for it"
        loaded = load(other, dumped.stdout)
        assert loaded.returncode == 0, loaded.stderr
        assert b"3,001 items stored, 0 refused" in loaded.stderr, loaded.stderr
        expect(other, items)
        assert other.stat(b"curr_items") == 3001


def test_a_pipe_into_any_server_does():
    with two_servers() as (one, other):
        items = fill(one)
        other.client.sendall(dump(one).stdout + b"version\r\n")
        assert other.answers.readline().startswith(b"VERSION"), "nothing is answered but what was asked last"
        expect(other, items)


def test_what_is_not_there_is_not_dumped():
    with two_servers() as (one, _):
        one.set(b"gone", b"1")
        one.set(b"stale", b"2")
        one.set(b"short", b"3", 0, 1)
        one.set(b"stays", b"4")
        assert one.ask(b"delete gone\r\n") == b"DELETED"
        assert one.ask(b"md stale I\r\n").startswith(b"HD")
        assert one.ask(b"mg empty N60 v\r\n").startswith(b"VA 0")
        one.answers.readline()
        time.sleep(2.1)
        assert dump(one).stdout == b"set stays 0 0 1 noreply\r\n4\r\n"
        one.ask(b"flush_all\r\n")
        assert dump(one).stdout == b""


def parts(server):
    """All items by hand, and each of the parts."""
    at = b""
    while True:
        lines, head = [], server.ask(b"snug items%s\r\n" % at)
        while not head.startswith((b"NEXT", b"END")):
            assert head.startswith(b"set "), head
            words = head.split()
            lines.append((words[1], server.answers.read(int(words[4]) + 2)[:-2]))
            head = server.answers.readline().rstrip(b"\r\n")
        yield lines
        if head == b"END":
            return
        at = head[len(b"NEXT"):]


def test_each_is_told_once_while_the_index_changes():
    with two_servers() as (one, _):
        for number in range(20000):
            one.set(b"old-%d" % number, b"x" * 40)
        seen, stop = [], threading.Event()

        def disturb():
            with socket.create_connection(("127.0.0.1", one.port), HANG_S) as client:
                number = 0
                while not stop.is_set():
                    client.sendall(b"".join(b"set new-%d 0 0 1 noreply\r\ny\r\n" % (number + i) for i in range(500)) + b"version\r\n")
                    client.recv(100)
                    number += 500
                    if number % 60000 == 0:
                        client.sendall(b"".join(b"delete new-%d noreply\r\n" % i for i in range(number)) + b"version\r\n")
                        client.recv(100)

        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            largest = 0
            for lines in parts(one):
                seen += [key for key, _ in lines if key.startswith(b"old-")]
                largest = max(largest, sum(len(key) + len(value) for key, value in lines))
        finally:
            stop.set()
            thread.join()
        assert len(seen) == len(set(seen)), "twice"
        assert set(seen) == {b"old-%d" % number for number in range(20000)}
        assert largest < 3 * LARGE


def test_it_goes_on_where_it_was_interrupted():
    with two_servers() as (one, _):
        for number in range(30000):
            one.set(b"k%d" % number, b"v" * 50)
        whole = dump(one).stdout
        cut = subprocess.Popen([SNUGCTL, "-p", str(one.port), "--rate", "500k", "--timeout", "1", "dump"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        first = b""
        while len(first) < 400000:
            first += cut.stdout.read(65536)
        one.process.send_signal(signal.SIGSTOP)
        try:
            rest, told = cut.communicate(timeout=HANG_S)
        finally:
            one.process.send_signal(signal.SIGCONT)
        assert cut.returncode == 1, told
        first, told = first + rest, told.decode()
        at = re.search(r"--from '(\d+ \d+)'", told).group(1)
        rest = dump(one, "--from", at)
        assert rest.returncode == 0
        keys = re.compile(rb"set (k\d+) ")
        assert set(keys.findall(first)) | set(keys.findall(rest.stdout)) == set(keys.findall(whole))
        assert len(rest.stdout) < len(whole)


def test_a_reader_that_goes_is_told():
    with two_servers() as (one, _):
        for number in range(3000):
            one.set(b"k%d" % number, b"v" * 100)
        cut = subprocess.Popen([SNUGCTL, "-p", str(one.port), "dump"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        cut.stdout.close()
        told = cut.stderr.read()
        assert cut.wait(HANG_S) == 1
        assert b"Broken pipe" in told and b"--from '0 0'" in told, told


def test_a_rate_is_kept():
    with two_servers() as (one, _):
        for number in range(2000):
            one.set(b"k%d" % number, b"v" * 450)
        began = time.monotonic()
        assert dump(one, "--rate", "1m").returncode == 0
        assert time.monotonic() - began > 0.7


def test_what_is_refused_is_counted():
    with two_servers() as (one, other):
        text = b"set fits 0 0 1 noreply\r\n1\r\nset large 0 0 5000000 noreply\r\n%s\r\nset too 0 0 1 noreply\r\n2\r\n" % (b"x" * 5000000)
        loaded = load(other, text)
        assert loaded.returncode == 1
        assert b"2 items stored, 1 refused" in loaded.stderr, loaded.stderr
        assert load(other, b"get x\r\n").returncode == 1
        assert load(other, b"set half 0 0 10 noreply\r\nabc").returncode == 1
        assert load(one, b"").returncode == 0


def test_a_full_disk_is_told():
    with two_servers() as (one, _):
        one.set(b"k", b"v")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([SNUGCTL, "-p", str(one.port), "dump"], stdout=full, stderr=subprocess.PIPE, timeout=HANG_S)
        assert done.returncode == 1
        assert b"No space left" in done.stderr


def test_a_server_that_asks_is_told_who_it_is():
    with tempfile.TemporaryDirectory() as directory:
        users, login = os.path.join(directory, "users"), os.path.join(directory, "login")
        with open(users, "w", encoding="ascii") as file:
            file.write("reader(read):a b\nwriter(write):w\n")
        with Snugd(directory, "-Y", users) as one:

            def run(who, command, text=b""):
                with open(login, "w", encoding="ascii") as file:
                    file.write(who)
                return subprocess.run([SNUGCTL, "-p", str(one.port), "--login", login, command], input=text, capture_output=True, timeout=HANG_S)

            item = b"set k 0 0 1 noreply\r\nv\r\n"
            assert run("writer:w\n", "load", item).returncode == 0
            assert run("reader:a b", "dump").stdout == item
            assert b"not allowed" in run("writer:w", "dump").stderr
            assert run("reader:a b", "load", item).returncode == 1
            assert b"authentication failure" in run("reader:x", "dump").stderr
            assert b"NAME:PASSWORD" in run("reader", "dump").stderr
            refused = dump(one)
            assert refused.returncode == 1 and b"--login" in refused.stderr, refused.stderr


def test_it_is_had_where_the_port_tells_no_items():
    """As snugd.conf has it: snugctl asks the operator's socket, and the port for values that are large."""
    for option in ("--control-only", "-X"):
        with tempfile.TemporaryDirectory() as directory, Snugd(directory, option) as one:
            one.set(b"small", b"v")
            one.set(b"large", b"x" * (2 * LARGE))
            assert b"control socket takes it: " in one.ask(b"snug items\r\n")
            done = dump(one)
            assert done.returncode == 0, done.stderr
            assert sorted(re.findall(rb"set (\w+) ", done.stdout)) == [b"large", b"small"], done.stderr
            assert b"x" * (2 * LARGE) in done.stdout


def test_a_long_name_and_password():
    with tempfile.TemporaryDirectory() as directory:
        users, login = os.path.join(directory, "users"), os.path.join(directory, "login")
        for path, text in ((users, "n" * 128 + ":" + "p" * 384 + "\n"), (login, "n" * 128 + ":" + "p" * 384 + "\n")):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        with Snugd(directory, "-Y", users) as one:
            done = dump(one, "--login", login)
            assert done.returncode == 0, done.stderr
            with open(login, "w", encoding="ascii") as file:
                file.write("n:" + "p" * 2000)
            assert b"too long" in dump(one, "--login", login).stderr


def test_dates_of_binary_clients():
    """They have 32 bits; lines have 31."""
    with two_servers() as (one, other):
        with socket.create_connection(("127.0.0.1", one.port), HANG_S) as client:
            for key in (b"plain", b"two words"):
                client.sendall(struct.pack(">BBHBBHI4sQII", 0x80, 1, len(key), 8, 0, 0, 8 + len(key) + 1, b"tick", 0, 7, 0xFFFFFFF0) + key + b"v")
                assert client.recv(24, socket.MSG_WAITALL)[6:8] == b"\0\0"
        dumped = dump(one)
        assert b" 2147483647 " in dumped.stdout and b"T2147483647\r\n" in dumped.stdout, dumped.stdout
        loaded = load(other, dumped.stdout)
        assert loaded.returncode == 0, loaded.stderr
        for key in (b"plain", b"two words"):
            assert other.get(key)[::2] == (7, b"v")


# ------------------------------------------------------------------ liars


HOSTILE = (
    b"set k 0 0 2147483648",
    b"set k 0 0 18446744073709551614",
    b"set k 0 0 18446744073709551615",
    b"set k 4294967296 0 11",
    b"set k 0 -1 11",
    b"set " + b"k" * 251 + b" 0 0 11",
    b"set " + b"k" * 3000 + b" 0 0 11",
    b"set k 0 0 11 noreply noreply",
    b"set k 0 0 11 noreply\rflush_all",
    b"set k\x01 0 0 11",
    b"set k 0 0 11\0",
    b"ms k 11 Z",
    b"ms k 11 q F0 q",
    b"ms k 11 MA",
    b"ms " + b"A" * 340 + b" 11 b",
    b"ms k 18446744073709551614 b",
    b"flush_all",
)


def test_a_load_brings_items_and_nothing_else():
    """A line that the server would refuse has a value behind it that is a command."""
    with two_servers() as (one, _):
        one.set(b"canary", b"x")
        for line in HOSTILE:
            done = subprocess.run(
                [SNUGCTL, "-p", str(one.port), "--timeout", "5", "load"], input=line + b"\r\nflush_all\r\n\r\nflush_all\r\n", capture_output=True, timeout=HANG_S
            )
            assert done.returncode == 1 and b"no answer in time" not in done.stderr, (line, done)
            assert b"\r" not in done.stderr and b"\x01" not in done.stderr
            assert one.get(b"canary") is not None, line
        done = load(one, b"ms q 1 q T0\r\n1\r\nms b 1 F3 b q\r\n2\r\nset noreply 0 0 1 noreply\r\n3\r\nms bbbb 1 F3 b q\r\n4\r\n")
        assert b"3 items stored, 1 refused" in done.stderr, done.stderr
        assert one.get(b"q") is not None and one.get(b"noreply") is not None and one.get(base64.b64decode(b"bbbb")) is not None


def dump_of(*answers, endless=b""):
    """What snugctl makes of a server that says this, to one question each, when it has told that the port tells of items."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            client, _ = listener.accept()
            with client, client.makefile("rb") as questions, contextlib.suppress(OSError):
                for answer in (b"CLIENT_ERROR usage\r\n", *answers):
                    questions.readline()
                    client.sendall(answer)
                while endless:
                    client.sendall(endless)
                while questions.readline():
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        done = subprocess.run([SNUGCTL, "-p", str(listener.getsockname()[1]), "--timeout", "60", "dump"], capture_output=True, timeout=HANG_S)
        thread.join()
        return done


def test_a_server_that_lies():
    item = b"set k 0 0 1 noreply\r\nv\r\n"
    assert dump_of(item + b"END\r\n").stdout == item
    done = dump_of(item + b"NEXT 0 5\r\n", item + b"NEXT 1 3\r\n", b"END\r\n")
    assert done.stdout == item * 2, done
    for line in HOSTILE:
        done = dump_of(line + b"\r\nflush_all\r\n\r\nEND\r\n")
        assert done.returncode == 1 and done.stdout == b"", (line, done)
    for place in (b"0 0", b"x y", b"0 18446744073709551616", b"0", b"0 5 6", b"0 5'; reboot; '", b"0 5\x1b[31m"):
        done = dump_of(b"NEXT %s\r\n" % place)
        assert done.returncode == 1 and done.stderr.endswith(b"dump --from '0 0'\n"), (place, done)
        assert b"\x1b" not in done.stderr
    done = dump_of(b"NEXT 1 5\r\n", b"NEXT 0 9\r\n")
    assert done.returncode == 1 and done.stderr.endswith(b"dump --from '1 5'\n"), done
    large = b"LARGE k 0 0 70000\r\n"
    assert dump_of(endless=large * 1000).returncode == 1, "however many are promised, a part has an end"
    assert dump_of(endless=b"x" * 100000).returncode == 1
    for found in (b"VA 18446744073709551615 f0 t-1", b"VA 1 f4294967296 t-1", b"VA 1 f0", b"VA x f0 t0", b"HD", b"VA 1\0 f0 t-1"):
        done = dump_of(large + b"END\r\n", found + b"\r\nv\r\n")
        assert done.returncode == 1 and done.stdout == b"", (found, done)
    done = dump_of(large + b"END\r\n", b"VA 1 f0 t18446744073709551614\r\nv\r\n")
    assert done.stdout == b"set k 0 2147483647 1 noreply\r\nv\r\n", done


def test_a_server_that_does_not_ask_gets_no_password():
    with tempfile.TemporaryDirectory() as directory, Snugd(directory) as one:
        login = os.path.join(directory, "login")
        with open(login, "w", encoding="ascii") as file:
            file.write("reader:secret")
        done = subprocess.run([SNUGCTL, "-p", str(one.port), "--login", login, "dump"], capture_output=True, timeout=HANG_S)
        assert done.returncode == 0 and b"does not ask" in done.stderr, done
        assert one.stat(b"cmd_set") == 0 and one.stat(b"total_items") == 0


def test_wrong_use_is_refused():
    with two_servers() as (one, _):
        for words in (b"1", b"9 0", b"x y", b"0 0 0"):
            assert one.ask(b"snug items %s\r\n" % words).startswith(b"CLIENT_ERROR"), words
        assert dump(one, "--from", "a b").returncode == 2
        assert dump(one, "--rate", "0").returncode == 2


sys.exit(run_tests(globals()))
