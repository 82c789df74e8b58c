#!/usr/bin/env python3
"""snugd beside memcached and Redis in one run, interleaved: density, a shift of sizes, deletions and what can be done about the holes, hit ratio at
equal memory; and processor time and latency of snugd beside memcached by bench-servers. Writes docs/results.

    peers.py [--build DIRECTORY] [--limit MB] [--seed N] [--out DIRECTORY] [--only PART,...] [--rounds N]

Every value that is found is compared to what was stored. Payload is measured by asking for a sample of all keys that were stored: the share
found, times the bytes of keys and values; where few large values are most of the bytes all keys are asked for. Density is payload / resident memory
of the process.
"""

import argparse
import bisect
import datetime
import math
import os
import platform
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "defrag-suite"))
import target

BATCH = 500
SAMPLE = 30000
WORKLOADS = [("20 + 50 B", 20, (50, 50)), ("30 + 100 B", 30, (100, 100)), ("30 + 230 B", 30, (230, 230)),
             ("40 B + 1-2 KiB", 40, (1024, 2048)), ("40 B + Meta's kvcache sizes", 40, None)]
STUFF = bytes(i * 7 % 251 for i in range(1 << 21))


class Sizes:
    """Value sizes: a range, or a published distribution."""

    def __init__(self, bounds, path):
        self.bounds = bounds
        if bounds is None:
            rows = [line.split(",") for line in open(path) if line[0] not in "#\n"]
            self.upper, self.cumulative = [int(r[0]) for r in rows], [float(r[1]) for r in rows]

    def of(self, name):
        source = random.Random(name)
        if self.bounds is not None:
            return source.randint(*self.bounds)
        share = source.random()
        at = min(bisect.bisect_left(self.cumulative, share), len(self.upper) - 1)
        low = self.upper[at - 1] + 1 if at > 0 else 1
        return min(round(math.exp(source.uniform(math.log(low), math.log(self.upper[at] + 1)))), 900000)


class Heap:
    """What was stored: names from 0 on; key and value follow from the name and the generation."""

    def __init__(self, key_bytes, sizes, seed, generation="a"):
        self.key_bytes, self.sizes, self.seed, self.generation = key_bytes, sizes, seed, generation
        self.source = random.Random(seed)

    def key(self, number):
        return (b"%s%d:" % (self.generation.encode(), number)).ljust(self.key_bytes, b"k")

    def value(self, number):
        start = number * 13 % 100000
        return STUFF[start : start + self.sizes.of(number * 1000003 + self.seed)]

    def mean_bytes(self):
        return self.key_bytes + sum(self.sizes.of(n * 1000003 + self.seed) for n in range(5000)) / 5000

    def fill(self, server, count):
        refused = 0
        for first in range(0, count, BATCH):
            refused += server.connection.store_many([(self.key(n), self.value(n)) for n in range(first, min(first + BATCH, count))])
        return refused

    def payload(self, server, names):
        """Bytes of those names that are there, by a sample; RuntimeError if a value is not the one that was stored. Another sample each time: what was
        asked for is kept longer."""
        sample = names if self.sizes.bounds is None else self.source.sample(names, min(SAMPLE, len(names)))
        found = 0
        for first in range(0, len(sample), BATCH):
            part = sample[first : first + BATCH]
            for number, value in zip(part, server.connection.fetch_many([self.key(n) for n in part])):
                if value is None:
                    continue
                if value != self.value(number):
                    raise RuntimeError(f"{server.name}: another value than was stored")
                found += self.key_bytes + len(value)
        return found * len(names) / len(sample)


def targets(options):
    """snugd, memcached, Redis; and Redis with active defragmentation, as eager as it can be set, where this build has it."""
    snugd = target.known("snugd-asked", options.build)
    snugd.name = "snugd"
    found = [snugd, target.known("memcached", options.build), target.known("redis", options.build)]
    active = target.known("redis-activedefrag", options.build)
    try:
        with active.run(64):
            found.append(active)
    except RuntimeError as error:
        options.notes.append(f"Redis with activedefrag was left out: {error}")
    return found


def defragment(server):
    """What the operator can do about fragmentation; tells what that is. None: nothing."""
    if server.target.defrag:
        server.connection.command(server.target.defrag)
        return server.target.defrag
    if server.name != "redis-activedefrag":
        return None
    until = time.monotonic() + 30
    last, since = server.rss_bytes(), time.monotonic()
    while time.monotonic() < until and time.monotonic() - since < 5:
        time.sleep(0.25)
        now = server.rss_bytes()
        if now < last - (256 << 10):
            last, since = now, time.monotonic()
    return "activedefrag, until nothing has come of it for 5 s"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def share(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def sizes_path():
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "cachebench-kvcache-sizes.csv")


# ---- density -----------------------------------------------------------------------------------------------------------


def density(options):
    rows, bars = [], []
    for name, key_bytes, bounds in WORKLOADS:
        row = [name]
        for kind in options.targets[:3]:
            heap = Heap(key_bytes, Sizes(bounds, sizes_path()), options.seed)
            count = int(options.limit * (1 << 20) * 1.5 / heap.mean_bytes())
            with kind.run(options.limit) as server:
                refused = heap.fill(server, count)
                value = heap.payload(server, range(count)) / server.rss_bytes()
            row.append(share(value) + (f" ({refused} refused)" if refused else ""))
            bars.append((name, kind.name, value))
            options.say(f"density {name} {kind.name}: {value:.3f}, {refused} refused")
        rows.append(row)
    draw_bars(os.path.join(options.out, "density.svg"), bars)
    text = f"Stored 1.5 times the limit of {options.limit} MB; keys and values that are there / resident memory.\n\n"
    return "Density", text + table(["keys and values"] + [k.name for k in options.targets[:3]], rows) + "\n![Density](density.svg)\n"


# ---- a shift of sizes --------------------------------------------------------------------------------------------------


def shift(options):
    rows = []
    for kind in options.targets[:3]:
        cells, refused, heaps = [kind.name], 0, []
        with kind.run(options.limit) as server:
            for generation, (_, key_bytes, bounds) in zip("abc", (WORKLOADS[1], WORKLOADS[3], WORKLOADS[1])):
                heap = Heap(key_bytes, Sizes(bounds, None), options.seed, generation)
                count = int(options.limit * (1 << 20) * 1.5 / heap.mean_bytes())
                refused += heap.fill(server, count)
                heaps.append((heap, count))
                found = [each.payload(server, range(stored)) for each, stored in heaps]
                cells.append(f"{share(sum(found) / server.rss_bytes())} ({share(found[-1] / sum(found))})")
        rows.append(cells + [refused])
        options.say(f"shift {kind.name}: {cells[1:]}")
    text = "Each phase stores 1.5 times the limit. All keys and values that are there / resident memory; in brackets how much of them is of that phase. Nobody reads meanwhile: snugd prefers what is small then.\n\n"
    return "Sizes that shift", text + table(["server", "30 + 100 B", "then 40 B + 1-2 KiB", "then 30 + 100 B again", "refused"], rows)


# ---- holes -------------------------------------------------------------------------------------------------------------


class Watch(threading.Thread):
    """Gets, one at a time over a connection of its own, and how long each took."""

    def __init__(self, server, heap, names):
        super().__init__()
        self.connection, self.times, self.is_over = server.connect(), [], False
        self.heap, self.names = heap, names

    def run(self):
        source = random.Random(1)
        while not self.is_over:
            key = self.heap.key(source.choice(self.names))
            began = time.perf_counter()
            self.connection.fetch_many([key])
            self.times.append(time.perf_counter() - began)

    def end(self):
        self.is_over = True
        self.join()
        self.connection.close()
        times = sorted(self.times)
        return [f"{1e6 * times[int(len(times) * q)]:.0f}" for q in (0.5, 0.99, 0.999)]


def holes(options):
    rows = []
    for kind in options.targets:
        heap = Heap(30, Sizes((60, 600), None), options.seed)
        count = int(options.limit * (1 << 20) * 0.6 / heap.mean_bytes())
        source = random.Random(options.seed)
        kept = [n for n in range(count) if source.random() < 0.25]
        gone = sorted(set(range(count)) - set(kept))
        with kind.run(options.limit) as server:
            heap.fill(server, count)
            for first in range(0, len(gone), BATCH):
                server.connection.delete_many([heap.key(n) for n in gone[first : first + BATCH]])
            before = server.rss_bytes()
            quiet = Watch(server, heap, kept)
            quiet.start()
            time.sleep(2)
            quiet_us = quiet.end()
            watch = Watch(server, heap, kept)
            watch.start()
            began = time.monotonic()
            done = defragment(server)
            took = time.monotonic() - began
            time.sleep(max(0, 2 - took))
            busy_us = watch.end()
            payload = heap.payload(server, kept)
            after = server.rss_bytes()
        rows.append([kind.name, f"{before >> 20} MiB", done or "nothing to do", f"{after >> 20} MiB", share(payload / after),
                     f"{took * 1000:.0f} ms" if done else "", " ".join(quiet_us), " ".join(busy_us) if done else ""])
        options.say(f"holes {kind.name}: {before >> 20} -> {after >> 20} MiB in {took:.2f} s")
    head = ["server", "resident after the deletions", "what the operator can do", "resident after it", "payload / resident", "took",
            "get, us: p50 p99 p99.9", "the same meanwhile"]
    text = "Values of 60 to 600 bytes filling 0.6 of the limit; three quarters of them, at random, deleted. Gets one at a time by a client in Python, beside.\n\n"
    return "Holes", text + table(head, rows)


# ---- hit ratio ---------------------------------------------------------------------------------------------------------


def zipf(count, exponent, seed):
    total, sums = 0.0, []
    for rank in range(1, count + 1):
        total += rank**-exponent
        sums.append(total)
    source = random.Random(seed)
    while True:
        yield bisect.bisect_left(sums, source.random() * total)


def hit_ratio(options):
    limit = max(16, options.limit // 4)
    requests, rows = options.requests, []
    for name, exponent in (("Zipf 0.8", 0.8), ("Zipf 1", 1.0)):
        row = [name]
        for kind in options.targets[:3]:
            heap = Heap(40, Sizes(None, sizes_path()), options.seed)
            keys = int(limit * (1 << 20) * 4 / heap.mean_bytes())
            popularity, hits, counted = zipf(keys, exponent, options.seed), 0, 0
            with kind.run(limit) as server:
                for first in range(0, requests, 200):
                    names = [next(popularity) for _ in range(200)]
                    found = server.connection.fetch_many([heap.key(n) for n in names])
                    missed = list(dict.fromkeys(n for n, value in zip(names, found) if value is None))
                    if missed:
                        server.connection.store_many([(heap.key(n), heap.value(n)) for n in missed])
                    if first >= requests // 2:
                        hits, counted = hits + sum(value is not None for value in found), counted + 200
            row.append(share(hits / counted))
            options.say(f"hits {name} {kind.name}: {hits / counted:.3f}")
        rows.append(row)
    text = f"Get, and store what was missed: {requests} requests, the second half counted; keys four times as many as fit {limit} MB, Meta's sizes.\n\n"
    return "Hit ratio at equal memory", text + table(["popularity"] + [k.name for k in options.targets[:3]], rows)


# ---- processor time ----------------------------------------------------------------------------------------------------


def processor(options):
    program = os.path.join(options.build, "bench", "bench-servers")
    parts = []
    for arguments in (["--workers", "1"], ["--workers", "2"], ["--workers", "1", "--churn"], ["--workers", "2", "--churn"]):
        command = [program, "--snugd", os.path.join(options.build, "snugd"), "--rounds", str(options.rounds), *arguments]
        options.say("bench-servers " + " ".join(arguments))
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        parts.append(f"`bench-servers {' '.join(command[3:])}`\n\n```\n{done.stdout}```\n")
    text = "Server's processor time for a million requests, and the client's latencies, by bench-servers; with --churn while sizes shift and snugd is defragmented without a pause.\n\n"
    return "Processor time and latency, beside memcached", text + "\n".join(parts)


# ---- the page ----------------------------------------------------------------------------------------------------------

COLOURS = {"snugd": "#1f6feb", "memcached": "#8a94a3", "redis": "#c2611f"}


def draw_bars(path, bars):
    groups = list(dict.fromkeys(bar[0] for bar in bars))
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 270" font-family="sans-serif" font-size="12">',
             '<rect width="720" height="270" fill="#fff"/>']
    for k in range(6):
        parts.append(f'<path d="M40 {220 - 40 * k}H710" stroke="#ddd"/><text x="8" y="{224 - 40 * k}">{k / 5:.1f}</text>')
    for at, group in enumerate(groups):
        x = 50 + at * 132
        for i, (_, name, value) in enumerate(bar for bar in bars if bar[0] == group):
            parts.append(f'<rect x="{x + i * 34}" y="{220 - 200 * value:.1f}" width="30" height="{200 * value:.1f}" fill="{COLOURS[name]}">'
                         f"<title>{group}, {name}: {value:.3f}</title></rect>")
        parts.append(f'<text x="{x}" y="236" font-size="10">{group.replace("kvcache sizes", "sizes")}</text>')
    for i, (name, colour) in enumerate(COLOURS.items()):
        parts.append(f'<rect x="{50 + i * 120}" y="248" width="12" height="12" fill="{colour}"/><text x="{67 + i * 120}" y="258">{name}</text>')
    with open(path, "w") as out:
        out.write("\n".join(parts + ["</svg>\n"]))


def version_of(command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip().splitlines()[0]


def processor_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parts = {"density": density, "shift": shift, "holes": holes, "hits": hit_ratio, "cpu": processor}
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--limit", type=int, default=512, help="MB; of the hit ratio a quarter")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", default="docs/results")
    parser.add_argument("--only", default=",".join(parts))
    parser.add_argument("--rounds", type=int, default=5, help="of bench-servers")
    parser.add_argument("--requests", type=int, default=1000000, help="of the hit ratio")
    options = parser.parse_args()
    target.end_in_order()
    options.notes = []
    options.say = lambda line: print(line, file=sys.stderr, flush=True)
    options.targets = targets(options)
    os.makedirs(options.out, exist_ok=True)
    sections = [parts[name](options) for name in options.only.split(",")]
    with open(os.path.join(options.out, "README.md"), "w") as out:
        out.write("# snugd beside memcached and Redis\n\nWritten by `make bench-peers`; run it to get your own. Ratios travel between machines, times do not.\n\n")
        out.write(f"- {datetime.date.today()}, {processor_name()}, {os.cpu_count()} processors, Linux {platform.release()}\n")
        out.write(f"- {version_of([os.path.join(options.build, 'snugd'), '-V'])}; {version_of(['memcached', '-V'])}; {version_of(['redis-server', '--version'])}\n")
        out.write(f"- `bench/peers/peers.py --limit {options.limit} --seed {options.seed} --only {options.only} --rounds {options.rounds} --requests {options.requests}`; one worker each unless said otherwise\n")
        for note in options.notes:
            out.write(f"- {note}\n")
        for title, text in sections:
            out.write(f"\n## {title}\n\n{text}")


main()
