#!/usr/bin/env python3
"""What TLS costs a server: its processor time for each request and each handshake, snugd beside a memcached that was built with TLS.

    secured.py SNUGD MEMCACHED [--seconds 6] [--only NAME]
    secured.py SNUGD --kernel-tls ..    beside the same snugd, whose large answers the kernel encrypts

Both have one worker, the same key of P-256 and the same certificate, and ten clients, who speak TLS 1.3 with AES-256-GCM over loopback. All ten ask, then all
answers are read. The servers take turns of a tenth of a second, so that the ratio is not the machine's mood. The clients are compiled by cc, because Python
would be what is measured. Prints one JSON line for each load: the median of the slices in microseconds, for both, and between which ratios nine tenths of
the pairs of slices are.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))
from certificates import Authority  # noqa: E402

# name: bytes of the value, requests at once, kind
LOADS = {
    "get of 100 B": (100, 1, "get"),
    "set of 100 B": (100, 1, "set"),
    "16 gets in a pipeline": (100, 16, "get"),
    "get of 10 kB": (10000, 1, "get"),
    "set of 10 kB": (10000, 1, "set"),
    "get of 200 kB": (200000, 1, "get"),
    "set of 200 kB": (200000, 1, "set"),
    "connect, handshake, get, close": (100, 1, "connect"),
}


def begun(program, certificate, key, option=""):
    """A server that speaks TLS alone: its process and its port. Both are given the same options."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [program, "-p", str(port), "-l", "127.0.0.1", "-U", "0", "-t", "1", "-m", "256", "-u", "root", "-Z", "-o", f"ssl_chain_cert={certificate},ssl_key={key}{option}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return process, port
        time.sleep(0.05)
    raise SystemExit(f"{program} does not serve: was it built with TLS?")


def measured(client, load, slices, servers):
    """[server]: its microseconds for each request, slice by slice."""
    words = [client, *map(str, load), str(slices)] + [str(word) for process, port in servers for word in (port, process.pid)]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return list(zip(*([int(cost) / 1000 for cost in line.split()] for line in lines)))


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("snugd")
    words.add_argument("memcached", nargs="?")
    words.add_argument("--kernel-tls", action="store_true")
    words.add_argument("--seconds", type=float, default=6, help="for each load and server")
    words.add_argument("--only", default="", help="loads whose name has this in it")
    words = words.parse_args()
    if (words.memcached is None) != words.kernel_tls:
        raise SystemExit("beside a memcached, or with --kernel-tls")
    other, name_of_other, option = (words.snugd, "by_kernel", ",ssl_kernel_tls") if words.kernel_tls else (words.memcached, "memcached", "")
    with Authority() as authority, contextlib.ExitStack() as servers_end:
        certificate, key = authority.certificate("server")
        client = authority.path("client")
        subprocess.run(["cc", "-O2", "-o", client, os.path.join(HERE, "secured_load.c"), "-lssl", "-lcrypto"], check=True)
        servers = []
        for program, added in ((words.snugd, ""), (other, option)):
            servers.append(begun(program, certificate, key, added))
            servers_end.callback(servers[-1][0].wait)
            servers_end.callback(servers[-1][0].terminate)
        for name, load in LOADS.items():
            if words.only not in name:
                continue
            costs = measured(client, load, round(words.seconds * 10), servers)
            snugd, beside = (statistics.median(cost) for cost in costs)
            ratios = sorted(ours / theirs for ours, theirs in zip(*costs))
            print(json.dumps({"load": name, "snugd_us": round(snugd, 2), f"{name_of_other}_us": round(beside, 2), "ratio": round(snugd / beside, 2),
                              "nine_tenths_of_pairs": [round(ratios[len(ratios) // 20], 2), round(ratios[-1 - len(ratios) // 20], 2)]}), flush=True)


if __name__ == "__main__":
    main()
