#!/usr/bin/python3
"""bmemcached (Debian's python3-binary-memcached), which speaks the binary protocol alone: what Datadog's check and others use. With SASL: test_sasl.py."""

import sys
import time

import client_cases

try:
    import bmemcached
except ImportError:
    sys.exit(client_cases.skip("no bmemcached"))


def connect(host, port):
    client = bmemcached.Client([f"{host}:{port}"])
    client.flush_all()
    return client


def set_and_get(client):
    assert client.get("key") is None
    for value in ("value", "", 17, 2**70, True, b"bytes\0\r\n", [1, {"a": 2.5}], "ÿ€", "abc" * 50000):
        assert client.set("key", value)
        assert client.get("key") == value, value


def compressed_values(client):
    assert client.set("key", "abc" * 100000, compress_level=6)
    assert client.get("key") == "abc" * 100000


def add_and_replace(client):
    assert not client.replace("key", "1")
    assert client.add("key", "2")
    assert not client.add("key", "3")
    assert client.replace("key", "4")
    assert client.get("key") == "4"


def compare_and_set(client):
    assert client.set("key", "1")
    value, cas = client.get("key", get_cas=True)
    assert value == "1" and cas
    assert client.cas("key", "2", cas)
    assert not client.cas("key", "3", cas)
    assert client.get("key") == "2"


def counters(client):
    assert client.incr("count", 5, default=10) == 10
    assert client.incr("count", 5) == 15
    assert client.decr("count", 16) == 0
    assert client.get("count").strip() == "0"  # a number keeps its length


def delete(client):
    assert client.set("key", "1")
    assert client.delete("key")
    assert client.delete("key")  # what is not there is deleted, too, for this client
    assert client.get("key") is None


def many_at_once(client):
    values = {f"key{number}": f"value{number}" for number in range(300)}
    assert client.set_multi(values) == []
    assert client.get_multi([*values, "none"]) == values
    assert client.delete_multi(values)
    assert client.get_multi(values) == {}


def expiry(client):
    assert client.set("key", "1", time=1)
    assert client.get("key") == "1"
    time.sleep(2.1)
    assert client.get("key") is None


def statistics(client):
    (figures,) = client.stats().values()
    assert int(figures["pid"]) > 0 and figures["version"].count(b".") == 2
    (settings,) = client.stats("settings").values()
    assert int(settings["maxbytes"]) > 0


CASES = [set_and_get, compressed_values, add_and_replace, compare_and_set, counters, delete, many_at_once, expiry, statistics]

if __name__ == "__main__":
    sys.exit(client_cases.run(CASES, connect, lambda client: client.disconnect_all()))
