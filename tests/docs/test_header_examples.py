#!/usr/bin/env python3
"""Compiles and runs the example that each public header opens with, as C17 and as C++17.

    test_header_examples.py DIRECTORY_OF_THE_LIBRARY SOURCE_ROOT C_COMPILER CPP_COMPILER FLAGS

An example is the indented code of the header's first comment: the body of a function that returns 0 when all is well. It sees its own header and
the C library, what its first line says that it is given, and for a few (MORE) another header.
"""

import pathlib
import re
import sys
import tempfile

from compiled import Toolchain, report

# Only includes the others.
WITHOUT = {"platform.h", "snug.h", "heap_short.h"}  # they declare nothing that a program calls by them

WORKERS = """
	snug_workers_options options = snug_workers_options_default();
	snug_workers *workers;
	options.count = 2;
	options.heap.limit_bytes = (size_t)8 << 20;
	if (snug_workers_create(&options, &workers) != SNUG_OK) return 1;
"""
HEAP = """
	snug_heap_options options = snug_heap_options_default();
	snug_heap *heap;
	options.limit_bytes = (size_t)8 << 20;
	if (snug_heap_create(&options, &heap) != SNUG_OK) return 1;
"""
END_WORKERS = "	if (snug_workers_destroy(workers) != SNUG_OK) return 1;\n"
END_HEAP = "	if (snug_heap_destroy(heap) != SNUG_OK) return 1;\n"

# What an example says that it is given: its parameters, how main makes them, how main ends them.
GIVEN = {
    "client.h": ("snug_workers *workers", WORKERS, "workers", END_WORKERS),
    "coordinator.h": ("snug_workers *workers", WORKERS, "workers", END_WORKERS),
    "defragment.h": ("snug_heap *heap", HEAP, "heap", END_HEAP),
    "stats.h": ("snug_heap *heap", HEAP, "heap", END_HEAP),
    "memory_file.h": ("void", "", "", '	(void)remove("/dev/shm/my-cache");\n'),
}

# Of what lies in a file, which the header does not need to know.
MORE = {"memory_file.h": "#include <snug/shard.h>\n"}


def example_of(text):
    """The indented lines of the first comment that are code: they have a semicolon somewhere, where a picture or a formula has none."""
    comment = text[text.index("/*") : text.index("*/")].rstrip() + "\n"
    blocks = re.findall(r"(?:^ \*(?:     .*)?\n)+", comment, re.M)
    return "".join(re.sub(r"^ \*(?:     )?", "\t", block, flags=re.M) for block in blocks if ";" in block)


def apart(example):
    """A function of the example's own, which begins with static and ends with a brace, and the rest."""
    functions = "".join(re.findall(r"^\tstatic [^=;]*\) \{\n.*?^\t\}\n", example, re.M | re.S))
    return functions, example.replace(functions, "")


def program_of(header, example):
    functions, example = apart(example)
    parameters, make, arguments, end = GIVEN.get(header, ("void", "", "", ""))
    return f"""#include <snug/{header}>
{MORE.get(header, "")}#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

{functions}
static int example({parameters}) {{
{example}	return 0;
}}

int main(void) {{
{make}	int status = example({arguments});
{end}	return status;
}}
"""


def main():
    library, root, c_compiler, cpp_compiler, flags = sys.argv[1:]
    toolchain, cases = Toolchain(library, root, {"c": c_compiler, "cpp": cpp_compiler}, flags), []
    with tempfile.TemporaryDirectory(prefix="headers-") as directory:
        for path in sorted((toolchain.root / "include" / "snug").glob("*.h")):
            if path.name in WITHOUT:
                continue
            example = example_of(path.read_text())
            for suffix in toolchain.compilers:

                def body(path=path, suffix=suffix, example=example):
                    if not example:
                        return f"{path.name} opens with no example"
                    return toolchain.run(program_of(path.name, example), path.stem, suffix, directory)

                cases.append((f"{path.stem}_h_{suffix}", body))
        return report(cases)


sys.exit(main())
