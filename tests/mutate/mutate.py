#!/usr/bin/env python3
"""Breaks the core on purpose, one small fault at a time, and says which test sees it: `make mutate`.

    mutate.py [--tree DIRECTORY] [--file PART] [NAME...]     all mutants, those of some files, or some
    mutate.py --look                                         whether each fits the source; builds nothing

A mutant is what a tired programmer may do: a line left out, a bound off by one, two lines in the wrong order. Each names one test program of
`make test` that must fail, and does so alone: a fault that only a long suite sees is seen too late. The mutants stand in the *.mutants files here,
as in a patch without line numbers:

    name: what-is-wrong
    why: one line: what the fault would do to a user
    test: test_limit                  as `meson test` calls it; it must be a program
    env: SNUG_ROUNDS=1000000          if it needs luck: more tries than in make test
    file: src/mem/arena/arena.c
     	a line as it is, where it is needed to find the place
    -	a line that goes
    +	a line that comes

A second `file:` in a mutant begins another edit. A line that begins with # is a comment.

Each is built and run in a copy of the tree, with debug assertions, as half of `make test` is. First each test runs on the source as it is: it must
pass. Then for each mutant `caught` is told with the case that failed, or the assertion; else SURVIVED. A test that hangs has caught it, too. Ends
with 0 only if all were caught."""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from tree_copy import Broken, build, copy_tree, misfits
from waits import HANG_S

HERE = pathlib.Path(__file__).resolve().parent
MUCH_LONGER = 10  # than on the source as it is: the test hangs


class Mutant:
    def __init__(self, name, where):
        self.name, self.where = name, where
        self.why = self.test = self.env = ""
        self.edits = []  # file, lines there, lines instead

    def texts(self):
        """Context at the end may be the beginning of a line: the rest of it may change."""
        return [(file, *(("".join(lines)[:-1] if old[-1:] == new[-1:] else "".join(lines)) for lines in (old, new))) for file, old, new in self.edits]

    def faults(self):
        missing = [word for word in ("why", "test", "edits") if not getattr(self, word)]
        missing += [f"a change in {file}" for file, old, new in self.texts() if old == new or not old]
        return [f"{self.where}: {self.name} has no {word}" for word in missing]


def read_mutants(path):
    mutants = []
    for number, line in enumerate(path.read_text().splitlines(keepends=True), 1):
        field = re.fullmatch(r"(name|why|test|env|file): (.+)\n", line)
        if field and field[1] == "name":
            mutants.append(Mutant(field[2], f"{path.name}:{number}"))
        elif field and field[1] == "file":
            mutants[-1].edits.append((field[2], [], []))
        elif field:
            setattr(mutants[-1], field[1], field[2])
        elif line[0] in " +-":
            _, old, new = mutants[-1].edits[-1]
            if line[0] in " -":
                old.append(line[1:])
            if line[0] in " +":
                new.append(line[1:])
        elif line[0] not in "#\n":
            raise SystemExit(f"{path.name}:{number}: what is this? {line}")
    return mutants


def all_mutants():
    return [mutant for path in sorted(HERE.glob("*.mutants")) for mutant in read_mutants(path)]


def look(mutants):
    lines = [line for mutant in mutants for line in mutant.faults()]
    lines += misfits((mutant.name, mutant.texts()) for mutant in mutants)
    names = [mutant.name for mutant in mutants]
    lines += [f"{name} twice" for name in sorted(set(names)) if names.count(name) > 1]
    print("\n".join(lines + [f"{len(mutants)} mutants"]))
    if lines:
        print("Write in tests/mutate/*.mutants what the fault looks like in the source as it is now; where the code is gone, so is its mutant.")
    return 1 if lines else 0


class Programs:
    """The test programs of the copy, by the names that `meson test` has for them."""

    def __init__(self, tree):
        self.tree = tree
        self.limit_s = {}
        told = subprocess.run(["meson", "introspect", "--tests", "build"], cwd=tree, check=True, capture_output=True, text=True)
        self.by_name = {test["name"]: test for test in json.loads(told.stdout)}

    def build(self, name):
        return build(self.tree, str(pathlib.Path(self.by_name[name]["cmd"][0]).relative_to(self.tree.resolve() / "build")))

    def run(self, name, more=""):
        """Whether it passed, in how many seconds, and what it said of the failure. The first run, on the source as it is, says when the others hang."""
        test = self.by_name[name]
        begin = time.monotonic()
        environment = {**os.environ, **test["env"], **dict(pair.split("=") for pair in more.split()), "CMOCKA_MESSAGE_OUTPUT": "STDOUT"}
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            process = subprocess.Popen(
                test["cmd"], cwd=test["workdir"] or self.tree / "build", env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
            status = None
            try:
                status = process.wait(self.limit_s.get(name, HANG_S))
            except subprocess.TimeoutExpired:
                pass
            finally:
                if status is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            output.seek(0)
            said = output.read()
        taken_s = time.monotonic() - begin
        self.limit_s.setdefault(name, HANG_S / MUCH_LONGER + MUCH_LONGER * taken_s)
        return status == 0, taken_s, failure_in(said, status)


def failure_in(said, status):
    """The case that failed, or was running when the program ended; and the assertion, if one ended it."""
    failed = re.findall(r"^\[  FAILED  \] (\w+)$", said, re.M)
    running = re.findall(r"^\[ RUN      \] (\w+)", said, re.M)
    asserted = re.findall(r"([\w./]+:\d+: assertion failed: .*)", said)
    case = failed[0] if failed else running[-1] if running else f"status {status}"
    how = asserted[0] if asserted else "it hung" if status is None else ""
    return f"{case}: {how}" if how else case


def check_passes(programs, names):
    """Whether all of these tests pass on the source as it is."""
    passed = True
    for name in names:
        if name not in programs.by_name:
            print(f"FAILED    there is no test {name}")
            passed = False
        elif not programs.build(name):
            print(f"FAILED    {name} does not build")
            passed = False
        else:
            ok, seconds, why = programs.run(name)
            print(f"{'passes ' if ok else 'FAILED '}   {name}, {seconds:.1f} s{'' if ok else ': ' + why}", flush=True)
            passed &= ok
    return passed


def try_mutant(tree, programs, mutant):
    """Whether it was caught."""
    with Broken(tree, mutant.texts()) as broken:
        if not broken.fits or not programs.build(mutant.test):
            print(f"FAILED    {mutant.name}: not tried", flush=True)
            return False
        passed, seconds, why = programs.run(mutant.test, mutant.env)
    print(f"SURVIVED  {mutant.name}: {mutant.test} ({seconds:.1f} s)" if passed else f"caught    {mutant.name}: {mutant.test}, {why}", flush=True)
    return not passed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--look", action="store_true", help="only whether the mutants fit the source")
    parser.add_argument("--tree", help="the copy, which is kept: the next time is faster; else a temporary one")
    parser.add_argument("--file", help="only mutants of source files with this in their path")
    parser.add_argument("names", nargs="*", help="of mutants; all")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    mutants = all_mutants()
    if options.look:
        return look(mutants)
    if options.names:
        mutants = [mutant for mutant in mutants if mutant.name in options.names]
    if options.file:
        mutants = [mutant for mutant in mutants if any(options.file in edit[0] for edit in mutant.edits)]
    with tempfile.TemporaryDirectory(prefix="snug-mutate-") as directory:
        tree = pathlib.Path(options.tree or directory)
        tree.mkdir(exist_ok=True)
        copy_tree(tree)
        if not build(tree, "src/libsnug_core.a"):
            return 1
        programs = Programs(tree)
        if not check_passes(programs, sorted({mutant.test for mutant in mutants})):
            return 1
        caught = sum([try_mutant(tree, programs, mutant) for mutant in mutants])
    print(f"{caught} caught, {len(mutants) - caught} survived")
    return 0 if mutants and caught == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
