"""What a tracker is: it shows runs in a program such as TensorBoard."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, NamedTuple

from sinernn.errors import UsageError
from sinernn.refine.records import MetricsRow
from sinernn.runs import Run
from sinernn.runs.facts import RunFacts
from sinernn.runs.listing import REPORT
from sinernn.sweeps.folders import find_sweep
from sinernn.sweeps.results import reported


class Scalars(NamedTuple):
    """Numbers of one step."""

    step: int
    """Updates or iterations done, of the phase that the names begin with."""

    values: Mapping[str, float]
    """By name, such as `training/loss`."""


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers see it: its files are read when they are asked for."""

    run: Run

    @cached_property
    def facts(self) -> RunFacts:
        """The facts, as they were when they were first asked for."""
        return self.run.read_facts()

    @cached_property
    def sweep(self) -> Path | None:
        """Folder of the sweep that the run is part of."""
        return find_sweep(self.run.path.absolute().parent)

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self.run.path.resolve().name

    @property
    def key(self) -> str:
        """What finds the run again: names and the time of its start, without the folders above."""
        sweep = f"{self.sweep.name}/" if self.sweep else ""
        return f"{sweep}{self.name} {self.facts.started}"

    @property
    def started(self) -> float:
        """When training began, in seconds since 1970; 0 if it is not known."""
        return _seconds(self.facts.started)

    @property
    def ended(self) -> float:
        """When training ended, in seconds since 1970; its beginning if it has not."""
        return _seconds(self.facts.ended or self.facts.started)

    @property
    def settings(self) -> dict[str, str | bool | int | float]:
        """Every setting by its dotted name; what is not a number, truth value or text as JSON."""
        return {
            name: value if isinstance(value, str | bool | int | float) else json.dumps(value)
            for name, value in self.facts.settings.items()
        }

    def scalars(self) -> Iterator[Scalars]:
        """Yield the rows of the metrics; none if the run does not keep them, as in a sweep."""
        if (self.run.path / "metrics.csv").exists():
            yield from map(to_scalars, self.run.metrics_rows())

    def scores(self) -> dict[str, float]:
        """Return the main scores by name, such as `scores/closed_loop_rmse`, if there are any."""
        if not (self.run.path / "evaluation.json").exists():
            return {}
        scores = reported(self.run.read_scores())
        return {f"scores/{name}": each for name, each in scores.items() if each is not None}

    def figures(self) -> list[Path]:
        """Return the figures that are there as PNG."""
        return sorted((self.run.path / "figures").glob("*.png"))

    def files(self) -> list[Path]:
        """Return the files to keep: config, model, scores, and the page if there is one."""
        names = ("config.yaml", "model.safetensors", "evaluation.json", REPORT)
        return [path for name in names if (path := self.run.path / name).exists()]


def _seconds(time: str | None) -> float:
    return datetime.fromisoformat(time).timestamp() if time else 0.0


def to_scalars(row: MetricsRow) -> Scalars:
    """Return the numbers of a row of the metrics, from training or from its file."""
    values = {
        f"{row['phase']}/{name}": float(value)
        for name, value in row.items()
        if name not in ("phase", "step") and value is not None and value != ""
    }
    return Scalars(int(row["step"] or 0), values)


class Tracker(ABC):
    """Shows runs, one after the other; a class of this kind is an entry point `sinernn.trackers`.

    Every method but `require` is called on a thread of its own, where it may take its time, wait
    for a server, and raise any exception. A run may come again: it then replaces what is there.
    """

    package: ClassVar[str] = ""
    """Package that it needs, if that is not installed with it."""

    extra: ClassVar[str] = ""
    """Extra of sinernn that installs the package."""

    @classmethod
    def require(cls) -> None:
        """Check, without importing anything or contacting a server, that it can be used.

        Raises:
            UsageError: It cannot.
        """
        if cls.package and find_spec(cls.package) is None:
            how = f"pip install 'sinernn[{cls.extra}]'"
            raise UsageError(f"tracker {cls.extra} needs an extra; install it with: {how}")

    @abstractmethod
    def start(self, run: TrackedRun) -> None:
        """A run begins."""

    @abstractmethod
    def record(self, scalars: Scalars, time: float) -> None:
        """Numbers of a step are known.

        Args:
            scalars: The numbers.
            time: When they were computed, in seconds since 1970.
        """

    @abstractmethod
    def finish(self, run: TrackedRun) -> None:
        """The run has ended, well or not; its scores, figures and files are there if it did."""

    def finish_sweep(self, sweep: Path) -> None:  # noqa: B027
        """All runs of a sweep have been finished; its tables and figures are in its folder."""


def replay(tracker: Tracker, run: Run) -> None:
    """Show a run from its files; times of its steps are unknown, so they get that of its end."""
    tracked = TrackedRun(run)
    tracker.start(tracked)
    for scalars in tracked.scalars():
        tracker.record(scalars, tracked.ended)
    tracker.finish(tracked)
