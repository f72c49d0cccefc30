"""`sinernn runs`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sinernn.cli.completion import complete_setting
from sinernn.cli.output import csv_text, print_json, print_prose
from sinernn.cli.parsing import RUN_WORDS, AsJson, RunsDir
from sinernn.errors import UsageError, command_line, printable

if TYPE_CHECKING:
    from sinernn.runs.listing import RunRow


def runs_command(
    runs: Annotated[list[str] | None, RUN_WORDS] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="List only runs with this setting or column; repeatable.",
            autocompletion=complete_setting,
        ),
    ] = None,
    sort: Annotated[str, typer.Option(help="Column or setting to sort by.")] = "run",
    reverse: Annotated[bool, typer.Option("--reverse", help="List the largest first.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, with all columns.")] = False,
    as_json: AsJson = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """List runs: settings, status, scores and age, oldest first.

    Example: sinernn runs --where model.hidden_size=16 --sort closed_loop_rmse
    """
    from sinernn.cli.run_table import print_runs
    from sinernn.runs.listing import COLUMNS, runs_table, sweeps_in

    if as_csv and as_json:
        raise UsageError("--csv and --json: choose one of them")
    rows = runs_table(runs or (), where=where or (), sort=sort, reverse=reverse, runs_dir=runs_dir)
    if as_json:
        print_json({"runs": [_plain(row) for row in rows]})
        return
    if as_csv:
        typer.echo(csv_text({n: [_cell(row.value(n)) for row in rows] for n in COLUMNS}), nl=False)
        return
    sweeps = [] if runs else sweeps_in(runs_dir)
    if rows:
        print_runs(rows, runs_dir)
    elif where:
        print_prose("no run matches; sinernn runs lists all", err=True)
    elif not sweeps:
        print_prose(f"there are no runs in {runs_dir}; see: sinernn train -h", err=True)
    for row in rows:
        if row.problem:
            print_prose(row.problem, err=True)
    if waiting := [Path(row.run) for row in rows if row.status == "interrupted"]:
        print_prose(f"an interrupted run goes on with: {command_line('resume', waiting[-1])}")
    for folder in sweeps:
        print_prose(f"{folder}: a folder of runs; list them with: {command_line('runs', folder)}")


def _plain(row: "RunRow") -> dict[str, Any]:
    ladder = [each.model_dump() for each in row.ladder]
    return {**row.columns(), "closed_loop": ladder, "settings": dict(row.settings)}


def _cell(value: Any) -> Any:
    return printable(value, 5000) if isinstance(value, str) else "" if value is None else value
