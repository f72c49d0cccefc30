import numpy as np
import pytest

from sinernn.evaluation import Forecasts, errors_by_horizon, rmse


def forecasts(errors: np.ndarray, *, warmup: int = 3, channels: int = 1) -> Forecasts:
    """Forecasts that are off by `errors` [origin, steps] in every channel."""
    origins, steps = errors.shape
    shape = (origins, warmup + steps, channels)
    truth = np.random.default_rng(0).normal(size=shape)
    return Forecasts(
        time=np.broadcast_to(np.arange(warmup + steps, dtype=float), shape[:2]),
        observed=truth + 9,
        truth=truth,
        prediction=truth[:, warmup:] + errors[:, :, None],
    )


def test_errors_are_distances_to_the_truth_not_to_what_was_observed():
    errors = np.array([[1.0, 2, 3, 4], [0, 0, 0, 1]])
    np.testing.assert_allclose(forecasts(errors, channels=2).errors, errors, atol=1e-12)


def test_the_warmup_is_what_comes_before_the_prediction():
    assert forecasts(np.zeros((2, 5)), warmup=7).warmup == 7


def test_rmse_of_a_known_error():
    assert rmse(np.array([3.0, 4.0])) == pytest.approx(np.sqrt(12.5))
    assert rmse(np.array([1.0, np.nan])) == np.inf
    assert rmse(np.array([1e200, 0.0])) == np.inf


def test_errors_by_horizon_are_cumulative_and_over_the_origins():
    errors = np.array([[1.0] * 60, [2.0] * 60, [0.0] * 59 + [60**0.5 * 3]])
    table = {row.horizon: row for row in errors_by_horizon(errors)}
    assert list(table) == [1, 2, 5, 10, 20, 49, 60]
    assert (table[49].median, table[49].worst) == (1, 2)
    assert (table[60].median, table[60].worst) == (2, pytest.approx(3))


def test_the_last_horizon_stands_once_where_it_is_a_rung():
    assert [row.horizon for row in errors_by_horizon(np.ones((1, 49)))] == [1, 2, 5, 10, 20, 49]


def test_a_diverged_origin_counts_as_the_worst():
    errors = np.ones((3, 10))
    errors[1, 4:] = np.nan
    diverged = forecasts(errors)
    assert diverged.diverged_at == [None, 5, None]
    last = errors_by_horizon(diverged.errors)[-1]
    assert (last.median, last.worst) == (pytest.approx(1), np.inf)
    assert [row.worst for row in errors_by_horizon(diverged.errors)][:2] == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("totals", "origin"), [([5.0, 1, 3], 2), ([1.0, np.nan, 2], 2), ([4.0, 2], 0), ([7.0], 0)]
)
def test_the_typical_origin_is_a_median_one(totals: list[float], origin: int):
    assert forecasts(np.array(totals)[:, None] * np.ones(6)).typical == origin
