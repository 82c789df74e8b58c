#!/usr/bin/python3
"""memccapable of libmemcached: its tests of the ASCII protocol against a server, one case for each of its lines."""

import re
import shutil
import subprocess
import sys

import client_cases
from client_cases import Server


def main():
	chosen = client_cases.options()
	program = shutil.which("memccapable")
	if not program:
		return client_cases.skip("no memccapable")
	with Server(chosen.server, chosen.server_args) as server:
		host, port = server.address
		done = subprocess.run([program, "-a", "-t", "5", "-h", host, "-p", str(port)], capture_output=True, text=True, timeout=60, check=False)
	lines = re.findall(r"^(.*\S)\s+\[(pass|FAIL|NOT)\b.*\]", done.stdout + done.stderr, re.M)
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
		print(done.stdout + done.stderr)
		failed = max(failed, 1)
	return client_cases.finish(passed, failed)


if __name__ == "__main__":
	sys.exit(main())
