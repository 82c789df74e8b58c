#!/usr/bin/env python3
"""Tests of TLS: versions, ciphers, certificates of clients, certificates that change, and clients who do not end what they begin.

    test_tls.py SNUGD

Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines. That every command is answered over TLS as without is
shown by the protocol tests, which run over it, too.
"""

import os
import pwd
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "protocol")]
from case import Conversation
from cases import Skipped, run_tests
from certificates import Authority, client_context, openssl
from secured_server import SecuredServer
from server_process import Server
from waits import HANG_S, wait_until

PROGRAM = sys.argv[1]
USER = pwd.getpwuid(os.geteuid()).pw_name
IOS = ("epoll", "auto")  # auto: io_uring, where the kernel has it
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
STRANGER = b"CLIENT_ERROR unauthenticated\r\n"


def serve(*args, io="auto", authority=None):
    return SecuredServer(PROGRAM, ["-t", "2", "--io", io, *args], authority)


def serve_certified(*args, authority, certificate):
    """Whose clients prove that certificate, unless they are told otherwise."""
    server = serve(*args, authority=authority)
    server.context = client_context(authority, certificate)
    return server


def talk(server, context=None, **what):
    return Conversation(server.connect(context, **what))


def stats(client, what=b""):
    client.send(b"stats" + what + b"\r\n")
    return dict(re.findall(rb"STAT (\S+) (.*)\r\n", client.receive_until(b"END\r\n")))


def stat(server, name):
    """Asked by a client of its own."""
    client = talk(server)
    value = int(stats(client)[name.encode()])
    client.close()
    return value


def is_refused(server, context):
    """That it is refused shows with the first answer: in TLS 1.3 the client's handshake ends before the server has looked at all of it."""
    try:
        with server.connect(context) as client:
            client.sendall(b"version\r\n")
            return client.recv(100) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def says(server, sentence):
    wait_until(lambda: sentence in server.log_text(), server.log_text)


# ------------------------------------------------------------------ what is spoken


def test_both_versions_over_both_ios():
    for io in IOS:
        with serve(io=io) as server:
            for version in (V12, V13):
                client = talk(server, client_context(server.authority, version=version))
                client.ask(b"set k 0 0 5\r\nhello\r\n", b"STORED\r\n")
                client.ask(b"get k\r\n", b"VALUE k 0 5\r\nhello\r\nEND\r\n")
                client.ask(b"mg k v\r\nmn\r\n", b"VA 5\r\nhello\r\nMN\r\n")
                client.close()
            counted = stats(talk(server))
            assert int(counted[b"snug_ssl_handshakes"]) >= 3 and counted[b"ssl_proto_errors"] == b"0", counted


def test_large_values_and_pipelines_both_ways():
    value = random.Random(19).randbytes(1 << 19) * 2  # the same in each run: in other bytes an expectation may find a hole ("<n>")
    value = value[: 1000000]
    for io in IOS:
        with serve("-o", "ssl_wbuf_size=64" if io == "epoll" else "ssl_wbuf_size=16", io=io) as server:
            client = talk(server)
            client.ask(b"set big 0 0 %d\r\n%s\r\n" % (len(value), value), b"STORED\r\n")
            expected = b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (len(value), value)
            client.ask(b"get big\r\n" * 3, expected * 3)
            for number in range(200):
                client.send(b"set k%d 7 0 3\r\nabc\r\n" % number)
            client.ask(b"", b"STORED\r\n" * 200)
            keys = b" ".join(b"k%d" % number for number in range(200))
            client.ask(b"get " + keys + b"\r\n", b"".join(b"VALUE k%d 7 3\r\nabc\r\n" % number for number in range(200)) + b"END\r\n")


def test_a_chain_that_is_longer_than_the_room_it_goes_through():
    for io in IOS:
        server = serve(io=io)
        with open(server.certificate) as file:
            certificate = file.read()
        with open(server.certificate, "w") as file:
            file.write(certificate * 40)
        with server:
            for version in (V12, V13):
                talk(server, client_context(server.authority, version=version)).ask(b"mn\r\n", b"MN\r\n")


def test_bytes_that_come_one_by_one():
    with serve() as server:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = server.context.wrap_bio(incoming, outgoing)
        plain = server.connect_plainly()

        def move():
            for byte in outgoing.read():
                plain.sendall(bytes([byte]))

        def until(step):
            while True:
                try:
                    result = step()
                    move()
                    return result
                except ssl.SSLWantReadError:
                    move()
                    incoming.write(plain.recv(65536))

        until(client.do_handshake)
        until(lambda: client.write(b"set k 0 0 1\r\nx\r\n"))
        assert until(lambda: client.read(100)) == b"STORED\r\n"
        plain.close()


def test_a_client_that_reads_late_holds_back_nobody():
    value = b"v" * 500000
    with serve() as server:
        slow = server.connect(receive_buffer_bytes=4096)
        slow.sendall(b"set k 0 0 %d\r\n%s\r\n" % (len(value), value))
        assert slow.recv(100) == b"STORED\r\n"
        slow.sendall(b"get k\r\n" * 20)
        other = talk(server)
        for _ in range(50):
            other.ask(b"mn\r\n", b"MN\r\n")
        late = Conversation(slow)
        late.ask(b"", b"VALUE k 0 %d\r\n%s\r\nEND\r\n" % (len(value), value) * 20)


def test_each_end_says_that_it_is_the_end():
    with serve() as server:
        for io in (0, 1):
            client = server.connect()
            if io == 0:
                client.sendall(b"quit\r\n")
                assert client.recv(100) == b""  # without close_notify it is an error
                client.close()
            else:
                client.sendall(b"set k 0 0 1\r\nx\r\n")
                assert client.recv(100) == b"STORED\r\n"
                assert client.unwrap() is not None  # the server answers close_notify
        wait_until(lambda: stat(server, "snug_ssl_connections") == 1)


def test_oldest_version_and_ciphers_are_as_told():
    with serve("-o", "ssl_min_version=3") as server:
        assert is_refused(server, client_context(server.authority, version=V12))
        assert not is_refused(server, client_context(server.authority, version=V13))
    with serve("-o", "ssl_ciphers=ECDHE-ECDSA-CHACHA20-POLY1305:TLS_AES_128_GCM_SHA256") as server:
        for version, cipher in ((V12, "ECDHE-ECDSA-CHACHA20-POLY1305"), (V13, "TLS_AES_128_GCM_SHA256")):
            client = server.connect(client_context(server.authority, version=version))
            assert client.cipher()[0] == cipher, client.cipher()
            client.close()
        assert is_refused(server, client_context(server.authority, version=V12, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"))
    with serve() as server:
        host, port = server.address
        old = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=HANG_S, check=False)
        assert old.returncode != 0 and b"alert protocol version" in old.stderr, old
        says(server, "TLS: 1 connection failed, the last one: unsupported protocol")


def test_sessions_are_resumed_only_where_that_is_on():
    for args, is_on in (((), False), (("-o", "ssl_session_cache"), True)):
        with serve(*args) as server:
            for version in (V12, V13):
                context = client_context(server.authority, version=version)
                first = talk(server, context)
                first.ask(b"mn\r\n", b"MN\r\n")  # the ticket has come with it
                session = first.connection.session
                first.close()
                second = talk(server, context, session=session)
                second.ask(b"mn\r\n", b"MN\r\n")
                assert second.connection.session_reused == is_on, (version, is_on)
                second.close()
            counted = stats(talk(server))
            assert (b"ssl_new_sessions" in counted) == is_on
            assert int(counted[b"snug_ssl_resumed"]) == (2 if is_on else 0)


def test_renegotiation_is_refused():
    with serve() as server:
        host, port = server.address
        client = subprocess.Popen(["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        client.stdin.write(b"R\n")
        client.stdin.flush()
        try:
            said, _ = client.communicate(timeout=HANG_S)
        finally:
            client.kill()
        assert b"no renegotiation" in said, said
        talk(server).ask(b"mn\r\n", b"MN\r\n")


# ------------------------------------------------------------------ who does not speak it


def test_plain_bytes_at_a_port_with_tls():
    with serve() as server:
        errors = stat(server, "ssl_handshake_errors")
        for said in (b"get k\r\n", b"\x80\x0a" + b"\0" * 22, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x04\x01\x00\x05hello"):
            with server.connect_plainly() as client:
                client.sendall(said)
                assert client.recv(100) == b"", said
        assert stat(server, "ssl_handshake_errors") == errors + 4
        says(server, "what came is not TLS")


def test_tls_at_a_port_without():
    with serve("-l", "notls:127.0.0.1:0") as server:
        with open(server.port_file()) as ports:
            found = [int(port) for port in re.findall(r"TCP INET: (\d+)", ports.read())]
        assert len(set(found)) == 2, found
        plain = [port for port in found if port != server.address[1]][0]
        with socket.create_connection(("127.0.0.1", plain), HANG_S) as client:
            conversation = Conversation(client)
            conversation.ask(b"set k 0 0 1\r\nx\r\n", b"STORED\r\n")
        talk(server).ask(b"get k\r\n", b"VALUE k 0 1\r\nx\r\nEND\r\n")
        with socket.create_connection(("127.0.0.1", plain), HANG_S) as client:
            try:
                server.context.wrap_socket(client)
                raise AssertionError("a handshake with a port that has no TLS")
            except ssl.SSLError as error:
                assert "WRONG_VERSION_NUMBER" in str(error), error


def test_records_that_are_broken_end_the_connection():
    with serve() as server:
        for version in (V12, V13):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = client_context(server.authority, version=version).wrap_bio(incoming, outgoing)
            plain = server.connect_plainly()
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(65536))
            client.write(b"set k 0 0 1\r\nx\r\n")
            record = bytearray(outgoing.read())
            record[-1] ^= 1
            plain.sendall(record)
            while plain.recv(65536):
                pass
            plain.close()
        assert stat(server, "ssl_proto_errors") == 2
        says(server, "bad record mac")


# ------------------------------------------------------------------ handshakes that do not end


def test_a_thousand_half_handshakes_harm_nobody():
    """Some say nothing, some half of the first record, some all of it, and no more. Far more than may be under way."""
    with serve("-c", "1200") as server:
        outgoing = ssl.MemoryBIO()
        hello = server.context.wrap_bio(ssl.MemoryBIO(), outgoing)
        try:
            hello.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = outgoing.read()
        before = talk(server)
        before.ask(b"set k 0 0 1\r\nx\r\n", b"STORED\r\n")
        half_open = []
        for number in range(1000):
            client = server.connect_plainly()
            client.sendall((b"", hello[:100], hello)[number % 3])
            half_open.append(client)
            if number % 100 == 0:
                before.ask(b"get k\r\n", b"VALUE k 0 1\r\nx\r\nEND\r\n")
                fresh = talk(server)
                fresh.ask(b"get k\r\n", b"VALUE k 0 1\r\nx\r\nEND\r\n")
                fresh.close()
        wait_until(lambda: int(stats(before)[b"snug_ssl_connections"]) <= 601)
        counted = stats(before)
        assert int(counted[b"rejected_connections"]) == 0 and int(counted[b"snug_memory_closed"]) == 0, counted
        assert int(counted[b"snug_ssl_memory_bytes"]) < 8 << 20, counted
        for client in half_open:
            client.close()
        wait_until(lambda: int(stats(before)[b"snug_ssl_connections"]) == 1)


def test_a_handshake_has_its_time():
    with serve("-o", "ssl_handshake_timeout=1") as server:
        clients = [server.connect_plainly() for _ in range(2)]
        clients[1].sendall(b"\x16\x03\x01")
        for client in clients:
            assert client.recv(100) == b""
            client.close()
        assert stat(server, "snug_ssl_handshakes_late") == 2
        says(server, "the handshake took too long")


def test_a_message_that_claims_to_be_long_is_not_waited_for():
    with serve() as server:
        claim = b"\x16\x03\x01\x40\x00\x01\x01\x00\x00\x03\x03" + b"\0" * (0x4000 - 6)
        clients = [server.connect_plainly() for _ in range(50)]
        for client in clients:
            client.sendall(claim)
        other = talk(server)
        wait_until(lambda: int(stats(other)[b"snug_ssl_memory_bytes"]) < 8 << 20)
        other.ask(b"mn\r\n", b"MN\r\n")


# ------------------------------------------------------------------ certificates of clients


def test_certificates_of_clients_are_looked_at():
    with Authority() as root, Authority("another root") as others:
        right, wrong, late = root.certificate("right"), others.certificate("wrong"), root.certificate("late", days=-1)
        why = {wrong: "unable to get local issuer certificate", late: "certificate has expired", None: "peer did not return a certificate"}
        for certificate, words in why.items():
            with serve_certified("-o", f"ssl_verify_mode=2,ssl_ca_cert={root.root}", authority=root, certificate=right) as server:
                for version in (V12, V13):
                    assert not is_refused(server, client_context(root, right, version=version))
                    assert is_refused(server, client_context(root, certificate, version=version)), certificate
                assert stat(server, "ssl_handshake_errors") == 2
                says(server, words)


def test_a_certificate_says_who_a_client_is():
    with tempfile.NamedTemporaryFile("w", prefix="snug-users-") as users, Authority() as root:
        users.write("reader(read):r3ad\nwriter:wr1te\n")
        users.flush()
        with serve("-o", f"ssl_verify_mode=1,ssl_ca_cert={root.root}", "-Y", users.name, authority=root) as server:
            def as_user(name):
                return talk(server, client_context(server.authority, root.certificate(name)))

            writer = as_user("writer")
            writer.ask(b"set k 0 0 1\r\nx\r\n", b"STORED\r\n")
            reader = as_user("reader")
            reader.ask(b"get k\r\n", b"VALUE k 0 1\r\nx\r\nEND\r\n")
            reader.ask(b"delete k\r\n", b"CLIENT_ERROR not allowed for this user\r\n")
            stranger = as_user("stranger")
            stranger.ask(b"get k\r\n", STRANGER)
            stranger.ask(b"set auth 0 0 12\r\nwriter wr1te\r\n", b"STORED\r\n")
            stranger.ask(b"get k\r\n", b"VALUE k 0 1\r\nx\r\nEND\r\n")
            talk(server).ask(b"get k\r\n", STRANGER)
            same_bytes = root.certificate(b"writer".decode("utf-16-be"), file="same", kind="MASK:0x800")  # a BMPString
            talk(server, client_context(root, same_bytes)).ask(b"get k\r\n", STRANGER)


def test_each_address_asks_as_it_is_told():
    with Authority() as root:
        with serve("-l", "mtls:127.0.0.1:0", "-o", f"ssl_ca_cert={root.root}", authority=root) as server:
            with open(server.port_file()) as ports:
                found = [int(port) for port in re.findall(r"TCP INET: (\d+)", ports.read())]
            strict = [port for port in found if port != server.address[1]][0]
            assert not is_refused(server, server.context)
            server.address = ("127.0.0.1", strict)
            assert is_refused(server, server.context)
            assert not is_refused(server, client_context(server.authority, root.certificate("somebody")))


def test_a_ticket_stands_for_no_certificate():
    """Who was asked for none at one address resumes nothing at another one that wants one."""
    with Authority() as root:
        with serve("-l", "mtls:127.0.0.1:0", "-o", f"ssl_session_cache,ssl_ca_cert={root.root}", authority=root) as server:
            with open(server.port_file()) as ports:
                found = [int(port) for port in re.findall(r"TCP INET: (\d+)", ports.read())]
            strict = [port for port in found if port != server.address[1]][0]
            for version in (V12, V13):
                context = client_context(root, version=version)
                first = talk(server, context)
                first.ask(b"mn\r\n", b"MN\r\n")
                session = first.connection.session
                first.close()
                with socket.create_connection(("127.0.0.1", strict), HANG_S) as plain:
                    try:
                        with context.wrap_socket(plain, session=session) as second:
                            second.sendall(b"mn\r\n")
                            assert second.recv(100) == b"", version
                    except (ssl.SSLError, ConnectionError):
                        pass


# ------------------------------------------------------------------ certificates that change


def served_name(server):
    with server.connect() as client:
        return dict(pair[0] for pair in client.getpeercert()["subject"])["commonName"]


def test_certificates_are_read_again():
    with serve() as server:
        before = talk(server)
        assert served_name(server) == "server"
        server.authority.certificate("second", file="server")
        before.ask(b"refresh_certs\r\n", b"OK\r\n")
        assert served_name(server) == "second"
        before.ask(b"mn\r\n", b"MN\r\n")
        server.authority.certificate("third", file="server")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: served_name(server) == "third")
        with open(server.key, "w") as key:
            key.write("nonsense")
        before.send(b"refresh_certs\r\n")
        refusal = before.receive_until(b"\r\n")
        assert refusal.startswith(b"SERVER_ERROR --ssl-key: "), refusal
        server.process.send_signal(signal.SIGHUP)
        says(server, "reload: the certificates stay as they were: --ssl-key: ")
        assert served_name(server) == "third"
        assert int(stats(before)[b"time_since_server_cert_refresh"]) < HANG_S


def test_refreshing_is_the_operators():
    server = serve()
    server.opens_commands = False
    with server:
        client = talk(server)
        client.send(b"refresh_certs\r\n")
        assert client.receive_until(b"\r\n").startswith(b"CLIENT_ERROR an operator's command")


# ------------------------------------------------------------------ what is told at the start


def refused_start(*args):
    done = subprocess.run([PROGRAM, "-p", "-1", "-u", USER, "--control", "none", *args], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 64, (done.returncode, done.stderr)
    return done.stderr


def test_what_cannot_be_served_is_refused_at_the_start():
    with Authority() as root:
        certificate, key = root.certificate("server")
        _, other_key = root.certificate("other")
        locked = root.path("locked.key")
        openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked)

        def with_files(*names):
            return refused_start("-Z", "-o", ",".join(f"ssl_{name}" for name in names))

        assert "--ssl-chain-cert" in refused_start("-Z")
        assert "notls:127.0.0.1' needs --enable-ssl" in refused_start("-l", "notls:127.0.0.1")
        assert "a unix socket has no TLS" in refused_start("-Z", "-s", root.path("socket"), "-p", "0", "-o", f"ssl_chain_cert={certificate}")
        assert "No such file" in with_files("chain_cert=/nowhere")
        assert "--ssl-key" in with_files(f"chain_cert={certificate}")
        assert "--ssl-key" in with_files(f"chain_cert={certificate}", f"key={locked}")
        assert "mismatch" in with_files(f"chain_cert={certificate}", f"key={other_key}")
        assert "--ssl-ciphers: nonsense" in with_files(f"chain_cert={certificate}", f"key={key}", "ciphers=nonsense")
        assert "is not one of tlsv1.2|tlsv1.3, or their number from 2 to 3" in with_files("min_version=1")


def test_settings_are_shown_as_memcached_shows_them():
    with serve("-o", "ssl_wbuf_size=64") as server:
        settings = stats(talk(server), b" settings")
        wanted = {"enabled": "yes", "session_cache": "no", "kernel_tls": "no", "chain_cert": server.certificate, "key": server.key, "verify_mode": "0",
                  "keyformat": "1", "ciphers": "NULL", "ca_cert": "NULL", "wbuf_size": "65536", "min_version": "tlsv1.2"}
        for name, value in wanted.items():
            assert settings[b"ssl_" + name.encode()] == value.encode(), (name, settings)


def test_metrics_tell_of_it():
    if os.environ.get("SNUG_HTTP") == "absent":
        raise Skipped("this snugd has no HTTP")
    with serve("--http", "127.0.0.1:0", "-v") as server:
        address = re.search(r"http://([0-9.:]+)", server.log_text())[1]
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=HANG_S) as answer:
            said = answer.read().decode()
        for name in ("connections", "handshakes_total", "handshake_errors_total", "record_errors_total", "memory_bytes", "certificate_age_seconds"):
            assert re.search(rf"^snug_ssl_{name} \d+$", said, re.MULTILINE), name
        assert re.search(r"^snug_ssl_certificate_valid_seconds \d{4,}$", said, re.MULTILINE)


def test_without_it_openssl_is_not_loaded():
    for args, is_loaded in (((), False), (("-Z",), True)):
        server = serve() if is_loaded else Server(PROGRAM, ["-t", "1"])
        with server:
            with open(f"/proc/{server.process.pid}/maps") as maps:
                assert ("libssl" in maps.read()) == is_loaded


def test_it_ends_in_order_with_clients_in_every_state():
    for io in IOS:
        with serve(io=io) as server:
            kept = [server.connect_plainly(), server.connect(), server.connect(receive_buffer_bytes=4096)]
            kept[2].sendall(b"set k 0 0 100000\r\n" + b"v" * 100000 + b"\r\n" + b"get k\r\n" * 50)
            server.process.terminate()
            assert server.process.wait(HANG_S) == 0, server.log_text()
            for client in kept:
                client.close()


if os.environ.get("SNUG_TLS") == "absent":
    print("[==========] 0 test(s) run.")
    sys.exit(0)
sys.exit(run_tests(globals()))
