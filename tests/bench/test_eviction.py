#!/usr/bin/env python3
"""bench/eviction.py: that it runs, that its table has a row for each cell of a MiB or more, and that its summary follows from the rows.

    test_eviction.py BUILD_DIRECTORY SOURCE_ROOT
"""

import pathlib
import re
import subprocess
import sys
import tempfile

BUILD, ROOT = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def report(*options):
    command = [sys.executable, ROOT / "bench" / "eviction.py", BUILD, *options]
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True, text=True).stdout


def rows_of(section):
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in section.splitlines() if re.match(r"\| (zipf|tail|trace)", line)]


def test_rows_and_summary():
    text = report("--loads", "zipf:0.9,tail:0.8", "--share", "0.1")
    sections = text.split("\n## ")[1:]
    assert [section.splitlines()[0] for section in sections] == ["Objects", "Bytes, with evict-for bytes"]
    for section in sections:
        rows = rows_of(section)
        assert [row[0] for row in rows] == ["zipf:0.9", "tail:0.8"], rows  # the footprint of the first is 3 MiB, a twentieth of the other's less than one
        for row in rows:
            cache, best, difference = float(row[2]), float(row[4]), float(row[6])
            assert best == min(float(figure) for figure in row[7:14]), row
            assert abs(cache - best - difference) < 0.0002, row
        above = sum(float(row[6]) > 0.003 for row in rows)
        assert f"Of {len(rows)} cells the cache: " in section and f", {above} more than 0.003 worse" in section, section


def test_a_run_goes_on():
    """What is kept is not played again, unless something else is asked for."""
    with tempfile.TemporaryDirectory() as state:
        options = ["--loads", "zipf:1.2", "--share", "0.05", "--state", state]
        text = report(*options)
        (piece,) = pathlib.Path(state).iterdir()
        begun = piece.stat().st_mtime_ns
        assert report(*options) == text and piece.stat().st_mtime_ns == begun
        assert report(*options, "--seed", "2") != text and piece.stat().st_mtime_ns != begun


def test_a_trace_is_played():
    text = report("--loads", "zipf:0.9", "--share", "0.1", "--trace", str(ROOT / "data" / "cloudphysics-first-2000.csv"))
    assert len(rows_of(text)) >= 4 and "--trace FILE" in text, text


if __name__ == "__main__":
    tests = [test_rows_and_summary, test_a_run_goes_on, test_a_trace_is_played]
    print(f"[==========] Running {len(tests)} test(s).")
    for test in tests:
        test()
        print(f"[       OK ] {test.__name__}")
