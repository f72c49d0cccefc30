"""`sinernn rm`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.output import print_line, print_prose
from sinernn.cli.parsing import RUN_WORDS, RunsDir
from sinernn.errors import UsageError

_LISTED = 10


def rm_command(
    runs: Annotated[list[str], RUN_WORDS],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Remove runs, after asking; never one that a process is training.

    A sweep that is named as a whole is removed with its runs.

    Example: sinernn rm '*-tiny-*'
    """
    from sinernn.evaluation.metrics import counted
    from sinernn.runs.directory import remove_run
    from sinernn.runs.listing import find_removable

    found = find_removable(runs, runs_dir=runs_dir)
    for run in found:
        with run.held():  # none is removed if one is being trained
            pass
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nothing is removed: there is no terminal to ask on; add --yes")
        for run in found[:_LISTED]:
            print_line(run.path)
        if len(found) > _LISTED:
            print_prose(f"and {len(found) - _LISTED} more")
        files = {path for run in found for path in run.path.rglob("*")}
        size = sum(path.lstat().st_size for path in files) / 1e6
        typer.confirm(f"remove {counted(len(found), 'folder')}, {size:.3g} MB?", abort=True)
    for run in found:
        remove_run(run)
        print_line(f"removed {run.path}")
