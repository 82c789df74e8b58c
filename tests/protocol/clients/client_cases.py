"""Runs the cases of one client library against a server: each is a function that gets a fresh client, and may raise.

    TEST --server PATH [--server-args ARGS] [--binary]

Prints as the other protocol tests do; the last line is "N passed, N failed".
"""

import argparse
import os
import shlex
import socket
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True

from server_process import Server, free_port
from waits import HANG_S

SKIPPED = 77  # what meson takes for "skipped"


def options(*more):
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--server-args", default=[], type=shlex.split)
    parser.add_argument("--binary", action="store_true", help="the client speaks the binary protocol")
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


def socket_to(host, port):
    """For what a case does beside its client."""
    return socket.create_connection((host, port), timeout=HANG_S)


def run(cases, connect, close, own_server=False):
    """`connect` makes a client of (host, port), `close` ends it. Each case begins with the empty cache that `connect` makes, or with a server of its own."""
    chosen = options()
    passed = 0
    print(f"[==========] Running {len(cases)} test(s).")
    for together in [[case] for case in cases] if own_server else [cases]:
        with Server(chosen.server, chosen.server_args) as server:
            passed += run_on(server, together, connect, close)
    return finish(passed, len(cases) - passed)


def run_on(server, cases, connect, close):
    """How many passed."""
    passed = 0
    for case in cases:
        name = case.__name__.replace("_", " ")
        client = None
        try:
            client = connect(*server.address)
            case(client)
            passed += 1
            print(f"[       OK ] {name}")
        except Exception:
            print(f"[  FAILED  ] {name}\n{traceback.format_exc()}")
            if not server.is_alive():
                print(f"the server has died: {server.log_text()}")
                break
        finally:
            if client:
                close(client)
    return passed
