#!/usr/bin/python3
"""Black box tests of the memcached protocol against any server binary.

    run_protocol_tests.py --server PATH [--server-args "ARGS"] [--unix] [--tls] [-k FILTER] [--list]

Each family (families/cases_*.py) is a table of cases (case.py) or of functions, and gets a server of its own; its cases run one after another,
those of a family with PARALLEL at the same time, because they wait. Every failing case prints what was sent, expected and got. The last
line is "N passed, N failed". Debian's memcached, which is where the expectations were taken from, must pass too; differences.py has the
cases that are for one of both only.
"""

import argparse
import importlib
import os
import pathlib
import re
import shlex
import sys
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "families"), str(HERE.parent / "support")]
sys.dont_write_bytecode = True

from case import Case, Conversation, Failure, ends_closed
from certificates import HAS_OPENSSL
from differences import MEMCACHED_DIFFERS, NOT_OVER_TLS, SNUGD_DIFFERS
from expectation import fill
from secured_server import SecuredServer
from server_process import Server, ServerDied

SKIPPED = 77  # what meson takes for it
FAMILIES = sorted(path.stem for path in (HERE / "families").glob("cases_*.py"))


def run_table_case(case, server, word):
    conversation = Conversation(server.connect())
    try:
        closed = False
        for step in case.steps:
            if isinstance(step, (int, float)):
                time.sleep(step)
                continue
            send, expected = (as_bytes(part, word) for part in step)
            send = fill(send, conversation.names)
            conversation.ask(send, expected)
            closed = ends_closed(expected)
        if not closed:
            conversation.ask(b"mn\r\n", b"MN\r\n")
    finally:
        conversation.close()


def as_bytes(part, word):
    if isinstance(part, tuple):
        return tuple(as_bytes(alternative, word) for alternative in part)
    return part.replace(b"@", word)


class Suite:
    def __init__(self, options):
        self.options = options
        self.passed = 0
        self.failed = 0
        self.skipped = []
        self.lock = threading.Lock()
        self.is_memcached = os.path.basename(options.server) == "memcached"
        self.version = None  # of memcached; None: another server, which must know everything

    def server(self, args):
        if self.options.tls:
            return SecuredServer(self.options.server, args)
        return Server(self.options.server, args, self.options.unix)

    def learn_version(self):
        with self.server(self.options.server_args) as server:
            conversation = Conversation(server.connect())
            conversation.send(b"version\r\n")
            answer = conversation.receive_until(b"\r\n").decode()
            conversation.close()
        if self.is_memcached:
            numbers = re.match(r"VERSION (\d+)\.(\d+)\.(\d+)", answer)
            self.version = tuple(map(int, numbers.groups())) if numbers else None

    def report(self, family, name, problem):
        with self.lock:
            if problem is None:
                self.passed += 1
                print(f"[       OK ] {family}: {name}")
            else:
                self.failed += 1
                print(f"[  FAILED  ] {family}: {name}\n{problem}")
            sys.stdout.flush()

    def skip(self, family, case):
        reasons = MEMCACHED_DIFFERS if self.is_memcached else SNUGD_DIFFERS
        title = f"{family}: {name_of(case)}"
        reason = reasons.get(title) or (NOT_OVER_TLS.get(title) if self.options.tls else None)
        if reason:
            self.skipped.append(f"[  SKIPPED ] {family}: {name_of(case)}: {reason}")
        return reason is not None

    def run_one(self, family, case, word, server):
        problem = None
        begin = time.monotonic()
        try:
            if isinstance(case, Case):
                run_table_case(case, server, word)
            else:
                case(server)
        except Failure as failure:
            problem = str(failure)
        except Exception:
            problem = traceback.format_exc()
        if not server.is_alive():
            problem = f"{problem or ''}\n  the server has died: {server.log_text()}"
        elif problem and not server.is_serving():
            problem += "\n  the server does not answer any more"
            server.end()
        self.report(family, f"{name_of(case)} ({time.monotonic() - begin:.2f} s)", problem)

    def cases_of(self, family, module):
        since = getattr(module, "SINCE", None)
        if since and self.version and self.version < since:
            return []
        chosen = []
        for case in module.CASES:
            title = f"{family}: {name_of(case)}"
            if self.options.filter and not re.search(self.options.filter, title):
                continue
            if self.options.list or not self.skip(family, case):
                chosen.append(case)
        return chosen

    def run_with_server(self, family, cases, args):
        """One after another; a server that has died or hangs is replaced."""
        while cases:
            try:
                with self.server(args) as server:
                    while cases and server.is_alive():
                        self.run_one(family, *cases.pop(0), server)
            except ServerDied as death:
                case, _ = cases.pop(0)
                self.report(family, name_of(case), str(death))

    def run_family(self, family, module, cases):
        args = self.options.server_args + getattr(module, "SERVER_ARGS", [])
        named = [(case, b"c%03d" % number) for number, case in enumerate(cases)]
        if not getattr(module, "PARALLEL", False):
            self.run_with_server(family, named, args)
        elif getattr(module, "OWN_SERVER", False):
            run_all([(self.run_with_server, (family, [one], args)) for one in named])
        else:
            with self.server(args) as server:
                run_all([(self.run_one, (family, *one, server)) for one in named])


def run_all(calls):
    threads = [threading.Thread(target=function, args=arguments) for function, arguments in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def name_of(case):
    return case.name if isinstance(case, Case) else case.__name__.replace("_", " ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="the binary")
    parser.add_argument("--server-args", default=[], type=shlex.split, help="more arguments for it, as one word")
    parser.add_argument("--unix", action="store_true", help="talk over a unix socket (-s)")
    parser.add_argument("--tls", action="store_true", help="talk over TLS (-Z)")
    parser.add_argument("-k", dest="filter", help="a regular expression: only these cases")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and run none")
    options = parser.parse_args()

    if options.tls and not HAS_OPENSSL:
        print("[==========] Running 1 test(s).\n[  SKIPPED ] the openssl command is not installed")
        return SKIPPED
    suite = Suite(options)
    suite.learn_version()
    plan = []
    for family in FAMILIES:
        module = importlib.import_module(family)
        cases = suite.cases_of(family[len("cases_") :], module)
        if cases:
            plan.append((family[len("cases_") :], module, cases))
    if options.list:
        for family, _, cases in plan:
            print("\n".join(f"{family}: {name_of(case)}" for case in cases))
        return 0
    print(f"[==========] Running {sum(len(cases) for _, _, cases in plan) + len(suite.skipped)} test(s).")
    print("".join(line + "\n" for line in suite.skipped), end="")
    slow = [threading.Thread(target=suite.run_family, args=part) for part in plan if getattr(part[1], "PARALLEL", False)]
    for thread in slow:
        thread.start()
    for part in plan:
        if not getattr(part[1], "PARALLEL", False):
            suite.run_family(*part)
    for thread in slow:
        thread.join()
    print(f"{suite.passed} passed, {suite.failed} failed")
    return 0 if suite.failed == 0 and suite.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
