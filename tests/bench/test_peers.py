"""The comparison with other servers: what it counts, that a run that ended goes on where it was, and a small one beside what is installed.

    test_peers.py SNUGD PEERS.PY
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[2])))
from cases import run_tests
import load
import page
import peers
import wire


class Answers(wire.Memcached):
    """A server that has answered already."""

    def __init__(self, answers):
        ours, theirs = socket.socketpair()
        theirs.sendall(answers)
        theirs.close()
        self.socket, self.file = ours, ours.makefile("rb")

    def send(self, data):
        pass


def refused(answers, count):
    connection = Answers(answers)
    try:
        return connection.store_many([(b"k", b"v")] * count)
    finally:
        connection.close()


def test_refusals_are_counted_wherever_they_stand():
    good, bad = b"STORED\r\n", b"SERVER_ERROR out of memory storing object\r\n"
    assert refused(good * 5, 5) == 0
    for at in range(5):
        assert refused(good * at + bad + good * (4 - at), 5) == 1, at
    assert refused(bad * 5, 5) == 5
    assert refused(good + b"NOT_STORED\r\n" * 2 + good, 4) == 2
    for cut in (good * 4, good * 4 + b"STOR", bad + b"S"):
        try:
            refused(cut, 5)
            raise AssertionError(f"{cut}: answers that did not come were counted")
        except wire.Closed:
            pass


def test_sizes_are_the_same_each_time_and_within_their_bounds():
    sizes = load.Sizes((1024, 2048))
    seen = [sizes.of(n) for n in range(20000)]
    assert seen == [sizes.of(n) for n in range(20000)] and min(seen) < 1030 and max(seen) > 2040 and 1520 < sum(seen) / 20000 < 1552
    meta = load.Sizes(None)
    seen = [meta.of(n) for n in range(50000)]
    assert 250 < sum(seen) / 50000 < 400 and sorted(seen)[25000] in range(120, 165), sum(seen) / 50000
    heap = load.Heap(30, load.Sizes((100, 100)), 1)
    assert len(heap.key(7)) == 30 and len(heap.value(7)) == 100 and heap.key(7) != heap.key(8) and heap.value(7) != heap.value(8)
    assert [n for part in heap.batches(0, 1234) for n in part] == list(range(1234))
    assert max(len(part) for part in load.Heap(30, load.Sizes((1 << 20, 1 << 20)), 1).batches(0, 20)) <= 4


def test_a_cell_has_median_and_range():
    assert page.cell([0.5, 0.5], page.share) == "0.500" and page.cell([], page.share) == "-"
    assert page.cell([0.3, 0.9, 0.5], page.share) == "0.500 (0.300 to 0.900)"


def test_what_was_measured_otherwise_does_not_count():
    with tempfile.TemporaryDirectory() as directory:
        state = peers.kept.State(directory, {"limit": 8})
        assert state.rows("density/30 + 100 B/0") is None
        state.keep("density/30 + 100 B/0", [{"server": "snugd"}])
        assert state.rows("density/30 + 100 B/0") == [{"server": "snugd"}] and state.rows("density/30 + 100 B/1") is None
        assert peers.kept.State(directory, {"limit": 9}).rows("density/30 + 100 B/0") is None


def test_a_run_goes_on_where_it_ended():
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, "page.md")
        command = [sys.executable, sys.argv[2], "--build", os.path.dirname(sys.argv[1]), "--limit", "8", "--turns", "1", "--rest", "0", "--state", os.path.join(directory, "state"),
                   "--out", out, "--only", "B/0/snugd", "--pieces", "1"]
        said = [subprocess.run(command, capture_output=True, text=True, check=True).stderr for _ in range(3)]
        assert "20 + 50 B snugd: 0." in said[0] and "30 + 100 B" not in said[0], said[0]
        assert "30 + 100 B snugd: 0." in said[1] and "20 + 50 B" not in said[1], said[1]
        assert "30 + 230 B snugd: 0." in said[2], said[2]
        with open(out) as file:
            text = file.read()
        rows = [line for line in text.splitlines() if line.startswith("| 30 + ")]
        others = [program for program in ("memcached", "redis-server") if shutil.which(program)]
        missing = "density/20 + 50 B/0 of " if others else "density/40 B + 1-2 KiB/0; "
        assert len(rows) == 8 and f"Not measured: {missing}" in text and "; rest; " in text, text


def test_what_was_not_measured_is_said_in_few_words():
    names = [f"density/{size}/{turn}/{server}" for turn in (0, 1) for size in ("a", "b") for server in ("snugd", "redis")] + ["rest/snugd", "rest/redis"]
    assert page.not_measured(names, names) == []
    assert page.not_measured(names, ["density/a/0/snugd", "rest/snugd", "rest/redis"]) == ["turn 2", "density/a/0 of redis", "density/b/0"]


sys.exit(run_tests(globals()))
