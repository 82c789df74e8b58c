#!/usr/bin/env python3
"""How long a get takes where other work wants the processors: one client, one connection, one get after the other, of snugd and of memcached in
turns, beside busy loops of the same priority.

    check_crowded.py SNUGD [--memcached PATH] [--workers N,..] [--loops N,..] [--rounds N] [--seconds S] [--think MS] [--pipeline N]
                     [--max RATIO]

The same loops run beside both, and the turns are short, so both meet the same machine. A client that shares its processor with others is
slow by itself; the ratio is what the server does to it. --loops 0 is the quiet machine. --think has the client pause between two gets, as one
that is not in a hurry; then each get meets a server that sleeps.

Prints a JSON line for each server, and one with the ratios: below 1 snugd answers earlier. The p99 is that of all turns together. With --max the status
is 1 if one of the ratios is above it.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time

KEYS = 1000
LOOP = "while True: pass"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(word) for word in text.split(",")]  # noqa: E731
    parser.add_argument("snugd")
    parser.add_argument("--memcached", default="memcached")
    parser.add_argument("--workers", type=numbers, default=[1, 4], help="threads of each server; default: 1,4")
    parser.add_argument("--loops", type=numbers, default=[2], help="busy loops beside; default: 2")
    parser.add_argument("--rounds", type=int, default=40, help="turns of each server; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=0.25, help="of a turn; default: %(default)s")
    parser.add_argument("--think", type=float, default=0, help="milliseconds between an answer and the next get; default: %(default)s")
    parser.add_argument("--pipeline", type=int, default=1, help="gets that are sent at once; default: %(default)s")
    parser.add_argument("--max", type=float, help="the ratio that is still good")
    return parser.parse_args()


class Server:
    def __init__(self, *words):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        words = [*words, "-p", str(port), "-U", "0", "-l", "127.0.0.1", *(["-u", "root"] if os.geteuid() == 0 else [])]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = self.connect(port)
        for key in range(KEYS):
            self.client.sendall(b"set key:%d 0 0 100 noreply\r\n%0100d\r\n" % (key, key))
        self.get([0])
        self.waits_ns = []
        self.medians_ns = []

    def connect(self, port):
        for _ in range(200):
            try:
                client = socket.create_connection(("127.0.0.1", port))
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return client
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise SystemExit("the server does not listen")

    def get(self, keys):
        self.client.sendall(b"".join(b"get key:%d\r\n" % key for key in keys))
        left, tail = len(keys), b""
        while left > 0:
            part = self.client.recv(65536)
            if not part:
                raise SystemExit("the server has gone")
            part = tail + part
            left -= part.count(b"END\r\n")
            tail = part[-4:]

    def turn(self, seconds, think_s, pipeline):
        waits_ns, key = [], 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            keys = [(key + 7 * i) % KEYS for i in range(1, pipeline + 1)]
            key = keys[-1]
            begin = time.perf_counter_ns()
            self.get(keys)
            waits_ns.append(time.perf_counter_ns() - begin)
            if think_s > 0:
                time.sleep(think_s)
        self.waits_ns += waits_ns
        self.medians_ns.append(share(waits_ns, 0.5))

    def figures(self):
        return {"gets": len(self.waits_ns), **{f"p{part}_us": round(share(self.waits_ns, part / 100) / 1000, 1) for part in (50, 90, 99)}}

    def end(self):
        self.process.kill()
        self.process.wait()


def share(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def compare(options, workers, loop_count):
    """The ratios of p50 and p99."""
    servers = {"snugd": Server(options.snugd, "-t", str(workers)), "memcached": Server(options.memcached, "-t", str(workers))}
    loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(loop_count)]
    try:
        for _ in range(options.rounds):
            for server in servers.values():
                server.turn(options.seconds, options.think / 1000, options.pipeline)
    finally:
        for process in loops:
            process.kill()
            process.wait()
        for server in servers.values():
            server.end()
    figures = {name: server.figures() for name, server in servers.items()}
    for name, found in figures.items():
        print(json.dumps({"server": name, "workers": workers, "loops": loop_count, **found}), flush=True)
    by_turn = [a / b for a, b in zip(*(server.medians_ns for server in servers.values()))]
    ratios = {"p50": round(share(by_turn, 0.5), 3), "p99": round(figures["snugd"]["p99_us"] / figures["memcached"]["p99_us"], 3)}
    print(json.dumps({"workers": workers, "loops": loop_count, "snugd_to_memcached": ratios}), flush=True)
    return ratios.values()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = parse()
    ratios = [ratio for loops in options.loops for workers in options.workers for ratio in compare(options, workers, loops)]
    sys.exit(1 if options.max is not None and max(ratios) > options.max else 0)


main()
