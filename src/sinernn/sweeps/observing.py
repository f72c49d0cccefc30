"""The progress of a sweep, and the protocol of those that observe it."""

from dataclasses import dataclass
from pathlib import Path

from sinernn.runs import Run


@dataclass
class SweepState:
    """How far a sweep has come."""

    total: int
    done: int
    """Runs that have ended, well or not."""

    failed: int
    """Of these, runs that failed or diverged."""

    best: float | None = None
    """The best metric of a run."""

    best_run: str = ""


class SweepObserver:
    """Receives the events of a sweep; override what you need, the rest does nothing."""

    def start(self, path: Path, state: SweepState) -> None:
        """Training begins; some runs may be done already."""

    def remark(self, text: str) -> None:
        """There is a remark that may matter to the user."""

    def ended(self, state: SweepState) -> None:
        """A run has ended, well or not."""

    def published(self, run: Run) -> None:
        """A run that has ended is in the sweep's folder, and on the disk."""

    def finish(self) -> None:
        """All runs have ended, and the results are written and drawn."""
