"""Lines, JSON and CSV for stdout; lines of prose are wrapped on a terminal."""

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from sinernn.display import Table, wrapped
from sinernn.errors import UsageError, printable


def print_line(text: object) -> None:
    """Print one line; file names in it may contain any character."""
    typer.echo(printable(str(text), 5000))


def print_prose(text: str, *, err: bool = False) -> None:
    """Print one line, wrapped where it goes to a terminal."""
    typer.echo(wrapped(printable(text, 5000), terminal_width(err=err)), err=err)


def print_parts(parts: Iterable[str | Table]) -> None:
    """Print lines and tables; a blank line follows a table."""
    for part in parts:
        if isinstance(part, str):
            print_prose(part)
        else:
            typer.echo(f"{part}\n")


def terminal_width(*, err: bool = False) -> int | None:
    """Return the columns of the terminal; None if programs may read the output."""
    stream = sys.stderr if err else sys.stdout
    if stream is None or not stream.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        return None
    from rich.console import Console

    return Console(stderr=err).width


def print_json(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def open_file(path: Path) -> None:
    """Open a figure in the system's viewer, a page in its browser.

    Raises:
        UsageError: There is none.
    """
    if path.suffix.lower() in (".html", ".htm"):  # which an editor may be the viewer of
        import webbrowser

        is_open = webbrowser.open(path.resolve().as_uri())
    else:
        is_open = typer.launch(str(path.resolve())) == 0
    if not is_open:
        raise UsageError(f"{path}: written, but this system has no viewer to open it with")


def csv_text(columns: Mapping[str, Sequence[Any]], *, header: bool = True) -> str:
    """Return a table as CSV; a missing value is an empty cell, floats are exact when read."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow("" if value != value else value for value in row)
    return text.getvalue()


def silence_output(message: str) -> None:
    """Print a last message if possible, then discard all output: the flush at exit would fail."""
    with suppress(OSError):
        typer.echo(message, err=True)
    with suppress(OSError, ValueError):  # a stream that is not a file cannot be redirected
        devnull = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(devnull, stream.fileno())
