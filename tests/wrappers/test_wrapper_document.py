#!/usr/bin/env python3
"""Runs the programs of docs/cpp-and-python.md: each block of C++ and of Python is a whole one.

    test_wrapper_document.py DIRECTORY_OF_THE_LIBRARY SOURCE_ROOT CPP_COMPILER FLAGS DOCUMENT

Where a sanitizer is in the library, or another C library beneath it, its CPP_COMPILER alone is asked: FLAGS begins with "no-python".
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs"))
from compiled import Toolchain, report


def run_python(text, library, root):
    environment = {**os.environ, "SNUG_LIBRARY": f"{library}/libsnug.so.0", "PYTHONPATH": f"{root}/python", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=environment)
    wrong = [] if done.returncode == 0 else [done.stderr]
    # What the document says that a line prints is the beginning of its comment.
    told = re.findall(r"print\(.*#\s(b?'[^;]*'|\{.*\}|\d[\d ]*)(?=;|$)", text, re.M)
    wrong += [f"{line} is not printed" for line in told if line.strip() not in done.stdout.splitlines()]
    return "\n".join(wrong)


def main():
    library, root, compiler, flags, document = sys.argv[1:]
    with_python = not flags.startswith("no-python")
    toolchain, text = Toolchain(library, root, {"cpp": compiler}, flags.removeprefix("no-python")), pathlib.Path(document).read_text()
    cpp, python = (re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S) for language in ("cpp", "python"))
    assert cpp and len(python) >= 2, "the document has no programs"
    with tempfile.TemporaryDirectory(prefix="docs-") as directory:
        cases = [(f"cpp_{i + 1}", lambda block=block, i=i: toolchain.run(block, f"block_{i}", "cpp", directory)) for i, block in enumerate(cpp) if compiler]
        if with_python:
            cases += [(f"python_{i + 1}", lambda block=block: run_python(block, library, root)) for i, block in enumerate(python)]
        return report(cases)


sys.exit(main())
