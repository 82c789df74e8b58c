#!/usr/bin/python3
"""Starts a server and runs libmemcached_client.c, as built by meson, against it."""

import subprocess
import sys

import client_cases
from client_cases import Server
from waits import RUN_HANG_S


def main():
    chosen = client_cases.options("--program")
    with Server(chosen.server, chosen.server_args) as server:
        host, port = server.address
        return subprocess.run([chosen.program, host, str(port), *(["binary"] if chosen.binary else [])], timeout=RUN_HANG_S, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
