"""`sinernn config`: write, check and explain configs."""

from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.output import print_json, print_line
from sinernn.cli.parsing import Command, ConfigArgument, Overrides
from sinernn.errors import ConfigError, Problem, UsageError, collect_problems

config_app = typer.Typer(help="Write, check and explain configs.", no_args_is_help=True)


@config_app.command("init")
def init_command(
    name: Annotated[str, typer.Argument(help="Name of a shipped config.")] = "default",
    to: Annotated[Path | None, typer.Option(help="File to write; default: NAME.yaml here.")] = None,
) -> None:
    """Write a shipped config to start from.

    Example: sinernn config init tutorial
    """
    from sinernn.config.load import shipped_configs

    shipped = shipped_configs()
    if name not in shipped:
        raise UsageError(f"{name}: not a shipped config; choose one of {', '.join(shipped)}")
    target = to or Path(f"{name}.yaml")
    try:
        text = shipped[name].read_text(encoding="utf-8")
        # A shipped config refers to the schema next to it; a copy needs its full path.
        schema = shipped[name].with_name("schema.json").absolute().as_uri()
        with target.open("x", encoding="utf-8") as file:
            file.write(text.replace("$schema=schema.json", f"$schema={schema}", 1))
    except FileExistsError as error:
        raise UsageError(f"{target}: already exists; choose another file with --to") from error
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    print_line(target)


@config_app.command("show", cls=Command)
def show_command(
    config: ConfigArgument,
    overrides: Overrides = None,
    sources: Annotated[bool, typer.Option(help="Show where each value was set.")] = False,
) -> None:
    """Print a config with every default written out and every override applied.

    Example: sinernn config show configs/default.yaml seed=3 --sources
    """
    from sinernn.config import check, load_config, to_yaml

    settings = load_config(config, overrides or [])
    check(settings)
    typer.echo(to_yaml(settings, sources=sources), nl=False)


@config_app.command("validate")
def validate_command(
    configs: Annotated[list[Path], typer.Argument(help="YAML files to check.")],
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


@config_app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of configs, for editors.

    Example: sinernn config schema > sinernn.schema.json
    """
    from sinernn.config import json_schema

    print_json(json_schema())
