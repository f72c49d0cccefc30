"""Train every point of a sweep with every seed; read this file first.

The state of a sweep is what its runs have left in its folder: each is trained in a hidden folder
and renamed when it is complete, so a kill at any instant costs what was in flight.
"""

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sinernn import provenance
from sinernn.config import Config
from sinernn.errors import InterruptedRunError, UsageError, command_line
from sinernn.interrupts import Stopped, StopSignals
from sinernn.runs import Run
from sinernn.runs.directory import create_run
from sinernn.runs.files import (
    flush_tree,
    reporting_errors,
    sync_directory,
    to_json,
)
from sinernn.sweeps.executor import Executor, LocalExecutor, Trained
from sinernn.sweeps.points import Point, Points
from sinernn.sweeps.results import RESULT, RunResult
from sinernn.sweeps.settings import BASE, SweepFile, read_sweep
from sinernn.sweeps.table import SweepTable, read_result
from sinernn.sweeps.worker import Task

SWEEP = "sweep.yaml"
KEPT = frozenset({"config.yaml", "run.json", "evaluation.json", RESULT})
"""Files of a run that does not keep its network."""

AHEAD = 8  # runs that wait for the disk while others are trained


@dataclass
class SweepState:
    """How far a sweep has come."""

    total: int
    done: int
    """Runs that have ended, well or not."""

    failed: int
    """Of these, runs that failed or diverged."""

    best: float | None = None
    """The best metric of a run that has ended since the start."""

    best_run: str = ""


class SweepObserver:
    """Receives the events of a sweep; override what you need, the rest does nothing."""

    def start(self, path: Path, state: SweepState) -> None:
        """Training begins; some runs may be done already."""

    def remark(self, text: str) -> None:
        """There is a remark that may matter to the user."""

    def ended(self, state: SweepState) -> None:
        """A run has ended, well or not."""


def sweep(
    source: Path | str | Mapping[str, Any] | Config,
    overrides: Sequence[str] = (),
    *,
    runs_dir: Path | str = "runs",
    jobs: int | None = None,
    figures: bool = True,
    observer: SweepObserver | None = None,
    executor: Callable[[Path], Executor] | None = None,
) -> SweepTable:
    """Train every combination of some settings, or draws of them, with several seeds each.

    Args:
        source: A sweep's file or mapping, with the key `base`; or a config.
        overrides: `key=value` texts: several values, as in `model.hidden_size=8,16`, vary a
            setting; keys of the sweep, as in `seeds=20`, are its own.
        runs_dir: Folder in which the sweep's folder is made.
        jobs: Runs at once; default: one for each core.
        figures: Whether to draw the results.
        observer: Receives the events.
        executor: Makes what trains the runs of the sweep in a folder; default: processes here.

    Returns:
        The results. A run that diverged or failed is one of them, and no error.

    Raises:
        SinernnError: A point cannot be trained, a file cannot be written, or a signal stopped the
            sweep, which `resume_sweep` then continues.

    Example:
        >>> table = sinernn.sweep("tiny.yaml", ["model.hidden_size=2,3", "seeds=2"])
        >>> len(table)
        4
        >>> table[0]["model.hidden_size"], table[0]["status"]
        (2, 'finished')
    """
    file = read_sweep(source, overrides)
    points = Points(file)
    invalid = points.find_invalid()
    files = file.files() | {"sweep.json": to_json(provenance.environment().model_dump()).encode()}
    made = create_run(
        Path(runs_dir),
        f"sweep-{file.settings.name}",
        now=datetime.now(UTC),
        files=files,
        publish_latest=False,
    )
    train = executor or partial(LocalExecutor, jobs=jobs)
    with StopSignals() as stop, made.held():
        return _Driver(made.path, points, invalid, observer, train).run(stop, figures=figures)


def resume_sweep(
    path: Path | str,
    overrides: Sequence[str] = (),
    *,
    jobs: int | None = None,
    figures: bool = True,
    observer: SweepObserver | None = None,
    executor: Callable[[Path], Executor] | None = None,
) -> SweepTable:
    """Train what a sweep lacks: it ends like one that nothing has stopped.

    Runs that failed are tried again; those that diverged would diverge again.

    Args:
        path: The sweep's folder.
        overrides: `seeds=N` or `trials=N`, to add more.
        jobs: See `sweep`.
        figures: See `sweep`.
        observer: See `sweep`.
        executor: See `sweep`.

    Raises:
        SinernnError: As in `sweep`; and if an override would make it a different sweep.

    Example:
        >>> table = sinernn.sweep("tiny.yaml", ["seeds=1"])
        >>> len(sinernn.resume_sweep(table.path, ["seeds=2"]))
        2
    """
    folder, train = Run(Path(path)), executor or partial(LocalExecutor, jobs=jobs)
    with StopSignals() as stop, folder.held():
        before = read_sweep(folder.path / SWEEP)
        file = read_sweep(folder.path / SWEEP, overrides)
        _require_same(folder.path, before, file, overrides)
        points = Points(file)
        invalid = points.find_invalid()
        if overrides:
            folder.write(SWEEP, file.files()[SWEEP])
        driver = _Driver(folder.path, points, invalid, observer, train)
        then = provenance.Environment.model_validate(folder.read_json("sweep.json"))
        for name, (was, now) in provenance.differences(then, provenance.environment()).items():
            driver.observer.remark(f"{name} was {was} and is {now}: the results may differ")
        return driver.run(stop, figures=figures)


def read_sweep_table(path: Path | str) -> SweepTable:
    """Return the results of a sweep so far, from the runs in its folder.

    Raises:
        SinernnError: A file of it is damaged.
    """
    points = Points(read_sweep(Path(path) / SWEEP))
    driver = _Driver(Path(path), points, set(), None, LocalExecutor)
    driver.read_ended()
    return driver.table()


def find_sweep(path: Path | str, runs_dir: Path | str = "runs") -> Path | None:
    """Return the folder of a sweep, given it or its name in `runs_dir`; None if it is none."""
    for each in (Path(path), Path(runs_dir) / path):
        with suppress(OSError):  # an impossible file name
            if (each / SWEEP).is_file() and (each / BASE).is_file():
                return each
    return None


def _require_same(path: Path, before: SweepFile, now: SweepFile, overrides: Sequence[str]) -> None:
    """Check that overrides only add runs.

    Raises:
        UsageError: They do not.
    """
    wrong = [
        text for text in overrides if text.partition("=")[0].strip() not in ("seeds", "trials")
    ]
    if wrong:
        message = f"{' '.join(wrong)}: would make {path} a different sweep"
        raise UsageError(f"{message}; only seeds=N and trials=N can be added to")
    if missing := set(before.seeds) - set(now.seeds):
        some = ", ".join(map(str, sorted(missing)[:3]))
        raise UsageError(f"{path}: has runs of seeds that seeds would leave out, as {some}")
    if (now.settings.trials or 0) < (before.settings.trials or 0):
        raise UsageError(f"{path}: trials is already {before.settings.trials}, more than requested")


class _Driver:
    """Trains the runs of a sweep that this process holds."""

    def __init__(
        self,
        path: Path,
        points: Points,
        invalid: set[int],
        observer: SweepObserver | None,
        executor: Callable[[Path], Executor],
    ) -> None:
        self.path, self.points, self.invalid = path, points, invalid
        self.observer = observer or SweepObserver()
        self.seeds = points.sweep.seeds
        self._executor = executor
        shape = len(points), len(self.seeds)
        self.losses = np.full(shape, np.inf)
        self.ended, self.has_failed = np.zeros(shape, bool), np.zeros(shape, bool)
        self._rows = {seed: row for row, seed in enumerate(self.seeds)}

    def run(self, stop: StopSignals, *, figures: bool) -> SweepTable:
        """Train what is missing, and write the results."""
        _remove_hidden(self.path)
        self.read_ended()
        total = (len(self.points) - len(self.invalid)) * len(self.seeds)
        if self.invalid:
            count = f"{len(self.invalid)} of {len(self.points)} points"
            self.observer.remark(f"{count} are left out: their settings contradict each other")
        self.state = SweepState(total, int(self.ended.sum()), int(self.has_failed.sum()))
        self.observer.start(self.path, self.state)
        try:
            with stop.obeyed_at_once():
                self._train()
        except Stopped:
            done = f"{int(self.ended.sum())} of {total} runs are done"
            way_out = f"continue with: {command_line('resume', self.path)}"
            message = f"interrupted; {done}; {way_out}"
            raise InterruptedRunError(message, signal_number=stop.signal_number or 0) from None
        finally:
            _remove_hidden(self.path)
        table = self.table()
        table.write()
        if figures:
            table.draw()
        return table

    def table(self) -> SweepTable:
        """Return the results so far."""
        return SweepTable(self.path, self.points, self.losses, self.ended, self.has_failed)

    def _train(self) -> None:
        if self.ended.all(where=self._is_valid()[:, None]):
            return
        pending: deque[Future[None]] = deque()
        of_run = _Names(self)
        with ThreadPoolExecutor(AHEAD) as disk, self._executor(self.path) as executor:
            for trained in executor.train(of_run.tasks()):
                point, seed = of_run.pop(trained.task.run)
                is_kept, displaced = self._note(point.index, seed, trained.result)
                pending.append(disk.submit(self._publish, trained, is_kept, displaced))
                while len(pending) > AHEAD or (pending and pending[0].done()):
                    pending.popleft().result()
                self._count(trained.result)
            for each in pending:
                each.result()

    def _count(self, result: RunResult) -> None:
        """Report a run that has ended."""
        state, sign = self.state, self.points.sweep.settings.metric.sign
        state.done += 1
        state.failed += result.status != "finished"
        if result.metric is not None and (
            state.best is None or sign * result.metric < sign * state.best
        ):
            state.best, state.best_run = result.metric, result.run
        self.observer.ended(state)

    def _is_valid(self) -> Any:
        valid = np.ones(len(self.points), bool)
        valid[list(self.invalid)] = False
        return valid

    def read_ended(self) -> None:
        """Read what runs have left, and finish what a kill has left half done."""
        there = {entry.name for entry in os.scandir(self.path) if entry.is_dir()} - {"figures"}
        if not there:
            return
        for point in self.valid_points():
            for seed in self.seeds:
                if point.run_name(seed) not in there:
                    continue
                result = read_result(self.path / point.run_name(seed))
                if result is None or result.status == "failed":
                    continue
                is_kept, displaced = self._note(point.index, seed, result)
                for name in (*([] if is_kept else [point.run_name(seed)]), displaced):
                    if name is not None:
                        _trim(self.path / name)

    def _note(self, index: int, seed: int, result: RunResult) -> tuple[bool, str | None]:
        """Take a result into account.

        Returns:
            Whether the run keeps its network, and the name of one that no longer does.
        """
        row, sign = self._rows[seed], self.points.sweep.settings.metric.sign
        best = int(np.argmin(self.losses[index]))
        had_best = bool(np.isfinite(self.losses[index, best]))
        if result.metric is not None:
            self.losses[index, row] = sign * result.metric
        self.ended[index, row] = True
        self.has_failed[index, row] = result.status != "finished"
        keep = self.points.sweep.settings.keep
        if keep != "best":
            return keep == "all", None
        is_best = bool(np.isfinite(self.losses[index, row])) and row == int(
            np.argmin(self.losses[index])
        )
        displaced = None
        if is_best and had_best and best != row:
            displaced = self.points[index].run_name(self.seeds[best])
        return is_best, displaced

    def _publish(self, trained: Trained, is_kept: bool, displaced: str | None) -> None:
        """Put a run where it belongs, complete and on the disk."""
        target = self.path / trained.task.run
        (made,) = (path for path in trained.folder.iterdir() if (path / RESULT).exists())
        if not is_kept:
            _trim(made)
        flush_tree(made)
        with reporting_errors(target, "cannot be written"):
            if target.exists():  # it failed before
                shutil.rmtree(target)
            made.rename(target)
            sync_directory(self.path)
            shutil.rmtree(trained.folder)
        if displaced is not None:
            _trim(self.path / displaced)

    def valid_points(self) -> Iterator[Point]:
        """Yield the points that are trained."""
        return (point for point in self.points if point.index not in self.invalid)


class _Names:
    """The tasks of a driver, and the point and seed of those that are trained."""

    def __init__(self, driver: _Driver) -> None:
        self._driver = driver
        self._open: dict[str, tuple[Point, int]] = {}

    def tasks(self) -> Iterator[Task]:
        """Yield a task for each run that has not ended."""
        driver, points = self._driver, self._driver.points
        metric = points.metric.model_dump()
        for point in driver.valid_points():
            for row, seed in enumerate(driver.seeds):
                if not driver.ended[point.index, row]:
                    name = point.run_name(seed)
                    self._open[name] = point, seed
                    yield Task(name, points.config(point, seed).model_dump(mode="json"), metric)

    def pop(self, run: str) -> tuple[Point, int]:
        """Return the point and the seed of a run that has ended."""
        return self._open.pop(run)


def _trim(run: Path) -> None:
    """Remove what only a run with a network needs."""
    with reporting_errors(run, "cannot be made smaller"):
        for path in run.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in KEPT:
                path.unlink()


def _remove_hidden(path: Path) -> None:
    """Remove what killed workers have left."""
    for each in path.glob(".*/"):
        shutil.rmtree(each, ignore_errors=True)
