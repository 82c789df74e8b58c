#!/usr/bin/env python3
"""Runs the commands of the documentation against a server that holds something: lines of shell, the rows of docs/commands.md's tables, the paths of HTTP.

    test_docs.py DIRECTORY_OF_PROGRAMS SOURCE_ROOT DOCUMENT...

A line of shell is one of a block marked ```sh runnable, which is run as it is; one of another block, or an indented one, that begins with a program.
What would disturb the machine is replaced by what does not (REPLACEMENTS), or run by another test (ELSEWHERE). A line that no rule is for fails: who
writes a command into a document sees to it that it is run. Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import http.client
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import Skipped
from waits import HANG_S

PROGRAMS = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(sys.argv[2])
COMMANDS_MIN = 40  # in all: fewer, and they are not found any more

PROGRAM = re.compile(r"(\$ |sudo |make |build/|bench/|snugd |snugctl |snug-replay |printf |curl |cc |for [a-z]+ in |systemctl |nutcracker |podman |pylibmc\.|suite\.py )")

# Regular expressions; the server's own addresses come in besides.
REPLACEMENTS = [
    (r"^\$ ", ""),
    (r"^sudo make (\S+)", r"make -n \1"),
    (r"^make (\S+)", r"make -n \1"),  # that there is such a target; they are what CI and releases run
    (r"build/(snugctl|snugd|snug-replay)", r"\1"),
    (r"^(snugd .*(?<!--check-config))$", r"\1 --check-config"),
    (r"--config /etc/snugd.conf -d -P \S+ -u cache", "--config packaging/snugd.conf -d -P /tmp/snugd.pid -u nobody"),
    (r"snugctl (?!-s )", "snugctl -s $SNUGD "),
    (r"\btop$", "top --rounds 1"),
    (r"map\.svg", "$SCRATCH/map.svg"),
    (r"emergency 1m", "emergency 64k"),
    (r"127\.0\.0\.1 11211", "127.0.0.1 $PORT"),
    (r"'http://127\.0\.0\.1:8211(/[^']*)'", r'"http://127.0.0.1:$HTTP\1"'),
    (r"-X POST", "-sSf -X POST"),
    (r"\$NODES", "$SNUGD"),
    (r"ssh \$node ", ""),
    (r"defrag ms 500", "defrag ms 5"),
    (r"-s other:11211 load$", "-s 127.0.0.1:$PORT load 2>&1"),
    (r"> items$", "| tee $SCRATCH/items"),
]

# Where else a line is run, or why nowhere.
ELSEWHERE = [
    (r"^snugd -p 11311", "tests/scaling/test_scaling.py"),
    (r"^nutcracker ", "tests/scaling/test_scaling.py"),
    (r"^pylibmc\.", "tests/scaling/test_scaling.py"),
    (r"suite\.py", "tests/bench/test_defrag_suite.py"),
    (r"^curl --cacert ", "tests/http/test_https.py"),
    (r"^cc ", "tests/docs/test_embedding.py"),
    (r"^podman ", "tests/packaging/image.sh"),
    (r"^systemctl ", "tests/packaging/smoke.sh"),  # which installs the unit; no systemd runs in a test
]

WORDS = {"BYTES": "32m", "WORKER": "0", "HASH": "0", "N": "3", "HH:MM-HH:MM": "03:00-05:00", "TIME": "1h", "PERCENT": "5", "WHICH": "idle 1h", "ID": "7"}


class Failed(Exception):
    pass


# ---- what is written ---------------------------------------------------------------------------------------------------


def shell_lines(text):
    """(line, is marked as runnable)"""
    marked = fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
            marked = line == "```sh runnable"
        elif fenced and marked and line.strip() and not line.startswith("#"):
            yield line, True
        elif (fenced or line.startswith("    ")) and PROGRAM.match(line.strip()):
            yield re.sub(r" {2,}#.*| # .*", "", line.strip()), False


def rows(text, pattern):
    return [match.groups() for match in re.finditer(pattern, text, re.M)]


def forms(command):
    """The shortest form of "snug defrag [a|b] [ms N]", and the longest with the first of alternatives."""
    for whole in (False, True):
        form = re.sub(r"\[([^\]]*)\] ?", lambda match: match.group(1).split("|")[0] + " " if whole else "", command + " ")
        yield " ".join(WORDS.get(word, word) for word in form.split())


# ---- the server --------------------------------------------------------------------------------------------------------


class Server:
    def __init__(self, scratch):
        self.path = os.path.join(scratch, "socket")
        user = ["-u", "root"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            [os.path.join(PROGRAMS, "snugd"), "-s", self.path, "-p", "-1", "--control", os.path.join(scratch, "control"), "-m", "64", "--memory-max", "1024", "-t", "2", "--http", "127.0.0.1:0", *user],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
        self.ports = {}
        while "port" not in self.ports or "http" not in self.ports:
            line = self.process.stderr.readline()
            if not line:
                raise Failed("the server does not start")
            for name, pattern in (("http", r"http://127\.0\.0\.1:(\d+)"), ("port", r" 127\.0\.0\.1:(\d+)")):
                if found := re.search(pattern, line):
                    self.ports[name] = found.group(1)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(HANG_S)
            client.connect(self.path)
            for i in range(4000):
                client.sendall(b"set key%d 0 0 100 noreply\r\n%s\r\n" % (i, b"x" * 100))
            client.sendall(b"mn\r\n")
            assert client.recv(10) == b"MN\r\n"
        # What the documents have, an operator asks for.
        self.client = socket.socket(socket.AF_UNIX)
        self.client.settimeout(HANG_S)
        self.client.connect(os.path.join(scratch, "control"))
        self.file = self.client.makefile("rb")

    def ask(self, line):
        """The lines of the answer."""
        self.client.sendall(line.encode() + b"\r\n")
        answer = []
        while not answer or not re.match(r"END|NEXT|OK|VERSION|[A-Z_]*ERROR|RESET", answer[-1]):
            answer.append(self.file.readline().decode().rstrip("\r\n"))
            if answer[-1] == "":
                raise Failed("the server closed the connection")
        return answer

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.file.close()
        self.client.close()


# ---- the cases ---------------------------------------------------------------------------------------------------------


def run_line(server, scratch, line, is_marked):
    if not is_marked:
        for pattern, where in ELSEWHERE:
            if re.search(pattern, line):
                if not (ROOT / where).is_file():
                    raise Failed(f"there is no {where} to run it")
                return
        for pattern, replacement in REPLACEMENTS:
            line = re.sub(pattern, replacement, line)
        if not re.match(r"make -n |snugctl |snugd |snug-replay |printf |curl |for ", line):
            raise Failed("no rule says how to run it: see REPLACEMENTS and ELSEWHERE in this test")
    for program in ("curl", "nc"):
        if re.search(rf"\b{program} ", line) and shutil.which(program) is None:
            raise Skipped(f"{program} is not installed")
    environment = {**os.environ, "SNUGD": server.path, "PORT": server.ports["port"], "HTTP": server.ports["http"], "SCRATCH": scratch,
                   "PATH": f"{PROGRAMS}:{PROGRAMS}/tools/snugctl:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-ec", line], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=HANG_S)  # fmt: skip
    if done.returncode != 0 or done.stdout == "":
        raise Failed(f"{line}\nstatus {done.returncode}\n{done.stdout}{done.stderr}")


def run_row(server, command, fields):
    """All forms of a command; the fields that the table names are there."""
    for form in forms(command):
        if "NUMBER" in form:
            schedule = server.ask("snug schedule every 1h")[0].split()[-1]
            form = form.replace("NUMBER", schedule)
        answer = server.ask(form)
        if "ERROR" in answer[-1]:
            raise Failed(f"{form}: {answer[-1]}")
    names = {line.split(" ")[1] for line in answer if line.startswith("STAT ")}
    for field in re.findall(r"`([a-z_]+)`", fields.split(";")[0]):
        if names and field not in names:
            raise Failed(f"{form}: no {field} in {sorted(names)}")


def run_path(server, method, path):
    """There is such a path, and it is asked for by this method."""
    path = path.split("?")[0]
    client = http.client.HTTPConnection("127.0.0.1", int(server.ports["http"]), timeout=HANG_S)
    client.request("HEAD" if method == "GET" else method, path, headers={"X-Snug-Request": "1", "Content-Length": "0"} if method == "POST" else {})
    status = client.getresponse().status
    client.close()
    if status in (403, 404, 405):
        raise Failed(f"{method} {path}: status {status}")


def cases_of(document, server, scratch):
    text = document.read_text()
    for line, is_marked in shell_lines(text):
        yield f"{document.name}: {line}", lambda line=line, is_marked=is_marked: run_line(server, scratch, line, is_marked)
    for command, fields in rows(text, r"^\| `(snug [^`]*)` \|(?:.*)\| (.*) \|$"):
        command = command.replace("\\|", "|")
        yield f"{document.name}: {command}", lambda command=command, fields=fields: run_row(server, command, fields)
    for method, first, more in rows(text, r"^\| `(GET|POST) (/[^`]*)`([^|]*(?:\\\|[^|]*)*) \|"):
        for path in [first, *re.findall(r"`(/[^`]*)`", more)]:
            yield f"{document.name}: {method} {path}", lambda method=method, path=path: run_path(server, method, path)


def main():
    failed = skipped = 0
    with tempfile.TemporaryDirectory(prefix="docs-") as scratch:
        server = Server(scratch)
        try:
            cases = [case for document in map(pathlib.Path, sys.argv[3:]) for case in cases_of(document, server, scratch)]
            assert len(cases) >= COMMANDS_MIN, f"only {len(cases)} commands"
            print(f"[==========] Running {len(cases)} test(s).")
            for name, body in cases:
                print(f"[ RUN      ] {name}", flush=True)
                try:
                    body()
                    print(f"[       OK ] {name}")
                except Skipped as why:
                    print(f"[  SKIPPED ] {name}: {why}")
                    skipped += 1
                except (Failed, OSError, subprocess.TimeoutExpired) as error:
                    print(f"{error}\n[  FAILED  ] {name}")
                    failed += 1
        finally:
            server.end()
    print(f"[==========] {len(cases)} test(s) run.")
    print(f"[  PASSED  ] {len(cases) - failed - skipped} test(s).")
    return 1 if failed else 0


sys.exit(main())
