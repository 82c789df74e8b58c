#!/usr/bin/python3
"""The check of Nagios and its heirs: check_memcached, as Debian's monitoring-plugins-contrib has it.

It asks for the statistics with libmemcached, keeps them in the cache itself, and compares with what it finds there the next time.
"""

import os
import re
import subprocess
import sys

import client_cases
from waits import HANG_S

CHECK = "/usr/lib/nagios/plugins/check_memcached"
OK, WARNING, CRITICAL = 0, 1, 2


class Site:
    def __init__(self, host, port):
        self.address = (host, port)
        self.connection = client_cases.socket_to(host, port)

    def ask(self, text):
        self.connection.sendall(text.encode() + b"\r\n")
        return self.connection.recv(10000).decode()

    def check(self, *options):
        """Its status, and its line: what a person reads, and the figures."""
        host, port = self.address
        command = [CHECK, "-H", host, "-p", str(port), "-T", "0", "-t", "10", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
        text, _, figures = done.stdout.strip().partition("|")
        return done.returncode, text, dict(re.findall(r"(\w+)=(-?[\d.]+)", figures))


def the_first_time(site):
    status, text, _ = site.check()
    assert status == OK and re.match("OK: +no stats available yet", text), text
    assert "time=" in site.ask("get check_memcached")


def a_good_ratio_of_hits(site):
    site.check()
    site.ask("set key 0 0 1\r\nx")
    for _ in range(50):
        assert "VALUE key" in site.ask("get key")
    status, text, figures = site.check()
    assert status == OK, text
    assert figures["get_hits"] == "50" and figures["evictions"] == "0", figures
    assert int(figures["delta_get_hits"]) == 50 and int(figures["delta_cmd_set"]) == 2, figures


def a_bad_ratio_of_hits(site):
    site.check()
    for _ in range(10):
        assert site.ask("get none") == "END\r\n"
    status, text, figures = site.check()
    assert status == WARNING and "Low hit/miss rate" in text, text
    assert int(figures["get_misses"]) >= 10, figures


def as_rates(site):
    site.check()
    status, text, figures = site.check("-r", "-w", "0")
    assert status == OK and "hit_miss_ratio" in figures, (text, figures)


def no_server(site):
    free = client_cases.free_port()
    done = subprocess.run([CHECK, "-H", "127.0.0.1", "-p", str(free)], capture_output=True, timeout=HANG_S, check=False)
    assert done.returncode == CRITICAL, done.stdout


CASES = [the_first_time, a_good_ratio_of_hits, a_bad_ratio_of_hits, as_rates, no_server]

if __name__ == "__main__":
    if not os.path.exists(CHECK):
        sys.exit(client_cases.skip("no check_memcached"))
    sys.exit(client_cases.run(CASES, Site, lambda site: site.connection.close(), own_server=True))
