#!/usr/bin/env python3
"""snugd with a memory file: what it held is there for the next one, or is gone and said so.

    test_memory_file.py PROGRAM

Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import contextlib
import ctypes
import os
import pathlib
import pwd
import random
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import Skipped, run_tests
from foreground import Asked
from waits import HANG_S, wait_until

PROGRAM = sys.argv[1]
USER = pwd.getpwuid(os.geteuid()).pw_name
EX_OSERR = 71


@contextlib.contextmanager
def memory_directory():
    if not os.path.isdir("/dev/shm"):
        raise Skipped("there is no /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield directory


class Snugd(Asked):
    """One that runs in the foreground, until the end of `with`."""

    def __init__(self, path, *arguments):
        control = os.path.join(path if os.path.isdir(path) else os.path.dirname(path), f"control-{id(self)}")  # goes with the directory, whoever is killed
        super().__init__([PROGRAM, "-p", "-1", "-u", USER, "-v", "-t", "2", "-m", "32", "-e", path, "--control", control, *arguments])
        self.control = control

    def get(self, key):
        """The value; None: it is not there."""
        line = self.ask(b"get %s\r\n" % key)
        if line == b"END":
            return None
        value = self.answers.read(int(line.split()[3]) + 2)[:-2]
        assert self.answers.readline() == b"END\r\n"
        return value

    def stats(self, what=b""):
        self.client.sendall(b"stats %s\r\n" % what)
        found = {}
        while (line := self.answers.readline().rstrip(b"\r\n")) != b"END":
            _, name, value = line.decode().split(" ", 2)
            found[name] = value
        return found

    def check(self):
        """All laws, walked while it serves."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(HANG_S)
            client.connect(self.control)
            client.sendall(b"snug check\r\n")
            answers = client.makefile("rb")
            said = []
            while not said or said[-1].startswith("STAT"):
                said.append(answers.readline().rstrip(b"\r\n").decode())
            workers = len(said) - 1
            assert workers > 0 and said == [f"STAT {worker}:check ok" for worker in range(workers)] + ["END"], said

    def doctor(self):
        """What it finds, as one text."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(HANG_S)
            client.connect(self.control)
            client.sendall(b"snug doctor\r\n")
            answers = client.makefile("rb")
            return b"".join(iter(answers.readline, b"END\r\n")).decode()

    def end(self, number=signal.SIGTERM, status=0):
        self.client.close()
        self.answers.close()
        if number is not None:
            self.process.send_signal(number)
        self.said += self.process.stderr.read().splitlines()
        assert self.process.wait(HANG_S) == status, (self.process.returncode, self.said)
        return self

    def about_the_file(self):
        return [line for line in self.said if "memory file" in line]


def fill(snugd, count=2000, seed=1):
    numbers = random.Random(seed)
    values = {}
    for number in range(count):
        key = b"key-%d" % number
        length = 150000 if number % 500 == 0 else numbers.choice([1, 30, 100, 300, 1000])
        values[key] = numbers.randbytes(length)
        snugd.set(key, values[key], flags=number)
    return values


def all_are_there(snugd, values):
    for key, value in values.items():
        assert snugd.get(key) == value, key
    assert int(snugd.stats()["curr_items"]) == len(values), snugd.stats()["curr_items"]


def test_all_items_are_there_for_the_next_one():
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            values = fill(snugd)
            snugd.end()
            assert snugd.about_the_file()[-1] == "snugd: memory file: kept", snugd.said
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        for _ in range(3):
            with Snugd(path) as snugd:
                all_are_there(snugd, values)
                snugd.check()
                stats = snugd.stats()
                assert int(stats["snug_attached_items"]) == len(values)
                assert 0 < float(stats["snug_attach_seconds"]) < 60
                values.update(fill(snugd, 50, seed=time.monotonic_ns()))
                snugd.end()


def test_shutdown_keeps_too():
    with memory_directory() as directory:
        with Snugd(directory) as snugd:
            values = fill(snugd, 100)
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
                client.connect(snugd.control)
                client.sendall(b"shutdown graceful\r\n")
                snugd.end(number=None)
        assert os.path.exists(os.path.join(directory, "snug.memory"))
        with Snugd(directory) as snugd:
            all_are_there(snugd, values)


def test_what_was_gone_stays_so():
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            values = fill(snugd, 300)
            snugd.set(b"moment", b"x", expires=1)
            snugd.set(b"for-long", b"y", expires=1000)
            for key in list(values)[::3]:
                assert snugd.ask(b"delete %s\r\n" % key) == b"DELETED"
                del values[key]
            before = int(snugd.ask(b"mg for-long c t\r\n").split()[1][1:])
            snugd.end()
        time.sleep(1.2)
        with Snugd(path) as snugd:
            assert snugd.get(b"moment") is None
            for key in values:
                assert snugd.get(key) == values[key]
            told = snugd.ask(b"mg for-long c t\r\n").split()
            assert int(told[1][1:]) == before
            assert 900 < int(told[2][1:]) < 1000, told
            snugd.set(b"for-long", b"z", expires=1000)
            assert int(snugd.ask(b"mg for-long c\r\n").split()[1][1:]) > before
            assert snugd.ask(b"flush_all\r\n") == b"OK"
            snugd.end()
        with Snugd(path) as snugd:
            assert snugd.get(b"for-long") is None and snugd.stats()["curr_items"] == "0"
            snugd.check()


def test_the_limit_may_change():
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            values = fill(snugd, 4000)
            snugd.end()
        with Snugd(path, "-m", "256") as snugd:
            all_are_there(snugd, values)
            for number in range(300):
                snugd.set(b"large-%d" % number, bytes(300000))
            assert int(snugd.stats()["evictions"]) == 0
            snugd.end()
        held = os.stat(path).st_blocks * 512
        assert held > 80 << 20, held
        with Snugd(path, "-m", "16", "-I", "512k") as snugd:
            wait_until(lambda: int(snugd.stats()["snug_limit_bytes"]) <= 16 << 20, "the lower limit")
            wait_until(lambda: os.stat(path).st_blocks * 512 < 18 << 20, "the file's size")
            snugd.check()
            snugd.end()
        with Snugd(path, "-m", "16", "-I", "512k") as snugd:
            assert int(snugd.stats()["curr_items"]) > 0


def resident_bytes(snugd, path):
    """Of the mappings of the file, counted page by page: the counters of /proc/PID/status may be off by megabytes where there are many processors."""
    maps = pathlib.Path(f"/proc/{snugd.process.pid}/smaps").read_text()
    found = re.findall(rf"^[0-9a-f]+-[0-9a-f]+ .* {re.escape(path)}\n(?:\w+:.*\n)*?Rss:\s*(\d+) kB", maps, re.M)
    return sum(map(int, found)) * 1024


def test_what_is_defragmented_is_room_in_the_file_system():
    """Resident memory of the file and what the file takes fall together, and no item is lost."""
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path, "--keep-free", "1m") as snugd:
            values = {b"key-%d" % number: bytes([number % 251]) * 900 for number in range(24000)}
            snugd.client.sendall(b"".join(b"set %s 0 0 900 noreply\r\n%s\r\n" % item for item in values.items()))
            assert snugd.ask(b"mn\r\n") == b"MN"
            held, resident = os.stat(path).st_blocks * 512, resident_bytes(snugd, path)
            assert held > 20 << 20 and resident > 20 << 20, (held, resident)
            gone = [key for key in values if int(key[4:]) % 4]
            snugd.client.sendall(b"".join(b"delete %s noreply\r\n" % key for key in gone))
            assert snugd.ask(b"mn\r\n") == b"MN"
            for key in gone:
                del values[key]
            wait_until(lambda: os.stat(path).st_blocks * 512 < held // 2, "the file's size")
            # it goes on in between: equal they are once nothing more is given back
            wait_until(lambda: abs(resident_bytes(snugd, path) - os.stat(path).st_blocks * 512) < 1 << 20, "what is resident is not what the file takes")
            left = resident_bytes(snugd, path)
            assert left < resident // 2 + (1 << 20), (resident, left)
            all_are_there(snugd, values)
            snugd.check()


def begins_anew(snugd, why):
    said = [line for line in snugd.said if "all begins anew" in line]
    assert len(said) == 1 and why in said[0], snugd.said
    assert snugd.stats()["curr_items"] == "0"
    snugd.set(b"a", b"b")
    snugd.check()
    told = snugd.doctor()
    assert "began_anew" in told and why in told, told


def test_what_does_not_fit_begins_anew():
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        for arguments, why in (
            (["-t", "3"], "it is of 2 workers, and 3 are wanted"),
            (["--hash-secret", "00112233445566778899aabbccddeeff"], "its keys were hashed with another secret"),
        ):
            with Snugd(path) as snugd:
                fill(snugd, 20)
                snugd.end()
            with Snugd(path, *arguments) as snugd:
                begins_anew(snugd, why)
                snugd.end()
            os.unlink(path)


def test_after_a_kill_all_are_there():
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            values = fill(snugd)
            snugd.set(b"moment", b"x", expires=1)
            snugd.set(b"for-long", b"y", expires=1000)
            before = int(snugd.ask(b"mg for-long c\r\n").split()[1][1:])
            for key in list(values)[::3]:
                assert snugd.ask(b"delete %s\r\n" % key) == b"DELETED"
                del values[key]
            snugd.end(signal.SIGKILL, status=-signal.SIGKILL)
        time.sleep(1.2)
        values[b"for-long"] = b"y"
        for ended in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
            with Snugd(path) as snugd:
                all_are_there(snugd, values)
                snugd.check()
                told = snugd.ask(b"mg for-long c t\r\n").split()
                assert int(told[1][1:]) == before and 900 < int(told[2][1:]) < 1000, told
                stats = snugd.stats()
                assert int(stats["snug_recovered_items"]) == len(values), stats
                assert int(stats["snug_dropped_items"]) == 0
                snugd.end(ended, status=-ended if ended == signal.SIGKILL else 0)
                assert f"its process was killed: {len(values)} items recovered, 0 dropped" in "".join(snugd.about_the_file()), snugd.said
        with Snugd(path) as snugd:
            all_are_there(snugd, values)
            assert snugd.stats()["snug_recovered_items"] == "0"
            snugd.set(b"for-long", b"z")
            assert int(snugd.ask(b"mg for-long c\r\n").split()[1][1:]) > before
            assert snugd.ask(b"flush_all\r\n") == b"OK"
            snugd.end(signal.SIGKILL, status=-signal.SIGKILL)
        with Snugd(path) as snugd:
            assert snugd.stats()["curr_items"] == "0"


def test_a_killed_one_of_other_workers_begins_anew():
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            fill(snugd, 20)
            snugd.end(signal.SIGKILL, status=-signal.SIGKILL)
        with Snugd(path, "-t", "3") as snugd:
            begins_anew(snugd, "it is of 2 workers, and 3 are wanted")


def test_damage_is_found():
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            values = fill(snugd, 1000)
            snugd.end()
        # A copy is walked, and as good.
        copy = os.path.join(directory, "copy")
        subprocess.run(["cp", "--sparse=always", path, copy], check=True)
        with Snugd(copy) as snugd:
            all_are_there(snugd, values)
            snugd.end()
        size = os.stat(path).st_size
        os.truncate(path, size - 4096)
        with Snugd(path) as snugd:
            begins_anew(snugd, "it is shorter than it was")
        numbers = random.Random(5)
        for _ in range(10):
            subprocess.run(["cp", "--sparse=always", copy, path], check=True)
            with open(path, "r+b") as file:
                for _ in range(20):
                    at = os.lseek(file.fileno(), numbers.randrange(size // 2), os.SEEK_DATA)
                    os.pwrite(file.fileno(), numbers.randbytes(8), at + numbers.randrange(4088))
            with Snugd(path) as snugd:
                snugd.check()
                snugd.set(b"a", b"b")
                snugd.end()


def refuses(path, why, *arguments):
    done = subprocess.run([PROGRAM, "-p", "-1", "-u", USER, "-e", path, "--control", "none", *arguments],
                          capture_output=True, text=True, timeout=HANG_S, check=False)  # fmt: skip
    assert done.returncode == EX_OSERR and why in done.stderr, done


def test_what_cannot_be_had_is_refused():
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            refuses(path, "it is still in use: another process has it")
            snugd.set(b"a", b"b")
            snugd.end()
        other = pathlib.Path(directory, "other")
        other.write_text("not a memory file")
        refuses(str(other), "it is not empty, and no memory file")
        assert other.read_text() == "not a memory file"
        refuses(os.path.join(directory, "none", "memory"), "No such file or directory")
        link = os.path.join(directory, "link")
        os.symlink(path, link)
        refuses(link, "it cannot be opened")


def test_a_disk_is_refused_unless_it_is_asked_for():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        found = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True, text=True, check=True).stdout.strip()
        if found == "tmpfs":
            raise Skipped("/var/tmp lies in memory")
        path = os.path.join(directory, "memory")
        refuses(path, "it does not lie on a tmpfs: the system would write each change to a disk")
        with Snugd(path, "--memory-file-on-disk") as snugd:
            values = fill(snugd, 100)
            snugd.end()
        with Snugd(path, "--memory-file-on-disk") as snugd:
            all_are_there(snugd, values)


@contextlib.contextmanager
def small_tmpfs(size):
    with tempfile.TemporaryDirectory() as directory:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], capture_output=True, check=False).returncode != 0:
            raise Skipped("no file system can be mounted here")
        try:
            yield directory
        finally:
            subprocess.run(["umount", "-l", directory], check=False)


def test_a_file_system_that_is_full_is_no_end():
    with small_tmpfs("12m") as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            for number in range(60000):
                said = snugd.ask(b"set key-%d 0 0 400\r\n%s\r\n" % (number, b"x" * 400))
                assert said == b"STORED" or said.startswith(b"SERVER_ERROR"), said
            assert int(snugd.stats()["curr_items"]) > 5000, snugd.stats()
            snugd.check()
            snugd.end()
        with Snugd(path) as snugd:
            assert int(snugd.stats()["curr_items"]) > 5000
            snugd.check()


PAGE = 4096
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2


def extents(descriptor):
    """What the file holds."""
    at, end = 0, os.fstat(descriptor).st_size
    while at < end:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:
            return
        at = os.lseek(descriptor, begin, os.SEEK_HOLE)
        yield begin, at


def lose_each_other_page(path):
    """Of the objects: the longest piece of the file."""
    descriptor = os.open(path, os.O_RDWR)
    begin, end = max(extents(descriptor), key=lambda extent: extent[1] - extent[0])
    fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    for at in range(begin, end, 2 * PAGE):
        assert fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, PAGE) == 0
    os.close(descriptor)


def fill_file_system(directory, but_bytes):
    space = os.statvfs(directory)
    with open(os.path.join(directory, "others"), "wb") as others:
        os.posix_fallocate(others.fileno(), 0, space.f_bavail * space.f_bsize - but_bytes)


def test_a_look_at_what_is_missing_is_no_end():
    """A file that lost pages, on a file system that can't give them: a touch of one would end the process. It starts, with what is left or anew."""
    with small_tmpfs("40m") as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            for number in range(15000):
                snugd.set(b"key-%d" % number, b"x" * 1000)
            snugd.end(signal.SIGKILL, -signal.SIGKILL)
        lose_each_other_page(path)
        fill_file_system(directory, 3 << 19)
        with Snugd(path) as snugd:
            assert int(snugd.stats()["curr_items"]) < 14000
            snugd.check()
            snugd.set(b"another", b"x" * 1000)


def test_one_that_another_program_shortens_is_told():
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            fill(snugd, 200)
            os.truncate(path, 0)
            with contextlib.suppress(OSError):  # whichever is the first to meet what is gone
                for number in range(200):
                    if not snugd.ask(b"get key-%d\r\n" % number):
                        break
            snugd.end(number=None, status=-signal.SIGBUS)
            assert "another program has shortened it" in snugd.about_the_file()[-1], snugd.said
        with Snugd(path) as snugd:
            assert snugd.stats()["curr_items"] == "0"
            snugd.set(b"key-1", b"x")


def test_one_that_is_shortened_ends_though_nobody_reads_its_log():
    with memory_directory() as directory:
        path = os.path.join(directory, "memory")
        with Snugd(path) as snugd:
            fill(snugd, 20)
            log = os.open(f"/proc/{snugd.process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(log, b"x" * 4096)
            os.close(log)
            os.truncate(path, 0)
            with contextlib.suppress(OSError):
                snugd.ask(b"get key-1\r\n")
            assert snugd.process.wait(HANG_S) == -signal.SIGBUS


if __name__ == "__main__":
    sys.exit(run_tests(globals()))
