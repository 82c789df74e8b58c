#!/usr/bin/python3
"""PHP's memcached extension and its sessions: php_client.php."""

import os
import sys

import client_cases
import client_program

if __name__ == "__main__":
    if not client_program.available(["php", "-r", "exit(extension_loaded('memcached') ? 0 : 1);"]):
        sys.exit(client_cases.skip("no php with its memcached extension"))
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(client_program.run(["php", os.path.join(here, "php_client.php")]))
