#!/usr/bin/python3
"""spymemcached (Debian's libspymemcached-java), in text and in the binary protocol: SpymemcachedClient.java, which java compiles as it runs it."""

import os
import sys

import client_cases
import client_program

JAR = "/usr/share/java/spymemcached.jar"

if __name__ == "__main__":
    if not os.path.exists(JAR) or not client_program.available(["javac", "-version"]):
        sys.exit(client_cases.skip("no Java compiler with spymemcached"))
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(client_program.run(["java", "-cp", JAR, os.path.join(here, "SpymemcachedClient.java")]))
