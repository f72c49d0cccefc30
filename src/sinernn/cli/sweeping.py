"""What trains the runs of a sweep, and its results."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from rich.console import Console

from sinernn.cli.output import print_json, print_line, print_prose
from sinernn.cli.terminal import make_table
from sinernn.errors import UsageError, command_line, printable
from sinernn.evaluation.metrics import counted
from sinernn.sweeps.executor import Executor, LocalExecutor
from sinernn.sweeps.results import FEWEST_PAIRS, PointResult
from sinernn.sweeps.table import SweepTable

SHOWN = 20  # points and failures in a printed table; the files have all


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
        columns.add_row(
            printable(point.label, 60), _value(point.median), interval, _value(point.worst),
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
