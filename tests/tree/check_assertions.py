#!/usr/bin/env python3
"""How densely the core says what it relies on: assertions and guards in a hundred lines of code, room by room.

    check_assertions.py SOURCE_ROOT            the tests
    check_assertions.py SOURCE_ROOT --list     each room, and each file, the sparsest first

An assertion is a SNUG_ASSERT or a SNUG_GUARD. A line of code is one within a function that is neither empty nor all comment: what only declares can
assert nothing. Walkers, which do nothing but look, are left out. Tables and texts need few; the floors say what each room has reached, less a
little. They measure nothing but that somebody asked: one that repeats the line above it is worth nothing."""

import pathlib
import re
import sys

from check_structure import functions_of

# room -> assertions in a hundred lines, at least
FLOORS = {
    "src/mem": 5.7,
    "src/mem/arena": 7.3,
    "src/mem/defragment": 4.2,
    "src/mem/object": 4.2,
    "src/mem/slab": 9.4,
    "src/work": 4.8,
    "src/work/channel": 6.0,
    "src/work/coordinator": 4.8,
    "src/work/policy": 2.2,
    "src/work/worker": 5.2,
    "src/cache": 4.7,
    "src/cache/client": 3.2,
    "src/cache/index": 6.0,
    "src/cache/operation": 4.4,
    "src/cache/rank": 6.0,
    "src/cache/shard": 4.1,
}
WALKERS = re.compile(r"src/mem/check/|src/cache/shard/shard_check\.c")
ASSERTION = re.compile(r"\bSNUG_(?:ASSERT|GUARD)\(")


def count(text):
    """Assertions, and lines of code."""
    bodies = [body for _, _, body in functions_of(text)]
    return sum(len(ASSERTION.findall(body)) for body in bodies), sum(1 for body in bodies for line in body.splitlines() if line.strip())


def density(files):
    counts = [count(path.read_text(encoding="utf-8")) for path in files]
    lines = sum(line for _, line in counts)
    return 100 * sum(assertion for assertion, _ in counts) / lines if lines else 0


def files_of(root, room):
    return [path for path in sorted((root / room).rglob("*.[ch]")) if not WALKERS.search(str(path.relative_to(root)))]


def test_each_room_says_what_it_relies_on():
    sparse = [f"{room}: {density(files_of(ROOT, room)):.2f} in a hundred lines, not {floor}" for room, floor in FLOORS.items() if density(files_of(ROOT, room)) < floor]
    if sparse:
        raise AssertionError("\n".join(sparse))


def test_what_counts():
    text = "/* SNUG_ASSERT(x) */\nint b;\nstatic void f(int a) {\n\tSNUG_ASSERT(a);\n\n\tif (!SNUG_GUARD(b)) {\n\t\tc(); /* SNUG_ASSERT(y) */\n\t}\n}\n"
    assert count(text) == (2, 5)


def tell(root):
    layers = ("src/mem", "src/work", "src/cache")
    rooms = sorted({str(path.parent.relative_to(root)) for layer in layers for path in files_of(root, layer)})
    for room in rooms:
        print(f"{density(files_of(root, room)):5.2f}  {room}")
    for path in sorted((path for layer in layers for path in files_of(root, layer)), key=lambda path: density([path])):
        assertions, lines = count(path.read_text(encoding="utf-8"))
        print(f"{density([path]):5.2f}  {assertions:3} in {lines:4}  {path.relative_to(root)}")


if __name__ == "__main__":
    ROOT = pathlib.Path(sys.argv[1])
    if "--list" in sys.argv:
        tell(ROOT)
        sys.exit()
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
    from cases import run_tests

    sys.exit(run_tests(globals()))
