"""Runs the tests of a Python program, and prints as cmocka's programs do, because tests/run_tests.sh counts cases by these lines.

    sys.exit(run_tests(globals()))
"""

import os
import traceback


class Skipped(Exception):
    """What the case needs is not here; the message says what."""


def needs_http():
    """Meson's environment says where snugd was built without it."""
    if os.environ.get("SNUG_HTTP") == "absent":
        raise Skipped("this snugd has no HTTP")


def run_cases(cases):
    """`cases`: names and functions. The exit status."""
    failed = []
    print(f"[==========] Running {len(cases)} test(s).")
    for name, body in cases:
        print(f"[ RUN      ] {name}", flush=True)
        try:
            body()
            print(f"[       OK ] {name}")
        except Skipped as why:
            print(f"[  SKIPPED ] {name}: {why}")
        except Exception:
            traceback.print_exc()
            failed.append(name)
            print(f"[  FAILED  ] {name}")
    print(f"[==========] {len(cases)} test(s) run.")
    print(f"[  PASSED  ] {len(cases) - len(failed)} test(s).")
    return 1 if failed else 0


def run_tests(names):
    """All of a module's functions whose names begin with test_."""
    return run_cases([(name, body) for name, body in names.items() if name.startswith("test_")])
