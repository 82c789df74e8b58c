#!/usr/bin/env python3
"""Tests of bench-readers: that each table gives back what was stored, and that there is a figure for each.

    test_bench_readers.py PROGRAM SANITIZERS
"""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import Skipped, run_tests
from waits import RUN_HANG_S

PROGRAM = sys.argv[1]


def run(*arguments):
    return subprocess.run([PROGRAM, "--quick", "--rounds", "1", "--items", "3000", *arguments],
                          capture_output=True, text=True, timeout=RUN_HANG_S, check=True)  # fmt: skip


def test_every_table_gives_back_what_was_stored():
    if "thread" in sys.argv[2]:
        raise Skipped("ThreadSanitizer sees nothing of what orders the threads in liburcu and TBB")
    done = run("--json", "--threads", "3")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    told = {(row["keys"], row["sets_percent"], row["table"]) for row in rows if row["bench"] == "readers"}
    wanted = {(keys, sets, table) for keys in ("uniform", "zipf 0.99") for sets in (0, 5, 50)
              for table in ("own", "snug", "striped", "liburcu", "TBB")}  # fmt: skip
    assert told == wanted, told ^ wanted
    for row in rows:
        if row["bench"] == "readers":
            assert row["get_ns"] > 0 and (row["set_ns"] > 0) == (row["sets_percent"] > 0), row
    beside = {row["when"]: row for row in rows if row["bench"] == "readers-beside"}
    assert set(beside) == {"quiet", "defragmenting"} and all(row["p99_ns"] > 0 for row in beside.values()), beside
    assert "sets: 0 values wrong, 0 missing" in done.stderr, done.stderr


def test_more_workers_and_fewer_tables():
    done = run("--threads", "2", "--workers", "3", "--only", "snug")
    assert "3 worker(s)" in done.stdout and "sets: 0 values wrong, 0 missing" in done.stdout, done.stdout


sys.exit(run_tests(globals()))
