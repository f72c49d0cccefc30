"""Operating-system calls that go wrong on purpose: one by one, or all from a certain one on.

What Python itself asks of the file system, in a folder, is counted; the call of a chosen number
fails, or the process is killed before it. So every point at which a disk can be full or broken, or
a process can die, is tried once, and none is left to chance.
"""

import errno
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

CHANGING = (
    "open", "write", "fsync", "close", "mkdir", "rename", "replace", "symlink", "unlink", "rmdir",
)  # fmt: skip
LOOKING = ("stat", "lstat", "scandir", "listdir", "readlink")
TAKING_SPACE = ("open", "write", "mkdir", "symlink")

FAULTS = {
    "ENOSPC": "the call fails: no space left",
    "EIO": "the call fails: input/output error",
    "short": "the call writes a half, and the next has no space left",
    "kill": "SIGKILL before the call",
    "full": "from the call on, nothing that takes space succeeds",
    "broken": "from the call on, nothing succeeds",
}


class Calls:
    """Counts the calls that concern a folder, while entered, and lets a chosen one go wrong."""

    def __init__(self, folder: Path, *, at: int | None = None, fault: str = "kill") -> None:
        self.names: list[str] = []
        """Of the calls so far, in order."""

        self._folder, self._at, self._fault = os.path.realpath(folder), at, fault
        self._descriptors: set[int] = set()
        self._restore: list[Callable[[], None]] = []
        self._is_full = False

    def __enter__(self) -> "Calls":
        for name in (*CHANGING, *LOOKING):
            self._replace(os, name)
        self._replace(io, "open")  # pathlib reads by it
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._restore:
            self._restore.pop()()

    def _replace(self, module: Any, name: str) -> None:
        real = getattr(module, name)
        shown = name if module is os else f"{module.__name__}.{name}"

        def call(*arguments: Any, **options: Any) -> Any:
            if not self._concerns(name, arguments, options):
                return real(*arguments, **options)
            number = len(self.names)
            self.names.append(shown)
            return self._call(number, shown, real, arguments, options)

        setattr(module, name, call)
        self._restore.append(lambda: setattr(module, name, real))

    def _concerns(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> bool:
        if options.get("dir_fd") is not None:
            return options["dir_fd"] in self._descriptors
        if not arguments:
            return False
        if isinstance(arguments[0], int):
            return arguments[0] in self._descriptors
        # A link is where it is made; what is renamed is beside its new name.
        path = os.fsdecode(arguments[1 if name == "symlink" else 0])
        place = os.path.normpath(Path.cwd() / path)
        return (place + os.sep).startswith(self._folder + os.sep)

    def _call(
        self, number: int, name: str, real: Any, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        if number == self._at and self._fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        code = self._error(number, name, arguments)
        if name == "close":  # the descriptor is gone, whatever the call returns
            self._descriptors.discard(arguments[0])
            real(*arguments)
        if code is not None:
            raise OSError(code, os.strerror(code), *arguments[:1])
        if name == "close":
            return None
        if name == "write" and number == self._at and self._fault == "short":
            self._is_full = True
            return real(arguments[0], arguments[1][: len(arguments[1]) // 2])
        result = real(*arguments, **options)
        if name == "open":
            self._descriptors.add(result)
        return result

    def _error(self, number: int, name: str, arguments: tuple[Any, ...]) -> int | None:
        """Return the number of the error that a call shall meet."""
        if name == "write" and self._is_full:
            self._is_full = False
            return errno.ENOSPC
        if self._at is None or number < self._at:
            return None
        if number == self._at and self._fault == "ENOSPC" and name in CHANGING:
            return errno.ENOSPC
        if (number == self._at and self._fault == "EIO") or self._fault == "broken":
            return errno.EIO
        makes = name != "open" or arguments[1] & os.O_CREAT
        return errno.ENOSPC if self._fault == "full" and name in TAKING_SPACE and makes else None
