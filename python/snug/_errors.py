"""What the library answers, as exceptions."""


class Error(Exception):
    """A call was refused. `name` is the library's, such as SNUG_ERROR_PINNED."""

    def __init__(self, name, text):
        super().__init__(text)
        self.name = name


class NoMemory(Error, MemoryError):
    """There is no room within the limit, or the system has no memory."""


class NotFound(Error, KeyError):
    """There is no item with this key."""

    __str__ = Exception.__str__  # KeyError's would quote the sentence


class NotStored(Error):
    """There is an item already, or none, or it would grow too large."""


class Exists(Error):
    """The item has another CAS number: somebody else has changed it."""


class NotANumber(Error, ValueError):
    """The item's value is not a decimal number."""


class KeyLength(Error, ValueError):
    """A key has 1 to 250 bytes."""


class SizeError(Error, ValueError):
    """A size of 0, one that is too large, or a range beyond the object."""


class HandleError(Error, LookupError):
    """The handle names no object: it is stale, or another heap's."""


class Pinned(Error):
    """The object is pinned, or it is not, or as often as can be counted."""


class WrongThread(Error, RuntimeError):
    """The heap belongs to another thread."""


class Closed(Error, ValueError):
    """It was closed."""


class LoaderFailed(Error):
    """Another thread's loader has failed; in that thread what it raised comes out."""


class LoaderCycle(Error, RuntimeError):
    """A loader asks for what it is loading, itself or by way of others."""


class TimedOut(Error, TimeoutError):
    """Another thread's loader has not ended in time."""


class LibraryMissing(Error, ImportError):
    """There is no libsnug.so.0, or it is another version."""


BY_NAME = {
    "SNUG_ERROR_NO_MEMORY": NoMemory,
    "SNUG_ERROR_OS_MEMORY": NoMemory,
    "SNUG_ERROR_NOT_FOUND": NotFound,
    "SNUG_ERROR_NOT_STORED": NotStored,
    "SNUG_ERROR_EXISTS": Exists,
    "SNUG_ERROR_NOT_A_NUMBER": NotANumber,
    "SNUG_ERROR_KEY": KeyLength,
    "SNUG_ERROR_SIZE_ZERO": SizeError,
    "SNUG_ERROR_SIZE_TOO_LARGE": SizeError,
    "SNUG_ERROR_RANGE": SizeError,
    "SNUG_ERROR_HANDLE": HandleError,
    "SNUG_ERROR_PINNED": Pinned,
    "SNUG_ERROR_NOT_PINNED": Pinned,
    "SNUG_ERROR_TOO_MANY_PINS": Pinned,
    "SNUG_ERROR_WRONG_THREAD": WrongThread,
    "SNUG_ERROR_STOPPED": Closed,
    "SNUG_ERROR_LOADER": LoaderFailed,
    "SNUG_ERROR_CYCLE": LoaderCycle,
    "SNUG_ERROR_TIMED_OUT": TimedOut,
}
