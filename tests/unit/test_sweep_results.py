"""Medians, intervals and comparisons of points, where some runs have no score."""

import numpy as np
import pytest

from sinernn.sweeps import results
from sinernn.sweeps.points import Point
from sinernn.sweeps.results import bootstrap_median, paired_p_value, summarize

INF = np.inf


def summary_of(losses: np.ndarray, sign: int = 1):
    ended = np.ones(losses.shape, bool)
    return list(
        summarize(
            sign * losses if sign == 1 else losses,
            ended,
            np.isinf(losses),
            points=lambda index: Point(index, f"p{index}", f"p{index}", {}, ()),
            sign=sign,
            is_ratio=sign == 1,
        )
    )


def test_failures_stay_in_the_denominator():
    """Two of five are the worst: the median moves, and the worst does not exist."""
    (point,) = summary_of(np.array([[1.0, 2.0, 3.0, INF, INF]]))
    assert (point.median, point.worst, point.n, point.failed) == (3.0, None, 5, 2)


def test_most_runs_failed():
    (point,) = summary_of(np.array([[1.0, INF, INF]]))
    assert (point.median, point.is_best) == (None, False)


def test_interval_covers_the_median():
    """In 95 of 100 samples of a known distribution, give or take 6 (three standard errors)."""
    samples = np.random.default_rng(0).normal(size=(400, 25))
    covered = [low <= 0 <= high for low, high in map(bootstrap_median, samples)]
    assert 0.89 < np.mean(covered) < 0.995


def test_comparison_is_paired():
    """Seeds differ by ten times, the points by a tenth: only pairs can tell."""
    seeds = 10.0 ** np.random.default_rng(0).uniform(-1, 0, 12)
    assert paired_p_value(1.1 * seeds, seeds, is_ratio=True) < 0.001


@pytest.mark.parametrize(
    ("losses", "best", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0], 1.0),  # the same
        ([INF] * 8, [1.0] * 8, 2 / 2**8),  # the least that eight pairs can have
        ([INF, INF], [INF, INF], 1.0),
        ([2.0] * 5, [1.0] * 5, 2 / 2**5),
    ],
)
def test_p_values(losses: list[float], best: list[float], expected: float):
    found = paired_p_value(np.array(losses), np.array(best), is_ratio=True)
    assert found == pytest.approx(expected)


def test_best_of_what_is_maximized():
    """A valid time: more is better, and the interval is in its own order."""
    points = summary_of(np.array([[-10.0, -12.0, -11.0], [-50.0, -40.0, INF]]), sign=-1)
    assert [point.is_best for point in points] == [False, True]
    assert (points[0].median, points[0].worst, points[0].low) == (11.0, 10.0, 10.0)
    assert points[1].worst is None


def test_interval_does_not_depend_on_the_parts(monkeypatch: pytest.MonkeyPatch):
    """Medians of resamples that are drawn a few at a time are those of all at once."""
    losses = np.random.default_rng(0).normal(size=7)
    at_once = bootstrap_median(losses)
    monkeypatch.setattr(results, "DRAWN_AT_ONCE", 3 * len(losses) + 1)
    assert bootstrap_median(losses) == at_once
