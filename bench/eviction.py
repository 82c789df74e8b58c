#!/usr/bin/env python3
"""What the cache misses beside the best of the published policies: snug-replay --cache over all loads, policies and limits.

    eviction.py BUILD_DIRECTORY [--trace FILE] [--loads NAME,NAME] [--share 0.2] [--seed 1] [--jobs 2] [--state DIRECTORY] [--out FILE]

Each load has its number of requests, so that it is larger than the largest cache; --share takes fewer of all. Limits are bytes, or shares of the
footprint; those below 1 MiB are left out, and those that hold everything. A trace (see --list) is played as a whole. Counts, not times: the same seed gives the same table on any
machine. What a load gave is kept in --state, so that a run that ended goes on with the same command. Without --out the table is printed.
"""

import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "defrag-suite"))
import kept

PEERS = "lru s3fifo sieve lhd arc tinylfu gdsf".split()
TITLES = {"lru": "LRU", "s3fifo": "S3-FIFO", "sieve": "SIEVE", "lhd": "LHD", "arc": "ARC", "tinylfu": "W-TinyLFU", "gdsf": "GDSF"}
SIGHTED = ["min", "min-sized"]
OURS = {"miss_ratio_objects": ("shard", "snug"), "miss_ratio_bytes": ("shard-bytes", "snug-bytes")}
CLOSE = 0.003
LEAST_BYTES = 1 << 20
OVERHEAD = "18"

# load: limits, requests
LOADS = {name: ("1M,4M", 1000000) for name in "zipf:0.7 zipf:0.9 zipf:1.2 scan:1.0 loop:0.9 drift:0.9 drift:1.0 change:0.9".split()}
LOADS |= {name: ("1M,5%,20%", 400000) for name in "tail:0.6 tail:0.8 tail:1.0 drift-tail:0.9".split()}
LOADS |= {name: ("1%,5%,20%", 400000) for name in "cdn:0.8 cdn:1.0 block:0.8".split()}
LOADS |= {name: ("1M,5%,20%", 1000000) for name in "meta:kvcache meta:graph".split()}
LOADS |= {f"twitter:cluster{number}": ("1M,10%,30%", 1000000) for number in (7, 11, 19, 27, 29, 33, 41, 45, 49, 53)}
TRACE = ("1M,1%,5%,20%", 1000000)


def play(options, load):
    """The lines of the replay of a load."""
    limits, requests = LOADS.get(load, TRACE)
    command = ["--cache", load, "--limit", limits, "--requests", int(requests * options.share), "--seed", options.seed,
               "--overhead", OVERHEAD, "--policy", "shard,shard-bytes,snug,snug-bytes," + ",".join(PEERS + SIGHTED), "--json", "--quiet"]
    if load == "trace":
        command += ["--trace", options.trace]
    return kept_or_run(options, load, options.build / "snug-replay", [str(part) for part in command])


def kept_or_run(options, load, program, command):
    """What the program answers, line by line, unless a run before has asked the same program the same."""
    if not options.state:
        return run(program, command)
    inputs = [program] + ([options.trace] if load == "trace" else [])
    state = kept.State(options.state, [command, [hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs]])
    lines = state.rows(load)
    if lines is None:
        lines = run(program, command)
        state.keep(load, lines)
    return lines


def run(program, command):
    return subprocess.run([str(program), *command], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()


def cells_of(lines):
    cells = {}
    for line in lines:
        cell = json.loads(line)
        if not LEAST_BYTES <= cell["limit_bytes"] < cell["footprint_bytes"]:
            continue
        assert not cell.get("integrity_errors"), cell
        cells.setdefault((cell["cache"], cell["limit"], cell["limit_bytes"]), {})[cell["policy"]] = cell
    return cells


def size_text(size):
    return f"{size / (1 << 20):.0f} MiB" if size < 10 << 30 else f"{size / (1 << 30):.0f} GiB"


def rows_of(cells, field):
    ours, model = OURS[field]
    for (load, limit, size), policies in cells.items():
        ratios = {policy: cell[field] for policy, cell in policies.items()}
        best = min(PEERS, key=lambda policy: ratios[policy])
        share = f" ({limit})" if limit.endswith("%") else ""
        yield {"load": load, "limit": size_text(size) + share, "best": best, "above": ratios[ours] - ratios[best],
               "model_above": ratios[model] - ratios[best], "ratios": ratios}


def table(cells, field):
    ours, model = OURS[field]
    lines = ["| load | limit | cache | its model | best of seven | | cache - best | " + " | ".join(TITLES[peer] for peer in PEERS) + " | MIN | MIN by size |",
             "|" + "---|" * (9 + len(PEERS))]
    rows = list(rows_of(cells, field))
    for row in rows:
        figures = row["ratios"]
        lines.append(f"| {row['load']} | {row['limit']} | {figures[ours]:.4f} | {figures[model]:.4f} | {figures[row['best']]:.4f} | {TITLES[row['best']]} | "
                     f"{row['above']:+.4f} | " + " | ".join(f"{figures[policy]:.4f}" for policy in PEERS + SIGHTED) + " |")
    return rows, lines


def summary(rows):
    if not rows:
        return "No cell is of 1 MiB or more."
    told = []
    for name, key in (("the cache", "above"), ("its model", "model_above")):
        differences = [row[key] for row in rows]
        told.append(f"{name}: {sum(d < 0 for d in differences)} better than all seven, {sum(d > CLOSE for d in differences)} more than {CLOSE} worse than the best, "
                    f"{sum(differences) / len(rows):+.4f} in the mean, {max(differences):+.4f} at worst")
    return f"Of {len(rows)} cells " + "; ".join(told) + "."


def report(options, cells):
    lines = ["# What the cache misses", "", "Written by `make bench-eviction`; run it to get your own. The figures are counts: they do not depend on the machine.", "",
             f"- `bench/eviction.py --seed {options.seed} --share {options.share:g}{' --trace FILE' if options.trace else ''}`",
             f"- simulations are charged {OVERHEAD} bytes an object beside key and value; the cache holds what it needs within its limit, in small limits more than that: its tables",
             "- *its model* is the cache's ranking alone, simulated as the others are; MIN and MIN by size know the future (what each load and policy is: `snug-replay --list`)",
             "- [how it decides, and what was tried](../design/0004-eviction.md)"]
    for field, title in (("miss_ratio_objects", "Objects"), ("miss_ratio_bytes", "Bytes, with evict-for bytes")):
        rows, told = table(cells, field)
        lines += ["", f"## {title}", "", "Share of what was asked for that was missed. " + summary(rows), ""] + told
    return "\n".join(lines) + "\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--trace", type=pathlib.Path)
    parser.add_argument("--loads", default=",".join(LOADS))
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--state", metavar="DIRECTORY", help="keeps there what each load gave: the same command goes on where a run ended")
    parser.add_argument("--out", type=pathlib.Path)
    return parser.parse_args()


def main():
    options = arguments()
    loads = options.loads.split(",") + (["trace"] if options.trace else [])
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        cells = {key: cell for lines in pool.map(lambda load: play(options, load), loads) for key, cell in cells_of(lines).items()}
    text = report(options, cells)
    if options.out:
        options.out.write_text(text)
        for field in OURS:
            print(field, summary(list(rows_of(cells, field))))
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
