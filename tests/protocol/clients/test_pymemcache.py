#!/usr/bin/python3
"""pymemcache, the client in pure Python, against a server."""

import sys
import time

import client_cases
from waits import HANG_S

try:
    from pymemcache.client.base import Client, PooledClient
    from pymemcache.exceptions import MemcacheClientError, MemcacheServerError
except ImportError:
    sys.exit(client_cases.skip("no pymemcache"))


def connect(host, port):
    client = Client((host, port), timeout=HANG_S, connect_timeout=HANG_S)
    client.flush_all(noreply=False)
    return client


def set_and_get(client):
    assert client.get("key") is None
    assert client.get("key", "default") == "default"
    assert client.set("key", b"value", noreply=False) is True
    assert client.get("key") == b"value"
    assert client.set("key", b"", noreply=False) is True
    assert client.get("key") == b""


def set_without_answer(client):
    client.set("key", b"value", noreply=True)
    assert client.get("key") == b"value"


def values_of_many_sizes(client):
    for size in (0, 1, 100, 4096, 65536, 500000, 1000000):
        assert client.set("key", b"v" * size, noreply=False)
        assert client.get("key") == b"v" * size


def add_and_replace(client):
    assert client.replace("key", b"1", noreply=False) is False
    assert client.add("key", b"2", noreply=False) is True
    assert client.add("key", b"3", noreply=False) is False
    assert client.replace("key", b"4", noreply=False) is True
    assert client.get("key") == b"4"


def append_and_prepend(client):
    assert client.append("key", b"x", noreply=False) is False
    client.set("key", b"mid")
    assert client.append("key", b">", noreply=False) is True
    assert client.prepend("key", b"<", noreply=False) is True
    assert client.get("key") == b"<mid>"


def many_at_once(client):
    values = {f"key{number}": b"%d" % number for number in range(500)}
    assert client.set_many(values, noreply=False) == []
    assert client.get_many([*values, "none"]) == values
    assert len(client.gets_many([*values, "none"])) == 500
    client.delete_many([f"key{number}" for number in range(250)], noreply=False)
    assert len(client.get_many(values)) == 250


def check_and_set(client):
    assert client.gets("key") == (None, None)
    client.set("key", b"1")
    value, number = client.gets("key")
    assert value == b"1"
    assert client.cas("key", b"2", number, noreply=False) is True
    assert client.cas("key", b"3", number, noreply=False) is False
    assert client.get("key") == b"2"
    assert client.cas("none", b"3", number, noreply=False) is None


def increment_and_decrement(client):
    assert client.incr("key", 1, noreply=False) is None
    client.set("key", b"10")
    assert client.incr("key", 5, noreply=False) == 15
    assert client.decr("key", 1, noreply=False) == 14
    assert client.decr("key", 100, noreply=False) == 0


def increment_of_no_number(client):
    client.set("key", b"abc")
    try:
        client.incr("key", 1, noreply=False)
    except MemcacheClientError:
        return
    raise AssertionError("no error")


def delete_and_touch(client):
    assert client.delete("key", noreply=False) is False
    assert client.touch("key", 10, noreply=False) is False
    client.set("key", b"1")
    assert client.touch("key", 10, noreply=False) is True
    assert client.get("key") == b"1"
    assert client.delete("key", noreply=False) is True
    assert client.get("key") is None


def expiry(client):
    client.set("short", b"1", expire=1)
    client.set("long", b"1", expire=100)
    time.sleep(2.2)
    assert client.get("short") is None
    assert client.get("long") == b"1"


def too_large(client):
    try:
        client.set("key", b"v" * 2000000, noreply=False)
    except MemcacheServerError:
        assert client.get("key") is None
        return
    raise AssertionError("no error")


def key_too_long(client):
    assert client.set("k" * 250, b"1", noreply=False)
    assert client.get("k" * 250) == b"1"


def statistics_and_version(client):
    client.set("key", b"1", noreply=False)
    statistics = client.stats()
    assert isinstance(statistics[b"curr_items"], int) and statistics[b"curr_items"] >= 1
    assert client.version()
    assert client.stats("settings")[b"maxbytes"]
    client.stats("items")
    client.stats("slabs")


def flush(client):
    client.set("key", b"1", noreply=False)
    assert client.flush_all(noreply=False) is True
    assert client.get("key") is None


def pooled(client):
    pool = PooledClient(client.server, max_pool_size=4)
    assert pool.set("key", b"1", noreply=False)
    assert pool.get("key") == b"1"
    pool.close()


CASES = [
    set_and_get,
    set_without_answer,
    values_of_many_sizes,
    add_and_replace,
    append_and_prepend,
    many_at_once,
    check_and_set,
    increment_and_decrement,
    increment_of_no_number,
    delete_and_touch,
    expiry,
    too_large,
    key_too_long,
    statistics_and_version,
    flush,
    pooled,
]

if __name__ == "__main__":
    sys.exit(client_cases.run(CASES, connect, lambda client: client.close()))
