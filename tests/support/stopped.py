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


@contextlib.contextmanager
def stopped(pid, *names):
    tasks = f"/proc/{pid}/task"
    threads = {open(f"{tasks}/{task}/comm").read().strip(): int(task) for task in os.listdir(tasks)}
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
