"""Runs the cases of one client library against a server: each is a function that gets a fresh client, and may raise.

    TEST --server PATH [--server-args ARGS]

Prints as the other protocol tests do; the last line is "N passed, N failed".
"""

import argparse
import os
import shlex
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True

from server_process import Server

SKIPPED = 77  # what meson takes for "skipped"


def options(*more):
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--server-args", default=[], type=shlex.split)
    for name in more:
        parser.add_argument(name, required=True)
    return parser.parse_args()


def skip(why):
    print("[==========] Running 1 test(s).")
    print(f"[  SKIPPED ] {why}")
    print("0 passed, 0 failed")
    return SKIPPED


def finish(passed, failed):
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


def run(cases, connect, close):
    """`connect` makes a client of (host, port), `close` ends it. Each case begins with an empty cache."""
    chosen = options()
    passed = failed = 0
    print(f"[==========] Running {len(cases)} test(s).")
    with Server(chosen.server, chosen.server_args) as server:
        for case in cases:
            name = case.__name__.replace("_", " ")
            client = None
            try:
                client = connect(*server.address)
                case(client)
                passed += 1
                print(f"[       OK ] {name}")
            except Exception:
                failed += 1
                print(f"[  FAILED  ] {name}\n{traceback.format_exc()}")
                if not server.is_alive():
                    print(f"the server has died: {server.log_text()}")
                    failed += len(cases) - passed - failed
                    break
            finally:
                if client:
                    close(client)
    return finish(passed, failed)
