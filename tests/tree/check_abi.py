#!/usr/bin/env python3
"""What a compiled program relies on: functions, enumerators, and where the members of the public structs lie, compared with abi-0.txt.

    check_abi.py ABI_FILE INCLUDE_DIRECTORY COMPILER...        compares
    check_abi.py --write ABI_FILE INCLUDE_DIRECTORY COMPILER...    writes the file anew

The number in the file's name is that of libsnug.so.0. Once a version has been released, a line may be added, and a struct that begins with struct_bytes
may become larger. Any other change needs another soname (docs/embedding.md, "Versions of the library").
"""

import pathlib
import re
import subprocess
import sys
import tempfile

LINES_MIN = 500


def declarations(include, compiler):
    """The public headers, preprocessed, without what the system's headers declare; white space is one blank."""
    source = "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\nint the_system_ends_here;\n#include <snug/snug.h>\n"
    done = subprocess.run([*compiler, "-std=c17", "-E", "-P", "-I", include, "-"], input=source, capture_output=True, text=True, check=True)
    text = re.sub(r"__attribute__\s*\(\(\w+\)\)", " ", done.stdout.split("the_system_ends_here;")[1])
    return re.sub(r"\s+", " ", text)


def members_of(body):
    for member in filter(None, map(str.strip, body.split(";"))):
        yield re.search(r"\(\*\s*(\w+)|(\w+)\s*(?:\[[^\]]*\]\s*)*$", member).group(1 if "(*" in member else 2)


def functions_of(text):
    text = re.sub(r"typedef (?:struct|enum) \w+ \{[^{}]*\} \w+;", " ", text)
    text = re.sub(r"static inline [^;{}]*\{(?:[^{}]|\{[^{}]*\})*\}", " ", text)
    for statement in map(str.strip, text.split(";")):
        if not statement.startswith("typedef") and re.search(r"\bsnug_\w+\([^()]*(?:\([^()]*\)[^()]*)*\)$", statement):
            yield re.sub(r"\s*([*(),])\s*", r"\1", statement)


def layout_of(text, include, compiler):
    """Lines "struct bytes", "struct.member offset" and "enumerator value", as a program says them."""
    prints = []
    for name, body in re.findall(r"typedef struct (snug_\w+) \{([^{}]*)\} \1;", text):
        prints.append(f'printf("{name} %zu bytes\\n", sizeof({name}));')
        prints += [f'printf("{name}.{member} at %zu\\n", offsetof({name}, {member}));' for member in members_of(body)]
    for body in re.findall(r"typedef enum snug_\w+ \{([^{}]*)\}", text):
        # The counts of enumerators grow.
        names = [n for n in re.findall(r"\b(SNUG_\w+)\b", body) if not n.endswith("_COUNT")]
        prints += [f'printf("{name} is %d\\n", (int){name});' for name in names]
    program = "#include <snug/snug.h>\n#include <stdio.h>\nint main(void) {\n" + "\n".join(prints) + "\nreturn 0;\n}\n"
    with tempfile.TemporaryDirectory(prefix="abi-") as directory:
        binary = f"{directory}/layout"
        subprocess.run([*compiler, "-std=c17", "-I", include, "-x", "c", "-", "-o", binary], input=program, text=True, check=True)
        return subprocess.run([binary], capture_output=True, text=True, check=True).stdout.splitlines()


def main():
    arguments = sys.argv[1:]
    is_writing = arguments[0] == "--write"
    path, include, *compiler = arguments[is_writing:]
    text = declarations(include, compiler)
    lines = sorted(functions_of(text)) + layout_of(text, include, compiler)
    assert len(lines) >= LINES_MIN, f"only {len(lines)} lines: the headers were not understood"
    if is_writing:
        pathlib.Path(path).write_text("\n".join(lines) + "\n")
        return 0
    kept = pathlib.Path(path).read_text().splitlines()
    wrong = [f"changed or removed: {line}" for line in kept if line not in set(lines)]
    wrong += [f"not written down:   {line}" for line in lines if line not in set(kept)]
    print("[==========] Running 1 test(s).\n[ RUN      ] the_interface_is_what_was_written_down")
    print("\n".join([*wrong, f"[{'  FAILED  ' if wrong else '       OK '}] the_interface_is_what_was_written_down"]))
    return 1 if wrong else 0


sys.exit(main())
