"""The shared library and its structs, as the C headers have them. The tests compare sizes and places with a C compiler's."""

import ctypes
import os
from ctypes import POINTER, Structure, c_bool, c_char_p, c_double, c_int, c_size_t, c_uint32, c_uint64, c_void_p

from ._errors import BY_NAME, Error, LibraryMissing

NOT_FOUND = "SNUG_ERROR_NOT_FOUND"
BUFFER_TOO_SMALL = "SNUG_ERROR_BUFFER_TOO_SMALL"
NOT_STORED = "SNUG_ERROR_NOT_STORED"


class Log(Structure):
    _fields_ = [("write", c_void_p), ("context", c_void_p), ("level", c_int)]


class Namespace(Structure):
    _fields_ = [("prefix", c_char_p), ("prefix_bytes", c_size_t)]


class CacheOptions(Structure):
    _fields_ = [("struct_bytes", c_size_t), ("workers", c_uint32), ("limit_bytes", c_size_t), ("limit_max_bytes", c_size_t),
                ("item_max_bytes", c_size_t), ("no_eviction", c_bool), ("evict_for", c_int), ("huge_pages", c_bool), ("name", c_char_p),
                ("processors", c_void_p), ("log", Log), ("os", c_void_p), ("keep_free_bytes", c_uint64), ("collapse", c_bool),
                ("memory_file", c_void_p), ("removed", c_void_p), ("removed_context", c_void_p), ("namespaces", POINTER(Namespace)), ("namespace_count", c_uint32)]


class ClientOptions(Structure):
    _fields_ = [("struct_bytes", c_size_t), ("timeout_ns", c_uint64)]


class StoreOptions(Structure):
    _fields_ = [("struct_bytes", c_size_t), ("client_flags", c_uint32), ("expires_at_s", c_uint32), ("cas", c_uint64)]


class CacheValue(Structure):
    _fields_ = [("bytes", c_size_t), ("client_flags", c_uint32), ("expires_at_s", c_uint32), ("cas", c_uint64), ("reserved", c_uint64 * 2)]


class Lookup(Structure):
    _fields_ = [("key", c_char_p), ("key_bytes", c_size_t), ("buffer", c_void_p), ("room_bytes", c_size_t), ("error", c_int), ("value", CacheValue)]


class Cursor(Structure):
    _fields_ = [("place", c_uint64), ("worker", c_uint32), ("is_at_end", c_bool), ("reserved", c_uint64 * 2)]


class Item(Structure):
    _fields_ = [("key", c_void_p), ("key_bytes", c_size_t), ("bytes", c_void_p), ("value", CacheValue), ("reserved", c_uint64 * 2)]


Visit = ctypes.CFUNCTYPE(None, c_void_p, POINTER(Item))


class Loaded(Structure):
    _fields_ = [("value", c_char_p), ("value_bytes", c_size_t), ("client_flags", c_uint32), ("fresh_s", c_uint32), ("absent_s", c_uint32),
                ("is_absent", c_bool), ("own", c_void_p), ("reserved", c_uint64 * 2)]


Load = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_size_t, POINTER(Loaded))


class LoadOptions(Structure):
    _fields_ = [("struct_bytes", c_size_t), ("load", Load), ("release", c_void_p), ("context", c_void_p), ("fresh_s", c_uint32), ("stale_s", c_uint32),
                ("absent_s", c_uint32), ("wait_ns", c_uint64)]


class Loading(Structure):
    _fields_ = [("value", CacheValue), ("loader_error", c_int), ("stored", c_int), ("is_stale", c_bool), ("is_loaded", c_bool), ("reserved", c_uint64 * 2)]


class CacheStats(Structure):
    _fields_ = [(name, c_uint64) for name in ("items", "item_bytes", "index_bytes", "hits", "misses", "stores", "evictions", "expired", "limit_bytes",
                                              "committed_bytes", "metadata_bytes", "reclaimable_bytes", "moves")] + [("reserved", c_uint64 * 6)]


class NamespaceStats(Structure):
    _fields_ = [(name, c_uint64) for name in ("items", "item_bytes", "hits", "misses", "evictions", "expired")] + [("reserved", c_uint64 * 2)]


class Owner(Structure):
    _fields_ = [("moved", c_void_p), ("size_of", c_void_p), ("context", c_void_p)]


class HeapOptions(Structure):
    _fields_ = [("struct_bytes", c_size_t), ("limit_bytes", c_size_t), ("limit_max_bytes", c_size_t), ("page_bytes", c_size_t), ("huge_pages", c_bool),
                ("populate", c_bool), ("no_compaction_in_alloc", c_bool), ("no_last_resort", c_bool), ("pace_low_water_bytes", c_size_t),
                ("pace_step_bytes", c_size_t), ("owner", Owner), ("os", c_void_p), ("log", Log), ("memory_file", c_void_p),
                ("memory_segment", c_uint32), ("reserved", c_uint32)]


class DefragmentOptions(Structure):
    _fields_ = [("struct_bytes", c_size_t), ("mode", c_int), ("pool_mask", c_uint32), ("step_bytes", c_uint64), ("step_ns", c_uint64),
                ("budget_bytes", c_uint64), ("budget_ns", c_uint64), ("target_bytes", c_uint64), ("merge_classes", c_bool), ("retain_bytes", c_uint64),
                ("return_bytes", c_uint64)]


class EstimateReport(Structure):
    _fields_ = [(name, c_uint64) for name in ("reclaimable_bytes", "coalesce_bytes", "moves", "move_bytes", "free_bytes", "evictable_bytes",
                                              "returnable_bytes", "relocate_bytes", "steps", "predicted_ns", "longest_step_ns", "pinned_bytes",
                                              "unmovable_bytes")] + [("outcome", c_int), ("reserved", c_uint64 * 6)]


class Report(Structure):
    """The figures before snug_report's statistics, and room for those, which are read by snug_stats_get alone."""
    _fields_ = [("outcome", c_int), ("complete", c_bool), ("compacted", c_bool)] + [
        (name, c_uint64) for name in ("coalesced_bytes", "reclaimed_bytes", "coalesce_reclaimed_bytes", "returned_bytes", "returns_refused", "moved_objects",
                                      "moved_bytes", "relocated_objects", "relocated_bytes", "released_slabs", "abandoned_slabs", "pinned_objects",
                                      "pinned_bytes", "pinned_slabs", "unmovable_bytes", "steps", "total_ns", "work_ns", "longest_step_ns")
    ] + [("rest", ctypes.c_char * 8192)]


class Stats(Structure):
    """The figures of the whole heap, and room for those of its pools."""
    _fields_ = [(name, c_uint64) for name in ("limit_bytes", "limit_goal_bytes", "page_bytes", "return_unit_bytes", "committed_bytes", "metadata_bytes",
                                              "charged_bytes", "free_page_bytes", "available_bytes", "peak_bytes", "objects", "pinned_objects",
                                              "pinned_bytes")] + [("utilisation", c_double)] + [
        (name, c_uint64) for name in ("allocations", "frees", "failed_allocations", "compacting_allocations", "moves", "moved_bytes", "reclaimed_bytes",
                                      "returned_bytes", "defragmentations", "late_steps", "lent_slots")
    ] + [("rest", ctypes.c_char * 4096)]


# name: arguments; all but the last three answer a snug_error.
KEY = [c_char_p, c_size_t]
VALUE = [c_char_p, c_size_t]
FUNCTIONS = {
    "snug_cache_create": [POINTER(CacheOptions), POINTER(c_void_p)],
    "snug_cache_destroy": [c_void_p],
    "snug_cache_client_create": [c_void_p, POINTER(ClientOptions), POINTER(c_void_p)],
    "snug_cache_client_destroy": [c_void_p],
    "snug_cache_get": [c_void_p, *KEY, c_void_p, c_size_t, POINTER(CacheValue)],
    "snug_cache_gets": [c_void_p, *KEY, c_void_p, c_size_t, POINTER(CacheValue)],
    "snug_cache_get_many": [c_void_p, POINTER(Lookup), c_size_t],
    "snug_cache_set": [c_void_p, *KEY, *VALUE, POINTER(StoreOptions)],
    "snug_cache_add": [c_void_p, *KEY, *VALUE, POINTER(StoreOptions)],
    "snug_cache_replace": [c_void_p, *KEY, *VALUE, POINTER(StoreOptions)],
    "snug_cache_append": [c_void_p, *KEY, *VALUE],
    "snug_cache_prepend": [c_void_p, *KEY, *VALUE],
    "snug_cache_delete": [c_void_p, *KEY],
    "snug_cache_touch": [c_void_p, *KEY, c_uint32],
    "snug_cache_increment": [c_void_p, *KEY, c_uint64, POINTER(c_uint64)],
    "snug_cache_decrement": [c_void_p, *KEY, c_uint64, POINTER(c_uint64)],
    "snug_cache_flush": [c_void_p],
    "snug_cache_get_or_load": [c_void_p, *KEY, c_void_p, c_size_t, POINTER(LoadOptions), POINTER(Loading)],
    "snug_cache_walk": [c_void_p, POINTER(Cursor), Visit, c_void_p],
    "snug_cache_set_limit": [c_void_p, c_size_t],
    "snug_cache_stats_get": [c_void_p, POINTER(CacheStats)],
    "snug_cache_namespace_stats_get": [c_void_p, c_bool, POINTER(NamespaceStats), c_size_t],
    "snug_heap_create": [POINTER(HeapOptions), POINTER(c_void_p)],
    "snug_heap_destroy": [c_void_p],
    "snug_heap_set_limit": [c_void_p, c_size_t],
    "snug_alloc": [c_void_p, c_size_t, POINTER(c_uint64)],
    "snug_free": [c_void_p, c_uint64],
    "snug_resize": [c_void_p, c_uint64, c_size_t],
    "snug_size": [c_void_p, c_uint64, POINTER(c_size_t)],
    "snug_read": [c_void_p, c_uint64, c_size_t, c_void_p, c_size_t],
    "snug_write": [c_void_p, c_uint64, c_size_t, c_char_p, c_size_t],
    "snug_pin": [c_void_p, c_uint64],
    "snug_unpin": [c_void_p, c_uint64],
    "snug_defragment": [c_void_p, POINTER(DefragmentOptions), POINTER(Report)],
    "snug_estimate": [c_void_p, POINTER(DefragmentOptions), POINTER(EstimateReport)],
    "snug_stats_get": [c_void_p, POINTER(Stats)],
}
INITIALISERS = {
    CacheOptions: "snug_cache_options_init",
    ClientOptions: "snug_cache_client_options_init",
    StoreOptions: "snug_cache_store_options_init",
    LoadOptions: "snug_cache_load_options_init",
    HeapOptions: "snug_heap_options_init",
    DefragmentOptions: "snug_defragment_options_init",
}


def _load():
    name = os.environ.get("SNUG_LIBRARY", "libsnug.so.0")
    try:
        library = ctypes.CDLL(name)
        for function, arguments in FUNCTIONS.items():
            entry = getattr(library, function)
            entry.argtypes, entry.restype = arguments, c_int
        for struct, function in INITIALISERS.items():
            entry = getattr(library, function)
            entry.argtypes, entry.restype = [POINTER(struct), c_size_t], None
        for function in ("snug_error_name", "snug_error_text", "snug_outcome_text"):
            entry = getattr(library, function)
            entry.argtypes, entry.restype = [c_int], c_char_p
        library.snug_version.argtypes, library.snug_version.restype = [], c_char_p
    except (OSError, AttributeError) as error:
        raise LibraryMissing("SNUG_LIBRARY", f"{name}: {error}") from None
    return library


library = _load()


def version():
    """The version of the library, such as "0.1.0"."""
    return library.snug_version().decode()


def options_of(struct):
    """A struct with the library's defaults."""
    made = struct()
    getattr(library, INITIALISERS[struct])(ctypes.byref(made), ctypes.sizeof(made))
    return made


def name_of(code):
    return library.snug_error_name(code).decode()


def error_of(code):
    name = name_of(code)
    return BY_NAME.get(name, Error)(name, library.snug_error_text(code).decode())


def check(code):
    """Raises what the code says."""
    if code != 0:
        raise error_of(code)


def outcome_text(code):
    return library.snug_outcome_text(code).decode()


def size_argument(value, name):
    """A size as the library takes it; ctypes would cut off what does not fit."""
    if not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise ValueError(f"{name} is a number of bytes from 0 on, not {value!r}")
    return value


def data_of(value):
    """Bytes of a str, or of anything that has the buffer protocol."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"bytes or a str are wanted, not {type(value).__name__}")
