"""Threads of another process that do not move, as a debugger stops them, while all others do."""

import contextlib
import ctypes
import os

from cases import Skipped

DETACH, SEIZE, INTERRUPT = 17, 0x4206, 0x4207  # of ptrace
WAIT_FOR_THREADS = 0x40000000  # __WALL


def ptrace(request, thread):
    c = ctypes.CDLL(None, use_errno=True)
    if c.ptrace(ctypes.c_long(request), ctypes.c_long(thread), ctypes.c_void_p(0), ctypes.c_void_p(0)) == 0:
        return
    error = ctypes.get_errno()
    if request == SEIZE:
        raise Skipped(f"no ptrace here: {os.strerror(error)}")
    raise OSError(error, "ptrace")


def threads_of(pid):
    """{name: number}. One that ends meanwhile, as HTTP's do with their connections, is not among them."""
    threads = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/task/{task}/comm") as name:
                threads[name.read().strip()] = int(task)
    return threads


@contextlib.contextmanager
def stopped(pid, *names):
    threads = threads_of(pid)
    held = [threads[name] for name in names]
    for thread in held:
        ptrace(SEIZE, thread)
        ptrace(INTERRUPT, thread)
        os.waitpid(thread, WAIT_FOR_THREADS)
    try:
        yield
    finally:
        for thread in held:
            try:
                ptrace(DETACH, thread)
            except ProcessLookupError:  # it ends, with the process, which is not over before this is known
                os.waitpid(thread, WAIT_FOR_THREADS)
