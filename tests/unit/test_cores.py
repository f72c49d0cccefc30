"""Threads and forks that share work: every item once, whatever else the process does."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

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


@pytest.mark.skipif(sys.platform != "linux", reason="no forks elsewhere")
def test_daemons_cannot_be_forked():
    """Multiprocessing lets its daemons, as the workers of a pool, have no children."""
    code = (
        "from multiprocessing import get_context\n"
        "from sinernn.cores import can_fork\n"
        "print(can_fork(), flush=True)\n"
        "daemon = get_context('fork').Process(target=lambda: print(can_fork()), daemon=True)\n"
        "daemon.start()\n"
        "daemon.join()"
    )
    assert run_python(code) == "True\nFalse\n"


def run_with_one_thread(code: str, *arguments: object) -> list[str]:
    """Run code in a process where forks are possible, on three cores; return lines printed."""
    start = (
        "import os, sys, threading, time\n"
        "from sinernn import cores\n"
        "cores.usable_cores, here = lambda: 3, os.getpid()\n"
    )
    return run_python(start + code, *arguments).splitlines()


def test_compute_works_in_forks(tmp_path: Path):
    """As many processes as cores work at once; results are in order."""
    code = (
        "def work(item):\n"
        "    with open(sys.argv[1], 'a') as file: print(os.getpid(), file=file)\n"
        "    while os.path.getsize(sys.argv[1]) < 3 * len(str(here)): time.sleep(0.01)\n"
        "    return b'%d' % item\n"
        "print(cores.compute(range(5), work), len({*open(sys.argv[1])}))"
    )
    assert run_with_one_thread(code, tmp_path / "seen") == [
        "[b'0', b'1', b'2', b'3', b'4'] 3",
    ]


def test_compute_without_its_forks():
    """What forks that fail leave undone is computed by the process itself, or raises there."""
    code = (
        "def work(item):\n"
        "    if os.getpid() != here or item == 3: raise ValueError(item)\n"
        "    return b'%d' % item\n"
        "print(cores.compute(range(3), work))\n"
        "try: cores.compute(range(4), work)\n"
        "except ValueError as error: print(error)\n"
        "try: os.waitpid(-1, 0)\n"
        "except ChildProcessError: print('no fork is left')"
    )
    assert run_with_one_thread(code) == ["[b'0', b'1', b'2']", "3", "no fork is left"]


def test_compute_beside_threads():
    """A process with other threads is not forked."""
    code = (
        "end = threading.Event()\n"
        "threading.Thread(target=end.wait).start()\n"
        "found = cores.compute(range(9), lambda item: b'%d' % os.getpid())\n"
        "print({*found} == {b'%d' % here})\n"
        "end.set()"
    )
    assert run_with_one_thread(code) == ["True"]
