"""Share work among the cores that this process may use."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Item = TypeVar("Item")


_LIMITS: list[int] = []


def use_at_most(count: int) -> None:
    """Leave the other cores to other processes from now on."""
    _LIMITS[:] = [count]


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return min([_available_cores(), *_LIMITS])


def _available_cores() -> int:
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


def can_fork() -> bool:
    """Return whether this process may be forked.

    Not one with several threads: a lock that another thread holds would stay locked in the fork;
    and none of multiprocessing's daemons, which may have no children. Elsewhere than on Linux
    libraries may not support forks.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return False
    return not import_module("multiprocessing").current_process().daemon


def compute(items: Sequence[Item], work: Callable[[Item], bytes]) -> list[bytes]:
    """Return `work` of each item, a share of them computed in forks of this process.

    It pays for work that holds the interpreter's lock.
    """
    count = min(usable_cores(), len(items))
    if count < 2 or not can_fork():
        return [work(item) for item in items]
    context = import_module("multiprocessing").get_context("fork")
    forks: list[tuple[Any, Any]] = []
    try:
        with suppress(OSError):  # no process could be started
            for share in range(1, count):
                receiver, sender = context.Pipe(duplex=False)
                fork = context.Process(target=_send, args=(sender, work, items[share::count]))
                fork.start()
                sender.close()
                forks.append((fork, receiver))
        found: dict[int, bytes] = {at: work(items[at]) for at in range(0, len(items), count)}
        for share, (_, receiver) in enumerate(forks, start=1):
            with suppress(EOFError):  # the fork has failed
                found |= zip(range(share, len(items), count), receiver.recv(), strict=True)
        # What a fork has not done is done here, or raises the error that ended it.
        return [found[at] if at in found else work(item) for at, item in enumerate(items)]
    finally:
        for fork, _ in forks:
            fork.kill()
            fork.join()


def _send(sender: Any, work: Callable[[Item], bytes], items: Sequence[Item]) -> None:
    """Compute a share of the items and send it; end without a word if that fails."""
    with suppress(BaseException):
        sender.send([work(item) for item in items])
