"""Compiled kernels on disk, so that a second process starts at once.

A file is named by a hash of all that the machine code depends on (sources, types, versions,
processor), opens with a checksum of the rest, and is put in place by renaming, so that what is read
is whole and right, or is compiled again.
"""

import ctypes
import hashlib
import inspect
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm
from platformdirs import user_cache_path

from sinernn.model import functions
from sinernn.model.cells import CELLS, Cell

C_LIBRARY = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
"""What kernels may call: tanh, pow, memset, ..."""

HERE = Path(__file__).parent
CHECKSUM_BYTES = 32  # of sha256
UNUSED_DAYS = 30
"""Kernels that nobody has read for so long are removed: of edited sources, of old versions."""


@dataclass(frozen=True)
class MachineCode:
    """A compiled kernel."""

    entry: str
    """Name of the function."""

    externals: list[str]
    """Names of what it calls in the C library."""

    content: bytes
    """The object file."""

    def to_bytes(self) -> bytes:
        """Return a file: a checksum, a line of names, the object file."""
        names = json.dumps([self.entry, self.externals]).encode()
        content = names + b"\n" + self.content
        return hashlib.sha256(content).digest() + content

    @classmethod
    def from_bytes(cls, file: bytes) -> "MachineCode":
        """Return what `to_bytes` wrote."""
        names, content = file[CHECKSUM_BYTES:].split(b"\n", 1)
        entry, externals = json.loads(names)
        return cls(entry, externals, content)


@cache
def cache_folder() -> Path | None:
    """Return where kernels are kept; None where there is no folder to trust and to write to.

    SINERNN_CACHE_DIR if it is set; else the user's cache folder.
    """
    named = os.environ.get("SINERNN_CACHE_DIR")
    folder = Path(named) if named else user_cache_path("sinernn", appauthor=False)
    # A relative one, as of an account without a home, would depend on the working folder.
    return _usable(folder) if named or folder.is_absolute() else None


def _usable(folder: Path) -> Path | None:
    """Return the folder, made if need be; None if it is not our own or cannot be written to."""
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        if not _is_own(folder.stat()):
            return None
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def _is_own(status: os.stat_result) -> bool:
    """Whether nobody else can have written it: what is read is run."""
    if os.name != "posix":
        return True
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o022


def _remove_unused(folder: Path) -> None:
    """Make room; a process that uses a kernel has read it whole, and needs the file no more."""
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for file in folder.glob("*.kernel"):
        with suppress(OSError):  # another process was faster
            if file.stat().st_mtime < oldest:
                file.unlink()


@cache
def _environment() -> str:
    """Return what else machine code depends on: versions, numba's settings, the processor."""
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    with suppress(OSError):  # numba reads it, too
        settings.append(("file", Path(".numba_config.yaml").read_text(encoding="utf-8")))
    versions = [version(name) for name in ("numba", "llvmlite", "numpy")]
    features = llvm.get_host_cpu_features().flatten()
    processor = (llvm.get_process_triple(), llvm.get_host_cpu_name(), features)
    return repr((versions, sys.version, settings, processor))


def _hash_sources(folder: Path, cells: tuple[Cell, ...]) -> bytes:
    """Return a hash of the sources of a kernel, of its cells and of all here, as they are now."""
    files = {Path(inspect.getfile(part)) for part in (functions, Cell, *map(type, cells))}
    digest = hashlib.sha256()
    for source in sorted({*HERE.glob("*.py"), *folder.glob("*.py"), *files}):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.digest()


_hash_imported = cache(_hash_sources)  # from before they are compiled, whatever is edited later


class KernelFile:
    """Where a kernel is stored, or will be."""

    def __init__(self, name: str, sources: Path, cells: Iterable[str], types: str) -> None:
        """Find the file's name; it has none where there is no folder to keep it in.

        Args:
            name: Of the kernel.
            sources: Folder of its source.
            cells: Names of the cells that it computes.
            types: Of its arguments.
        """
        self._sources = sources, tuple(CELLS[cell] for cell in cells)
        self._imported, folder = _hash_imported(*self._sources), cache_folder()
        digest = hashlib.sha256(self._imported + repr((_environment(), types)).encode()).hexdigest()
        self.path = folder and folder / f"{name}-{digest[:32]}.kernel"

    def read(self) -> MachineCode | None:
        """Return what is stored; None where there is nothing, or it is damaged or a stranger's."""
        if self.path is None:
            return None
        try:
            with self.path.open("rb") as file:
                content = file.read() if _is_own(os.fstat(file.fileno())) else b""
            os.utime(self.path)  # it is in use: see `_remove_unused`
        except OSError:
            return None
        return MachineCode.from_bytes(content) if is_whole(content) else None

    def keep(self, code: MachineCode) -> None:
        """Store it; that it cannot be stored is no error, the kernel is there in memory."""
        temporary = None
        try:
            # edited since: which one is this?
            if self.path is None or _hash_sources(*self._sources) != self._imported:
                return
            with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as file:
                temporary = Path(file.name)
                file.write(code.to_bytes())
            temporary.replace(self.path)
            _remove_unused(self.path.parent)
        except OSError:
            pass
        finally:  # also when interrupted
            if temporary is not None:
                temporary.unlink(missing_ok=True)


def is_whole(content: bytes) -> bool:
    """Whether a kernel's file agrees with the checksum that it opens with."""
    checksum = hashlib.sha256(content[CHECKSUM_BYTES:]).digest()
    return content[:CHECKSUM_BYTES] == checksum
