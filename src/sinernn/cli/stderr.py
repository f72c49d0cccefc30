"""What commands print on stderr beside progress, and the end of a command that nobody reads."""

import os
import select
import signal
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from sinernn.display import wrapped
from sinernn.errors import Problem, printable
from sinernn.model.network import Params
from sinernn.observers import Observer
from sinernn.progress import COMPILING, ProgressConsole
from sinernn.refine.records import RefineRecord
from sinernn.training import Record


class ClosedPipe(Observer):
    """Ends training as Ctrl-C does when the reader of stdout or stderr has left, as in `| head`."""

    def __init__(self) -> None:
        self._pipes = select.poll() if hasattr(select, "poll") else None  # not on Windows
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with suppress(OSError, ValueError):  # not a file, or closed
                if self._pipes and stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
                    self._pipes.register(stream.fileno(), 0)  # no event but a closed other end

    def record(self, record: Record | RefineRecord, weights: Callable[[], Params]) -> None:
        """Check both, without waiting."""
        if self._pipes and self._pipes.poll(0):
            self._pipes = None
            with suppress(KeyboardInterrupt):  # the run is ending already
                signal.raise_signal(signal.SIGINT)


def compiling() -> AbstractContextManager[None]:
    """Print that kernels are being compiled, for commands without progress."""
    ProgressConsole().print(COMPILING, soft_wrap=True)
    return nullcontext()


def print_problems(problems: Sequence[Problem], console: Console | None = None) -> None:
    """Print every problem of a config; on a terminal with its line and a caret below."""
    console = console or ProgressConsole()
    for problem in problems:
        place, message = problem.place, Text(_wrapped_for(console, str(problem)))
        message.stylize("bold", 0, len(str(place)))
        message.highlight_regex(r"got .+?(?=;|$)", "red")
        console.print(message, soft_wrap=True)
        if not (console.is_terminal and place.text and place.column):
            continue
        margin = f"{place.line:>6} | "
        width = console.width - len(margin)
        cut = max(0, place.column - 1 - width // 2) if len(place.text) > width else 0
        before = printable(place.text[cut : place.column - 1], width)
        after = printable(place.text[place.column - 1 :], width)
        line = Text(margin, "dim") + Text(before + after)
        console.print(line, no_wrap=True, overflow="ellipsis")
        console.print(Text(" " * (len(margin) + cell_len(before)) + "^", "bold red"))


def _wrapped_for(console: Console, line: str) -> str:
    """Wrap a line where it goes to a terminal."""
    return wrapped(line, console.width if console.is_terminal else None)
