"""The table of `sinernn runs`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from sinernn.cli.output import print_prose, terminal_width
from sinernn.display import Table, duration_text
from sinernn.errors import printable
from sinernn.runs.listing import COLUMN_TEXTS, RunRow


def print_runs(rows: Sequence[RunRow], runs_dir: Path) -> None:
    """Print a line for each run, with the columns for which a terminal is wide enough."""
    cells = {"run": [_short(Path(row.run), runs_dir) for row in rows]}
    for heading, text in {**COLUMN_TEXTS, "age": _age}.items():
        cells[heading] = [printable(text(row), 60) for row in rows]
    width, missing = terminal_width(), list[str]()
    for heading in _LEFT_OUT_FIRST:
        if width and _width(cells) > width:
            del cells[heading]
            missing.append(heading)
    typer.echo(Table(cells, left=("run", "changed", "cell", "status")))
    print_prose("RMSE: of the free run up to the horizon, median of the origins; times in steps")
    if missing:
        print_prose(f"not shown, since the terminal is narrow: {', '.join(missing)}; see --csv")


def _width(cells: Mapping[str, Sequence[str]]) -> int:
    return sum(2 + max(map(len, [heading, *column])) for heading, column in cells.items()) - 2


def _short(run: Path, runs_dir: Path) -> str:
    """Return what names a run on the command line."""
    return printable(run.name if run.parent == runs_dir else str(run), 300)


def _age(row: RunRow) -> str:
    try:
        started = datetime.fromisoformat(row.started or "")
        return duration_text(max((datetime.now(UTC) - started).total_seconds(), 0), ".0f")
    except (ValueError, TypeError):  # not a time, or one without a time zone
        return ""


_LEFT_OUT_FIRST = ("changed", "took", "horizon", "seed", "units", "cell", "valid time")
"""Columns to do without on a terminal that is too narrow for all."""
