#!/usr/bin/env python3
"""What a restart costs: snugd -e beside memcached -e, in one run.

    bench/restart.py [--items N] [--limit MIB] [--snugd PROGRAM] [--memcached PROGRAM] [--part snugd|memcached|cost]

Each server is filled with items of 30 + 100 bytes over two workers, is stopped in order (SIGTERM; memcached: SIGUSR1), and started again; then the
same with kill -9. Told: items before and after, seconds from the signal to the first get that is answered, and the processor time of the new
process until then. Of a thousand items the values are compared.

Then the same load of gets and sets, one in ten a set, with the file and without it, in turns: the processor time of the server for a million
requests, and keys and values as a share of resident memory. The median of five turns of each.

The files lie in /dev/shm."""

import argparse
import contextlib
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import tempfile
import time

KEY_BYTES, VALUE_BYTES = 30, 100
BATCH = 2000
SAMPLES = 1000
TURNS = 5
TICKS = os.sysconf("SC_CLK_TCK")
HANG_S = 600
REST_S = 1.1  # memcached takes no file that was left in the same second; not counted


def key_of(number):
    return b"key-%026d" % number


def value_of(number):
    return b"%0*d" % (VALUE_BYTES, number)


# A request that is not answered; of a single format, since millions are made.
SET = b"set key-%%026d 0 0 %d noreply\r\n%%0%dd\r\n" % (VALUE_BYTES, VALUE_BYTES)


def set_of(number):
    return SET % (number, number)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """One that serves, until it is ended."""

    def __init__(self, command):
        port = free_port()
        self.process = subprocess.Popen([*command, "-p", str(port), "-U", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + HANG_S
        while True:
            try:
                self.client = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "it does not serve"
                time.sleep(0.001)
        self.client.settimeout(HANG_S)
        self.answers = self.client.makefile("rb")
        self.get(key_of(0))
        self.served_at = time.monotonic()
        self.start_cpu_s = self.cpu_s()

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def get(self, key):
        self.client.sendall(b"get %s\r\n" % key)
        head = self.answers.readline()
        if head == b"END\r\n":
            return None
        value = self.answers.read(int(head.split()[3]) + 2)[:-2]
        assert self.answers.readline() == b"END\r\n"
        return value

    def stats(self):
        self.client.sendall(b"stats\r\n")
        found = {}
        while (line := self.answers.readline()) != b"END\r\n":
            _, name, value = line.split(b" ", 2)
            found[name] = value
        return found

    def fill(self, items):
        for first in range(0, items, BATCH):
            self.client.sendall(b"".join([set_of(n) for n in range(first, min(first + BATCH, items))]))
        self.get(key_of(0))  # all are done

    def end(self, number):
        begin_at = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(HANG_S)
        self.client.close()
        return begin_at


def all_are_right(server, items):
    numbers, missing = random.Random(1), 0
    for _ in range(SAMPLES):
        number = numbers.randrange(items)
        value = server.get(key_of(number))
        missing += value is None
        assert value in (None, value_of(number)), number
    return missing


def restart(name, command, stop, items, rest_s=0.0):
    server = Server(command)
    server.fill(items)
    for how, number in ((stop.name, stop), ("kill -9", signal.SIGKILL)):
        before = int(server.stats()[b"curr_items"])
        begin_at = server.end(number) + rest_s
        time.sleep(rest_s)
        server = Server(command)
        after = int(server.stats()[b"curr_items"])
        missing = all_are_right(server, items)
        print(f"| {name} | {how} | {before:,} | {after:,} | {server.served_at - begin_at:.2f} s | {server.start_cpu_s:.2f} s | {missing} of {SAMPLES:,} |", flush=True)
    server.end(signal.SIGKILL)


def load(server, items, requests, seed):
    """Pipelines; one request in ten is a set. The server's processor time for a million."""
    numbers = random.Random(seed)
    begin_s = server.cpu_s()
    for _ in range(requests // BATCH):
        chosen = [numbers.randrange(items) for _ in range(BATCH)]
        gets = chosen[: BATCH * 9 // 10]
        server.client.sendall(
            b"".join(set_of(n) for n in chosen[len(gets) :])
            + b"".join(b"mg %s\r\n" % key_of(n) for n in gets)
            + b"mn\r\n"
        )
        while server.answers.readline() != b"MN\r\n":
            pass
    return (server.cpu_s() - begin_s) / requests * 1e6


def with_and_without(commands, items, requests):
    costs, shares = {}, {}
    with contextlib.ExitStack() as ends:
        servers = {}
        for name, command in commands.items():
            servers[name] = Server(command)
            ends.callback(servers[name].end, signal.SIGKILL)
            servers[name].fill(items)
            stored = int(servers[name].stats()[b"curr_items"]) * (KEY_BYTES + VALUE_BYTES)
            shares[name] = stored / servers[name].resident_bytes()
        for turn in range(TURNS):
            for name, server in servers.items():
                costs.setdefault(name, []).append(load(server, items, requests, turn))
    for name in commands:
        print(f"| {name} | {statistics.median(costs[name]):.3f} s | {min(costs[name]):.3f} to {max(costs[name]):.3f} | {shares[name]:.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=2_000_000)
    parser.add_argument("--limit", type=int, default=512, help="MiB")
    parser.add_argument("--requests", type=int, default=400_000)
    parser.add_argument("--snugd", default="build/snugd")
    parser.add_argument("--memcached", default="memcached")
    parser.add_argument("--part", choices=("snugd", "memcached", "cost"), help="this alone")
    asked = parser.parse_args()
    options = ["-m", str(asked.limit), "-t", "2", "-u", os.environ.get("USER", "root"), "-l", "127.0.0.1"]
    if asked.part != "cost":
        print("| server | stopped by | items before | after | until the first get | processor time of the start | values compared, missing |\n|---|---|---|---|---|---|---|")
    if asked.part in (None, "snugd"):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
            restart("snugd -e", [asked.snugd, *options, "-e", f"{directory}/snugd"], signal.SIGTERM, asked.items)
    if asked.part in (None, "memcached"):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
            restart("memcached -e", [asked.memcached, *options, "-e", f"{directory}/memcached"], signal.SIGUSR1, asked.items, REST_S)
    if asked.part in (None, "cost"):
        print("\n| snugd | processor time of a million requests | range | keys and values of resident memory |\n|---|---|---|---|")
        with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
            with_and_without(
                {"without a file": [asked.snugd, *options], "with a file": [asked.snugd, *options, "-e", f"{directory}/snugd"]}, asked.items // 4, asked.requests
            )


if __name__ == "__main__":
    main()
