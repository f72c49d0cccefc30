"""Train every point of a sweep with every seed; read this file first.

The state of a sweep is what its runs have left in its folder: each is trained in a hidden folder
and renamed when it is complete, so a kill at any instant costs what was in flight.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sinernn.config import Config
from sinernn.data.files import File
from sinernn.errors import (
    InterruptedRunError,
    RunFileError,
    RunNotFoundError,
    UsageError,
    command_line,
)
from sinernn.interrupts import Stopped, StopSignals
from sinernn.observers import Observers
from sinernn.runs import Run
from sinernn.runs.directory import create_run
from sinernn.runs.listing import SWEEP
from sinernn.sweeps import folders
from sinernn.sweeps.executor import Executor, LocalExecutor
from sinernn.sweeps.observing import SweepObserver, SweepState
from sinernn.sweeps.parameters import Choice
from sinernn.sweeps.points import Point, Points
from sinernn.sweeps.progress import sweep_progress
from sinernn.sweeps.results import RunResult, median
from sinernn.sweeps.settings import BASE, read_sweep, require_same
from sinernn.sweeps.table import SweepTable
from sinernn.sweeps.worker import Task

LEAST_SEEDS = 3  # of a point before it may be pruned
AHEAD = 8  # runs that wait for the disk while others are trained


class Batch(NamedTuple):
    """Runs of some points with some seeds."""

    points: Iterable[int]
    rows: Sequence[int]
    """Positions of the seeds."""


def sweep(
    source: Path | str | Mapping[str, Any] | Config,
    overrides: Sequence[str] = (),
    *,
    runs_dir: Path | str = "runs",
    jobs: int | None = None,
    figures: bool = True,
    progress: bool | None = None,
    observers: Sequence[SweepObserver] = (),
    executor: Callable[[Path], Executor] | None = None,
    keep_going: bool = True,
) -> SweepTable:
    """Train every combination of some settings, or draws of them, with several seeds each.

    Args:
        source: A sweep's file or mapping, with the key `base`; or a config.
        overrides: `key=value` texts: several values, as in `model.hidden_size=8,16`, vary a
            setting; keys of the sweep, as in `seeds=20`, are its own.
        runs_dir: Folder in which the sweep's folder is made.
        jobs: Runs at once; default: one for each core.
        figures: Whether to draw the results.
        progress: Whether to show progress; default: in notebooks alone.
        observers: Receive the events.
        executor: Makes what trains the runs of the sweep in a folder; default: processes here.
        keep_going: Whether to train the others after a run has diverged or failed.

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
    files = file.files() | folders.environment_file()
    name, now = f"sweep-{file.settings.name}", datetime.now(UTC)
    made = create_run(Path(runs_dir), name, now=now, files=files, publish_latest=False)
    train = executor or partial(LocalExecutor, jobs=jobs)
    with sweep_progress(observers, progress) as observed, StopSignals() as stop, made.held():
        driver = _Driver(made.path, points, invalid, observed, train, keep_going=keep_going)
        return driver.run(stop, figures=figures)


def resume_sweep(
    path: Path | str,
    overrides: Sequence[str] = (),
    *,
    jobs: int | None = None,
    figures: bool = True,
    progress: bool | None = None,
    observers: Sequence[SweepObserver] = (),
    executor: Callable[[Path], Executor] | None = None,
    keep_going: bool = True,
) -> SweepTable:
    """Train what a sweep lacks: it ends like one that nothing has stopped.

    Runs that failed are tried again; those that diverged would diverge again.

    Args:
        path: The sweep's folder, or its name in `runs`.
        overrides: `seeds=N` or `trials=N`, to add more; `signal.path=FILE`, if the data file of
            all its runs is elsewhere.
        jobs: See `sweep`.
        figures: See `sweep`.
        progress: See `sweep`.
        observers: See `sweep`.
        executor: See `sweep`.
        keep_going: See `sweep`.

    Raises:
        SinernnError: As in `sweep`; and if an override would make it a different sweep.

    Example:
        >>> table = sinernn.sweep("tiny.yaml", ["seeds=1"])
        >>> len(sinernn.resume_sweep(table.path, ["seeds=2"]))
        2
    """
    if (found := folders.find_sweep(path)) is None:
        raise RunNotFoundError(f"{path}: is not the folder of a sweep, with {SWEEP} and {BASE}")
    folder, train = Run(found), executor or partial(LocalExecutor, jobs=jobs)
    with sweep_progress(observers, progress) as observed, StopSignals() as stop, folder.held():
        before = read_sweep(folder.path / SWEEP)
        file = read_sweep(folder.path / SWEEP, overrides)
        require_same(folder.path, before, file, overrides)
        file.base.tree["name"] = before.base.tree["name"]  # wherever its data file is
        points = Points(file)
        invalid = points.find_invalid()
        if overrides:
            for name, content in file.files().items():
                folder.write(name, content)
        driver = _Driver(folder.path, points, invalid, observed, train, keep_going=keep_going)
        for change in folders.environment_changes(found):
            driver.remark(change)
        return driver.run(stop, figures=figures)


def read_sweep_table(path: Path | str) -> SweepTable:
    """Return the results of a sweep so far, from the runs in its folder.

    Raises:
        SinernnError: A file of it is damaged.
    """
    points, nobody = Points(read_sweep(Path(path) / SWEEP)), Observers[SweepObserver]([])
    driver = _Driver(Path(path), points, set(), nobody, LocalExecutor)
    driver.read_all()
    return driver.table()


class _Driver:
    """Trains the runs of a sweep that this process holds."""

    def __init__(
        self,
        path: Path,
        points: Points,
        invalid: set[int],
        observers: Observers[SweepObserver],
        executor: Callable[[Path], Executor],
        *,
        keep_going: bool = True,
    ) -> None:
        self.path, self.points, self.invalid = path, points, invalid
        self.observers, self.seeds, self._executor = observers, points.sweep.seeds, executor
        shape = len(points), len(self.seeds)
        self.losses = np.full(shape, np.inf)
        self.ended, self.has_failed = np.zeros(shape, bool), np.zeros(shape, bool)
        self.state = SweepState(total=0, done=0, failed=0)
        self._has_trained, self._keep_going, self._gives_up = False, keep_going, False

    def run(self, stop: StopSignals, *, figures: bool) -> SweepTable:
        """Train what is missing, and write the results."""
        folders.remove_hidden(self.path)
        if self.invalid:
            count = f"{len(self.invalid)} of {len(self.points)} points are left out"
            self.remark(f"{count}: their settings contradict each other")
        self.state.total = (len(self.points) - len(self.invalid)) * len(self.seeds)
        try:
            with stop.obeyed_at_once(), self._executor(self.path) as executor:
                for number, batch in enumerate(self._batches()):
                    self.read_ended(batch)
                    self._require_data(batch)
                    self._train(batch, executor, is_first=number == 0)
                    if self._gives_up:
                        break
        except Stopped:
            message = f"interrupted; {self._progress}"
            raise InterruptedRunError(message, signal_number=stop.signal_number or 0) from None
        finally:
            folders.remove_hidden(self.path)
        if self.points.sweep.settings.method == "tpe":
            from sinernn.sweeps import tpe

            tpe.write_journal(self.path, self.points.sweep.parameters, self._told())
        if self._gives_up and self.state.done < self.state.total:
            self.remark(f"stopped, since a run failed or diverged; {self._progress}")
        table = self.table()
        table.write()
        if self._has_trained:
            table.erase_figures()
        if figures:
            table.draw()
        self.observers.notify(SweepObserver.finish)
        return table

    def remark(self, text: str) -> None:
        """Tell the observers something."""
        self.observers.notify(SweepObserver.remark, text)

    @property
    def _progress(self) -> str:
        """Return in words what is done, and how to continue."""
        again = command_line("resume", self.path)
        return f"{self.state.done} of {self.state.total} runs are done; continue with: {again}"

    def _batches(self) -> Iterator[Batch]:
        """Yield runs that may be trained together; which they are follows from those before."""
        points, settings, rows = self.points, self.points.sweep.settings, range(len(self.seeds))
        if settings.method != "tpe":
            yield Batch(range(len(points)), rows)
            return
        from sinernn.sweeps import tpe

        for first in range(0, len(points), settings.batch):
            count = min(settings.batch, len(points) - first)
            points.proposed += tpe.propose(
                points.sweep.parameters, self._told(), count, seed=settings.draw_seed
            )
            batch = [points[index] for index in range(first, first + count)]
            invalid = points.find_invalid(batch)
            self.invalid |= invalid
            self.state.total -= len(invalid) * len(rows)
            left = [point.index for point in batch if point.index not in invalid]
            for some in [[row] for row in rows] if settings.prune else [rows]:
                if left:
                    yield Batch(left, some)
                    left = self._unpruned(left, some[-1]) if settings.prune else left

    def _told(self) -> list[tuple[Sequence[Choice], float]]:
        """Return the proposed points, and the median loss of each."""
        losses = (
            median(own[done]) if done.any() else np.inf
            for own, done in zip(self.losses, self.ended, strict=True)
        )
        return list(zip(self.points.proposed, losses, strict=False))

    def _unpruned(self, batch: Sequence[int], row: int) -> list[int]:
        """Return the points of a batch that are trained with further seeds.

        Those are dropped whose median over the seeds so far is worse than the median of all points
        over as many seeds.
        """
        if row + 1 < LEAST_SEEDS or row + 1 == len(self.seeds):
            return list(batch)
        whole = self.ended[:, : row + 1].all(axis=1)
        so_far = np.array([median(own) for own in self.losses[:, : row + 1]])
        kept = [index for index in batch if so_far[index] <= median(so_far[whole])]
        self.state.total -= (len(batch) - len(kept)) * (len(self.seeds) - row - 1)
        return kept

    def table(self) -> SweepTable:
        """Return the results so far."""
        return SweepTable(self.path, self.points, self.losses, self.ended, self.has_failed)

    def _train(self, batch: Batch, executor: Executor, *, is_first: bool) -> None:
        """Train what is missing of a batch."""
        training: dict[str, tuple[Point, int]] = {}
        pending: deque[tuple[Future[None], str, str | None]] = deque()
        metric = self.points.metric.model_dump()

        def tasks() -> Iterator[Task]:
            for point, row in self._runs(batch):
                if self._gives_up:
                    return
                if not self.ended[point.index, row]:
                    seed = self.seeds[row]
                    training[point.run_name(seed)] = point, row
                    config = self.points.config(point, seed).model_dump(mode="json")
                    yield Task(point.run_name(seed), point.label, config, metric)

        def finish() -> None:
            published, name, displaced = pending.popleft()
            published.result()
            self.observers.notify(SweepObserver.published, Run(self.path / name))
            if displaced is not None:  # it was published before
                folders.trim(self.path / displaced)

        with ThreadPoolExecutor(AHEAD) as disk:
            running = executor.train(tasks())  # forks; after `start` a display may have a thread
            if is_first:
                self.observers.notify(SweepObserver.start, self.path, self.state)
            for trained in running:
                self._has_trained = True
                self._gives_up |= not self._keep_going and trained.result.status != "finished"
                point, row = training.pop(trained.task.run)
                is_kept, displaced = self._note(point, row, trained.result)
                published = disk.submit(folders.publish, trained, self.path, is_kept)
                pending.append((published, trained.task.run, displaced))
                while len(pending) > AHEAD or (pending and pending[0][0].done()):
                    finish()
                self.observers.notify(SweepObserver.ended, self.state)
            while pending:
                finish()

    def _runs(self, batch: Batch) -> Iterator[tuple[Point, int]]:
        """Yield the points of a batch that can be trained, and the position of each seed."""
        for index in batch.points:
            if index not in self.invalid:
                point = self.points[index]
                yield from ((point, row) for row in batch.rows)

    def read_ended(self, batch: Batch) -> None:
        """Read what the runs of a batch have left, and finish what a kill has left half done."""
        for point, row in self._runs(batch):
            name = point.run_name(self.seeds[row])
            result = folders.read_result(self.path / name)
            if result is None or result.status == "failed":
                continue
            if (result.point, result.seed) != (point.label, self.seeds[row]):
                expected = f"{point.label} and seed {self.seeds[row]}"
                found = f"was trained with {result.point} and seed {result.seed}, not {expected}"
                raise RunFileError(f"{self.path / name}: {found}; remove it to train it again")
            is_kept, displaced = self._note(point, row, result)
            for each in (None if is_kept else name, displaced):
                if each is not None:
                    folders.trim(self.path / each)

    def _require_data(self, batch: Batch) -> None:
        """Check that runs which have ended were trained on the data of those to come.

        Raises:
            UsageError: A data file has changed since.
        """
        checked = set[Path]()
        for point, row in self._runs(batch):
            if not self.ended[point.index, row] or row != np.argmax(self.ended[point.index]):
                continue  # one run of each point is enough
            signal = self.points.config(point, self.seeds[row]).signal
            if not isinstance(signal, File) or signal.file in checked:
                continue
            run = Run(self.path / point.run_name(self.seeds[row]))
            if (recorded := run.read_facts().data) is not None:
                checked.add(signal.file)
                if signal.fingerprint()[0] != recorded.sha256:
                    message = f"{signal.file}: has changed since {run.path} was trained on it"
                    raise UsageError(f"{message}; restore the file, or begin another sweep")

    def read_all(self) -> None:
        """Read what all runs have left, as far as they are known."""
        for batch in self._batches():
            self.read_ended(batch)
            if not all(self.ended[point.index, row] for point, row in self._runs(batch)):
                break

    def _note(self, point: Point, row: int, result: RunResult) -> tuple[bool, str | None]:
        """Take a result into account.

        Returns:
            Whether the run keeps its network, and the name of one that no longer does.
        """
        losses, state = self.losses[point.index], self.state
        before = int(np.argmin(losses)) if np.isfinite(losses).any() else None
        if result.metric is not None:
            losses[row] = self.points.metric.sign * result.metric
            if state.best is None or losses[row] < self.points.metric.sign * state.best:
                state.best, state.best_run = result.metric, result.run
        self.ended[point.index, row] = True
        self.has_failed[point.index, row] = result.status != "finished"
        state.done += 1
        state.failed += result.status != "finished"
        keep = self.points.sweep.settings.keep
        if keep != "best":
            return keep == "all", None
        if not np.isfinite(losses[row]) or np.argmin(losses) != row:
            return False, None
        return True, None if before is None else point.run_name(self.seeds[before])
