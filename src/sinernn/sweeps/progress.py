"""Show the progress of a sweep."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from sinernn.evaluation.metrics import counted
from sinernn.observers import Observers
from sinernn.progress import Bars, is_progress_shown
from sinernn.sweeps.observing import SweepObserver, SweepState


class SweepProgress(Bars, SweepObserver):
    """The progress of a sweep."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}"),
            BarColumn(10),  # with counts of four digits it fits 80 columns
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
        )
        self._task = self.add("sweep")
        self._began, self._done_before = time.monotonic(), 0

    def start(self, path: Path, state: SweepState) -> None:
        """Print the folder, and how many runs there are."""
        self._began, self._done_before = time.monotonic(), state.done
        already = f", {state.done} of them done already" if state.done else ""
        self.print_line(f"{path}: {counted(state.total, 'run')}{already}")
        self.show(self._task, "", state.done, total=state.total)
        self.is_next_tenth("sweep", state.done, state.total)

    def remark(self, text: str) -> None:
        """Print a remark."""
        self.print_line(text)

    def ended(self, state: SweepState) -> None:
        """Print how many runs are done, failed and left, and the best so far."""
        text = f"{state.done} done, {state.failed} failed, {state.total - state.done} to go"
        if state.best is not None:
            text += f", best so far {state.best:.3g}"
        self.show(self._task, text, state.done)
        if self.is_next_tenth("sweep", state.done, state.total):
            trained, left = state.done - self._done_before, state.total - state.done
            seconds = (time.monotonic() - self._began) * left / max(trained, 1)
            text += "" if state.best is None else f" ({state.best_run})"
            self.print_line(
                f"{text}, about {timedelta(seconds=round(seconds))} left" if left else text
            )


@contextmanager
def sweep_progress(
    observers: Sequence[SweepObserver], progress: bool | None
) -> Generator[Observers[SweepObserver]]:
    """Yield the observers of a sweep, the display of its progress among them if it is shown."""
    if not is_progress_shown(progress):
        yield Observers(observers)
        return
    with SweepProgress() as shown:
        yield Observers([shown, *observers])
