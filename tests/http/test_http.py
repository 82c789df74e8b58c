"""Tests of snugd's HTTP side from outside: what each path tells, who is refused what, metrics that promtool accepts, the end under open connections.

    test_http.py SNUGD
"""

import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "protocol"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from stopped import stopped
from waits import HANG_S, Soon, wait_until
from server_process import Server

PROGRAM = sys.argv[1]
LOAD = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as stream:
    while True:
        stream.sendall(b"set busy 0 0 1 noreply\\r\\nx\\r\\n" * 5000)
"""
ACT = {"X-Snug-Request": "1"}


class Http:
    """with Http(args) as served: served.get("/healthz")"""

    def __init__(self, *args, address="127.0.0.1:0"):
        self.server = Server(PROGRAM, ["-m", "32", "-t", "2", "--http", address, *args])

    def __enter__(self):
        self.server.__enter__()
        until = time.monotonic() + HANG_S
        while (found := re.search(r"http://(?:\[::1\]|[0-9.]+):(\d+)", self.server.log_text())) is None:
            assert time.monotonic() < until, self.server.log_text()
            time.sleep(0.01)
        self.port = int(found.group(1))
        return self

    def __exit__(self, *what):
        self.server.__exit__(*what)

    def ask(self, method, path, headers=None, body=None, skip_host=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_S)
        try:
            connection.putrequest(method, path, skip_host=skip_host)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.read(), response.headers
        finally:
            connection.close()

    def get(self, path, status=200, **more):
        got = self.ask("GET", path, **more)
        assert got[0] == status, (path, got)
        return json.loads(got[1]) if path.startswith("/api/") or status != 200 else got[1].decode()

    def post(self, path, status=200, headers=ACT, **more):
        got = self.ask("POST", path, headers, **more)
        assert got[0] == status, (path, got)
        return json.loads(got[1])

    def store(self, lines):
        with self.server.connect() as stream:
            stream.sendall(lines + b"mn\r\n")
            answer = b""
            while not answer.endswith(b"MN\r\n"):
                answer += stream.recv(65536)
            return answer


def make_holes(served):
    count = 4000
    served.store(b"".join(b"set k%d 0 0 200 noreply\r\n%s\r\n" % (i, b"v" * 200) for i in range(count)))
    served.store(b"".join(b"delete k%d noreply\r\n" % i for i in range(count) if i % 4))


def test_each_connection_is_served_however_many_workers_take_some():
    with Http("-t", "4", "--accept-threads", "4") as served:
        for _ in range(16):
            assert served.get("/healthz")


def test_each_path_tells():
    with Http() as served:
        make_holes(served)
        assert served.get("/healthz") == "ok\n"
        assert served.get("/api/stats")["curr_items"] == 1000
        metrics = served.get("/api/metrics")
        assert metrics["0:items"] + metrics["1:items"] == 1000, metrics
        served_by = max((0, 1), key=lambda worker: metrics[f"{worker}:turns"])
        durations = [metrics[f"{served_by}:turn_{name}_ns"] for name in ("p50", "p99", "p999", "max")]
        assert 0 < durations[0] and durations == sorted(durations), metrics
        workers = served.get("/api/map")["workers"]
        assert [w["worker"] for w in workers] == [0, 1] and workers[0]["stride_pages"] >= 1 and workers[0]["map"]["pages"]
        assert served.get("/api/limit")["limit_bytes"] == 32 << 20
        assert served.get("/api/clients") == {"clients": 0}
        assert "<html" in served.get("/")
        assert served.ask("HEAD", "/healthz")[0] == 200


def test_history_has_the_figures_of_stats():
    """A look each second, though nobody asks; while a worker does not answer there are none, and then they go on."""
    with Http() as served:
        make_holes(served)

        def seconds():
            return served.get("/api/history")["seconds"]

        wait_until(lambda: seconds()["curr_items"][-3:] == [1000] * 3)
        stats, history = served.get("/api/stats"), served.get("/api/history")
        assert list(history) == ["seconds", "minutes"]
        for columns in history.values():
            ago_ms = columns.pop("ago_ms")
            assert ago_ms and ago_ms == sorted(ago_ms, reverse=True) and ago_ms[-1] >= 0, ago_ms
            assert columns.keys() <= stats.keys(), columns.keys() - stats.keys()
            assert {len(column) for column in columns.values()} == {len(ago_ms)}, columns
        for name in ("limit_maxbytes", "cmd_set", "bytes"):
            assert history["seconds"][name][-1] == stats[name], name
        assert len(history["minutes"]["uptime"]) < len(history["seconds"]["uptime"])
        with stopped(served.server.process.pid, "snugd-1"):
            for _ in range(2):  # two seconds each; the other worker is asked first, and so something happens
                served.ask("GET", "/api/stats")
        wait_until(lambda: seconds()["ago_ms"][-1] < 1000)
        ago_ms = seconds()["ago_ms"]
        assert max(a - b for a, b in zip(ago_ms, ago_ms[1:])) > 3000, ago_ms


def test_history_wakes_nobody_while_nothing_happens():
    with Http() as served:

        def looks():
            return len(served.get("/api/history")["seconds"]["uptime"])

        def requests():
            return served.get("/api/metrics")["1:requests_served"]

        def rests():
            before, begun = requests(), looks()
            wait_until(lambda: looks() >= begun + 5)
            return requests() - before <= 3  # one look for what happened before, one for `requests` itself, and that

        served.store(b"set k 0 0 1\r\nx\r\n")
        assert any(rests() for _ in range(6)), "who is woken once a second has no five looks like that"


def test_keys_are_told_where_nobody_is_kept_from_them():
    with Http() as served:
        served.store(b"set a/1 0 0 5\r\nvalue\r\nset a/2 0 0 5\r\nvalue\r\n")
        found = served.get("/api/bigkeys?n=1&delimiter=/")
        assert found["items"] == 2 and found["prefix:0:name"] == "a" and found["prefix:0:items"] == 2, found
        assert "samples" in served.get("/api/hotkeys") and "sample" in served.get("/api/slow")
        assert served.get("/api/doctor")["checks"] > 20
        assert "usage" in served.get("/api/bigkeys?n=101", 400)["error"]
    with Http("-X") as served:
        for path in ("/api/bigkeys", "/api/hotkeys", "/api/slow"):
            assert "control socket" in served.get(path, 403)["error"], path
    with tempfile.NamedTemporaryFile("w", prefix="snug-users-") as users:
        users.write("foo:bar\n")
        users.flush()
        with Http("-Y", users.name) as served:
            for path in ("/api/bigkeys", "/api/hotkeys", "/api/slow", "/api/clients"):
                assert "error" in served.get(path, 403), path


def test_json_is_that_of_snugctl():
    snugctl = os.path.join(os.path.dirname(PROGRAM), "snugctl")
    with Http("--defrag", "off") as served:
        make_holes(served)
        served.post("/api/schedule?every=1h")  # whose number no double holds

        def both(name):
            command = [snugctl, "-s", "%s:%d" % served.server.address, "--json", name]
            done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=True)
            return served.get(f"/api/{name}"), json.loads(done.stdout)

        by_http, by_snugctl = both("report")
        assert by_http == by_snugctl and by_http, (by_http, by_snugctl)
        by_http, by_snugctl = both("limit")  # what is used changes from moment to moment
        assert by_http.keys() == by_snugctl.keys() and by_http["limit_bytes"] == by_snugctl["limit_bytes"]
        by_http, by_snugctl = both("map")
        for ours, theirs in zip(by_http["workers"], by_snugctl["workers"], strict=True):
            assert ours.keys() == theirs.keys() and ours["map"].keys() == theirs["map"].keys()
            assert ours["stride_pages"] == theirs["stride_pages"]


def test_actions_do_what_they_say():
    with Http("--defrag", "off") as served:
        make_holes(served)
        estimate = served.get("/api/estimate?mode=compact")
        assert estimate["reclaimable_bytes"] > 100000, estimate
        result = served.post("/api/defrag?mode=compact&return=1")
        assert result["result"] == "ok" and result["reclaimed_bytes"] > 0.9 * estimate["reclaimable_bytes"], (estimate, result)
        assert served.get("/api/estimate")["reclaimable_bytes"] < estimate["reclaimable_bytes"] // 4
        report = served.get("/api/report?n=3")
        assert any(key.endswith(":reclaimed_bytes") and value == result["reclaimed_bytes"] for key, value in report.items())
        partial = served.post("/api/defrag?bytes=1&ms=1")
        assert "outcome" in partial
        assert served.post("/api/limit?bytes=16m")["limit_goal_bytes"] == 16 << 20
        schedule = served.post("/api/schedule?every=1h&target=5")["schedule"]
        told = served.get("/api/schedules")
        assert told[f"{schedule}:when"] == "every 3600 s" and told[f"{schedule}:target_percent"] == 5, told
        assert abs(told[f"{schedule}:next_time"] - time.time() - 3600) < 60, told
        assert served.post(f"/api/cancel?schedule={schedule}") == {}
        assert served.get("/api/schedules") == {}
        assert served.post("/api/check")["0:check"] == "ok"
        evicted = served.post("/api/emergency?bytes=128k&evict=1")
        assert evicted["evicted_bytes"] >= 0 and "result" in evicted


def test_wrong_use_is_refused_with_a_sentence():
    with Http() as served:
        for path, method, status in (
            ("/nowhere", "GET", 404),
            ("/api/../etc", "GET", 404),
            ("/api/defrag", "GET", 405),
            ("/api/stats", "POST", 405),
            ("/api/stats", "PUT", 405),
            ("/api/estimate?mode=all", "GET", 400),
            ("/api/estimate?mode=compact%0d%0aflush_all", "GET", 400),
            ("/api/estimate?mode=", "GET", 400),
            ("/api/report?n=0", "GET", 400),
            ("/api/defrag?ms=x", "POST", 400),
            ("/api/defrag?return=2", "POST", 400),
            ("/api/emergency", "POST", 400),
            ("/api/emergency?bytes=999g", "POST", 400),
            ("/api/limit?bytes=1", "POST", 400),
            ("/api/cancel?schedule=77", "POST", 400),
            ("/api/clients/kill", "GET", 405),
            ("/api/clients/kill", "POST", 400),
            ("/api/clients/kill?client=77", "POST", 400),
            ("/api/clients/kill?idle=99999999999999999999", "POST", 400),
            ("/api/clients?client=kill&idle=0", "GET", 400),
            ("/api/clients?client=kill", "GET", 400),
            ("/api/clients?client=kill&user=x", "GET", 400),
        ):
            got = served.ask(method, path, ACT)
            assert got[0] == status and json.loads(got[1])["error"], (path, method, got)
        # a look closes nobody: it needs no token, and an image of any page may ask for it
        assert served.ask("GET", "/api/clients?client=kill&idle=0")[0] == 400
        assert served.get("/api/stats")["snug_killed"] == 0
        assert served.ask("POST", "/api/stats", ACT)[2]["Allow"] == "GET"
        assert served.ask("POST", "/api/check", ACT, body=b"x" * 5000)[0] == 413
        assert served.post("/api/check", body=b"x" * 100)["0:check"] == "ok"


def test_other_sites_are_refused():
    with Http() as served:
        host = f"127.0.0.1:{served.port}"
        for headers in (
            {},
            {"X-Snug-Request": "0"},
            {**ACT, "Origin": "http://evil.example"},
            {**ACT, "Origin": "null"},
            {**ACT, "Origin": f"https://{host}"},
            {**ACT, "Origin": "http://127.0.0.1:1"},
            {**ACT, "Sec-Fetch-Site": "cross-site"},
        ):
            assert served.post("/api/check", status=403, headers=headers)["error"], headers
        assert served.post("/api/check", headers={**ACT, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"})
        for name in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[evil.example", "[::1]evil.example", "localhost:x"):
            got = served.ask("GET", "/api/stats", {"Host": name}, skip_host=True)
            assert got[0] == 403, (name, got)
        for name in ("localhost:1", "LOCALHOST", "[::1]:80", "10.0.0.1"):
            assert served.ask("GET", "/api/stats", {"Host": name}, skip_host=True)[0] == 200, name
        headers = served.ask("GET", "/")[2]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"] and headers["Cache-Control"] == "no-store"


def test_names_that_are_given_are_known():
    with Http("--http-host", "cache1.example.org,alias:8211", "--http-host", "third") as served:

        def status(name):
            return served.ask("GET", "/metrics", {"Host": name}, skip_host=True)[0]

        for name in ("cache1.example.org", f"CACHE1.example.ORG:{served.port}", "alias", "alias:1", "third:80", "localhost", "127.0.0.1"):
            assert status(name) == 200, name
        for name in ("cache1.example.or", "cache1.example.org.evil", "cache2.example.org", "cache1", "alias.example.org", ""):
            assert status(name) == 403, name
        headers = {**ACT, "Host": "third", "Origin": "http://third"}
        assert served.ask("POST", "/api/check", headers, skip_host=True)[0] == 200
        assert served.ask("POST", "/api/check", {**headers, "Origin": "http://alias"}, skip_host=True)[0] == 403


def test_actions_from_elsewhere_need_the_token():
    with Http(address="0.0.0.0:0") as served:
        assert "--http-token-file" in served.post("/api/check", status=403)["error"]
        assert served.get("/api/stats")["curr_items"] == 0
    with tempfile.NamedTemporaryFile("w", suffix=".token") as file:
        file.write("0123456789abcdef\n")
        file.flush()
        with Http("--http-token-file", file.name, address="0.0.0.0:0") as served:
            served.post("/api/check", status=403)
            tried = ("", "Bearer", "Bearer 0123456789abcdeF", "Bearer 0123456789abcdef0", "Basic 0123456789abcdef")
            for given in tried:
                begun = time.monotonic()
                served.post("/api/check", status=403, headers={**ACT, "Authorization": given})
                assert time.monotonic() - begun >= 0.5, given
            served.post("/api/check", headers={**ACT, "Authorization": "Bearer 0123456789abcdef"})
            assert "HTTP: 1 action refused: a wrong token" in served.server.log_text() and "abcdeF" not in served.server.log_text()
            told = served.get("/api/stats")
            assert (told["auth_cmds"], told["auth_errors"]) == (len(tried) + 1, len(tried)), told
            served.store(b"stats reset\r\n")
            told = served.get("/api/stats")
            assert (told["auth_cmds"], told["auth_errors"]) == (0, 0), told
    with tempfile.NamedTemporaryFile("w", suffix=".token") as file:
        file.write("short\n")
        file.flush()
        for path in (file.name, "/nowhere"):
            for form in ((), ("-d",)):
                command = [PROGRAM, *form, "-p", "-1", "-m", "16", "--http", "127.0.0.1:0", "--http-token-file", path]
                done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
                assert done.returncode == 64 and f"--http-token-file: {path}" in done.stderr, done  # a mistake, as one in the config file


def test_metrics():
    for threads in ("1", "16"):
        with Http("-t", threads) as served:
            make_holes(served)
            served.store(b"get k0 k1\r\n")
            text = served.get("/metrics")
            assert 'memcached_commands_total{command="get",status="hit"} 1\n' in text, text
            assert 'memcached_commands_total{command="set",status="hit"} 4000\n' in text
            for name in ("snug_auth_commands_total", "snug_auth_errors_total", "snug_open_addresses"):
                assert f"\n{name} 0\n" in text, name
            assert text.count("# TYPE memcached_commands_total ") == 1
            for name in ('snug_stores_refused_total{reason="too_large"}', 'snug_connections_rejected_total{reason="too_many"}',
                         'snug_connections_closed_total{reason="idle"}'):
                assert f"\n{name} 0\n" in text, name
            figures = {name: float(value) for name, value in re.findall(r"^((?:process|snug)_\w+) (\S+)$", text, re.M)}
            assert 1 << 20 < figures["process_resident_memory_bytes"] < 1 << 30, figures
            assert abs(figures["process_start_time_seconds"] + figures_of(text, "memcached_uptime_seconds") - time.time()) < HANG_S
            assert 10 < figures["process_open_fds"] < figures["process_max_fds"], figures
            assert figures["snug_limit_bytes"] == figures["snug_limit_max_bytes"] == figures_of(text, "memcached_limit_bytes"), figures
            assert text.count("snug_worker_items{") == int(threads)
            assert text.count("snug_pool_hole_bytes{") == 3 * int(threads)
            version = served.get("/api/stats")["version"]
            assert f'memcached_version{{version="{version}"}} 1\n' in text
            names = re.findall(r"^# TYPE (\S+)", text, re.M)
            assert len(names) == len(set(names)) and len(names) > 60
            if shutil.which("promtool"):
                done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=HANG_S)
                assert done.returncode == 0, done.stderr
            else:
                print("promtool is not installed (Debian's package prometheus): its check is left out")


def figures_of(text, name):
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M).group(1))


def test_workers_without_connections_show_their_work():
    with Http("--accept-threads", "1") as served:
        served.store(b"".join(b"set k%d 0 0 1 noreply\r\nx\r\n" % i for i in range(1000)))
        served.store(b"get k1 k2 k3 k4 k5 k6 k7 k8\r\n")
        text = served.get("/metrics")
        of = lambda worker, name: figures_of(text, f'snug_worker_{name}{{worker="{worker}"}}')
        assert of(1, "connections") == 0 and of(1, "stores_total") + of(0, "stores_total") == 1000
        assert of(1, "requests_served_total") >= of(0, "requests_sent_total") >= of(1, "stores_total") > 300, text
        assert of(0, "reads_total") > 0 and of(0, "cpu_seconds_total") > 0 and of(1, "cpu_seconds_total") > 0


def test_latencies_are_histograms():
    """One command in 61, whoever owns the key; buckets that only grow, the last of which counts all."""
    with Http() as served:
        served.store(b"".join(b"set k%d 0 0 1 noreply\r\nx\r\n" % i for i in range(6100)))
        for _ in range(2):
            served.store(b"touch k1 0 noreply\r\nincr k1 1 noreply\r\ndelete k1 noreply\r\n" + b"get k1 k2\r\n" * 610)
        text = served.get("/metrics")
        counts = {}
        for command in ("get", "store", "delete", "arithmetic", "touch", "inspect"):
            found = re.findall(rf'^snug_command_latency_seconds_bucket{{command="{command}",le="(.*)"}} (\d+)$', text, re.M)
            bounds, buckets = [float(bound) for bound, _ in found], [int(count) for _, count in found]
            assert bounds == sorted(bounds) and bounds[-1] == float("inf") and len(bounds) == 25, found
            assert buckets == sorted(buckets), found
            count, seconds = (float(re.search(rf'^snug_command_latency_seconds_{of}{{command="{command}"}} (\S+)$', text, re.M).group(1)) for of in ("count", "sum"))
            assert count == buckets[-1] and (seconds > 0) == (count > 0), (command, text)
            counts[command] = count
        assert 98 <= counts["store"] <= 102 and sum(counts.values()) > 110 and counts["get"] > 10, counts
        assert served.get("/api/latency")["store:count"] == counts["store"]


def coordinator_figures(served):
    return {name: int(value) for name, value in re.findall(r"^snug_coordinator_(\w+) (\d+)$", served.get("/metrics"), re.M)}


def test_metrics_of_the_coordinator():
    with Http("--defrag", "off") as served:
        assert sorted(coordinator_figures(served)) == [
            "answers_total",
            "background_runs_total",
            "jobs_total",
            "joins_total",
            "machine_pressure",
            "refused_total",
            "requests_total",
            "schedules",
            "spare_runs_total",
            "tickets",
            "turns_total",
        ]
        before = coordinator_figures(served)
        served.post("/api/defrag")
        served.post("/api/schedule?every=1h")
        served.post("/api/emergency?bytes=999g", status=400)
        after = coordinator_figures(served)
        gained = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        assert gained.pop("turns_total") > 0
        # One job for each of two workers.
        assert gained == {"requests_total": 2, "answers_total": 2, "refused_total": 1, "jobs_total": 2, "schedules": 1}, gained


def test_garbage_and_slow_clients():
    with Http() as served:
        slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(8)]
        for stream in slow:
            stream.sendall(b"GET /api/st")
        for garbage in (b"\x00" * 300, b"GET\r\n\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"\x80\x01\x00\x00"):
            with socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S) as stream:
                try:
                    stream.sendall(garbage)
                    stream.shutdown(socket.SHUT_WR)
                    while stream.recv(4096):
                        pass
                except OSError:
                    pass
        assert served.get("/healthz") == "ok\n"
        for stream in slow:
            stream.close()


def half_open(served, count, source="127.0.0.1"):
    streams = []
    for _ in range(count):
        streams.append(socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S, source_address=(source, 0)))
        streams[-1].sendall(b"GET /healthz HT")
    return streams


def threads_of(served):
    return len(os.listdir(f"/proc/{served.server.process.pid}/task"))


def closes_by_itself(stream):
    try:
        return stream.recv(4096) == b""
    except ConnectionResetError:
        return True


def test_half_open_clients_do_not_keep_others_out():
    with Http() as served:
        threads = threads_of(served)
        began = time.monotonic()
        # More than there is room for, from one address and from several.
        streams = half_open(served, 200) + half_open(served, 100, "127.0.0.2") + half_open(served, 100, "127.0.0.3")
        for path in ("/healthz", "/metrics"):
            with Soon(1, path):
                served.get(path)
        assert threads_of(served) - threads <= 160, "no limit"
        # A byte now and then, which keeps them from being idle, keeps nobody out either.
        for stream in streams[-40:]:
            stream.sendall(b"T")
        assert served.get("/healthz") == "ok\n"
        with Soon(8, "the end of those who are idle"):
            for stream in streams:
                assert closes_by_itself(stream)
        assert time.monotonic() - began > 3


def test_who_does_not_take_his_answer_keeps_nobody_out():
    with Http() as served:
        streams = half_open(served, 150)
        for stream in streams:
            stream.setblocking(False)
            try:
                stream.sendall(b"TP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 500)
            except OSError:
                pass  # was shown out, or has enough
        time.sleep(0.5)
        assert served.get("/healthz") == "ok\n"
        for stream in streams:
            stream.close()


def rss_mib(served):
    return served.server.rss_bytes() / (1 << 20)


def served_within(served, path, seconds):
    """While others' requests have all the places that are not for probes, it is refused at once; so it is asked again."""
    with Soon(seconds, path):
        until = time.monotonic() + HANG_S
        while (got := served.ask("GET", path))[0] == 503 and b"too many" in got[1]:
            assert time.monotonic() < until, got
    assert got[0] == 200, (path, got[0])
    return got[1]


def figure(served, name):
    return int(re.search(rf"^{name} (\d+)$", served.get("/metrics"), re.M).group(1))


def who_do_not_read(served, count, path, pause_s):
    """Clients with small windows, each of which asks several times."""
    streams = []
    for i in range(count):
        stream = socket.socket()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        stream.bind((f"127.0.0.{2 + i % 3}", 0))
        stream.connect(("127.0.0.1", served.port))
        stream.sendall(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path.encode() * 4)
        streams.append(stream)
        time.sleep(pause_s)
    return streams


def test_answers_that_nobody_reads_stay_in_the_budget():
    with Http("-m", "128") as served:
        served.store(b"".join(b"set k%d 0 0 1000 noreply\r\n%s\r\n" % (i, b"v" * 1000) for i in range(90000)))
        whole = len(served.ask("GET", "/api/map")[1])
        assert whole > 500000, whole
        before_mib = rss_mib(served)
        # All at once: one map is for many. One after the other: each has his own.
        for count, pause_s in ((128, 0), (60, 0.02)):
            streams = who_do_not_read(served, count, "/api/map", pause_s)
            for path in ("/healthz", "/metrics"):
                with Soon(2, path):
                    served.get(path)
            served_within(served, "/api/stats", 3)
            assert abs(len(served_within(served, "/api/map", 5)) - whole) < whole / 50, "who reads is not served"
            assert rss_mib(served) - before_mib < 20, (count, before_mib, rss_mib(served))
            for stream in streams:
                stream.close()
        assert figure(served, "snug_http_closed_for_memory_total") > 30
        told = [line for line in served.server.log_text().splitlines() if "did not read its answer" in line]
        assert 1 <= len(told) <= 3, told
        wait_until(lambda: figure(served, "snug_http_answer_bytes") <= 65536, "answers are kept that nobody waits for")
        assert rss_mib(served) - before_mib < 12, (before_mib, rss_mib(served))


def test_many_at_once():
    with Http("-m", "64") as served:
        served.store(b"".join(b"set k%d 0 0 1000 noreply\r\n%s\r\n" % (i, b"v" * 1000) for i in range(30000)))
        streams = []
        for i in range(256):
            stream = socket.socket()
            stream.settimeout(HANG_S)
            stream.bind((f"127.0.0.{2 + i % 4}", 0))
            stream.connect(("127.0.0.1", served.port))
            stream.sendall(b"GET /api/stats HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            streams.append(stream)
        answered = 0
        for stream in streams:
            try:
                answered += stream.recv(4096).startswith(b"HTTP/1.1 200")
            except OSError:
                pass
            stream.close()
        assert answered >= 64, answered
        assert served.get("/healthz") == "ok\n"


def test_requests_in_pieces_and_in_a_row():
    with Http() as served:
        request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(len(request)):
                stream.sendall(request[at : at + 1])
                time.sleep(0.002)
            assert stream.recv(4096).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S) as stream:
            stream.sendall(request * 20)
            got = b""
            while got.count(b"HTTP/1.1 200") < 20:
                part = stream.recv(65536)
                assert part, got
                got += part
        for head in (b"X-Long: " + b"a" * 60000, b"\r\n".join(b"X-%d: y" % i for i in range(5000))):
            with socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S) as stream:
                try:
                    stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head + b"\r\n\r\n")
                    answer = stream.recv(4096)
                except OSError:
                    answer = b""
                assert answer == b"" or re.match(rb"HTTP/1.1 4", answer), answer
        assert served.get("/healthz") == "ok\n"


def test_slow_heads_do_not_keep_a_place():
    """One byte a second is never idle, and goes first when somebody comes."""
    with Http() as served:
        slow = [socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S, source_address=("127.0.0.2", 0)) for _ in range(64)]
        slow += [socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S, source_address=("127.0.0.3", 0)) for _ in range(64)]
        for _ in range(3):
            for stream in slow:
                with contextlib.suppress(OSError):
                    stream.sendall(b"G")
            with Soon(1, "/healthz"):
                assert served.get("/healthz") == "ok\n"
            time.sleep(0.3)
        for stream in slow:
            stream.close()


def chunked(served, body_chunks):
    """What comes back for a body in chunks; None: the connection was cut."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S) as stream:
        stream.sendall(b"POST /api/check HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Snug-Request: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for chunk in body_chunks:
                stream.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            stream.sendall(b"0\r\n\r\n")
            return stream.recv(4096) or None
        except (ConnectionResetError, BrokenPipeError):
            return None


def test_a_body_in_chunks_has_the_same_limit():
    with Http() as served:
        assert chunked(served, [b"x" * 1000] * 4).startswith(b"HTTP/1.1 200 ")
        assert chunked(served, [b"x" * 1000] * 5) is None
        assert chunked(served, [b"x"] * 5000) is None
        assert chunked(served, [b"x" * 4096, b"y"]) is None
        assert served.get("/healthz") == "ok\n"


def test_health_asks_all_workers_at_once():
    with Http("-t", "4") as served:
        with stopped(served.server.process.pid, "snugd-1", "snugd-2", "snugd-3"):
            began = time.monotonic()
            with Soon(1.5, "the question to three workers that are stuck"):
                status, text, _ = served.ask("GET", "/healthz")
            assert time.monotonic() - began > 0.9
            assert status == 503 and re.findall(rb"worker (\d+):", text) == [b"1", b"2", b"3"], text
        assert served.get("/healthz") == "ok\n"


def test_the_end_waits_for_late_workers_alone():
    """What a worker still holds of ours is safe until it has been there, and then nothing else is waited for."""
    with Http() as served:
        with stopped(served.server.process.pid, "snugd-1"):
            for _ in range(2):
                assert served.ask("GET", "/healthz")[0] == 503
            served.server.process.terminate()
            time.sleep(0.5)
            assert served.server.process.poll() is None
        assert served.server.process.wait(HANG_S) == 0
    with Http() as served:
        with stopped(served.server.process.pid, "snugd-1"):
            assert served.ask("GET", "/healthz")[0] == 503
            served.server.process.terminate()
            time.sleep(1.2)
            served.server.process.terminate()  # a second time: for one that never answers
            time.sleep(0.2)
        assert served.server.process.wait(HANG_S) == 128 + signal.SIGTERM


def begin_long_defragmentation(served, count=200000):
    """A busy worker keeps to the duty, so it takes minutes; one whose load is not let run for a moment ends it at once: then it is begun again."""
    for _ in range(10):
        served.store(b"".join(b"set k%d 0 0 500 noreply\r\n%s\r\n" % (i, b"v" * 500) for i in range(count)))
        served.store(b"".join(b"delete k%d noreply\r\n" % i for i in range(count) if i % 3))
        stream = socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S)
        stream.sendall(b"POST /api/defrag HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Snug-Request: 1\r\n\r\n")
        if not select.select([stream], [], [], 1)[0]:
            return stream
        stream.close()
    raise AssertionError("the worker was never busy enough")


def test_the_end_does_not_wait_for_a_long_defragmentation():
    with Http("-m", "400", "-t", "1", "--defrag", "off", "--defrag-duty", "0.1", "--defrag-step", "1k") as served:
        # Several, so that whenever the worker runs there is something of one of them to do.
        loads = [subprocess.Popen([sys.executable, "-c", LOAD, str(served.server.address[1])], stderr=subprocess.DEVNULL) for _ in range(4)]
        try:
            stream = begin_long_defragmentation(served)
            with Soon(3, "the end"):
                served.server.process.terminate()
                assert served.server.process.wait(HANG_S) == 0
            stream.close()
        finally:
            for load in loads:
                load.kill()
                load.wait()


def test_the_end_under_open_connections():
    with Http() as served:
        idle = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(4)]
        idle[0].sendall(b"GET /api/stats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert idle[0].recv(100).startswith(b"HTTP/1.1 200")
        with Soon(10, "the end"):
            served.server.process.terminate()
            assert served.server.process.wait(HANG_S) == 0
        for stream in idle:
            stream.close()


def test_listens_where_it_is_told():
    done = subprocess.run([PROGRAM, "-p", "-1", "-m", "16", "--http", "999.1.1.1"], capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 71 and "999.1.1.1" in done.stderr, done
    with Http() as served:
        command = [PROGRAM, "-p", "-1", "-m", "16", "--http", f"127.0.0.1:{served.port}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
        assert done.returncode == 71 and re.search("Address (already )?in use", done.stderr), done


sys.exit(run_tests(globals()))
