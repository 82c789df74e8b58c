#!/usr/bin/env python3
"""What a scrape of /metrics costs the workers: processor time of the worker threads for each, less what they use when nobody asks.

    bench/scrape.py [SNUGD]
"""

import os
import re
import subprocess
import sys
import time
import urllib.request

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "build/snugd"
SCRAPES = 1000


def worker_ns(pid):
    times = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm") as name, open(f"/proc/{pid}/task/{task}/schedstat") as figures:
                if re.fullmatch(r"snugd-\d+\n", name.read()):
                    times[task] = int(figures.read().split()[0])
        except OSError:
            pass  # a thread of a connection that has ended
    return times


def measure(threads):
    command = [PROGRAM, "-p", "-1", "-m", "256", "-t", str(threads), "--http", "127.0.0.1:0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        url = re.search(r"http://[0-9.:]+", server.stderr.readline()).group(0) + "/metrics"
        urllib.request.urlopen(url).read()
        before, began = worker_ns(server.pid), time.monotonic()
        time.sleep(3)
        after, took_s = worker_ns(server.pid), time.monotonic() - began
        idle = {task: (after[task] - before[task]) / took_s for task in before}
        before, began = after, time.monotonic()
        for _ in range(SCRAPES):
            urllib.request.urlopen(url).read()
        after, took_s = worker_ns(server.pid), time.monotonic() - began
        each_us = [(after[task] - before[task] - idle[task] * took_s) / SCRAPES / 1000 for task in before]
        print(f"{threads:7} {sum(each_us) / len(each_us):10.1f} {max(each_us):10.1f} {took_s / SCRAPES * 1e6:10.0f}")
    finally:
        server.terminate()
        server.wait()


print("workers    us each   the most    wall us")
for count in (1, 2, 16):
    measure(count)
