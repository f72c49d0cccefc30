"""Share work among the cores that this process may use."""

import os
from collections.abc import Callable, Iterator, Sequence
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
