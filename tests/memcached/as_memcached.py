#!/usr/bin/env python3
"""snugd under the name and with the command line of memcached's own tests: what check_memcached.py puts where they look for memcached-debug.

Left out of the command line, and why:

    -U PORT                   there is no UDP; memcached's tests ask for some with each TCP port
    -o relaxed_privileges     of memcached's debug build alone

Added: room to raise the limit, and that clients may. Of the help, only what snugd has: the tests read from it what they may try.
"""

import os
import subprocess
import sys


def translate(words):
    words = iter(words)
    for word in words:
        if word == "-U":
            next(words)
        elif word == "-o":
            names = [name for name in next(words).split(",") if name != "relaxed_privileges"]
            if names:
                yield from ("-o", ",".join(names))
        else:
            yield word


def main():
    snugd = os.environ["SNUGD"]
    if sys.argv[1:] == ["-h"]:
        text = subprocess.run([snugd, "-h"], capture_output=True, text=True, check=True).stdout
        print(text.split("\nTaken from memcached")[0])
        return
    os.execv(snugd, [snugd, *translate(sys.argv[1:]), "--memory-max", "16g", "--open-commands"])


main()
