"""A cache over worker threads: snug/cache.h."""

import ctypes
import math
import os
import threading
import time
from typing import NamedTuple

from . import _library as lib
from ._errors import Closed, NotFound

EVICT_FOR = {"hits": 0, "bytes": 1}
U32_MAX, U64_MAX = (1 << 32) - 1, (1 << 64) - 1
FIRST_ROOM = 4096
MANY = 256  # keys of get_many that are asked for together


class Value(NamedTuple):
    """A value and what is stored beside it; expires_at is a second since 1970, or 0."""
    value: bytes
    flags: int
    expires_at: int
    cas: int


class _Client:
    """A thread's way to the cache. The lock is for close alone, which may come from another thread."""

    def __init__(self, cache):
        self.pointer = ctypes.c_void_p()
        self.lock = threading.RLock()  # a loader uses the client of the call that called it
        self.room = ctypes.create_string_buffer(FIRST_ROOM)
        lib.check(lib.library.snug_cache_client_create(cache, None, ctypes.byref(self.pointer)))

    def close(self):
        with self.lock:
            if self.pointer:
                lib.check(lib.library.snug_cache_client_destroy(self.pointer))
                self.pointer = ctypes.c_void_p()


class _Mine(threading.local):
    """What the calling thread has: its client ends with the thread."""
    client = None


class Cache:
    """Keys and values under one hard limit, with eviction and expiry. All threads.

    limit_bytes  of everything: values, index, bookkeeping
    workers      threads that keep the items, 1 to 64
    item_max_bytes  key and value; the default is 1 MiB
    eviction     False: NoMemory instead
    evict_for    "hits": the share of requests that miss is kept low; "bytes": that of bytes
    namespaces   beginnings of keys, such as "page:", that have figures of their own; up to 64

    A process that was forked makes one of its own. Keys are str or bytes of 1 to 250 bytes, values str or bytes; what is found is bytes. `expire` is seconds from now, 0 for ever.
    """

    def __init__(self, limit_bytes, workers=1, item_max_bytes=None, eviction=True, evict_for="hits", limit_max_bytes=0, namespaces=()):
        options = lib.options_of(lib.CacheOptions)
        options.limit_bytes = lib.size_argument(limit_bytes, "limit_bytes")
        options.limit_max_bytes = lib.size_argument(limit_max_bytes, "limit_max_bytes")
        options.workers = _number(workers, U32_MAX, "workers")
        options.no_eviction = not eviction
        if evict_for not in EVICT_FOR:
            raise ValueError(f"evict_for is hits or bytes, not {evict_for!r}")
        options.evict_for = EVICT_FOR[evict_for]
        if item_max_bytes is not None:
            options.item_max_bytes = lib.size_argument(item_max_bytes, "item_max_bytes")
        self._namespaces = list(namespaces)
        names = (lib.Namespace * len(self._namespaces))()
        for name, given in zip(names, self._namespaces):
            name.prefix = data = lib.data_of(given)
            name.prefix_bytes = len(data)
        options.namespaces, options.namespace_count = names, len(names)
        self._pointer = ctypes.c_void_p()
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._clients = {}  # by thread
        self._mine = _Mine()
        lib.check(lib.library.snug_cache_create(ctypes.byref(options), ctypes.byref(self._pointer)))

    def close(self):
        """Ends the workers, and all items. Waits for calls of other threads; what they ask later is answered with Closed. A loader may not call it."""
        if os.getpid() != self._process:
            return  # the workers are the parent's
        if self._mine.client is not None:
            self._mine.client.close()  # the first: within a loader it raises, and nothing was done
        with self._lock:
            for _, client in self._clients.values():
                client.close()
            self._clients.clear()
            if self._pointer:
                lib.check(lib.library.snug_cache_destroy(self._pointer))
                self._pointer = ctypes.c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_pointer", None):
            self.close()

    # ---- items

    def get(self, key, default=None):
        """The value as bytes, or the default."""
        found = self._look("snug_cache_get", key)
        return default if found is None else found.value

    def gets(self, key):
        """The value with its flags, its expiry and its CAS number, or None."""
        return self._look("snug_cache_gets", key)

    def get_or_load(self, key, load, fresh=0, stale=0, absent=0, flags=0, wait=10):
        """The value, which load(key) makes where it is missing or stale: str or bytes, or None, which is: there is none. The key it gets is bytes.

        One thread loads a key, the others wait for it, `wait` seconds at most. The value is fresh for so many seconds, 0 for ever; for `stale` seconds more
        it is given to others while one loads it anew. That there is none is remembered for `absent` seconds. What `load` raises comes out here; others
        that have waited for it get LoaderFailed. A change of the key that comes meanwhile is not overwritten.
        """
        data = lib.data_of(key)
        options = lib.options_of(lib.LoadOptions)
        options.fresh_s, options.stale_s, options.absent_s = (_seconds(value) for value in (fresh, stale, absent))
        options.wait_ns = _number(math.ceil(wait * 1e9), U64_MAX, "wait in ns")
        loading = _Loading(load, _number(flags, U32_MAX, "flags"))
        options.load = lib.Load(loading.call)
        with self._client() as client:
            room, told = client.room, lib.Loading()
            while True:
                answer = lib.library.snug_cache_get_or_load(client.pointer, data, len(data), room, len(room), ctypes.byref(options), ctypes.byref(told))
                if loading.was_called:
                    return loading.made()
                if told.is_loaded:
                    # An interrupt came before the loader's first line, and ctypes has dropped it and made up an answer.
                    self.delete(key)
                    raise KeyboardInterrupt
                name = lib.name_of(answer)
                if name == lib.NOT_FOUND:
                    return None
                if name != lib.BUFFER_TOO_SMALL:
                    lib.check(answer)
                    return ctypes.string_at(room, told.value.bytes)
                room = ctypes.create_string_buffer(told.value.bytes)

    def get_many(self, keys):
        """{key: value} of those that there are, asked for together."""
        keys = list(keys)
        found = {}
        for at in range(0, len(keys), MANY):
            self._get_some(keys[at:at + MANY], found)
        return found

    def _get_some(self, keys, found):
        with self._client() as client:
            rooms = ctypes.create_string_buffer(FIRST_ROOM * len(keys))
            lookups = (lib.Lookup * len(keys))()
            for i, key in enumerate(keys):
                lookups[i].key = data = lib.data_of(key)
                lookups[i].key_bytes = len(data)
                lookups[i].buffer = ctypes.addressof(rooms) + i * FIRST_ROOM
                lookups[i].room_bytes = FIRST_ROOM
            lib.check(lib.library.snug_cache_get_many(client.pointer, lookups, len(keys)))
            for i, key in enumerate(keys):
                name = lib.name_of(lookups[i].error)
                if name == lib.BUFFER_TOO_SMALL:
                    value = self._look_with(client, "snug_cache_get", lib.data_of(key))
                    if value is not None:
                        found[key] = value.value
                elif name != lib.NOT_FOUND:
                    lib.check(lookups[i].error)
                    found[key] = ctypes.string_at(lookups[i].buffer, lookups[i].value.bytes)

    def __contains__(self, key):
        return self._look("snug_cache_get", key) is not None

    def __getitem__(self, key):
        found = self._look("snug_cache_get", key)
        if found is None:
            raise NotFound(lib.NOT_FOUND, "there is no item with this key")
        return found.value

    def __setitem__(self, key, value):
        self.set(key, value)

    def __delitem__(self, key):
        self._ask("snug_cache_delete", key)

    def set(self, key, value, expire=0, flags=0):
        """Stores. SizeError, NoMemory: then what there was is gone, too."""
        self._store("snug_cache_set", key, value, expire, flags, 0)

    def set_many(self, items, expire=0):
        """Stores each of a dict."""
        for key, value in items.items():
            self.set(key, value, expire)

    def add(self, key, value, expire=0, flags=0):
        """Stores if there is none; tells whether it did."""
        return self._store_if("snug_cache_add", key, value, expire, flags)

    def replace(self, key, value, expire=0, flags=0):
        """Stores if there is one; tells whether it did."""
        return self._store_if("snug_cache_replace", key, value, expire, flags)

    def cas(self, key, value, cas, expire=0, flags=0):
        """Stores if the item has this number, which gets told. Exists: it has another one. NotFound: there is none."""
        if not 0 < cas <= U64_MAX:
            raise ValueError(f"a CAS number is from 1 on, not {cas!r}")
        self._store("snug_cache_set", key, value, expire, flags, cas)

    def append(self, key, value):
        """Puts bytes behind the value. NotStored: there is nothing, or it would be too large."""
        data = lib.data_of(value)
        self._ask("snug_cache_append", key, data, len(data))

    def prepend(self, key, value):
        """The same in front of it."""
        data = lib.data_of(value)
        self._ask("snug_cache_prepend", key, data, len(data))

    def delete(self, key):
        """Tells whether there was one."""
        try:
            self._ask("snug_cache_delete", key)
        except NotFound:
            return False
        return True

    def touch(self, key, expire=0):
        """Another expiry; tells whether there was an item."""
        try:
            self._ask("snug_cache_touch", key, _expiry(expire))
        except NotFound:
            return False
        return True

    def incr(self, key, delta=1):
        """The value as a decimal number, and what it is then; wraps at 2^64. NotFound, NotANumber."""
        return self._count("snug_cache_increment", key, delta)

    def decr(self, key, delta=1):
        """The same downwards; stops at 0. What becomes shorter keeps its length: blanks follow, as in memcached."""
        return self._count("snug_cache_decrement", key, delta)

    def flush(self):
        """All items that were stored before are gone."""
        with self._client() as client:
            lib.check(lib.library.snug_cache_flush(client.pointer))

    def items(self):
        """Yields (key, value) of all items, some hundred of them asked for at a time; both are bytes. What is there all the while comes once; what is stored or
        removed meanwhile comes once or not at all."""
        cursor = lib.Cursor()
        while not cursor.is_at_end:
            yield from self._walk_part(cursor)

    def _walk_part(self, cursor):
        met = []

        def visit(_, item):
            met.append((ctypes.string_at(item[0].key, item[0].key_bytes), ctypes.string_at(item[0].bytes, item[0].value.bytes)))

        with self._client() as client:
            lib.check(lib.library.snug_cache_walk(client.pointer, ctypes.byref(cursor), lib.Visit(visit), None))
        return met

    # ---- memory and figures

    def set_limit(self, limit_bytes):
        """Another limit, up to limit_max_bytes; workers reach it step by step."""
        with self._client() as client:
            lib.check(lib.library.snug_cache_set_limit(client.pointer, lib.size_argument(limit_bytes, "limit_bytes")))

    def stats(self):
        """Figures by name, of all workers together."""
        stats = lib.CacheStats()
        with self._client() as client:
            lib.check(lib.library.snug_cache_stats_get(client.pointer, ctypes.byref(stats)))
        return {name: getattr(stats, name) for name, _ in stats._fields_ if name != "reserved"}

    def namespace_stats(self, items=True):
        """{namespace: figures by name}. With `items` those that are there are counted, by a walk of all."""
        stats = (lib.NamespaceStats * len(self._namespaces))()
        with self._client() as client:
            lib.check(lib.library.snug_cache_namespace_stats_get(client.pointer, items, stats, len(stats)))
        return {name: {figure: getattr(one, figure) for figure, _ in one._fields_ if figure != "reserved"} for name, one in zip(self._namespaces, stats)}

    # ---- within

    def _client(self):
        """The calling thread's client, locked while it is used."""
        if os.getpid() != self._process:
            raise Closed("SNUG_ERROR_STOPPED", "the cache belongs to the process that made it, and a fork has none of its threads")
        client = self._mine.client
        if client is None:
            with self._lock:
                if not self._pointer:
                    raise _closed()
                self._end_those_of_dead_threads()
                client = _Client(self._pointer)
                self._clients[threading.get_ident()] = (threading.current_thread(), client)
            self._mine.client = client
        return _Used(client)

    def _end_those_of_dead_threads(self):
        for ident, (thread, client) in list(self._clients.items()):
            if not thread.is_alive() or ident == threading.get_ident():
                client.close()
                del self._clients[ident]

    def _ask(self, function, key, *more):
        data = lib.data_of(key)
        with self._client() as client:
            lib.check(getattr(lib.library, function)(client.pointer, data, len(data), *more))

    def _count(self, function, key, delta):
        result = ctypes.c_uint64()
        self._ask(function, key, _number(delta, U64_MAX, "delta"), ctypes.byref(result))
        return result.value

    def _store(self, function, key, value, expire, flags, cas):
        options = lib.options_of(lib.StoreOptions)
        options.expires_at_s, options.client_flags, options.cas = _expiry(expire), _number(flags, U32_MAX, "flags"), cas
        data = lib.data_of(value)
        self._ask(function, key, data, len(data), ctypes.byref(options))

    def _store_if(self, function, key, value, expire, flags):
        try:
            self._store(function, key, value, expire, flags, 0)
        except lib.BY_NAME[lib.NOT_STORED]:
            return False
        return True

    def _look(self, function, key):
        data = lib.data_of(key)
        with self._client() as client:
            return self._look_with(client, function, data)

    @staticmethod
    def _look_with(client, function, key):
        value = lib.CacheValue()
        room = client.room
        while True:
            answer = getattr(lib.library, function)(client.pointer, key, len(key), room, len(room), ctypes.byref(value))
            if answer == 0:
                return Value(ctypes.string_at(room, value.bytes), value.client_flags, value.expires_at_s, value.cas)
            name = lib.name_of(answer)
            if name == lib.NOT_FOUND:
                return None
            if name != lib.BUFFER_TOO_SMALL:
                raise lib.error_of(answer)
            room = ctypes.create_string_buffer(value.bytes)


class _Loading:
    """A call of get_or_load, and what its loader has made, if it was called."""

    def __init__(self, load, flags):
        self.load, self.flags = load, flags
        self.was_called, self.data, self.raised = False, None, None

    def call(self, _context, _client, key, key_bytes, out):
        self.was_called = True
        try:
            value = self.load(ctypes.string_at(key, key_bytes))
            if value is None:
                out[0].is_absent = True
            else:
                self.data = lib.data_of(value)
                out[0].value, out[0].value_bytes, out[0].client_flags = self.data, len(self.data), self.flags
        except BaseException as raised:  # made() raises it, whatever it is
            self.raised = raised
            return 1
        return 0

    def made(self):
        if self.raised is not None:
            raised, self.raised = self.raised, None  # its traceback leads back here
            try:
                raise raised
            finally:
                del raised
        return self.data


class _Used:
    """A client for the length of one call."""

    def __init__(self, client):
        self.client = client

    def __enter__(self):
        self.client.lock.acquire()
        if not self.client.pointer:
            self.client.lock.release()
            raise _closed()
        return self.client

    def __exit__(self, *_):
        self.client.lock.release()


def _closed():
    return Closed("SNUG_ERROR_STOPPED", "the cache is closed")


def _number(value, most, name):
    if not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{name} is a number from 0 to {most}, not {value!r}")
    return value


def _seconds(value):
    if not 0 <= value <= U32_MAX:
        raise ValueError(f"seconds are a number from 0 to {U32_MAX}, not {value!r}")
    return math.ceil(value)


def _expiry(expire):
    """The second since 1970 for so many from now."""
    if expire == 0:
        return 0
    if not 0 < expire < U32_MAX - time.time():
        raise ValueError(f"expire is seconds from now, 0 for ever, not {expire!r}")
    return math.ceil(time.time() + expire)
