#!/usr/bin/env python3
"""memcached's own tests, its t/*.t, against snugd.

    check_memcached.py PROGRAM SOURCE [NAME..]     SOURCE: memcached's source, of 1.6.45 or near it; NAME: some of the tests, without .t

Each test gets a directory in which snugd is memcached-debug (as_memcached.py). Printed are which pass, which do not apply, and which fail in how many of
their assertions. docs/memcached-tests.md lists those that fail, with the reason. The exit status is 0 if these fail and no others, in as many assertions as it says.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from waits import HANG_S

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "memcached-tests.md"


def known_failures():
    """{test: "N of M", "some", "at times", or "stops"}, from the page's table."""
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    return {name: how.strip() for name, how in rows}


def prepare(directory, source):
    for name in ("t", "devtools", "doc", "scripts"):
        if (source / name).exists():
            (directory / name).symlink_to(source / name)
    shutil.copy(HERE / "as_memcached.py", directory / "memcached-debug")
    # The test's own limit of time is ours.
    (directory / "timedrun").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    for name in ("memcached-debug", "timedrun"):
        (directory / name).chmod(0o755)


def run(directory, name):
    """What the test says, and its status; None: it did not end in time. What it leaves behind holds its output, so that is a file."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(directory)}  # for the control sockets
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["perl", f"t/{name}.t"],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            status = process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            status = None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        output.seek(0)
        return output.read().decode(errors="replace"), status


def judge(said, status):
    """"ok", "does not apply: ..", "N of M", "stops"."""
    skipped = re.search(r"^1\.\.0 # SKIP *(.*)", said, re.MULTILINE | re.IGNORECASE)
    if skipped:
        return f"does not apply: {skipped[1]}"
    plan = re.search(r"^1\.\.(\d+)", said, re.MULTILINE)
    results = re.findall(r"^(not )?ok \d+(.*)", said, re.MULTILINE)
    failed = [text for is_not, text in results if is_not and "# TODO" not in text]
    if status is None or plan is None or len(results) != int(plan[1]):
        return "stops"
    if failed:
        return f"{len(failed)} of {len(results)}"
    return "ok" if status == 0 else "stops"


def is_expected(result, expected):
    if expected == "ok":
        return result == "ok" or result.startswith("does not apply")
    if expected == "at times":
        return result in ("ok", "stops") or re.fullmatch(r"\d+ of \d+", result) is not None
    if expected == "some":
        return re.fullmatch(r"\d+ of \d+", result) is not None
    return result == expected


def main():
    program, source = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    if not (source / "t" / "lib" / "MemcachedTest.pm").exists():
        sys.exit(f"{source}: no source of memcached; git clone --depth 1 -b 1.6.45 https://github.com/memcached/memcached")
    os.environ["SNUGD"] = str(program)
    names = sys.argv[3:] or sorted(path.stem for path in (source / "t").glob("*.t"))
    known = known_failures()
    surprises, passed = [], 0
    for name in names:
        with tempfile.TemporaryDirectory(prefix="snug-memcached-") as place:
            prepare(pathlib.Path(place), source)
            said, status = run(place, name)
        result = judge(said, status)
        passed += result == "ok"
        expected = known.get(name, "ok")
        print(f"{name:24} {result}", flush=True)
        if not is_expected(result, expected):
            surprises.append(f"{name}: {result}, expected: {expected}")
            if os.environ.get("VERBOSE"):
                print(said)
    print(f"{passed} of {len(names)} pass")
    if surprises:
        print("not as docs/memcached-tests.md says:\n    " + "\n    ".join(surprises))
    return 1 if surprises else 0


sys.exit(main())
