#!/usr/bin/python3
"""memcached-tool, as Debian's memcached has it: the display of slabs, the statistics, the settings.

What it prints as a number that it was not told is 0. So the items of all classes together must be those that there are.
"""

import os
import shutil
import subprocess
import sys

import client_cases
from waits import HANG_S

TOOL = "/usr/share/memcached/scripts/memcached-tool"


class Tool:
    def __init__(self, host, port):
        self.address = f"{host}:{port}"
        self.connection = client_cases.socket_to(host, port)

    def command(self, text, answer):
        self.connection.sendall(text.encode() + b"\r\n")
        assert self.connection.recv(1000).decode().rstrip() == answer

    def fill(self, count, size):
        for number in range(count):
            self.command(f"set {size}-{number} 0 0 {size}\r\n{'x' * size}", "STORED")

    def says(self, *mode):
        command = ["perl", TOOL, self.address, *mode]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def display(self):
        """Per class what the columns say."""
        head, *rows = self.says("display")
        return [dict(zip(head.split(), row.split())) for row in rows]

    def pairs(self, mode):
        _, *rows = self.says(mode)
        return dict(row.split(maxsplit=1) for row in rows)


def assert_counted(tool, count):
    rows = tool.display()
    assert rows, "no class is displayed"
    assert sum(int(row["Count"]) for row in rows) == count, rows
    for row in rows:
        assert int(row["Pages"]) > 0 and row["Item_Size"][-1] in "BK" and row["Full?"] in ("yes", "no"), row
        assert row["Evicted"] == row["OOM"] == "0", row


def display_of_small_items(tool):
    tool.fill(200, 10)
    assert_counted(tool, 200)


def display_of_large_items_alone(tool):
    tool.fill(20, 100000)
    assert_counted(tool, 20)


def display_of_medium_items_alone(tool):
    tool.fill(50, 3000)
    assert_counted(tool, 50)


def display_of_all_sizes(tool):
    tool.fill(100, 10)
    tool.fill(50, 3000)
    tool.fill(20, 100000)
    assert_counted(tool, 170)


def statistics(tool):
    tool.fill(30, 10)
    stats = tool.pairs("stats")
    assert stats["curr_items"] == "30" and int(stats["limit_maxbytes"]) > 0
    assert stats["version"].startswith("1.6."), stats["version"]


def settings(tool):
    told = tool.pairs("settings")
    assert int(told["maxconns"]) > 0 and int(told["maxbytes"]) > 0


def keys_and_dump(tool):
    tool.fill(50, 10)
    tool.fill(5, 100000)
    names = {f"10-{number}" for number in range(50)} | {f"100000-{number}" for number in range(5)}
    assert {line.split()[0].removeprefix("key=") for line in tool.says("keys") if line.startswith("key=")} == names
    assert {line.split()[1] for line in tool.says("dump") if line.startswith("add ")} == names


def sizes(tool):
    told = tool.pairs("sizes")
    assert told == {"sizes_status": "disabled"} or all(int(size) % 32 == 0 and int(count) > 0 for size, count in told.items()), told


CASES = [
    display_of_large_items_alone,
    display_of_medium_items_alone,
    display_of_small_items,
    display_of_all_sizes,
    statistics,
    settings,
    keys_and_dump,
    sizes,
]

if __name__ == "__main__":
    if not os.path.exists(TOOL) or not shutil.which("perl"):
        sys.exit(client_cases.skip("no memcached-tool"))
    sys.exit(client_cases.run(CASES, Tool, lambda tool: tool.connection.close(), own_server=True))
