"""`sinernn config`: write, check and explain configs."""

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.output import print_json, print_line, print_prose, terminal_width, wrapped
from sinernn.cli.parsing import Command, ConfigArgument, Group, Overrides
from sinernn.errors import ConfigError, Problem, UsageError, collect_problems

SCHEMA = "sinernn.schema.json"
"""Copy of the JSON Schema next to a config, which editors find on any machine."""

config_app = typer.Typer(cls=Group, help="Write, check and explain configs.", no_args_is_help=True)


@config_app.command("init", cls=Command)
def init_command(
    name: Annotated[str, typer.Argument(help="Name of a shipped config.")] = "default",
    to: Annotated[Path | None, typer.Option(help="File to write; default: NAME.yaml here.")] = None,
) -> None:
    """Write a shipped config to start from, and its JSON Schema for editors.

    Example: sinernn config init tutorial
    """
    from sinernn.config.load import shipped_configs

    shipped = shipped_configs()
    if name not in shipped:
        raise UsageError(f"{name}: not a shipped config; choose one of {', '.join(shipped)}")
    target = to or Path(f"{name}.yaml")
    schema, packaged = target.parent / SCHEMA, shipped[name].with_name("schema.json").read_bytes()
    text = shipped[name].read_bytes().replace(b"$schema=schema.json", f"$schema={SCHEMA}".encode())
    files = [(target, text), (schema, packaged)]
    try:
        found = schema.read_bytes() if schema.exists() else None
        _write_new(files if found is None else files[:1])
    except FileExistsError as error:
        message = f"{error.filename}: already exists; choose another file with --to"
        raise UsageError(message) from error
    except OSError as error:
        place = error.filename or target.parent  # a full disk has no file name
        raise UsageError(f"{place}: cannot be written: {error.strerror}") from error
    print_line(target)
    if found is None:
        print_line(schema)
    elif found.split() != packaged.split():  # line ends may differ
        remark = "kept, but it differs from this version's; replace it with: sinernn config schema"
        print_prose(f"{schema}: {remark} > {shlex.quote(str(schema))}", err=True)


def _write_new(files: Sequence[tuple[Path, bytes]]) -> None:
    """Write new files: all of them, or none."""
    with ExitStack() as undo:
        for path, content in files:
            with path.open("xb") as file:
                undo.callback(path.unlink)
                file.write(content)
        undo.pop_all()


@config_app.command("show", cls=Command)
def show_command(
    config: ConfigArgument,
    overrides: Overrides = None,
    sources: Annotated[bool, typer.Option("--sources", help="Show where values were set.")] = False,
) -> None:
    """Print a config with every default written out and every override applied.

    Example: sinernn config show configs/default.yaml seed=3 --sources
    """
    from sinernn.config import check, load_config, to_yaml

    settings = load_config(config, overrides or [])
    check(settings)
    for line in to_yaml(settings, sources=sources).splitlines():
        width = None if " # " in line else terminal_width()  # a comment ends with its line
        typer.echo(wrapped(line, width, indent=" " * 8))


@config_app.command("validate", cls=Command)
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


@config_app.command("schema", cls=Command)
def schema_command() -> None:
    """Print the JSON Schema of configs, for editors.

    Example: sinernn config schema > sinernn.schema.json
    """
    from sinernn.config import json_schema

    print_json(json_schema())
