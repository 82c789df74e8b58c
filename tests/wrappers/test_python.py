#!/usr/bin/env python3
"""The Python package: each call, each error, threads, a fork, and its structs beside a C compiler's.

    test_python.py SOURCE_ROOT LIBRARY COMPILER...
"""

import ctypes
import gc
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

ROOT, LIBRARY, COMPILER = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
os.environ["SNUG_LIBRARY"] = LIBRARY
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "python"))

import snug  # noqa: E402
from snug import _library as lib  # noqa: E402

MIB = 1 << 20
STRUCTS = {"snug_log": lib.Log, "snug_cache_options": lib.CacheOptions, "snug_cache_client_options": lib.ClientOptions,
           "snug_cache_store_options": lib.StoreOptions, "snug_cache_value": lib.CacheValue, "snug_cache_lookup": lib.Lookup,
           "snug_cache_stats": lib.CacheStats, "snug_cache_cursor": lib.Cursor, "snug_cache_item": lib.Item, "snug_cache_namespace": lib.Namespace,
           "snug_cache_namespace_stats": lib.NamespaceStats,
           "snug_cache_loaded": lib.Loaded, "snug_cache_load_options": lib.LoadOptions, "snug_cache_loading": lib.Loading, "snug_owner": lib.Owner, "snug_heap_options": lib.HeapOptions,
           "snug_defragment_options": lib.DefragmentOptions, "snug_estimate_report": lib.EstimateReport, "snug_report": lib.Report,
           "snug_stats": lib.Stats}


def refused(error, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except error as raised:
        return raised
    raise AssertionError(f"{call.__name__}{arguments} raised no {error.__name__}")


def structs_are_the_librarys():
    prints = []
    for name, struct in STRUCTS.items():
        prints.append(f'printf("{name} %zu\\n", sizeof({name}));')
        for field, *_ in struct._fields_:
            if field != "rest":
                prints.append(f'printf("{name}.{field} %zu\\n", offsetof({name}, {field}));')
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory, "program.c")
        program.write_text("#include <snug/snug.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n" + "\n".join(prints) + "\nreturn 0;\n}\n")
        subprocess.run([*COMPILER, "-I", ROOT / "include", program, "-o", program.with_suffix("")], check=True)
        said = dict(line.split() for line in subprocess.run([program.with_suffix("")], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines())
    for name, struct in STRUCTS.items():
        for field, *_ in struct._fields_:
            if field != "rest":
                assert getattr(struct, field).offset == int(said[f"{name}.{field}"]), f"{name}.{field}"
        here, there = ctypes.sizeof(struct), int(said[name])
        has_rest = struct._fields_[-1][0] == "rest"
        assert here == there or (has_rest and here > there), f"{name}: {here} bytes, in C {there}"


def values_are_stored_and_found():
    with snug.Cache(16 * MIB, workers=2) as cache:
        assert cache.get("none") is None and cache.get("none", 7) == 7 and "none" not in cache
        cache.set("key", "value", flags=3)
        assert cache.get(b"key") == b"value" and cache["key"] == b"value" and "key" in cache
        cache.set(b"nul\0key", b"nul\0value")
        assert cache.get(b"nul\0key") == b"nul\0value"
        large = os.urandom(100000)
        cache["large"] = large
        cache.set_many({"a": "1", "b": ""})
        assert cache.get_many(["a", "large", "none", b"b"]) == {"a": b"1", "large": large, b"b": b""}
        assert cache.get_many([]) == {} and len(cache.get_many(["a"] * 1000 + ["b"])) == 2
        del cache["a"]
        assert cache.delete("b") and not cache.delete("b") and refused(snug.NotFound, cache.__getitem__, "a").name == "SNUG_ERROR_NOT_FOUND"
        assert cache.add("n", "1") and not cache.add("n", "2") and cache.replace("n", "9") and not cache.replace("m", "")
        assert cache.incr("n") == 10 and cache.decr("n", 3) == 7
        cache.append("n", "0")
        cache.prepend("n", "1")
        assert cache.get("n") == b"17 0" and cache.stats()["items"] == 4
        cache.flush()
        assert cache.get("key") is None


def numbers_of_changes():
    with snug.Cache(4 * MIB) as cache:
        cache.set("key", "1", flags=5)
        first = cache.gets("key")
        assert first.value == b"1" and first.flags == 5 and first.expires_at == 0 and cache.gets("none") is None
        cache.cas("key", "2", first.cas)
        refused(snug.Exists, cache.cas, "key", "3", first.cas)
        refused(snug.NotFound, cache.cas, "none", "3", first.cas)
        refused(ValueError, cache.cas, "key", "3", 0)


def expiry_is_seconds_from_now():
    with snug.Cache(4 * MIB) as cache:
        cache.set("key", "value", expire=1000)
        assert cache.gets("key").expires_at > 1000
        assert cache.touch("key") and cache.gets("key").expires_at == 0 and not cache.touch("none", 1)
        cache.set("soon", "value", expire=0.01)
        for wrong in (-1, float("inf"), float("nan"), 1 << 40):
            refused(ValueError, cache.set, "key", "value", expire=wrong)
        assert cache.get("key") == b"value"


def a_refused_close_does_nothing():
    """By a loader: another thread's client, too, goes on."""
    begun, go, told = threading.Event(), threading.Event(), []
    with snug.Cache(4 * MIB) as cache:

        def other():
            cache.set("key", "x")
            begun.set()
            go.wait()
            try:
                told.append(cache.get("key"))
            except snug.Error as error:
                told.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        begun.wait()
        refused(snug.Error, cache.get_or_load, "e", lambda key: cache.close())
        go.set()
        thread.join()
    assert told == [b"x"], told


def what_was_not_called_has_loaded_nothing(cache):
    """As where an interrupt comes before the loader's first line."""
    known = lib.Load
    lib.Load = lambda call: known(lambda *_: 0)
    try:
        refused(KeyboardInterrupt, cache.get_or_load, "interrupted", lambda key: "x")
    finally:
        lib.Load = known
    assert "interrupted" not in cache


def what_is_raised_leaves_nothing(cache):
    """Not even for the collector of garbage."""

    class Raised(Exception):
        pass

    def load(key):
        raise Raised

    gc.disable()
    try:
        refused(Raised, cache.get_or_load, "raised", load)
        left = [type(thing) for thing in gc.get_objects() if isinstance(thing, Raised)]
    finally:
        gc.enable()
    assert not left, left


def what_is_missing_is_loaded():
    calls = []

    def load(key):
        calls.append(key)
        return key * 3000

    with snug.Cache(16 * MIB, workers=2) as cache:
        assert cache.get_or_load("ab", load, fresh=60, stale=60, flags=5) == b"ab" * 3000 and calls == [b"ab"]
        assert cache.get_or_load("ab", load) == b"ab" * 3000 and len(calls) == 1 and cache.gets("ab").flags == 5 and cache.gets("ab").expires_at > 0
        assert cache.get_or_load("none", lambda key: calls.append(key), absent=100) is None
        assert cache.get_or_load("none", load) is None and len(calls) == 2
        assert cache.get_or_load("c", lambda key: cache.get_or_load("ab", load)) == b"ab" * 3000  # a loader uses the cache
        refused(snug.LoaderCycle, cache.get_or_load, "d", lambda key: cache.get_or_load(key, load))
        refused(ZeroDivisionError, cache.get_or_load, "e", lambda key: 1 / 0)
        refused(TypeError, cache.get_or_load, "e", lambda key: 7)
        refused(snug.Error, cache.get_or_load, "e", lambda key: cache.close())
        a_refused_close_does_nothing()
        what_is_raised_leaves_nothing(cache)
        what_was_not_called_has_loaded_nothing(cache)
        for wrong in (-1, float("nan"), 1 << 32):
            refused(ValueError, cache.get_or_load, "e", load, fresh=wrong)
        assert cache.get("e") is None
        refused(snug.KeyLength, cache.get_or_load, "", load)
        # Four threads ask, and one of them loads.
        begun, go, told = threading.Event(), threading.Event(), []

        def slow(key):
            calls.append(key)
            begun.set()
            go.wait()
            raise RuntimeError("no source")

        def ask():
            try:
                cache.get_or_load("slow", slow)
            except Exception as error:
                told.append(type(error))

        calls.clear()
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        begun.wait()
        refused(snug.TimedOut, cache.get_or_load, "slow", load, wait=0.001)
        go.set()
        for thread in threads:
            thread.join()
        # One that came only after the failure has loaded anew.
        assert told.count(RuntimeError) == len(calls) and told.count(snug.LoaderFailed) == 4 - len(calls), told
    refused(snug.Closed, cache.get_or_load, "ab", load)


def namespaces_have_figures():
    with snug.Cache(4 * MIB, namespaces=["page:", b"user:"]) as cache:
        cache.set("page:1", "x")
        assert "page:1" in cache and "user:1" not in cache
        stats = cache.namespace_stats()
        assert stats["page:"]["items"] == stats["page:"]["hits"] == stats[b"user:"]["misses"] == 1 and stats[b"user:"]["items"] == 0
        assert cache.namespace_stats(items=False)["page:"]["items"] == 0
    with snug.Cache(4 * MIB) as cache:
        assert cache.namespace_stats() == {}
    refused(snug.Exists, snug.Cache, 4 * MIB, namespaces=["a", "a"])
    refused(snug.KeyLength, snug.Cache, 4 * MIB, namespaces=[""])


def all_items_are_met():
    with snug.Cache(16 * MIB, workers=2) as cache:
        assert list(cache.items()) == []
        stored = {b"key%d" % i: b"%d" % i * (i % 3000) for i in range(1500)}
        cache.set_many(stored)
        met = list(cache.items())
        assert len(met) == 1500 and dict(met) == stored
        for key, _ in cache.items():
            cache.delete(key)
        assert cache.stats()["items"] == 0
    refused(snug.Closed, lambda: next(cache.items()))


def errors_are_exceptions():
    with snug.Cache(4 * MIB, item_max_bytes=2000) as cache:
        for key in ("", "k" * 251):
            assert isinstance(refused(snug.KeyLength, cache.get, key), ValueError)
        refused(snug.KeyLength, cache.get_many, ["fine", ""])
        refused(snug.SizeError, cache.set, "key", "v" * 3000)
        cache.set("key", "word")
        refused(snug.NotANumber, cache.incr, "key")
        refused(snug.NotFound, cache.incr, "none")
        refused(snug.NotStored, cache.append, "none", "x")
        refused(TypeError, cache.set, "key", 7)
        refused(ValueError, cache.incr, "key", -1)
        refused(ValueError, cache.set, "key", "", flags=1 << 32)
        refused(snug.Error, cache.set_limit, 8 * MIB)
    refused(snug.Error, snug.Cache, 1000)
    refused(ValueError, snug.Cache, -1)
    refused(ValueError, snug.Cache, 4 * MIB, evict_for="luck")
    with snug.Cache(MIB, eviction=False) as cache:
        def fill():
            for i in range(100000):
                cache.set(str(i), "v" * 100)
        assert isinstance(refused(snug.NoMemory, fill), MemoryError)


def a_closed_cache_says_so():
    cache = snug.Cache(4 * MIB)
    cache.set("key", "value")
    cache.close()
    cache.close()
    for call in (lambda: cache.get("key"), lambda: cache.set("key", ""), cache.stats):
        refused(snug.Closed, call)


def threads_share_a_cache():
    with snug.Cache(16 * MIB, workers=2) as cache:
        cache.set("count", "0")
        threads = [threading.Thread(target=lambda: [cache.incr("count") for _ in range(200)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert cache.get("count") == b"800"
        threading.Thread(target=lambda: cache.get("count")).start()
    # Closed while others ask: each of them is told, and none falls.
    cache = snug.Cache(4 * MIB)
    cache.set("key", "0")
    ends = []

    def ask():
        try:
            while True:
                cache.incr("key")
        except snug.Closed:
            ends.append(True)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    while int(cache.get("key")) < 100:
        pass
    cache.close()
    for thread in threads:
        thread.join()
    assert len(ends) == 4


def a_fork_is_told():
    with snug.Cache(4 * MIB) as cache:
        cache.set("key", "value")
        child = os.fork()
        if child == 0:
            try:
                refused(snug.Closed, cache.get, "key")
                cache.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0 and cache.get("key") == b"value"


def objects_live_in_a_heap():
    with snug.Heap(4 * MIB) as heap:
        handle = heap.alloc(b"hello")
        assert heap.read(handle) == b"hello" and heap.read(handle, 1, 3) == b"ell" and heap.size(handle) == 5
        heap.write(handle, "J")
        heap.resize(handle, 4)
        assert heap.read(handle) == b"Jell" and heap.read(heap.alloc(3)) == b"\0\0\0"
        for call in ((heap.read, handle, 0, 5), (heap.read, handle, 5), (heap.read, handle, 0, 1 << 62), (heap.write, handle, b"12345"), (heap.alloc, 0),
                     (heap.alloc, b"")):
            refused(snug.SizeError, *call)
        refused(ValueError, heap.read, -1)
        heap.pin(handle)
        refused(snug.Pinned, heap.free, handle)
        heap.unpin(handle)
        refused(snug.Pinned, heap.unpin, handle)
        heap.free(handle)
        assert isinstance(refused(snug.HandleError, heap.read, handle), LookupError)
        told = []

        def elsewhere():
            told.append(refused(snug.WrongThread, heap.alloc, 1))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert told and heap.stats()["objects"] == 1
    refused(snug.Closed, heap.alloc, 1)


def a_defragmentation_reclaims():
    with snug.Heap(16 * MIB) as heap:
        handles = [heap.alloc(b"%0100d" % i) for i in range(60000)]
        kept = handles[::7]
        for i, handle in enumerate(handles):
            if i % 7:
                heap.free(handle)
        estimate, budgeted = heap.estimate(), heap.defragment(budget_bytes=10000)
        assert not budgeted.complete and budgeted.moved_bytes > 0
        report = heap.defragment(give_back=True)
        assert report.complete and report.moved_objects > 1000 and report.returned_bytes > 0
        assert estimate.reclaimable_bytes == budgeted.reclaimed_bytes + report.reclaimed_bytes > MIB
        assert all(heap.read(handle) == b"%0100d" % (7 * i) for i, handle in enumerate(kept))
        full = snug.Heap(MIB)
        refused(snug.NoMemory, lambda: [full.alloc(1000) for _ in range(2000)])
        full.close()


def another_library_is_refused_in_words():
    said = subprocess.run([sys.executable, "-c", "import snug"], env={**os.environ, "SNUG_LIBRARY": "libnone.so", "PYTHONPATH": str(ROOT / "python")},
                          stderr=subprocess.PIPE, text=True)
    assert said.returncode == 1 and "LibraryMissing: libnone.so" in said.stderr, said
    assert snug.version().count(".") == 2


CASES = [structs_are_the_librarys, values_are_stored_and_found, all_items_are_met, namespaces_have_figures, what_is_missing_is_loaded, numbers_of_changes, expiry_is_seconds_from_now, errors_are_exceptions,
         a_closed_cache_says_so, threads_share_a_cache, a_fork_is_told, objects_live_in_a_heap, a_defragmentation_reclaims,
         another_library_is_refused_in_words]


def main():
    print(f"[==========] Running {len(CASES)} test(s).", flush=True)
    failed = False
    for case in CASES:
        try:
            case()
            print(f"[       OK ] {case.__name__}", flush=True)
        except Exception as error:  # whatever it is, the case has failed
            print(f"[  FAILED  ] {case.__name__}: {type(error).__name__}: {error} (line {error.__traceback__.tb_next.tb_lineno})", flush=True)
            failed = True
    sys.exit(failed)


main()
