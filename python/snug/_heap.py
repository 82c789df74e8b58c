"""A heap of movable objects: snug/heap.h, by handle."""

import ctypes
import threading
from typing import NamedTuple

from . import _library as lib
from ._errors import Closed, WrongThread


class Report(NamedTuple):
    """What a defragmentation did, to the byte."""
    outcome: str
    complete: bool
    reclaimed_bytes: int
    returned_bytes: int
    moved_objects: int
    moved_bytes: int
    unmovable_bytes: int
    steps: int
    work_ns: int


class Estimate(NamedTuple):
    """What one would gain."""
    outcome: str
    reclaimable_bytes: int
    returnable_bytes: int
    moves: int
    move_bytes: int
    pinned_bytes: int
    predicted_ns: int


class Heap:
    """Objects of bytes under one hard limit; named by handles, which are numbers and stay while the objects move. It belongs to the thread that
    made it: others are answered with WrongThread."""

    def __init__(self, limit_bytes, page_bytes=0):
        options = lib.options_of(lib.HeapOptions)
        options.limit_bytes = lib.size_argument(limit_bytes, "limit_bytes")
        options.page_bytes = lib.size_argument(page_bytes, "page_bytes")
        self._pointer = ctypes.c_void_p()
        self._thread = threading.get_ident()
        lib.check(lib.library.snug_heap_create(ctypes.byref(options), ctypes.byref(self._pointer)))

    def close(self):
        """Gives everything back; all objects end."""
        if self._pointer:
            lib.check(lib.library.snug_heap_destroy(self._mine()))
            self._pointer = ctypes.c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_pointer", None) and threading.get_ident() == self._thread:
            self.close()

    def alloc(self, size_or_data):
        """A new object of so many zero bytes, or with this data; its handle."""
        data = bytes(lib.size_argument(size_or_data, "size")) if isinstance(size_or_data, int) else lib.data_of(size_or_data)
        handle = ctypes.c_uint64()
        lib.check(lib.library.snug_alloc(self._mine(), len(data), ctypes.byref(handle)))
        lib.check(lib.library.snug_write(self._pointer, handle, 0, data, len(data)))
        return handle.value

    def free(self, handle):
        """HandleError: it names no object, perhaps no more. Pinned."""
        lib.check(lib.library.snug_free(self._mine(), lib.size_argument(handle, "handle")))

    def resize(self, handle, size):
        """The first bytes stay; what is new is undefined."""
        lib.check(lib.library.snug_resize(self._mine(), lib.size_argument(handle, "handle"), lib.size_argument(size, "size")))

    def size(self, handle):
        size = ctypes.c_size_t()
        lib.check(lib.library.snug_size(self._mine(), lib.size_argument(handle, "handle"), ctypes.byref(size)))
        return size.value

    def read(self, handle, offset=0, length=None):
        """Bytes of the object, to its end unless a length is given. SizeError: beyond it."""
        if length is None:
            length = max(self.size(handle) - offset, 0)
        # Compared before room is made for it.
        if lib.size_argument(offset, "offset") + lib.size_argument(length, "length") > self.size(handle):
            raise lib.BY_NAME["SNUG_ERROR_RANGE"]("SNUG_ERROR_RANGE", "offset and length reach beyond the object")
        room = ctypes.create_string_buffer(max(length, 1))
        lib.check(lib.library.snug_read(self._mine(), handle, offset, room, length))
        return room.raw[:length]

    def write(self, handle, data, offset=0):
        """Changes bytes of the object. SizeError: beyond it."""
        data = lib.data_of(data)
        lib.check(lib.library.snug_write(self._mine(), lib.size_argument(handle, "handle"), lib.size_argument(offset, "offset"), data, len(data)))

    def pin(self, handle):
        """Until the unpin it is not moved, freed or resized; pins nest."""
        lib.check(lib.library.snug_pin(self._mine(), lib.size_argument(handle, "handle")))

    def unpin(self, handle):
        lib.check(lib.library.snug_unpin(self._mine(), lib.size_argument(handle, "handle")))

    def estimate(self):
        """What a defragmentation would gain; touches nothing."""
        report = lib.EstimateReport()
        lib.check(lib.library.snug_estimate(self._mine(), None, ctypes.byref(report)))
        return Estimate(lib.outcome_text(report.outcome), *(getattr(report, name) for name in Estimate._fields[1:]))

    def defragment(self, budget_bytes=None, budget_ms=None, give_back=False):
        """Moves objects together, within a budget of bytes copied or of time; give_back: what is free then goes to the system."""
        options = lib.options_of(lib.DefragmentOptions)
        if budget_bytes is not None:
            options.budget_bytes = lib.size_argument(budget_bytes, "budget_bytes")
        if budget_ms is not None:
            options.budget_ns = lib.size_argument(int(budget_ms * 1000000), "budget_ms")
        if give_back:
            options.retain_bytes = 0
        report = lib.Report()
        lib.check(lib.library.snug_defragment(self._mine(), ctypes.byref(options), ctypes.byref(report)))
        return Report(lib.outcome_text(report.outcome), *(getattr(report, name) for name in Report._fields[1:]))

    def set_limit(self, limit_bytes):
        lib.check(lib.library.snug_heap_set_limit(self._mine(), lib.size_argument(limit_bytes, "limit_bytes")))

    def stats(self):
        """Figures by name."""
        stats = lib.Stats()
        lib.check(lib.library.snug_stats_get(self._mine(), ctypes.byref(stats)))
        return {name: getattr(stats, name) for name, _ in stats._fields_ if name != "rest"}

    def _mine(self):
        if threading.get_ident() != self._thread:
            raise WrongThread("SNUG_ERROR_WRONG_THREAD", "this heap belongs to another thread")
        if not self._pointer:
            raise Closed("SNUG_ERROR_STOPPED", "the heap is closed")
        return self._pointer
