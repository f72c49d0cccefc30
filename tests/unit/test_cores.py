"""Threads that share work: every item once, whatever else the process does."""

import threading
from collections.abc import Iterator

import pytest

from commands import run_python
from sinernn import cores
from sinernn.cores import share


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 3)


def test_share_works_in_threads():
    """As many threads as cores work at once, and every item is taken once."""
    meeting, seen = threading.Barrier(3, timeout=900), list[int]()

    def work(items: Iterator[int]) -> None:
        seen.append(next(items))
        meeting.wait()
        seen.extend(items)

    share(range(10), work)
    assert sorted(seen) == list(range(10))


@pytest.mark.parametrize("items", [range(0), range(1)])
def test_share_of_one_item_starts_no_thread(items: range):
    """Nor does none."""
    found: list[tuple[threading.Thread, list[int]]] = []
    share(items, lambda mine: found.append((threading.current_thread(), list(mine))))
    assert found == [(threading.current_thread(), list(items))]


def test_share_raises_what_a_thread_raises():
    """Whichever thread it is."""
    meeting = threading.Barrier(3, timeout=900)

    def work(items: Iterator[int]) -> None:
        meeting.wait()
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("of a thread")

    with pytest.raises(ValueError, match="of a thread"):
        share(range(3), work)


def test_share_within_share():
    """It ends, although all threads are busy."""
    seen: list[int] = []

    def work(items: Iterator[int]) -> None:
        for _ in items:
            share(range(3), seen.extend)

    share(range(4), work)
    assert sorted(seen) == sorted([*range(3)] * 4)


def test_share_in_a_fork():
    """A fork, which has none of the threads, starts its own."""
    code = (
        "import os, threading\n"
        "from sinernn import cores\n"
        "cores.usable_cores = lambda: 2\n"
        "def work(items):\n"
        "    meeting.wait()\n"
        "meeting = threading.Barrier(2, timeout=900)\n"
        "cores.share(range(2), work)\n"
        "if child := os.fork():\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "else:\n"
        "    meeting = threading.Barrier(2, timeout=60)\n"
        "    cores.share(range(2), work)\n"
        "    os._exit(7)"
    )
    assert run_python(code) == "7\n"
