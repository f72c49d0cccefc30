"""Share work among the cores that this process may use."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Item = TypeVar("Item")

_kept: Callable[[Any], bytes]


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
    """Return `work` of each item, computed in forks of this process if it has several cores.

    It pays for work that holds the interpreter's lock. A process with several threads is not
    forked: a lock that another thread holds would stay locked in the fork.
    """
    processes = min(usable_cores(), len(items))
    # Elsewhere than on Linux libraries may not support forks.
    if processes > 1 and sys.platform == "linux" and threading.active_count() == 1:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        options = get_context("fork"), _keep, (work,)
        with suppress(Exception), ProcessPoolExecutor(processes, *options) as pool:
            return [*pool.map(_call_kept, items)]
    return [work(item) for item in items]  # or raise the error that ended a fork


def _keep(work: Callable[[Any], bytes]) -> None:
    """Keep in a fork what it is to do, which could not be sent to it."""
    global _kept
    _kept = work


def _call_kept(item: Any) -> bytes:
    return _kept(item)
