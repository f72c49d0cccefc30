"""Share work among the cores that this process may use."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Item = TypeVar("Item")


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share(items: Sequence[Item], work: Callable[[Iterator[Item]], None]) -> None:
    """Call `work` in this thread and others, each with an iterator over its share of the items.

    The threads take items as they get done, so the results must not depend on who took which. It
    pays for kernels and large arrays, which release the interpreter's lock.
    """
    rest, threads = iter(items), min(usable_cores(), len(items))
    others = [_pool(threads - 1, os.getpid()).submit(work, rest) for _ in range(threads - 1)]
    try:
        work(rest)
    finally:
        for other in others:
            if not other.cancel():  # where it has not begun, nothing is left to do
                other.result()


@lru_cache
def _pool(threads: int, process: int) -> "ThreadPoolExecutor":
    """Return threads that wait for work; each process needs its own, as a fork has no threads."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(threads)


def compute(items: Sequence[Item], work: Callable[[Item], bytes]) -> list[bytes]:
    """Return `work` of each of at most 256 items, some of them computed in forks of this process.

    It pays for work that holds the interpreter's lock. A process with several threads is not
    forked: a lock that another thread holds would stay locked in the fork.
    """
    others = min(usable_cores(), len(items)) - 1
    # Only Linux has memfd_create. Elsewhere libraries may not support forks.
    if others < 1 or not hasattr(os, "memfd_create") or threading.active_count() > 1:
        return [work(item) for item in items]
    results = [os.memfd_create("result") for _ in items]
    numbers, end = os.pipe()  # of the items: each process takes the next one
    os.write(end, bytes(range(len(items))))
    os.close(end)

    def work_along() -> None:
        while number := os.read(numbers, 1):
            os.write(results[number[0]], work(items[number[0]]))

    forks: list[int] = []
    try:
        with suppress(OSError):  # no process could be started
            while len(forks) < others:
                forks.append(_fork(work_along))
        work_along()
        if any(os.waitpid(forks.pop(), 0)[1] for _ in tuple(forks)):
            return [work(item) for item in items]  # raises the error that ended a fork
        return [os.pread(result, os.fstat(result).st_size, 0) for result in results]
    finally:
        for fork in forks:
            os.kill(fork, signal.SIGKILL)
            os.waitpid(fork, 0)
        for file in (numbers, *results):
            os.close(file)


def _fork(work: Callable[[], None]) -> int:
    """Run `work` in a fork of this process; return its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # BLAS has threads, and supports forks
        fork = os.fork()
    if fork:
        return fork
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)
