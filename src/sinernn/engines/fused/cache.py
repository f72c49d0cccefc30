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
from collections.abc import Callable
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

HERE = Path(__file__).parent
CHECKSUM_BYTES = 32  # of sha256


@cache
def cache_folder() -> Path | None:
    """Return where kernels are kept; None where nothing can be written.

    SINERNN_CACHE_DIR if it is set; else beside the package, or in the user's cache folder where the
    package is read-only.
    """
    if override := os.environ.get("SINERNN_CACHE_DIR"):
        folders = [Path(override)]
    else:
        folders = [HERE / "__pycache__", _user_cache_folder() / "sinernn"]
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


def _user_cache_folder() -> Path:
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))


@cache
def _fingerprint(sources: Path) -> bytes:
    """Return a hash of what a kernel depends on: its folder and this one, versions, processor."""
    digest = hashlib.sha256()
    for source in sorted({*HERE.glob("*.py"), *sources.glob("*.py")}):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    versions = (numba.__version__, llvmlite.__version__, np.__version__, sys.version)
    # Triple, name and features of the processor.
    digest.update(repr((versions, cpu_target.target_context.codegen().magic_tuple())).encode())
    return digest.digest()


def is_whole(content: bytes) -> bool:
    """Whether a kernel's file agrees with the checksum that it opens with."""
    checksum = hashlib.sha256(content[CHECKSUM_BYTES:]).digest()
    return content[:CHECKSUM_BYTES] == checksum


class KernelCache(_Cache):
    """Numba's interface to a cache, over one file a kernel and signature."""

    def __init__(self, name: str, sources: Path) -> None:
        self.name, self.sources, self.enabled = name, sources, True

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
        digest = hashlib.sha256(_fingerprint(self.sources) + repr(arguments).encode()).hexdigest()
        return folder / f"{self.name}-{digest[:32]}.kernel"

    def load_overload(self, sig, target_context):
        """See `_Cache`; None where there is no whole kernel, so that one is compiled."""
        # What a stored kernel needs. Numba's own cache calls target_context.refresh(), which loads
        # all that could be compiled (0.2 s, scipy among it); a compilation calls it for itself.
        rtsys.initialize(target_context)
        path = self.file(sig)
        if path is None:
            return None
        try:
            content = path.read_bytes()
            # A pickle: the folder is the user's own, as the sources are. The checksum is against
            # damage, not against malice.
            if not is_whole(content):
                return None
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
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                temporary = Path(file.name)
                file.write(hashlib.sha256(content).digest() + content)
            temporary.replace(path)
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


# contract, reassoc, arcp: faster sums and products. Never nnan or ninf: a NaN must show.
_OPTIONS: dict[str, Any] = {"fastmath": {"contract", "reassoc", "arcp"}, "error_model": "numpy"}


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
    return path is not None and path.exists() and is_whole(path.read_bytes())
