"""Tests of several snugd as one cache: behind nutcracker, behind memcached's own proxy, and with libmemcached's ketama. A node dies, the rest serve; it
returns, and serves its share.

    test_scaling.py SNUGD RECIPES     RECIPES: examples/scaling

Debian's memcached has no proxy. $MEMCACHED_PROXY names one that was built with it (make check-proxy); without, these tests are skipped.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "protocol"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from case import Conversation
from cases import Skipped, run_tests
from certificates import Authority
from secured_server import SecuredServer
from server_process import Server, free_port
from waits import HANG_S, wait_until

PROGRAM, RECIPES = sys.argv[1], sys.argv[2]
PROXY = os.environ.get("MEMCACHED_PROXY", "")
KEYS = 600


class Returning:
    """A server that can come back at the same port."""

    def die(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def come_back(self):
        self._start()
        assert self._accepts(), self.log_text()

    def stat(self, name):
        with self.connect() as stream:
            stream.sendall(b"stats\r\n")
            answer = b""
            while not answer.endswith(b"END\r\n"):
                answer += stream.recv(65536)
        return int(re.search(rb"STAT %s (\d+)" % name.encode(), answer).group(1))

    def items(self):
        return self.stat("curr_items")


class Node(Returning, Server):
    def __init__(self):
        super().__init__(PROGRAM, ["-m", "16", "-t", "1"], port=free_port())


class SecuredNode(Returning, SecuredServer):
    def __init__(self, authority):
        super().__init__(PROGRAM, ["-m", "16", "-t", "1"], authority, port=free_port())


class Nodes:
    def __init__(self, make=Node):
        self.make = make

    def __enter__(self):
        self.nodes = []
        try:
            for _ in range(3):
                self.nodes.append(self.make().__enter__())
        except BaseException:
            self.__exit__()
            raise
        return self.nodes

    def __exit__(self, *_):
        for node in self.nodes:
            node.__exit__(None, None, None)


def recipe(name, nodes):
    """As it is shipped, but for ports."""
    with open(os.path.join(RECIPES, name), encoding="ascii") as file:
        text = file.read()
    for port, node in zip(("11311", "11312", "11313"), nodes):
        assert port in text
        text = text.replace(port, str(node.port))
    return text


class Nutcracker:
    """The recipe as it is shipped, but for ports, and a time to retry that a test can wait for."""

    def __init__(self, nodes):
        self.port, self.stats = free_port(), free_port()
        text = recipe("nutcracker.yml", nodes)
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


class MemcachedProxy:
    """The recipe, with a time to retry that a test can wait for, and with TLS, if that is asked for."""

    def __init__(self, nodes, has_tls=False):
        if not PROXY:
            raise Skipped("$MEMCACHED_PROXY names no memcached with its proxy (make check-proxy)")
        self.port = free_port()
        self.text = recipe("proxy.lua", nodes).replace("backend_retry_waittime = 3", "backend_retry_waittime = 1")
        if has_tls:
            assert "-- backend_use_tls = true" in self.text
            self.text = self.text.replace("-- backend_use_tls = true", "backend_use_tls = true")

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".lua")
        self.file.write(self.text)
        self.file.flush()
        command = ["setpriv", "--pdeathsig", "KILL", PROXY, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-u", pwd.getpwuid(os.geteuid()).pw_name]
        command += ["-o", f"proxy_config=routelib,proxy_arg={self.file.name}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until(lambda: self.process.poll() is not None or self._accepts())
        if self.process.poll() is not None:
            why = self.process.stderr.read().decode()
            self.__exit__()
            if "TLS support not compiled" in why:
                raise Skipped("this proxy was built without --enable-proxy-tls")
            raise AssertionError(why)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.file.close()

    def _accepts(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def talk(self):
        return Conversation(socket.create_connection(("127.0.0.1", self.port), HANG_S))


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
        raise Skipped("nutcracker is not installed (Debian's package nutcracker)")
    with Nodes() as nodes, Nutcracker(nodes) as proxy:
        goes_on_behind(nodes, proxy)


def test_behind_memcacheds_proxy():
    with Nodes() as nodes, MemcachedProxy(nodes) as proxy:
        speaks_text_and_meta(nodes, proxy)
        goes_on_behind(nodes, proxy)
        nodes[1].die()
        nodes[2].die()  # all keys have a node while there is one
        client = proxy.talk()

        def is_stored():
            client.send(b"ms last:1 1 T9\r\nx\r\n")
            return client.receive_until(b"\r\n") == b"HD\r\n"

        wait_until(is_stored)
        client.send(b"mg last:1 v t\r\n")
        answer = client.receive_until(b"\r\nx\r\n")
        assert answer.startswith(b"VA 1 t"), answer
        client.close()


def test_behind_memcacheds_proxy_secured():
    """From the proxy to the nodes. It looks at no certificate."""
    with Authority() as authority:
        with Nodes(lambda: SecuredNode(authority)) as nodes, MemcachedProxy(nodes, has_tls=True) as proxy:
            speaks_text_and_meta(nodes, proxy)
            goes_on_behind(nodes, proxy)
            assert all(node.stat("snug_ssl_connections") > 1 for node in nodes)


def speaks_text_and_meta(nodes, proxy):
    """And leaves nothing."""
    client = proxy.talk()
    client.ask(b"set text 7 0 1\r\n1\r\n", b"STORED\r\n")
    client.ask(b"incr text 41\r\n", b"42\r\n")
    client.ask(b"ms meta 5 T100 F9\r\nvalue\r\n", b"HD\r\n")
    client.ask(b"mg meta s v f\r\n", b"VA 5 s5 f9\r\nvalue\r\n")
    client.ask(b"get meta text nothing\r\n", b"VALUE meta 9 5\r\nvalue\r\nVALUE text 7 2\r\n42\r\nEND\r\n")
    client.ask(b"mg none v q\r\nmg meta k q\r\nmn\r\n", b"HD kmeta\r\nMN\r\n")
    client.ask(b"md meta q\r\nmn\r\nget meta\r\n", b"MN\r\nEND\r\n")
    client.ask(b"set large 0 0 300000\r\n" + b"v" * 300000 + b"\r\n", b"STORED\r\n")
    client.ask(b"get large\r\n", b"VALUE large 0 300000\r\n" + b"v" * 300000 + b"\r\nEND\r\n")
    client.close()
    for node in nodes:
        with node.connect() as stream:
            stream.sendall(b"flush_all\r\n")
            assert stream.recv(100) == b"OK\r\n"


def goes_on_behind(nodes, proxy):
    from pymemcache.client.base import Client
    from pymemcache.exceptions import MemcacheError

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
    try:
        import pylibmc
    except ImportError:
        raise Skipped("pylibmc is not installed (Debian's package python3-pylibmc)") from None
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
