#!/usr/bin/env python3
"""Tests of what an operator does with snugd: --check-config, SIGHUP, SIGTERM under load, logs, and the files of packaging/.

    test_operations.py SNUGD SOURCE_ROOT

Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import json
import os
import pathlib
import pwd
import random
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from foreground import Foreground
from waits import HANG_S, Soon, wait_until

PROGRAM = sys.argv[1]
ROOT = pathlib.Path(sys.argv[2])
USER = pwd.getpwuid(os.geteuid()).pw_name
MIB = 1 << 20

EX_USAGE = 64


def check(*arguments, status=0):
    done = subprocess.run([PROGRAM, *arguments, "--check-config"], capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def value_of(text, name):
    return re.search(rf"^{name} += (\S+)$", text, re.M).group(1)


class Snugd(Foreground):
    """With a config file that can be written anew."""

    def __init__(self, *lines, arguments=()):
        self.directory = tempfile.TemporaryDirectory(prefix="snugd-")
        self.config = os.path.join(self.directory.name, "snugd.conf")
        self.write(*lines)
        super().__init__([PROGRAM, "-p", "-1", "-t", "2", "-u", USER, "--open-commands", "--config", self.config, *arguments])

    def write(self, *lines):
        pathlib.Path(self.config).write_text("".join(f"{line}\n" for line in lines))

    def __exit__(self, *what):
        super().__exit__(*what)
        self.directory.cleanup()

    def reload(self, *lines):
        """What was logged of it."""
        self.write(*lines)
        self.process.send_signal(signal.SIGHUP)
        said = []
        for line in self.process.stderr:
            said.append(line.rstrip("\n"))
            if "reload: done" in line or "nothing changed" in line:
                return said
        raise AssertionError(f"ended: {said}")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), HANG_S)

    def ask(self, command, last=b"END\r\n"):
        with self.connect() as client:
            client.sendall(command + b"\r\n")
            got = b""
            while not got.endswith(last):
                part = client.recv(65536)
                assert part, got
                got += part
            return got

    def statistics(self, command):
        return dict(line.split(" ", 2)[1:] for line in self.ask(command).decode().splitlines() if "STAT" in line)


def three_served(snugd, held):
    """Not as long as the server has not seen that those before have gone."""
    held[:] = [snugd.connect() for _ in range(3)]
    for client in held:
        client.sendall(b"version\r\n")
    if all(client.recv(100).startswith(b"VERSION") for client in held):
        return True
    for client in held:
        client.close()
    return False


def test_check_config_tells_what_would_run():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("memory-limit = 100\ndisable-flush-all = on\n")
        file.flush()
        told = check("--config", file.name, "-t", "2", "-c", "77").stdout
        assert value_of(told, "memory-limit") == "100m", told
        assert value_of(told, "conn-limit") == "77" and value_of(told, "threads") == "2", told
        assert value_of(told, "disable-flush-all") == "on" and value_of(told, "daemon") == "off", told


def test_check_config_takes_back_what_it_tells():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        told = check("-U", "0", "-m", "100", "-t", "2", "-d", "-s", "/tmp/s", "--defrag-duty", "0.25", "--idle-timeout", "5m").stdout
        file.write(told)
        file.flush()
        again = check("--config", file.name).stdout
        assert again == told.split("\n", 1)[1], (told, again)  # without the note about -U


def starts(*arguments):
    """Whether it says that it listens."""
    try:
        with Foreground([PROGRAM, *arguments]):
            return True
    except AssertionError:
        return False


def test_check_config_promises_what_starts():
    """Over all that memory, workers, items, connections and their memory depend on."""
    few = ["1", "2", "5", "64"]
    grid = [
        (memory, threads, *extra)
        for memory in few
        for threads in ("1", "4", "16", "33")
        for extra in (
            (),
            ("-I", "1k"),
            ("-I", "128k"),
            ("-I", "1m"),
            ("-c", "1"),
            ("-c", "10000000"),
            ("--connection-memory", "1m"),
            ("--connection-memory", "16m"),
            ("-u", "no-such-user-here"),
        )
    ]
    random.Random(16).shuffle(grid)
    for memory, threads, *extra in grid[:48] + [("4", "16"), ("4", "17"), ("1", "4", "-I", "128k")]:
        arguments = ["-m", memory, "-t", threads, "-p", "-1", *extra]
        if "-u" not in extra:
            arguments += ["-u", USER]
        done = subprocess.run([PROGRAM, *arguments, "--check-config"], capture_output=True, text=True, timeout=HANG_S)
        assert (done.returncode == 0) == starts(*arguments), f"{arguments}: checked with status {done.returncode}: {done.stderr}"


def test_the_smallest_shares_hold_what_they_accept():
    """Each worker stores the largest item that there may be, however many small ones are there."""
    for arguments in (("-m", "4", "-t", "16"), ("-m", "1", "-t", "4", "--io", "epoll"), ("-m", "1", "-t", "3"), ("-m", "1", "-t", "1")):
        with Foreground([PROGRAM, *arguments, "-p", "-1", "-u", USER]) as snugd:
            with socket.create_connection(("127.0.0.1", snugd.port), timeout=HANG_S) as client:
                told = client.makefile("rb")
                client.sendall(b"stats settings\r\n")
                lines = list(iter(told.readline, b"END\r\n"))
                largest = int(next(line.split()[2] for line in lines if line.startswith(b"STAT item_size_max ")))
                for first in range(0, 8000, 100):
                    client.sendall(b"".join(b"set s%d 0 0 300 noreply\r\n%b\r\n" % (i, b"s" * 300) for i in range(first, first + 100)))
                for i in range(64):
                    name = b"large%d" % i
                    client.sendall(b"set %b 0 0 %d\r\n" % (name, largest - len(name)) + b"l" * (largest - len(name)) + b"\r\n")
                    answer = told.readline()
                    assert answer == b"STORED\r\n", f"{arguments}: item {i} of {largest} bytes: {answer}"


def test_check_config_tells_what_is_wrong_and_where():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("# first\n\nmemory-limit = plenty\n")
        file.flush()
        done = check("--config", file.name, status=EX_USAGE)
        assert f"{file.name}:3: memory-limit" in done.stderr and done.stdout == "", done
    assert "memory-max" in check("-m", "64", "--memory-max", "32", status=EX_USAGE).stderr
    assert "/no/such.conf" in check("--config", "/no/such.conf", status=EX_USAGE).stderr


def test_the_sample_config_is_fine():
    told = check("--config", str(ROOT / "packaging" / "snugd.conf")).stdout
    assert value_of(told, "control") == "/run/snugd/control", told


def test_reload_changes_what_can_change():
    first = ("memory-limit = 32", "memory-max = 64", "idle-timeout = 0")
    with Snugd(*first) as snugd:
        said = snugd.reload("memory-limit = 48", "memory-max = 64", "conn-limit = 3", "idle-timeout = 2",
                            "disable-flush-all = on")  # fmt: skip
        for name in ("memory-limit", "conn-limit", "idle-timeout", "disable-flush-all"):
            assert any(f"reload: {name}:" in line and "restart" not in line for line in said), (name, said)
        assert "snugd: reload: disable-flush-all: on, was off" in said, said
        assert len(said) == 5, said
        wait_until(lambda: snugd.statistics(b"snug limit")["limit_goal_bytes"] == str(48 * MIB))
        told = snugd.statistics(b"stats settings")
        assert told["maxbytes"] == str(48 * MIB) and told["maxconns"] == "3" and told["idle_timeout"] == "2", told
        assert b"not allowed" in snugd.ask(b"flush_all", b"\r\n")
        held = []
        wait_until(lambda: three_served(snugd, held))
        with snugd.connect() as extra:
            assert b"Too many" in extra.recv(100)
        assert held[0].recv(100) == b"", "an idle connection is closed"
        for client in held:
            client.close()


def test_a_lower_limit_is_reached_and_items_go():
    with Snugd("memory-limit = 32") as snugd:
        with snugd.connect() as client:
            for i in range(2400):
                client.sendall(b"set key%d 0 0 10000 noreply\r\n%s\r\n" % (i, b"x" * 10000))
            client.sendall(b"version\r\n")
            assert client.recv(100).startswith(b"VERSION")
        assert int(snugd.statistics(b"snug limit")["used_bytes"]) > 16 * MIB
        said = snugd.reload("memory-limit = 8")
        assert len(said) == 2, said
        wait_until(lambda: int(snugd.statistics(b"snug limit")["used_bytes"]) <= 8 * MIB)


def small_values_kept(evict_for):
    """Of 2100 values of 200 bytes that are asked for as often as 300 of 20000, in a memory of two thirds of all."""
    sizes = {b"key%d" % i: 20000 if i % 8 == 0 else 200 for i in range(2400)}
    source = random.Random(1)
    with Snugd("memory-limit = 4", f"evict-for = {evict_for}", arguments=("-t", "1")) as snugd, snugd.connect() as client:
        file = client.makefile("rwb")

        def is_there(key):
            file.write(b"get %s\r\n" % key)
            file.flush()
            if file.readline() == b"END\r\n":
                return False
            file.read(sizes[key] + 2)
            file.readline()
            return True

        for key in source.choices(list(sizes), k=8000):
            if not is_there(key):
                file.write(b"set %s 0 0 %d\r\n%s\r\n" % (key, sizes[key], b"x" * sizes[key]))
                file.flush()
                assert file.readline() == b"STORED\r\n"
        return sum(is_there(key) for key in sizes if sizes[key] == 200)


def test_eviction_is_for_what_is_asked():
    kept = {evict_for: small_values_kept(evict_for) for evict_for in ("hits", "bytes")}
    assert kept["hits"] > 1800 and kept["bytes"] < 1600, kept


def test_the_verbosity_changes_while_it_runs():
    with Snugd("memory-limit = 32") as snugd:
        said = snugd.reload("memory-limit = 32", "verbose = 1")
        assert said == ["snugd: reload: verbose: 1, was 0", "snugd: reload: done"], said
        snugd.ask(b"snug defrag")
        assert any("defragment (demand, caller)" in line for line in snugd.process.stderr)
        assert snugd.ask(b"verbosity 0", b"OK\r\n") == b"OK\r\n"
        assert snugd.statistics(b"stats settings")["verbosity"] == "0"
        snugd.ask(b"snug defrag")
        assert snugd.reload("memory-limit = 32", "verbose = 1") == ["snugd: reload: done"], "nothing was said of it"
        assert snugd.ask(b"verbosity 1", b"OK\r\n") == b"OK\r\n"
        snugd.ask(b"snug defrag")
        assert any("defragment (demand, caller)" in line for line in snugd.process.stderr)


def test_nobody_waits_for_who_reads_the_log():
    """Standard error is a pipe that nobody reads any more: clients are served, the lines are counted, and the end comes all the same."""
    with Snugd("memory-limit = 32", "verbose = 2") as snugd:
        with socket.create_connection(("127.0.0.1", snugd.port), timeout=HANG_S) as client:
            for _ in range(40):
                client.sendall(b"snug defrag\r\n" * 50 + b"mn\r\n")
                answer = b""
                while not answer.endswith(b"MN\r\n"):
                    answer += client.recv(1 << 20)
        assert int(snugd.statistics(b"stats")["snug_log_dropped"]) > 0
        with Soon(10, "the end"):
            snugd.process.send_signal(signal.SIGTERM)
            assert snugd.process.wait(HANG_S) == 0


def test_reload_names_what_needs_a_restart():
    with Snugd("memory-limit = 32") as snugd:
        said = snugd.reload("memory-limit = 33", "listen-backlog = 7", "defrag = off")
        for name in ("memory-limit", "listen-backlog", "defrag"):
            assert any(f"reload: {name}:" in line and "needs a restart" in line for line in said), (name, said)
        assert len(said) == 4, said
        assert snugd.statistics(b"snug limit")["limit_goal_bytes"] == str(32 * MIB)
        assert len(snugd.reload("memory-limit = 32")) == 1, "what is as it runs is not mentioned"


def test_a_bad_config_changes_nothing():
    with Snugd("memory-limit = 32") as snugd:
        said = snugd.reload("conn-limit = 5", "memory-limit = much")
        assert len(said) == 1 and f"{snugd.config}:2: memory-limit" in said[0], said
        assert snugd.statistics(b"stats settings")["maxconns"] == "1024"
        os.unlink(snugd.config)
        snugd.process.send_signal(signal.SIGHUP)
        assert "nothing changed" in snugd.process.stderr.readline()


def test_what_was_received_is_answered_before_the_end():
    """Sixteen clients with a pipeline each; the answers, 64 MiB, are in nobody's buffers when the signal comes."""
    count, size = 400, 10000
    with Snugd("memory-limit = 64") as snugd:
        clients = [snugd.connect() for _ in range(16)]
        with snugd.connect() as client:
            client.sendall(b"set key 0 0 %d\r\n%s\r\n" % (size, b"x" * size))
            assert client.recv(100) == b"STORED\r\n"
        for client in clients:
            client.sendall(b"get key\r\n" * count)
        for client in clients:
            assert select.select([client], [], [], HANG_S)[0]
        snugd.process.send_signal(signal.SIGTERM)
        one = len(b"VALUE key 0 %d\r\n" % size) + size + len(b"\r\nEND\r\n")
        for client in clients:
            got, end = 0, b""
            while part := client.recv(1 << 20):
                got += len(part)
                end = (end + part)[-100:]
            client.close()
            assert got == one * count, (got, one * count, end)
        assert snugd.process.wait(HANG_S) == 0


def test_half_commands_lock_nobody_out():
    """Six hundred begin a command and do not end it: they hold more than there is, and nobody else waits for memory. New clients come in all the same, within a moment."""
    with Snugd("memory-limit = 64", "connection-memory = 2m", "threads = 1", "conn-limit = 2000") as snugd:
        held = [snugd.connect() for _ in range(600)]
        for client in held:
            try:
                client.sendall(b"set half 0 0 3900\r\n" + b"h" * 3000)
            except OSError:
                pass  # it was closed: it is one of those that pay
        until = time.monotonic() + HANG_S
        served = []  # and they stay
        while len(served) < 200:
            assert time.monotonic() < until, f"{len(served)} new clients were served"
            client = snugd.connect()
            got = b""
            try:
                client.sendall(b"set key 0 0 1\r\nx\r\nget key\r\n")
                while part := client.recv(4096):
                    got += part
                    if got.endswith(b"END\r\n"):
                        break
            except OSError:
                pass
            if got.endswith(b"END\r\n"):
                served.append(client)
            else:
                client.close()
                time.sleep(0.01)
        with snugd.connect() as client:
            client.sendall(b"stats\r\n")
            got = b""
            while not got.endswith(b"END\r\n"):
                got += client.recv(65536)
        assert int(got.split(b"STAT snug_memory_closed ")[1].split()[0]) > 0
        for client in held + served:
            client.close()


def test_a_reload_is_logged_as_json_too():
    with Snugd("log-format = json") as snugd:
        said = [json.loads(line) for line in snugd.reload("log-format = json", "idle-timeout = 9")]
        assert [line["level"] for line in said] == ["info", "info"], said
        assert said[0]["message"] == "reload: idle-timeout: 9, was 0" and "time" in said[0], said


def test_reloads_under_load():
    with Snugd("memory-limit = 32") as snugd, snugd.connect() as client:
        for i in range(40):
            snugd.reload(f"memory-limit = {16 + i % 16}", f"conn-limit = {100 + i}")
            client.sendall(b"set key%d 0 0 1000\r\n%s\r\nget key%d\r\n" % (i, b"x" * 1000, i))
            got = b""
            while not got.endswith(b"END\r\n"):
                got += client.recv(4096)
            assert got.startswith(b"STORED\r\nVALUE"), got[:60]


sys.exit(run_tests(globals()))
