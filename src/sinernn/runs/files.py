"""Files written whole or not at all, and read without running any code."""

import contextlib
import json
import os
import re
import secrets
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError, safe_open

from sinernn.errors import RunFileError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: temporary name, flush to the disk, rename.

    Raises:
        RunFileError: The file cannot be written; what stood there before still does.
    """
    with telling(path, "cannot be written"), temporary_beside(path) as temporary:
        _write_new(temporary, content)
        temporary.replace(path)
        sync_directory(path.parent)


def _write_new(path: Path, content: bytes) -> None:
    """Write a new file and flush it to the disk, by calls that tests can let fail one by one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # Windows has modes
    descriptor = os.open(path, flags, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]  # a disk that is nearly full takes a part
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        RunFileError: It cannot be read.
    """
    with telling(path, "cannot be read"):
        return path.read_bytes()


def is_there(path: Path) -> bool:
    """Whether there is a file; where nobody can tell, no answer would be right.

    Raises:
        RunFileError: The operating system cannot tell.
    """
    with telling(path, "cannot be read"):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def to_json(value: Any) -> str:
    """Return a value as JSON text; NaN and infinity, which JSON has not, raise ValueError."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read the arrays of a safetensors file and its metadata.

    Raises:
        RunFileError: It is missing or damaged.
    """
    if not path.is_file():
        raise RunFileError(f"{path}: is missing")
    try:
        with cast(Any, safe_open)(path, framework="numpy") as file:
            names: list[str] = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise RunFileError(f"{path}: is damaged: {error}") from error


def contiguous(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays as safetensors needs them: it writes memory as it lies, despite strides."""
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


@contextlib.contextmanager
def temporary_beside(path: Path) -> Generator[Path]:
    """A name beside `path`, under which nothing is left behind unless the process is killed."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def is_temporary_of(path: Path, name: str) -> bool:
    """Whether a file is what a write of a file of this name has left behind."""
    return re.fullmatch(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}", path.name) is not None


@contextlib.contextmanager
def telling(path: Path, what: str, way_out: str = "") -> Generator[None]:
    """Tell of an error of the operating system as one message."""
    try:
        yield
    except OSError as error:
        raise RunFileError(f"{path}: {what}: {error.strerror or error}{way_out}") from error


def sync_directory(path: Path) -> None:
    """Flush a folder's entries to the disk."""
    if os.name == "nt":  # Windows cannot open a directory, and needs no sync of one
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
