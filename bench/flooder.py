#!/usr/bin/env python3
"""How long a polite client waits beside one that floods: a get at a time, while another connection pipelines as fast as it is let. snugd and memcached
take turns within the same minute, with the same clients, so that the ratio is not the machine's mood.

    flooder.py SNUGD [WORKERS [SECONDS]]

Prints one JSON line for each server and flood, and one with the ratio. The clients are compiled by cc, because Python would be what is measured.
With one worker flooder and polite client meet for certain; with more, the polite one is placed anew for each round, and the slowest round counts.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SNUGD = sys.argv[1]
WORKERS = sys.argv[2] if len(sys.argv) > 2 else "1"
SECONDS = sys.argv[3] if len(sys.argv) > 3 else "4"
ROUNDS = 3
FLOODS = {"gets of 8 keys": "get a b c d e f g h\r\n", "quiet sets": "set k 0 0 1 noreply\r\nx\r\n"}
CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "flooder_client.c")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise SystemExit("the server does not listen")


def waits(client, server, flood):
    """The slowest of some rounds by p50: [gets, p50_us, p99_us]."""
    port = free_port()
    command = [server, "-p", str(port), "-l", "127.0.0.1", "-U", "0", "-t", WORKERS, "-m", "64", "-u", "root"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        rounds = [subprocess.run([client, str(port), FLOODS[flood], SECONDS], check=True, capture_output=True, text=True).stdout for _ in range(ROUNDS)]
        return max((json.loads(line) for line in rounds), key=lambda figures: figures["p50_us"])
    finally:
        process.terminate()
        process.wait()


def main():
    memcached = shutil.which("memcached")
    with tempfile.TemporaryDirectory() as directory:
        client = os.path.join(directory, "client")
        subprocess.run(["cc", "-O2", "-o", client, CLIENT, "-lpthread"], check=True)
        for flood in FLOODS:
            figures = {}
            for server in (SNUGD, memcached):
                if server is None:
                    continue
                name = os.path.basename(server)
                figures[name] = waits(client, server, flood)
                print(json.dumps({"server": name, "workers": int(WORKERS), "flood": flood, **figures[name]}), flush=True)
            if memcached:
                ratio = {f"{part}_ratio": round(figures["snugd"][part] / figures["memcached"][part], 2) for part in ("p50_us", "p99_us")}
                print(json.dumps({"flood": flood, "workers": int(WORKERS), **ratio}), flush=True)


main()
