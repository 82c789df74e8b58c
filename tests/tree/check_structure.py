#!/usr/bin/env python3
"""Rooms and circles: what the tree looks like from above.

    check_structure.py SOURCE_ROOT            the tests
    check_structure.py SOURCE_ROOT --list     all circles, with the calls that make them

A file points at another when a function of it calls, by name, a function that is defined there.
Definitions and calls are read as text: a definition starts at the left edge, and a name before a
bracket is a call. What a file hands over as a pointer is no call: that is how a lower file reaches
what lies above it. x.c and x.h are one file here.

A room is a folder of files; one of its headers says what is in it: its first comment names each
file of the room.
"""

import collections
import pathlib
import re
import sys
import tempfile

# Pairs that call each other and stay, each with its reason.
PAIRS = set()
STEMS_MAX = 16
COLUMNS_MAX = 100

COMMENTS_AND_STRINGS = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DEFINITION = re.compile(r'^(?![#\s}/])([^;={}()]*?)\b(\w+)\s*\(([^;{}]*)\)[^;{}()=]*\{', re.M)
CALL = re.compile(r'\b([A-Za-z_]\w*)\s*\(')
NO_FUNCTIONS = {'if', 'for', 'while', 'switch', 'return', 'sizeof', 'defined', 'alignof'}


def functions_of(text):
    """Yields (name, is_static, body) for each function that the text of a file defines."""
    text = COMMENTS_AND_STRINGS.sub(' ', text)
    text = re.sub(r'^[ \t]*#(?:[^\n\\]|\\.|\\\n)*', '', text, flags=re.M)
    for found in DEFINITION.finditer(text):
        depth, at = 1, found.end()
        while depth and at < len(text):
            depth += {'{': 1, '}': -1}.get(text[at], 0)
            at += 1
        yield found[2], 'static' in found[1].split(), text[found.end():at]


def calls_between(files):
    """Returns {file: {other file: {names called}}}; files is {name: text}."""
    parsed = {name: list(functions_of(text)) for name, text in files.items()}
    home = {}
    for file, functions in parsed.items():
        for name, is_static, _ in functions:
            if not is_static or file.endswith('.h'):
                home.setdefault(name, file)
    arrows = {file: collections.defaultdict(set) for file in files}
    for file, functions in parsed.items():
        own = {name for name, _, _ in functions}
        for _, _, body in functions:
            for name in set(CALL.findall(body)) - own - NO_FUNCTIONS:
                if name in home and home[name] != file:
                    arrows[file][home[name]].add(name)
    return arrows


def circles_of(arrows):
    """Tarjan's strongly connected components (Depth-first search and linear graph algorithms,
    1972) of more than one file, the largest first."""
    order, low, stack, circles = {}, {}, [], []

    def visit(file):
        order[file] = low[file] = len(order)
        stack.append(file)
        for other in arrows[file]:
            if other not in order:
                visit(other)
                low[file] = min(low[file], low[other])
            elif other in stack:
                low[file] = min(low[file], order[other])
        if low[file] == order[file]:
            at = stack.index(file)
            if len(stack) - at > 1:
                circles.append(sorted(stack[at:]))
            del stack[at:]

    sys.setrecursionlimit(10000)
    for file in sorted(arrows):
        if file not in order:
            visit(file)
    return sorted(circles, key=lambda circle: (-len(circle), circle))


def read_tree(root, folder):
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8")
            for path in sorted((root / folder).rglob("*.[ch]"))}


def stem(file):
    return file.rsplit(".", 1)[0]


def arrows_of_stems(arrows):
    """x.c and x.h are one."""
    joined = collections.defaultdict(set)
    for file, others in arrows.items():
        joined[stem(file)] |= {stem(other) for other in others} - {stem(file)}
    return joined


def circles_in(root, folder):
    return circles_of(arrows_of_stems(calls_between(read_tree(root, folder))))


def rooms_of(root):
    """The folders below a layer of src, below tools, and of tests those that many tests share."""
    for rooms in ("src/*/*", "tools/*/*", "tests/simulate/*", "tests/support/*"):
        for path in sorted(root.glob(rooms)):
            if path.is_dir() and any(path.glob("*.[ch]")):
                yield path


def faults_of_room(room):
    files = sorted(path for path in room.glob("*.[ch]"))
    stems = {path.stem for path in files}
    if len(files) == 1:
        return []
    unsaid = {}
    for header in room.glob("*.h"):
        essay = re.match(r"\s*/\*.*?\*/", header.read_text(encoding="utf-8"), re.S)
        said = set(re.findall(r"\w+", essay[0])) if essay else set()
        unsaid[header.name] = stems - said
    if not unsaid:
        return ["no header"]
    nearest = min(unsaid, key=lambda name: (len(unsaid[name]), name))
    faults = []
    if unsaid[nearest]:
        faults.append(f"no header says what is in it; {nearest} misses "
                      + ", ".join(sorted(unsaid[nearest])))
    if len(stems) > STEMS_MAX:
        faults.append(f"{len(stems)} files are no room")
    return faults


def require_nothing(faults):
    if faults:
        raise AssertionError("\n".join(faults))


def test_files_do_not_call_each_other_in_circles():
    faults = []
    for folder in ("src", "tools", "tests", "bench", "examples"):
        for circle in circles_in(ROOT, folder):
            if tuple(circle) not in PAIRS:
                faults.append(f"{len(circle)}: " + " ".join(circle))
    require_nothing(faults)


def test_each_room_says_what_is_in_it():
    require_nothing([f"{room.relative_to(ROOT)}: {fault}"
                     for room in rooms_of(ROOT) for fault in faults_of_room(room)])


def test_the_map_shows_each_room():
    """docs/architecture.md lists the layers, and below each its rooms."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    shown = re.search(r"## Where things are\n\n```\n(.*?)```", text, re.S)[1]
    layers = {path for path in (ROOT / "src").iterdir() if path.is_dir()}
    rooms = {path.relative_to(ROOT) for path in rooms_of(ROOT) if path.parent in layers}
    said, layer = set(), None
    for line in shown.splitlines():
        if line.startswith(" src/"):
            layer = pathlib.Path(line.split()[0])
            said.add(layer)
        elif line.startswith("     ") and layer:
            said.add(layer / line.split()[0])
    assert said == rooms | {path.relative_to(ROOT) for path in layers}, (
        "not the same: " + ", ".join(sorted(map(str, said ^ (rooms | {
            path.relative_to(ROOT) for path in layers})))))


def wide_lines(text):
    """Numbers of code lines above COLUMNS_MAX, a tab being four; pictures in comments may be wider."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line.expandtabs(4)) > COLUMNS_MAX and not line.strip().startswith(("*", "/*")):
            yield number


def test_code_is_at_most_so_wide():
    require_nothing([f"{file}:{number}" for folder in ("src", "include", "tools", "tests", "bench", "examples")
                     for file, text in read_tree(ROOT, folder).items() for number in wide_lines(text)])


def test_the_rules_can_fail():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        room = root / "src/layer/room"
        room.mkdir(parents=True)
        (room / "room.h").write_text("/* room.h: upper. */\nvoid upper(void);\nvoid lower(void);\n")
        (room / "upper.c").write_text("void upper(void) {\n\tlower();\n}\n")
        (room / "lower.c").write_text(
            "static int own(void) {\n\treturn 1; // lower()\n}\n"
            "void lower(void) {\n\tif (own()) upper();\n}\n")
        assert circles_in(root, "src") == [["src/layer/room/lower", "src/layer/room/upper"]]
        assert faults_of_room(room) == ["no header says what is in it; room.h misses lower"]
        (room / "lower.c").write_text("void lower(void) {\n\tputs(\"upper()\");\n}\n")
        assert circles_in(root, "src") == []
        assert list(wide_lines("\t" * 26 + "x;\n/* " + "-" * 99 + " */\nshort;\n")) == [1]


def tell(root):
    """All circles, with the calls in each."""
    for folder in ("src", "tools", "tests", "bench", "examples"):
        files = read_tree(root, folder)
        calls = calls_between(files)
        circles = circles_of(arrows_of_stems(calls))
        print(f"{folder}: {sum(map(len, circles))} of {len(set(map(stem, files)))} files "
              f"in {len(circles)} circles")
        for circle in circles:
            print(f"  {len(circle)}: {' '.join(circle)}")
            for file, others in calls.items():
                for other, names in others.items():
                    if stem(file) != stem(other) and {stem(file), stem(other)} <= set(circle):
                        print(f"      {file} -> {other}: {' '.join(sorted(names))}")


if __name__ == "__main__":
    ROOT = pathlib.Path(sys.argv[1])
    if "--list" in sys.argv:
        tell(ROOT)
        sys.exit()
    sys.path.insert(0, str(ROOT / "tests/support"))
    from cases import run_tests
    sys.exit(run_tests(globals()))
