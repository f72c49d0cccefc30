"""The page of several runs side by side, or of a sweep."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import NamedTuple

from sinernn.comparing import Comparison, compare_rows, value_text
from sinernn.config.overrides import short_names
from sinernn.display import Table
from sinernn.errors import UsageError, command_line, printable
from sinernn.evaluation.metrics import counted
from sinernn.plot_run import comparison_figure_of
from sinernn.reports.figures import Figures
from sinernn.reports.page import render_page
from sinernn.reports.run_page import environment_facts, text_lines
from sinernn.reports.views import LiveViews
from sinernn.runs import Run
from sinernn.runs.listing import COLUMN_TEXTS, SWEEP, RunRow, read_row
from sinernn.sweeps.driver import read_sweep_table
from sinernn.sweeps.folders import read_environment
from sinernn.sweeps.settings import BASE

MOST_ROWS = 2000
"""Runs in a table."""

_COLUMNS = {
    "seed": "seed", "status": "", "RMSE": "closed_loop_rmse", "horizon": "horizon",
    "valid time": "valid_steps", "took": "seconds",
}  # fmt: skip
"""Columns of `COLUMN_TEXTS` after the settings that differ, and the values that sort them."""

_MOST_NAMED = 10  # runs in a command


class Cell(NamedTuple):
    """A cell of a table that can be sorted."""

    text: str
    value: float | str | None = None
    """Number that it is sorted by, as JavaScript writes it; None: by its text."""


class Line(NamedTuple):
    """A run in the table of runs."""

    name: str
    live: str
    """Id of its live view; empty if it has none."""

    cells: list[Cell]


def page_of_runs(runs: Sequence[Run]) -> bytes:
    """Return the page of several runs, in the order given.

    Raises:
        UsageError: Matplotlib cannot be imported.
    """
    paths = [run.path for run in runs]
    commands = [f"{command_line('report', paths[0])}  # the page of one of them"]
    if len(paths) <= _MOST_NAMED:
        commands.append(shlex.join(["sinernn", "compare", *map(str, paths)]))
    return _render([read_row(run) for run in runs], commands=commands)


def page_of_sweep(path: Path, runs: Sequence[Run]) -> bytes:
    """Return the page of a sweep, its best run first.

    Raises:
        SinernnError: A file of it is damaged, or matplotlib cannot be imported.
    """
    table = read_sweep_table(path)
    figures = Figures()
    if table.failed < len(table):
        figures.add(
            "sweep",
            f"The {table.metric.words} over the settings that vary.",
            table.figure(title=False),
        )
    return _render(
        sorted((read_row(run) for run in runs), key=_error),
        figures=figures,
        title=f"sweep {table.name}",
        points=table.by_point(),
        configs={name: text_lines(path / name) for name in (SWEEP, BASE)},
        commands=[
            f"{command_line('sweep', path / SWEEP)}  # trains it again, in another folder",
            f"{command_line('resume', path)}  # trains what it lacks",
            command_line("compare", path),
        ],
        environment=environment_facts(read_environment(path)),
    )


def _error(row: RunRow) -> float:
    return inf if row.closed_loop_rmse is None else row.closed_loop_rmse


def _render(
    rows: Sequence[RunRow],
    *,
    commands: Sequence[str],
    figures: Figures | None = None,
    title: str = "",
    points: Table | None = None,
    configs: dict[str, list[str]] | None = None,
    environment: dict[str, str] | None = None,
) -> bytes:
    figures, comparison, notes = figures or Figures(), None, list[str]()
    try:
        comparison = compare_rows(rows)
    except UsageError as error:  # it is a single run, or none has scores
        notes = [str(error), *(row.problem for row in rows if row.problem)]
    else:
        notes = list(comparison.notes)
        figures.add(
            "comparison",
            "Error against horizon, a line for each run or for all seeds of one.",
            comparison_figure_of(comparison, title=False),
        )
    if len(rows) > MOST_ROWS:
        notes.append(f"the table has {MOST_ROWS} of {len(rows)} runs")
    runs = (Run(Path(row.run)) for row in rows if row.status != "broken")
    # A sweep may keep the networks of its best runs alone, or none.
    live = LiveViews([run for run in runs if any(map(run.has_checkpoint, ("best", "last")))])
    notes += live.notes
    lead = comparison.title if comparison else counted(len(rows), "run")
    return render_page(
        "runs.html",
        scripts=["table.js"],
        figures=figures,
        live=live,
        title=title or lead,
        lead=lead if title else "",
        notes=notes,
        headings=["run", *_headings(comparison)],
        lines=list(_lines(rows[:MOST_ROWS], comparison, live)),
        unit=comparison.unit if comparison else "",
        side_by_side=_side_by_side(comparison) if comparison else None,
        points=points,
        configs=configs or {},
        commands=commands,
        environment=environment or {},
    )


def _varied(comparison: Comparison | None) -> dict[str, str]:
    """Return the settings that differ but the seed, with their short names."""
    names = comparison.differing if comparison else ()
    return {name: short for name, short in short_names(names).items() if name != "seed"}


def _headings(comparison: Comparison | None) -> list[str]:
    return [*_varied(comparison).values(), *_COLUMNS]


def _lines(
    rows: Sequence[RunRow], comparison: Comparison | None, live: LiveViews
) -> Iterator[Line]:
    """Yield the runs, with the settings in which their lines of the comparison differ."""
    varied = _varied(comparison)
    compared = comparison.lines if comparison else ()
    settings = {run: line.settings for line in compared for run in line.runs}
    named = Counter(Path(row.run).name for row in rows)
    for row in rows:
        name = Path(row.run).name
        own = settings.get(row.run, {})
        cells = [Cell(value_text(own[each])) if each in own else Cell("") for each in varied]
        for heading, field in _COLUMNS.items():
            text = COLUMN_TEXTS[heading](row)
            value = getattr(row, field) if field else None
            is_diverged = heading == "RMSE" and text and value is None
            cells.append(Cell(text, "Infinity" if is_diverged else value))
        view = live.views.get(row.run)
        shown = name if named[name] == 1 else row.run
        yield Line(printable(shown, 300), view.id if view else "", cells)


def _side_by_side(comparison: Comparison) -> Table:
    """Return a row for each line: runs that differ in their seed alone are taken together."""
    cells = {name or "line": column for name, column in comparison.cells().items()}
    cells["of"] = [counted(len(line.runs), "run") for line in comparison.lines]
    return Table(cells, comparison.caption)
