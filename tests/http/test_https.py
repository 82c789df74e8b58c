#!/usr/bin/env python3
"""HTTP over TLS: the certificate of -Z, read again while it serves, and clients who speak something else.

    test_https.py SNUGD
"""

import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "protocol"), os.path.join(HERE, "..", "support")]
from case import Conversation
from cases import run_tests
from certificates import Authority, client_context
from secured_server import SecuredServer
from waits import HANG_S, Soon, wait_until

PROGRAM = sys.argv[1]
ACT = {"X-Snug-Request": "1"}


class Https:
    """with Https(args) as served: served.get("/healthz")"""

    def __init__(self, *args):
        self.server = SecuredServer(PROGRAM, ["-m", "32", "-t", "2", "--http", "127.0.0.1:0", "--http-ssl", *args])

    def __enter__(self):
        self.server.__enter__()
        wait_until(lambda: re.search(r"https://127\.0\.0\.1:\d+", self.server.log_text()), self.server.log_text)
        self.port = int(re.search(r"https://127\.0\.0\.1:(\d+)", self.server.log_text())[1])
        return self

    def __exit__(self, *what):
        self.server.__exit__(*what)

    def connection(self, **what):
        context = client_context(self.server.authority, **what)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=HANG_S, context=context)

    def get(self, path, **what):
        with contextlib.closing(self.connection(**what)) as connection:
            return ask(connection, "GET", path)

    def served_name(self):
        with socket.create_connection(("127.0.0.1", self.port), HANG_S) as plain:
            with client_context(self.server.authority).wrap_socket(plain) as client:
                return dict(pair[0] for pair in client.getpeercert()["subject"])["commonName"]

    def refresh(self):
        client = Conversation(self.server.connect())
        client.send(b"refresh_certs\r\n")
        answer = client.receive_until(b"\r\n")
        client.close()
        return answer


def ask(connection, method, path, headers=None):
    connection.request(method, path, headers=headers or {})
    response = connection.getresponse()
    return response.status, response.read()


def test_what_http_tells_it_tells_secured():
    with Https() as served:
        assert served.get("/healthz") == (200, b"ok\n")
        status, metrics = served.get("/metrics")
        assert status == 200 and b"memcached_up 1" in metrics
        assert served.get("/")[0] == 200 and served.get("/nowhere")[0] == 404
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert served.get("/healthz", version=version)[0] == 200


def test_versions_that_are_not_allowed():
    with Https("-o", "ssl_min_version=3") as served:
        assert served.get("/healthz", version=ssl.TLSVersion.TLSv1_3)[0] == 200
        try:
            served.get("/healthz", version=ssl.TLSVersion.TLSv1_2)
        except (ssl.SSLError, ConnectionError):
            return
        raise AssertionError("TLS 1.2 was spoken")


def test_a_page_acts_from_its_own_site():
    with Https() as served, contextlib.closing(served.connection()) as connection:
        place = f"127.0.0.1:{served.port}"
        for scheme, status in (("https", 200), ("http", 403)):
            got = ask(connection, "POST", "/api/defrag", {**ACT, "Origin": f"{scheme}://{place}"})
            assert got[0] == status, (scheme, got)


def test_who_speaks_no_tls_is_hung_up_on():
    with Https() as served:
        for text in (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"version\r\n"):
            with socket.create_connection(("127.0.0.1", served.port), HANG_S) as client:
                client.sendall(text)
                try:
                    got = client.recv(1000)
                except ConnectionError:
                    got = b""
                assert b"200" not in got and b"ok" not in got, got
        assert served.get("/healthz")[0] == 200


def test_certificates_are_read_again():
    with Https() as served, contextlib.closing(served.connection()) as before:
        assert ask(before, "GET", "/healthz")[0] == 200 and served.served_name() == "server"
        for number, name in enumerate(("second", "third", "fourth")):
            served.server.authority.certificate(name, file="server")
            if number == 1:
                served.server.process.send_signal(signal.SIGHUP)
                wait_until(lambda: served.served_name() == "third")
            else:
                assert served.refresh() == b"OK\r\n" and served.served_name() == name
            if number == 0:  # with the certificate that it began with
                assert ask(before, "GET", "/healthz") == (200, b"ok\n")
        served.server.authority.certificate("fifth", file="server")
        with open(served.server.certificate, "a", encoding="ascii") as file:
            file.write("# nothing" * 8000)  # more than HTTP takes, though OpenSSL does
        assert b"longer than 64 KiB" in served.refresh()
        assert served.served_name() == "fourth"
        with served.server.connect() as client:  # all or nothing
            assert dict(pair[0] for pair in client.getpeercert()["subject"])["commonName"] == "fourth"


def test_handshakes_that_do_not_end_hold_up_nobody():
    with Https() as served:
        half = [socket.create_connection(("127.0.0.1", served.port), HANG_S) for _ in range(200)]
        for sock in half[::2]:
            with contextlib.suppress(OSError):  # he has made room already
                sock.sendall(b"\x16\x03\x01\x02\x00")
        with Soon(10, "an answer"):
            assert served.get("/healthz")[0] == 200
        for sock in half:
            sock.close()


def test_the_end_under_open_connections():
    with Https() as served, contextlib.ExitStack() as ends:
        for _ in range(4):
            idle = ends.enter_context(contextlib.closing(served.connection()))
            assert ask(idle, "GET", "/healthz")[0] == 200
        ends.enter_context(socket.create_connection(("127.0.0.1", served.port), HANG_S))
        assert served.refresh() == b"OK\r\n"
        with Soon(10, "the end"):
            served.server.process.terminate()
            assert served.server.process.wait(HANG_S) == 0


def refused_start(*args, status=64):
    command = [PROGRAM, "-p", "-1", "-u", "root", "--control", "none", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == status, (done.returncode, done.stderr)
    return done.stderr


def test_what_cannot_be_served_is_refused_at_the_start():
    with Authority() as root:
        certificate, key = root.certificate("server")
        secured = ("-Z", "-o", f"ssl_chain_cert={certificate},ssl_key={key}")
        assert "--http-ssl: needs --http" in refused_start("--http-ssl", *secured)
        assert "--http-ssl: needs --enable-ssl" in refused_start("--http-ssl", "--http", "127.0.0.1:0")
        assert "needs a key as PEM" in refused_start("--http-ssl", "--http", "127.0.0.1:0", *secured, "-o", "ssl_keyformat=2")
        with open(certificate, "a", encoding="ascii") as file:
            file.write("# nothing" * 8000)
        assert "longer than 64 KiB" in refused_start("--http-ssl", "--http", "127.0.0.1:0", *secured)


sys.exit(run_tests(globals()))
