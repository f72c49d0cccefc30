"""Show the progress of training: bars on a terminal or in a notebook, elsewhere about ten lines."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from sinernn.config import Config
from sinernn.display import wrapped
from sinernn.errors import printable
from sinernn.model.network import Params
from sinernn.observers import Observer, Observers
from sinernn.refine.records import RefineRecord
from sinernn.runs import Run
from sinernn.runs.facts import RunFacts
from sinernn.training import Record

COMPILING = "compiling kernels for this network; takes some seconds, once"
BarsT = TypeVar("BarsT", bound="Bars")
_SECONDS = 0.1  # between updates of a notebook


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


class Bars:
    """Bars of tasks, which appear with their first text.

    A terminal draws them below its lines; in a notebook they are one output of the cell, which is
    replaced as they grow. Rich's own way for notebooks needs ipywidgets, whose output is lost when
    the notebook is converted.
    """

    def __init__(self, console: Console | None, *columns: ProgressColumn) -> None:
        self.console = console or ProgressConsole()
        self.has_bars = self.console.is_jupyter or self.console.is_terminal
        self._is_live = self.has_bars and not self.console.is_jupyter
        self._bars = Progress(*columns, console=self.console)
        self._tenths = dict[str, int]()  # of the work, at the last line
        self._output: Any = None  # of the notebook's cell
        self._updated = 0.0

    def __enter__(self: BarsT) -> BarsT:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_live:
            self._bars.stop()
        elif self._output is not None:
            self._output.update(self._bars)

    def add(self, name: str, total: int | None = None) -> TaskID:
        """Add a bar, which is not drawn yet."""
        return self._bars.add_task(name, total=total, text="", visible=False)

    def show(
        self, task: TaskID, text: str = "", done: int | None = None, *, total: int | None = None
    ) -> None:
        """Draw a bar with a text beside it."""
        if self._is_live:
            self._bars.start()  # the first time; its thread would keep a sweep from forking
        self._bars.update(task, completed=done, total=total, text=text, visible=True)
        if not self.console.is_jupyter:
            return
        if self._output is None:
            from IPython import display  # a notebook has it

            self._output = display.display(self._bars, display_id=True)
        elif time.monotonic() < self._updated + _SECONDS:
            return
        else:
            self._output.update(self._bars)
        self._updated = time.monotonic()

    def print_line(self, text: str) -> None:
        """Print a line, above the bars if there are any."""
        line, width = printable(text, 2000), self.console.width
        self.console.print(wrapped(line, width if self.has_bars else None), soft_wrap=True)

    def is_next_tenth(self, what: str, done: int, total: int) -> bool:
        """Whether a line is due where no bar is drawn: about ten, however long the run."""
        tenth, before = 10 * done // max(total, 1), self._tenths.get(what, -1)
        self._tenths[what] = max(tenth, before)
        return tenth > before and not self.has_bars


class TrainingProgress(Bars, Observer):
    """The progress of a run."""

    def __init__(
        self, steps: int, iterations: Sequence[int] = (), console: Console | None = None
    ) -> None:
        """Prepare the bars.

        Args:
            steps: Updates.
            iterations: Iterations of each stage of refinement.
            console: Where to print; default: stderr.
        """
        self._steps, self._iterations = steps, iterations
        console = console or ProgressConsole()
        # On a narrower terminal the text is wrapped, and the bar leaves it the space.
        is_wide = console.width >= 72 + 2 * len(str(sum(iterations)))
        super().__init__(
            console,
            TextColumn("{task.description}"),
            BarColumn(40 if is_wide else 4),
            TextColumn("{task.fields[text]}", table_column=Column(no_wrap=is_wide)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
        )
        self._task = self.add("training", steps)
        self._refine_task = self.add("refining", sum(iterations))

    def start(self, run: Run, facts: RunFacts) -> None:
        """Print the run directory, the engine and the update to continue from."""
        line = f"{run.path}: {facts.engine} on {facts.device}"
        if facts.updates:
            line += f", continues at update {facts.updates} of {self._steps}"
        self.print_line(line)
        self.show(self._task, f"{facts.updates}/{self._steps} updates", facts.updates)

    def remark(self, text: str) -> None:
        """Print a remark."""
        self.print_line(text)

    def compiling(self) -> None:
        """Print that kernels are being compiled."""
        self.show(self._task, COMPILING)
        if not self.has_bars:
            self.print_line(COMPILING)

    def record(self, record: Record | RefineRecord, weights: Callable[[], Params]) -> None:
        """Print the progress of training."""
        if isinstance(record, RefineRecord):
            self._show_refinement(record)
            return
        news = f"{record.updates_per_second:.0f}/s, loss {record.loss:.2e}"
        count = f"{record.step}/{self._steps}"
        self.show(self._task, f"{count} updates, {news}", record.step)
        if record.is_row and self.is_next_tenth("update", record.step, self._steps):
            line = f"update {count}: {news}"
            if record.closed_loop_rmse is not None:
                line += f", closed-loop RMSE {record.closed_loop_rmse:.2e} (validation)"
            self.print_line(line)

    def _show_refinement(self, record: RefineRecord) -> None:
        # A stage may end early: the bar then skips its remaining iterations.
        total, place = sum(self._iterations), sum(self._iterations[: record.stage])
        place += self._iterations[record.stage] if record.is_stage_end else record.iteration + 1
        text = f"{record.step} iterations of at most {total}"
        text += f", stage {record.stage + 1} of {len(self._iterations)}"
        if record.iteration >= 0:
            text += f", loss {record.loss:.2e}"
        self.show(self._refine_task, text, place)
        if record.closed_loop_rmse is not None and self.is_next_tenth("refine", place, total):
            rmse = f"closed-loop RMSE {record.closed_loop_rmse:.2e} (validation)"
            self.print_line(f"refine: {text}, {rmse}")


def is_progress_shown(progress: bool | None) -> bool:
    """Whether to show progress: as the caller says, or else in notebooks."""
    return Console().is_jupyter if progress is None else progress


@contextmanager
def training_progress(
    config: Config, observers: Sequence[Observer], progress: bool | None
) -> Generator[Observers[Observer]]:
    """Yield the observers of a training, the display of its progress among them if it is shown."""
    if not is_progress_shown(progress):
        yield Observers(observers)
        return
    stages = config.refine.stages if config.refine else ()
    with TrainingProgress(config.training.steps, [each.iterations for each in stages]) as shown:
        yield Observers([shown, *observers])
