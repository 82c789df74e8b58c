#!/usr/bin/env python3
"""What shells complete is what the programs take: no option less, and none more.

    test_completion.py SOURCE_ROOT DIRECTORY_OF_COMPLETIONS

The options are read from the tables in the source, not from the help that the completions are written from.
"""

import pathlib
import re
import shutil
import subprocess
import sys

ROOT, WRITTEN = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def options_of_snugd():
    table = (ROOT / "src/server/settings/settings_table.h").read_text()
    rows = re.findall(r"^\s*X\(\w+,\s*('.'|0),\s*\"([a-z][a-z-]*)\",", table, re.M)
    assert len(rows) > 40, rows
    letters = {f"-{letter[1]}" for letter, _ in rows if letter != "0"}
    return letters | {f"--{name}" for _, name in rows}


def options_of_snugctl():
    text = "\n".join(file.read_text() for file in (ROOT / "tools/snugctl").glob("*.c"))
    rows = re.findall(r"\{\"([a-z][a-z-]*)\",\s*(?:no|required)_argument,\s*NULL,\s*('.'|\w+)\}", text)
    assert len(rows) > 9, rows
    letters = {f"-{letter[1]}" for _, letter in rows if letter.startswith("'")}
    return letters | {f"--{name}" for name, _ in rows}


def bash(name, *words):
    """What bash offers for the last word."""
    script = (f'source "{WRITTEN / (name + ".bash")}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _{name}; printf "%s\\n" "${{COMPREPLY[@]}}"')
    said = subprocess.run(["bash", "-c", script, "bash", name, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert said.returncode == 0 and said.stderr == "", said
    return {word for word in said.stdout.split("\n") if word}


def zsh_options(name):
    return set(re.findall(r"^\t'\*?(--?[a-zA-Z][a-z-]*)[=+\[]", (WRITTEN / f"_{name}").read_text(), re.M))


def same(here, there):
    assert here == there, f"only completed: {sorted(here - there)}; not completed: {sorted(there - here)}"


def bash_completes_snugds_table():
    same(bash("snugd", "-"), options_of_snugd())


def bash_completes_snugctls_table():
    same(bash("snugctl", "-"), options_of_snugctl())


def zsh_completes_the_same():
    same(zsh_options("snugd"), options_of_snugd())
    same(zsh_options("snugctl"), options_of_snugctl())


def values_are_completed():
    assert bash("snugd", "--io", "") == {"auto", "uring", "epoll"}
    assert bash("snugd", "--io", "=", "u") == {"uring"}
    assert bash("snugd", "--io", "=") == {"auto", "uring", "epoll"}
    assert "CHANGELOG.md" in bash("snugd", "--config", "CH")
    assert bash("snugd", "--threads", "") == set()


def commands_are_completed():
    assert "defrag" in bash("snugctl", "de")
    assert {"compact", "return"} <= bash("snugctl", "-j", "defrag", "")
    assert bash("snugctl", "emergency", "1m", "e") == {"evict"}


def zsh_reads_it():
    if not shutil.which("zsh"):
        return "there is no zsh"
    for name in ("snugd", "snugctl"):
        subprocess.run(["zsh", "-n", WRITTEN / f"_{name}"], check=True)
    return None


CASES = [bash_completes_snugds_table, bash_completes_snugctls_table, zsh_completes_the_same, values_are_completed, commands_are_completed, zsh_reads_it]


def main():
    print(f"[==========] Running {len(CASES)} test(s).")
    failed = False
    for case in CASES:
        try:
            why = case()
            print(f"[  SKIPPED ] {case.__name__}: {why}" if why else f"[       OK ] {case.__name__}")
        except (AssertionError, subprocess.CalledProcessError) as error:
            print(f"[  FAILED  ] {case.__name__}: {error}")
            failed = True
    sys.exit(failed)


main()
