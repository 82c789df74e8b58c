#!/usr/bin/python3
"""collectd's memcached plugin, as Debian's collectd-core has it: a few intervals of it, written as CSV, over TCP and over a unix socket."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

import client_cases
from client_cases import Server
from waits import HANG_S

COLLECTD = shutil.which("collectd", path=os.environ.get("PATH", "") + ":/usr/sbin")
PLUGINS = "/usr/lib/collectd"
ROWS = 3  # the second is the first with rates

CONFIG = """
Hostname "here"
FQDNLookup false
BaseDir "{place}"
PIDFile "{place}/pid"
PluginDir "{plugins}"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin logfile
<Plugin logfile>
  LogLevel info
  File "{place}/log"
  Timestamp false
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "{place}/data"
  StoreRates true
</Plugin>
LoadPlugin memcached
<Plugin memcached>
  <Instance "one">
    {where}
  </Instance>
</Plugin>
"""

# Per file: what its columns must at least be in the end. Rates, where the figure is a counter.
EXPECTED = {
    "connections-opened": {"value": 0},
    "df-cache": {"used": 1, "free": 1},
    "memcached_command-flush": {"value": 0},
    "memcached_command-get": {"value": 1},
    "memcached_command-meta": {"value": 0},
    "memcached_command-set": {"value": 0},
    "memcached_command-touch": {"value": 0},
    "memcached_connections-current": {"value": 1},
    "memcached_items-current": {"value": 100},
    "memcached_octets": {"rx": 1, "tx": 1},
    "memcached_ops-decr_hits": {"value": 0},
    "memcached_ops-decr_misses": {"value": 0},
    "memcached_ops-evictions": {"value": 0},
    "memcached_ops-hits": {"value": 1},
    "memcached_ops-incr_hits": {"value": 0},
    "memcached_ops-incr_misses": {"value": 0},
    "memcached_ops-misses": {"value": 0},
    "percent-hitratio": {"value": 100},
    "ps_count": {"threads": 1},
    "ps_cputime": {"user": 0, "syst": 0},
    "total_events-listen_disabled": {"value": 0},
    "uptime": {"value": 1},
}


def fill(connection):
    for number in range(100):
        connection.sendall(b"set key%d 0 0 100\r\n%s\r\n" % (number, b"x" * 100))
        assert connection.recv(100) == b"STORED\r\n"


def hit(connection):
    """So that there are rates."""
    for number in range(100):
        connection.sendall(b"get key%d\r\n" % number)
        assert connection.recv(1000).endswith(b"END\r\n")


def read(directory):
    """{file's name without its day: its rows}"""
    found = {}
    for place, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(place, name), newline="") as file:
                found[name[: -len("-2000-01-01")]] = list(csv.DictReader(file))
    return found


def collect(connection, place, where):
    """What it has written when each file has its rows, or when the time is over; and its log."""
    with open(os.path.join(place, "config"), "w") as file:
        file.write(CONFIG.format(place=place, plugins=PLUGINS, where=where))
    data, until = {}, time.monotonic() + HANG_S
    process = subprocess.Popen([COLLECTD, "-f", "-C", file.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.monotonic() < until and process.poll() is None:
            hit(connection)
            time.sleep(0.1)
            data = read(os.path.join(place, "data"))
            if data and all(len(rows) >= ROWS for rows in data.values()):
                break
    finally:
        process.terminate()
        process.wait()
    with open(os.path.join(place, "log")) as log:
        return data, log.read()


def judge(data, log):
    assert "rror" not in log and "fail" not in log, log
    missing = EXPECTED.keys() - data.keys()
    assert not missing, f"not written: {sorted(missing)}"
    for name, columns in EXPECTED.items():
        for column, least in columns.items():
            value = data[name][-1][column]
            assert float(value) >= least, f"{name} {column}: {value}"


def over_tcp(server, connection, place):
    host, port = server.address
    return collect(connection, place, f'Host "{host}"\n    Port "{port}"')


def over_a_unix_socket(server, connection, place):
    return collect(connection, place, f'Socket "{server.address}"')


def run(case, chosen):
    with Server(chosen.server, chosen.server_args, unix=case is over_a_unix_socket) as server:
        with server.connect() as connection, tempfile.TemporaryDirectory() as place:
            fill(connection)
            judge(*case(server, connection, place))


def main():
    chosen = client_cases.options()
    passed, cases = 0, [over_tcp, over_a_unix_socket]
    print(f"[==========] Running {len(cases)} test(s).")
    for case in cases:
        name = case.__name__.replace("_", " ")
        try:
            run(case, chosen)
            passed += 1
            print(f"[       OK ] {name}")
        except Exception:
            print(f"[  FAILED  ] {name}\n{traceback.format_exc()}")
    return client_cases.finish(passed, len(cases) - passed)


if __name__ == "__main__":
    if not COLLECTD or not os.path.exists(f"{PLUGINS}/memcached.so"):
        sys.exit(client_cases.skip("no collectd with its memcached plugin"))
    sys.exit(main())
