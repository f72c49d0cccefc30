"""`sinernn init`."""

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.output import print_line, print_prose
from sinernn.errors import UsageError

SCHEMA = "sinernn.schema.json"
"""Copy of the JSON Schema next to a config, which editors find on any machine."""


def init_command(
    name: Annotated[str, typer.Argument(help="Name of a shipped config.")] = "default",
    to: Annotated[Path | None, typer.Option(help="File to write; default: NAME.yaml here.")] = None,
) -> None:
    """Write a shipped config to start from, and its JSON Schema for editors.

    Example: sinernn init tutorial
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
