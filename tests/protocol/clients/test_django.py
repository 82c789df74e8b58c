#!/usr/bin/python3
"""Django's caches over pylibmc and over pymemcache, and its sessions in such a cache, against a server.

Django says "expired at once" by an exptime of -1. pylibmc writes that as 4294967295, and memcached takes it for -1.
"""

import os
import resource
import sys
import time

import client_cases

try:
    import django
    from django.conf import settings
    from django.core.cache import caches
except ImportError:
    sys.exit(client_cases.skip("no Django"))

MONTH_SECONDS = 30 * 24 * 3600
CLASSES = {"pylibmc": "PyLibMCCache", "pymemcache": "PyMemcacheCache"}


def installed():
    for library, name in CLASSES.items():
        try:
            __import__(library)
        except ImportError:
            continue
        yield library, name


def configure(host, port):
    backends = {
        library: {
            "BACKEND": f"django.core.cache.backends.memcached.{name}",
            "LOCATION": f"{host}:{port}",
            "KEY_PREFIX": "prefix",
        }
        for library, name in installed()
    }
    settings.configure(
        CACHES={**backends, "default": next(iter(backends.values()))},
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        USE_TZ=True,
    )
    django.setup()
    return list(backends)


def takes_empty_values(cache):
    """Debian 13's pylibmc ends its process by an assertion when an empty value comes, whichever server sends it: tried in a process of its own."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        library = next(library for library, name in CLASSES.items() if type(cache).__name__ == name)
        fresh = caches.create_connection(library)
        fresh.set("empty", "")
        fresh.get("empty")
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def set_and_get(cache):
    assert cache.get("key") is None
    assert cache.get("key", "default") == "default"
    for value in ("value", *([""] if takes_empty_values(cache) else []), 1, 2**70, True, None, b"bytes", [1, {"a": 2}], "ÿ€"):
        cache.set("key", value)
        assert cache.get("key", "absent") == value


def add_and_delete(cache):
    assert cache.add("key", 1) is True
    assert cache.add("key", 2) is False
    assert cache.get("key") == 1
    assert cache.delete("key") is True
    assert cache.delete("key") is False
    assert "key" not in cache


def many_at_once(cache):
    values = {f"key{number}": number for number in range(300)}
    assert cache.set_many(values) == []
    assert cache.get_many([*values, "none"]) == values
    cache.delete_many([f"key{number}" for number in range(100)])
    assert len(cache.get_many(values)) == 200


def increment_and_decrement(cache):
    cache.set("key", 41)
    assert cache.incr("key") == 42
    assert cache.incr("key", 10) == 52
    assert cache.decr("key", 12) == 40
    assert cache.incr("key", -20) == 20
    for operation in (cache.incr, cache.decr):
        try:
            operation("none")
        except ValueError:
            continue
        raise AssertionError("no error")


def no_time_at_all(cache):
    """0 is for Django a time that is over: sent as -1."""
    cache.set("set", 1, 0)
    assert cache.get("set") is None
    cache.set("negative", 1, -5)
    assert cache.get("negative") is None
    cache.add("added", 1, 0)
    assert cache.get("added") is None
    cache.set_many({"a": 1, "b": 2}, 0)
    assert cache.get_many(["a", "b"]) == {}
    cache.set("key", 1)
    cache.set("key", 2, 0)
    assert cache.get("key") is None
    cache.set("touched", 1)
    assert cache.touch("touched", 0) is True
    assert cache.get("touched") is None


def for_ever_and_long(cache):
    cache.set("forever", 1, None)
    cache.set("month", 2, MONTH_SECONDS + 1)
    cache.set("decade", 3, 10 * 365 * 24 * 3600)
    assert cache.get_many(["forever", "month", "decade"]) == {"forever": 1, "month": 2, "decade": 3}


def expiry_and_touch(cache):
    cache.set("short", 1, 1)
    cache.set("touched", 1, 1)
    cache.set("long", 1, 100)
    assert cache.touch("touched", 100) is True
    assert cache.touch("none", 100) is False
    time.sleep(2.2)
    assert cache.get("short") is None
    assert cache.get("touched") == 1
    assert cache.get("long") == 1


def too_large_leaves_nothing(cache):
    cache.set("key", "small")
    try:
        cache.set("key", "v" * 2000000)
    except Exception as error:
        assert type(error).__name__ in ("TooBig", "MemcacheServerError"), repr(error)
    assert cache.get("key") is None
    cache.set("other", 1)
    assert cache.get("other") == 1


def get_or_set_and_versions(cache):
    assert cache.get_or_set("key", lambda: 5) == 5
    assert cache.get_or_set("key", lambda: 6) == 5
    cache.set("key", 7, version=2)
    assert (cache.get("key"), cache.get("key", version=2)) == (5, 7)
    assert cache.incr_version("key") == 2
    assert cache.get("key") is None and cache.get("key", version=2) == 5


def clear(cache):
    cache.set("key", 1)
    cache.clear()
    assert cache.get("key") is None


def sessions(_):
    from django.contrib.sessions.backends.cache import SessionStore

    session = SessionStore()
    session["user"] = "alice"
    session.save()
    again = SessionStore(session.session_key)
    assert again["user"] == "alice"
    again.cycle_key()
    assert not SessionStore().exists(session.session_key)
    assert SessionStore(again.session_key)["user"] == "alice"
    again.set_expiry(3600 * 24 * 60)
    again.save()
    assert SessionStore(again.session_key)["user"] == "alice"
    again.flush()
    assert SessionStore(again.session_key).get("user") is None


CASES = [
    set_and_get,
    add_and_delete,
    many_at_once,
    increment_and_decrement,
    no_time_at_all,
    for_ever_and_long,
    expiry_and_touch,
    too_large_leaves_nothing,
    get_or_set_and_versions,
    clear,
    sessions,
]


def of(library, case):
    def run_case(_):
        caches[library].clear()
        case(caches[library])

    run_case.__name__ = f"{library}_{case.__name__}"
    return run_case


def connect(host, port):
    if not settings.configured:
        configure(host, port)


if __name__ == "__main__":
    libraries = [library for library, _ in installed()]
    if not libraries:
        sys.exit(client_cases.skip("neither pylibmc nor pymemcache"))
    cases = [of(library, case) for library in libraries for case in CASES]
    sys.exit(client_cases.run(cases, connect, lambda client: None))
