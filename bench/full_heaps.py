#!/usr/bin/env python3
"""How much of its limit a heap can hold: RAMCloud's W1..W8 at the highest use without a failed allocation, and Meta's sizes in a heap that is
always full; beside what is aimed at.

    full_heaps.py BUILD_DIRECTORY [--live MIB,MIB] [--names reference,handle] [--workloads W1,W6] [--json]

Each figure of W1..W8 is a search of `snug-replay --use max`, in steps of 0.001: a minute for 64 MiB, some four for 256 MiB. The heap of Meta's
sizes is bench-metadata. Ends with 1 if an aim was missed, which says nothing about the machine: no time is measured.
"""

import argparse
import json
import pathlib
import subprocess
import sys

WORKLOADS = [f"W{number}" for number in range(1, 9)]
AIMS = {"reference": 0.98, "handle": 0.89}  # payload / limit
META_AIMS = {16: 0.968, 256: 0.987}  # by MiB of limit, objects up to 512 KiB


def lines_of(*command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def highest_use(build, workload, live_mib, names):
    (result,) = lines_of(build / "snug-replay", "--workload", workload, "--use", "max", "--live", f"{live_mib}M", "--names", names, "--json")
    return {"workload": workload, "live_mib": live_mib, "names": names, "aim": AIMS[names], "reached": result["use"]}


def meta_rows(build):
    for result in lines_of(build / "bench" / "bench-metadata", "--json"):
        limit_mib = result["limit_bytes"] >> 20
        large = result["max_object_bytes"] > 16 << 10
        yield {"workload": f"Meta's sizes to {result['max_object_bytes'] >> 10} KiB", "limit_mib": limit_mib, "names": "reference",
               "aim": META_AIMS.get(limit_mib) if large else None, "reached": result["utilisation_mean"]}


def print_row(row, as_json):
    if as_json:
        print(json.dumps(row), flush=True)
        return
    size = f"{row['live_mib']} MiB live" if "live_mib" in row else f"limit {row['limit_mib']} MiB"
    aim = "" if row["aim"] is None else f"{row['aim']:.3f}"
    missed = "missed" if row["aim"] is not None and row["reached"] < row["aim"] else ""
    print(f"| {row['workload']} | {size} | {row['names']} | {aim} | {row['reached']:.4f} | {missed} |", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--live", default="64,256")
    parser.add_argument("--names", default="reference,handle")
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    asked = arguments()
    missed = 0
    if not asked.json:
        print("| workload | size | named by | aim | payload / limit | |\n|---|---|---|---|---|---|")
    rows = (highest_use(asked.build, workload, int(live), names)
            for live in asked.live.split(",") for names in asked.names.split(",") for workload in asked.workloads.split(","))
    for source in (rows, meta_rows(asked.build)):
        for row in source:
            print_row(row, asked.json)
            missed += row["aim"] is not None and row["reached"] < row["aim"]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
