"""Callbacks for training events: progress, trackers and snapshots are observers of a run."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, Generic, ParamSpec, TypeVar

from sinernn.display import as_html, as_text, folded
from sinernn.errors import printable
from sinernn.evaluation.results import Scores
from sinernn.model.network import Params
from sinernn.refine.records import RefineRecord
from sinernn.runs import Run
from sinernn.runs.facts import RunFacts
from sinernn.training import Record


@dataclass(frozen=True, repr=False)
class Summary:
    """Results of a finished training; a notebook shows them in words, with the overview.

    Example:
        >>> summary = sinernn.train("tiny.yaml", figures=False)
        >>> summary.facts.status, summary.scores.closed_loop_rmse[-1].horizon
        ('finished', 60)
    """

    run: Run
    facts: RunFacts
    scores: Scores
    figures: list[Path]

    def __str__(self) -> str:
        """Return the scores that `train` prints."""
        return as_text(self.scores.describe(str(self.run.path)))

    def __repr__(self) -> str:
        return f"<Summary of {printable(f'{self.run.path}: {self.scores.skill.words}', 500)}>"

    def _repr_html_(self) -> str:
        first, *rest = self.scores.describe(str(self.run.path))
        overview = [path for path in self.figures if path.suffix == ".png"]
        html = as_html([first, self.scores.skill.words, *overview])
        return html + folded("all scores", as_html(rest))


class Observer:
    """Receives the events of a training; override what you need, the rest does nothing.

    An observer that raises an exception is reported once and receives no further events; the run
    and its bits stay the same. `KeyboardInterrupt` ends the run.

    Example:
        >>> class Counter(sinernn.Observer):
        ...     records = 0
        ...     def record(self, record, weights):
        ...         self.records += 1
        ...     def finish(self, summary):
        ...         print(self.records > 0, summary.facts.status)
        >>> config = sinernn.load_config("tiny.yaml")
        >>> summary = sinernn.train(config, figures=False, observers=[Counter()])
        True finished
    """

    def start(self, run: Run, facts: RunFacts) -> None:
        """Training begins in a run directory; `facts.updates` are done already."""

    def compiling(self) -> None:
        """Kernels are about to be compiled, which takes seconds."""

    def compiled(self) -> None:
        """The kernels are compiled."""

    def remark(self, text: str) -> None:
        """There is a remark that may matter to the user."""

    def record(self, record: Record | RefineRecord, weights: Callable[[], Params]) -> None:
        """Some updates, or an iteration of the refinement that follows, are done.

        Args:
            record: Its metrics.
            weights: Returns a copy of the weights at the record; valid only during this call.
        """

    def finish(self, summary: Summary) -> None:
        """The run is trained, evaluated and drawn."""

    def fail(self, error: BaseException) -> None:
        """The run ended in an error, or was interrupted."""


P = ParamSpec("P")
ObserverT = TypeVar("ObserverT")


class Observers(Generic[ObserverT]):
    """Any number of observers of a run or a sweep, whose exceptions do not reach it."""

    def __init__(self, observers: Sequence[ObserverT]) -> None:
        self._active = list(observers)

    def notify(
        self,
        event: Callable[Concatenate[ObserverT, P], None],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> None:
        """Call the method of this name of every observer that has not failed.

        Example:
            observers.notify(Observer.remark, "a remark")
        """
        for observer in tuple(self._active):
            try:
                getattr(observer, event.__name__)(*arguments, **options)
            except Exception as error:
                self._active.remove(observer)
                what = printable(f"{type(error).__name__}: {error}", 300)
                logging.getLogger("sinernn").warning(
                    "observer %s failed and receives no further events; the run continues: %s",
                    type(observer).__name__,
                    what,
                )
