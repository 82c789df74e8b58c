#!/usr/bin/env python3
"""watch: what clients and the server do, told in memcached's lines; a watcher that is slow loses lines, and is told how many.

    test_watch.py SNUGD
"""

import contextlib
import os
import pwd
import re
import socket
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from foreground import Asked
from waits import HANG_S, wait_until

SNUGD = sys.argv[1]
USER = pwd.getpwuid(os.geteuid()).pw_name
HEAD = rb"ts=\d+\.\d+ gid=\d+ "


class Snugd(Asked):
    def __init__(self, *arguments):
        self.directory = tempfile.TemporaryDirectory()
        control = os.path.join(self.directory.name, "control")
        super().__init__([SNUGD, "-p", "-1", "-u", USER, "-v", "-t", "3", "-m", "32", "--control", control, *arguments])

    def stat(self, name):
        self.client.sendall(b"stats\r\n")
        return {line.split()[1]: line.split()[2] for line in iter(self.answers.readline, b"END\r\n")}[name]


class Watcher:
    def __init__(self, server, kinds, answer=b"OK\r\n"):
        self.client = socket.create_connection(("127.0.0.1", server.port), HANG_S)
        self.answers = self.client.makefile("rb")
        self.client.sendall(b"watch" + (b" " + kinds if kinds else b"") + b"\r\n")
        got = self.answers.readline()
        assert got == answer, got

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answers.close()
        self.client.close()

    def expect(self, pattern):
        line = self.answers.readline()
        assert re.fullmatch(HEAD + pattern + rb"\n", line), line


def test_items():
    with Snugd() as server, Watcher(server, b"fetchers mutations deletions") as watcher:

        def looked_up(key, size=None):
            status = b"found clsid=1" if size is not None else b"not_found clsid=0"
            watcher.expect(b"type=item_get key=%s status=%s cfd=\\d+ size=%d" % (key, status, size or 0))

        for number in range(6):  # of all workers
            key = b"key-%d" % number
            server.ask(b"get %s\r\n" % key)
            watcher.expect(b"type=item_get key=%s status=not_found clsid=0 cfd=\\d+ size=0" % key)
            server.set(key, b"value", 0, 100)
            looked_up(key)
            watcher.expect(b"type=item_store key=%s status=stored cmd=set ttl=100 clsid=1 cfd=\\d+ size=5" % key)
            server.ask(b"mg %s\r\n" % key)
            watcher.expect(b"type=item_get key=%s status=found clsid=1 cfd=\\d+ size=5" % key)
            server.ask(b"cas %s 0 0 1 99999\r\nx\r\n" % key)
            looked_up(key, 5)
            watcher.expect(b"type=item_store key=%s status=exists cmd=cas ttl=0 clsid=1 cfd=\\d+ size=1" % key)
            server.ask((b"md %s\r\n" if number % 2 else b"delete %s\r\n") % key)
            looked_up(key, 5)
            watcher.expect(b"type=deleted key=%s cmd=%s clsid=1 size=5" % (key, b"md" if number % 2 else b"delete"))
            assert server.ask(b"delete %s\r\n" % key) == b"NOT_FOUND"
            looked_up(key)
            server.set(key, b"99")
            looked_up(key)
            watcher.expect(b"type=item_store .*")
            assert server.ask(b"incr %s 1\r\n" % key) == b"100"
            looked_up(key, 2)  # as it was before
        server.set(b"#" * 250, b"x" * 20000)
        looked_up(b"%23" * 250)
        watcher.expect(b"type=item_store key=%s status=stored cmd=set ttl=0 clsid=1 cfd=\\d+ size=20000" % (b"%23" * 250))


def test_each_is_told_what_it_asked_for():
    with Snugd() as server, Watcher(server, b"") as fetches, Watcher(server, b"deletions") as deletions:
        server.set(b"k", b"v")
        fetches.expect(b"type=item_get key=k status=not_found clsid=0 cfd=\\d+ size=0")
        server.ask(b"touch k 0\r\n")
        fetches.expect(b"type=item_get key=k status=found clsid=1 cfd=\\d+ size=1")
        server.ask(b"delete k\r\n")
        deletions.expect(b"type=deleted key=k cmd=delete clsid=1 size=1")
        assert server.stat(b"log_watchers") == b"2"
    with Snugd() as server:
        with Watcher(server, b"fetchers"):
            pass
        wait_until(lambda: server.stat(b"log_watchers") == b"0")


def test_connections():
    peer = rb"rip=127\.0\.0\.1 rport=\d+ transport=tcp"

    def one(options, text, reason):
        with Snugd(*options) as server, contextlib.ExitStack() as ends:
            server.ask(b"version\r\n")  # it has been accepted
            watcher = ends.enter_context(Watcher(server, b"connevents"))
            server.answers.close()
            server.client.close()
            watcher.expect(b"type=conn_close " + peer + b" reason=normal cfd=\\d+")
            with socket.create_connection(("127.0.0.1", server.port), HANG_S) as client:
                client.sendall(text)
                watcher.expect(b"type=conn_new " + peer + b" cfd=\\d+")
                watcher.expect(b"type=conn_close " + peer + b" reason=%s cfd=\\d+" % reason)

    one([], b"quit\r\n", b"normal")
    one([], b"GET / HTTP/1.1\r\n\r\n", b"error")
    one(["-o", "idle_timeout=2"], b"version\r\n", b"idle_timeout")


def test_evictions():
    with Snugd("-t", "2", "-m", "8") as server:
        server.client.sendall(b"".join(b"set key-%d 0 0 4000 noreply\r\n%s\r\n" % (i, b"x" * 4000) for i in range(3000)) + b"mn\r\n")
        assert server.answers.readline() == b"MN\r\n"
        with Watcher(server, b"evictions") as watcher:
            server.client.sendall(b"".join(b"set new-%d 0 0 4000 noreply\r\n%s\r\n" % (i, b"x" * 4000) for i in range(100)))
            watcher.expect(rb"type=eviction key=(key|new)-\d+ fetch=no ttl=-1 la=\d+ clsid=1 size=4000")


def test_a_slow_one_loses_lines_and_nobody_waits():
    with Snugd() as server, Watcher(server, b"fetchers") as watcher:
        gets = b"".join(b"mg %s-%d q\r\n" % (b"x" * 200, number) for number in range(2000)) + b"mn\r\n"
        sent = 0
        while server.stat(b"log_watcher_skipped") == b"0":
            server.client.sendall(gets)
            assert server.answers.readline() == b"MN\r\n"
            sent += 2000
        server.client.sendall(b"stats conns\r\n")
        held = [int(line.split()[2]) for line in iter(server.answers.readline, b"END\r\n") if b"held_bytes" in line]
        assert max(held) < 300000, held
        told = skipped = 0
        while told + skipped < sent:
            line = watcher.answers.readline()
            if line.startswith(b"skipped="):
                skipped += int(line[len(b"skipped="):])
            elif b"type=item_get" in line:
                told += 1
            server.ask(b"mg one-more\r\n")
            sent += 1
            if skipped:
                break
        assert skipped > 0


def test_who_goes_leaves_nothing_and_a_stop_does_not_wait():
    with Snugd() as server:
        for _ in range(30):
            with Watcher(server, b"fetchers connevents"):
                pass
        wait_until(lambda: server.stat(b"log_watchers") == b"0")
        with Watcher(server, b"fetchers"):
            server.process.terminate()
            assert server.process.wait(HANG_S) == 0


def test_refusals():
    with Snugd() as server:
        for kinds in (b"proxyevents", b"proxyreqs", b"rawcmds", b"fetchers x"):
            Watcher(server, kinds, b"ERROR\r\n").__exit__()
        watchers = [Watcher(server, b"fetchers") for _ in range(20)]
        Watcher(server, b"fetchers", b"WATCHER_TOO_MANY log watcher limit reached\r\n").__exit__()
        for watcher in watchers:
            watcher.__exit__()
    for option in ("-W", "--control-only"):
        with Snugd(option) as server:
            Watcher(server, b"fetchers", b"CLIENT_ERROR watch commands not allowed\r\n").__exit__()


def test_rights():
    with tempfile.TemporaryDirectory() as directory:
        users = os.path.join(directory, "users")
        with open(users, "w", encoding="ascii") as file:
            file.write("reader(read,write):a\noperator(operate):w\n")
        with Snugd("-Y", users) as server:
            assert server.ask(b"set l 0 0 8\r\nreader a\r\n") == b"STORED"
            assert b"not allowed" in server.ask(b"watch\r\n")
            with socket.create_connection(("127.0.0.1", server.port), HANG_S) as client:
                client.sendall(b"set l 0 0 10\r\noperator w\r\nwatch\r\n")
                with client.makefile("rb") as answers:
                    assert answers.readline() == b"STORED\r\n" and answers.readline() == b"OK\r\n"


sys.exit(run_tests(globals()))
