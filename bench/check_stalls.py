#!/usr/bin/env python3
"""The longest wait of a get while the server does something large beside: a client that asks for one key a millisecond, alone and then while
another one asks for `snug check`, for the map, and for the list of connections.

    check_stalls.py SNUGD [ITEMS [WORKERS]]

Prints one JSON line a command. Only on a machine that is quiet do the figures mean anything.
"""

import json
import socket
import subprocess
import sys
import threading
import time

PROGRAM = sys.argv[1]
ITEMS = int(sys.argv[2]) if len(sys.argv) > 2 else 4_000_000
WORKERS = sys.argv[3] if len(sys.argv) > 3 else "1"
BATCH = 2000


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def connect(port):
    for _ in range(200):
        try:
            client = socket.create_connection(("127.0.0.1", port))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return client
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise SystemExit("the server does not listen")


def ask(client, command):
    client.sendall(command + b"\r\n")
    answer = b""
    while not answer.endswith(b"END\r\n"):
        part = client.recv(1 << 16)
        if not part:
            raise SystemExit("the server has gone")
        answer += part
    return answer


def fill(port):
    client = connect(port)
    for first in range(0, ITEMS, BATCH):
        keys = range(first, min(first + BATCH, ITEMS))
        client.sendall(b"".join(b"set key:%09d 0 0 40 noreply\r\n%040d\r\n" % (key, key) for key in keys))
    return ask(client, b"get none")


class Polite(threading.Thread):
    def __init__(self, port):
        super().__init__(daemon=True)
        self.client, self.waits_ns, self.ends = connect(port), [], False

    def run(self):
        while not self.ends:
            begin = time.perf_counter_ns()
            ask(self.client, b"get key:%09d" % (len(self.waits_ns) * 7919 % ITEMS))
            self.waits_ns.append(time.perf_counter_ns() - begin)
            time.sleep(0.001)

    def end(self):
        self.ends = True
        self.join()
        waits = sorted(self.waits_ns)
        return {"gets": len(waits), "p50_ms": waits[len(waits) // 2] / 1e6, "p99_ms": waits[len(waits) * 99 // 100] / 1e6,
                "longest_ms": waits[-1] / 1e6}  # fmt: skip


def main():
    port = free_port()
    megabytes = max(64, ITEMS * 110 // (1 << 20) + 64)
    server = subprocess.Popen([PROGRAM, "-p", str(port), "-l", "127.0.0.1", "-U", "0", "-t", WORKERS, "-m", str(megabytes), "-u", "root", "--open-commands"])
    try:
        connect(port).close()
        fill(port)
        asker = connect(port)
        for command in (None, b"snug check", b"snug map", b"stats conns", b"snug metrics", b"stats"):
            polite = Polite(port)
            polite.start()
            begin, seconds, answer = time.perf_counter(), 3.0, b""
            if command is None:
                time.sleep(seconds)
            else:
                answer = ask(asker, command)
                seconds = time.perf_counter() - begin
                time.sleep(0.05)
            ok = None if command != b"snug check" else answer.count(b"check ok") == int(WORKERS)
            print(json.dumps({"beside": command and command.decode(), "items": ITEMS, "workers": int(WORKERS),
                              "seconds": round(seconds, 3), "ok": ok, **polite.end()}), flush=True)  # fmt: skip
    finally:
        server.terminate()
        server.wait()


main()
