"""`sinernn report`."""

from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.completion import complete_run
from sinernn.cli.output import open_file, print_json, print_line
from sinernn.cli.parsing import AsJson, RunsDir


def report_command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="A run or a sweep, or several: directories, names, latest, quoted patterns. "
            "Default: latest.",
            metavar="RUN...",
            autocompletion=complete_run,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            help="HTML file to write; default: report.html in the folder of the run or the sweep, "
            "and of several runs in this folder."
        ),
    ] = None,
    is_opened: Annotated[
        bool, typer.Option("--open", help="Open the page in the system's browser.")
    ] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Write one HTML page of a run, of several or of a sweep, to read and share offline.

    Example: sinernn report latest --to wave.html --open
    """
    from sinernn.reports import report

    path = report(runs or "latest", to=to, runs_dir=runs_dir)
    if as_json:
        print_json({"report": str(path)})
    else:
        print_line(path)
    if is_opened:
        open_file(path)
