#!/usr/bin/env python3
"""Compiles and runs the C of the documentation: each block marked ```c that has a main, as C17.

    test_embedding.py DIRECTORY_OF_THE_LIBRARY SOURCE_ROOT C_COMPILER FLAGS DOCUMENT...
"""

import pathlib
import re
import sys
import tempfile

from compiled import Toolchain, report

PROGRAMS_MIN = 3


def main():
    library, root, c_compiler, flags, *documents = sys.argv[1:]
    toolchain, cases = Toolchain(library, root, {"c": c_compiler}, flags), []
    with tempfile.TemporaryDirectory(prefix="docs-") as directory:
        for document in map(pathlib.Path, documents):
            blocks = [b for b in re.findall(r"^```c\n(.*?)^```", document.read_text(), re.M | re.S) if "int main(" in b]
            assert len(blocks) >= PROGRAMS_MIN, f"{document}: only {len(blocks)} programs"
            for i, block in enumerate(blocks):
                name = f"{document.stem}_{i + 1}"
                cases.append((name, lambda block=block, name=name: toolchain.run(block, name, "c", directory)))
        return report(cases)


sys.exit(main())
