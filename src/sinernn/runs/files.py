"""Files written whole or not at all, and read without running any code."""

import contextlib
import json
import os
import re
import secrets
import stat
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open

from sinernn.errors import RunFileError, printable

MAX_HEADER_BYTES = 1_000_000  # of a safetensors file; the largest network has some 30,000
FORMAT = 1  # of JSON files and checkpoints
DTYPES = {"F32": "float32", "F64": "float64"}
"""Types of the arrays that are kept, by safetensors' names."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: temporary name, flush to the disk, rename.

    Raises:
        RunFileError: The file cannot be written; what stood there before still does.
    """
    with reporting_errors(path, "cannot be written"), temporary_beside(path) as temporary:
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


def read_bytes(path: Path, *, most: int | None = None) -> bytes:
    """Read a file of at most so many bytes; a pipe or a device is none, and could have no end.

    Raises:
        RunFileError: It is missing, no file, or too large, or cannot be read.
    """
    require_file(path, most=most)
    with reporting_errors(path, "cannot be read"):
        return path.read_bytes()


def is_there(path: Path) -> bool:
    """Whether there is a file; if that is not known, an error is the only right answer.

    Raises:
        RunFileError: The operating system does not know.
    """
    with reporting_errors(path, "cannot be read"):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def require_file(path: Path, *, most: int | None = None) -> None:
    """Make sure that there is a file of at most so many bytes.

    Raises:
        RunFileError: There is none, or it is larger.
    """
    with reporting_errors(path, "cannot be read"):
        try:
            status = path.stat()
        except FileNotFoundError as error:
            raise RunFileError(f"{path}: is missing") from error
    if not stat.S_ISREG(status.st_mode):
        raise RunFileError(f"{path}: is no file, but a folder, a pipe or a device; remove it")
    if most is not None and status.st_size > most:
        raise damaged(path, f"it has {status.st_size} bytes, and {most} at most are right")


def damaged(path: Path, what: object) -> RunFileError:
    """Return the error of a file that holds what it should not."""
    why = printable(str(what), 300)
    return RunFileError(f"{path}: is damaged: {why}; put back a copy that is whole")


def require_format(path: Path, found: Any) -> None:
    """Check that a file has the format version that this package reads.

    Raises:
        RunFileError: It has another.
    """
    if found != FORMAT:
        version = printable(str(found), 20)
        raise RunFileError(f"{path}: has format {version}, this sinernn reads {FORMAT}; upgrade it")


def to_json(value: Any) -> str:
    """Return a value as JSON text; NaN and infinity, which JSON has not, raise ValueError."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


ModelT = TypeVar("ModelT", bound=BaseModel)


def validated(path: Path, model: type[ModelT], facts: Any) -> ModelT:
    """Return what a file says as a model.

    Raises:
        RunFileError: A value is missing, or of another type or size than the model's.
    """
    try:
        return model.model_validate(facts)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, is_missing = ".".join(map(str, first["loc"])), first["type"] == "missing"
        got = "" if is_missing else f", got {printable(repr(first['input']), 60)}"
        raise damaged(path, f"{printable(where, 100)}: {first['msg']}{got}") from None


class ArraysFile:
    """A safetensors file whose header has been read, and none of its arrays yet."""

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            RunFileError: It is missing or damaged, or has what no file of ours has.
        """
        self._path = path
        require_file(path)
        with self._damage(), path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise damaged(
                path, f"its header has {length} bytes, and {MAX_HEADER_BYTES} at most are right"
            )
        with self._damage(), self._opened() as file:
            self.metadata: dict[str, str] = file.metadata() or {}
            names: list[str] = list(file.keys())
            slices = {name: file.get_slice(name) for name in names}
            self.shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            self.dtypes = {name: DTYPES.get(part.get_dtype()) for name, part in slices.items()}

    def read(self) -> dict[str, np.ndarray]:
        """Read the arrays, which takes as much memory as the file has bytes.

        Raises:
            RunFileError: They are neither float32 nor float64, or cannot be read.
        """
        for name, dtype in self.dtypes.items():
            if dtype is None:
                raise damaged(self._path, f"{printable(name, 60)} is neither float32 nor float64")
        with self._damage(), self._opened() as file:
            return {name: file.get_tensor(name) for name in self.shapes}

    def _opened(self) -> Any:
        return cast(Any, safe_open)(self._path, framework="numpy")

    @contextlib.contextmanager
    def _damage(self) -> Generator[None]:
        with reporting_errors(self._path, "cannot be read"):
            try:
                yield
            except (SafetensorError, ValueError, TypeError) as error:
                raise damaged(self._path, error) from error


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
def reporting_errors(path: Path, what: str, way_out: str = "") -> Generator[None]:
    """Raise errors of the operating system as `RunFileError`s of one message."""
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
