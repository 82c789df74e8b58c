#!/usr/bin/python3
"""Clients that speak no TLS reach a snugd that speaks nothing else through stunnel beside them: pylibmc, in text and in the binary protocol, with a user."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile

import client_cases
from waits import HANG_S, wait_until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from secured_server import SecuredServer

try:
    import pylibmc
except ImportError:
    sys.exit(client_cases.skip("no pylibmc"))

CONFIG = """\
foreground = yes
debug = err
pid =
client = yes
[memcached]
accept = 127.0.0.1:{port}
connect = {address}
CAfile = {root}
verifyChain = yes
"""


class Tunnel:
    def __init__(self, server):
        self.port = client_cases.free_port()
        self.text = CONFIG.format(port=self.port, address="%s:%d" % server.address, root=server.authority.root)

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile("w", prefix="snug-stunnel-")
        self.file.write(self.text)
        self.file.flush()
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "stunnel4", self.file.name], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until(lambda: self.process.poll() is not None or self._accepts())
        assert self.process.poll() is None, self.process.stderr.read().decode()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.file.close()

    def _accepts(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), HANG_S).close()
        except ConnectionRefusedError:
            return False
        return True


def use(client):
    assert client.set("key", "value") and client.get("key") == "value"
    large = "abc" * 100000
    values = {f"key{number}": f"{number}" for number in range(300)} | {"large": large}
    assert client.set_multi(values) == [] and client.get_multi(list(values)) == values
    assert client.delete("key") and client.get("key") is None


def text_and_binary(server_path, server_args):
    with SecuredServer(server_path, server_args) as server, Tunnel(server) as tunnel:
        for is_binary in (False, True):
            use(pylibmc.Client([f"127.0.0.1:{tunnel.port}"], binary=is_binary, behaviors={"tcp_nodelay": True}))


def a_user(server_path, server_args):
    if not pylibmc.support_sasl:
        return
    with tempfile.NamedTemporaryFile("w", prefix="snug-users-") as users:
        users.write("cache:right password\n")
        users.flush()
        with SecuredServer(server_path, [*server_args, "-Y", users.name]) as server, Tunnel(server) as tunnel:
            use(pylibmc.Client([f"127.0.0.1:{tunnel.port}"], binary=True, username="cache", password="right password"))


def main():
    chosen = client_cases.options()
    if shutil.which("stunnel4") is None or shutil.which("openssl") is None:
        return client_cases.skip("no stunnel")
    passed, cases = 0, [text_and_binary, a_user]
    print(f"[==========] Running {len(cases)} test(s).")
    for case in cases:
        case(chosen.server, chosen.server_args)
        passed += 1
        print(f"[       OK ] {case.__name__.replace('_', ' ')}")
    return client_cases.finish(passed, len(cases) - passed)


if __name__ == "__main__":
    sys.exit(main())
