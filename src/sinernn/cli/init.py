"""`sinernn init`."""

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.completion import complete_source
from sinernn.cli.output import print_line, print_prose
from sinernn.cli.parsing import Overrides
from sinernn.errors import UsageError, command_line

SCHEMA = "sinernn.schema.json"
"""Copy of the JSON Schema next to a config, which editors find on any machine."""


def init_command(
    source: Annotated[
        str,
        typer.Argument(
            help="Name of a shipped config, or a data file.",
            metavar="NAME|FILE",
            autocompletion=complete_source,
        ),
    ] = "default",
    overrides: Overrides = None,
    to: Annotated[Path | None, typer.Option(help="File to write; default: NAME.yaml here.")] = None,
    inputs: Annotated[
        str, typer.Option(help="Columns to read and not to predict, as in valve,load.")
    ] = "",
) -> None:
    """Write a config to start from: a shipped one, or one that suits a data file.

    Settings of the signal, as in signal.time_step=0.5, are kept and decide how a file is read.

    Example: sinernn init sensor.csv
    """
    from sinernn.config.load import shipped_configs
    from sinernn.config.template import make_template

    shipped, data, findings = shipped_configs(), Path(source), list[str]()
    target = to or Path(f"{data.stem}.yaml")
    copies = list[tuple[Path, bytes]]()
    packaged = shipped["default"].with_name("schema.json").read_bytes()
    if source in shipped:
        if inputs or overrides:
            what = "--inputs" if inputs else " ".join(overrides or [])
            raise UsageError(f"{what}: applies to data files, not to the shipped {source}")
        text = shipped[source].read_bytes()
        text = text.replace(b"$schema=schema.json", f"$schema={SCHEMA}".encode())
        series = shipped[source].parent / "data" / f"{source}.csv"
        if series.exists():
            text = text.replace(b"path: data/", b"path: ")  # its copy is next to the config
            copies.append((target.parent / series.name, series.read_bytes()))
    elif data.exists():
        columns = tuple(name.strip() for name in inputs.split(",") if name.strip())
        template = make_template(
            data.absolute(),
            target.absolute(),
            inputs=columns,
            schema=SCHEMA,
            overrides=overrides or [],
        )
        text, findings = template.text.encode(), template.findings
    else:
        what = "no such file" if data.suffix else "not a shipped config"
        message = f"{what}; choose one of {', '.join(shipped)}, or a data file"
        raise UsageError(f"{source}: {message}")
    schema = target.parent / SCHEMA
    try:
        found = schema.read_bytes() if schema.exists() else None
        copies = [(path, new) for path, new in copies if not _holds(path, new)]
        files = [(target, text), *copies, *([(schema, packaged)] if found is None else [])]
        _write_new(files)
    except FileExistsError as error:
        message = f"{error.filename}: already exists; choose another file with --to"
        raise UsageError(message) from error
    except OSError as error:
        if not target.parent.is_dir():
            message = f"{target}: there is no folder {target.parent}; create it first"
            raise UsageError(message) from error
        place = error.filename or target.parent  # a full disk has no file name
        raise UsageError(f"{place}: cannot be written: {error.strerror}") from error
    for line in findings:
        print_prose(line)
    for path, _ in files:
        print_line(path)
    if found is not None and found.split() != packaged.split():  # line ends may differ
        remark = "kept, but it differs from this version's; replace it with: sinernn config schema"
        print_prose(f"{schema}: {remark} > {shlex.quote(str(schema))}", err=True)
    if findings:
        print_prose(f"next: {command_line('train', target)}")


def _holds(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


def _write_new(files: Sequence[tuple[Path, bytes]]) -> None:
    """Write new files: all of them, or none."""
    with ExitStack() as undo:
        for path, content in files:
            with path.open("xb") as file:
                undo.callback(path.unlink)
                file.write(content)
        undo.pop_all()
