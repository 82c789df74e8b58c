#!/usr/bin/env python3
"""Tests of snugd as a process: how it starts, says that it is ready, ends by signals, goes to the background, and refuses.

    test_snugd_process.py PROGRAM SOURCE_ROOT

Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import Skipped, needs_http, run_tests
from foreground import Foreground
from waits import HANG_S, wait_until

PROGRAM = sys.argv[1]
ROOT = pathlib.Path(sys.argv[2])
USER = pwd.getpwuid(os.geteuid()).pw_name

EX_USAGE = 64
EX_OSERR = 71


def run(*arguments, status=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done


class Snugd(Foreground):
    """One that runs in the foreground, until the end of `with`."""

    def __init__(self, *arguments, command=None, user=USER):
        as_user = ["-u", user] if user else []
        super().__init__([*(command or [PROGRAM, "-p", "-1"]), *as_user, *arguments], stdout=subprocess.PIPE)

    def end(self, number=signal.SIGTERM, status=0):
        self.process.send_signal(number)
        self.said += self.process.stderr.read().splitlines()
        assert self.process.wait(HANG_S) == status, (self.process.returncode, self.said)


def answers(address, family=socket.AF_INET):
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as client:
        client.settimeout(HANG_S)
        try:
            client.connect(address)
        except OSError:
            return False
        client.sendall(b"version\r\n")
        return client.recv(100).startswith(b"VERSION ")


def is_alive(pid):
    """A zombie is not, whoever does not reap it."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_says_where_it_listens_and_serves():
    with Snugd("-t", "2", "-m", "32") as snugd:
        version = run("--version").stdout.split()[1]
        assert re.fullmatch(rf"snugd {re.escape(version)}: listening on 127\.0\.0\.1:\d+, 2 workers, 32 MiB, \w+",
                            snugd.ready), snugd.ready  # fmt: skip
        assert snugd.said == [snugd.ready], snugd.said
        for _ in range(8):
            assert answers(("127.0.0.1", snugd.port))
        snugd.end()


def test_each_signal_ends_it_in_order():
    for number in (signal.SIGINT, signal.SIGTERM):
        with Snugd("-v", "-t", "1") as snugd:
            port = snugd.port
            snugd.end(number)
            assert snugd.said[-1] == "snugd: stopped", snugd.said
            assert not answers(("127.0.0.1", port))


def test_the_same_signal_twice_is_one():
    with Snugd("-t", "1") as snugd:
        snugd.process.send_signal(signal.SIGINT)
        snugd.end(signal.SIGTERM)


def test_other_signals_do_no_harm():
    with Snugd("-v", "-t", "1") as snugd:
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE):
            snugd.process.send_signal(number)
        wait_until(lambda: "reload: done" in snugd.process.stderr.readline())
        assert answers(("127.0.0.1", snugd.port))
        snugd.end()


def test_signals_that_a_shell_ignores_in_its_background():
    """As in `snugd &` in a script: SIGINT is ignored from birth."""
    command = ["sh", "-c", "trap '' INT HUP; exec \"$@\"", "sh", PROGRAM, "-p", "-1"]
    with Snugd("-t", "1", command=command) as snugd:
        snugd.end(signal.SIGINT)


def test_sockets_and_pid_file_come_and_go():
    with tempfile.TemporaryDirectory() as directory:
        path, control, pid = (os.path.join(directory, name) for name in ("socket", "control", "pid"))
        with Snugd("-s", path, "-a", "770", "--control", control, "-P", pid, command=[PROGRAM]) as snugd:
            assert f"listening on {path} and {control}," in snugd.ready, snugd.ready
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o770
            assert stat.S_IMODE(os.stat(control).st_mode) == 0o600
            assert answers(path, socket.AF_UNIX) and answers(control, socket.AF_UNIX)
            assert int(pathlib.Path(pid).read_text()) == snugd.process.pid
            refused = run("-p", "-1", "-P", pid, "-u", USER, status=EX_OSERR)
            assert f"in use by process {snugd.process.pid}" in refused.stderr, refused.stderr
            refused = run("-s", path, "-u", USER, status=EX_OSERR)
            assert "another process listens there" in refused.stderr, refused.stderr
            assert answers(path, socket.AF_UNIX)
            snugd.end()
        assert os.listdir(directory) == [], os.listdir(directory)


def test_a_long_pipeline_with_little_memory():
    """Commands for other workers take records, and what waits takes buffers: more than there is, so it has to wait, and the client loses nothing."""
    lines = b"".join(b"set k%d 0 0 200 noreply\r\n%s\r\n" % (i, b"v" * 200) for i in range(4000)) + b"mn\r\n"
    for threads, mib in (("4", "8"), ("2", "4"), ("16", "32")):
        with Snugd("-t", threads, "-m", mib) as snugd:
            with socket.create_connection(("127.0.0.1", snugd.port), timeout=HANG_S) as stream:
                stream.sendall(lines)
                assert stream.recv(100) == b"MN\r\n", (threads, mib)
            snugd.end()


def test_starts_over_what_a_crash_left():
    with tempfile.TemporaryDirectory() as directory:
        path, pid = (os.path.join(directory, name) for name in ("socket", "pid"))
        with Snugd("-s", path, "-P", pid, command=[PROGRAM]) as snugd:
            snugd.end(signal.SIGKILL, status=-signal.SIGKILL)
        assert sorted(os.listdir(directory)) == ["pid", "socket", "socket.control"]
        with Snugd("-s", path, "-P", pid, command=[PROGRAM]) as snugd:
            assert answers(path, socket.AF_UNIX)
            snugd.end()
        assert os.listdir(directory) == []
    with Snugd() as snugd:
        port = snugd.port
        snugd.end(signal.SIGKILL, status=-signal.SIGKILL)
    with Snugd("-p", str(port)) as snugd:
        assert snugd.port == port
        snugd.end()


def test_a_port_in_use_is_told():
    with Snugd("-t", "2") as snugd:
        refused = run("-p", str(snugd.port), "-u", USER, status=EX_OSERR)
        assert re.fullmatch(rf"snugd: 127\.0\.0\.1:{snugd.port}: cannot listen: Address (already )?in use\n", refused.stderr), refused.stderr
        snugd.end()


def daemon_pid(path):
    return int(pathlib.Path(path).read_text())


def test_the_daemon_serves_when_its_parent_returns():
    with tempfile.TemporaryDirectory() as directory:
        path, pid_path = (os.path.join(directory, name) for name in ("socket", "pid"))
        done = run("-d", "-s", path, "-P", pid_path, "-u", USER)
        pid = daemon_pid(pid_path)
        try:
            assert "listening on" in done.stderr, done.stderr
            assert answers(path, socket.AF_UNIX)
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            assert int(fields[3]) != pid and int(fields[3]) != os.getsid(0), "neither leader of a session nor in ours"
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
            assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
            refused = run("-d", "-p", "-1", "-P", pid_path, "-u", USER, status=EX_OSERR)
            assert "in use by process" in refused.stderr, refused.stderr
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_alive(pid))
        assert os.listdir(directory) == []


def test_closed_standard_descriptors_do_no_harm():
    """A socket must not become descriptor 0, which the daemon then points to nowhere."""
    with tempfile.TemporaryDirectory() as directory:
        path, pid_path = (os.path.join(directory, name) for name in ("socket", "pid"))
        command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", PROGRAM, "-d", "-s", path, "-P", pid_path, "-u", USER]
        done = subprocess.run(command, timeout=HANG_S, check=False)
        pid = daemon_pid(pid_path)
        try:
            assert done.returncode == 0, done.returncode
            assert answers(path, socket.AF_UNIX)
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_alive(pid))


def test_root_becomes_nobody():
    if os.geteuid() != 0:
        return
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        pid_path = os.path.join(directory, "pid")
        # With the right to dump, which the change of user takes: leak detection at the end needs it.
        with Snugd("-v", "-r", "-P", pid_path, user=None) as snugd:
            nobody = pwd.getpwnam("nobody")
            status = pathlib.Path(f"/proc/{snugd.process.pid}/status").read_text()
            assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}" in status, status
            assert f"Gid:\t{nobody.pw_gid}\t{nobody.pw_gid}\t{nobody.pw_gid}" in status, status
            assert "snugd: running as nobody" in snugd.said, snugd.said
            snugd.end()
        # Not nobody's to remove; but empty.
        assert pathlib.Path(pid_path).read_text() == ""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path = os.path.join(directory, "socket")
        with Snugd("-r", "-s", path, command=[PROGRAM], user="nobody") as snugd:
            assert os.stat(path).st_uid == nobody.pw_uid
            snugd.end()


def test_only_root_becomes_somebody_else():
    if os.geteuid() != 0:
        assert "only root" in run("-p", "-1", "-u", "root", status=EX_OSERR).stderr
    assert "no user 'no-such-user'" in run("-p", "-1", "-u", "no-such-user", status=EX_OSERR).stderr


def test_json_lines():
    with Snugd("-v", "--log-format", "json", "-o", "modern") as snugd:
        snugd.end()
    lines = [json.loads(line) for line in snugd.said]
    assert any("listening on" in line["message"] for line in lines), lines
    assert lines[-1]["message"] == "stopped" and lines[-1]["level"] == "info", lines
    assert any(line["message"].startswith("-o modern has no effect") for line in lines), lines
    failed = json.loads(run("--log-format=json", "-l", "192.0.2.1", status=EX_OSERR).stderr)
    assert failed["level"] == "error" and "192.0.2.1" in failed["message"], failed


def test_too_many_connections_for_the_system():
    limited = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", PROGRAM]
    done = subprocess.run([*limited, "-p", "-1", "-u", USER, "-c", "100000000"], capture_output=True, text=True, check=False)
    assert done.returncode == EX_USAGE
    if os.geteuid() == 0:
        return  # may raise the limit
    done = subprocess.run([*limited, "-p", "-1", "-c", "1000"], capture_output=True, text=True, check=False)
    assert done.returncode == EX_OSERR and "ulimit -Hn" in done.stderr, done.stderr


def test_help_version_manual_and_bad_options():
    assert run("--help").stdout.startswith("snugd: a cache")
    assert re.fullmatch(r"snugd \d+\.\d+\.\d+\n", run("-V").stdout)
    assert ".SH OPTIONS" in run("--man").stdout
    for arguments in (["--nonsense"], ["-p", "x"], ["-S"], ["-t"], ["word"], ["-U", "11211"], ["--config", "/nowhere"]):
        done = run(*arguments, status=EX_USAGE)
        assert done.stdout == "" and re.fullmatch(r"snugd: .+\nTry: snugd --help\n", done.stderr), done.stderr


def test_port_0_is_no_tcp():
    with tempfile.TemporaryDirectory() as directory:
        path, ports = os.path.join(directory, "socket"), os.path.join(directory, "ports")
        os.environ["MEMCACHED_PORT_FILENAME"] = ports
        try:
            with Snugd("-s", path, "-p", "0", command=[PROGRAM]) as snugd:
                assert f"listening on {path}, " in snugd.ready, snugd.ready
                assert answers(path, socket.AF_UNIX)
                snugd.end()
        finally:
            del os.environ["MEMCACHED_PORT_FILENAME"]
        assert os.listdir(directory) == []


def test_port_0_without_a_socket_is_as_memcached_has_it():
    with tempfile.TemporaryDirectory() as directory:
        ports = pathlib.Path(directory, "ports")
        os.environ["MEMCACHED_PORT_FILENAME"] = str(ports)
        try:
            with Snugd("-v", "-p", "0", command=[PROGRAM]) as snugd:
                assert "snugd: --port: 0 is no TCP, and there is no unix socket (-s): nobody can connect" in snugd.said
                assert ports.read_text() == ""
                snugd.end()
        finally:
            del os.environ["MEMCACHED_PORT_FILENAME"]


def has_rings():
    """Not every kernel, and not every sandbox, lets us."""
    with Snugd("-m", "64", "-t", "1") as snugd:
        snugd.end()
        return snugd.ready.endswith("io_uring")


def test_a_quarter_of_a_mebibyte_is_enough_for_a_worker():
    """As --help says; the ring of io_uring and its buffers are in it."""
    for form in ("uring", "epoll"):
        if form == "uring" and not has_rings():
            continue
        with Snugd("-m", "1", "-t", "4", "--io", form) as snugd:
            with socket.create_connection(("127.0.0.1", snugd.port), timeout=HANG_S) as client:
                for number in range(40):
                    client.sendall(b"set key%d 0 0 100\r\n%s\r\nget key%d\r\n" % (number, b"v" * 100, number))
                    answer = b""
                    while not answer.endswith(b"END\r\n"):
                        answer += client.recv(4096)
                    assert answer == b"STORED\r\nVALUE key%d 0 100\r\n%s\r\nEND\r\n" % (number, b"v" * 100), (form, number, answer)
            snugd.end()


# With stacks of 2 MiB: how many there are at once follows from when the threads of the start end, and from the processors.
NARROW = ["prlimit", f"--as={256 << 20}", f"--stack={2 << 20}", PROGRAM]


def is_sanitized():
    return subprocess.run([*NARROW, "--version"], capture_output=True, check=False).returncode != 0


def test_addresses_of_twice_the_limit():
    """From 128 MiB on: below that the stacks of the threads are more than the limit."""
    if is_sanitized():
        raise Skipped("a sanitizer needs more addresses")
    with Snugd("-m", "128", "-t", "2", command=[*NARROW, "-p", "-1"]) as snugd:
        with socket.create_connection(("127.0.0.1", snugd.port), HANG_S) as client:
            value = b"v" * 1000
            for _ in range(200):
                client.sendall(b"".join(b"set k%d 0 0 1000 noreply\r\n%s\r\n" % (n, value) for n in range(1000)))
            client.sendall(b"get k999\r\n")
            assert client.makefile("rb").readline() == b"VALUE k999 0 1000\r\n"
        snugd.end()


def locked_kib(pid):
    return int(re.search(r"VmLck:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))


def test_locked_memory():
    with Snugd("-k", "-m", "32", "-t", "2") as snugd:
        if locked_kib(snugd.process.pid) == 0:
            snugd.end()
            # A sanitizer's mlockall does nothing, and says that it did.
            assert is_sanitized() or any("-k: " in line for line in snugd.said), snugd.said
            raise Skipped("the system lets us lock nothing")
        resident = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{snugd.process.pid}/status").read_text())
        assert int(resident.group(1)) < 32 << 10, "what is reserved is resident"
        assert answers(("127.0.0.1", snugd.port))
        snugd.end()


def test_a_start_that_fails_writes_no_ports_file():
    """Who waits for the file would find nobody at that port."""
    needs_http()
    with tempfile.TemporaryDirectory() as directory:
        os.environ["MEMCACHED_PORT_FILENAME"] = os.path.join(directory, "ports")
        try:
            # It listens already when it looks for the token.
            run("-u", USER, "-l", "127.0.0.1", "-p", "-1", "--http", "127.0.0.1:0", "--http-token-file", "/dev/null", status=EX_USAGE)
        finally:
            del os.environ["MEMCACHED_PORT_FILENAME"]
        assert os.listdir(directory) == []


def test_the_ports_file_says_which_port_it_is():
    with tempfile.TemporaryDirectory() as directory:
        ports = pathlib.Path(directory, "ports")
        beside = pathlib.Path(directory, "ports.lck")
        beside.symlink_to("/dev/full")  # never followed
        os.environ["MEMCACHED_PORT_FILENAME"] = str(ports)
        try:
            with Snugd("-t", "2") as snugd:
                assert ports.read_text() == f"TCP INET: {snugd.port}\n", ports.read_text()
                assert os.listdir(directory) == ["ports"]
                snugd.end()
            os.environ["MEMCACHED_PORT_FILENAME"] = os.path.join(directory, "nowhere", "ports")
            with Snugd("-t", "1") as snugd:
                assert any("MEMCACHED_PORT_FILENAME: " in line for line in snugd.said), snugd.said
                assert answers(("127.0.0.1", snugd.port))
                snugd.end()
        finally:
            del os.environ["MEMCACHED_PORT_FILENAME"]


def test_a_peer_s_path_ends_no_line():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "socket")
        with Snugd("-s", path, "-t", "1", command=[PROGRAM]) as snugd, socket.socket(socket.AF_UNIX) as peer:
            peer.bind(os.path.join(directory, "a\r\nEND\r\n\x1b b"))
            peer.connect(path)
            peer.settimeout(HANG_S)
            peer.sendall(b"stats conns\r\nmn\r\n")
            answer = b""
            while not answer.endswith(b"MN\r\n"):
                answer += peer.recv(65536)
            assert answer.count(b"END\r\n") == 1, answer
            assert f":addr unix:{directory}/a??END????b\r\n".encode() in answer, answer
            snugd.end()


def test_config_file():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(f"# of the test\nport = -1\nthreads = 1\nmemory-limit = 16\nuser = {USER}\n")
        file.flush()
        with Snugd("--config", file.name, command=[PROGRAM], user=None) as snugd:
            assert "1 worker, 16 MiB" in snugd.ready, snugd.ready
            snugd.end()


def test_what_make_run_does():
    """Without a terminal, as everything here."""
    needs_http()
    command = [str(ROOT / "tools" / "run-server.sh"), os.path.dirname(PROGRAM)]
    with Snugd(command=command) as snugd:
        assert answers(("127.0.0.1", snugd.port))
        snugd.process.send_signal(signal.SIGINT)
        told = snugd.process.stdout.read()
        assert f"nc 127.0.0.1 {snugd.port}" in told and f"/dev/tcp/127.0.0.1/{snugd.port}" in told, told
        snugd.end(signal.SIGINT)


@contextlib.contextmanager
def told_socket(name):
    """A datagram socket by which systemd is told."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as told:
        told.settimeout(HANG_S)
        told.bind(name)
        yield told


def test_tells_systemd_that_it_is_ready():
    with tempfile.TemporaryDirectory() as directory:
        for name in (os.path.join(directory, "notify"), f"\0snug-test-{os.getpid()}"):
            with told_socket(name) as told:
                command = ["env", "NOTIFY_SOCKET=" + name.replace("\0", "@"), PROGRAM, "-p", "-1"]
                with Snugd("-t", "1", command=command) as snugd:
                    assert told.recv(100) == b"READY=1"
                    assert answers(("127.0.0.1", snugd.port))
                    snugd.end()
                    assert told.recv(100) == b"STOPPING=1"
    for name in ("", "relative", "/" + 200 * "x", "/nowhere/at/all"):
        with Snugd("-t", "1", command=["env", "NOTIFY_SOCKET=" + name, PROGRAM, "-p", "-1"]) as snugd:
            snugd.end()


def activated(listening, *arguments, pid="$$", count=None):
    """As systemd starts it: the sockets from descriptor 3 on, and two variables that say so."""
    moves = " ".join(f"{3 + i}<&{each.fileno()}" for i, each in enumerate(listening))
    script = f'exec {moves}; export LISTEN_PID={pid} LISTEN_FDS={len(listening) if count is None else count}; exec "$@"'
    command = ["bash", "-c", script, "bash", PROGRAM]
    return Foreground([*command, "-u", USER, *arguments], stdout=subprocess.PIPE, pass_fds=[each.fileno() for each in listening])


def high(listening):
    """The same socket by a descriptor that is not among the first."""
    return socket.socket(fileno=fcntl.fcntl(listening.detach(), fcntl.F_DUPFD_CLOEXEC, 50))


def test_takes_systemd_s_sockets_and_leaves_them_open():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "socket")
        tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
        unix.bind(path)
        unix.listen()
        with contextlib.closing(high(tcp)) as tcp, contextlib.closing(high(unix)) as unix:
            address = tcp.getsockname()
            for _ in range(3):
                # Who comes while nobody is there waits, and is served.
                early = socket.create_connection(address)
                early.settimeout(HANG_S)
                early.sendall(b"version\r\n")
                with activated([tcp, unix], "-t", "2") as snugd, contextlib.closing(early):
                    assert snugd.port == address[1] and path in snugd.ready, snugd.ready
                    assert early.recv(100).startswith(b"VERSION ")
                    for _ in range(4):
                        assert answers(address) and answers(path, socket.AF_UNIX)
                    snugd.process.send_signal(signal.SIGTERM)
                    assert snugd.process.wait(HANG_S) == 0
                assert os.path.exists(path)
            # Of another process, or too many: as if there were none.
            with activated([tcp], "-p", "-1", pid="1") as snugd:
                assert snugd.port not in (None, address[1])
            with activated([tcp], "-p", "-1", count=1000000) as snugd:
                assert snugd.port not in (None, address[1])


def test_warns_of_systemd_s_sockets_that_are_open():
    for host, is_open in (("0.0.0.0", True), ("127.0.0.1", False)):
        with contextlib.closing(high(socket.create_server((host, 0)))) as tcp, activated([tcp], "-t", "1") as snugd:
            assert ("can be reached from elsewhere" in "\n".join(snugd.said)) == is_open, snugd.said


def test_refuses_what_is_no_listening_socket():
    with contextlib.closing(high(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))) as wrong:
        snugd = activated([wrong])
        assert "is no stream socket that listens" in snugd.process.communicate(timeout=HANG_S)[1]
        assert snugd.process.returncode == EX_OSERR


sys.exit(run_tests(globals()))
