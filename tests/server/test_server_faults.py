"""Each request for memory that snugd makes of its process fails once: at the start, then while it serves. It may refuse to start, with a sentence
and exit status 71; it may close the connection that needed the memory, or answer SERVER_ERROR; it must never crash, never hang, and serve the
next client as before.

    test_server_faults.py SNUGD FAIL_ALLOCATION_LIBRARY [FIRST-LAST of the sweep while serving]
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from preload import preloaded
from waits import HANG_S

SCRIPTS = [
    b"set a 0 0 3\r\nabc\r\nget a\r\ngets a b c\r\nincr n 1\r\ndelete a\r\nversion\r\n",
    b"stats\r\nstats items\r\nstats conns\r\nstats settings\r\n",
    b"set big 0 0 300000\r\n" + b"b" * 300000 + b"\r\nget big\r\nget big\r\n",
    b"".join(b"set k%d 0 0 500\r\n" % i + b"v" * 500 + b"\r\n" for i in range(100)) + b"get " + b" ".join(b"k%d" % i for i in range(100)) + b"\r\n",
    b"snug estimate\r\nsnug defrag\r\nsnug report\r\nsnug metrics\r\nsnug map\r\nsnug limit\r\n",
    b"flush_all\r\nms m 2 c\r\nhi\r\nmg m v c\r\nmn\r\n",
]


class Failed(Exception):
    pass


class Server:
    def __init__(self, snugd, library, environment):
        self.directory = tempfile.mkdtemp(prefix="snug-faults-")
        self.path = os.path.join(self.directory, "socket")
        self.log = open(os.path.join(self.directory, "log"), "w+b")
        words = [snugd, "-s", self.path, "-m", "16", "-t", "2", "--open-commands", *(["-u", "root"] if os.geteuid() == 0 else [])]
        environment = {**os.environ, **environment, **preloaded(library)}
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment)

    def wait_ready(self):
        """True: it serves; False: it has ended by itself."""
        until = time.monotonic() + HANG_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                return False
            if "listening on" in self.text():
                return True
            time.sleep(0.005)
        raise Failed(f"it neither serves nor ends: {self.text()}")

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(HANG_S)
        try:
            connection.connect(self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def end(self, by=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(by)
        try:
            status = self.process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("it does not end") from None
        finally:
            for name in os.listdir(self.directory):
                if name != "log":
                    os.unlink(os.path.join(self.directory, name))
        return status


def talk(server, script):
    """Says it all; takes what comes until the barrier or the end of the connection. False: it was closed."""
    with server.connect() as connection:
        answer = b""
        try:
            connection.sendall(script + b"mn\r\n")
            while not answer.endswith(b"MN\r\n"):
                part = connection.recv(1 << 20)
                if not part:
                    return False
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            return False
        return True


def require(condition, what):
    if not condition:
        raise Failed(what)


def sweep_start(snugd, library):
    """Until nothing fails any more before the first clients were served: then the start asks for no more, and neither do they."""
    at, refused = 0, 0
    while True:
        at += 1
        mark = tempfile.mktemp(prefix="snug-failed-")
        server = Server(snugd, library, {"SNUG_FAIL_AT": str(at), "SNUG_FAILED": mark})
        if server.wait_ready():
            talk(server, SCRIPTS[0])
            has_failed = os.path.exists(mark)
            require(talk(server, SCRIPTS[0]), f"start, {at}: it does not serve: {server.text()}")
            require(server.end() == 0, f"start, {at}: ends with {server.process.returncode}: {server.text()}")
            if not has_failed:
                require(refused > 0, "nothing was ever refused: this proves nothing")
                return f"{at - 1} requests for memory at the start, {refused} of them ended it"
            os.unlink(mark)
            continue
        os.unlink(mark)
        status = server.end()
        refused += 1
        require(0 < status < 128, f"start, {at}: ends by signal or with {status}: {server.text()}")
        require(server.text().strip() != "", f"start, {at}: says nothing")


def sweep_service(snugd, library, first, last):
    closed = failed = 0
    for at in range(first, last + 1):
        mark = tempfile.mktemp(prefix="snug-fail-after-")
        has_failed = mark + "-failed"
        server = Server(snugd, library, {"SNUG_FAIL_AT": str(at), "SNUG_FAIL_AFTER": mark, "SNUG_FAILED": has_failed})
        try:
            require(server.wait_ready(), f"service, {at}: it does not start: {server.text()}")
            with open(mark, "w"):
                pass
            for script in SCRIPTS:
                closed += not talk(server, script)
                require(server.process.poll() is None, f"service, {at}: it died with {server.process.returncode}: {server.text()}")
            require(talk(server, SCRIPTS[0]), f"service, {at}: the next client is not served")
            require(server.end() == 0, f"service, {at}: ends with {server.process.returncode}: {server.text()}")
        finally:
            if server.process.poll() is None:
                server.process.kill()
            failed += os.path.exists(has_failed)
            for path in (mark, has_failed):
                if os.path.exists(path):
                    os.unlink(path)
    require(failed > 0, "nothing failed: this proves nothing")
    return f"{failed} failures while serving closed {closed} connections"


def load_from_a_folder_with_a_space(library):
    with tempfile.TemporaryDirectory(prefix="snug faults ") as folder:
        copy = shutil.copy(library, folder)
        maps = subprocess.run(["cat", "/proc/self/maps"], capture_output=True, text=True, check=True, env={**os.environ, **preloaded(copy)})
        require(copy in maps.stdout, f"{copy} is not loaded: {maps.stderr}")
        return "it is loaded"


def main():
    snugd, library = sys.argv[1:3]
    first, last = (int(word) for word in (sys.argv[3] if len(sys.argv) > 3 else "1-60").split("-"))
    sweeps = [("the_library_in_a_folder_with_a_space", lambda: load_from_a_folder_with_a_space(library))]
    sweeps += [("each_allocation_of_the_start", lambda: sweep_start(snugd, library))]
    sweeps += [("each_allocation_while_serving", lambda: sweep_service(snugd, library, first, last))]
    print(f"[==========] Running {len(sweeps)} test(s).")
    failures = 0
    for name, sweep in sweeps:
        print(f"[ RUN      ] {name}", flush=True)
        try:
            print(f"  {sweep()}")
            print(f"[       OK ] {name}")
        except Failed as failure:
            failures += 1
            print(f"  {failure}\n[  FAILED  ] {name}")
    print(f"{len(sweeps) - failures} passed, {failures} failed")
    sys.exit(1 if failures else 0)


main()
