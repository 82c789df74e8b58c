#!/usr/bin/python3
"""Go's gomemcache (Debian's golang-github-bradfitz-gomemcache-dev): gomemcache_client.go, which go compiles as it runs it."""

import os
import sys
import tempfile

import client_cases
import client_program

SOURCES = "/usr/share/gocode"  # where Debian's packages are

if __name__ == "__main__":
    if not os.path.exists(f"{SOURCES}/src/github.com/bradfitz/gomemcache") or not client_program.available(["go", "version"]):
        sys.exit(client_cases.skip("no Go with gomemcache"))
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory(prefix="snug-go-") as cache:
        os.environ.update(GO111MODULE="off", GOPATH=SOURCES, GOCACHE=os.path.join(cache, "cache"), GOTMPDIR=cache, GOFLAGS="-p=1")
        sys.exit(client_program.run(["go", "run", os.path.join(here, "gomemcache_client.go")]))
