"""What commands print on stderr: progress, and problems of a config."""

import os
import select
import signal
import stat
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from sinernn.cli.output import wrapped
from sinernn.config import Config
from sinernn.errors import Problem, printable
from sinernn.model.network import Params
from sinernn.observers import Observer
from sinernn.refine.records import RefineRecord
from sinernn.runs import Run
from sinernn.runs.facts import RunFacts
from sinernn.training import Record

COMPILING = "compiling kernels for this network; takes some seconds, once"


class ProgressConsole(Console):
    """A console on stderr where a failed write does not stop the training."""

    def __init__(self) -> None:
        super().__init__(stderr=True, highlight=False, markup=False, emoji=False)

    def _write_buffer(self) -> None:
        """Write the buffer; stop printing if that fails, as on a full disk."""
        try:
            super()._write_buffer()
        except OSError:
            self.quiet = True
            del self._buffer[:]


class TrainingProgress(Observer):
    """Progress: a bar on a terminal, elsewhere about ten lines."""

    def __init__(
        self, steps: int, iterations: Sequence[int] = (), console: Console | None = None
    ) -> None:
        """Prepare the bar.

        Args:
            steps: Updates.
            iterations: Iterations of each stage of refinement.
            console: Where to print; default: stderr.
        """
        self._steps, self._iterations = steps, iterations
        self._console = console or ProgressConsole()
        self._printed = {"update": -1, "refine": -1}  # the last line's tenth of the work
        # On a narrower terminal the text is wrapped, and the bar leaves it the space.
        is_wide = self._console.width >= 72 + 2 * len(str(sum(iterations)))
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(40 if is_wide else 4),
            TextColumn("{task.fields[text]}", table_column=Column(no_wrap=is_wide)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=self._console,
        )
        # They appear with their first text: a run that cannot be trained shows none.
        self._task = self._bar.add_task("training", total=steps, text="", visible=False)
        self._refine_task = self._bar.add_task(
            "refining", total=sum(iterations), text="", visible=False
        )

    def __enter__(self) -> "TrainingProgress":
        if self._console.is_terminal:  # a bar that is not started draws nothing
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def start(self, run: Run, facts: RunFacts) -> None:
        """Print the run directory, the engine and the update to continue from."""
        line = f"{run.path}: {facts.engine} on {facts.device}"
        if facts.updates:
            line += f", continues at update {facts.updates} of {self._steps}"
        self._print(line)
        self._show(self._task, f"{facts.updates}/{self._steps} updates", facts.updates)

    def remark(self, text: str) -> None:
        """Print a remark."""
        self._print(text)

    def compiling(self) -> None:
        """Print that kernels are being compiled."""
        self._show(self._task, COMPILING)
        if not self._console.is_terminal:
            self._print(COMPILING)

    def record(self, record: Record | RefineRecord, weights: Callable[[], Params]) -> None:
        """Print the progress of training."""
        if isinstance(record, RefineRecord):
            self._show_refinement(record)
            return
        news = f"{record.updates_per_second:.0f}/s, loss {record.loss:.2e}"
        count = f"{record.step}/{self._steps}"
        self._show(self._task, f"{count} updates, {news}", record.step)
        if record.is_row and self._is_next_tenth("update", record.step, self._steps):
            line = f"update {count}: {news}"
            if record.closed_loop_rmse is not None:
                line += f", closed-loop RMSE {record.closed_loop_rmse:.2e} (validation)"
            self._print(line)

    def _show_refinement(self, record: RefineRecord) -> None:
        # A stage may end early: the bar then skips its remaining iterations.
        total, place = sum(self._iterations), sum(self._iterations[: record.stage])
        place += self._iterations[record.stage] if record.is_stage_end else record.iteration + 1
        text = f"{record.step} iterations of at most {total}"
        text += f", stage {record.stage + 1} of {len(self._iterations)}"
        if record.iteration >= 0:
            text += f", loss {record.loss:.2e}"
        self._show(self._refine_task, text, place)
        if record.closed_loop_rmse is not None and self._is_next_tenth("refine", place, total):
            rmse = f"closed-loop RMSE {record.closed_loop_rmse:.2e} (validation)"
            self._print(f"refine: {text}, {rmse}")

    def _show(self, task: TaskID, text: str, done: int | None = None) -> None:
        self._bar.update(task, completed=done, text=text, visible=True)

    def _is_next_tenth(self, what: str, done: int, total: int) -> bool:
        """Whether a line is due where no bar is drawn: about ten, however long the run."""
        tenth, before = 10 * done // total, self._printed[what]
        self._printed[what] = max(tenth, before)
        return tenth > before and not self._console.is_terminal

    def _print(self, line: str) -> None:
        self._console.print(_wrapped_for(self._console, printable(line, 2000)), soft_wrap=True)


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


@contextmanager
def training_progress(config: Config, *, quiet: bool) -> Generator[list[Observer]]:
    """Show the progress of training on stderr, and end it when nobody reads the output any more."""
    if quiet:
        yield [ClosedPipe()]
        return
    stages = config.refine.stages if config.refine else ()
    with TrainingProgress(config.training.steps, [each.iterations for each in stages]) as shown:
        yield [shown, ClosedPipe()]


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
