"""The fault drill: what clients see when things go wrong around snugd. Each drill proves what it says, or fails.

    drill.py SNUGD SHIFT_CLOCK.so [--out FILE.md]
"""

import ctypes
import http.client
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "protocol"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from preload import preloaded
from stopped import threads_of
from waits import HANG_S
from server_process import Server, free_port

PROGRAM, CLOCK = sys.argv[1], os.path.abspath(sys.argv[2])
rows = []


class Client:
    def __init__(self, server, timeout=HANG_S):
        self.socket = server.connect()
        self.socket.settimeout(timeout)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def ask(self, data, last=b""):
        """Lines until the one that begins with `last`; one line if that is empty."""
        self.socket.sendall(data)
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError("closed")
            lines.append(line.rstrip(b"\r\n"))
            if not last or lines[-1].startswith(last):
                return lines

    def set(self, key, value, expiry=0):
        return self.ask(b"set %s 0 %d %d\r\n%s\r\n" % (key, expiry, len(value), value))[0]

    def get(self, key):
        lines = self.ask(b"get %s\r\n" % key, b"END")
        return lines[1] if len(lines) == 3 else None


class Load(threading.Thread):
    """Stores and gets with verified values, until it is told to end or its connection does."""

    def __init__(self, server):
        super().__init__()
        self.server, self.is_over, self.operations, self.longest_s, self.error, self.wrong = server, False, 0, 0.0, None, 0
        self.start()

    def run(self):
        source = random.Random(1)
        try:
            with Client(self.server, timeout=HANG_S) as client:
                while not self.is_over:
                    key = b"load:%d" % source.randrange(5000)
                    began = time.monotonic()
                    if source.random() < 0.5:
                        client.set(key, key * 40)
                    elif (value := client.get(key)) is not None and value != key * 40:
                        self.wrong += 1
                    self.longest_s = max(self.longest_s, time.monotonic() - began)
                    self.operations += 1
        except OSError as error:
            self.error = type(error).__name__

    def end(self):
        self.is_over = True
        self.join()
        assert self.wrong == 0, f"{self.wrong} values were not what was stored"
        return self


def fill(server, count, size):
    with Client(server) as client:
        client.ask(b"".join(b"set fill:%d 0 0 %d noreply\r\n%s\r\n" % (i, size, b"f" * size) for i in range(count)) + b"mn\r\n")


def say(fault, seen):
    rows.append((fault, seen))
    print(f"  {fault}: {seen}")


def test_kill_and_restart():
    with Server(PROGRAM, ["-m", "64", "-t", "2"]) as server:
        load = Load(server)
        time.sleep(0.5)
        server.process.kill()
        server.process.wait()
        load.end()
        assert load.error is not None
        began = time.monotonic()
        server._start()
        # Until the kernel has ended what the dead process had under way, it may still take connections in its name, and reset them.
        is_up = False
        while not is_up:
            try:
                with Client(server) as client:
                    is_up = client.get(b"load:1") is None and client.set(b"a", b"b") == b"STORED"
            except OSError:
                assert time.monotonic() - began < 10
        up_ms = 1000 * (time.monotonic() - began)
    say("kill -9 under load, restart", f"the connection ends ({load.error}), after {load.operations} verified operations; {up_ms:.0f} ms after the restart stores are taken again; until then connections are refused or reset; the cache is empty")


def test_full_disk_for_logs():
    with Server(PROGRAM, ["-m", "64", "-t", "2"]) as server:
        server.process.kill()
        server.process.wait()
        server.address = ("127.0.0.1", free_port())
        command = [PROGRAM, "-vv", "--open-commands", "-l", "127.0.0.1", "-p", str(server.address[1]), *(["-u", "root"] if os.geteuid() == 0 else []), *server.args]
        with open("/dev/full", "wb") as full:
            server.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=full, stderr=full, start_new_session=True)
        assert server._accepts()
        load = Load(server)
        with Client(server, 30) as client:
            for _ in range(20):
                client.ask(b"snug defrag\r\n", b"END")
        load.end()
        assert load.error is None and load.operations > 0 and server.is_alive()
        with Client(server) as client:
            assert client.set(b"a", b"b") == b"STORED"
    say("disk full for logs (standard error is /dev/full, -vv)", f"nothing: {load.operations} operations beside 20 defragmentations that could not be logged")


def test_out_of_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        # io_uring keeps the limit of when it began to accept; epoll feels the new one at once.
        with Server(PROGRAM, ["-m", "64", "-t", "2", "-c", "100", "--io", "epoll"]) as server:
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (60, 60))
            load = Load(server)
            time.sleep(0.2)
            crowd, served = [], 0
            for _ in range(90):
                stream = server.connect()
                stream.settimeout(0.3)
                crowd.append(stream)
                try:
                    stream.sendall(b"mn\r\n")
                    served += stream.recv(10) == b"MN\r\n"
                except OSError:
                    pass
            for stream in crowd:
                stream.close()
            time.sleep(0.3)
            with Client(server) as client:
                assert client.set(b"a", b"b") == b"STORED"
            load.end()
            assert load.error is None and 0 < served < 90, (load.error, served)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    say("out of file descriptors", f"of 90 more connections {served} are served, the others wait in the kernel; who is connected goes on; once some close, new ones are served")


def test_limit_below_use():
    with Server(PROGRAM, ["-m", "256", "-t", "2"]) as server:
        fill(server, 200000, 800)
        load = Load(server)
        rss = server.rss_bytes()
        with Client(server, 60) as client:
            assert client.ask(b"snug limit 48m\r\n", b"END")[-1] == b"END"
            began = time.monotonic()
            while True:
                figures = dict(line.split(b" ")[1:3] for line in client.ask(b"snug limit\r\n", b"END")[:-1])
                if int(figures[b"limit_bytes"]) <= 48 << 20:
                    break
                assert time.monotonic() - began < 60, figures
                time.sleep(0.05)
            took = time.monotonic() - began
            assert client.set(b"a", b"b") == b"STORED"
        load.end()
        assert load.error is None
        until = time.monotonic() + HANG_S
        while server.rss_bytes() > 80 << 20 and time.monotonic() < until:
            time.sleep(0.1)
        now = server.rss_bytes()
        assert now < 80 << 20, now
    say("memory limit lowered from 256 MB to 48 MB under load", f"resident memory falls from {rss >> 20} to {now >> 20} MiB; the limit is reached in {took:.1f} s; {load.operations} operations meanwhile, the longest {1000 * load.longest_s:.0f} ms")


def test_clock_jumps():
    with tempfile.NamedTemporaryFile("w+") as shift:
        shift.write("0")
        shift.flush()
        before = dict(os.environ)
        os.environ.update(preloaded(CLOCK), SHIFT_CLOCK=shift.name)
        os.chmod(shift.name, 0o644)
        try:
            server = Server(PROGRAM, ["-m", "64", "-t", "2"]).__enter__()
        finally:
            os.environ.clear()
            os.environ.update(before)
        try:
            with Client(server) as client:
                client.set(b"forever", b"1")
                client.set(b"minute", b"2", 60)
                client.set(b"day", b"3", 86400)

                def jump(seconds):
                    shift.seek(0)
                    shift.truncate()
                    shift.write(str(seconds))
                    shift.flush()
                    time.sleep(0.3)
                    return [client.get(key) is not None for key in (b"forever", b"minute", b"day")]

                assert jump(-7200) == [True, True, True]
                assert jump(3600) == [True, True, True], "an hour ahead"
                assert jump(200000) == [True, True, True], "two days ahead"
                assert jump(0) == [True, True, True]
                assert client.set(b"a", b"b", 60) == b"STORED" and client.get(b"a") == b"b"
        finally:
            server.__exit__(None, None, None)
    say("the wall clock jumps", "back by two hours, an hour ahead, two days ahead: what had 60 s left is there, as is what had a day; nothing else changes")


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_one_worker_stalled():
    libc = ctypes.CDLL(None, use_errno=True)
    seize, interrupt, detach = 0x4206, 0x4207, 17
    with Server(PROGRAM, ["-m", "64", "-t", "2", "--http", "127.0.0.1:0"]) as server:
        while (found := re.search(r"http://127.0.0.1:(\d+)", server.log_text())) is None:
            time.sleep(0.01)
        port = int(found.group(1))

        def health():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_S)
            connection.request("GET", "/healthz")
            return connection.getresponse().status

        names = threads_of(server.process.pid)
        with Client(server, 3) as probe:
            keys = [b"key:%d" % i for i in range(40)]
            for key in keys:
                probe.set(key, key)
        stalled = names["snugd-1"]
        assert libc.ptrace(seize, stalled, None, None) == 0 and libc.ptrace(interrupt, stalled, None, None) == 0
        os.waitpid(stalled, 0x40000000)
        served, waiting = 0, []
        for key in keys:
            client = Client(server, 0.3)
            try:
                served += client.get(key) == key
                client.__exit__()
            except OSError:
                waiting.append((client, key))
        greedy = [Client(server, 10) for _ in range(8)]
        for client in greedy:
            client.socket.sendall(b"".join(b"get %s\r\n" % key for key in keys * 50))
        time.sleep(0.2)
        before = cpu_s(server.process.pid)
        time.sleep(1)
        spent = cpu_s(server.process.pid) - before
        until = time.monotonic() + HANG_S
        while health() == 200 and time.monotonic() < until:
            time.sleep(0.2)
        sick = health()
        assert libc.ptrace(detach, stalled, None, None) == 0
        late = 0
        for client, key in waiting:
            client.socket.settimeout(HANG_S)
            answer = b""
            while not answer.endswith(b"END\r\n"):
                answer += client.socket.recv(1000)
            late += key in answer
            client.__exit__()
        for client in greedy:
            for _ in keys * 50:
                assert client.file.readline().startswith(b"VALUE key:") and client.file.readline() and client.file.readline() == b"END\r\n"
            client.__exit__()
        assert served > 0 and waiting and late == len(waiting) and health() == 200 and sick == 503, (served, len(waiting), late, sick)
        assert spent < 0.5, f"{spent} s of a second, while all wait for a worker that stands still"
    say("one of two workers stalled by a debugger", f"of 40 new clients, a key each, {served} are served: those whose connection and key are the other worker's; the others wait and get their answer when it goes on, as do 8 with pipelines of 2000; nobody waits busily ({spent:.2f} s of a second); /healthz answers 503 meanwhile")


def main():
    status = run_tests(globals())
    if "--out" in sys.argv:
        with open(sys.argv[sys.argv.index("--out") + 1], "w") as out:
            out.write("# Fault drill\n\nWritten by `make drill`. Values are verified throughout.\n\n| what went wrong | what clients saw |\n|---|---|\n")
            out.writelines(f"| {fault} | {seen} |\n" for fault, seen in rows)
    return status


sys.exit(main())
