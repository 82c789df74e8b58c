"""What is driven: a server that is started for each scenario, or one that is running already."""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

import wire

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_in_order():
    """A signal that ends this program unwinds it, so that no server is left behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


@contextlib.contextmanager
def undisturbed():
    """A signal in here takes effect afterwards: a server that was just started is known then, and can be stopped."""
    came = []
    before = {number: signal.signal(number, lambda received, _: came.append(received))
              for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        sys.exit(128 + came[0])


class Target:
    """How to start a server and speak to it. command: with {port} and {limit}, in MB, filled in; None for a server that runs at host and port as the
    process pid. setup: lines sent once it answers. defrag: the line that asks it to defragment, if it has such."""

    def __init__(self, name, command=None, protocol="memcached", setup=(), defrag=None, environment=None, host="127.0.0.1", port=None, pid=None):
        self.name, self.command, self.protocol, self.setup, self.defrag = name, command, protocol, setup, defrag
        self.environment, self.host, self.port, self.pid = environment or {}, host, port, pid

    def run(self, limit_mb):
        return Run(self, limit_mb)


class Run:
    """with target.run(limit) as run: the server answers, and holds nothing."""

    def __init__(self, target, limit_mb):
        self.target, self.name, self.limit_mb = target, target.name, limit_mb
        self.process, self.log = None, tempfile.TemporaryFile()

    def __enter__(self):
        self.port = self.target.port or free_port()
        self.pid = self.target.pid
        try:
            if self.target.command:
                self.start()
            self.connection = self.wait_for_it()
            for line in self.target.setup:
                self.connection.command(line)
            if not self.target.command:
                self.connection.flush()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *what):
        self.connection.close()
        self.stop()

    def start(self):
        command = shlex.split(self.target.command.format(port=self.port, limit=self.limit_mb))
        with undisturbed():
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                            env={**os.environ, **self.target.environment})
        self.pid = self.process.pid

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def connect(self):
        return wire.PROTOCOLS[self.target.protocol](self.target.host, self.port)

    def wait_for_it(self):
        until = time.monotonic() + wire.HANG_S
        while True:
            try:
                return self.connect()
            except OSError as error:
                if time.monotonic() > until or (self.process and self.process.poll() is not None):
                    self.log.seek(0)
                    raise RuntimeError(f"{self.name} does not answer: {error}; it said: {self.log.read()[-500:].decode(errors='replace')}")
                time.sleep(0.02)

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) << 10

    def processor_s(self):
        """Of all its threads, user and system, since it began."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()  # what is before may hold spaces
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


# ---- those that the suite knows ----------------------------------------------------------------------------------------

LIBRARIES = {"jemalloc": "libjemalloc.so.2", "mimalloc": "libmimalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4"}
REDIS = "redis-server --bind 127.0.0.1 --port {port} --save '' --appendonly no --maxmemory {limit}mb --maxmemory-policy allkeys-lru"
REDIS_ACTIVE = ("CONFIG SET activedefrag yes", "CONFIG SET active-defrag-ignore-bytes 1mb", "CONFIG SET active-defrag-threshold-lower 1",
                "CONFIG SET active-defrag-cycle-min 25", "CONFIG SET active-defrag-cycle-max 75")


def code():
    """Which code ran, in words: the commit of the tree, and whether files differ from it."""
    def git(*words):
        return subprocess.run(["git", "-C", os.path.dirname(os.path.abspath(__file__)), *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return f"code of commit {git('rev-parse', '--short', 'HEAD')}" + (", with changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "code of no known commit"


def program(*path):
    """As a word of a command, whatever the folder is called."""
    return shlex.quote(os.path.join(*path).replace("{", "{{").replace("}", "}}"))


def known(name, build):
    """A target by its name; KeyError."""
    snugd = program(build, "snugd") + " -p {port} -m {limit} -t 1 --open-commands"
    user = " -u nobody" if os.geteuid() == 0 else ""
    cache = program(build, "bench", "malloc-cache") + " {port} {limit}"
    targets = {
        "snugd": lambda: Target(name, snugd),
        "snugd-asked": lambda: Target(name, snugd, defrag="snug defrag return"),
        "memcached": lambda: Target(name, "memcached -l 127.0.0.1 -p {port} -U 0 -m {limit} -t 1" + user),
        "redis": lambda: Target(name, REDIS, "redis"),
        "redis-activedefrag": lambda: Target(name, REDIS, "redis", REDIS_ACTIVE),
        "malloc": lambda: Target(name, cache),
        **{each: lambda each=each: Target(name, cache, environment={"LD_PRELOAD": LIBRARIES[each]}) for each in LIBRARIES},
    }
    return targets[name]()


def active_redis(path):
    """A Redis or Valkey whose jemalloc can say where a page is sparse; a package's cannot."""
    name = os.path.basename(path).removesuffix("-server")
    return Target(f"{name}-active-defrag", REDIS.replace("redis-server", shlex.quote(path), 1), "redis", REDIS_ACTIVE)


KNOWN = ["snugd", "snugd-asked", "memcached", "redis", "redis-activedefrag", "malloc", *LIBRARIES]
