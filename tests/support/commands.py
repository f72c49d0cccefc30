"""Commands that tests run, and what these leave behind."""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(sys.executable).with_name("sinernn")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


def folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """A folder for which no disk is waited, if there is memory to mount: a kill loses none of it."""
    shared = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None)
