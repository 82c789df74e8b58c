#!/usr/bin/env python3
"""Tests of who may do what: the file of users, in text, in SASL and over HTTP.

    test_authentication.py SNUGD

Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import base64
import contextlib
import ctypes
import http.client
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "protocol")]
from binary_packets import *
from case import Conversation
from cases import Skipped, needs_http, run_tests
from server_process import Server
from foreground import Foreground
from waits import HANG_S, Soon, wait_until

PROGRAM = sys.argv[1]
USERS = """\
# who may use this cache

foo:bar
foo:newer bar
reader(read):r3ad
writer(write):wr1te
flusher(flush):fl0sh
half(read,write):h4lf
boss(read,write,flush,operate):b0ss
http(operate):t0ken-of-http
"""
SECRETS = ("bar", "r3ad", "wr1te", "fl0sh", "h4lf", "b0ss", "t0ken")
GO_ON = 0x21
STRANGER = b"CLIENT_ERROR unauthenticated\r\n"
REFUSED = b"CLIENT_ERROR authentication failure\r\n"
NOT_HIS = b"CLIENT_ERROR not allowed for this user\r\n"
DELAY_S = 0.5


class Served(Server):
    """With the users in a file, which may be written again."""

    opens_commands = False

    def __init__(self, users=USERS, args=()):
        self.users = tempfile.NamedTemporaryFile("w", prefix="snug-users-")
        self.write(users)
        super().__init__(PROGRAM, ["-t", "2", "-Y", self.users.name, *args])

    def __exit__(self, *what):
        super().__exit__(*what)
        self.users.close()

    def write(self, users):
        self.users.seek(0)
        self.users.truncate()
        self.users.write(users)
        self.users.flush()

    def reload(self, users, says):
        before = self.log_text().count(says)
        self.write(users)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log_text().count(says) > before, self.log_text)

    def text(self):
        return Conversation(self.connect())

    def binary(self):
        return BinaryConversation(self.connect())

    def user(self, name, password):
        client = self.text()
        client.ask(login(name, password), b"STORED\r\n")
        return client

    def sasl(self, name, password):
        client = self.binary()
        client.ask_packet(plain(name, password), value=b"Authenticated")
        return client


def login(name, password, key="auth"):
    said = f"{name} {password}".encode()
    return b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(said), said)


def plain(name, password, opcode=SASL_AUTH):
    return packet(opcode, b"PLAIN", b"\0%s\0%s" % (name.encode(), password.encode()))


def stat(client, name):
    client.send(b"stats\r\n")
    return int(re.search(rb"STAT %s (\d+)" % name.encode(), client.receive_until(b"END\r\n"))[1])


def gensalt():
    """libcrypt's; None: it has no yescrypt."""
    try:
        library = ctypes.CDLL("libcrypt.so.1")
        library.crypt.restype = library.crypt_gensalt.restype = ctypes.c_char_p
        salt = library.crypt_gensalt(b"$y$", 0, None, 0)
    except (OSError, AttributeError):
        return None
    return (library, salt) if salt else None


def yescrypt(password):
    found = gensalt()
    if found is None:
        raise Skipped("no libcrypt with yescrypt")
    return found[0].crypt(password.encode(), found[1]).decode()


# ------------------------------------------------------------------ text


def test_a_stranger_is_told_nothing():
    with Served() as server:
        user = server.user("foo", "bar")
        user.ask(b"set k 0 0 3\r\nold\r\n", b"STORED\r\n")
        client = server.text()
        for line in (b"get k", b"gets k", b"get k k k", b"gat 0 k", b"mg k v", b"mn", b"me k", b"delete k", b"incr k 1", b"touch k 0", b"md k q"):
            client.ask(line + b"\r\n", STRANGER)
        for line in (b"stats", b"stats settings", b"flush_all", b"version", b"verbosity 1", b"shutdown", b"snug limit", b"snug help", b"nonsense"):
            client.ask(line + b"\r\n", STRANGER)
        for line in (b"add k 0 0 3", b"cas k 0 0 3 1", b"append k 0 0 3", b"ms k 3", b"ms k 3 q", b"replace k 0 0 3 noreply"):
            client.ask(line + b"\r\nnew\r\n", STRANGER)
        # a value that is too large is passed over, and takes nothing with it
        client.ask(b"set k 0 0 2000000\r\n" + bytes(2000000) + b"\r\n", STRANGER)
        client.ask(b"set k 0 0 20000\r\n" + bytes(20000) + b"\r\n", b"CLIENT_ERROR auth token too long\r\n")
        client.ask(b"set k 0 0 7\r\nfoo barXY", b"CLIENT_ERROR bad command line termination\r\n")
        client.ask(b"quit\r\n", b"<eof>")
        user.ask(b"get k\r\n", b"VALUE k 0 3\r\nold\r\nEND\r\n")


def test_the_first_set_says_who():
    with Served() as server:
        for wrong in (("foo", "baR"), ("foo", "ba"), ("foo", "bar "), ("Foo", "bar"), ("nobody", "bar"), ("foo(read)", "bar"), ("foo", "")):
            client = server.text()
            begun = time.monotonic()
            client.ask(login(*wrong) + b"get k\r\n", REFUSED + STRANGER)
            assert time.monotonic() - begun >= DELAY_S, wrong
        client.ask(b"set k 0 0 3\r\nfoo\r\n", REFUSED)
        # any key, flags and time; what comes behind it waits
        client.ask(b"set any 7 9 7\r\nfoo bar\r\nset k 0 0 1\r\nx\r\nget k any\r\n", b"STORED\r\nSTORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n")
        assert stat(client, "auth_cmds") == 9 and stat(client, "auth_errors") == 8
        # from now on a set is a set
        client.ask(login("foo", "wrong", "k") + b"get k\r\n", b"STORED\r\nVALUE k 0 9\r\nfoo wrong\r\nEND\r\n")


def test_two_passwords_of_one_user():
    with Served() as server:
        server.user("foo", "bar").ask(b"mn\r\n", b"MN\r\n")
        server.user("foo", "newer bar").ask(b"mn\r\n", b"MN\r\n")


def test_however_it_is_cut():
    with Served() as server:
        client = server.text()
        for byte in login("foo", "bar") + b"mn\r\n":
            client.send(bytes([byte]))
        client.expect(b"STORED\r\nMN\r\n")
        client = server.binary()
        for byte in plain("foo", "bar") + packet(NOOP):
            client.send(bytes([byte]))
        client.hear(SASL_AUTH, value=b"Authenticated")
        client.hear(NOOP)


# ------------------------------------------------------------------ rights


def test_rights_in_text():
    with Served() as server:
        all_of_it = server.user("foo", "bar")
        all_of_it.ask(b"set k 0 0 1\r\n5\r\n", b"STORED\r\n")
        reader = server.user("reader", "r3ad")
        reader.ask(b"get k none\r\nmg k v\r\nme none\r\nstats sizes\r\n", b"VALUE k 0 1\r\n5\r\nEND\r\nVA 1\r\n5\r\nEN\r\nSTAT 32 1\r\nEND\r\n")
        for line in (b"delete k", b"touch k 0", b"gat 0 k", b"mg k N30 v", b"mg k T30 v", b"md k q", b"incr k 1", b"ma k q", b"flush_all"):
            reader.ask(line + b"\r\n", NOT_HIS)
        reader.ask(b"set k 0 0 3 noreply\r\nnew\r\nset k 0 0 3\r\nnew\r\nms k 3 q\r\nnew\r\nmn\r\n", NOT_HIS + NOT_HIS + b"MN\r\n")
        reader.ask(b"set k 0 0 2000000\r\n" + bytes(2000000) + b"\r\nset k 0 0 30000\r\n" + bytes(30000) + b"\r\n", NOT_HIS + NOT_HIS)
        writer = server.user("writer", "wr1te")
        writer.ask(b"get k k k\r\nmg k v\r\nmn\r\n", NOT_HIS + NOT_HIS + b"MN\r\n")
        writer.ask(b"set w 0 0 1\r\n1\r\nincr w 1\r\ntouch w 0\r\ndelete w\r\nflush_all\r\n", b"STORED\r\n" + NOT_HIS + NOT_HIS + b"DELETED\r\n" + NOT_HIS)
        half = server.user("half", "h4lf")
        half.ask(b"set h 0 0 1\r\n1\r\nincr h 1\r\ntouch h 0\r\nget h\r\nflush_all\r\n", b"STORED\r\n2\r\nTOUCHED\r\nVALUE h 0 1\r\n2\r\nEND\r\n" + NOT_HIS)
        all_of_it.ask(b"get k\r\n", b"VALUE k 0 1\r\n5\r\nEND\r\n")
        flusher = server.user("flusher", "fl0sh")
        flusher.ask(b"get k\r\nset k 0 0 1\r\nx\r\nflush_all\r\n", NOT_HIS + NOT_HIS + b"OK\r\n")
        all_of_it.ask(b"get k\r\n", b"END\r\n")


def test_rights_in_binary():
    with Served() as server:
        server.sasl("foo", "bar").ask_packet(store(SET, b"k", b"old"))
        reader = server.sasl("reader", "r3ad")
        reader.found(packet(GET, b"k"), b"old")
        reader.ask_packet(store(SET, b"k", b"new" * 9000), NOT_ALLOWED)
        reader.ask_packet(store(SETQ, b"k", b"new"), NOT_ALLOWED)
        reader.ask_packet(packet(DELETEQ, b"k"), NOT_ALLOWED)
        reader.ask_packet(packet(FLUSH), NOT_ALLOWED)
        reader.ask_packet(touch(GATQ, b"k", 0), NOT_ALLOWED)
        reader.found(packet(GET, b"k"), b"old")
        reader.silence()


def test_keys_are_told_to_those_who_may_read():
    with Served() as server:
        reader, writer = server.user("reader", "r3ad"), server.user("writer", "wr1te")
        for word in (b"bigkeys", b"hotkeys", b"slow"):
            writer.ask(b"snug " + word + b"\r\n", NOT_HIS)
            reader.send(b"snug " + word + b"\r\n")
            assert reader.receive_until(b"END\r\n").startswith(b"STAT "), word


def test_an_operator_is_one_on_any_connection():
    with Served() as server:
        user, boss = server.user("foo", "bar"), server.user("boss", "b0ss")
        user.ask(b"snug limit 32m\r\n", b"CLIENT_ERROR an operator's command;<any>\r\n")
        boss.ask(b"verbosity 0\r\n", b"OK\r\n")
        boss.send(b"snug limit\r\n")
        assert b"STAT limit_bytes" in boss.receive_until(b"END\r\n")
        server.sasl("foo", "bar").ask_packet(packet(VERBOSITY, extras=bytes(4)), UNKNOWN_COMMAND)
        server.sasl("boss", "b0ss").ask_packet(packet(VERBOSITY, extras=bytes(4)))


# ------------------------------------------------------------------ SASL


def test_sasl():
    with Served() as server:
        client = server.binary()
        client.ask_packet(packet(SASL_LIST), value=b"PLAIN")
        client.ask_packet(packet(VERSION), value=b"1.6.45")
        client.ask_packet(plain("foo", "wrong"), NOT_ALLOWED)
        client.ask_packet(plain("foo", "bar", SASL_STEP), NOT_ALLOWED)  # nothing was begun
        client.ask_packet(packet(SASL_AUTH, b"CRAM-MD5", b"\0foo\0bar"), NOT_ALLOWED)
        client.ask_packet(packet(SASL_AUTH, b"X" * 40, b"\0foo\0bar"), INVALID)
        client.ask_packet(packet(SASL_AUTH, b"PLAIN", b"foo bar"), NOT_ALLOWED)
        client.ask_packet(packet(SASL_AUTH, b"PLAIN", b"\0foo"), NOT_ALLOWED)
        client.ask_packet(packet(SASL_AUTH, b"PLAIN", bytes(5000)), INVALID)
        client.send(plain("foo", "bar") + store(SETQ, b"k", b"v") + packet(GET, b"k"))
        client.hear(SASL_AUTH, value=b"Authenticated")
        client.hear(GET, value=b"v", extras=bytes(4))
        counted = client.statistics()
        assert (counted[b"auth_cmds"], counted[b"auth_errors"]) == (b"6", b"5"), counted
        # who says it again, and wrongly, is a stranger
        client.ask_packet(plain("foo", "wrong"), NOT_ALLOWED)
        client.ask_packet(packet(GET, b"k"), NOT_ALLOWED)
        client.closed()
        # in two steps
        client = server.binary()
        client.ask_packet(packet(SASL_AUTH, b"PLAIN"), GO_ON, value=b"")
        client.ask_packet(plain("foo", "bar", SASL_STEP), value=b"Authenticated")
        client.found(packet(GET, b"k"), b"v")


def test_a_binary_stranger_is_hung_up_on():
    with Served() as server:
        server.sasl("foo", "bar").ask_packet(store(SET, b"k", b"old"))
        for said in (packet(GET, b"k"), packet(GETQ, b"k"), store(SET, b"k", b"new"), store(SET, b"k", bytes(2000000)), packet(STAT), packet(NOOP), packet(FLUSHQ), packet(VERBOSITY, extras=bytes(4)), packet(0x30)):
            client = server.binary()
            client.send(said)
            client.hear(said[1], NOT_ALLOWED)
            client.closed()
        server.sasl("foo", "bar").found(packet(GET, b"k"), b"old")


def test_without_users_nobody_is_asked():
    with Server(PROGRAM) as server:
        client = BinaryConversation(server.connect())
        for said in (packet(SASL_LIST), plain("foo", "bar"), plain("foo", "bar", SASL_STEP), packet(NOOP)):
            client.ask_packet(said, OK if said[1] == NOOP else UNKNOWN_COMMAND)
        told = client.statistics(b"settings")
        assert told[b"auth_enabled_ascii"] == told[b"auth_enabled_sasl"] == b"no"
        assert client.statistics()[b"snug_open_addresses"] == b"0"
        assert "reached from elsewhere" not in server.log_text()


# ------------------------------------------------------------------ the file


def test_hashes():
    with Served(f"foo:{yescrypt('secret')}\nbar:plain\n") as server:
        for _ in range(2):
            client = server.text()
            client.ask(login("foo", "Secret"), REFUSED)
            client.ask(login("foo", yescrypt("secret")), REFUSED)
            client.ask(login("foo", "secret"), b"STORED\r\n")
        server.sasl("foo", "secret")
        server.sasl("bar", "plain")
        client = server.binary()
        client.ask_packet(packet(SASL_AUTH, b"PLAIN", b"\0foo\0secret\0more"), NOT_ALLOWED)


def test_reload():
    with Served() as server:
        stays = server.user("foo", "bar")
        server.reload("other:new\n", "reload: 1 user")
        server.text().ask(login("foo", "bar"), REFUSED)
        server.user("other", "new").ask(b"mn\r\n", b"MN\r\n")
        stays.ask(b"mn\r\n", b"MN\r\n")
        server.reload("other:new\nno colon\n", "the users stay as they were")
        assert "line 2" in server.log_text() and "no colon" not in server.log_text()
        server.user("other", "new").ask(b"mn\r\n", b"MN\r\n")
        os.unlink(server.users.name)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "cannot be read" in server.log_text(), server.log_text)
        server.user("other", "new").ask(b"mn\r\n", b"MN\r\n")
        open(server.users.name, "w").close()  # for whoever removes it


def test_a_wrong_file_is_told_without_a_secret():
    for users, said in (
        ("", "names no user"),
        ("# nobody\n\n", "names no user"),
        ("foo:bar\ns3cret\n", "line 2 is not name:password"),
        (":s3cret\n", "line 1 is not name:password"),
        ("foo:\n", "line 1 is not name:password"),
        ("(read):s3cret\n", "line 1 is not name:password"),
        ("foo(red):s3cret\n", "line 1 names other rights"),
        ("foo():s3cret\n", "line 1 names other rights"),
        ("foo(read,):s3cret\n", "line 1 names other rights"),
        ("foo:" + "s3cret" * 100, "line 1 is not name:password"),
        ("foo:s3cret\n" * 5, "line 5 is the fifth of that user"),
        ("".join(f"u{i}:s3cret\n" for i in range(1025)), "line 1025 is one more"),
        ("foo:$y$s3cret\n", "line 1 has a hash"),
        ("foo:$2y$10$s3cret\n", "line 1 has a hash"),
        ("foo:$apr1$s3cretsa$lZ1s3crets3crets3crets\n", "line 1 has a hash"),
    ):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(users)
            file.flush()
            done = subprocess.run([PROGRAM, "-p", "-1", "--control", "none", "-u", pwd.getpwuid(os.geteuid()).pw_name, "-Y", file.name], capture_output=True, text=True, timeout=HANG_S)
            assert done.returncode == 64 and said in done.stderr and "s3cret" not in done.stderr, done
    done = subprocess.run([PROGRAM, "-p", "-1", "-Y", "/nowhere/users"], capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 64 and "/nowhere/users: cannot be read" in done.stderr, done


def test_what_everybody_may_read_is_warned_of():
    with Served() as server:
        os.chmod(server.users.name, 0o644)
        server.reload(USERS, "everybody on this machine may read it")


def test_open_addresses_are_warned_of():
    def told(*arguments):
        """What the log says, and the statistic, of a snugd that listens everywhere."""
        command = [PROGRAM, "-l", "0.0.0.0", "-p", "-1", "-t", "1", "--control", "none", "-u", pwd.getpwuid(os.geteuid()).pw_name, *arguments]
        with Foreground(command) as server:
            port = int(re.search(r"0\.0\.0\.0:(\d+)", server.ready)[1])
            client = Conversation(socket.create_connection(("127.0.0.1", port), HANG_S))
            if arguments:
                client.ask(login("foo", "bar"), b"STORED\r\n")
            return "can be reached from elsewhere" in "\n".join(server.said), stat(client, "snug_open_addresses")

    assert told() == (True, 1)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(USERS)
        file.flush()
        assert told("-Y", file.name) == (False, 0)


# ------------------------------------------------------------------ those who try


def test_no_secret_is_told():
    with Served(args=["-vvv"]) as server:
        client = server.text()
        client.ask(login("foo", "tried-0"), REFUSED)
        client.ask(login("tried-1", "x"), REFUSED)
        client.ask(login("foo", "bar"), b"STORED\r\n")
        client.send(b"stats settings\r\n")
        told = client.receive_until(b"END\r\n").decode() + server.log_text()
        client.send(b"stats conns\r\n")
        told += client.receive_until(b"END\r\n").decode()
        assert "authentication: 1 refused" in told, told
        for secret in (*SECRETS, "tried"):
            assert secret not in told, secret


def answers_so_far(sock):
    sock.setblocking(False)
    with contextlib.suppress(OSError):
        return sock.recv(65536).count(REFUSED)
    return 0


def test_ten_thousand_tries():
    """Each waits for its refusal, and costs nobody else anything; with the tenth of a connection it ends. There is memory for all of them to be refused at
    once, a record and a block each: where that is short for longer than 0.2 s, as on a busy machine, some are closed before their tenth."""
    connections, each = 1000, 10
    with Served(args=["-c", "2000", "--connection-memory", "64m"]) as server:
        tries = [server.connect() for _ in range(connections)]
        user = server.user("foo", "bar")
        begun, before = time.monotonic(), cpu_s(server)
        for sock in tries:
            sock.sendall(b"".join(login("foo", f"try{i}") for i in range(each + 2)))
        worst = 0
        while (errors := stat(user, "auth_errors")) < connections * each:
            asked = time.monotonic()
            user.ask(b"set k 0 0 1\r\nx\r\nget k\r\n", b"STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n")
            worst = max(worst, time.monotonic() - asked)
            assert time.monotonic() - begun < HANG_S, (errors, [answers for sock in tries if (answers := answers_so_far(sock)) != each], server.log_text())
            time.sleep(0.05)
        took_s = time.monotonic() - begun
        assert took_s >= (each - 1) * DELAY_S, took_s
        print(f"{connections * each} tries in {took_s:.1f} s, {cpu_s(server) - before:.2f} s of processor; a user waited {worst * 1000:.1f} ms at most")
        assert server.log_text().count("refused") <= 2 + took_s / 10
        for sock in tries:
            sock.settimeout(HANG_S)
            with sock.makefile("rb") as told:
                assert told.read() == REFUSED * each
            sock.close()
        assert stat(user, "auth_errors") == connections * each


def cpu_s(server):
    with open(f"/proc/{server.process.pid}/stat") as status:
        words = status.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_a_refusal_tells_nothing_by_its_time():
    """A user who is there, one who is not, a hash and none: all wait alike."""
    with Served(f"foo:{yescrypt('secret')}\nbar:plain\n") as server:
        times = {}
        for name in ("foo", "bar", "nobody"):
            client = server.text()
            begun = time.monotonic()
            client.ask(login(name, "wrong"), REFUSED)
            times[name] = time.monotonic() - begun
        assert min(times.values()) >= DELAY_S, times


def test_it_stops_in_time():
    """Though some wait to be refused, and hashes are reckoned."""
    with Served(f"foo:{yescrypt('secret')}\n") as server:
        tries = [server.connect() for _ in range(200)]
        for sock in tries:
            sock.sendall(login("foo", "wrong"))
        time.sleep(0.05)
        with Soon(5, "the end"):
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(HANG_S) == 0
        for sock in tries:
            sock.close()


def test_several_passwords_are_not_told_by_time():
    """A refusal costs as many hashes as the user has who has most, whoever is named."""
    hashes = "".join(f"foo:{yescrypt(word)}\n" for word in ("one", "two", "three", "four"))
    with Served(hashes + f"bar:{yescrypt('five')}\n") as server:
        spent = {}
        for name in ("foo", "bar", "nobody"):
            tries = [server.text() for _ in range(5)]  # of four hashes, each of which takes a twentieth of a second
            before = cpu_s(server)
            for client in tries:
                client.send(login(name, "wrong"))
            for client in tries:
                client.expect(REFUSED, name)
            spent[name] = cpu_s(server) - before
        assert max(spent.values()) < 2 * min(spent.values()), spent


def test_strangers_wait_for_strangers():
    """Many names that nobody has are in the queue; who has been in before, or whose password is plain, is let in at once; and who comes for
    the first time, from another address, at his address's turn. The secret has the two addresses in two lanes."""
    users = f"foo:{yescrypt('secret')}\nbar:plain\nnew:{yescrypt('unseen')}\n"
    with Served(users, ["-c", "3000", "--hash-secret", "0" * 32]) as server:
        server.user("foo", "secret").close()
        crowd = [server.connect() for _ in range(1000)]
        for sock in crowd:
            sock.sendall(login("nobody", "wrong"))
        for name, password in (("bar", "plain"), ("foo", "secret")):
            with Soon(5, f"{name}'s login"):
                server.user(name, password).close()
        client = server.user("bar", "plain")
        before = stat(client, "auth_errors")
        with socket.create_connection(server.address, HANG_S, source_address=("127.0.0.2", 0)) as newcomer:
            newcomer.sendall(login("new", "unseen"))
            assert newcomer.recv(100) == b"STORED\r\n"
        # in a delay of refusals more are done than are told, but not the crowd
        assert stat(client, "auth_errors") < before + 500, "he waited for the crowd"
        assert stat(client, "auth_errors") < 1000, "the crowd was not waiting"
        for sock in crowd:
            sock.close()


def test_nothing_is_reckoned_for_who_has_gone():
    """By a reset. Whoever has only finished sending may still read."""
    with Served(f"foo:{yescrypt('secret')}\nbar:{yescrypt('other')}\n", ["-c", "3000"]) as server:
        client = server.user("foo", "secret")
        before = stat(client, "auth_cmds")
        crowd = [server.connect() for _ in range(1000)]
        for sock in crowd:
            sock.sendall(login("nobody", "wrong"))
        wait_until(lambda: stat(client, "auth_cmds") == before + 1000, lambda: "they have not all asked")
        for sock in crowd:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        spent = cpu_s(server)
        with Soon(5, "a login"):
            server.user("bar", "other")
        assert cpu_s(server) - spent < 5, cpu_s(server) - spent


def test_sasl_in_one_packet_with_much_between():
    """What was parsed ahead, and is parsed again when the output has room, means the same."""
    with Served() as server:
        client = server.sasl("foo", "bar")
        value = b"v" * 3000
        client.ask_packet(store(SET, b"some", value), value=b"")
        for gets in range(15, 31):
            client.send(packet(SASL_AUTH, b"PLAIN") + packet(GET, b"some") * gets + packet(SASL_STEP, b"PLAIN", b"\0foo\0bar"))
            client.hear(SASL_AUTH, GO_ON, value=b"")
            for _ in range(gets):
                client.hear(GET, value=value, extras=b"\0\0\0\0")
            client.hear(SASL_STEP, value=b"Authenticated")


def test_clients_that_go_while_they_are_checked():
    with Served(f"foo:{yescrypt('secret')}\n") as server:
        for _ in range(50):
            with server.connect() as sock:
                sock.sendall(login("foo", "wrong"))
        server.user("foo", "secret").ask(b"mn\r\n", b"MN\r\n")


# ------------------------------------------------------------------ HTTP


def test_http_asks_the_same_users():
    needs_http()
    with Served(args=["--http", "127.0.0.1:0"]) as server:
        wait_until(lambda: "http://127.0.0.1:" in server.log_text(), server.log_text)
        found = re.search(r"http://127\.0\.0\.1:(\d+)", server.log_text())

        def act(authorization):
            connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=HANG_S)
            headers = {"X-Snug-Request": "1", **({"Authorization": authorization} if authorization else {})}
            connection.request("POST", "/api/check", headers=headers)
            status = connection.getresponse().status
            connection.close()
            return status

        def basic(said):
            return "Basic " + base64.b64encode(said.encode()).decode()

        assert act(None) == 403
        for wrong in ("Bearer", "Bearer wrong", basic("foo:bar"), basic("boss:wrong"), basic("boss"), basic(""), "Basic ?"):
            begun = time.monotonic()
            assert act(wrong) == 403 and time.monotonic() - begun >= DELAY_S, wrong
        for right in ("Bearer t0ken-of-http", basic("boss:b0ss"), basic("http:t0ken-of-http")):
            assert act(right) == 200, right

        server.text().ask(login("foo", "wrong"), REFUSED)
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=HANG_S)
        connection.request("GET", "/metrics")
        told = connection.getresponse().read().decode()
        connection.close()
        # of HTTP ten tries, six of them wrong: foo's password is right, but he may not operate
        for line in ("snug_auth_commands_total 11", "snug_auth_errors_total 7", "snug_open_addresses 0"):
            assert line in told.split("\n"), line


if __name__ == "__main__":
    sys.exit(run_tests(globals()))
