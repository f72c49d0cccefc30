"""`sinernn track`."""

from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.output import print_line
from sinernn.cli.parsing import RunOrSweepArgument, RunsDir


def track_command(
    name: Annotated[str, typer.Option("--with", help="tensorboard, mlflow or another tracker.")],
    run: RunOrSweepArgument = "latest",
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Show a run or a sweep in TensorBoard or MLflow; once more changes nothing.

    Example: sinernn track latest --with tensorboard
    """
    from sinernn.trackers import track

    print_line(track(run, name, runs_dir=runs_dir))
