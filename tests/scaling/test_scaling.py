"""Tests of several snugd as one cache: behind nutcracker, and with libmemcached's ketama. A node dies, the rest serve; it returns, and serves its share.

    test_scaling.py SNUGD NUTCRACKER.yml
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "protocol"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from waits import HANG_S, wait_until
from server_process import Server, free_port

PROGRAM, RECIPE = sys.argv[1], sys.argv[2]
KEYS = 600


class Node(Server):
    """A server that can come back at the same port."""

    def __init__(self, port):
        super().__init__(PROGRAM, ["-m", "16", "-t", "1"], port=port)

    def die(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def come_back(self):
        self._start()
        assert self._accepts(), self.log_text()

    def items(self):
        with self.connect() as stream:
            stream.sendall(b"stats\r\n")
            answer = b""
            while not answer.endswith(b"END\r\n"):
                answer += stream.recv(65536)
        return int(re.search(rb"STAT curr_items (\d+)", answer).group(1))


class Nodes:
    def __enter__(self):
        self.nodes = []
        try:
            for _ in range(3):
                self.nodes.append(Node(free_port()).__enter__())
        except BaseException:
            self.__exit__()
            raise
        return self.nodes

    def __exit__(self, *_):
        for node in self.nodes:
            node.__exit__(None, None, None)


class Nutcracker:
    """The recipe as it is shipped, but for ports, and a time to retry that a test can wait for."""

    def __init__(self, nodes):
        self.port, self.stats = free_port(), free_port()
        text = open(RECIPE).read()
        for port, node in zip(("11311", "11312", "11313"), nodes):
            assert port in text
            text = text.replace(port, str(node.port))
        self.text = text.replace("22121", str(self.port)).replace("server_retry_timeout: 30000", "server_retry_timeout: 500")

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="snug-scaling-")
        path = os.path.join(self.directory, "nutcracker.yml")
        with open(path, "w") as out:
            out.write(self.text)
        command = ["setpriv", "--pdeathsig", "KILL", "nutcracker", "-c", path, "-s", str(self.stats), "-o", os.path.join(self.directory, "log")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory)


def store_all(store):
    """How many were taken."""
    return sum(bool(store(f"key:{i}", f"value {i}")) for i in range(KEYS))


def count_found(fetch):
    found = 0
    for i in range(KEYS):
        value = fetch(f"key:{i}")
        if value is not None:
            assert value == f"value {i}", (i, value)
            found += 1
    return found


def goes_on_without_one(nodes, store, fetch):
    def all_are_served():
        """In one round: a client tries a dead node again from time to time, and then a request of that round fails."""
        return store_all(store) == KEYS and count_found(fetch) == KEYS

    wait_until(all_are_served)
    shares = [node.items() for node in nodes]
    assert sum(shares) == KEYS and min(shares) > KEYS // 8, shares
    nodes[1].die()
    # A few requests fail until it is left out; then all are taken again, by the rest.
    wait_until(all_are_served)
    rest = [nodes[0].items(), nodes[2].items()]
    assert sum(rest) >= KEYS and rest[0] >= shares[0] and rest[1] >= shares[2], (shares, rest)
    nodes[1].come_back()

    def is_back():
        store_all(store)
        return nodes[1].items() > KEYS // 8

    wait_until(is_back)
    wait_until(all_are_served)


def test_behind_nutcracker():
    if shutil.which("nutcracker") is None:
        print("nutcracker is not installed (Debian's package nutcracker): left out")
        return
    from pymemcache.client.base import Client
    from pymemcache.exceptions import MemcacheError

    with Nodes() as nodes, Nutcracker(nodes) as proxy:
        client = Client(("127.0.0.1", proxy.port), timeout=HANG_S, connect_timeout=HANG_S)

        def store(key, value):
            try:
                return client.set(key, value.encode(), noreply=False)
            except (MemcacheError, OSError):
                client.close()
                return False

        def fetch(key):
            value = client.get(key)
            return None if value is None else value.decode()

        goes_on_without_one(nodes, store, fetch)
        client.close()


def test_with_libmemcached_ketama():
    import pylibmc

    with Nodes() as nodes:
        behaviors = {"ketama": True, "remove_failed": 1, "retry_timeout": 1, "dead_timeout": 1, "connect_timeout": 500, "tcp_nodelay": True}
        client = pylibmc.Client([f"127.0.0.1:{node.port}" for node in nodes], behaviors=behaviors)

        def store(key, value):
            try:
                return client.set(key, value)
            except pylibmc.Error:
                return False

        def fetch(key):
            try:
                return client.get(key)
            except pylibmc.Error:
                return None

        goes_on_without_one(nodes, store, fetch)


sys.exit(run_tests(globals()))
