#!/usr/bin/env python3
"""docs/migrating-from-memcached.md tells the truth about options: each is tried, and where memcached is installed none of its help is left out.

    test_migrating.py SNUGD PAGE
"""

import re
import shutil
import subprocess
import sys

# What an option is given where it needs a value; others are tried without one.
VALUES = {"-p": "0", "-U": "0", "-s": "/tmp/unix", "-a": "770", "-l": "127.0.0.1", "-u": "nobody", "-m": "64", "-c": "10", "-P": "/tmp/pid", "-f": "1.2",
          "-n": "48", "-D": ":", "-t": "1", "-R": "20", "-b": "10", "-B": "auto", "-I": "1m", "-Y": "/dev/null", "-e": "/dev/shm/x",
          "maxconns_fast": None, "no_hashexpand": None, "no_lru_crawler": None, "no_lru_maintainer": None, "track_sizes": None, "modern": None,
          "no_modern": None, "ext_drop_unread": None, "hash_algorithm": "xxh3", "ssl_min_version": "2", "ssl_session_cache": None, "ssl_kernel_tls": None}
ENDS_AT_ONCE = {"-h", "-V"}  # they say something and end well, so that nothing after them counts


def rows(page):
    with open(page) as lines:
        options = lines.read().split("## Options")[1].split("## Statistics")[0]
    for line in options.splitlines():
        if line.startswith("| `-"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            yield re.findall(r"`([^`]+)`", cells[0]), cells[1]


def names_of(spelled):
    """The ways to ask for what one row spells: short options, or members of -o."""
    if spelled[0].startswith("-o "):
        return ["-o " + name.removeprefix("-o ") for name in spelled]
    return spelled


def command_of(name):
    if name.startswith("-o "):
        value = VALUES.get(name[3:], "1")
        return ["-o", name[3:] + ("" if value is None else "=" + value)]
    return [name] + ([VALUES[name]] if name in VALUES else [])


def main(snugd, page):
    wrong, tried, said = [], 0, {"-o"}
    for spelled, verdict in rows(page):
        for name in names_of(spelled):
            said.add(name.removeprefix("-o "))
            if name.startswith("--") or verdict.startswith("see "):
                continue
            tried += 1
            end = subprocess.run([snugd, *command_of(name), "--check-config"], capture_output=True, text=True, check=False)
            if (end.returncode == 0) != (verdict != "refused"):
                wrong.append(f"{name}: the page says '{verdict}', snugd ended with {end.returncode}: {end.stderr.strip()}")
            if name in ENDS_AT_ONCE and not end.stdout:
                wrong.append(f"{name}: says nothing")
    memcached = shutil.which("memcached")
    if memcached:
        help_text = subprocess.run([memcached, "-h"], capture_output=True, text=True, check=False).stdout
        theirs = set(re.findall(r"^(-[A-Za-z])\b", help_text, re.M)) | set(re.findall(r"^   - (\w+):", help_text, re.M))
        wrong += [f"{name}: memcached's help has it, the page has not" for name in sorted(theirs - said)]
    print("\n".join(wrong or [f"{tried} options are as the page says"]))
    return 1 if wrong or tried < 60 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
