#!/usr/bin/python3
"""Ruby's Dalli in its meta mode: dalli_client.rb. It has that mode since 3.2; Debian 12's is older, and speaks the binary protocol alone.

RUBYLIB may name another Dalli.
"""

import os
import sys

import client_cases
import client_program

HAS_META = "require 'dalli'; exit(Gem::Version.new(Dalli::VERSION) >= Gem::Version.new('3.2.0'))"

if __name__ == "__main__":
    if not client_program.available(["ruby", "-e", HAS_META]):
        sys.exit(client_cases.skip("no Dalli of 3.2 or newer"))
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(client_program.run(["ruby", os.path.join(here, "dalli_client.rb")]))
