"""What trains the runs of a sweep, and its results."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from sinernn.cli.output import print_json, print_line, print_parts, print_prose
from sinernn.errors import UsageError, command_line
from sinernn.evaluation.metrics import counted
from sinernn.sweeps.executor import Executor, LocalExecutor
from sinernn.sweeps.observing import SweepObserver
from sinernn.sweeps.table import SHOWN, SweepTable


class Remarks(SweepObserver):
    """Prints the remarks of a sweep that shows no progress."""

    def remark(self, text: str) -> None:
        """Print a remark to stderr."""
        print_prose(text, err=True)


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
    print_parts(table.describe())
    for row in islice(table.failures(), SHOWN):
        again = command_line("train", table.path / row["run"] / "config.yaml")
        print_prose(f"{row['run']} {row['status']}: {row['reason']}; repeat it with: {again}")
    if table.failed:
        print_prose(f"{table.failed} of {counted(len(table), 'run')} failed or diverged")
    for path in sorted((table.path / "figures").glob("*.png")):
        print_line(path)
    if table.failed < len(table):
        report, compare = (command_line(name, table.path) for name in ("report", "compare"))
        several = f"; errors by horizon with {compare}" if len(table) > 1 else ""
        print_prose(f"next: a page to share with {report}{several}")
    print_line(table.path)
