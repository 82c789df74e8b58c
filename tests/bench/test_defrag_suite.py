"""Test of bench/defrag-suite: its arithmetic on rows that are made up, and the suite itself, small, on snugd, on an allocator, on a server that runs
already and on servers that misbehave.

    test_defrag_suite.py BUILD SOURCE
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

BUILD, SOURCE = sys.argv[1], sys.argv[2]
SUITE = os.path.join(SOURCE, "bench", "defrag-suite")
sys.path.insert(0, SUITE)
sys.path.insert(0, os.path.join(SOURCE, "tests", "protocol"))
import comes_back
import report
import score
import target
from server_process import Server
from waits import RUN_HANG_S


def run_suite(*arguments, status=0, script="suite.py"):
    done = subprocess.run([sys.executable, os.path.join(SUITE, script), "--build", BUILD, *arguments], capture_output=True, text=True, timeout=RUN_HANG_S)
    assert done.returncode == status, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done


def outcomes(*arguments, status=0):
    return json.loads(run_suite("--limit", "8", "--recover", "0.3", "--json", "-", *arguments, status=status).stdout)["scenarios"]


def mean_is_weighed_by_time():
    rows = [(0, 100, 0), (1, 100, 100), (2, 100, 50), (4, 100, 100)]
    assert score.mean_density(rows, 0.5) == (1 * 1.0 + 2 * 0.5) / 3
    assert score.mean_density(rows, 4) == 1.0


def recovery_is_the_first_time_that_density_is_back():
    rows = [(0, 100, 90), (1, 200, 90), (2, 120, 90), (3, 90, 90)]
    assert score.time_to_recover(rows, 1, 3, 0.75) == 1
    assert score.time_to_recover(rows, 1, 3, 0.95) == 2
    assert score.time_to_recover(rows, 1, 2, 0.95) is None
    assert score.time_to_recover(rows, 2.5, 3, 0.1) == 0.5


def card_has_the_extremes_of_what_came_after_the_first_mark():
    marks = [{"s": 0, "density": 0.8}, {"s": 1, "density": 0.4}, {"s": 2, "density": 0.7}]
    rows = [(0, 100, 80), (1, 200, 80), (2, 110, 77)]
    card = score.card(rows, marks, {"recovery_from_s": 1, "recovery_to_s": 2}, 3)
    assert (card["fresh"], card["worst"], card["end"], card["refused"]) == (0.8, 0.4, 0.7, 3)
    assert (card["rss_peak"], card["rss_end"], card["to_recover_s"]) == (200, 110, None)
    refilled = [*rows, (2.1, 100, 95)]  # after the recovery: does not count
    assert score.card(refilled, marks, {"recovery_from_s": 1, "recovery_to_s": 2}, 0)["to_recover_s"] is None


def score_card_counts_a_failure_as_nothing():
    results = {"one": {"a": {"mean": 0.5, "refused": 2, "to_recover_s": 1.0}}, "two": {"a": {"failed": "gone"}}}
    head, rows = report.score_card(results, ["a"])
    assert rows == [["a", "0.500", "0.000", "0.250", "1", "2"]], rows
    assert head[1:3] == ["one", "two"]


def all_scenarios_run_on_snugd_and_on_an_allocator():
    found = outcomes("--targets", "snugd-asked,malloc")
    assert len(found) == 6
    for scenario, by_target in found.items():
        for name, outcome in by_target.items():
            assert "failed" not in outcome, (scenario, name, outcome)
            assert 0 < outcome["worst"] <= 1 and 0 < outcome["mean"] < 1 and outcome["refused"] == 0, (scenario, name, outcome)
            assert len(outcome["rows"]) > 5 and all(row[1] > 0 for row in outcome["rows"])
        assert "defrag_s" in by_target["snugd-asked"] and "defrag_s" not in by_target["malloc"]
    for name in ("snugd-asked", "malloc"):  # a recovery of 0.3 s on a busy machine may be without
        assert sum(by_target[name]["latency_recovery_us"]["gets"] for by_target in found.values()) > 0, name
    assert found["ttl-cliff"]["malloc"]["marks"][1]["payload"] < 0.5 * found["ttl-cliff"]["malloc"]["marks"][0]["payload"]
    held = found["held"]["snugd-asked"]["marks"]
    assert 0 < held[1]["payload"] < 0.05 * held[0]["payload"]


def a_server_that_runs_already_is_emptied_and_driven():
    with Server(os.path.join(BUILD, "snugd"), ["-m", "16"]) as server:
        found = outcomes("--running", "mine", f"127.0.0.1:{server.address[1]}", str(server.process.pid), "--scenarios", "checkerboard,held")
        for scenario in found.values():
            assert scenario["mine"]["marks"][0]["payload"] < 8 << 20 and "failed" not in scenario["mine"]


def results_are_written_as_a_page_with_plots():
    with tempfile.TemporaryDirectory() as out:
        run_suite("--limit", "8", "--recover", "0.3", "--scenarios", "checkerboard", "--targets", "malloc", "--out", out)
        page = open(os.path.join(out, "defrag-suite.md")).read()
        assert "## checkerboard" in page and "| malloc |" in page and "defrag-checkerboard.svg" in page
        plot = open(os.path.join(out, "defrag-checkerboard.svg")).read()
        assert plot.count("<polyline") == 2 and plot.endswith("</svg>\n")


def a_run_goes_on_where_it_ended():
    with tempfile.TemporaryDirectory() as out:
        words = ["--limit", "8", "--recover", "0.3", "--scenarios", "checkerboard", "--targets", "malloc", "--state", os.path.join(out, "state"), "--out", out]
        pages = []
        for more in ([], [], ["--seed", "43"]):
            run_suite(*words, *more)
            pages.append(open(os.path.join(out, "defrag-checkerboard.svg")).read())
        assert pages[0] == pages[1] != pages[2]


MIB = 1 << 20


def the_promise_is_kept_when_resident_memory_is_down():
    rows = [(0, 100 * MIB, 0, 1.0), (1, 90 * MIB, 0, 1.5), (2, 28 * MIB, 0, 1.75), (3, 30 * MIB, 0, 1.75), (12, 20 * MIB, 0, 2.0), (40, 10 * MIB, 0, 9.0)]
    found = comes_back.figures(rows, 110 * MIB, 1, 20, 17 * MIB, 17 * MIB)
    assert found["promise"] == 28 * MIB and found["kept_after_s"] == 1 and found["found"] == 1
    assert (found["full"], found["after"], found["after_10_s"], found["after_30_s"], found["end"]) == (110 * MIB, 90 * MIB, 30 * MIB, 20 * MIB, 20 * MIB)
    assert (found["processor_10_s"], found["processor_s"]) == (0.25, 0.5)
    never = comes_back.figures(rows, 110 * MIB, 1, 20, MIB, 0)
    assert never["kept_after_s"] is None and never["found"] == 0


def memory_that_comes_back_is_watched_and_written_as_a_page():
    with tempfile.TemporaryDirectory() as out:
        done = run_suite("--limit", "8", "--seconds", "0.5", "--targets", "snugd,malloc", "--out", out, "--json", "-", script="comes_back.py")
        for scenario, by_target in json.loads(done.stdout)["scenarios"].items():
            for name, outcome in by_target.items():
                assert outcome["found"] == 1, (scenario, name, outcome)
                assert 0 < outcome["end"] <= outcome["after"] + MIB and 0 <= outcome["processor_10_s"] <= outcome["processor_s"], (scenario, name, outcome)
            plot = open(os.path.join(out, f"comes-back-{scenario}.svg")).read()
            assert plot.count("<polyline") == 4 and plot.endswith("</svg>\n")
        page = open(os.path.join(out, "comes-back.md")).read()
        assert "## ttl-cliff" in page and "## checkerboard" in page and "## held" in page and "| malloc |" in page
    assert "nosuch is not one of" in run_suite("--targets", "nosuch", status=2, script="comes_back.py").stderr


class Liar(threading.Thread):
    """Takes what is stored and answers each get with what it is told: a value that nobody stored, or the end of the connection."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.answer = self.listener.getsockname()[1], answer

    def run(self):
        while True:
            client = self.listener.accept()[0]
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, client.makefile("rwb") as file:
            while line := file.readline():
                words = line.split()
                if words[0] == b"set":
                    file.read(int(words[4]) + 2)
                    file.write(b"STORED\r\n")
                elif words[0] == b"get":
                    if not self.answer:
                        return
                    file.write(b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (words[1], len(self.answer), self.answer))
                else:
                    file.write(b"OK\r\n")
                file.flush()


def a_wrong_value_fails_the_scenario():
    liar = Liar(b"not yours")
    liar.start()
    found = outcomes("--running", "liar", f"127.0.0.1:{liar.port}", str(os.getpid()), "--scenarios", "checkerboard", status=1)
    assert "another value" in found["checkerboard"]["liar"]["failed"]


def a_closed_connection_fails_the_scenario():
    liar = Liar(b"")
    liar.start()
    found = outcomes("--running", "liar", f"127.0.0.1:{liar.port}", str(os.getpid()), "--scenarios", "checkerboard", status=1)
    failed = found["checkerboard"]["liar"]["failed"]
    assert failed == "Closed" or "reset" in failed or "Broken pipe" in failed, failed


def programs_are_found_in_a_folder_of_any_name():
    with tempfile.TemporaryDirectory(prefix="snug's {suite} ") as folder:
        os.symlink(BUILD, os.path.join(folder, "build"))
        with target.known("malloc", os.path.join(folder, "build")).run(8) as run:
            assert run.process.poll() is None


def a_server_that_does_not_start_fails_and_the_others_go_on():
    found = outcomes("--server", "none", "false {port}", "--targets", "malloc", "--scenarios", "checkerboard", status=1)
    assert "does not answer" in found["checkerboard"]["none"]["failed"]
    assert "failed" not in found["checkerboard"]["malloc"]


def a_signal_leaves_no_server_behind():
    command = [sys.executable, os.path.join(SUITE, "suite.py"), "--build", BUILD, "--limit", "8", "--recover", "60", "--targets", "malloc"]
    suite = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = f"/proc/{suite.pid}/task/{suite.pid}/children"
    until = time.monotonic() + RUN_HANG_S
    while not (found := open(children).read().split()):
        assert time.monotonic() < until
        time.sleep(0.02)
    suite.terminate()
    assert suite.wait(RUN_HANG_S) == 143
    assert not any(os.path.exists(f"/proc/{each}") for each in found)


def what_it_does_not_know_is_refused():
    for arguments, said in ((["--targets", "nosuch"], "no such target: nosuch"), (["--scenarios", "nosuch"], "no such scenario: nosuch"),
                            (["--defrag", "nosuch", "x"], "no such server"), (["--running", "a", "b", "c"], "wants HOST:PORT"),
                            (["--server", "a", "true", "--protocol", "a", "x"], "memcached or redis")):
        assert said in run_suite(*arguments, status=2).stderr, arguments


TESTS = [mean_is_weighed_by_time, recovery_is_the_first_time_that_density_is_back, card_has_the_extremes_of_what_came_after_the_first_mark,
         score_card_counts_a_failure_as_nothing, all_scenarios_run_on_snugd_and_on_an_allocator, a_server_that_runs_already_is_emptied_and_driven,
         results_are_written_as_a_page_with_plots, a_run_goes_on_where_it_ended, the_promise_is_kept_when_resident_memory_is_down,
         memory_that_comes_back_is_watched_and_written_as_a_page, a_wrong_value_fails_the_scenario, a_closed_connection_fails_the_scenario,
         programs_are_found_in_a_folder_of_any_name, a_server_that_does_not_start_fails_and_the_others_go_on,
         a_signal_leaves_no_server_behind, what_it_does_not_know_is_refused]

print(f"[==========] Running {len(TESTS)} test(s).", flush=True)
failed = 0
for test in TESTS:
    name = test.__name__
    print(f"[ RUN      ] {name}", flush=True)
    try:
        test()
        print(f"[       OK ] {name}", flush=True)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print(f"[  FAILED  ] {name}", flush=True)
        failed += 1
sys.exit(failed > 0)
