"""Sweeps whose drivers and workers are killed: a warm bench, and who their workers are."""

import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from commands import wait_until
from examples import TINY
from nursery import Child, Nursery
from sweeping import FEW, contents

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

    def kill(self, place: Path, target: str, share: float) -> None:
        """Kill the driver, a worker or both of a sweep that is started for it.

        Args:
            place: Its working folder.
            target: `driver`, `workers` or `both`.
            share: When, as a share of an undisturbed sweep after the first worker's start.
        """
        driver = self.start(place)
        wait_until(partial(has_begun, driver.pid))
        time.sleep(share * self.seconds)
        if target != "driver":
            kill((workers_of(driver.pid) or [driver.pid])[-1])
        if target != "workers":
            driver.kill()
        driver.wait()

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
