"""`sinernn compare`."""

from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.output import csv_text, print_json, print_line, print_parts, terminal_width
from sinernn.cli.parsing import RUN_WORDS, AsJson, RunsDir
from sinernn.cli.writing import check_outputs


def compare_command(
    runs: Annotated[list[str], RUN_WORDS],
    each: Annotated[
        bool, typer.Option("--each", help="Keep runs apart that differ in their seed alone.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option(help="CSV file to write: a row for each line and horizon.")
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw error against horizon, a line each: a png, svg or pdf file."),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Compare runs: the settings that differ, and their scores side by side.

    Runs that differ in their seed alone are taken together: the median of all, the worst of all.

    Example: sinernn compare latest '*-tiny-*' --figure comparison.png
    """
    from sinernn.comparing import compare_runs
    from sinernn.runs.files import write_atomically

    comparison = compare_runs(runs, each=each, runs_dir=runs_dir)
    paths = [Path(run) for line in comparison.lines for run in line.runs]
    check_outputs(to, figure, sources=[], runs=paths)
    if to is not None:
        write_atomically(to.resolve(), csv_text(comparison.columns()).encode())
    if figure is not None:
        from sinernn.plot_run import comparison_figure_of, image

        content = image(comparison_figure_of(comparison), figure.suffix[1:].lower())
        write_atomically(figure.resolve(), content)
    if as_json:
        print_json(comparison.report())
        return
    print_parts(comparison.describe(terminal_width()))
    for path in filter(None, (to, figure)):
        print_line(path)
