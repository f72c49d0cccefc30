"""Files written whole or not at all, and read without running any code."""

import contextlib
import json
import os
import re
import secrets
import stat
from collections.abc import Generator, Mapping, Sequence
from contextvars import ContextVar
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open

from sinernn.errors import RunFileError, UsageError, printable

MAX_HEADER_BYTES = 1_000_000  # of a safetensors file; the largest network has some 30,000
MAX_FILE_NAME = 80  # bytes
_VERSION = r"\d{1,6}(?:\.\d{1,6}){1,2}"
FORMAT = 1  # of JSON files and checkpoints
_HEAD = 10_000  # bytes at the beginning of a file that contain its mark
DTYPES = {"F32": "float32", "F64": "float64"}
"""Types of stored arrays, by safetensors' names."""


_IS_FLUSHING = ContextVar("is_flushing", default=True)


@contextlib.contextmanager
def unflushed() -> Generator[None]:
    """Let writes in the body return before they are on the disk: `flush_tree` follows them."""
    token = _IS_FLUSHING.set(False)
    try:
        yield
    finally:
        _IS_FLUSHING.reset(token)


def flush_tree(folder: Path) -> None:
    """Flush all files in a folder to the disk, and its subfolders.

    Raises:
        RunFileError: A file cannot be flushed.
    """
    with reporting_errors(folder, "cannot be flushed to the disk"):
        # It takes less than rglob, which asks again for the kind of each file.
        for path, _, names in os.walk(folder, onerror=_raise):
            for name in names:
                _sync(Path(path, name), os.O_RDWR)
            sync_directory(Path(path))


def _raise(error: OSError) -> None:
    raise error


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return the content of all files in a folder and its subfolders, by path within it."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_tree(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files that `read_tree` has read elsewhere to a folder that is made for them.

    Raises:
        RunFileError: A file cannot be written.
    """
    for name, content in contents.items():
        path = folder / name
        with reporting_errors(path, "cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: temporary name, flush to the disk, rename.

    Raises:
        RunFileError: The file cannot be written; an earlier one is unchanged.
    """
    with reporting_errors(path, "cannot be written"), temporary_path(path) as temporary:
        _write_new(temporary, content)
        temporary.replace(path)
        sync_directory(path.parent)


def check_output(path: Path, runs: Sequence[Path] = (), *, otherwise: str = "use another") -> None:
    """Check that a file can be written where a user asks for it, outside the folders of runs.

    Raises:
        UsageError: It cannot.
    """
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; create it first")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is not a regular file; {otherwise}")
    for run in runs:
        if path.resolve().is_relative_to(run.resolve()):
            raise UsageError(f"{path}: is in the folder of a run; choose another place")


def require_replaceable(path: Path, mark: str, kind: str) -> None:
    """Check that a file of the user's is not replaced: only one that an earlier command wrote.

    Args:
        path: The file, which need not exist.
        mark: Text in its first bytes, by which it is known.
        kind: What it is called in the message, as in `an export`.

    Raises:
        UsageError: There is a file without the mark.
    """
    if not path.exists():
        return
    with reporting_errors(path, "cannot be read"), path.open("rb") as file:
        if mark.encode() not in file.read(_HEAD):
            raise UsageError(f"{path}: exists and is not {kind}; choose another name with --to")


def _write_new(path: Path, content: bytes) -> None:
    """Write a new file and flush it to the disk, by calls that tests can make fail one by one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # Windows has modes
    descriptor = os.open(path, flags, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]  # a nearly full disk writes only a part
        if _IS_FLUSHING.get():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: Path, *, most: int | None = None) -> bytes:
    """Read a regular file of at most `most` bytes; a pipe or a device might never end.

    Raises:
        RunFileError: It is missing, not a regular file, too large, or cannot be read.
    """
    require_file(path, most=most)
    with reporting_errors(path, "cannot be read"):
        return path.read_bytes()


def is_there(path: Path) -> bool:
    """Whether a file exists; unlike `Path.exists`, not false if the system cannot say.

    Raises:
        RunFileError: The operating system cannot say.
    """
    with reporting_errors(path, "cannot be read"):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def require_file(path: Path, *, most: int | None = None) -> None:
    """Check that there is a regular file of at most `most` bytes.

    Raises:
        RunFileError: There is none, or it is larger.
    """
    with reporting_errors(path, "cannot be read"):
        try:
            status = path.stat()
        except FileNotFoundError as error:
            raise RunFileError(f"{path}: is missing") from error
    if not stat.S_ISREG(status.st_mode):
        raise RunFileError(f"{path}: is a folder, a pipe or a device, not a file; remove it")
    if most is not None and status.st_size > most:
        raise damaged(path, f"it has {status.st_size} bytes, and at most {most} are allowed")


def damaged(path: Path, what: object) -> RunFileError:
    """Return the error of a file with wrong content."""
    why = printable(str(what), 300)
    return RunFileError(f"{path}: is damaged: {why}; restore an intact copy")


def require_format(path: Path, found: Any) -> None:
    """Check that a file has the format version that this package reads.

    Raises:
        RunFileError: It has another. The message names the version of sinernn that wrote the run.
    """
    if found != FORMAT:
        shown = printable(str(found), 20)
        needed = "" if (writer := _newer_writer(path)) is None else f" to {writer} or newer"
        message = f"has format {shown}, this sinernn reads {FORMAT}; upgrade it{needed}"
        raise RunFileError(f"{path}: {message}")


def _newer_writer(path: Path) -> str | None:
    """Return the newest version that trained or resumed the run of a file, if newer than this."""
    facts = next((f for each in path.parents[:3] if (f := each / "run.json").is_file()), None)
    text = ""
    with contextlib.suppress(RunFileError):
        text = "" if facts is None else read_bytes(facts, most=1_000_000).decode(errors="replace")
    known = re.findall(rf'"sinernn": "({_VERSION})', text)
    known += re.findall(rf'"versions\.sinernn": \[\s*"[^"]*",\s*"({_VERSION})', text)
    own = version("sinernn")
    newest = max([own, *known], key=lambda each: [int(n) for n in re.findall(r"\d+", each)[:3]])
    return None if newest == own else newest


def to_json(value: Any) -> str:
    """Return a value as JSON text; NaN and infinity, which JSON lacks, raise ValueError."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def safe_name(name: str) -> str:
    """Return a name as one of a file: letters, digits, `_.=+-`; a long one ends in a checksum.

    It is at most 80 bytes long, and no shell needs quotes around it if its letters are ASCII.
    """
    safe = re.sub(r"[^\w.=+-]+", "-", name).strip(".-")
    if len(safe.encode()) <= MAX_FILE_NAME:
        return safe or "run"
    cut = safe.encode()[: MAX_FILE_NAME - 9].decode(errors="ignore").rpartition("-")
    return f"{cut[0] or cut[2]}-{sha256(name.encode()).hexdigest()[:8]}"


ModelT = TypeVar("ModelT", bound=BaseModel)


def validated(path: Path, model: type[ModelT], facts: Any) -> ModelT:
    """Validate the content of a file.

    Raises:
        RunFileError: A value is missing, or has a wrong type or size.
    """
    try:
        return model.model_validate(facts)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, is_missing = ".".join(map(str, first["loc"])), first["type"] == "missing"
        got = "" if is_missing else f", got {printable(repr(first['input']), 60)}"
        raise damaged(path, f"{printable(where, 100)}: {first['msg']}{got}") from None


class ArraysFile:
    """A safetensors file of which only the header has been read."""

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            RunFileError: It is missing or damaged, or its header is too large.
        """
        self._path = path
        require_file(path)
        with self._damage(), path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise damaged(
                path, f"its header has {length} bytes, and at most {MAX_HEADER_BYTES} are allowed"
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
    """Return contiguous arrays: safetensors ignores strides when it writes."""
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


@contextlib.contextmanager
def temporary_path(path: Path) -> Generator[Path]:
    """A temporary path next to `path`, removed at the end unless the process is killed."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def is_temporary_of(path: Path, name: str) -> bool:
    """Whether a file is a temporary one of a killed write to a file of this name."""
    return re.fullmatch(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}", path.name) is not None


@contextlib.contextmanager
def reporting_errors(path: Path, what: str, way_out: str = "") -> Generator[None]:
    """Raise errors of the operating system as a `RunFileError`."""
    try:
        yield
    except OSError as error:
        raise RunFileError(f"{path}: {what}: {error.strerror or error}{way_out}") from error


def sync_directory(path: Path) -> None:
    """Flush a folder's entries to the disk."""
    # Windows cannot open a directory, and needs no sync of one.
    if os.name == "nt" or not _IS_FLUSHING.get():
        return
    _sync(path, os.O_RDONLY)
