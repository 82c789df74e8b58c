#!/usr/bin/env python3
"""No test says how fast the machine must be. A limit ends a hang; on a busy machine it must not end a test that is only slow.

    check_waits.py SOURCE_ROOT BUILD_ROOT

Meson's limits are one of two, hang_s and long_hang_s, for every test. Waits of Python programs take HANG_S (tests/support/waits.py); a longer time-out
than a second, written as a number, is what this looks for. Shorter ones are fine: they wait for what must not come.
"""

import ast
import json
import os
import subprocess
import sys

SOURCE, BUILD = sys.argv[1:]
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
from cases import run_tests

DIRECTORIES = ("tests",)
ITS_OWN = "tests/support/waits.py"
LEAST_HANG_S = 600


def number(node, constants):
    """The value of a number, or of a name that the module sets to one; else None."""
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return node.value
    return None


def module_constants(tree):
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = number(node.value, found)
            if value is not None:
                found[node.targets[0].id] = value
    return found


def is_call_of(node, *names):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names


def waits_of(node):
    """The expressions that say how long something may take."""
    if isinstance(node, ast.Call):
        yield from (word.value for word in node.keywords if word.arg in ("timeout", "connect_timeout"))
        if is_call_of(node, "settimeout", "wait") and len(node.args) == 1:
            yield node.args[0]
        if is_call_of(node, "create_connection") and len(node.args) > 1:
            yield node.args[1]
        if is_call_of(node, "select") and len(node.args) > 3:
            yield node.args[3]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and is_call_of(node.left, "monotonic"):
        yield node.right
    if isinstance(node, ast.FunctionDef):
        names = node.args.args[len(node.args.args) - len(node.args.defaults):]  # fmt: skip
        yield from (value for name, value in zip(names, node.args.defaults) if name.arg in ("timeout", "seconds"))


def numbered_waits(text):
    """The lines of a program that wait a number of seconds, more than one."""
    tree = ast.parse(text)
    constants = module_constants(tree)
    waits = (wait for node in ast.walk(tree) for wait in waits_of(node))
    return sorted({wait.lineno for wait in waits if (number(wait, constants) or 0) > 1})


def programs():
    for directory in DIRECTORIES:
        for folder, _, names in os.walk(os.path.join(SOURCE, directory)):
            for name in names:
                if name.endswith(".py"):
                    yield os.path.join(folder, name)


def test_python_waits_until_a_hang():
    found = []
    for path in programs():
        shown = os.path.relpath(path, SOURCE)
        if shown != ITS_OWN:
            with open(path, encoding="utf-8") as program:
                found += [f"{shown}:{line}" for line in numbered_waits(program.read())]
    assert not found, "seconds of its own: " + " ".join(sorted(found))


def test_mesons_limits_end_hangs_alone():
    told = subprocess.run(["meson", "introspect", "--tests", BUILD], capture_output=True, text=True, check=True)
    limits = {each["name"]: each["timeout"] for each in json.loads(told.stdout)}
    assert limits
    short = sorted(name for name, seconds in limits.items() if seconds < LEAST_HANG_S)
    assert not short, f"less than {LEAST_HANG_S} s: " + ", ".join(short)


def test_what_breaks_the_rule_is_found():
    broken = (
        "WAIT_S = 20\n",
        "run(command, timeout=5)\n",
        "run(command, timeout=WAIT_S)\n",
        "stream.settimeout(3)\n",
        "process.wait(WAIT_S)\n",
        "socket.create_connection(address, 4)\n",
        "until = time.monotonic() + 10\n",
        "def ask(words, seconds=5): pass\n",
        "select.select([a], [], [], 2)\n",
    )
    assert numbered_waits("".join(broken)) == list(range(2, len(broken) + 1))
    assert numbered_waits("stream.settimeout(0.3)\nrun(command, timeout=HANG_S)\nuntil = time.monotonic() + options.seconds\n") == []


if __name__ == "__main__":
    sys.exit(run_tests(globals()))
