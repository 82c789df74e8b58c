#!/usr/bin/python3
"""memccapable of libmemcached: its tests of both protocols against a server, one case for each of its lines."""

import re
import shutil
import socket
import subprocess
import sys

import client_cases
from client_cases import Server
from waits import RUN_HANG_S


def use_first_numbers(address):
    """Each worker gives out a CAS number. memccapable's wrong number is one less than the right one; of a worker's first, 1, that is 0: none at all."""
    with socket.create_connection(address) as client:
        for i in range(100):
            client.sendall(b"set number%d 0 0 1\r\nx\r\ngets number%d\r\n" % (i, i))
            said = b""
            while not said.endswith(b"END\r\n"):
                said += client.recv(4096)


def main():
    chosen = client_cases.options()
    program = shutil.which("memccapable")
    if not program:
        return client_cases.skip("no memccapable")
    with Server(chosen.server, chosen.server_args) as server:
        host, port = server.address
        use_first_numbers(server.address)
        # stdbuf: it writes names to its standard output and failures to its standard error.
        done = subprocess.run(
            ["stdbuf", "-o0", program, "-t", "5", "-h", host, "-p", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_HANG_S,
            check=False,
        )
    lines = re.findall(r"^((?:ascii|binary) .*?)\s*\[(pass|FAIL|NOT)", done.stdout, re.M)
    print(f"[==========] Running {max(len(lines), 1)} test(s).")
    passed = failed = 0
    for name, result in lines:
        if result == "pass":
            passed += 1
            print(f"[       OK ] {name}")
        else:
            failed += 1
            print(f"[  FAILED  ] {name}")
    if failed or not lines or done.returncode != 0:
        print(done.stdout)
        failed = max(failed, 1)
    return client_cases.finish(passed, failed)


if __name__ == "__main__":
    sys.exit(main())
