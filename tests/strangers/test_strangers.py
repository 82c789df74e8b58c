#!/usr/bin/env python3
"""snugd among strangers: one line, one reset or five hundred slow readers hurt nobody else. Each case has a server of its own.

    test_strangers.py SNUGD [--server-args "-t 3"] [-k REGULAR_EXPRESSION] [--jobs N] [--crowd]

SNUG_PATIENCE=6 permits that much more processor time: for builds with sanitizers.
"""

import argparse
import concurrent.futures
import contextlib
import io
import multiprocessing
import os
import re
import shlex
import sys
import time
import traceback

import strange_bytes
import strange_limits
import strange_readers
import strange_stalls
from house import Form, House

SKIPPED = 77  # what meson takes for it

QUIET = strange_bytes.CASES + strange_readers.CASES + strange_limits.CASES + strange_stalls.QUIET_CASES
CROWD = strange_readers.CROWD
# What they measure is processor time and waits: one after the other, when the others are done.
MEASURING = strange_stalls.CASES


def run_case(case, form):
    """In a process of its own. The problem, or None, and what the case has printed."""
    told = io.StringIO()
    began = time.monotonic()
    problem = None
    with contextlib.redirect_stdout(told):
        try:
            case(form)
        except Exception:
            problem = traceback.format_exc()
    return problem, told.getvalue(), time.monotonic() - began


def report(case, problem, told, seconds):
    print("".join(f"  {line}\n" for line in told.splitlines()), end="")
    name = case.__name__.replace("_", " ")
    if problem is None:
        print(f"[       OK ] {name} ({seconds:.1f} s)", flush=True)
    else:
        print(f"{problem}[  FAILED  ] {name} ({seconds:.1f} s)", flush=True)
    return problem is not None


def run_all(cases, form, jobs):
    """How many failed."""
    failed = 0
    with concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        running = {pool.submit(run_case, case, form): case for case in cases}
        for done in concurrent.futures.as_completed(running):
            failed += report(running[done], *done.result())
    return failed


def has_io_uring(path):
    """Containers often forbid it; the server tells what it took."""
    with House(Form(path, [])) as house:
        return "io_uring" in house.log_text()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snugd")
    parser.add_argument("--server-args", default=[], type=shlex.split, help="more arguments for it, as one word")
    parser.add_argument("-k", dest="filter", default="", help="only cases whose names hold this regular expression")
    parser.add_argument("--crowd", action="store_true", help="only the case with hundreds of readers")
    parser.add_argument("--jobs", default=3, type=int, help="cases side by side")
    options = parser.parse_args()
    form = Form(options.snugd, options.server_args)
    quiet, measuring = ([case for case in cases if re.search(options.filter, case.__name__)] for cases in (QUIET, MEASURING))
    if os.environ.get("SNUG_HTTP") == "absent":
        quiet = [case for case in quiet if case is not strange_readers.http_answers_nobody_reads]
    if options.crowd:
        quiet, measuring = CROWD, []
    if "uring" in options.server_args and not has_io_uring(options.snugd):
        print("[==========] Running 1 test(s).\n[  SKIPPED ] io_uring is not to be had here")
        return SKIPPED
    print(f"[==========] Running {len(quiet) + len(measuring)} test(s).", flush=True)
    failed = run_all(quiet, form, options.jobs) + run_all(measuring, form, 1)
    print(f"{len(quiet) + len(measuring) - failed} passed, {failed} failed")
    return 1 if failed or not quiet + measuring else 0


if __name__ == "__main__":
    sys.exit(main())
