"""Typer extensions: argument types and `key=value` overrides."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer
from typer.core import TyperCommand, TyperGroup

from sinernn.cli.completion import complete_config, complete_run, complete_setting
from sinernn.errors import ConfigError, Place, Problem, UsageError, nearest

ConfigArgument = Annotated[
    Path, typer.Argument(help="YAML file of the experiment.", autocompletion=complete_config)
]
RunArgument = Annotated[
    str, typer.Argument(help="Run directory, its name, or latest.", autocompletion=complete_run)
]
RunOrSweepArgument = Annotated[
    str,
    typer.Argument(
        help="Run directory, its name, or latest; or a sweep's folder.",
        autocompletion=complete_run,
    ),
]
RUN_WORDS = typer.Argument(
    help="Run directories, their names, latest, folders of runs such as sweeps, quoted patterns.",
    metavar="RUN...",
    autocompletion=complete_run,
)
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="Settings to change, as in model.hidden_size=32.",
        metavar="KEY=VALUE",
        autocompletion=complete_setting,
    ),
]
RunsDir = Annotated[Path, typer.Option(help="Folder of the run directories.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Figures = Annotated[bool, typer.Option(help="Draw the overview figure at the end.")]
Jobs = Annotated[int | None, typer.Option(help="Runs at once; default: one for each core.", min=1)]
ExecutorName = Annotated[
    Literal["local", "ray"], typer.Option("--executor", help="Train here, or on a Ray cluster.")
]
RayAddress = Annotated[
    str | None,
    typer.Option(help="HOST:PORT of a Ray cluster's head; default: that which this machine is in."),
]

KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going/--no-keep-going", help="Train the others after a run failed or diverged."
    ),
]

Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track", metavar="TRACKER", help="Show it in tensorboard or mlflow, too; or in none."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]

SYNONYMS = {
    "train": ("fit", "learn", "run", "start"),
    "resume": ("continue", "restart"),
    "sweep": ("grid", "search", "tune"),
    "verify": ("check", "reproduce"),
    "eval": ("evaluate", "score", "test"),
    "export": ("convert", "save"),
    "predict": ("extrapolate", "forecast"),
    "plot": ("draw", "figure", "figures", "graph"),
    "report": ("html", "page"),
    "track": ("log",),
    "runs": ("list", "ls"),
    "compare": ("diff",),
    "rm": ("delete", "remove"),
    "doctor": ("diagnose", "info"),
    "config": ("settings",),
    "init": ("create", "initialise", "initialize", "new"),
    "show": ("print", "view"),
    "validate": ("check",),
}
"""Other words for commands."""


@contextmanager
def usage_errors(ctx: Any) -> Generator[None]:
    """Report wrong arguments as one message.

    Raises:
        UsageError: The arguments are wrong.
    """
    try:
        yield
    except Exception as error:  # typer's classes of wrong usage have no public names
        if not hasattr(error, "format_message"):
            raise
        message = cast("Any", error).format_message().rstrip(".")
        _, _, example = (ctx.command.help or "").partition("\n\nExample: ")
        as_in = f", as in {example}" if message.startswith("Missing") and example else ""
        raise UsageError(f"{message}{as_in}; see {ctx.command_path} -h") from error


@contextmanager
def unconverted(command: Any, ctx: Any) -> Generator[None]:
    """Keep arguments as text while a shell completes one: typer converts them with pydantic."""
    params: list[Any] = command.get_params(ctx) if ctx.resilient_parsing else []
    for param in params:
        param.process_value = _unchanged
    try:
        yield
    finally:
        for param in params:
            del param.process_value


def _unchanged(_ctx: Any, value: Any) -> Any:
    return value


class Group(TyperGroup):
    """Commands, with a suggestion for an unknown one: a synonym's command, or a typo's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the command.

        Raises:
            UsageError: They are wrong.
        """
        if not args:  # typer prints the help
            return super().parse_args(ctx, args)
        with usage_errors(ctx), unconverted(self, ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command.

        Raises:
            UsageError: There is none of this name.
        """
        word, known = args[0], [name for name, each in self.commands.items() if not each.hidden]
        if word in self.commands or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        meant = [name for name in known if word.lower() in SYNONYMS.get(name, ())]
        guess = next(iter(meant), None) or nearest(word, known, cutoff=0.7)
        advice = f"there are {', '.join(known)}"
        if guess:
            advice = f"did you mean {ctx.command_path} {guess}?"
        raise UsageError(f"{ctx.command_path} {word}: no such command; {advice}")


class Command(TyperCommand):
    """A command whose usage errors are one message, and whose help is wrapped, not cut."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments after the command.

        Raises:
            ConfigError: An option is a setting.
            UsageError: The arguments are wrong.
        """
        words = list(args)
        with usage_errors(ctx), unconverted(self, ctx):
            try:
                return super().parse_args(ctx, args)
            except Exception as error:
                option = getattr(error, "option_name", None)
                if option is not None and any(each.name == "overrides" for each in self.params):
                    _explain_setting(option, words)
                raise

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description; the example is a command, which is not wrapped."""
        self.help = (self.help or "").replace("\n\nExample:", "\n\n\b\nExample:")
        super().format_help_text(ctx, formatter)

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the first sentence, which the list of commands wraps."""
        return super().get_short_help_str(limit=1000)


def _explain_setting(option: str, words: list[str]) -> None:
    from sinernn.config import Config, setting_names
    from sinernn.config.overrides import override_for_option

    for at, word in enumerate(words):
        if word.split("=")[0] != option:
            continue
        if meant := override_for_option(words[at:], setting_names(Config)):
            message = f"not an option; write settings without dashes: {meant}"
            raise ConfigError([Problem(Place(word), (), message)])
