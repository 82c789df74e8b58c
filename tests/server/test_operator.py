#!/usr/bin/env python3
"""Tests of the operator's door: what is taken at the control socket alone, that it opens when all else is full, and that snugctl finds it.

    test_operator.py SNUGD SNUGCTL

Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import contextlib
import grp
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from foreground import Foreground
from stopped import stopped
from waits import HANG_S, Soon, wait_until

PROGRAM, SNUGCTL = sys.argv[1:3]
USER = pwd.getpwuid(os.geteuid()).pw_name
CHANGING = b"limit,limit 8m,defrag,emergency 1m evict,schedule every 1h,cancel 7,check".split(b",")
TELLING = b"estimate,metrics,latency,map,report,schedules,help".split(b",")
DONE, REFUSED, USAGE, UNREACHABLE = range(4)


class Snugd(Foreground):
    """On a port of its own, with a runtime directory of its own, where the control socket goes by default."""

    def __init__(self, *arguments, place=("-p", "-1"), memory=("-m", "16"), runtime=None):
        self.directory = tempfile.TemporaryDirectory(prefix="snug-door-")
        self.runtime = runtime or self.directory.name
        super().__init__([PROGRAM, *place, "-t", "2", *memory, "-u", USER, *arguments], env=self.environment)

    @property
    def environment(self):
        return {**os.environ, "XDG_RUNTIME_DIR": self.runtime}

    def __exit__(self, *what):
        super().__exit__(*what)
        self.directory.cleanup()

    @property
    def refusal(self):
        return f"CLIENT_ERROR an operator's command; the control socket takes it: {self.control}\r\n".encode()

    @property
    def no_shutdown(self):
        return b"SERVER_ERROR: shutdown not enabled\r\n"

    @property
    def control(self):
        return os.path.join(self.runtime, f"snugd-{self.port}.sock")

    def at_port(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=HANG_S)

    def at_control(self, path=None):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(HANG_S)
        stream.connect(path or self.control)
        return stream

    def ctl(self, *words, status=DONE):
        done = subprocess.run([SNUGCTL, *words], capture_output=True, text=True, timeout=HANG_S, env=self.environment)
        assert done.returncode == status, (words, done)
        return done

    def ends(self, status=0):
        assert self.process.wait(HANG_S) == status
        return True


def ask(stream, line, last=rb"(END|OK|MN|RESET|[A-Z]*_?ERROR[^\r]*)\r\n$"):
    stream.sendall(line + b"\r\n")
    answer = b""
    while not re.search(last, answer):
        part = stream.recv(1 << 16)
        assert part, f"{line}: closed after {answer}"
        answer += part
    return answer


def test_what_changes_the_server_is_taken_at_the_control_socket_alone():
    with Snugd() as snugd, snugd.at_port() as port, snugd.at_control() as control:
        for words in CHANGING:
            assert ask(port, b"snug " + words) == snugd.refusal, words
            assert ask(control, b"snug " + words) != snugd.refusal, words
        assert ask(port, b"verbosity 1") == snugd.refusal and ask(control, b"verbosity 1") == b"OK\r\n"
        assert ask(port, b"cache_memlimit 8") == snugd.refusal and ask(control, b"cache_memlimit 8") == b"OK\r\n"
        assert ask(port, b"shutdown") == snugd.no_shutdown and ask(port, b"shutdown graceful") == snugd.no_shutdown
        for words in TELLING:
            assert b"ERROR" not in ask(port, b"snug " + words) + ask(control, b"snug " + words), words
        assert ask(port, b"set k 0 0 1\r\nv", rb"STORED") and ask(port, b"get k") == b"VALUE k 0 1\r\nv\r\nEND\r\n"
        assert b"limit_goal_bytes 8388608" in ask(control, b"snug limit"), "what was set"
        assert ask(control, b"shutdown nonsense") == b"CLIENT_ERROR invalid shutdown mode\r\n"
        control.sendall(b"shutdown\r\n")
        assert snugd.ends()
        assert control.recv(1) == b""
        assert os.listdir(snugd.runtime) == []


def test_a_limit_that_the_workers_alone_would_use_up_is_refused():
    with Snugd("-m", "64") as snugd, snugd.at_port() as port, snugd.at_control() as control:
        assert ask(port, b"set k 0 0 1\r\nv", rb"STORED")
        assert ask(control, b"snug limit 600k").startswith(b"CLIENT_ERROR at least ")
        told = ask(control, b"cache_memlimit 1", rb"\r\n$")
        least = int(re.fullmatch(rb"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than (\d+)m\r\n", told)[1])
        assert ask(control, b"cache_memlimit %d" % least) == b"OK\r\n"
        wait_until(lambda: b" limit_bytes %d\r\n" % (least << 20) in ask(control, b"snug limit"))
        assert ask(port, b"get k") == b"VALUE k 0 1\r\nv\r\nEND\r\n" and ask(port, b"set k 0 0 1\r\nw", rb"STORED|ERROR") == b"STORED\r\n"


def test_a_reload_asks_the_same_of_a_limit():
    with tempfile.NamedTemporaryFile("w", prefix="snug-door-") as config:

        def write(limit):
            config.seek(0)
            config.truncate()
            config.write(f"memory-limit = {limit}\n")
            config.flush()

        def reload(limit):
            write(limit)
            snugd.process.send_signal(signal.SIGHUP)
            return list(iter(snugd.process.stderr.readline, "snugd: reload: done\n"))

        write("64")
        with Snugd("--config", config.name, memory=()) as snugd, snugd.at_port() as port, snugd.at_control() as control:
            assert ask(port, b"set k 0 0 1\r\nv", rb"STORED")
            least = int(re.match(rb"CLIENT_ERROR at least (\d+) bytes", ask(control, b"snug limit 600k"))[1])
            assert least > 600 << 10
            said = reload("600k")
            assert said == [f"snugd: warning: reload: memory-limit: 600k needs a restart; still 64m: less than the {least} bytes that its workers need\n"], said
            assert b" limit_goal_bytes 67108864\r\n" in ask(control, b"snug limit") and ask(port, b"get k") == b"VALUE k 0 1\r\nv\r\nEND\r\n"
            assert "needs a restart" in "".join(reload(f"{least - 1}b")) and "restart" not in "".join(reload(f"{least}b"))
            wait_until(lambda: b" limit_bytes %d\r\n" % least in ask(control, b"snug limit"))
            assert ask(port, b"set k 0 0 1\r\nw", rb"STORED|ERROR") == b"STORED\r\n"


def test_options_that_open_and_close_it():
    with Snugd("--open-commands") as snugd, snugd.at_port() as port:
        assert all(ask(port, b"snug " + words) != snugd.refusal for words in CHANGING) and ask(port, b"verbosity 0") == b"OK\r\n"
        assert ask(port, b"shutdown") == snugd.no_shutdown
    with Snugd("--control-only") as snugd, snugd.at_port() as port, snugd.at_control() as control:
        assert all(ask(port, b"snug " + words) == snugd.refusal for words in CHANGING + TELLING)
        assert all(ask(control, b"snug " + words) != snugd.refusal for words in TELLING)
        assert ask(port, b"stats").endswith(b"END\r\n")
    for words in (b"shutdown", b"shutdown graceful"):
        with Snugd("-A") as snugd, snugd.at_port() as port:
            assert ask(port, b"verbosity 1") == snugd.refusal
            assert ask(port, b"shutdown now") == b"CLIENT_ERROR invalid shutdown mode\r\n"
            port.sendall(words + b"\r\n")
            assert snugd.ends()


def test_it_serves_no_items_and_stays_in_step():
    """The value of a command that is refused is no command."""
    with Snugd() as snugd, snugd.at_control() as control:
        refusal = b"CLIENT_ERROR the control socket serves no items\r\n"
        control.sendall(b"get a b c\r\nset k 0 0 11\r\nflush_all 9\r\nmg k v\r\nset k 0 0 3 noreply\r\nabc\r\nset k 0 0 99999999\r\n")
        control.sendall(b"x" * 99999999 + b"\r\nmn\r\n")
        answer = b""
        while not answer.endswith(b"MN\r\n"):
            answer += control.recv(4096)
        assert answer == 3 * refusal + b"SERVER_ERROR object too large for cache\r\nMN\r\n", answer
        control.sendall(b"x" * 2050)
        assert b"".join(iter(lambda: control.recv(100), b"")) == b"CLIENT_ERROR line too long\r\n"


def test_flush_all_and_statistics():
    with Snugd() as snugd, snugd.at_port() as port, snugd.at_control() as control:
        ask(port, b"set k 0 0 1\r\nv", rb"STORED")
        assert b"STAT curr_connections 1\r\n" in ask(control, b"stats"), "those of clients"
        assert f"STAT control_socket {snugd.control}\r\n".encode() in ask(port, b"stats settings")
        assert ask(control, b"flush_all") == b"OK\r\n" and ask(port, b"get k") == b"END\r\n"
        assert ask(control, b"flush_all noreply\r\nmn") == b"MN\r\n"


def test_it_opens_when_the_connections_are_used_up():
    with Snugd("-c", "3") as snugd, contextlib.ExitStack() as held:
        for _ in range(3):
            stream = held.enter_context(snugd.at_port())
            ask(stream, b"mn")
        with snugd.at_port() as one_more:
            assert b"Too many" in one_more.recv(100)
        with snugd.at_control() as control:
            assert b"STAT rejected_connections 1\r\n" in ask(control, b"stats")
            assert b"result ok" in ask(control, b"snug defrag")
        assert "MiB" in snugd.ctl("-p", str(snugd.port), "limit").stdout


def test_it_opens_when_memory_is_short():
    """No item may go (-M), and there is no room for one more."""
    with Snugd("-M", "-m", "1") as snugd, snugd.at_port() as port:
        for i in range(100):
            port.sendall(b"".join(b"set k%d 0 0 1000 noreply\r\n%s\r\n" % (j, b"x" * 1000) for j in range(i * 100, i * 100 + 100)))
        ask(port, b"mn")
        assert b"ERROR" in ask(port, b"set more 0 0 5000\r\n" + b"x" * 5000, rb"ERROR[^\r]*\r\n$|STORED\r\n$")
        with contextlib.ExitStack() as held:
            for _ in range(4):
                control = held.enter_context(snugd.at_control())
                for words in (b"stats", b"snug metrics", b"snug map", b"snug check", b"snug limit 2m"):
                    answer = ask(control, words)
                    assert answer.endswith(b"END\r\n") or b"memory-max" in answer, (words, answer)


def test_it_answers_beside_busy_workers():
    with Snugd() as snugd:
        is_over = threading.Event()

        def load():
            with snugd.at_port() as stream:
                while not is_over.is_set():
                    stream.sendall(b"set busy 0 0 1 noreply\r\nx\r\n" * 5000)

        clients = [threading.Thread(target=load) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            with snugd.at_control() as control:
                for words in (b"stats", b"snug metrics", b"snug estimate", b"snug limit 12m"):
                    with Soon(5, words):
                        assert ask(control, words).endswith(b"END\r\n"), words
        finally:
            is_over.set()
            for client in clients:
                client.join()


def assert_it_names_the_worker_when_many_wait(snugd, worker):
    """Sixteen requests may wait for a worker. Those that come then are refused, with its number; what needs no worker is done."""
    refused = re.compile(b"SERVER_ERROR worker %s does not answer" % worker.encode())

    def wait_for_it():
        with snugd.at_control() as control:
            for _ in range(3):
                assert refused.match(ask(control, b"snug metrics"))

    waiting = [threading.Thread(target=wait_for_it) for _ in range(7)]
    for one in waiting:
        one.start()
    for one in waiting:
        one.join()
    with snugd.at_control() as control:
        with Soon(2, "a refusal"):
            answer = ask(control, b"snug metrics")
        assert refused.match(answer) and b"wait already" in answer, answer
        assert ask(control, b"verbosity 0") == b"OK\r\n"


def test_it_names_a_worker_that_is_stalled():
    """Also the first one, which served the control socket once."""
    for worker in ("0", "1"):
        with Snugd() as snugd:
            with snugd.at_port() as port:
                is_over = threading.Event()

                def load(port=port, is_over=is_over):
                    with contextlib.suppress(OSError):
                        while not is_over.is_set():
                            port.sendall(b"".join(b"set k%d 0 0 1 noreply\r\nx\r\n" % i for i in range(64)))
                            time.sleep(0.001)

                client = threading.Thread(target=load)
                client.start()
                time.sleep(0.2)
                with stopped(snugd.process.pid, f"snugd-{worker}"), snugd.at_control() as control:
                    # What needs no worker is there at once.
                    with Soon(2, "what needs no worker"):
                        assert b"STAT control_socket " in ask(control, b"stats settings")
                        assert ask(control, b"verbosity 0") == b"OK\r\n"
                    answer = ask(control, b"snug metrics")
                    assert b"SERVER_ERROR worker " + worker.encode() in answer, answer
                    answer = ask(control, b"snug defrag")
                    assert b"SERVER_ERROR worker " + worker.encode() in answer, answer
                    is_over.set()
                    if worker == "1":
                        assert_it_names_the_worker_when_many_wait(snugd, worker)
                with snugd.at_control() as control:
                    until = time.monotonic() + HANG_S
                    while b"ERROR" in ask(control, b"snug metrics"):
                        assert time.monotonic() < until
                client.join()


def test_who_is_idle_makes_room():
    """There are eight places: the ninth gets that of whoever has been idle longest; one who is at work stays."""
    with Snugd() as snugd, contextlib.ExitStack() as held:
        streams = [held.enter_context(snugd.at_control()) for _ in range(8)]
        for stream in reversed(streams):
            ask(stream, b"mn")
            time.sleep(0.01)  # an answer comes a moment before its place is idle again
        streams += [held.enter_context(snugd.at_control()) for _ in range(3)]
        for stream in streams[8:]:
            ask(stream, b"mn")
            time.sleep(0.01)
        assert [stream.recv(1) for stream in streams[5:8]] == [b""] * 3
        for stream in streams[:5] + streams[8:]:
            ask(stream, b"mn")
        for _ in range(100):
            with snugd.at_control() as stream:
                ask(stream, b"mn")


def assert_second_goes_without(snugd):
    """One more at the same port of another address, which anybody else may have just now."""
    other = Snugd("-l", f"127.0.0.2:{snugd.port}", place=("-p", "-1"), runtime=snugd.runtime)
    try:
        other.__enter__()
    except AssertionError as error:
        assert re.search("Address (already )?in use", str(error)), error
        return
    try:
        assert any("no control socket" in line and "another process listens there" in line for line in other.said), other.said
        with socket.create_connection(("127.0.0.2", snugd.port), timeout=HANG_S) as port:
            assert b"STAT control_socket none\r\n" in ask(port, b"stats settings")
    finally:
        other.__exit__()
    with snugd.at_control() as control:
        ask(control, b"mn")


def test_where_it_is_by_default():
    with Snugd("-v") as snugd:
        status = os.lstat(snugd.control)
        assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600
        assert f"snugd: control socket: {snugd.control}" in snugd.said, snugd.said
        assert snugd.control not in snugd.said[-1], "it was not asked for"
        assert_second_goes_without(snugd)
    with Snugd("--control", "none") as snugd:
        assert os.listdir(snugd.runtime) == []
        snugd.ctl("-p", str(snugd.port), "estimate")
        assert "control socket" in snugd.ctl("-p", str(snugd.port), "defrag", status=REFUSED).stderr


def test_what_cannot_be_used_is_said():
    with tempfile.TemporaryDirectory(prefix="snug-door-") as directory, Snugd(runtime=directory + "/none") as snugd:
        if os.geteuid() == 0:
            path = f"/run/snugd-{snugd.port}.sock"
        else:
            path = f"/tmp/snugd-{os.geteuid()}/snugd-{snugd.port}.sock"
        assert os.path.exists(path), "the next place"
        snugd.ctl("-p", str(snugd.port), "check")
        snugd.process.terminate()
        assert snugd.ends() and not os.path.exists(path)
    with tempfile.TemporaryDirectory(prefix="snug-door-") as directory:
        path = os.path.join(directory, "x" * (104 - len(directory)))
        with Snugd(place=("-s", path)) as snugd:
            assert any("too long for a socket" in line for line in snugd.said), snugd.said
            with snugd.at_control(path) as client:
                assert ask(client, b"mn") == b"MN\r\n" and ask(client, b"snug check").endswith(b"; there is no control socket\r\n")


def test_a_group_may_be_let_in():
    group = grp.getgrgid(os.getegid() if os.geteuid() != 0 else max(entry.gr_gid for entry in grp.getgrall() if entry.gr_gid < 60000))
    with Snugd("--control-group", group.gr_name) as snugd:
        status = os.lstat(snugd.control)
        assert stat.S_IMODE(status.st_mode) == 0o660 and status.st_gid == group.gr_gid, status
        if os.geteuid() == 0:
            os.chmod(snugd.runtime, 0o755)
            for groups, said in ((["--groups", str(group.gr_gid)], b"MN"), (["--clear-groups"], b"Permission denied")):
                script = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({snugd.control!r}); s.send(b'mn\\r\\n'); print(s.recv(9))"
                done = subprocess.run(["setpriv", "--reuid", "nobody", "--regid", "nogroup", *groups, sys.executable, "-c", script], capture_output=True)
                assert said in done.stdout + done.stderr, (groups, done)
    refused = subprocess.run([PROGRAM, "-p", "-1", "-u", USER, "--control-group", "no-such-group"], capture_output=True, timeout=HANG_S)
    assert refused.returncode == 71 and b"there is no group 'no-such-group'" in refused.stderr, refused


def test_snugctl_finds_it():
    with Snugd() as snugd:
        for words in (["-p", str(snugd.port)], ["-s", f"127.0.0.1:{snugd.port}"], ["-s", f"localhost:{snugd.port}"], ["-s", snugd.control]):
            assert "result" in snugd.ctl(*words, "defrag").stdout
        # Whose environment leads elsewhere asks the server.
        snugd.runtime, kept = "/none", snugd.runtime
        assert "result" in snugd.ctl("-p", str(snugd.port), "defrag").stdout
        snugd.runtime = kept
        assert snugd.ctl("-p", str(snugd.port), "verbosity", "0").stdout == "OK\n"
        snugd.ctl("-p", str(snugd.port), "shutdown")
        assert snugd.ends()
        snugd.ctl("-p", str(snugd.port), "shutdown", status=UNREACHABLE)
    with tempfile.TemporaryDirectory(prefix="snug-door-") as directory:
        path = os.path.join(directory, "socket")
        with Snugd(place=("-s", path)) as snugd:
            assert sorted(os.listdir(directory)) == ["socket", "socket.control"]
            assert "result" in snugd.ctl("-s", path, "defrag").stdout
            snugd.ctl("-s", path, "shutdown")
            assert snugd.ends() and os.listdir(directory) == []
        # Somewhere, beside a port.
        with Snugd("-s", path, "--control", os.path.join(directory, "door")) as snugd:
            assert "result" in snugd.ctl("-s", path, "defrag").stdout
            assert "result" in snugd.ctl("-p", str(snugd.port), "defrag").stdout
    for wrong in ("0", "x", "65536", "-1"):
        assert subprocess.run([SNUGCTL, "-p", wrong, "limit"], capture_output=True).returncode == USAGE


def test_it_ends_with_the_server_whoever_is_connected():
    with Snugd() as snugd, contextlib.ExitStack() as held:
        streams = [held.enter_context(snugd.at_control()) for _ in range(8)]
        streams[0].sendall(b"snug def")
        streams[1].sendall(b"snug schedule every 1h\r\nsnug defrag\r\n" * 200)
        snugd.process.send_signal(signal.SIGTERM)
        assert snugd.ends()
        assert os.listdir(snugd.runtime) == []


def test_the_end_waits_for_one_command_and_not_for_all_that_were_sent():
    """A million items take a while to check, and that a thousand times: only the one that is under way is waited for."""
    with Snugd("-m", "128") as snugd, snugd.at_port() as port, snugd.at_control() as control:
        for first in range(0, 1_000_000, 1000):
            port.sendall(b"".join(b"set k%d 0 0 1 noreply\r\nx\r\n" % number for number in range(first, first + 1000)))
        ask(port, b"mn")
        control.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            control.send(b"snug check\r\n" * 1000)
        time.sleep(0.2)
        with Soon(5, "the end"):
            snugd.process.terminate()
            assert snugd.ends()


sys.exit(run_tests(globals()))
