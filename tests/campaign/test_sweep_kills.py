"""Drivers and workers of sweeps are killed; resumed, a sweep equals one that nothing stopped."""

import os
import signal
import sys
import time
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from campaign import times
from commands import folder_in_memory, wait_until
from examples import TINY
from nursery import Child, Nursery
from sweeping import FEW, contents

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")

SEED = 20261128  # of the instants
AT_MOST = 5  # kills of one sweep
OPTIONS = ("--jobs", 2, "--quiet", "--no-figures")
WORDS = ("sweep", TINY, *FEW, "model.hidden_size=2,3", "seeds=4", *OPTIONS)


class Bench:
    """A warm process from which drivers are forked, and what a sweep comes to."""

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self.nursery, self.folder = nursery, folder
        nursery.warm(*WORDS)
        place = self.place("whole")
        began = time.perf_counter()
        self.finish(place)
        self.seconds = time.perf_counter() - began
        self.expected = contents(sweeps_in(place)[0])

    def place(self, name: str) -> Path:
        """Return an empty folder."""
        place = self.folder / name
        place.mkdir()
        return place

    def start(self, place: Path) -> Child:
        """Start the next command of a user who sees what is there."""
        found = sweeps_in(place)
        words = ("resume", found[0], *OPTIONS) if found else WORDS
        return self.nursery.start(*words, cwd=place)

    def finish(self, place: Path) -> None:
        """Go on to the end."""
        ended = self.start(place).wait()
        assert ended.code == 0, ended.err


def sweeps_in(place: Path) -> list[Path]:
    return [path.parent for path in place.glob("runs/[!.]*/sweep.yaml")]


def workers_of(pid: int) -> list[int]:
    """Return the children of a process, of any of its threads."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            found += map(int, path.read_text().split())
    return found


def has_ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def has_begun(pid: int) -> bool:
    """Whether a driver has workers, or has ended."""
    return has_ended(pid) or bool(workers_of(pid))


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def sweeps() -> Generator[Bench]:
    with folder_in_memory() as folder, Nursery(Path(folder)) as nursery:
        yield Bench(nursery, Path(folder))


@pytest.mark.parametrize("target", ["driver", "workers", "both"])
def test_killed_sweep_equals_an_undisturbed_one(sweeps: Bench, target: str):
    """Killed at random instants, again and again, then resumed."""
    random, left = np.random.default_rng(SEED), times(10)
    while left > 0:
        place = sweeps.place(f"{target}-{left}")
        for _ in range(min(left, AT_MOST)):
            left -= 1
            driver = sweeps.start(place)
            wait_until(partial(has_begun, driver.pid))
            time.sleep(random.uniform(0, sweeps.seconds))
            if target != "driver":
                workers = workers_of(driver.pid)
                kill(workers[int(random.integers(len(workers)))] if workers else driver.pid)
            if target != "workers":
                driver.kill()
            driver.wait()
        sweeps.finish(place)
        (sweep,) = sweeps_in(place)
        assert contents(sweep) == sweeps.expected
        assert not list(sweep.glob(".*/"))
        assert not list(place.glob("runs/.*"))
