"""Store compiled kernels on disk, so that later processes need not compile them.

A file's name contains a hash of everything the machine code depends on (sources, types, versions,
processor). The file starts with a checksum of the rest and is created by renaming. A file that is
incomplete or damaged is therefore detected, and its kernel is compiled again.
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

from platformdirs import user_cache_path

from sinernn.model import functions
from sinernn.model.cells import CELLS, Cell

C_LIBRARY = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
"""The library of the functions that kernels can call: tanh, pow, memset, ..."""

HERE = Path(__file__).parent
CHECKSUM_BYTES = 32  # of sha256
UNUSED_DAYS = 30
"""Kernels unused for this long are removed, such as those of edited sources and old versions."""


@dataclass(frozen=True)
class MachineCode:
    """A compiled kernel."""

    entry: str
    """Name of the function."""

    externals: list[str]
    """Names of the C library functions that it calls."""

    content: bytes
    """The object file."""

    def to_bytes(self) -> bytes:
        """Return a file's content: a checksum, a line of names, the object file."""
        names = json.dumps([self.entry, self.externals]).encode()
        content = names + b"\n" + self.content
        return hashlib.sha256(content).digest() + content

    @classmethod
    def from_bytes(cls, file: bytes) -> "MachineCode":
        """Parse the content that `to_bytes` returned."""
        names, content = file[CHECKSUM_BYTES:].split(b"\n", 1)
        entry, externals = json.loads(names)
        return cls(entry, externals, content)


@cache
def cache_folder() -> Path | None:
    """Return the folder of stored kernels; None if it is not trusted or not writable.

    It is SINERNN_CACHE_DIR if this is set, otherwise the user's cache folder.
    """
    named = os.environ.get("SINERNN_CACHE_DIR")
    folder = Path(named) if named else user_cache_path("sinernn", appauthor=False)
    # A relative path (of an account without a home directory) would depend on the working folder.
    return _usable(folder) if named or folder.is_absolute() else None


def _usable(folder: Path) -> Path | None:
    """Return the folder, created if necessary; None if it is not our own or not writable."""
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        if not _is_own(folder.stat()):
            return None
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def _is_own(status: os.stat_result) -> bool:
    """Return whether no other user can have written it: stored code is executed."""
    if os.name != "posix":
        return True
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o022


def _remove_unused(folder: Path) -> None:
    """Delete unused kernels; a process that uses a kernel no longer needs its file."""
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for file in folder.glob("*.kernel"):
        with suppress(OSError):  # another process removed it first
            if file.stat().st_mtime < oldest:
                file.unlink()


@cache
def _environment() -> str:
    """Return the environment of the machine code: versions, numba's settings, processor."""
    import llvmlite.binding as llvm  # 40 MB: not for commands that only draw

    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    with suppress(OSError):  # numba also reads this file
        settings.append(("file", Path(".numba_config.yaml").read_text(encoding="utf-8")))
    versions = [version(name) for name in ("numba", "llvmlite", "numpy")]
    features = llvm.get_host_cpu_features().flatten()
    processor = (llvm.get_process_triple(), llvm.get_host_cpu_name(), features)
    return repr((versions, sys.version, settings, processor))


def _hash_sources(folder: Path, cells: tuple[Cell, ...]) -> bytes:
    """Return a hash of the present sources of a kernel, of its cells and of this package."""
    files = {Path(inspect.getfile(part)) for part in (functions, Cell, *map(type, cells))}
    digest = hashlib.sha256()
    for source in sorted({*HERE.glob("*.py"), *folder.glob("*.py"), *files}):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.digest()


_hash_imported = cache(_hash_sources)  # taken before compilation, unaffected by later edits


class KernelFile:
    """The file of a stored kernel."""

    def __init__(self, name: str, sources: Path, cells: Iterable[str], types: str) -> None:
        """Compute the file's path; it is None without a cache folder.

        Args:
            name: Name of the kernel.
            sources: Folder of its source.
            cells: Names of the cells that it computes.
            types: Types of its arguments.
        """
        self._sources = sources, tuple(CELLS[cell] for cell in cells)
        self._imported, folder = _hash_imported(*self._sources), cache_folder()
        digest = hashlib.sha256(self._imported + repr((_environment(), types)).encode()).hexdigest()
        self.path = folder and folder / f"{name}-{digest[:32]}.kernel"

    def read(self) -> MachineCode | None:
        """Return the stored kernel; None if the file is missing, damaged or not our own."""
        if self.path is None:
            return None
        try:
            with self.path.open("rb") as file:
                content = file.read() if _is_own(os.fstat(file.fileno())) else b""
            os.utime(self.path)  # marks it as used: see `_remove_unused`
        except OSError:
            return None
        return MachineCode.from_bytes(content) if is_whole(content) else None

    def keep(self, code: MachineCode) -> None:
        """Store a kernel; failure is ignored, because the kernel is also in memory."""
        temporary = None
        try:
            # If the sources were edited meanwhile, it is unknown which version was compiled.
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
    """Return whether the content of a kernel's file matches its checksum."""
    checksum = hashlib.sha256(content[CHECKSUM_BYTES:]).digest()
    return content[:CHECKSUM_BYTES] == checksum
