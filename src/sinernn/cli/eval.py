"""`sinernn eval`."""

from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.output import print_json
from sinernn.cli.parsing import AsJson, Overrides, RunArgument, RunsDir
from sinernn.errors import RunFileError


def eval_command(
    run: RunArgument,
    overrides: Overrides = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Config whose signal, split and evaluation settings to use instead."),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Evaluate a run's best network, one step ahead and in closed loop.

    Example: sinernn eval runs/latest evaluation.horizon=500
    """
    from sinernn import evaluating
    from sinernn.cli.terminal import compiling, print_scores
    from sinernn.runs.directory import open_run

    opened = open_run(run, runs_dir=runs_dir)
    result = evaluating.compute_evaluation(opened, overrides or [], data=data, on_compile=compiling)
    failure = None
    try:
        result.write(opened)  # before printing, since a reader such as `head` may close the pipe
    except RunFileError as error:
        failure = error  # a read-only run can still be evaluated
    if as_json:
        print_json(result.scores.model_dump())
    else:
        print_scores(result.scores)
    if failure:
        raise failure
