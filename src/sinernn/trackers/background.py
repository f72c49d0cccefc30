"""Run a tracker on a thread of its own, so that it neither ends a run nor holds it up."""

import logging
import queue
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sinernn.errors import command_line, printable
from sinernn.model.network import Params
from sinernn.observers import Observer, Summary
from sinernn.refine.records import RefineRecord
from sinernn.runs import Run
from sinernn.runs.facts import RunFacts
from sinernn.sweeps.observing import SweepObserver, SweepState
from sinernn.trackers.tracker import TrackedRun, Tracker, replay, to_scalars
from sinernn.training import Record

MOST_WAITING = 20_000
"""Events that wait for a slow tracker: a few megabytes."""

PATIENCE = 10.0
"""Seconds that a tracker has, after training, for what still waits."""


class Background:
    """A tracker on a thread of its own; it is given up, with a warning, if it fails or is slow."""

    def __init__(self, name: str, tracker: Tracker, most_waiting: int = MOST_WAITING) -> None:
        self.tracker = tracker
        self._name = name
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(most_waiting)
        self._is_over = threading.Event()
        # A daemon: a tracker that hangs does not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=f"tracker {name}", daemon=True)
        self._path: Path | None = None

    def start(self, path: Path) -> None:
        """Start the thread, for a run or a sweep in this folder."""
        self._path = path
        self._thread.start()

    def post(self, call: Callable[[], None]) -> None:
        """Let the thread call something, without waiting for it."""
        if not self._is_over.is_set():
            try:
                self._waiting.put_nowait(call)
            except queue.Full:
                self._give_up(f"is too slow: {self._waiting.maxsize} events wait for it")

    def close(self, patience: float = PATIENCE) -> None:
        """Wait for the thread to do what was posted, but not longer than `patience` seconds."""
        if self._path is None:
            return
        end = time.monotonic() + patience
        try:
            self._waiting.put(None, timeout=patience)
        except queue.Full:
            pass
        else:
            self._thread.join(max(0.0, end - time.monotonic()))
        if self._thread.is_alive():
            self._give_up(f"has not finished {patience:g} s after the training")

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None and not self._is_over.is_set():
            try:
                call()
            except Exception as error:
                self._give_up(f"failed: {reason(error)}")

    def _give_up(self, why: str) -> None:
        """Stop tracking, and warn once, from whichever thread comes first."""
        if self._is_over.is_set() or self._path is None:
            return
        self._is_over.set()
        way_out = f"{command_line('track', self._path)} --with {self._name}"
        logging.getLogger("sinernn").warning(
            "tracker %s %s; training is not affected; send what is missing later with: %s",
            self._name,
            why,
            way_out,
        )


def reason(error: BaseException) -> str:
    """Return an error of a tracker as one line, without the credentials in an address."""
    text = re.sub(r"://[^/@\s]*@", "://", f"{type(error).__name__}: {error}")
    return printable(" ".join(text.split()), 300)


class RunTracking(Observer):
    """Passes the events of a training to a tracker in the background."""

    def __init__(self, background: Background) -> None:
        self._background, self._tracker = background, background.tracker

    def start(self, run: Run, facts: RunFacts) -> None:
        """Begin, with the steps that a resumed run has done already."""
        self._run, self._tracked = run, TrackedRun(run)
        self._background.start(run.path)
        self._background.post(partial(self._start, facts))

    def _start(self, facts: RunFacts) -> None:
        done = {"training": facts.updates, "refine": facts.refine_iterations}
        self._tracker.start(self._tracked)
        if facts.updates:
            for scalars in self._tracked.scalars():
                phase = next(iter(scalars.values)).partition("/")[0]
                if scalars.step <= done[phase]:
                    self._tracker.record(scalars, self._tracked.started)

    def record(self, record: Record | RefineRecord, weights: Callable[[], Params]) -> None:
        """Record what is a row of the metrics."""
        if isinstance(record, RefineRecord) or record.is_row:
            scalars = to_scalars(record.metrics)
            self._background.post(partial(self._tracker.record, scalars, time.time()))

    def finish(self, summary: Summary) -> None:
        """End it, with what the run's files contain now."""
        self._end()

    def fail(self, error: BaseException) -> None:
        """End it; the reason is in the run's facts."""
        self._end()

    def _end(self) -> None:
        if hasattr(self, "_run"):
            self._background.post(lambda: self._tracker.finish(TrackedRun(self._run)))


class SweepTracking(SweepObserver):
    """Shows the runs of a sweep as they end."""

    def __init__(self, background: Background) -> None:
        self._background, self._tracker = background, background.tracker

    def start(self, path: Path, state: SweepState) -> None:
        """Begin."""
        self._path = path
        self._background.start(path)

    def published(self, run: Run) -> None:
        """Show settings and scores, which every run keeps."""

        def show() -> None:
            tracked = TrackedRun(run)
            self._tracker.start(tracked)
            self._tracker.finish(tracked)

        self._background.post(show)

    def finish(self) -> None:
        """Show the steps and models of the runs that keep them, and the results."""
        self._background.post(lambda: replay_sweep(self._tracker, self._path, only_kept=True))


def replay_sweep(tracker: Tracker, path: Path, *, only_kept: bool = False) -> None:
    """Show the runs of a sweep from their files, then its results.

    Args:
        tracker: Where to.
        path: Folder of the sweep.
        only_kept: Whether to leave out runs that have kept no more than settings and scores.
    """
    for folder in sorted(path.glob("[!.]*/")):
        needed = "metrics.csv" if only_kept else "run.json"
        if (folder / needed).is_file() and (folder / "run.json").is_file():
            replay(tracker, Run(folder))
    tracker.finish_sweep(path)
