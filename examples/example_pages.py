#!/usr/bin/env python3
"""example_pages.py: a cache before something slow, for the threads of a Python program.

    pip install ./python && python3 examples/example_pages.py

or, with Debian's package python3-snug, python3 /usr/share/doc/python3-snug/examples/example_pages.py.

What is missing is made by one thread, and the others wait for it. A change of the source deletes the item, so no older page stays.
"""

import json
import threading

import snug

articles = {"tea": 1, "rye": 1}  # stands for a database: their versions
made = []


def make_page(key):
    """What is slow. None: there is no such page; what it raises comes out of the call."""
    name = key.decode().partition(":")[2]
    if name not in articles:
        return None
    made.append(name)
    return json.dumps({"article": name, "version": articles[name]})


def page(cache, name):
    found = cache.get_or_load(f"page:{name}", make_page, fresh=60, stale=600, absent=5)
    return None if found is None else json.loads(found)


def edit(cache, name):
    articles[name] += 1  # the source first
    cache.delete(f"page:{name}")


def main():
    with snug.Cache(limit_bytes=32 << 20, workers=2, namespaces=["page:", "count:"]) as cache:
        cache.set("count:visits", "0")

        def visit():
            for _ in range(100):
                assert page(cache, "tea")["article"] == "tea" and page(cache, "none") is None
                cache.incr("count:visits")

        threads = [threading.Thread(target=visit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made == ["tea"], made
        edit(cache, "tea")
        assert page(cache, "tea")["version"] == 2 and made == ["tea", "tea"]
        assert cache.get("count:visits") == b"400"
        print({key.decode(): len(value) for key, value in cache.items()})
        print(cache.namespace_stats()["page:"])


main()
