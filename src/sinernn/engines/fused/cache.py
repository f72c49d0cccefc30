# pyright: basic, reportAttributeAccessIssue=false
# It stands on parts of numba that are typed nowhere; they are why numba's minor version is pinned.
"""Compiled kernels on disk, so that a second process starts at once.

Numba's own cache keys a file by the source of one function: it misses an edit in another module,
raises on a damaged file, and names data files by a number that two processes can give out twice.
Here a kernel's file is named by a hash of all that it depends on (sources, signature, versions,
processor), opens with a checksum of the rest, and is put in place by renaming, so that what is read
is whole and right, or is compiled again.
"""

import hashlib
import inspect
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import njit
from numba.core import compiler, config
from numba.core.caching import _Cache
from numba.core.registry import cpu_target
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps
from platformdirs import user_cache_path

from sinernn.engines.fused.views import SUMS, VECTOR_BYTES
from sinernn.model import functions
from sinernn.model.cells import CELLS

HERE = Path(__file__).parent
CHECKSUM_BYTES = 32  # of sha256
UNUSED_DAYS = 30
"""Kernels that nobody has read for so long are removed: of edited sources, of old versions."""

# What of numba's settings changes the code that it makes.
SETTINGS = (
    "OPT",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "DEBUGINFO_DEFAULT",
    "BOUNDSCHECK",
    "CPU_NAME",
    "CPU_FEATURES",
    "ENABLE_AVX",
    "DISABLE_INTEL_SVML",
    "USING_SVML",
    "EXTEND_VARIABLE_LIFETIMES",
    "ENABLE_PROFILING",
    "LLVM_REFPRUNE_PASS",
    "LLVM_REFPRUNE_FLAGS",
)


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
    """Whether nobody else can have written it: a kernel is a pickle, which runs when it is read."""
    if os.name != "posix":
        return True
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o022


def _read(path: Path) -> bytes | None:
    """Return a kernel's file; None if it cannot be read or is not our own."""
    try:
        with path.open("rb") as file:
            return file.read() if _is_own(os.fstat(file.fileno())) else None
    except OSError:
        return None


def _remove_unused(folder: Path) -> None:
    """Make room; a process that uses a kernel has read it whole, and needs the file no more."""
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for file in folder.glob("*.kernel"):
        with suppress(OSError):  # another process was faster
            if file.stat().st_mtime < oldest:
                file.unlink()


def _hash_sources(sources: Path) -> bytes:
    """Return a hash of a kernel's folder, of this one and of all cells, as they are now."""
    digest = hashlib.sha256()
    cells = {Path(inspect.getfile(part)) for part in (functions, *map(type, CELLS.values()))}
    for source in sorted({*HERE.glob("*.py"), *sources.glob("*.py"), *cells}):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.digest()


def _fingerprint(sources: bytes) -> bytes:
    """Return a hash of what a kernel depends on: sources, versions, settings, processor."""
    versions = (numba.__version__, llvmlite.__version__, np.__version__, sys.version)
    settings = [(name, getattr(config, name, None)) for name in SETTINGS]
    settings.append(("OPT=max", getattr(config.OPT, "is_opt_max", False)))  # prints as 3
    # Triple, name and features of the processor; and what `views` made of them.
    processor = (cpu_target.target_context.codegen().magic_tuple(), VECTOR_BYTES, SUMS)
    return hashlib.sha256(sources + repr((versions, settings, processor)).encode()).digest()


def is_whole(content: bytes) -> bool:
    """Whether a kernel's file agrees with the checksum that it opens with."""
    checksum = hashlib.sha256(content[CHECKSUM_BYTES:]).digest()
    return content[:CHECKSUM_BYTES] == checksum


class KernelCache(_Cache):
    """Numba's interface to a cache, over one file a kernel and signature."""

    def __init__(self, name: str, sources: Path) -> None:
        self.name, self.sources, self.enabled = name, sources, True
        # Of what is being imported now, whatever is edited before something is compiled.
        self.imported = _hash_sources(sources)

    @property
    def cache_path(self) -> str:
        """See `_Cache`."""
        return str(cache_folder())

    def file(self, arguments: Any) -> Path | None:
        """Return where the kernel for a signature, or a tuple of argument types, is or will be."""
        arguments = tuple(getattr(arguments, "args", arguments))
        folder = cache_folder()
        if folder is None or not self.enabled:
            return None
        digest = hashlib.sha256(_fingerprint(self.imported) + repr(arguments).encode()).hexdigest()
        return folder / f"{self.name}-{digest[:32]}.kernel"

    def load_overload(self, sig, target_context):
        """See `_Cache`; None where there is no whole kernel, so that one is compiled."""
        # What a stored kernel needs. Numba's own cache calls target_context.refresh(), which loads
        # all that could be compiled (0.2 s, scipy among it); a compilation calls it for itself.
        rtsys.initialize(target_context)
        path = self.file(sig)
        content = path and _read(path)
        # The checksum is against damage; against malice there is whose file it is.
        if not path or not content or not is_whole(content):
            return None
        with suppress(OSError):
            os.utime(path)  # it is in use: see `_remove_unused`
        try:
            stored = pickle.loads(content[CHECKSUM_BYTES:])
            return compiler.CompileResult._rebuild(target_context, *stored)
        except Exception:  # whatever is wrong with a stored kernel, compiling mends it
            return None

    def save_overload(self, sig, data):
        """See `_Cache`; that it cannot be kept is no error, the kernel is there in memory."""
        path = self.file(sig)
        if path is None:
            return
        content = dumps(data._reduce())
        temporary = None
        try:
            if _hash_sources(self.sources) != self.imported:  # edited since: which one is this?
                return
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                temporary = Path(file.name)
                file.write(hashlib.sha256(content).digest() + content)
            temporary.replace(path)
            _remove_unused(path.parent)
        except OSError:
            pass
        finally:  # also when interrupted
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def enable(self):
        """See `_Cache`."""
        self.enabled = True

    def disable(self):
        """See `_Cache`."""
        self.enabled = False

    def flush(self):
        """See `_Cache`; nothing to do, since a file is never used again under another key."""


_OPTIONS: dict[str, Any] = {
    # contract, reassoc, arcp: faster sums and products. Never nnan or ninf: a NaN must show.
    "fastmath": {"contract", "reassoc", "arcp"},
    "error_model": "numpy",
    # Kernels allocate nothing, and so need no code that counts who holds an array: less to compile.
    "_nrt": False,
}


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only kernels call; it is stored as a part of them."""
    # Unwrap: the test suite's type checker wraps every function, which numba could not compile.
    return njit(inline="always", **_OPTIONS)(inspect.unwrap(function))


def subroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only kernels call, once for all of them; each stores it."""
    return njit(nogil=True, **_OPTIONS)(inspect.unwrap(function))


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel that lets other threads run meanwhile, and keep it on disk.

    All that it calls stands in its own folder, or in this one.
    """
    function = inspect.unwrap(function)
    dispatcher = njit(nogil=True, **_OPTIONS)(function)
    if not config.DISABLE_JIT:
        sources = Path(function.__code__.co_filename).parent
        dispatcher._cache = KernelCache(function.__name__, sources)
    return dispatcher


def is_compiled(dispatcher: Any, *arguments: Any) -> bool:
    """Whether a kernel is ready for these arguments: in memory, or a whole file on disk."""
    if config.DISABLE_JIT:
        return True
    types = tuple(numba.typeof(argument) for argument in arguments)
    if types in dispatcher.overloads:
        return True
    path = dispatcher._cache.file(types)
    content = path and _read(path)
    return bool(content) and is_whole(content)
