#!/usr/bin/python3
"""npm's memcached, in its text mode: node_client.js. Debian does not have it; NODE_PATH may name the directory where npm has put it."""

import os
import sys

import client_cases
import client_program

if __name__ == "__main__":
    if not client_program.available(["node", "-e", "require('memcached')"]):
        sys.exit(client_cases.skip("no node with its memcached"))
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(client_program.run(["node", os.path.join(here, "node_client.js")]))
