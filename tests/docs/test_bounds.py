#!/usr/bin/env python3
"""The tables of docs/bounds.md are those that the code gives.

    test_bounds.py PROGRAM DOCUMENT            the test: each row that the program prints stands in the document, and no other
    test_bounds.py PROGRAM DOCUMENT --write    writes the tables into the document

Table N stands between the lines <!-- table N --> and <!-- end -->.
"""

import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r"<!-- table (\d) -->\n(.*?)<!-- end -->\n", re.S)


def tables_of(program):
    printed = subprocess.run([program], stdout=subprocess.PIPE, check=True, text=True).stdout
    return [table.strip("\n") + "\n" for table in printed.split("\n\n")]


def main():
    program, document = sys.argv[1], pathlib.Path(sys.argv[2])
    tables = tables_of(program)
    text = document.read_text()
    written = BLOCK.sub(lambda found: f"<!-- table {found[1]} -->\n\n{tables[int(found[1]) - 1]}\n<!-- end -->\n", text)
    if "--write" in sys.argv:
        document.write_text(written)
        return 0
    print("[==========] Running 1 test(s).")
    if len(BLOCK.findall(text)) != len(tables) or written != text:
        print(f"{document} and {program} differ; {sys.argv[0]} {program} {document} --write mends the document")
        print("[  FAILED  ] bounds")
        return 1
    print("[       OK ] bounds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
