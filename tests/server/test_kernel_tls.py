#!/usr/bin/env python3
"""Tests of TLS whose large answers the kernel encrypts (--ssl-kernel-tls), where the kernel can; of what is said where it cannot.

    test_kernel_tls.py SNUGD

`make check-ktls` runs it in a kernel that can. Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import errno
import os
import random
import re
import select
import socket
import ssl
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "protocol")]
from case import Conversation
from cases import Skipped, run_tests
from certificates import client_context
from secured_server import SecuredServer
from waits import HANG_S, wait_until

PROGRAM = sys.argv[1]
IOS = ("epoll", "auto")  # auto: io_uring, where the kernel has it
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
TCP_ULP = 31
LARGE = random.Random(300000).randbytes(300000)  # the same in each run: in other bytes an expectation may find a hole ("<n>")
SET = b"set large 0 0 %d\r\n%s\r\n" % (len(LARGE), LARGE)
ANSWER = b"VALUE large 0 %d\r\n%s\r\nEND\r\n" % (len(LARGE), LARGE)


def kernel_can():
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        except OSError as error:
            return error.errno == errno.ENOTCONN
    return True


def needs_kernel():
    if not kernel_can():
        raise Skipped("this kernel has no TLS, or its module is not loaded")


def serve(*options, io="auto"):
    server = SecuredServer(PROGRAM, ["-t", "1", "--io", io, "-o", ",".join(("ssl_kernel_tls", *options))])
    return server


def talk(server, **what):
    """A connection that ends without TLS's own end is an error."""
    context = client_context(server.authority, **what)
    return Conversation(context.wrap_socket(server.connect_plainly(), suppress_ragged_eofs=False))


def stat(client, name):
    client.send(b"stats\r\n")
    return int(re.search(rb"STAT %s (\d+)\r\n" % name, client.receive_until(b"END\r\n"))[1])


def count(client):
    return stat(client, b"snug_ssl_by_kernel")


def says(server, sentence):
    wait_until(lambda: sentence in server.log_text(), server.log_text)


def test_large_answers_and_small_ones_between():
    needs_kernel()
    for io in IOS:
        for options in (("ssl_ciphers=TLS_AES_256_GCM_SHA384", "ssl_session_cache"), ("ssl_ciphers=TLS_AES_128_GCM_SHA256",)):
            with serve(*options, io=io) as server:
                client = talk(server)
                client.ask(SET, b"STORED\r\n")
                client.ask(b"get large\r\n" * 3, ANSWER * 3)
                client.ask(b"mn\r\n", b"MN\r\n")
                client.ask(b"get large\r\nmn\r\n" * 10, (ANSWER + b"MN\r\n") * 10)
                assert count(client) == 1
                client.send(b"quit\r\n")
                assert client.connection.recv(100) == b""


def test_what_stays_with_openssl():
    needs_kernel()
    with serve("ssl_ciphers=TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384") as server:
        for version in (V12, V13):
            client = talk(server, version=version)
            client.ask(SET, b"STORED\r\n")
            client.ask(b"get large\r\n" * 2, ANSWER * 2)
            assert count(client) == 0
            client.send(b"quit\r\n")
            assert client.connection.recv(100) == b""
    with serve() as server:
        client = talk(server)
        client.ask(b"set small 0 0 5\r\nhello\r\n" + b"get small\r\n" * 20, b"STORED\r\n" + b"VALUE small 0 5\r\nhello\r\nEND\r\n" * 20)
        assert count(client) == 0


def test_a_client_who_reads_slowly_gets_every_byte():
    needs_kernel()
    for io in IOS:
        with serve(io=io) as server:
            client = Conversation(server.connect(receive_buffer_bytes=4096))
            client.ask(SET, b"STORED\r\n")
            client.send(b"get large\r\nmn\r\n" * 12)
            other = talk(server)
            other.ask(b"get large\r\n", ANSWER)
            client.ask(b"", (ANSWER + b"MN\r\n") * 12)
            assert count(other) == 2


def test_clients_who_go_in_the_midst():
    needs_kernel()
    for io in IOS:
        with serve(io=io) as server:
            kept = talk(server)
            kept.ask(SET, b"STORED\r\n")
            for _ in range(10):
                client = server.connect(receive_buffer_bytes=4096)
                client.sendall(b"get large\r\n" * 50)
                client.recv(1000)
                client.close()
            kept.ask(b"get large\r\n", ANSWER)
            wait_until(lambda: stat(kept, b"curr_connections") == 1)


def spent_s(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as figures:
        words = figures.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def sockets(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


class LateReader:
    """Asks for a value, says quit, and reads nothing until it is told to."""

    def __init__(self, server, size):
        value = os.urandom(size)
        self.wanted = b"VALUE v 0 %d\r\n%s\r\nEND\r\n" % (size, value)
        plain = server.connect_plainly(receive_buffer_bytes=4096)
        self.connection = server.context.wrap_socket(plain, suppress_ragged_eofs=False)
        Conversation(self.connection).ask(b"set v 0 0 %d\r\n%s\r\n" % (size, value), b"STORED\r\n")
        self.connection.sendall(b"get v\r\nquit\r\n")

    def read(self, pause_s=0):
        got = b""
        while part := self.connection.recv(4096):
            got += part
            time.sleep(pause_s)
        assert got == self.wanted, f"{len(got)} of {len(self.wanted)} bytes"
        self.connection.close()


def reader_whose_close_waits(server, watcher):
    """The server has ended the connection for its part, and has not closed its socket."""
    before = sockets(server)
    for size in range(60000, 20000, -3000):  # what is too large keeps it open
        reader = LateReader(server, size)
        for _ in range(10):
            if stat(watcher, b"curr_connections") == 1:
                break
            time.sleep(0.02)
        if stat(watcher, b"curr_connections") == 1 and sockets(server) > before:
            return reader
        reader.read()
        wait_until(lambda: sockets(server) == before)
    raise AssertionError("no close waits")


def test_a_late_reader_who_quits_gets_the_end():
    """The kernel takes a record that TCP has no room for. With little room for sends that happens soon, and a close waits for it, at rest and not for ever."""
    needs_kernel()
    if "SNUG_GUEST" not in os.environ:
        raise Skipped("this system's buffers are not ours to change: make check-ktls")
    with open("/proc/sys/net/ipv4/tcp_wmem", "w", encoding="ascii") as room:
        room.write("4096 55000 60000")
    for io in IOS:
        with serve(io=io) as server:
            watcher = talk(server)
            stat(watcher, b"curr_connections")
            before = sockets(server)
            reader = reader_whose_close_waits(server, watcher)
            spent = spent_s(server)
            time.sleep(2)
            spent = spent_s(server) - spent
            assert spent < 0.5, f"{spent} s of processor time in 2 s of waiting"
            print(f"{io}: {spent:.2f} s of processor time in 2 s of waiting")
            reader.read()
            for size in range(63000, 66200, 34):
                late = LateReader(server, size)
                time.sleep(0.05)
                late.read(0.001)
            reader_who_never_reads = reader_whose_close_waits(server, watcher)
            wait_until(lambda: sockets(server) == before)
            reader_who_never_reads.connection.close()


class Commander:
    """openssl's client, which can ask for new keys, and for short records."""

    def __init__(self, server, *options):
        host, port = server.address
        command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_3", *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.heard = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(HANG_S)
        self.process.stdin.close()
        self.process.stdout.close()

    def say(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def take_keys(self, command):
        """k: for what it sends. K: for what the server sends, too."""
        self.say(command + b"\n")
        assert self.hear_until(b"KEYUPDATE")

    def ask(self, value):
        self.say(b"get text\r\n")
        assert self.hear_until(value + b"\r\nEND\r\n")

    def hear_until(self, text):
        """False: it ended."""
        while text not in self.heard:
            assert select.select([self.process.stdout], [], [], HANG_S)[0], self.heard[-1000:]
            part = os.read(self.process.stdout.fileno(), 65536)
            if not part:
                return False
            self.heard += part
        self.heard = self.heard.split(text, 1)[1]
        return True


def test_new_keys():
    """A client may take new ones for what he sends at any time; that the server does so, too, only before the kernel has its keys."""
    needs_kernel()
    with serve() as server:
        kept = talk(server)
        value = b"0123456789abcdef" * 2000
        kept.ask(b"set text 0 0 %d\r\n%s\r\n" % (len(value), value), b"STORED\r\n")
        with Commander(server) as client:
            client.ask(value)
            assert count(kept) == 1
            client.take_keys(b"k")
            client.ask(value)
            client.take_keys(b"K")
            assert not client.hear_until(b"never said")
        says(server, "the client asked for new keys")
        with Commander(server) as client:
            client.take_keys(b"K")
            client.ask(value)
            client.ask(value)
            assert count(kept) == 1


def test_a_client_of_short_records():
    """The kernel makes records of 16 KiB; a client who has asked for shorter ones would end at those."""
    needs_kernel()
    with serve() as server:
        kept = talk(server)
        value = b"0123456789abcdef" * 4000
        kept.ask(b"set text 0 0 %d\r\n%s\r\n" % (len(value), value), b"STORED\r\n")
        with Commander(server, "-maxfraglen", "512") as client:
            client.ask(value)
            client.ask(value)
            assert count(kept) == 0


def test_a_kernel_that_cannot_is_told_of_and_done_without():
    if kernel_can():
        raise Skipped("this kernel has TLS")
    with serve() as server:
        says(server, "--ssl-kernel-tls: this kernel has no TLS")
        client = talk(server)
        client.ask(SET, b"STORED\r\n")
        client.ask(b"get large\r\n" * 2, ANSWER * 2)
        assert count(client) == 0


if os.environ.get("SNUG_TLS") == "absent":
    print("[==========] 0 test(s) run.")
    sys.exit(0)
sys.exit(run_tests(globals()))
