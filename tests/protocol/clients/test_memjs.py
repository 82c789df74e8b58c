#!/usr/bin/python3
"""npm's memjs, which speaks the binary protocol alone: memjs_client.js. Debian does not have it; NODE_PATH may name the directory where npm has put it.
With SASL: test_sasl.py."""

import os
import sys

import client_cases
import client_program

if __name__ == "__main__":
    if not client_program.available(["node", "-e", "require('memjs')"]):
        sys.exit(client_cases.skip("no node with memjs"))
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(client_program.run(["node", os.path.join(here, "memjs_client.js")]))
