"""snug: a cache, and a heap of movable objects, whose memory stays packed.

    import snug

    with snug.Cache(limit_bytes=64 << 20) as cache:
        cache.set("name", "value", expire=60)
        print(cache.get("name"))            # b'value'

It needs libsnug.so.0 and nothing else: SNUG_LIBRARY names another file.

A Cache may be used by all threads. A Heap belongs to the thread that made it. Calls into the library let other threads of Python run.
Errors are exceptions, all of them snug.Error: NotFound and its like where a value is asked for that must be there; get answers None.
"""

from ._cache import Cache, Value
from ._errors import (Closed, Error, Exists, HandleError, KeyLength, LibraryMissing, LoaderCycle, LoaderFailed, NoMemory, NotANumber, NotFound,
                      NotStored, Pinned, SizeError, TimedOut, WrongThread)
from ._heap import Estimate, Heap, Report
from ._library import version

__all__ = ["Cache", "Closed", "Error", "Estimate", "Exists", "HandleError", "Heap", "KeyLength", "LibraryMissing", "LoaderCycle", "LoaderFailed", "NoMemory",
           "NotANumber", "NotFound", "NotStored", "Pinned", "Report", "SizeError", "TimedOut", "Value", "WrongThread", "version"]
