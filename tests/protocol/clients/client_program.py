"""Runs a client that is not written in Python against a server: a program that gets HOST PORT, and the word binary where it is to speak that protocol, and
prints as the other tests do.

A client that hangs is ended after its time, and counts as failed.
"""

import shutil
import subprocess

import client_cases
from client_cases import Server
from waits import RUN_HANG_S

PROGRAM_SECONDS = 50


def available(probe):
    """Whether `probe`, a command, can be run and succeeds."""
    if not shutil.which(probe[0]):
        return False
    return subprocess.run(probe, capture_output=True, timeout=RUN_HANG_S, check=False).returncode == 0


def run(command):
    """`command` is the program and its arguments, without HOST PORT [binary]."""
    chosen = client_cases.options()
    with Server(chosen.server, chosen.server_args) as server:
        host, port = server.address
        try:
            protocol = ["binary"] if chosen.binary else []
            done = subprocess.run([*command, host, str(port), *protocol], timeout=RUN_HANG_S, check=False)
        except subprocess.TimeoutExpired:
            print(f"no end within {PROGRAM_SECONDS} s")
            return 1
        if not server.is_alive():
            print(f"the server has died: {server.log_text()}")
            return 1
        return done.returncode
