#!/usr/bin/python3
"""Ruby's Dalli: dalli_client.rb. It has a meta mode since 3.2, and no binary one since 5; Debian 12's speaks the binary protocol alone.

RUBYLIB may name another Dalli.
"""

import os
import sys

import client_cases
import client_program

HAS_META = "require 'dalli'; exit(Gem::Version.new(Dalli::VERSION) >= Gem::Version.new('3.2.0'))"
HAS_BINARY = "require 'dalli'; exit(Dalli::VERSION.to_i < 5)"

if __name__ == "__main__":
    is_binary = client_cases.options().binary
    if not client_program.available(["ruby", "-e", HAS_BINARY if is_binary else HAS_META]):
        sys.exit(client_cases.skip("no Dalli before 5" if is_binary else "no Dalli of 3.2 or newer"))
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(client_program.run(["ruby", os.path.join(here, "dalli_client.rb")]))
