#!/usr/bin/env python3
"""Tests of snugctl against a running snugd, and so of snugd's own commands: forms, exit status, effects.

    test_snugctl.py SNUGCTL SNUGD

Prints as the cmocka programs do, because tests/run_tests.sh counts cases by these lines.
"""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import Skipped, run_tests
from foreground import Foreground
from waits import HANG_S, Soon, wait_until

SNUGCTL, SNUGD = sys.argv[1:3]
KIB = 1 << 10
MIB = 1 << 20

DONE, REFUSED, USAGE, UNREACHABLE, FOUND = range(5)


class Server(Foreground):
    """snugd on a unix socket, without a background that would clean up before it is asked to."""

    def __init__(self, *arguments):
        self.directory = tempfile.TemporaryDirectory(prefix="snugctl-")
        self.socket = os.path.join(self.directory.name, "socket")
        user = ["-u", "root"] if os.geteuid() == 0 else []
        super().__init__([SNUGD, "-s", self.socket, "-m", "64", "-t", "2", "--defrag", "off", *user, *arguments])

    def __exit__(self, *what):
        super().__exit__(*what)
        self.directory.cleanup()

    def ctl(self, *words, status=DONE):
        return ctl("-s", self.socket, *words, status=status)

    def json(self, *words, status=DONE):
        return json.loads(self.ctl("--json", *words, status=status).stdout)

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(HANG_S)
        client.connect(self.socket)
        return client

    def ask(self, line):
        """The answer's lines, as they came."""
        with self.connect() as client:
            client.sendall(line.encode() + b"\r\nmn\r\n")
            answer = b""
            while not answer.endswith(b"MN\r\n"):
                answer += client.recv(65536)
            return answer.decode().split("\r\n")[:-2]

    def store(self, names, value_bytes):
        value = b"x" * value_bytes
        with self.connect() as client:
            names = list(names)
            for begin in range(0, len(names), 100):
                part = names[begin : begin + 100]
                client.sendall(b"".join(b"set %s 0 0 %d noreply\r\n%s\r\n" % (n.encode(), value_bytes, value) for n in part))
            client.sendall(b"mn\r\n")
            assert client.recv(100) == b"MN\r\n"

    def delete(self, names):
        with self.connect() as client:
            client.sendall(b"".join(b"delete %s noreply\r\n" % n.encode() for n in names) + b"mn\r\n")
            assert client.recv(100) == b"MN\r\n"

    def fragment(self):
        self.store((f"k{i}" for i in range(100000)), 200)
        self.delete(f"k{i}" for i in range(100000) if i % 4 > 0)

    def resident_bytes(self):
        """Counted page by page: the kernel's sum in statm may be late by some hundred KiB for each processor."""
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as file:
            return int(re.search(r"Rss:\s+(\d+) kB", file.read()).group(1)) * KIB


def ctl(*arguments, status=DONE):
    done = subprocess.run([SNUGCTL, *arguments], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert status is None or done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def test_help_and_version():
    assert "emergency BYTES" in ctl("--help").stdout
    assert re.fullmatch(r"snugctl \d+\.\d+\.\d+\n", ctl("--version").stdout)


def test_wrong_use():
    for words in ([], ["--nonsense"], ["--timeout", "0", "check"], ["--timeout", "1x", "check"], ["--rounds", "0", "top"], ["--rounds", "1x", "top"], ["-p", "+1", "check"], ["foo\r\nflush_all"]):
        with Server() as server:
            server.ctl(*words, status=USAGE)


def test_wrong_use_says_what_is_wrong():
    for words, sentence in (
        (["-p", "0", "check"], "'0' is not a port from 1 to 65535"),
        (["--timeout", "1x", "check"], "'1x' is not a time of more than 0 and at most 1000000 seconds"),
        (["top", "--rounds", "-1"], "'-1' is not a number from 1 on"),
        (["check", "--s"], "--s: could be --server, --svg"),
        (["check", "-qj"], "-q: unknown option"),
        (["check", "--json=1"], "--json: takes no value"),
        (["check", "--svg"], "--svg: needs a value"),
        ([], "which command? --help lists them"),
        (["chekc"], "'chekc' is not a command; --help lists them"),
        (["estimat"], "'estimat' is not a command"),
        (["--json", "top"], "--json is not for top"),
        (["--json", "dump"], "--json is not for dump"),
        (["--svg", "x", "check"], "--svg is for map alone"),
        (["--rounds", "3", "stats"], "--rounds is for top alone"),
        (["--interval", "3", "stats"], "--interval is for top alone"),
        (["--rate", "1m", "top"], "--rate is for dump and load alone"),
        (["--login", "x", "top"], "--login is for dump and load alone"),
        (["--from", "0 0", "load"], "--from is for dump alone"),
    ):
        assert ctl(*words, status=USAGE).stderr.startswith(f"snugctl: {sentence}"), words


def test_words_that_do_not_fit_need_no_server():
    for wrong in ("limit x", "limit 24 m", "limit 1m 2m", "emergency", "emergency evict", "emergency 1m evict evict", "estimate now", "defrag ms", "defrag ms 1x",
                  "defrag bytes 1k bytes 2k", "schedule", "schedule 02:00", "schedule 2:00-4:00", "schedule every", "schedule every 1k", "schedule every 1500ms",
                  "schedule 02:00-04:00 target", "cancel", "cancel x", "report x", "report 1 2", "bigkeys x", "bigkeys 5 delimiter", "bigkeys 5 5", "hotkeys x",
                  "verbosity", "verbosity x", "flush_all x"):  # fmt: skip
        said = ctl("-s", "/no/such/socket", *wrong.split(), status=USAGE).stderr
        name = wrong.split()[0]
        assert said.startswith(f"snugctl: {name} does not take these words; it is used so:\n  {name}"), said
    for alone in ("schedules", "metrics", "latency", "slow", "map", "doctor", "memory", "sizes", "check", "top", "dump", "load"):
        assert ctl("-s", "/no/such/socket", alone, "more", status=USAGE).stderr == f"snugctl: {alone} takes no more words\n"
    for right in ("limit", "limit 1.5g", "emergency 64MiB evict", "estimate compact", "defrag", "defrag return ms 5 bytes 64k", "schedule 02:00-04:00 target 2.5%", "schedule every 1.5m",
                  "cancel 7", "report", "report 3", "bigkeys 20 delimiter /", "bigkeys delimiter / 20", "hotkeys 3", "verbosity 1", "flush_all", "flush_all 5", "stats", "clients idle 1h", "shutdown"):  # fmt: skip
        assert ctl("-s", "/no/such/socket", *right.split(), status=UNREACHABLE).stderr.startswith("snugctl: /no/such/socket: "), right


def test_help_fits_a_terminal():
    for text in (ctl("--help").stdout, ctl("help").stdout):
        assert max(map(len, text.splitlines())) <= 80, text


def test_what_cannot_be_written_is_no_success():
    with Server() as server, open("/dev/full", "w") as full:
        for words in (["--help"], ["-s", server.socket, "stats"], ["-s", server.socket, "top", "--rounds", "1"]):
            done = subprocess.run([SNUGCTL, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=HANG_S)
            assert done.returncode == REFUSED and done.stderr == "snugctl: standard output: No space left on device\n", (words, done)


def test_headings_are_words():
    with Server("-t", "2") as server:
        shown = server.ctl("metrics").stdout
        assert "\nworker 1\n" in shown and "\nworker 1, small pool\n" in shown, shown
        server.ctl("schedule", "03:00-05:00")
        shown = server.ctl("schedules").stdout
        assert shown.startswith("schedule ") and re.search(r"next_time +\d{4}-\d\d-\d\d 0[3-5]:\d\d:\d\d\n", shown), shown


def test_memory_adds_up():
    beside = {"snug_limit_bytes", "snug_memory_used_bytes", "snug_memory_peak_bytes", "snug_resident_bytes", "snug_resident_peak_bytes", "snug_buffer_bytes", "snug_http_bytes", "snug_answer_bytes", "snug_log_bytes"}
    with Server() as server:
        server.fragment()
        figures = server.json("memory")
        parts = {name for name in figures if name not in beside}
        assert parts == {name for name in server.json("stats") if re.fullmatch("snug_memory_.*_bytes", name)} - beside, parts
        assert sum(figures[name] for name in parts) == figures["snug_memory_used_bytes"] <= figures["snug_memory_peak_bytes"], figures
        assert figures["snug_memory_values_bytes"] == 25000 * 200 and figures["snug_memory_holes_bytes"] > 10 * MIB, figures
        assert 0 < figures["snug_resident_bytes"] <= figures["snug_resident_peak_bytes"] < 1 << 40, figures
        shown = server.ctl("memory").stdout
        assert re.search(r"^  values +4\.77 MiB +7\.5 %$", shown, re.M) and max(map(len, shown.splitlines())) <= 80, shown
        assert server.ctl("memory", "more", status=USAGE).stderr == "snugctl: memory takes no more words\n"


def test_doctor_finds_what_is_wrong():
    """Of what is there for certain: the machine may have something of its own."""
    with Server("-M", "-m", "8") as server:
        with server.connect() as client:
            client.sendall(b"".join(b"set k%d 0 0 100000\r\n%s\r\n" % (i, b"x" * 100000) for i in range(100)) + b"set large 0 0 2000000\r\n" + b"x" * 2000000 + b"\r\nmn\r\n")
            answer = b""
            while not answer.endswith(b"MN\r\n"):
                answer += client.recv(65536)
        refused = answer.count(b"out of memory")
        found = server.json("doctor", status=FOUND)
        names = {found[f"{i}:finding"]: i for i in range(found["findings"])}
        assert refused > 10 and {"no_room", "too_large"} <= set(names) and found["checks"] > 20, found
        sentence = found[f"{names['no_room']}:what"]
        assert sentence.startswith(f"{refused} stores refused in the last ") and sentence.endswith(" no room within the limit of 8.00 MiB, and nothing is evicted (-M)"), sentence
        shown = server.ctl("doctor", status=FOUND).stdout
        assert " 1. " in shown and "\n     -> raise the limit" in shown and max(map(len, shown.splitlines())) < 80, shown
        without_time = [re.sub(r"last \d+ s", "last", re.sub(r"\s+", " ", text)) for text in (shown, sentence)]
        assert without_time[0].count(without_time[1]) == 1, shown
        server.ask("stats reset")
        healthy = server.json("doctor", status=None)
        assert not {"no_room", "too_large"} & {healthy[f"{i}:finding"] for i in range(healthy["findings"])}, healthy
        if healthy["findings"] == 0:
            assert re.fullmatch(r"nothing is wrong: \d+ checks\n", server.ctl("doctor", status=None).stdout)


def groups(answer, group):
    """"prefix:0:name": "user" as [{"name": "user", ..}, ..]."""
    found = {}
    for name, value in answer.items():
        if re.fullmatch(rf"{group}:[0-9]+:\w+", name):
            _, number, field = name.split(":")
            found.setdefault(int(number), {})[field] = value
    return [found[number] for number in sorted(found)]


def store_hostile(server):
    """Prefixes without number, keys of 250 bytes, binary ones, and such as have no prefix."""
    server.store((f"user:{i}" for i in range(3000)), 100)
    server.store((f"p{i}:x" for i in range(5000)), 10)
    server.store((f"none{i}" for i in range(50)), 10)
    server.store(["K" * 250, ":" + "e" * 249, ":" * 250], 5000)
    with server.connect() as client:
        client.sendall(b"ms AAEgJQo6/w== 6000 b\r\n" + b"x" * 6000 + b"\r\nset t:1 0 3600 1\r\nx\r\nmn\r\n")
        wait_until(lambda: client.recv(100).endswith(b"MN\r\n"))


def test_bigkeys_and_sizes():
    with Server() as server:
        store_hostile(server)
        found = server.json("bigkeys", "5")
        assert found["items"] == 3000 + 5000 + 50 + 3 + 2, found
        user_bytes = sum(3 + len(f"user:{i}") + 100 for i in range(3000))
        largest, prefixes = groups(found, "largest"), groups(found, "prefix")
        assert len(largest) == 5 and largest[0]["key"] == "%00%01%20%25%0A:%FF" and 6007 < largest[0]["bytes"] < 6040, largest
        assert {item["key"] for item in largest[1:4]} == {"K" * 250, ":" + "e" * 249, ":" * 250}, largest
        assert prefixes[0]["name"] == "user" and prefixes[0]["bytes"] <= user_bytes <= prefixes[0]["bytes"] + prefixes[0]["error_bytes"] and prefixes[0]["items"] > 2900, prefixes
        assert sum(prefix["items"] for prefix in prefixes) + found["others:items"] + found["without:items"] == found["items"], found
        assert sum(prefix["bytes"] for prefix in prefixes) + found["others:bytes"] + found["without:bytes"] == found["bytes"], found
        assert found["without:items"] == 51 and {"", "%00%01%20%25%0A"} <= {prefix["name"] for prefix in prefixes}, prefixes
        for steps in ("size", "ttl"):
            assert sum(found[name] for name in found if re.fullmatch(f"{steps}:\\w+:items", name)) == found["items"], found
        assert found["ttl:3600:items"] == 1 and found["ttl:never:items"] == found["items"] - 1, found
        assert server.json("bigkeys", "0", "delimiter", "x")["without:items"] == 3000 + 50 + 3 + 2, "those of p.. end in x"
        shown = [server.ctl("bigkeys").stdout, server.ctl("sizes").stdout]
        assert re.search(r"^  user +\d,\d{3} +\d+\.\d KiB +\d\d\.\d %$", shown[0], re.M) and "(without a delimiter)" in shown[0], shown[0]
        assert re.search(r"^  up to 1 h +1 ", shown[1], re.M) and re.search(r"^  never expires +8,054 ", shown[1], re.M), shown[1]
        assert max(len(line) for text in shown for line in text.splitlines()) < 80, shown
        for words in (["101"], ["delimiter", "xy"]):
            assert "usage: snug bigkeys" in server.ctl("bigkeys", *words, status=USAGE).stderr, words


def test_hotkeys():
    with Server("-t", "1") as server:
        assert server.json("hotkeys") == {"samples": 0, "commands": 0, "missing_commands": 1006}
        server.ctl("hotkeys")
        with server.connect() as client:
            for i in range(200):
                client.sendall(b"".join(b"get hot key%d\r\n" % (i * 500 + j) for j in range(500)) + b"mn\r\n")
                answer = b""
                while not answer.endswith(b"MN\r\n"):
                    answer += client.recv(65536)
        found = server.json("hotkeys", "3")
        commands = 200 * 500 * 2
        assert commands * 0.5 < found["commands"] < commands * 1.5, found
        first = groups({f"key:{name}": value for name, value in found.items()}, "key")[0]
        assert first["key"] == "hot" and first["least_commands"] <= first["commands"] <= first["most_commands"], found
        assert 0.25 < first["commands"] / found["commands"] < 0.75 and first["changing_commands"] == 0, found
        shown = server.ctl("hotkeys").stdout
        assert re.search(r"^  hot +\d+,\d{3} +\d\d\.\d % ", shown, re.M) and max(map(len, shown.splitlines())) < 80, shown
        assert "usage: snug hotkeys" in server.ctl("hotkeys", "101", status=USAGE).stderr


def test_keys_are_told_where_items_are():
    for option in ("-X", "--control-only"):
        with Server(option) as server:
            for word in ("bigkeys", "hotkeys", "slow"):
                assert server.ask(f"snug {word}")[0].startswith("CLIENT_ERROR an operator's command"), (option, word)
                server.ctl(word)  # finds the control socket


def test_no_server():
    with tempfile.TemporaryDirectory() as directory:
        assert "No such file" in ctl("-s", directory + "/none", "check", status=UNREACHABLE).stderr


def test_a_server_that_does_not_answer():
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(directory + "/silent")
        silent.listen(1)
        begin = time.monotonic()
        with Soon(10, "a time-out of 0.3 s"):
            ctl("-s", directory + "/silent", "--timeout", "0.3", "check", status=UNREACHABLE)
        assert time.monotonic() - begin > 0.2


def test_a_server_that_answers_in_drops():
    """The time-out is the whole answer's."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as slow:
        slow.bind(directory + "/slow")
        slow.listen(1)
        asker = subprocess.Popen([SNUGCTL, "-s", directory + "/slow", "--timeout", "0.5", "check"], stderr=subprocess.PIPE)
        client, _ = slow.accept()
        with Soon(5, "a time-out of 0.5 s"):
            while asker.poll() is None:
                try:
                    client.sendall(b"S")
                except OSError:
                    break
                time.sleep(0.1)
            assert asker.wait(HANG_S) == UNREACHABLE
        asker.stderr.close()
        client.close()


def test_estimate_is_what_defrag_gains():
    with Server() as server:
        server.fragment()
        estimate = server.json("estimate")
        assert estimate["reclaimable_bytes"] > 8 * MIB, estimate
        report = server.json("defrag")
        assert report["result"] == "ok" and report["complete"] == "yes", report
        assert report["reclaimed_bytes"] == estimate["reclaimable_bytes"], (estimate, report)
        assert 0 < report["moved_objects"] <= estimate["moves"], (estimate, report)
        assert report["external_fragmentation_after"] < report["external_fragmentation_before"] / 4, report
        assert server.json("estimate")["reclaimable_bytes"] == 0
        again = server.json("defrag")
        assert again["reclaimed_bytes"] == 0 and again["outcome"].startswith("nothing"), again
        table = server.ctl("report").stdout
        assert "defragment demand caller" in table and "MiB" in table, table


def test_lines_without_a_name_are_told_as_json():
    with Server() as server:
        assert server.json("stats", "detail", "on") == {}, "OK is what the status says"
        for line in ("set a:1 0 0 1\r\nx", "get a:1", "get error:1", "get :1"):
            server.ask(line)
        missed = {"get": 1, "hit": 0, "set": 0, "del": 0}
        assert server.json("stats", "detail", "dump") == {"prefixes": {"a": {"get": 1, "hit": 1, "set": 1, "del": 0}, "error": missed, "": missed}}
        assert server.json("stats", "cachedump", "1", "0") == {"lines": ["ITEM a:1 [1 b; 0 s]"]}


def test_json_is_utf8_whatever_a_setting_is():
    with Server("--http-host", "caf\u00e9,\udcff\"", "--http-host", "\x01\\") as server:
        assert server.json("stats", "settings")["http_host"] == 'caf\u00e9,\ufffd",\x01\\'


# Escape, a sequence that renames the window, the same begun by one byte, delete, a line's begin, and what is no UTF-8.
HOSTILE = b"\x1b[2J\x1b]0;mine\x07 \xc2\x9b31m \x7f\x08 a\rb \xff\x9b caf\xc3\xa9"
SHOWN = "\\x1b[2J\\x1b]0;mine\\x07 \\xc2\\x9b31m \\x7f\\x08 a\\x0db \\xff\\x9b caf\u00e9"


def ask_hostile(answer, *words):
    """What snugctl prints and what it says besides, as bytes, of a server that answers each request with that."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as server:
        path = directory + "/hostile"
        server.bind(path)
        server.listen(1)
        asker = subprocess.Popen([SNUGCTL, "-s", path, "--timeout", "5", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        client, _ = server.accept()
        for _ in client.makefile("rb"):  # a line, in however many pieces it comes
            try:
                client.sendall(answer)
            except BrokenPipeError:  # the asker has heard enough
                break
        shown, said = asker.communicate(timeout=HANG_S)
        client.close()
        return shown, said


def test_an_answer_without_end_is_cut_off():
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as server:
        path = directory + "/endless"
        server.bind(path)
        server.listen(1)
        asker = subprocess.Popen([SNUGCTL, "-s", path, "stats"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        client, _ = server.accept()
        sent = 0
        try:
            while sent < 512 << 20:
                sent += client.send(b"STAT name value\r\n" * 4096)
        except OSError:  # it has heard enough
            pass
        client.close()
        _, said = asker.communicate(timeout=HANG_S)
        assert sent < 256 << 20 and asker.returncode == UNREACHABLE and said.startswith("snugctl: the answer is longer than"), (sent, said)


def test_a_shutdown_that_is_refused_tells_where_it_is_taken():
    with Server("--control", "none") as server:
        said = server.ctl("shutdown", status=REFUSED).stderr
        assert said.startswith("snugctl: SERVER_ERROR: shutdown not enabled\n") and "control socket" in said, said


def test_a_terminal_gets_no_control_bytes():
    stat, line = b"STAT 0:%s %s\r\nSTAT snug_version %s\r\n" % (HOSTILE.replace(b" ", b"_"), HOSTILE, HOSTILE), HOSTILE + b"\r\n"
    answers = [stat + line + b"END\r\n", b"SERVER_ERROR " + line, b'STAT 0:map_stride_pages 1\r\nMAP 0 {"' + line + b"END\r\n"]
    for answer in answers:
        for words in (["stats"], ["metrics"], ["check"], ["map"], ["shutdown"], ["top", "--rounds", "1"]):
            for form in ([],) if words[0] == "top" else ([], ["--json"]):  # top has no JSON
                shown = b"".join(ask_hostile(answer, *form, *words))
                assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", shown), (words, form, shown)
                shown.decode()


def test_what_is_escaped_is_told():
    shown, _ = ask_hostile(b"STAT name " + HOSTILE + b"\r\nEND\r\n", "stats")
    assert shown.decode().split(maxsplit=1)[1].rstrip("\n") == SHOWN, shown
    _, said = ask_hostile(b"SERVER_ERROR " + HOSTILE + b"\r\n", "stats")
    assert said.decode() == f"snugctl: SERVER_ERROR {SHOWN}\n", said


def test_a_budget_makes_it_partial():
    with Server() as server:
        server.fragment()
        report = server.json("defrag", "bytes", "64k", status=REFUSED)
        assert report["complete"] == "no" and 0 < report["moved_bytes"] < MIB, report
        assert server.json("defrag", "coalesce")["moved_objects"] == 0


def test_emergency():
    with Server() as server:
        server.fragment()
        server.store((f"more{i}" for i in range(20000)), 1000)
        report = server.json("emergency", "4m")
        assert report["returned_bytes"] >= 4 * MIB and report["evicted_bytes"] == 0, report
        assert report["asked_bytes"] == 4 * MIB <= report["possible_bytes"] and "why" not in report, report
        estimate = server.json("estimate")
        server.json("emergency", str(estimate["free_bytes"] + estimate["reclaimable_bytes"]))
        items = server.json("stats")["curr_items"]
        for words in (("8m",), ("60m", "evict")):
            refused = server.json("emergency", *words, status=REFUSED)
            assert refused["result"].startswith("refused") and "nothing was changed" in refused["why"], refused
            assert refused["possible_bytes"] < refused["asked_bytes"], refused
            assert refused["returned_bytes"] == refused["moved_objects"] == refused["evicted_items"] == 0, refused
        assert server.json("stats")["curr_items"] == items
        report = server.json("emergency", "8m", "evict")
        assert report["returned_bytes"] >= 8 * MIB and report["evicted_bytes"] > 4 * MIB, report
        assert server.json("stats")["curr_items"] == items - report["evicted_items"], report
        assert "error" in server.json("emergency", "1g", status=REFUSED)
        assert server.json("report", "1"), "the refusal is on record"


def test_an_emergency_makes_rss_fall():
    """By what was asked for, with what the answer says, and not a moment later; also where the heap holds few units of 2 MiB."""
    for threads, memory in ((1, 32), (2, 32), (3, 12)):
        with Server("-t", str(threads), "-m", str(memory)) as server:
            server.store((f"k{i}" for i in range(memory * 1400)), 1000)
            assert server.json("stats")["evictions"] > 0
            server.json("emergency", "64k", "evict")  # the first one touches what it needs itself, some hundred KiB
            for asked in (MIB // 4, 2 * MIB, memory * MIB // 4):
                resident, items = server.resident_bytes(), server.json("stats")["curr_items"]
                report = server.json("emergency", str(asked), "evict")
                fallen = resident - server.resident_bytes()
                assert asked <= report["returned_bytes"] < asked + threads * 64 * KIB, report
                assert abs(fallen - report["returned_bytes"]) < 256 * KIB, (threads, asked, fallen, report)
                assert report["evicted_bytes"] < asked + MIB // 4, report
                assert items - server.json("stats")["curr_items"] == report["evicted_items"], report
            server.ctl("check")


def test_what_is_free_goes_first():
    """Deleted items leave free memory: an emergency returns that, and nothing is evicted for it."""
    with Server("-t", "1", "-m", "48") as server:
        server.store((f"k{i}" for i in range(45000)), 1000)
        server.delete(f"k{i}" for i in range(45000) if i % 3 > 0)
        items, resident = server.json("stats")["curr_items"], server.resident_bytes()
        estimate = server.json("estimate")
        assert estimate["free_bytes"] + estimate["reclaimable_bytes"] > 24 * MIB, estimate
        report = server.json("emergency", "20m", "evict")
        assert report["returned_bytes"] >= 20 * MIB and report["evicted_items"] == 0, report
        assert server.json("stats")["curr_items"] == items
        assert resident - server.resident_bytes() > 20 * MIB - 256 * KIB, (resident, server.resident_bytes())


def test_nothing_is_evicted_with_M():
    with Server("-M", "-t", "1", "-m", "16") as server:
        server.store((f"k{i}" for i in range(10000)), 1000)
        items = server.json("stats")["curr_items"]
        refused = server.json("emergency", "8m", "evict", status=REFUSED)
        assert "nothing is evicted" in refused["error"], refused
        assert server.json("emergency", "10m", status=REFUSED)["evicted_items"] == 0
        assert server.json("stats")["curr_items"] == items


def test_a_lower_limit_evicts_nothing_with_M():
    """It is approached by packing; what is missing is told, and shrinks as items go. All else goes on."""
    with Server("-M", "-t", "2", "-m", "32") as server:
        server.store((f"k{i}" for i in range(60000)), 200)
        server.delete(f"k{i}" for i in range(60000) if i % 2)
        full, items = server.resident_bytes(), 30000
        told = server.json("limit", "4m")
        assert told["limit_goal_bytes"] == 4 * MIB and told["missing_bytes"] > MIB and "-M" in told["missing"], told
        # Packed, 30,000 items take 9.02 to 9.03 MiB, by where random hashes put them; they took 15.2 before.
        wait_until(lambda: server.json("limit")["used_bytes"] <= 9.2 * MIB, lambda: server.json("limit"))
        told, stats = server.json("limit"), server.json("stats")
        assert abs(told["used_bytes"] - told["limit_goal_bytes"] - told["missing_bytes"]) < MIB // 4, told
        assert stats["curr_items"] == items and stats["evictions"] == 0, stats
        assert full - server.resident_bytes() > 4 * MIB, (full, server.resident_bytes())
        with server.connect() as client:
            wire = client.makefile("rwb")
            for line, answer in (
                (b"set new 0 0 5000\r\n" + b"x" * 5000 + b"\r\n", b"SERVER_ERROR out of memory storing object\r\n"),
                (b"mg k2 s\r\n", b"HD s200\r\n"),
                (b"touch k2 0\r\n", b"TOUCHED\r\n"),
                (b"delete k2\r\n", b"DELETED\r\n"),
            ):
                wire.write(line)
                wire.flush()
                assert wire.readline() == answer, line
        server.delete(f"k{i}" for i in range(0, 60000, 2) if i % 12 > 0)
        until = time.monotonic() + HANG_S
        while "missing" in (told := server.json("limit")) or told["limit_bytes"] > 4 * MIB:
            assert time.monotonic() < until, told
            time.sleep(0.05)
        assert told["used_bytes"] <= 4 * MIB and told["missing_bytes"] == 0, told
        assert server.json("stats")["evictions"] == 0
        server.store(["new"], 5000)
        assert server.ask("mg new s") == ["HD s5000"]
        server.ctl("check")


def test_a_lower_limit_lowers_what_is_resident():
    with Server() as server:
        server.store((f"k{i}" for i in range(300000)), 200)
        full = server.resident_bytes()
        assert server.json("stats")["evictions"] > 0
        assert server.json("limit", "24m")["limit_goal_bytes"] == 24 * MIB
        until = time.monotonic() + HANG_S
        while server.json("limit")["limit_bytes"] > 24 * MIB or server.resident_bytes() > full - 32 * MIB:
            assert time.monotonic() < until, (server.json("limit"), full, server.resident_bytes())
            time.sleep(0.05)
        limit = server.json("limit")
        assert limit["used_bytes"] <= 24 * MIB and limit["limit_max_bytes"] == 64 * MIB, limit
        assert int(server.json("stats")["limit_maxbytes"]) == 24 * MIB
        for wrong in ("65m", "100k", "0"):
            assert "error" in server.json("limit", wrong, status=REFUSED), wrong
        assert server.json("limit")["limit_goal_bytes"] == 24 * MIB
        server.ctl("check")


def test_schedules():
    with Server() as server:
        server.fragment()
        name = server.json("schedule", "every", "1s", "target", "5")["schedule"]
        until = time.monotonic() + HANG_S
        while "scheduled schedule" not in server.ctl("report", "50").stdout:
            assert time.monotonic() < until
            time.sleep(0.1)
        told = server.json("schedules")
        while not (told[f"{name}:runs"] >= 1 and told[f"{name}:reclaimed_bytes"] > 0):
            assert time.monotonic() < until
            time.sleep(0.1)
            told = server.json("schedules")
        assert told[f"{name}:when"] == "every 1 s" and told[f"{name}:last_result"] == "ok", told
        assert 0 < told[f"{name}:last_time"] <= told[f"{name}:next_time"] <= time.time() + 2, told
        assert "every 1 s" in server.ctl("schedules").stdout
        server.ctl("cancel", name)
        assert server.json("schedules") == {}
        server.ctl("cancel", name, status=REFUSED)
        server.ctl("cancel", server.json("schedule", "02:00-04:00")["schedule"])
        server.ctl("cancel", server.json("schedule", "every", "30m", "target", "0")["schedule"])
        server.ctl("schedule", "02:00-02:00", status=REFUSED)
        for wrong in ("25:00-26:00", "every 0", "02:00-04:00 target 100"):
            server.ctl("schedule", *wrong.split(), status=USAGE)
        name = server.json("schedule", "every", "1.5m", "target", "2.5%")["schedule"]
        told = server.json("schedules")
        assert told[f"{name}:when"] == "every 90 s" and told[f"{name}:target_percent"] == 2.5, told


def test_map():
    with Server() as server:
        assert "nothing is in use" in server.ctl("map").stdout
        server.fragment()
        text = server.ctl("map").stdout
        assert text.count("worker") == 2 and text.count("|") >= 4, text
        for worker in server.json("map")["workers"]:
            pages = worker["map"]["pages"]
            slots = sum(page.get("live", 0) for page in pages)
            assert 10000 < slots < 30000, slots
            assert all(page["page"] == number for number, page in enumerate(pages))
        picture = os.path.join(server.directory.name, "map.svg")
        server.ctl("map", "--svg", picture)
        assert len(list(xml.etree.ElementTree.parse(picture).getroot())) > 8
        server.ctl("map", "--svg", server.directory.name + "/no/such", status=REFUSED)


def test_a_large_map_is_a_sample():
    """4 GiB of address space, of which each n-th page is shown: the answer does not grow."""
    with Server("-m", "1024", "--memory-max", "1024") as server:
        server.store((f"k{i}" for i in range(400000)), 900)
        lines = server.ask("snug map")
        assert re.fullmatch(r"STAT 0:map_stride_pages \d+", lines[0]), lines[0]
        stride = int(lines[0].split()[-1])
        assert lines[1].startswith("MAP 0 {") and sum(map(len, lines)) < 8192 * 160
        pages = json.loads(lines[1].split(" ", 2)[2])["pages"]
        assert stride > 1 and [page["page"] for page in pages] == list(range(0, len(pages) * stride, stride)), stride
        assert sum(page["state"] == "slab" for page in pages) * stride * 32768 > 100 * MIB
        assert server.ctl("map").stdout.count("█") + server.ctl("map").stdout.count("#") > 100


def test_metrics_and_check():
    with Server() as server:
        server.store((f"k{i}" for i in range(1000)), 300)
        metrics = server.json("metrics")
        assert metrics["0:items"] + metrics["1:items"] == 1000, metrics
        for worker in (0, 1):
            payload, slots = metrics[f"{worker}:small:payload_bytes"], metrics[f"{worker}:small:slot_bytes"]
            assert 100000 < payload <= slots <= metrics[f"{worker}:small:slab_bytes"], metrics
        assert server.json("check") == {"0:check": "ok", "1:check": "ok"}


def test_a_broken_law_is_no_success():
    """A server that says so, since snugd does not break."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as false:
        false.bind(directory + "/false")
        false.listen(1)
        asker = subprocess.Popen([SNUGCTL, "-s", directory + "/false", "check"], stdout=subprocess.PIPE)
        client, _ = false.accept()
        client.recv(100)
        client.sendall(b"STAT 0:check ok\r\nSTAT 1:check law S1 broken: stored 3, counted 4\r\nEND\r\n")
        assert b"law S1" in asker.communicate(timeout=HANG_S)[0] and asker.returncode == REFUSED
        client.close()


def test_a_long_answer_behind_others_that_are_not_there_yet():
    """It does not fit into what keeps answers in their order; some of the sets belong to the other worker."""
    with Server() as server, server.connect() as client:
        for _ in range(40):
            server.ask("snug estimate")
        client.sendall(b"".join(b"set k%d 0 0 1\r\nx\r\n" % i for i in range(10)) + b"snug report 40\r\nmn\r\n")
        answer = b""
        while not answer.endswith(b"MN\r\n"):
            part = client.recv(65536)
            assert part, f"closed after {answer}"
            answer += part
        assert answer.startswith(b"STORED\r\n" * 10 + b"STAT ") and answer.count(b":request estimate") == 40, answer


def test_stats_forms():
    with Server("--open-commands") as server:
        stats = server.json("stats")
        assert stats["pid"] == server.process.pid and stats["threads"] == 2 and stats["snug_internal_fragmentation"] == 0, stats
        assert server.ask("stats reset") == ["RESET"] and server.ask("verbosity 1") == ["OK"] and server.ask("flush_all") == ["OK"]
        assert server.ask("snug") == server.ask("snug foo") == ["CLIENT_ERROR no such snug command; snug help lists them"]
        assert server.ask("snug cancel 5")[0].startswith("CLIENT_ERROR ")
        assert server.ask("snug help")[-1] == "END"
    with Server("-F") as server:
        assert server.ask("flush_all") == ["CLIENT_ERROR flush_all not allowed"]


def test_top_in_a_pipe():
    with Server() as server:
        server.store((f"k{i}" for i in range(1000)), 300)
        shown = server.ctl("top", "--rounds", "2", "--interval", "0.1").stdout
        assert shown.count("connections") == 2 and "\033" not in shown, shown
        assert max(map(len, shown.splitlines())) <= 80, shown
        for word in ("hit rate", "internal", "external", "reclaimable", "evictions/s", "latency", "resident", "stores refused so far 0"):
            assert word in shown, (word, shown)
        # Rates are known from the second look on; both workers have items and were busy.
        looks = shown.split("snugd ")[1:]
        assert "gets/s -   sets/s -" in looks[0] and re.search(r"gets/s \d+   sets/s \d+", looks[1]), shown
        for look, busy in zip(looks, ("-", r"\d+\.\d %")):
            workers = re.findall(rf"^([01]) +{busy} +\S+ +\S+ +(\d+) +\S+ [mun]?s$", look, re.M)
            assert [number for number, _ in workers] == ["0", "1"] and sum(int(items) for _, items in workers) == 1000, look


def test_waiting_shows_on_a_terminal_alone():
    try:
        leader, follower = pty.openpty()
    except OSError as error:
        raise Skipped(f"a bare chroot has no terminals: {error}")
    with tempfile.TemporaryDirectory(prefix="snugctl-") as directory, socket.socket(socket.AF_UNIX) as silent:
        path = os.path.join(directory, "socket")
        silent.bind(path)
        silent.listen()
        asked = subprocess.Popen([SNUGCTL, "-s", path, "stats"], stdout=subprocess.PIPE, stderr=follower)
        os.close(follower)
        shown = b""
        while not re.search(rb"\d s\r.*waiting for the answer, \d+ s", shown):
            assert select.select([leader], [], [], HANG_S)[0], shown
            shown += os.read(leader, 65536)
        assert shown.startswith(b"\rsnugctl: waiting for the answer, "), shown
        client, _ = silent.accept()
        client.sendall(b"STAT pid 1\r\nEND\r\n")
        assert asked.communicate(timeout=HANG_S)[0] == b"pid  1\n" and asked.returncode == DONE
        client.close()
        assert os.read(leader, 100).endswith(b"\r\033[K"), "the line stays"
        os.close(leader)
        late = ctl("-s", path, "--timeout", "2.5", "stats", status=UNREACHABLE)
        assert late.stderr.startswith("snugctl: no answer in time"), late


def test_top_shows_the_busiest_of_many_workers():
    with Server("-t", "16") as server:
        shown = server.ctl("top", "--rounds", "2", "--interval", "0.1").stdout
        assert shown.count("the 5 busiest of 16 workers") == 2, shown
        assert all(len(re.findall(r"^\d+ .* [mun]?s$", look, re.M)) == 5 for look in shown.split("snugd ")[1:]), shown


def test_top_on_a_terminal_ends_by_q():
    with Server() as server:
        try:
            leader, follower = pty.openpty()
        except OSError as error:
            raise Skipped(f"a bare chroot has no terminals: {error}")
        top = subprocess.Popen([SNUGCTL, "-s", server.socket, "top", "--interval", "30"], stdin=follower, stdout=follower, stderr=follower)
        os.close(follower)
        shown = b""
        while b"q ends" not in shown:
            assert select.select([leader], [], [], HANG_S)[0], shown
            shown += os.read(leader, 65536)
        os.write(leader, b"q")
        assert top.wait(HANG_S) == DONE
        os.close(leader)


def test_top_ends_by_a_signal():
    with Server() as server:
        top = subprocess.Popen([SNUGCTL, "-s", server.socket, "top", "--interval", "30"], stdout=subprocess.PIPE)
        assert top.stdout.readline()
        top.send_signal(signal.SIGINT)
        assert top.wait(HANG_S) == DONE
        top.stdout.close()


sys.exit(run_tests(globals()))
