"""`sinernn eval`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.completion import complete_config
from sinernn.cli.output import print_json, print_line, print_prose
from sinernn.cli.parsing import AsJson, Overrides, RunArgument, RunsDir
from sinernn.errors import RunFileError, command_line


def eval_command(
    run: RunArgument,
    overrides: Overrides = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Config whose signal, split and evaluation settings to use instead.",
            autocompletion=complete_config,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the evaluation; default: made from what was changed."),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Evaluate a run's best network, one step ahead and in closed loop.

    With other settings or data the run's own evaluation stays: see evaluations/NAME in the run.

    Example: sinernn eval runs/latest evaluation.horizon=500
    """
    from sinernn import evaluating
    from sinernn.cli.stderr import compiling
    from sinernn.cli.terminal import print_next_commands, print_scores
    from sinernn.runs.directory import open_run

    opened = open_run(run, runs_dir=runs_dir)
    result = evaluating.compute_evaluation(
        opened, overrides or [], data=data, name=name, on_compile=compiling
    )
    folder = opened.path / opened.evaluation_folder(result.name)
    failure = None
    try:
        result.write(opened)  # before printing, since a reader such as `head` may close the pipe
    except RunFileError as error:
        failure = error  # a read-only run can still be evaluated
    if as_json:
        print_json({"folder": str(folder), **result.scores.model_dump()})
    else:
        print_scores(opened, result.scores)
    if failure:
        raise failure
    if as_json:
        return
    if result.name is None:
        print_next_commands(opened.path)
        return
    name = shlex.quote(result.name)
    print_prose(f"next: its figures with {command_line('plot', opened.path)} --evaluation {name}")
    print_line(folder)
