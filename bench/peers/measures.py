"""What is measured: pieces, each of which takes minutes and stands for itself. A piece is a function of Bench that yields rows: dictionaries of names and
figures, which are kept as they are and put on the page by page.py."""

import json
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "defrag-suite"))
import target
from load import Heap, Sizes, zipf

OVERFILL = 1.5
WORKLOADS = [("20 + 50 B", 20, (50, 50)), ("30 + 100 B", 30, (100, 100)), ("30 + 230 B", 30, (230, 230)), ("40 B + 1-2 KiB", 40, (1024, 2048)),
             ("40 B + Meta's kvcache sizes", 40, None), ("40 B + 1-100 KiB", 40, (1024, 100 << 10)), ("40 B + 1 MiB", 40, (1 << 20, 1 << 20))]
MIXES = [("Zipf 0.8", 0.8, 0.0), ("Zipf 1", 1.0, 0.0), ("Zipf 1, a third sets", 1.0, 0.33)]
SHAPES = ["no pipelining", "pipeline 16", "multiget 24", "sets, 16"]
WORKERS = (1, 2, 8, 16)


class Server:
    """One of those that are compared: how it is started, and what it says of itself."""

    def __init__(self, name, program, kind, is_active=False):
        self.name, self.program, self.kind, self.is_active = name, program, kind, is_active

    def version(self):
        option = "--version" if self.kind == "redis" else "-V"
        return subprocess.run([self.program, option], capture_output=True, text=True).stdout.strip().splitlines()[0]

    def command(self, workers=1, item_max="2m", connections=1024):
        """connections: at most, which is 1024 by default for memcached and snugd; memcached counts descriptors of its own among them."""
        program = target.program(self.program)
        user = " -u nobody" if os.geteuid() == 0 else ""
        if self.kind == "redis":
            return target.REDIS.replace("redis-server", program, 1) + (f" --io-threads {workers}" if workers > 1 else "")
        if self.kind == "memcached":
            return f"{program} -l 127.0.0.1 -p {{port}} -U 0 -m {{limit}} -t {workers} -I {item_max} -c {connections}{user}"
        return f"{program} -p {{port}} -m {{limit}} -t {workers} -I {item_max} -c {connections} --open-commands"

    def target(self, **options):
        protocol = "redis" if self.kind == "redis" else "memcached"
        return target.Target(self.name, self.command(**options), protocol, target.REDIS_ACTIVE if self.is_active else (),
                             "snug defrag return" if self.kind == "snugd" else None)


class Bench:
    """servers: in their order on the page. limit: MB."""

    def __init__(self, servers, limit, seed, build, rounds, draws, rest_s, say):
        self.servers, self.limit, self.seed, self.build, self.rounds, self.draws, self.rest_s, self.say = servers, limit, seed, build, rounds, draws, rest_s, say

    def count_of(self, heap, share):
        return int(self.limit * (1 << 20) * share / heap.mean_bytes())


# ---- density -----------------------------------------------------------------------------------------------------------


def density(bench, server, workload, turn):
    """Stores half again as much as the limit. Resident memory at the end of the stores, and when nothing was asked for some seconds; what is found."""
    name, key_bytes, bounds = next(each for each in WORKLOADS if each[0] == workload)
    heap = Heap(key_bytes, Sizes(bounds), bench.seed + turn)
    count = bench.count_of(heap, OVERFILL)
    # The largest item of before is what all are used to; a MiB needs more.
    with server.target(item_max="2m" if bounds and bounds[1] >= 1 << 20 else "1m").run(bench.limit) as run:
        began, before_s = time.monotonic(), run.processor_s()
        refused = heap.fill(run, count)
        took_s, processor_s, full = time.monotonic() - began, run.processor_s() - before_s, run.rss_bytes()
        time.sleep(bench.rest_s)
        rest = run.rss_bytes()
        payload, items = heap.found_bytes(run, range(count))
    bench.say(f"{name} {server.name}: {payload / full:.3f}, {refused} refused, {took_s:.0f} s")
    yield {"server": server.name, "workload": name, "density": payload / full, "at rest": payload / rest, "resident_bytes": full, "rest_bytes": rest,
           "items": items, "stored": count, "refused": refused, "processor_us": 1e6 * processor_s / count}


# ---- memory at rest ----------------------------------------------------------------------------------------------------


def rest(bench, server):
    """Resident memory of a server that was just started, by its number of workers; and with 1,000 connections that have asked once."""
    for workers in WORKERS:
        with server.target(workers=workers, connections=2048).run(bench.limit) as run:
            time.sleep(1)
            empty = run.rss_bytes()
            crowd = [run.connect() for _ in range(1000)]
            for connection in crowd:
                connection.fetch_many([b"none"])
            time.sleep(1)
            crowded = run.rss_bytes()
            for connection in crowd:
                connection.close()
        bench.say(f"rest {server.name} -t {workers}: {empty >> 10} KiB, {(crowded - empty) >> 10} KiB more with 1,000 connections")
        yield {"server": server.name, "workers": workers, "empty_bytes": empty, "crowded_bytes": crowded}


# ---- evicting mixes ----------------------------------------------------------------------------------------------------


def mix(bench, server, name, turn):
    """Gets, and a store of what was missed, of four times as many keys as fit; some requests are sets whatever is there. The second half counts."""
    _, exponent, sets = next(each for each in MIXES if each[0] == name)
    heap = Heap(40, Sizes(None), bench.seed + turn)
    draws = zipf(bench.count_of(heap, 4), exponent, bench.seed + turn, bench.draws)
    source = random.Random(bench.seed)
    is_set = [source.random() < sets for _ in range(1000)]
    hits = gets = 0
    with server.target().run(bench.limit) as run:
        for first in range(0, bench.draws, 250):
            if first == bench.draws // 2 // 250 * 250:
                hits = gets = 0
                began_s = run.processor_s()
            names = [n for at, n in enumerate(draws[first : first + 250]) if not is_set[(first + at) % 1000]]
            stored = {n for at, n in enumerate(draws[first : first + 250]) if is_set[(first + at) % 1000]}
            found = run.connection.fetch_many([heap.key(n) for n in names])
            stored.update(n for n, value in zip(names, found) if value is None)
            if stored:
                run.connection.store_many([(heap.key(n), heap.value(n)) for n in stored], seconds=3600, flags=1)
            hits, gets = hits + sum(value is not None for value in found), gets + len(names)
        processor_us = 1e6 * (run.processor_s() - began_s) / (bench.draws / 2)
        resident = run.rss_bytes()
    bench.say(f"{name} {server.name}: {hits / gets:.4f} of {gets} gets hit, {processor_us:.1f} us of processor a request")
    yield {"server": server.name, "mix": name, "hit_ratio": hits / gets, "processor_us": processor_us, "resident_bytes": resident}


# ---- fragmentation -----------------------------------------------------------------------------------------------------


def shift(bench, server, turn):
    """Small values, then large ones, then small ones again: each time half again as much as the limit, and nobody reads."""
    heaps, row = [], {"server": server.name, "refused": 0}
    with server.target(item_max="1m").run(bench.limit) as run:
        for generation, (_, key_bytes, bounds) in zip("abc", (WORKLOADS[1], WORKLOADS[3], WORKLOADS[1])):
            heap = Heap(key_bytes, Sizes(bounds), bench.seed + turn, generation)
            count = bench.count_of(heap, OVERFILL)
            row["refused"] += heap.fill(run, count)
            heaps.append((heap, count))
            found = [each.payload(run, range(stored)) for each, stored in heaps]
            row[generation], row[f"{generation}_new"] = sum(found) / run.rss_bytes(), found[-1] / sum(found)
    bench.say(f"shift {server.name}: {row}")
    yield row


class Watch(threading.Thread):
    """Gets, one at a time over a connection of its own, and how long each took."""

    def __init__(self, run, heap, names):
        super().__init__()
        self.connection, self.times, self.is_over, self.heap, self.names = run.connect(), [], False, heap, names

    def run(self):
        source = random.Random(1)
        while not self.is_over:
            key = self.heap.key(source.choice(self.names))
            began = time.perf_counter()
            self.connection.fetch_many([key])
            self.times.append(time.perf_counter() - began)

    def end(self):
        """[p50, p99, p99.9], us"""
        self.is_over = True
        self.join()
        self.connection.close()
        times = sorted(self.times)
        return [round(1e6 * times[int(len(times) * q)]) for q in (0.5, 0.99, 0.999)]


def defragment(run, server):
    """What the operator can do about fragmentation; tells what that is. None: nothing."""
    if run.target.defrag:
        run.connection.command(run.target.defrag)
        return run.target.defrag
    if not server.is_active:
        return None
    until = time.monotonic() + 30
    last, since = run.rss_bytes(), time.monotonic()
    while time.monotonic() < until and time.monotonic() - since < 5:
        time.sleep(0.25)
        now = run.rss_bytes()
        if now < last - (256 << 10):
            last, since = now, time.monotonic()
    return "activedefrag, until nothing has come of it for 5 s"


def holes(bench, server, turn):
    """Values of 60 to 600 bytes filling 0.6 of the limit; three quarters of them, at random, deleted. Gets one at a time by a client in Python, beside."""
    heap = Heap(30, Sizes((60, 600)), bench.seed + turn)
    count = bench.count_of(heap, 0.6)
    source = random.Random(bench.seed + turn)
    kept, gone = [], []
    for n in range(count):
        (kept if source.random() < 0.25 else gone).append(n)
    with server.target().run(bench.limit) as run:
        heap.fill(run, count)
        for first in range(0, len(gone), 500):
            run.connection.delete_many([heap.key(n) for n in gone[first : first + 500]])
        before = run.rss_bytes()
        quiet = Watch(run, heap, kept)
        quiet.start()
        time.sleep(2)
        quiet_us = quiet.end()
        watch = Watch(run, heap, kept)
        watch.start()
        began = time.monotonic()
        done = defragment(run, server)
        took_s = time.monotonic() - began
        time.sleep(max(0, 2 - took_s))
        busy_us = watch.end()
        payload, after = heap.payload(run, kept), run.rss_bytes()
    bench.say(f"holes {server.name}: {before >> 20} -> {after >> 20} MiB in {took_s:.2f} s")
    yield {"server": server.name, "before_bytes": before, "after_bytes": after, "density": payload / after, "done": done, "took_ms": 1000 * took_s,
           "quiet_us": quiet_us, "busy_us": busy_us}


# ---- processor time ----------------------------------------------------------------------------------------------------


def processor(bench, shape, peer):
    """Server's processor time for a request, with 1, 2, 8 and 16 workers, by bench-servers: in turns, in one run."""
    program = next(server.program for server in bench.servers if server.name == peer)
    own = next(server.program for server in bench.servers if server.kind == "snugd")
    command = [os.path.join(bench.build, "bench", "bench-servers"), "--snugd", own, "--memcached", program, "--workers", ",".join(map(str, WORKERS)),
               "--shape", str(SHAPES.index(shape) + 1), "--rounds", str(bench.rounds), "--milliseconds", "1000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        row = json.loads(line)
        if row["bench"] == "servers":
            bench.say(f"{shape} {row['server']} -t {row['workers']}: {row['cpu_s_per_million']} s, {row['cpu_ratio']}")
            yield {**row, "peer": peer, "command": " ".join(["bench/bench-servers", *command[5:]])}


# ---- all of them -------------------------------------------------------------------------------------------------------


def pieces(bench, turns):
    """(name, function of Bench that yields rows), what says most first; a turn repeats the first one's pieces with another seed. Most are of one server."""
    peers = [server.name for server in bench.servers if server.kind == "memcached"]
    for turn in range(turns):
        parts = [("density", density, (workload[0],)) for workload in WORKLOADS]
        if turn == 0:
            parts.append(("rest", rest, None))
            parts += [("processor", processor, (shape, peer)) for peer in reversed(peers) for shape in SHAPES]
        parts += [("mix", mix, (name[0],)) for name in MIXES] + [("shift", shift, ()), ("holes", holes, ())]
        for kind, measure, words in parts:
            if kind == "processor":
                yield "/".join((kind, *words)), lambda b, words=words: processor(b, *words)
                continue
            for server in bench.servers:
                rest_of = () if words is None else (*words, turn)
                yield "/".join(map(str, (kind, *rest_of, server.name))), lambda b, m=measure, s=server, w=rest_of: m(b, s, *w)
