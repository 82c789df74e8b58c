#!/usr/bin/env python3
"""Runs the commands of the documentation: each line of the blocks marked ```sh runnable, against a server that holds something.

    test_docs.py DIRECTORY_OF_PROGRAMS SOURCE_ROOT DOCUMENT...

Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

PROGRAMS = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(sys.argv[2])
PATIENCE_S = 30
COMMANDS_MIN = 3  # of a document: fewer, and the marks are not found any more


def commands(document):
    for block in re.findall(r"^```sh runnable\n(.*?)^```", document.read_text(), re.M | re.S):
        yield from (line for line in block.splitlines() if line.strip() and not line.startswith("#"))


def store_something(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_S)
        client.connect(path)
        for i in range(1000):
            client.sendall(b"set key%d 0 0 100 noreply\r\n%s\r\n" % (i, b"x" * 100))
        client.sendall(b"version\r\n")
        assert client.recv(100).startswith(b"VERSION")


def run(command, path):
    environment = {**os.environ, "SNUGD": path, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-ec", command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=PATIENCE_S)  # fmt: skip
    if done.returncode != 0 or done.stdout == "":
        print(f"status {done.returncode}\n{done.stdout}{done.stderr}", file=sys.stderr)
        return False
    return True


def main():
    cases = []
    for document in map(pathlib.Path, sys.argv[3:]):
        found = list(commands(document))
        assert len(found) >= COMMANDS_MIN, f"{document}: only {len(found)} commands marked as runnable"
        cases += found
    failed = 0
    print(f"[==========] Running {len(cases)} test(s).")
    with tempfile.TemporaryDirectory(prefix="docs-") as directory:
        path = os.path.join(directory, "socket")
        user = ["-u", "root"] if os.geteuid() == 0 else []
        server = subprocess.Popen([os.path.join(PROGRAMS, "snugd"), "-s", path, "-m", "32", "-t", "2", *user],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
        try:
            assert "listening on" in server.stderr.readline()
            store_something(path)
            for command in cases:
                print(f"[ RUN      ] {command}", flush=True)
                is_fine = run(command, path)
                failed += not is_fine
                print(f"[{'       OK' if is_fine else '  FAILED '} ] {command}")
        finally:
            server.kill()
            server.wait()
            server.stderr.close()
    print(f"[==========] {len(cases)} test(s) run.")
    print(f"[  PASSED  ] {len(cases) - failed} test(s).")
    return 1 if failed else 0


sys.exit(main())
