"""The command line. A command parses its arguments, calls one function and prints the result.

Each command is a function in a file of this package, registered in `COMMANDS`. Heavy imports wait
inside it, so that `--help` is instant.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from sinernn.cli.compare import compare_command
from sinernn.cli.config import config_app
from sinernn.cli.doctor import doctor_command
from sinernn.cli.eval import eval_command
from sinernn.cli.export import export_command
from sinernn.cli.init import init_command
from sinernn.cli.output import print_prose, silence_output
from sinernn.cli.parsing import Command, Group
from sinernn.cli.plot import plot_command
from sinernn.cli.predict import predict_command
from sinernn.cli.resume import resume_command
from sinernn.cli.rm import rm_command
from sinernn.cli.runs import runs_command
from sinernn.cli.sweep import sweep_command
from sinernn.cli.track import track_command
from sinernn.cli.train import train_command
from sinernn.cli.verify import verify_command
from sinernn.errors import ConfigError, SinernnError, printable

COMMANDS: dict[str, Callable[..., None]] = {
    "init": init_command,
    "train": train_command,
    "sweep": sweep_command,
    "resume": resume_command,
    "verify": verify_command,
    "eval": eval_command,
    "plot": plot_command,
    "predict": predict_command,
    "export": export_command,
    "track": track_command,
    "runs": runs_command,
    "compare": compare_command,
    "rm": rm_command,
    "doctor": doctor_command,
}
"""Every command, by its name, in the order of `--help`."""

app = typer.Typer(
    cls=Group,
    help="Train and evaluate small recurrent networks on time series: one YAML file per "
    "experiment.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _function in COMMANDS.items():
    app.command(_name, cls=Command)(_function)
app.add_typer(config_app, name="config")


@app.callback(invoke_without_command=True)
def global_options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Handle options that precede the command."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"sinernn {installed('sinernn')}")
        raise typer.Exit


def main() -> None:
    """Run the command line; any error that a user can cause is one message and an exit code."""
    # Pydantic would read the metadata of every installed package to look for plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        app(prog_name="sinernn")
    except SinernnError as error:
        with suppress(OSError):  # without a stderr, the exit code still reports the failure
            if isinstance(error, ConfigError):
                from sinernn.cli.stderr import print_problems

                print_problems(error.problems)
            else:
                print_prose(str(error), err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # stdout or stderr: files of a run raise RunFileError
        place = "the output" if error.filename is None else printable(str(error.filename), 300)
        if isinstance(error, FileNotFoundError) and error.filename is None:
            place = "the working directory"  # the only thing that can be missing without a name
        silence_output(f"{place}: {error.strerror or error}; everything saved so far is kept")
        sys.exit(1)
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # Typer and Rich end the process
            silence_output("the output: Broken pipe; everything saved so far is kept")
            sys.exit(130)
        if ended.code == 130:  # Typer's exit code for Ctrl-C
            typer.echo("interrupted", err=True)
        raise
