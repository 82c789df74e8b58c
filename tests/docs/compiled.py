"""What the tests of documents share: a program of a document is compiled without a warning against the library as built, and run.

With a sanitizer in the build the program has it, too, so that a document that reads past its own buffer is found.
"""

import os
import pathlib
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from waits import RUN_HANG_S

WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror".split()
STANDARDS = {"c": "-std=c17", "cpp": "-std=c++17"}


class Toolchain:
    """compilers: suffix of a source -> command; an empty command leaves the language out."""

    def __init__(self, library, root, compilers, flags):
        self.library, self.root = os.path.abspath(library), pathlib.Path(root).resolve()
        self.compilers = {suffix: shlex.split(command) for suffix, command in compilers.items() if command}
        self.flags = shlex.split(flags)

    def run(self, text, name, suffix, directory):
        """What went wrong, or nothing."""
        source, program = os.path.join(directory, f"{name}.{suffix}"), os.path.join(directory, f"{name}_{suffix}")
        pathlib.Path(source).write_text(text)
        build = [*self.compilers[suffix], STANDARDS[suffix], *WARNINGS, "-g", *self.flags, f"-I{self.root}/include", source, "-o", program,
                 f"-L{self.library}", "-lsnug", "-pthread"]  # fmt: skip
        for step in (build, [program]):
            done = subprocess.run(step, capture_output=True, text=True, timeout=RUN_HANG_S, env={**os.environ, "LD_LIBRARY_PATH": self.library})
            if done.returncode != 0:
                return f"{step[0]}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return ""


def report(cases):
    """Runs (name, function that tells what went wrong) as cmocka would; the exit status."""
    failed = 0
    print(f"[==========] Running {len(cases)} test(s).")
    for name, body in cases:
        print(f"[ RUN      ] {name}", flush=True)
        wrong = body()
        failed += wrong != ""
        print(f"{wrong}\n[  FAILED  ] {name}" if wrong else f"[       OK ] {name}")
    print(f"[==========] {len(cases)} test(s) run.\n[  PASSED  ] {len(cases) - failed} test(s).")
    return 1 if failed else 0
