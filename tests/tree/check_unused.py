#!/usr/bin/env python3
"""What nobody uses goes: a function, a field or a macro of src, tools and include whose name stands nowhere else in the tree.

    check_unused.py SOURCE_ROOT

The code is read as text, without comments. What is used in its own file alone, and need not be known elsewhere, the compiler says where it is static.
"""

import collections
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from cases import run_cases

DEFINING = ("include", "src", "tools")
USING = DEFINING + ("bench", "examples", "tests")
# Named by a macro that pastes the name together; read by somebody else's header.
NAMED_OTHERWISE = re.compile(r"OPTION_TYPE_\w+|XXH_INLINE_ALL|\w+_H$")

FUNCTION = re.compile(r"^(?!static (?!inline))[a-z][\w *]*?\b(\w+)\([^;{}]*\)(?:\s*__attribute__\(\(.*\)\))?\s*[;{]", re.M)
MACRO = re.compile(r"^#\s*define (\w+)", re.M)
RECORD = re.compile(r"(?:struct|union)\s*\w*\s*\{([^{}]*)\}")
FIELD = re.compile(r"(\w+)\s*(?:\[[^\]]*\])*\s*(?::\s*\d+)?\s*$")


def read(root, directories):
    files = [path for name in directories for path in sorted((root / name).rglob("*.[ch]"))]
    return {path.relative_to(root): re.sub(r"/\*.*?\*/", "", path.read_text(errors="replace"), flags=re.S) for path in files}


def defined(text):
    yield from (found.group(1) for pattern in (FUNCTION, MACRO) for found in pattern.finditer(text))
    for record in RECORD.finditer(text):
        for member in record.group(1).split(";"):
            found = FIELD.search(member.strip())
            if found:
                yield found.group(1)


def unused(root):
    words = collections.Counter(word for text in read(root, USING).values() for word in re.findall(r"[A-Za-z_]\w*", text))
    texts = read(root, DEFINING)
    # A function is told twice: where it is declared, and where it is defined.
    return [
        f"{path}: {name}"
        for path, text in texts.items()
        for name in sorted(set(defined(text)))
        if not NAMED_OTHERWISE.match(name) and words[name] <= 1 + (f" {name}(" in text and is_declared(texts, name))
    ]


def is_declared(texts, name):
    declaration = re.compile(rf"^[a-z][\w *]*\b{name}\([^;{{}}]*\)(?:\s*__attribute__\(\(.*\)\))?;", re.M)
    return any(declaration.search(text) for path, text in texts.items() if path.suffix == ".h")


def finds_what_is_wrong():
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "src").mkdir()
        (root / "src" / "a.h").write_text(
            "#define USED 1\n#define LEFT 2\nvoid called(int n);\nvoid idle(int n);\n"
            "static inline int spare(void) {\n\treturn USED;\n}\nstruct thing {\n\tint kept; /* gone */\n\tint gone;\n};\n"
        )
        (root / "src" / "a.c").write_text("void called(int n) {\n\tthing.kept = n;\n\tcalled(n);\n}\nvoid idle(int n) {\n}\n")
        found = {line.split()[-1] for line in unused(root)}
        assert found == {"LEFT", "idle", "spare", "gone"}, found


def nothing_is_unused():
    found = unused(pathlib.Path(sys.argv[1]))
    assert not found, "\n" + "\n".join(found)


sys.exit(run_cases([("nothing_is_unused", nothing_is_unused), ("the_rule_can_fail", finds_what_is_wrong)]))
