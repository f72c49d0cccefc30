"""What the runs of a sweep came to: by run, by point, and which points are as good as the best."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from pydantic import Field

from sinernn.arrays import Bool, Float
from sinernn.evaluation.metrics import finite
from sinernn.evaluation.results import Scores
from sinernn.randomness import Purpose, stream
from sinernn.runs.facts import Count
from sinernn.schema import JsonModel
from sinernn.sweeps.points import Point

RESAMPLES = 2000
DRAWN_AT_ONCE = 100_000
"""Values that are resampled together: a megabyte of each array, however many seeds there are."""

CONFIDENCE = 0.95
FEWEST_PAIRS = 6
"""Seeds with which a p-value can be below 0.05: the least is 2 to the power of 1 - n."""

SCORES = (
    "closed_loop_rmse", "closed_loop_worst", "open_loop_rmse", "valid_time", "parameters", "updates"
)  # fmt: skip
"""Columns of the scores that a run reports, of the part that it is evaluated on."""


class RunResult(JsonModel):
    """What a run of a sweep came to: content of result.json, without times."""

    format: Literal[1] = 1
    run: str = ""
    point: str = ""
    """What its point differs in from others."""

    seed: Count = 0
    status: Literal["finished", "diverged", "failed"] = "failed"

    metric: float | None = None
    """The sweep's metric; None if it is infinite, or the run has none."""

    part: str = ""
    """Part that the scores are of."""

    scores: dict[str, float | None] = Field(default={})
    reason: str = ""
    """Why it diverged or failed."""


def reported(scores: Scores) -> dict[str, float | None]:
    """Return the scores of a run that a table has room for."""
    last, valid = scores.closed_loop_rmse[-1], scores.valid_time
    values = (
        last.median, last.worst, scores.open_loop.rmse,
        None if valid is None else valid.steps.median,
        float(scores.parameters), float(scores.updates),
    )  # fmt: skip
    return dict(zip(SCORES, values, strict=True))


@dataclass(frozen=True, slots=True)
class PointResult:
    """Results of a point over its seeds; a run without a score counts as the worst."""

    label: str
    name: str
    """Of its runs' folders, before the seed."""

    values: dict[str, Any]
    n: int
    """Runs that have ended."""

    failed: int
    """Of these, runs that failed or diverged."""

    median: float | None
    worst: float | None
    low: float | None
    """Of the 95 % bootstrap interval of the median; None if it is infinite."""

    high: float | None
    p_value: float | None
    """Of the comparison with the best point over common seeds; None for that point."""

    is_best: bool

    @property
    def is_distinct(self) -> bool:
        """Whether the best point is better beyond chance."""
        return self.p_value is not None and self.p_value < 1 - CONFIDENCE


def bootstrap_median(losses: Float[np.ndarray, " seed"]) -> tuple[float, float]:
    """Return a percentile interval of the median, which may be infinite.

    Source:
        Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13: the percentile
        interval.
    """
    random, count = stream(0, Purpose.RESAMPLING, len(losses)), len(losses)
    medians, at_once = np.empty(RESAMPLES), max(1, DRAWN_AT_ONCE // count)
    for first in range(0, RESAMPLES, at_once):
        part = medians[first : first + at_once]
        ordered = np.sort(losses[random.integers(count, size=(len(part), count))], axis=1)
        part[:] = (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2
    medians.sort()
    tail = int(RESAMPLES * (1 - CONFIDENCE) / 2)
    return float(medians[tail]), float(medians[-1 - tail])


def paired_p_value(
    losses: Float[np.ndarray, " seed"], best: Float[np.ndarray, " seed"], *, is_ratio: bool
) -> float:
    """Return how often chance alone would make two points differ so much over common seeds.

    Args:
        losses: Of a point: less is better, infinite for a run without a score.
        best: Of the best point, with the same seeds.
        is_ratio: Compare ratios, of errors, instead of differences.

    Source:
        Wilcoxon (1945), Individual Comparisons by Ranking Methods: the signed-rank test, by scipy.
    """
    from scipy import stats

    with np.errstate(divide="ignore", invalid="ignore"):
        if is_ratio and (losses >= 0).all() and (best >= 0).all():
            losses, best = np.log(losses), np.log(best)
        difference = losses - best
    difference[losses == best] = 0.0  # two failures
    if not difference.any():
        return 1.0
    # Infinite differences are the largest: a rank is all that the test sees of them.
    largest = np.abs(difference[np.isfinite(difference)]).max(initial=1.0)
    difference: Float[np.ndarray, " seed"] = np.clip(difference, -2 * largest, 2 * largest)
    return float(cast("Any", stats).wilcoxon(difference).pvalue)


def summarize(
    losses: Float[np.ndarray, "point seed"],
    ended: Bool[np.ndarray, "point seed"],
    has_failed: Bool[np.ndarray, "point seed"],
    *,
    points: Callable[[int], Point],
    sign: int,
    is_ratio: bool,
) -> Iterator[PointResult]:
    """Yield the results of each point.

    Args:
        losses: The metric of each run, times `sign`; infinite where there is none.
        ended: Whether a run has ended.
        has_failed: Whether it failed or diverged.
        points: Returns a point by its number.
        sign: 1 if less is better, -1 if more is.
        is_ratio: See `paired_p_value`.
    """
    best = best_point(losses, ended)
    for index, (own, done) in enumerate(zip(losses, ended, strict=True)):
        if not done.any():
            continue
        shared = done & ended[best] if best is not None else done
        p_value = None
        if best is not None and index != best and shared.any():
            p_value = paired_p_value(own[shared], losses[best][shared], is_ratio=is_ratio)
        interval = bootstrap_median(own[done]) if done.sum() > 1 else (np.inf, np.inf)
        low, high = sorted(sign * value for value in interval)
        point = points(index)
        yield PointResult(
            label=point.label,
            name=point.name,
            values=point.values,
            n=int(done.sum()),
            failed=int((has_failed[index] & done).sum()),
            median=finite(sign * float(median(own[done]))),
            worst=finite(sign * float(own[done].max())),
            low=finite(low),
            high=finite(high),
            p_value=p_value,
            is_best=index == best,
        )


def best_point(
    losses: Float[np.ndarray, "point seed"], ended: Bool[np.ndarray, "point seed"]
) -> int | None:
    """Return the first point of the least median; None if none is finite."""
    medians = [
        median(row[done]) if done.any() else np.inf for row, done in zip(losses, ended, strict=True)
    ]
    best = int(np.argmin(medians)) if medians else 0
    return best if medians and np.isfinite(medians[best]) else None


def median(losses: Float[np.ndarray, " seed"]) -> float:
    """Return the median of losses, some of which may be infinite."""
    ordered = np.sort(losses)
    return float((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2)


def csv_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a CSV file; None is an empty cell, floats are exact."""
    content = io.BytesIO()  # its value is no copy
    with io.TextIOWrapper(content, "utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        text.flush()
        return content.getvalue()
