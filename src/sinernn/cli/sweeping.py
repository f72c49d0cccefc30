"""Progress and results of sweeps."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sinernn.cli.output import print_json, print_line, print_prose
from sinernn.cli.progress import ProgressConsole
from sinernn.cli.terminal import make_table
from sinernn.errors import UsageError, command_line, printable
from sinernn.evaluation.metrics import counted
from sinernn.sweeps.executor import Executor, LocalExecutor
from sinernn.sweeps.observing import SweepObserver, SweepState
from sinernn.sweeps.results import FEWEST_PAIRS, PointResult
from sinernn.sweeps.table import SweepTable

SHOWN = 20  # points and failures in a printed table; the files have all


class SweepProgress(SweepObserver):
    """Progress: a bar on a terminal, elsewhere about ten lines."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or ProgressConsole()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(10),  # with counts of four digits it fits 80 columns
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task("sweep", total=None, text="", visible=False)
        self._tenth = 0  # of the work, at the last line
        self._began, self._done_before = time.monotonic(), 0

    def __enter__(self) -> "SweepProgress":
        if self._console.is_terminal:  # a bar that is not started draws nothing
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def start(self, path: Path, state: SweepState) -> None:
        """Print the folder, and how many runs there are."""
        self._began, self._done_before = time.monotonic(), state.done
        already = f", {state.done} of them done already" if state.done else ""
        self.remark(f"{path}: {counted(state.total, 'run')}{already}")
        self._bar.update(self._task, total=state.total, completed=state.done, visible=True)

    def remark(self, text: str) -> None:
        """Print a remark."""
        self._console.print(printable(text, 2000), soft_wrap=True)

    def ended(self, state: SweepState) -> None:
        """Print how many runs are done, failed and left, and the best so far."""
        text = f"{state.done} done, {state.failed} failed, {state.total - state.done} to go"
        if state.best is not None:
            text += f", best so far {state.best:.3g}"
        self._bar.update(self._task, completed=state.done, text=text)
        tenth = 10 * state.done // state.total
        if not self._console.is_terminal and tenth > self._tenth:
            self._tenth = tenth
            trained, left = state.done - self._done_before, state.total - state.done
            seconds = (time.monotonic() - self._began) * left / max(trained, 1)
            text += "" if state.best is None else f" ({state.best_run})"
            self.remark(f"{text}, about {timedelta(seconds=round(seconds))} left" if left else text)


@contextmanager
def sweep_progress(*, quiet: bool) -> Generator[list[SweepObserver]]:
    """Show the progress of a sweep on stderr."""
    if quiet:
        yield []
        return
    with SweepProgress() as shown:
        yield [shown]


@contextmanager
def chosen_executor(
    name: str, ray_address: str | None, jobs: int | None
) -> Generator[Callable[[Path], Executor]]:
    """Yield what makes the executor that the options name.

    Raises:
        UsageError: There is no such cluster, or an address is given to the local executor.
    """
    if name == "ray":
        from sinernn.sweeps.ray_executor import connected_to_ray

        with connected_to_ray(ray_address or "auto", jobs=jobs) as executor:
            yield executor
        return
    if ray_address is not None:
        raise UsageError(f"--ray-address {ray_address}: needs --executor ray")
    yield partial(LocalExecutor, jobs=jobs)


def print_sweep(table: SweepTable, *, as_json: bool) -> None:
    """Print the results of a sweep: its points, best first, then what failed."""
    if as_json:
        print_json(table.report())
        return
    points = sorted(table.points(), key=lambda point: table.loss(point.median))
    console = Console(highlight=False, markup=False, emoji=False, width=500)
    title = f"median {table.metric.words} over seeds"
    columns = make_table(
        title, "point", "median", "95 %\ninterval", "worst", "runs", "failed", "against\nthe best"
    )
    for point in points[:SHOWN]:
        interval = "-"
        if point.n > 1 and not point.low is point.high is None:
            interval = f"{_value(point.low)} to {_value(point.high)}"
        label = f"{point.name}: {point.label}" if table.has_trials else point.label
        columns.add_row(
            printable(label, 60), _value(point.median), interval, _value(point.worst),
            str(point.n), str(point.failed) if point.failed else "", _comparison(point),
        )  # fmt: skip
    console.print(columns, "")
    if len(points) > SHOWN:
        print_prose(f"{len(points) - SHOWN} more points: see {table.path / 'points.csv'}")
    for row in islice(table.failures(), SHOWN):
        again = command_line("train", table.path / row["run"] / "config.yaml")
        print_prose(f"{row['run']} {row['status']}: {row['reason']}; repeat it with: {again}")
    if table.failed:
        print_prose(f"{table.failed} of {counted(len(table), 'run')} failed or diverged")
    for path in sorted((table.path / "figures").glob("*.png")):
        print_line(path)
    if table.failed < len(table):
        compare, plot = (command_line(name, table.path) for name in ("compare", "plot"))
        several = f"errors by horizon with {compare}; " if len(table) > 1 else ""
        print_prose(f"next: {several}a PDF with {plot} --format pdf")
    print_line(table.path)


def _comparison(point: PointResult) -> str:
    if point.is_best:
        return "best"
    if point.p_value is None:
        return "-"
    if point.is_distinct:
        return f"worse (p {point.p_value:.2g})"
    return f"as good (p {point.p_value:.2g})" if point.n >= FEWEST_PAIRS else "too few seeds"


def _value(value: float | None) -> str:
    return "failed" if value is None else f"{value:.3g}"
