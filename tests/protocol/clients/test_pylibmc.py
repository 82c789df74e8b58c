#!/usr/bin/python3
"""pylibmc, the Python binding of libmemcached, against a server, with its behaviours that change what goes over the wire."""

import sys
import time

import client_cases
from waits import HANG_S

try:
    import pylibmc
except ImportError:
    sys.exit(client_cases.skip("no pylibmc"))

BEHAVIORS = {"tcp_nodelay": True, "cas": True}
IS_BINARY = "--binary" in sys.argv


def connect(host, port):
    client = pylibmc.Client([f"{host}:{port}"], behaviors=BEHAVIORS, binary=IS_BINARY)
    client.flush_all()
    client.address = f"{host}:{port}"
    return client


def set_and_get(client):
    assert client.get("key") is None
    assert client.set("key", "value") is True
    assert client.get("key") == "value"


def objects_of_python(client):
    for number, value in enumerate([1, 2**70, True, None, "text", b"bytes", [1, 2], {"a": 1}, 3.5]):
        assert client.set(f"key{number}", value)
        assert client.get(f"key{number}") == value


def compressed_values(client):
    assert client.set("key", "abc" * 100000, min_compress_len=1000)
    assert client.get("key") == "abc" * 100000


def add_and_replace(client):
    try:
        assert client.replace("key", "1") is False
    except pylibmc.NotFound:
        assert IS_BINARY
    assert client.add("key", "2") is True
    assert client.add("key", "3") is False
    assert client.replace("key", "4") is True
    assert client.get("key") == "4"


def append_and_prepend(client):
    client.set("key", "mid")
    assert client.append("key", ">")
    assert client.prepend("key", "<")
    assert client.get("key") == "<mid>"


def many_at_once(client):
    values = {f"key{number}": number for number in range(500)}
    assert client.set_multi(values) == []
    assert client.get_multi([*values, "none"]) == values
    assert client.get_multi(["1", "2"], key_prefix="key") == {"1": 1, "2": 2}
    assert client.add_multi({"key1": 5, "new": 6}) == ["key1"]
    assert client.delete_multi([f"key{number}" for number in range(250)]) is True
    assert len(client.get_multi(list(values))) == 250


def increment_and_decrement(client):
    client.set("key", 10)
    assert client.incr("key") == 11
    assert client.incr("key", 5) == 16
    assert client.decr("key", 6) == 10
    assert client.get("key") == 10
    try:
        client.incr("none")
    except pylibmc.NotFound:
        return
    raise AssertionError("no error")


def many_increments(client):
    client.set_multi({"a": 1, "b": 2})
    client.incr_multi(["a", "b"], delta=10)
    assert client.get_multi(["a", "b"]) == {"a": 11, "b": 12}


def check_and_set(client):
    client.set("key", 1)
    value, number = client.gets("key")
    assert value == 1
    assert client.cas("key", 2, number) is True
    assert client.cas("key", 3, number) is False
    assert client.get("key") == 2


def delete_and_touch(client):
    assert client.delete("key") is False
    assert client.touch("key", 10) is False
    client.set("key", 1)
    assert client.touch("key", 10) is True
    assert client.delete("key") is True


def expiry(client):
    client.set("short", 1, time=1)
    client.set("long", 1, time=100)
    time.sleep(2.2)
    assert client.get("short") is None
    assert client.get("long") == 1


def too_large(client):
    try:
        client.set("key", b"v" * 2000000)
    except pylibmc.Error:
        assert client.get("key") is None
        return
    raise AssertionError("no error")


def statistics(client):
    client.set("key", 1)
    ((_, fields),) = client.get_stats()
    assert int(fields["curr_items"]) >= 1
    client.get_stats("items")
    client.get_stats("slabs")


def with_noreply(client):
    quiet = pylibmc.Client([client.address], behaviors={**BEHAVIORS, "_noreply": True}, binary=IS_BINARY)
    for number in range(200):
        quiet.set(f"key{number}", number)
    quiet.delete("key0")
    quiet.disconnect_all()
    until = time.monotonic() + HANG_S
    while client.get("key199") is None and time.monotonic() < until:
        time.sleep(0.01)
    assert client.get("key199") == 199


def clones(client):
    clone = client.clone()
    clone.set("key", 7)
    assert client.get("key") == 7
    clone.disconnect_all()


CASES = [
    set_and_get,
    objects_of_python,
    compressed_values,
    add_and_replace,
    append_and_prepend,
    many_at_once,
    increment_and_decrement,
    many_increments,
    check_and_set,
    delete_and_touch,
    expiry,
    too_large,
    statistics,
    with_noreply,
    clones,
]

if __name__ == "__main__":
    sys.exit(client_cases.run(CASES, connect, lambda client: client.disconnect_all()))
