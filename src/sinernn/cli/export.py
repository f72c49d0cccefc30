"""`sinernn export`."""

from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.completion import complete_registered
from sinernn.cli.output import print_json, print_line
from sinernn.cli.parsing import AsJson, RunArgument, RunsDir


def export_command(
    format: Annotated[
        str,
        typer.Option(
            help="numpy, c, torch or onnx.",
            autocompletion=complete_registered("exporters/__init__.py", "EXPORTERS"),
        ),
    ],
    run: RunArgument = "latest",
    to: Annotated[
        Path | None,
        typer.Option(help="File to write; default: in this folder, called as run and format."),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Write the trained network for programs without sinernn, in signal units.

    Example: sinernn export latest --format c --to wave.h
    """
    from sinernn.exporters import export

    paths = export(run, format=format, to=to, runs_dir=runs_dir)
    if as_json:
        print_json({"files": [str(path) for path in paths]})
    else:
        for path in paths:
            print_line(path)
