#!/usr/bin/python3
"""What Prometheus' memcached_exporter needs of the statistics. Debian does not have it; these are the rules of its 0.16 and of the client that it reads with:

- A line of `stats settings` is `STAT name value`, the value perhaps empty. A line of the others that is not of three words is passed over.
- A name has no colon, or is CLASS:name, or is items:CLASS:name; the class is a number.
- A figure that it takes is a number of Go's; rusage_* are seconds, a point, microseconds.
- Absent is fine. But no figure may come twice with the same labels: mem_requested is taken from `stats items` and from `stats slabs`. And none in another
  place than the one whose labels it has: store_too_large is not counted by class. Either makes all of /metrics an error 500.
- What it calculates is a counter, too, and never below 0: sets without check-and-sets.
"""

import re
import sys

import client_cases

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")  # what strconv.ParseFloat takes, names of infinities left out
TIME = re.compile(r"\d+\.\d+")

HITS = [f"{operation}_hits" for operation in "get delete incr decr cas touch".split()]
GENERAL = [
    *HITS,
    *[name.replace("_hits", "_misses") for name in HITS],
    *"""uptime time cas_badval cmd_flush cmd_set bytes limit_maxbytes curr_items total_items bytes_read bytes_written curr_connections
    total_connections rejected_connections conn_yields listen_disabled_num evictions reclaimed store_too_large store_no_memory
    lru_crawler_starts direct_reclaims crawler_items_checked crawler_reclaimed moves_to_cold moves_to_warm moves_within_lru total_malloced
    accepting_conns""".split(),
]
ITEMS = """number age hits_to_hot hits_to_warm hits_to_cold hits_to_temp crawler_reclaimed evicted evicted_nonzero evicted_time
evicted_unfetched expired_unfetched outofmemory reclaimed tailrepairs mem_requested moves_to_cold moves_to_warm moves_within_lru number_hot
number_warm number_cold number_temp age_hot age_warm""".split()
ITEMS_HAVE_NO = ["store_too_large", "store_no_memory"]
SLABS = """cas_badval cmd_set chunk_size chunks_per_page total_pages total_chunks used_chunks free_chunks free_chunks_end
mem_requested""".split() + HITS
ONE_CLASS_HAS = ["get_hits", "cmd_set", "cas_hits", "used_chunks"]


class Exporter:
    def __init__(self, host, port):
        self.connection = client_cases.socket_to(host, port)

    def ask(self, request, end=b"\r\n"):
        self.connection.sendall(request)
        answer = b""
        while not answer.endswith(end):
            received = self.connection.recv(65536)
            assert received, answer
            answer += received
        return answer

    def lines(self, request):
        lines = self.ask(request, b"END\r\n").decode().split("\r\n")
        assert lines[-2:] == ["END", ""], lines
        return lines[:-2]

    def settings(self):
        settings = {}
        for line in self.lines(b"stats settings\r\n"):
            word, name, value = line.split(" ", 2)
            assert word == "STAT", line
            settings[name] = value
        return settings

    def scrape(self):
        """The figures of all, of each class of items, of each class of slabs."""
        general, slabs, items = {}, {}, {}
        for request in (b"stats\r\n", b"stats slabs\r\n", b"stats items\r\n"):
            for line in self.lines(request):
                words = line.split(" ")
                if len(words) != 3 or not words[0].startswith("STAT"):
                    continue
                names = words[1].split(":")
                assert len(names) <= 3, line
                if len(names) == 1:
                    general[names[0]] = words[2]
                else:
                    classes = slabs if len(names) == 2 else items
                    classes.setdefault(int(names[-2]), {})[names[-1]] = words[2]
        return general, items, slabs


def judge_numbers(figures, names):
    for name in names:
        assert name not in figures or NUMBER.fullmatch(figures[name]), f"{name} {figures[name]}"


def judge_sets(figures, *checked):
    sets = float(figures["cmd_set"]) - sum(float(figures[name]) for name in checked)
    assert sets >= 0, f"{sets} sets"


def judge(exporter):
    general, items, slabs = exporter.scrape()
    judge_numbers(general, GENERAL)
    for name in ("rusage_user", "rusage_system"):
        assert TIME.fullmatch(general[name]), general[name]
    assert general["version"], "no version"
    judge_sets(general, "cas_misses", "cas_hits", "cas_badval")
    for number, figures in items.items():
        judge_numbers(figures, ITEMS)
        for name in ITEMS_HAVE_NO:
            assert name not in figures, f"{name} by class"
        assert not ("mem_requested" in figures and "mem_requested" in slabs.get(number, {})), f"mem_requested twice of class {number}"
    for figures in slabs.values():
        judge_numbers(figures, SLABS)
        judge_sets(figures, "cas_hits", "cas_badval")
    settings = exporter.settings()
    judge_numbers(settings, ["maxconns"])
    assert "maxconns" in settings
    assert settings.get("lru_crawler") in (None, "no") or "lru_crawler_sleep" in settings
    return general, items, slabs


def an_empty_server(exporter):
    judge(exporter)


def items_of_all_sizes(exporter):
    stored = 0
    for size in (1, 50, 500, 1000, 3000, 8000, 20000, 70000, 300000, 1000000):
        for number in range(3):
            assert exporter.ask(b"set %d-%d 0 0 %d\r\n%s\r\n" % (size, number, size, b"x" * size)) == b"STORED\r\n"
            stored += 1
        judge(exporter)
    general, items, slabs = judge(exporter)
    assert general["curr_items"] == str(stored)
    assert sum(int(figures["number"]) for figures in items.values()) == stored
    for name in ONE_CLASS_HAS:
        assert any(name in figures for figures in slabs.values()), name


def check_and_set_is_no_set(exporter):
    """The exporter takes these from cmd_set, in which memcached counts them."""
    exporter.ask(b"cas key 0 0 1 1\r\nx\r\n")
    exporter.ask(b"set key 0 0 1\r\nx\r\n")
    exporter.ask(b"cas key 0 0 1 99999\r\nx\r\n")
    number = exporter.ask(b"gets key\r\n", b"END\r\n").split()[4]
    assert exporter.ask(b"cas key 0 0 1 %s\r\nx\r\n" % number) == b"STORED\r\n"
    general, _, _ = judge(exporter)
    assert [general[name] for name in ("cas_misses", "cas_badval", "cas_hits")] == ["1", "1", "1"]


def what_is_refused_evicted_expired(exporter):
    exporter.ask(b"set large 0 0 2000000\r\n%s\r\n" % (b"x" * 2000000))
    exporter.ask(b"set gone 0 -1 1\r\nx\r\n")
    exporter.ask(b"get gone none\r\n")
    exporter.ask(b"incr none 1\r\ntouch none 0\r\ndelete none\r\n", b"NOT_FOUND\r\n" * 3)
    for number in range(200):
        exporter.ask(b"set %d 0 0 700000\r\n%s\r\n" % (number, b"x" * 700000))
    general, _, _ = judge(exporter)
    assert int(general["evictions"]) > 0
    assert exporter.ask(b"stats reset\r\n") == b"RESET\r\n"
    judge(exporter)


CASES = [an_empty_server, items_of_all_sizes, check_and_set_is_no_set, what_is_refused_evicted_expired]

if __name__ == "__main__":
    sys.exit(client_cases.run(CASES, Exporter, lambda exporter: exporter.connection.close(), own_server=True))
