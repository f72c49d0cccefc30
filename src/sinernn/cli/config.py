"""`sinernn config`: check and explain configs."""

from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.completion import complete_config
from sinernn.cli.init import init_command
from sinernn.cli.output import print_json, print_line, terminal_width, wrapped
from sinernn.cli.parsing import Command, ConfigArgument, Group, Overrides
from sinernn.errors import ConfigError, Problem, collect_problems

config_app = typer.Typer(cls=Group, help="Check and explain configs.", no_args_is_help=True)


config_app.command("init", cls=Command, hidden=True)(init_command)


@config_app.command("show", cls=Command)
def show_command(
    config: ConfigArgument,
    overrides: Overrides = None,
    sources: Annotated[bool, typer.Option("--sources", help="Show where values were set.")] = False,
) -> None:
    """Print a config with every default written out and every override applied.

    Example: sinernn config show configs/default.yaml seed=3 --sources
    """
    from sinernn.config import load_config, to_yaml
    from sinernn.preparation import with_stages

    settings = with_stages(load_config(config, overrides or []))
    for line in to_yaml(settings, sources=sources).splitlines():
        width = None if " # " in line else terminal_width()  # a comment ends with its line
        typer.echo(wrapped(line, width, indent=" " * 8))


@config_app.command("validate", cls=Command)
def validate_command(
    configs: Annotated[
        list[Path], typer.Argument(help="YAML files to check.", autocompletion=complete_config)
    ],
) -> None:
    """Check configs, and report every problem with its place.

    Example: sinernn config validate configs/default.yaml configs/tiny.yaml
    """
    from sinernn.config import load_config
    from sinernn.preparation import prepare

    problems: list[Problem] = []
    for config in configs:
        with collect_problems(problems):
            prepare(load_config(config))
            print_line(f"{config}: valid")
    if problems:
        raise ConfigError(problems)


@config_app.command("schema", cls=Command)
def schema_command() -> None:
    """Print the JSON Schema of configs, for editors.

    Example: sinernn config schema > sinernn.schema.json
    """
    from sinernn.config import json_schema

    print_json(json_schema())
