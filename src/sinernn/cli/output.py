"""Lines and JSON on stdout."""

import json
import os
import sys
from contextlib import suppress

import typer

from sinernn.errors import printable


def print_line(text: object) -> None:
    """Print one line; file names in it may contain any character."""
    typer.echo(printable(str(text), 5000))


def print_json(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def silence_output(message: str) -> None:
    """Print a last message if possible, then discard all output: the flush at exit would fail."""
    with suppress(OSError):
        typer.echo(message, err=True)
    with suppress(OSError, ValueError):  # a stream that is not a file cannot be redirected
        devnull = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(devnull, stream.fileno())
