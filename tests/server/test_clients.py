#!/usr/bin/env python3
"""Tests of `snug clients`, `snug slow` and `snugctl latency`: who is connected, what took long, for an operator; while others come and go.

    test_clients.py SNUGCTL SNUGD

Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "protocol")]
from binary_packets import *
from case import Conversation
from cases import run_tests
from server_process import Server
from waits import HANG_S, wait_until

SNUGCTL, SNUGD = sys.argv[1:3]
PAGE = 1024
USERS = "alice:secret\nops@x:secret\nboss(read,write,flush,operate):b0ss\n"


class Served(Server):
    opens_commands = False

    def __init__(self, *args):
        super().__init__(SNUGD, ["-t", "2", *args])

    def ctl(self, *words, status=0):
        done = subprocess.run([SNUGCTL, "-s", f"127.0.0.1:{self.address[1]}", *words], capture_output=True, text=True, timeout=HANG_S)
        assert done.returncode == status, done
        return done.stdout + done.stderr

    def clients(self, *which):
        return json.loads(self.ctl("--json", "clients", *which))["clients"]

    def one(self, client):
        """As soon as it was accepted."""
        address = "tcp:%s:%d" % client.connection.getsockname()
        wait_until(lambda: address in (each["addr"] for each in self.clients()))
        found = self.clients(address)
        assert len(found) == 1, found
        return found[0]

    def text(self):
        return Conversation(self.connect())


@contextlib.contextmanager
def with_users():
    with tempfile.NamedTemporaryFile("w", prefix="snug-users-") as file:
        file.write(USERS)
        file.flush()
        with Served("-Y", file.name) as server:
            yield server


def log_in(server, said):
    client = server.text()
    client.ask(b"set auth 0 0 %d\r\n%s\r\n" % (len(said), said), b"STORED\r\n")
    return client


def is_closed(client):
    return client.connection.recv(1) == b""


def test_a_client_is_told_with_what_it_does():
    with Served() as server:
        client = server.text()
        assert server.one(client)["last_command"] == "none"
        for line, answer, last in (
            (b"set k 0 0 1\r\nx\r\n", b"STORED\r\n", "set"),
            (b"get k k2\r\n", b"VALUE k 0 1\r\nx\r\nEND\r\n", "get"),
            (b"gat 0 k2\r\n", b"END\r\n", "gat"),
            (b"gets k2\r\n", b"END\r\n", "gets"),
            (b"mg k2\r\n", b"EN\r\n", "mg"),
            (b"nonsense\r\n", b"ERROR\r\n", "unknown"),
            (b"cache_memlimit x\r\n", b"ERROR\r\n", "cache_memlimit"),
        ):
            client.ask(line, answer)
            told = server.one(client)
            assert told["last_command"] == last, (line, told)
        assert told["commands"] == 7 and told["user"] == "-" and told["tls"] == "no", told
        assert told["addr"] == "tcp:127.0.0.1:%d" % client.connection.getsockname()[1], told
        assert told["listen_addr"] == f"tcp:127.0.0.1:{server.address[1]}", told
        assert told["held_bytes"] > 0 and told["idle_s"] <= told["age_s"], told
        client.send(b"set half 0 0 2000\r\nbegun")
        wait_until(lambda: server.one(client)["in_bytes"] > 0)
        packets = BinaryConversation(server.connect())
        packets.ask_packet(packet(NOOP))
        assert server.one(packets)["last_command"] == "noop"
        for opcode in (0xFE, 0xFF):
            packets.ask_packet(packet(opcode), UNKNOWN_COMMAND)
            assert server.one(packets)["last_command"] == "unknown", opcode
            packets.ask_packet(packet(NOOP))


def test_who_asks_for_connections_is_told_last():
    """Whichever worker has accepted him: some clients take the last one for their own."""
    with Served("-t", "4") as server:
        for _ in range(3):
            clients = [server.text() for _ in range(8)]
            for client in clients:
                client.send(b"stats conns\r\n")
                told = client.receive_until(b"END\r\n").decode().split("\r\n")
                last = told[-3].split()[1].split(":")[0]
                assert [line.split()[2] for line in told if line.startswith(f"STAT {last}:addr")] == ["tcp:127.0.0.1:%d" % client.connection.getsockname()[1]], told
                assert len([line for line in told if line.startswith(f"STAT {last}:")]) == 5, told


def test_a_value_that_is_being_sent_is_leased():
    with Served("-I", "16m", "-m", "128") as server:
        client = server.text()
        client.ask(b"set k 0 0 %d\r\n%s\r\n" % (8 << 20, bytes(8 << 20)), b"STORED\r\n")
        client.send(b"get k\r\n")  # and takes nothing of it, which is more than the kernel keeps
        wait_until(lambda: server.one(client)["lease_bytes"] == 8 << 20)


def test_users_are_told_and_closed_by_their_name():
    with with_users() as server:
        alice, boss, stranger = log_in(server, b"alice secret"), log_in(server, b"boss b0ss"), server.text()

        def told(client):
            boss.send(b"snug clients %s:%d\r\n" % (client.connection.getsockname()[0].encode(), client.connection.getsockname()[1]))
            answer = boss.receive_until(b"END\r\n")
            return int(answer.split(b":")[0].split()[1]), re.search(rb":user (\S+)", answer)[1]

        stranger.ask(b"mn\r\n", b"CLIENT_ERROR unauthenticated\r\n")
        assert [told(client)[1] for client in (alice, boss, stranger)] == [b"alice", b"boss", b"-"]
        ops = log_in(server, b"ops@x secret")
        for name in (b"ops@x", b"ops%40x"):  # as it is, and as it is told
            boss.send(b"snug clients user " + name + b"\r\n")
            assert b":user ops%40x\r\n" in boss.receive_until(b"END\r\n"), name
        assert told(ops)[1] == b"ops%40x"
        stranger.ask(b"snug clients\r\n", b"CLIENT_ERROR unauthenticated\r\n")
        alice.send(b"snug clients kill user boss\r\nmn\r\n")
        assert alice.receive_until(b"MN\r\n").startswith(b"CLIENT_ERROR an operator's command;")
        boss.ask(b"snug clients kill user zoe\r\n", b"CLIENT_ERROR no client has said that he is user zoe\r\n")
        boss.ask(b"snug clients kill user boss\r\n", b"STAT closed 0\r\nSTAT spared this connection, which only its ID closes\r\nEND\r\n")
        boss.ask(b"snug clients kill user alice\r\n", b"STAT closed 1\r\nEND\r\n")
        assert is_closed(alice)
        boss.ask(b"snug clients kill %d\r\n" % told(boss)[0], b"STAT closed 1\r\nEND\r\n")
        assert is_closed(boss)
        stranger.ask(b"mn\r\n", b"CLIENT_ERROR unauthenticated\r\n")


def test_clients_are_closed_by_id_address_and_idle_time():
    with Served() as server:
        kept = server.text()
        victims = [server.text() for _ in range(3)]
        for victim in victims:
            victim.ask(b"mn\r\n", b"MN\r\n")
        first = server.one(victims[0])
        assert "closed  1" in server.ctl("clients", "kill", str(first["id"]))
        assert is_closed(victims[0])
        assert f"no client has the ID {first['id']}" in server.ctl("clients", "kill", str(first["id"]), status=1)
        port = victims[1].connection.getsockname()[1]
        assert json.loads(server.ctl("--json", "clients", "kill", f"tcp:127.0.0.1:{port}")) == {"closed": 1}
        assert is_closed(victims[1])
        assert "no client has the address" in server.ctl("clients", "kill", f"127.0.0.1:{port}", status=1)
        wait_until(lambda: server.one(victims[2])["idle_s"] >= 1)
        kept.ask(b"mn\r\n", b"MN\r\n")
        assert "closed  0" in server.ctl("clients", "kill", "idle", "1h")
        before = len(server.clients())
        assert "closed" in server.ctl("clients", "kill", "idle", "1")
        assert is_closed(victims[2]) and len(server.clients()) < before
        wait_until(lambda: "closed by an operator" in server.log_text(), server.log_text)
        kept = server.text()
        kept.send(b"stats\r\nstats reset\r\n")
        assert int(re.search(rb"STAT snug_killed (\d+)", kept.receive_until(b"RESET\r\n"))[1]) >= 3
        newer = server.text()
        newer.ask(b"mn\r\n", b"MN\r\n")
        assert server.one(newer)["id"] > first["id"], "an ID is used again"


def test_a_client_of_a_unix_socket_is_told_by_its_process():
    with tempfile.TemporaryDirectory(prefix="snug-clients-") as directory, Served("-s", os.path.join(directory, "s"), "--control", os.path.join(directory, "c")) as server:
        others = [each["addr"] for each in server.clients()]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.path.join(directory, "s"))
            wait_until(lambda: f"unix:pid={os.getpid()}" in (each["addr"] for each in server.clients()))
            assert f"unix:pid={os.getpid()}" not in others, others
            assert server.clients(f"unix:pid={os.getpid()}")[0]["listen_addr"] == f"unix:{directory}/s"


def test_a_client_of_a_unix_socket_passes_for_no_other_process():
    """Whatever it has named its own socket: a path is told as one, and no path hides the process."""
    with tempfile.TemporaryDirectory(prefix="snug-clients-") as directory, Served("-s", os.path.join(directory, "s"), "--control", os.path.join(directory, "c")) as server:
        before = os.getcwd()
        with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as unbound:
            os.chdir(directory)
            try:
                bound.bind("pid=1")
            finally:
                os.chdir(before)
            unbound.bind("")  # the kernel gives it a name that is no path
            bound.connect(os.path.join(directory, "s"))
            wait_until(lambda: "unix:pid?1" in (each["addr"] for each in server.clients()))
            unbound.connect(os.path.join(directory, "s"))
            wait_until(lambda: f"unix:pid={os.getpid()}" in (each["addr"] for each in server.clients()))
            assert "unix:pid=1" not in (each["addr"] for each in server.clients())


def test_what_is_no_choice_is_refused():
    with Served("--open-commands") as server:
        client = server.text()
        usage = b"CLIENT_ERROR usage: snug clients "
        for words in (b"kill", b"kill ", b"kill idle", b"kill idle x", b"kill idle -1", b"kill idle 99999999999999999999", b"kill user", b"kill 1 2", b"kill after 1",
                      b"kill 99999999999999999999", b"idle", b"after", b"after 0", b"after x", b"1 after", b"user a b", b"nobody", b"kill user " + b"n" * 400):
            client.send(b"snug clients " + words + b"\r\nmn\r\n")
            assert client.receive_until(b"MN\r\n").startswith(usage), words
        client.ask(b"snug clients kill idle 9000000000\r\n", b"STAT closed 0\r\nEND\r\n")
        client.ask(b"snug clients after 3\r\n", b"STAT clients 0\r\nEND\r\n")
        client.ask(b"snug clients kill user \x1b[2J\x80\r\n", b"CLIENT_ERROR no client has said that he is user \x1b[2J\x80\r\n")
        client.ask(b"mn\r\n", b"MN\r\n")


def test_pages_tell_each_that_stays_once():
    """More than a page, while others come and go."""
    with Served("-c", "4096") as server:
        staying = [server.connect() for _ in range(PAGE + 200)]
        for connection in staying:
            connection.sendall(b"mn\r\n")
        assert all(connection.recv(4) == b"MN\r\n" for connection in staying)
        ports = {connection.getsockname()[1] for connection in staying}
        is_over = threading.Event()

        def come_and_go():
            while not is_over.is_set():
                with server.connect() as guest:
                    guest.sendall(b"mn\r\n")
                    guest.recv(4)

        guests = threading.Thread(target=come_and_go)
        guests.start()
        try:
            told = [int(client["addr"].rpartition(":")[2]) for client in server.clients() if client["addr"].startswith("tcp:")]
        finally:
            is_over.set()
            guests.join()
        assert sorted(port for port in told if port in ports) == sorted(ports)
        table = server.ctl("clients").splitlines()
        assert len(table) > len(ports) and table[0].split() == ["ID", "ADDRESS", "USER", "AGE", "IDLE", "HELD", "LAST"]
        assert max(map(len, table)) <= 80, max(table, key=len)
        first = str(server.clients()[0]["id"])
        assert len(server.clients("after", first)) > PAGE  # it, too, asks for page after page
        for connection in staying:
            connection.close()


SAMPLE = 61


def slow(client):
    """By number, from 1 on: the figures of each."""
    client.send(b"snug slow\r\n")
    found = {}
    for number, name, value in re.findall(rb"STAT (\d+):(\w+) (\S*)\r\n", client.receive_until(b"END\r\n")):
        found.setdefault(int(number), {})[name.decode()] = value.decode()
    return [found[number] for number in sorted(found)]


def test_the_slowest_are_told():
    with Served() as server:
        client = server.text()
        assert slow(client) == []
        for key, shown in ((b"\x1b[2J\x80", "%1B%5B2J%80"), (b"long" * 60, "long" * 16 + "..")):
            for store, answer in ((b"set %s 0 0 100\r\n%s\r\n" % (key, bytes(100)), b"STORED\r\n"), (b"mg %s v\r\n" % key, b"VA 100\r\n%s\r\n" % bytes(100)), (b"touch %s 0\r\n" % key, b"TOUCHED\r\n")):
                client.ask(store * SAMPLE, answer * SAMPLE)
            told = [each for each in slow(client) if each["key"] == shown]
            assert sorted(each["command"] for each in told) == ["mg", "set", "touch"], slow(client)
            assert all(each["bytes"] == "100" for each in told), told
        address = "tcp:%s:%d" % client.connection.getsockname()
        assert all(each["addr"] == address and int(each["client"]) == server.one(client)["id"] and int(each["time"]) > 1700000000 for each in slow(client))
        for _ in range(20):
            client.ask(b"get k\r\n" * SAMPLE, b"END\r\n" * SAMPLE)
        took = [int(each["took_ns"]) for each in slow(client)]
        assert 8 <= len(took) <= 16 and took == sorted(took, reverse=True), took
        assert max(map(len, server.ctl("latency").splitlines())) <= 80
        assert server.ctl("slow").splitlines()[0].split() == ["TOOK", "COMMAND", "BYTES", "WHEN", "CLIENT", "KEY"]
        assert [row.split()[0] for row in server.ctl("latency").splitlines()[1:-1]] == ["get", "store", "touch"]
        assert json.loads(server.ctl("--json", "latency"))["get:count"] >= 20
        assert json.loads(server.ctl("--json", "slow"))["1:took_ns"] == took[0]


def test_who_a_client_is_is_not_told_as_slow():
    with with_users() as server:
        boss = log_in(server, b"boss b0ss")
        for _ in range(2 * SAMPLE):
            log_in(server, b"boss b0ss").close()
        boss.ask(b"get k\r\n" * SAMPLE, b"END\r\n" * SAMPLE)
        told = slow(boss)
        assert told and all(each["command"] == "get" for each in told), told


if __name__ == "__main__":
    sys.exit(run_tests(globals()))
