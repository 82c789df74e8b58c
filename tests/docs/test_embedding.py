#!/usr/bin/env python3
"""Compiles and runs the C of the documentation: each block marked ```c that has a main, as C17 with warnings as errors, against the library as built.

    test_embedding.py DIRECTORY_OF_THE_LIBRARY SOURCE_ROOT DOCUMENT...
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

LIBRARY, ROOT = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
PROGRAMS_MIN = 3


def run(text, name, directory):
    source, program = os.path.join(directory, name + ".c"), os.path.join(directory, name)
    pathlib.Path(source).write_text(text)
    command = ["cc", "-std=c17", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", source, "-o", program, f"-L{LIBRARY}", "-lsnug", "-pthread"]
    for step in (command, [program]):
        done = subprocess.run(step, capture_output=True, text=True, timeout=60, env={**os.environ, "LD_LIBRARY_PATH": LIBRARY})
        if done.returncode != 0:
            print(f"{step[0]}: status {done.returncode}\n{done.stdout}{done.stderr}", file=sys.stderr)
            return False
    return True


def main():
    failed, cases = 0, []
    for document in map(pathlib.Path, sys.argv[3:]):
        blocks = [b for b in re.findall(r"^```c\n(.*?)^```", document.read_text(), re.M | re.S) if "int main(" in b]
        assert len(blocks) >= PROGRAMS_MIN, f"{document}: only {len(blocks)} programs"
        cases += [(f"{document.stem}_{i + 1}", block) for i, block in enumerate(blocks)]
    print(f"[==========] Running {len(cases)} test(s).")
    with tempfile.TemporaryDirectory(prefix="docs-") as directory:
        for name, block in cases:
            print(f"[ RUN      ] {name}", flush=True)
            is_fine = run(block, name, directory)
            failed += not is_fine
            print(f"[{'       OK' if is_fine else '  FAILED '} ] {name}")
    print(f"[==========] {len(cases)} test(s) run.\n[  PASSED  ] {len(cases) - failed} test(s).")
    return 1 if failed else 0


sys.exit(main())
