"""The table of a sweep's results, by run and by point."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sinernn.arrays import Bool, Float
from sinernn.display import Table, as_html, as_text
from sinernn.errors import UsageError, printable
from sinernn.evaluation.metrics import counted
from sinernn.plot_run import checked_size, image, plain_text
from sinernn.plotting_import import preload
from sinernn.runs import Run
from sinernn.sweeps.folders import read_result
from sinernn.sweeps.parameters import text_of
from sinernn.sweeps.points import Point, Points
from sinernn.sweeps.results import (
    FEWEST_PAIRS,
    SCORES,
    PointResult,
    RunResult,
    csv_table,
    summarize,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 20
"""Points in a table that is shown, and failures below it; the files have all."""


class SweepTable(Sequence[dict[str, Any]]):
    """The results of a sweep: a row for each run, as a dictionary."""

    def __init__(
        self,
        path: Path,
        points: Points,
        losses: Float[np.ndarray, "point seed"],
        ended: Bool[np.ndarray, "point seed"],
        has_failed: Bool[np.ndarray, "point seed"],
    ) -> None:
        """Describe the results; rows are read from the runs when they are asked for.

        Args:
            path: The sweep's folder.
            points: Its points.
            losses: The metric of each run, of which less is better; infinite where there is none.
            ended: Whether a run has ended.
            has_failed: Whether it failed or diverged.
        """
        self.path, self.metric = path, points.metric
        self._points, self._seeds = points, points.sweep.seeds
        self._losses, self._ended, self._has_failed = losses, ended, has_failed & ended

    def __len__(self) -> int:
        return int(self._ended.sum())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return list(self)[index]
        flat = np.flatnonzero(self._ended)[index]
        at, row = divmod(int(flat), len(self._seeds))
        return self._row(self._points[at], self._seeds[row])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._rows(self._ended)

    def _rows(self, chosen: Bool[np.ndarray, "point seed"]) -> Iterator[dict[str, Any]]:
        for at in np.flatnonzero(chosen.any(axis=1)):
            point = self._points[int(at)]
            for row in np.flatnonzero(chosen[at]):
                yield self._row(point, self._seeds[int(row)])

    def _row(self, point: Point, seed: int) -> dict[str, Any]:
        name = point.run_name(seed)
        result = read_result(self.path / name) or RunResult(run=name, seed=seed)
        return {
            "run": name,
            **point.values,
            "seed": seed,
            "status": result.status,
            self.metric.label: result.metric,
            **{score: result.scores.get(score) for score in SCORES},
            "reason": result.reason,
        }

    def points(self) -> Iterator[PointResult]:
        """Yield the results of each point over its seeds."""
        return summarize(
            self._losses,
            self._ended,
            self._has_failed,
            points=self._points.__getitem__,
            sign=self.metric.sign,
            is_ratio=self.metric.name != "valid_time",
        )

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return self._points.sweep.settings.name

    def by_point(self, most: int | None = None) -> Table:
        """Return the results of the points as a table, the best first.

        Args:
            most: Points to return; default: all.
        """
        most = len(self._points) if most is None else most
        points = heapq.nsmallest(most, self.points(), key=lambda each: self.loss(each.median))
        names = [f"{each.name}: {each.label}" if self.has_trials else each.label for each in points]
        columns = {
            "point": [printable(name, 60) for name in names],
            "median": [_value(each.median) for each in points],
            "95 %\ninterval": [_interval(each) for each in points],
            "worst": [_value(each.worst) for each in points],
            "runs": [str(each.n) for each in points],
            "failed": [str(each.failed or "") for each in points],
            "against\nthe best": [_verdict(each) for each in points],
        }
        return Table(columns, f"median {self.metric.words} over seeds")

    def describe(self) -> Iterator[str | Table]:
        """Yield the best points as a table, and how many more there are."""
        yield self.by_point(SHOWN)
        if (more := int(self._ended.any(axis=1).sum()) - SHOWN) > 0:
            yield f"{counted(more, 'more point')}: see {self.path / 'points.csv'}"

    def __str__(self) -> str:
        """Return the folder, and the table that `sweep` prints."""
        return as_text([str(self.path), *self.describe()])

    def __repr__(self) -> str:
        counts = f"{counted(len(self), 'run')}, {self.failed} failed or diverged"
        return f"<SweepTable of {printable(str(self.path), 300)}: {counts}>"

    def _repr_html_(self) -> str:
        figures = sorted(self.path.glob("figures/*.png"))
        return as_html([str(self.path), *self.describe(), *figures])

    def failures(self) -> Iterator[dict[str, Any]]:
        """Return the rows of runs that failed or diverged."""
        return self._rows(self._has_failed)

    @property
    def has_trials(self) -> bool:
        """Whether points are draws, which have numbers for names."""
        return self._points.sweep.settings.method != "grid"

    @property
    def failed(self) -> int:
        """Number of runs that failed or diverged."""
        return int((self._has_failed).sum())

    def loss(self, value: float | None) -> float:
        """Return a value of the metric as one of which less is better; infinite for none."""
        return float("inf") if value is None else self.metric.sign * value

    def report(self) -> dict[str, Any]:
        """Return the results as JSON-compatible values."""
        return {
            "sweep": str(self.path),
            "metric": self.metric.model_dump(),
            "points": [asdict(point) for point in self.points()],
            "failed": self.failed,
            "runs": list(self),
        }

    def draw(self, format: str = "png", **size: float | None) -> Path:
        """Draw the figure that fits the sweep, into its folder.

        Args:
            format: png, svg or pdf.
            size: See `figure`.

        Raises:
            UsageError: As in `figure`.
        """
        name, figure = self._figure(title=True, **size)
        return Run(self.path).write(f"figures/{name}.{format}", image(figure, format))

    def figure(self, *, title: bool = True, **size: float | None) -> "Figure":
        """Return the figure that fits the sweep.

        Args:
            title: Whether to write the sweep's name, and small print below it.
            size: Width and height in inches, and dpi: see `plot`.

        Raises:
            UsageError: Matplotlib cannot be imported, or the figure does not fit into the size.
        """
        return self._figure(title=title, **size)[1]

    def _figure(self, *, title: bool, **size: float | None) -> tuple[str, "Figure"]:
        preload()
        from sinernn import plotting

        name, figure = plotting.sweep_figure(self._scores())
        settings = self._points.sweep.settings
        seeds = counted(len(self._seeds), "seed")
        note = f"{settings.method} of {counted(len(self._points), 'point')}, {seeds} each"
        if self.failed:
            note += f"; {self.failed} of {counted(len(self), 'run')} failed or diverged"
        heading, note = (f"sweep {plain_text(self.name, 200)}", note) if title else ("", "")
        return name, plotting.lay_out(
            figure, name, title=heading, note=note, **checked_size(**size)
        )

    def erase_figures(self) -> None:
        """Remove figures of older results, but no other files in their folder."""
        if paths := list((self.path / "figures").glob("*.*")):
            from sinernn import plotting

            for path in paths:
                if path.stem in plotting.SWEEP_FIGURES:
                    Run(self.path).remove(f"figures/{path.name}")

    def _scores(self) -> Any:
        """Return the data of the figure: points of which some run has ended."""
        from sinernn.plotting import SweepScores, Varied

        shown = np.flatnonzero(self._ended.any(axis=1))
        results, sign = list(self.points()), self.metric.sign
        columns = [[each.values[key] for each in results] for key in self._points.keys]
        varied: list[Varied] = []
        for key, column in zip(self._points.keys, columns, strict=True):
            name = self._points.short_name(key)
            if all(type(value) in (int, float) for value in column):
                places = np.array(column, float)
                is_log = bool(places.min() > 0 and places.max() >= 8 * places.min())
                varied.append(Varied(name, places, is_log=is_log))
            else:
                texts = list(dict.fromkeys(text_of(value) for value in column))
                places = np.array([texts.index(text_of(value)) for value in column], float)
                labels = tuple(plain_text(text, 40) for text in texts)
                varied.append(Varied(name, places, labels))
        losses = self._losses[shown]
        has_score = np.isfinite(losses) & self._ended[shown]
        best = next((at for at, each in enumerate(results) if each.is_best), None)
        return SweepScores(
            metric=self.metric.words,
            values=np.where(has_score, sign * losses, np.nan),
            failed=self._has_failed[shown],
            medians=np.array([np.nan if p.median is None else p.median for p in results]),
            varied=tuple(varied),
            is_grid=self._points.sweep.settings.method == "grid",
            best=best if len(results) > 1 else None,
        )

    def to_frame(self) -> Any:
        """Return the rows as a frame of pandas, or of polars if only that is installed.

        Raises:
            UsageError: Neither is.
        """
        for name in ("pandas", "polars"):
            with suppress(ImportError):
                return __import__(name).DataFrame(list(self))
        raise UsageError("to_frame needs pandas or polars; install one, or use the rows themselves")

    def write(self) -> None:
        """Write results.csv, a row for each run, and points.csv, a row for each point."""
        folder, parameters = Run(self.path), self._points.keys
        header = ["run", *parameters, "seed", "status", self.metric.label, *SCORES, "reason"]
        folder.write("results.csv", csv_table(header, (list(row.values()) for row in self)))
        names = ("n", "failed", "median", "worst", "low", "high", "p_value", "is_best")
        rows = (
            [point.name, *point.values.values(), *(getattr(point, name) for name in names)]
            for point in self.points()
        )
        folder.write("points.csv", csv_table(["point", *parameters, *names], rows))


def _interval(point: PointResult) -> str:
    if point.n > 1 and not point.low is point.high is None:
        return f"{_value(point.low)} to {_value(point.high)}"
    return "-"


def _verdict(point: PointResult) -> str:
    if point.is_best:
        return "best"
    if point.p_value is None:
        return "-"
    if point.is_distinct:
        return f"worse (p {point.p_value:.2g})"
    return f"as good (p {point.p_value:.2g})" if point.n >= FEWEST_PAIRS else "too few seeds"


def _value(value: float | None) -> str:
    return "failed" if value is None else f"{value:.3g}"
