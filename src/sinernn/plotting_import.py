"""Import what plots need: late, since it takes longer than many runs."""

import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Lock, Thread

from sinernn.errors import UsageError

_PRELOADING = Lock()  # a thread may see modules that another one has only imported in part


def preload() -> None:
    """Import the modules that plots need, in any thread.

    Raises:
        UsageError: Matplotlib cannot be imported, as with a wrong MPLBACKEND.
    """
    with _PRELOADING:
        try:
            import_module("sinernn.plotting")
            import_module("PIL.PngImagePlugin")
        except (ImportError, ValueError, OSError) as error:
            raise UsageError(
                f"matplotlib cannot be imported: {error}; fix that, or use --no-figures"
            ) from error


@contextmanager
def preloading() -> Generator[None]:
    """Do so while kernels compute, releasing the interpreter lock; `plot` raises errors again."""
    interval = sys.getswitchinterval()
    thread = Thread(target=_preload_quietly, name="preload", daemon=True)
    sys.setswitchinterval(1e-4)  # seconds: a kernel returns before the usual 5 ms are over
    thread.start()
    try:
        yield
    finally:
        thread.join()
        sys.setswitchinterval(interval)


def _preload_quietly() -> None:
    with suppress(UsageError):
        preload()
