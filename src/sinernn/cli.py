"""The command line: a command parses, calls one function, and prints what it returned.

What is heavy to import waits inside the commands, so that `--help` is instant.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sinernn.commands import Commands, TakesOverrides
from sinernn.errors import (
    ConfigError,
    Problem,
    RunFileError,
    SinernnError,
    UsageError,
    printable,
)

if TYPE_CHECKING:
    from sinernn.config import Config
    from sinernn.observers import Observer, Summary

app = typer.Typer(
    cls=Commands,
    help="Train, run and honestly judge small recurrent networks: one YAML file an experiment.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Write, check and explain configs.", no_args_is_help=True)
app.add_typer(config_app, name="config")


class FigureFormat(StrEnum):
    """File types of figures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


ConfigArgument = Annotated[Path, typer.Argument(help="YAML file of the experiment.")]
RunArgument = Annotated[str, typer.Argument(help="Run directory, its name, or latest.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="Settings to change, as in model.hidden_size=32.", metavar="[KEY=VALUE]..."
    ),
]
RunsDir = Annotated[Path, typer.Option(help="Folder of the run directories.")]
Quiet = Annotated[bool, typer.Option(help="Show no progress.")]
Figures = Annotated[bool, typer.Option(help="Draw the overview at the end.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]


@app.callback(invoke_without_command=True)
def sinernn(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Take what stands before a command."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"sinernn {installed('sinernn')}")
        raise typer.Exit


@app.command(cls=TakesOverrides)
def train(
    config: ConfigArgument,
    overrides: Overrides = None,
    start_from: Annotated[
        str | None, typer.Option("--from", help="Run whose best network to begin with.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    figures: Figures = True,
    as_json: AsJson = False,
) -> None:
    """Train a network, evaluate it and draw it, in a new run directory.

    Example: sinernn train configs/default.yaml model.hidden_size=32
    """
    from sinernn import experiment
    from sinernn.config import load_config

    settings = load_config(config, overrides or [])
    with _progress(settings, quiet) as observers:
        summary = experiment.train(
            settings,
            runs_dir=runs_dir,
            start_from=start_from,
            figures=figures,
            observers=observers,
        )
    _print_summary(summary, as_json)


@app.command(cls=TakesOverrides)
def resume(
    run: RunArgument,
    overrides: Overrides = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    figures: Figures = True,
    as_json: AsJson = False,
) -> None:
    """Go on with a run from its last checkpoint, as if nothing had stopped it.

    Example: sinernn resume latest training.steps=40000
    """
    from sinernn import experiment
    from sinernn.config import load_config
    from sinernn.runs.directory import open_run

    opened = open_run(run, runs_dir=runs_dir)
    with _progress(load_config(opened.config_path, overrides or []), quiet) as observers:
        summary = experiment.resume(opened, overrides or [], figures=figures, observers=observers)
    _print_summary(summary, as_json)


@app.command()
def verify(
    run: RunArgument = "latest",
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a finished run's config again, and tell whether the same bits come out.

    Example: sinernn verify latest
    """
    from sinernn.config import load_config
    from sinernn.reporting import print_verification
    from sinernn.runs.directory import open_run
    from sinernn.verification import verify

    opened = open_run(run, runs_dir=runs_dir)
    with _progress(load_config(opened.config_path), quiet) as observers:
        verification = verify(opened, observers=observers)
    if as_json:
        _print_json(verification.report())
    else:
        print_verification(verification)
    if not verification.agrees:
        raise typer.Exit(1)


@contextmanager
def _progress(config: "Config", quiet: bool) -> "Generator[list[Observer]]":
    """Show the progress of training on stderr."""
    from sinernn.reporting import TrainingProgress

    if quiet:
        yield []
        return
    stages = config.refine.stages if config.refine else ()
    with TrainingProgress(config.training.steps, [each.iterations for each in stages]) as shown:
        yield [shown]


def _print_summary(summary: "Summary", as_json: bool) -> None:
    """Print what a person, or a program, wants to know of a finished training."""
    from sinernn.reporting import print_scores

    paths = [str(path) for path in summary.figures]
    if as_json:
        run = {"run": str(summary.run.path), **summary.facts.model_dump()}
        _print_json({**run, "scores": summary.scores.model_dump(), "figures": paths})
        return
    print_scores(summary.scores)
    for path in paths:
        _say(path)
    facts = summary.facts
    refined = facts.refine_iterations
    done = f"{facts.updates} updates" + (f" and {refined} iterations" if refined else "")
    typer.echo(f"{done} in {facts.seconds} s on {facts.device}")
    _say(summary.run.path)


@app.command(name="eval", cls=TakesOverrides)
def evaluate(
    run: RunArgument,
    overrides: Overrides = None,
    data: Annotated[
        Path | None, typer.Option(help="Evaluate on this config's signal, split and evaluation.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Evaluate a run's best network, one step ahead and in closed loop.

    Example: sinernn eval runs/latest evaluation.horizon=500
    """
    from sinernn import evaluating
    from sinernn.reporting import compiling, print_scores
    from sinernn.runs.directory import open_run

    opened = open_run(run, runs_dir=runs_dir)
    result = evaluating.compute_evaluation(opened, overrides or [], data=data, on_compile=compiling)
    failure = None
    try:
        result.write(opened)  # first, since a reader such as `head` may leave before the end
    except RunFileError as error:
        failure = error  # a run that cannot be written to can be evaluated all the same
    if as_json:
        _print_json(result.scores.model_dump())
    else:
        print_scores(result.scores)
    if failure:
        raise failure


@app.command()
def plot(
    run: RunArgument = "latest",
    figure: Annotated[list[str] | None, typer.Option(help="Only this figure; repeatable.")] = None,
    format: Annotated[FigureFormat, typer.Option(help="File type.")] = FigureFormat.png,
    only_list: Annotated[
        bool, typer.Option("--list", help="Tell what figures there are, and draw none.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Open the first file in the system's viewer.")
    ] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Draw a run's figures from its files.

    Example: sinernn plot runs/latest --format svg
    """
    from sinernn import plot_run
    from sinernn.runs.directory import open_run

    if only_list:
        from sinernn.plotting import figure_descriptions

        figures = figure_descriptions()
        if as_json:
            _print_json({"figures": figures})
        for name, what in ({} if as_json else figures).items():
            typer.echo(f"{name:12} {what}")
        return
    opened = open_run(run, runs_dir=runs_dir)
    paths = plot_run.plot(opened, format=format.value, names=figure)
    if as_json:
        _print_json({"figures": [str(path) for path in paths]})
    else:
        for path in paths:
            _say(path)
    if show and typer.launch(str(paths[0].resolve())) != 0:
        raise UsageError(f"{paths[0]}: is written, but this system has no viewer to open it with")


@config_app.command()
def init(
    name: Annotated[str, typer.Argument(help="Which shipped config.")] = "default",
    to: Annotated[Path | None, typer.Option(help="File to write; default: NAME.yaml here.")] = None,
) -> None:
    """Write a shipped config to start from.

    Example: sinernn config init tutorial
    """
    shipped = {path.stem: path for path in sorted(_shipped_configs().glob("*.yaml"))}
    if name not in shipped:
        raise UsageError(f"{name}: no shipped config has this name; there are {', '.join(shipped)}")
    target = to or Path(f"{name}.yaml")
    try:
        text = shipped[name].read_text(encoding="utf-8")
        # A shipped config names the schema beside it; away from there it needs the whole path.
        schema = (_shipped_configs() / "schema.json").absolute().as_uri()
        with target.open("x", encoding="utf-8") as file:
            file.write(text.replace("$schema=schema.json", f"$schema={schema}", 1))
    except FileExistsError as error:
        raise UsageError(f"{target}: is there already; choose another with --to") from error
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    _say(target)


@config_app.command(cls=TakesOverrides)
def show(
    config: ConfigArgument,
    overrides: Overrides = None,
    sources: Annotated[bool, typer.Option(help="Tell where each value was written.")] = False,
) -> None:
    """Print a config with every default written out and every override applied.

    Example: sinernn config show configs/default.yaml seed=3 --sources
    """
    from sinernn.config import check, load_config, to_yaml

    settings = load_config(config, overrides or [])
    check(settings)
    typer.echo(to_yaml(settings, sources=sources), nl=False)


@config_app.command()
def validate(
    configs: Annotated[list[Path], typer.Argument(help="YAML files to check.")],
) -> None:
    """Check configs; every problem is told with its place.

    Example: sinernn config validate configs/default.yaml configs/tiny.yaml
    """
    from sinernn.config import load_config
    from sinernn.preparation import prepare

    problems: list[Problem] = []
    for config in configs:
        try:
            prepare(load_config(config))
            _say(f"{config}: valid")
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of configs, for editors.

    Example: sinernn config schema > sinernn.schema.json
    """
    from sinernn.config import json_schema

    _print_json(json_schema())


def main() -> None:
    """Run the command line; anything a user can cause ends in one message and an exit code."""
    try:
        app(prog_name="sinernn")
    except SinernnError as error:
        with suppress(OSError):  # where nothing can be told, the exit code still tells
            if isinstance(error, ConfigError):
                from sinernn.reporting import show_problems

                show_problems(error.problems)
            else:
                typer.echo(error, err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # files of a run have messages of their own: this is the output
        place = "the output" if error.filename is None else printable(str(error.filename), 300)
        if isinstance(error, FileNotFoundError) and error.filename is None:
            place = "the working folder"  # no other question names no file
        _end_output(f"{place}: {error.strerror or error}; what was saved is still there")
        sys.exit(1)
    except SystemExit as ended:
        if ended.code == 130:  # Typer's answer to Ctrl-C
            typer.echo("interrupted", err=True)
        raise


def _end_output(message: str) -> None:
    """Print a last message if that can be done, and nothing more: the flush at exit would fail."""
    with suppress(OSError):
        typer.echo(message, err=True)
    with suppress(OSError, ValueError):  # an output of another kind than a file is not ours to end
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())


def _shipped_configs() -> Path:
    """Return the folder of shipped configs: package data, or beside `src` in a checkout."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def _say(what: object) -> None:
    """Print one line, whose file names may hold any character."""
    typer.echo(printable(str(what), 5000))


def _print_json(value: object) -> None:
    import json

    typer.echo(json.dumps(value, indent=2, allow_nan=False))
