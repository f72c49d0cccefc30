import numpy as np
import pytest

from sinernn.evaluation.metrics import (
    errors_by_horizon,
    nrmse_by_step,
    r_squared,
    rmse,
    smape_by_horizon,
    symmetric_errors,
    valid_steps,
)


def test_rmse_of_a_known_error():
    assert rmse(np.array([3.0, 4.0])) == pytest.approx(np.sqrt(12.5))
    assert rmse(np.array([1.0, np.nan])) == np.inf
    assert rmse(np.array([1e200, 0.0])) == np.inf


def test_errors_by_horizon():
    """They are cumulative, median and worst over the origins."""
    errors = np.array([[1.0] * 60, [2.0] * 60, [0.0] * 59 + [60**0.5 * 3]])
    table = {row.horizon: row for row in errors_by_horizon(errors)}
    assert list(table) == [1, 2, 5, 10, 20, 49, 60]
    assert (table[49].median, table[49].worst) == (1, 2)
    assert (table[60].median, table[60].worst) == (2, pytest.approx(3))


def test_last_horizon():
    """It is listed once where it is a rung of the ladder."""
    assert [row.horizon for row in errors_by_horizon(np.ones((1, 49)))] == [1, 2, 5, 10, 20, 49]


def test_a_diverged_origin_counts_as_the_worst():
    errors = np.ones((3, 10))
    errors[1, 4:] = np.nan
    table = errors_by_horizon(errors)
    assert (table[-1].median, table[-1].worst) == (pytest.approx(1), np.inf)
    assert [row.worst for row in table][:2] == pytest.approx([1, 1])


def test_nrmse_of_single_steps():
    """Over all origins at that step alone: of errors 3 n and 4 n at step n, n sqrt(12.5) / std."""
    errors = np.array([[3.0], [4.0]]) * np.arange(1, 85)
    table = {row.horizon: row for row in nrmse_by_step(errors, std=2.0)}
    assert list(table) == [1, 2, 5, 10, 20, 49, 84]
    assert table[84].value == pytest.approx(84 * 12.5**0.5 / 2)
    assert table[84].worst == pytest.approx(84 * 4 / 2)


def test_nrmse_of_the_mean():
    """Of forecasts of the mean from every phase of a sine it is 1 at every step."""
    phases = np.arange(16) / 16 * 2 * np.pi
    errors = np.abs(np.sin(phases[:, None] + 0.3 * np.arange(30)))
    values = [row.value for row in nrmse_by_step(errors, std=0.5**0.5)]
    assert values == pytest.approx([1.0] * len(values))


def test_symmetric_errors():
    """200 |p - v| / (|p| + |v|): 0 where both are 0, 200 for a wrong sign, a zero, and infinity."""
    prediction = np.array([1.0, 3.0, -1.0, 0.0, 0.0, 2.0, np.nan, np.inf, -np.inf])
    truth = np.array([1.0, 1.0, 1.0, 0.0, 2.0, 0.0, 0.0, 1.0, -1.0])
    expected = [0, 100, 200, 0, 200, 200, 200, 200, 200]
    np.testing.assert_allclose(symmetric_errors(prediction, truth), expected)
    np.testing.assert_array_equal(
        symmetric_errors(truth[:6], prediction[:6]), symmetric_errors(prediction[:6], truth[:6])
    )


def test_smape_by_horizon():
    """Cumulative, over the channels together: median and worst of the origins."""
    truth = np.ones((3, 4, 2))
    prediction = np.ones((3, 4, 2))
    prediction[0, 2:, 0] = 3.0  # half the steps, half the channels, 100 each
    prediction[2] = -1.0
    first, _, last = smape_by_horizon(prediction, truth)
    assert (first.horizon, first.value, first.worst) == (1, 0, 200)
    assert (last.horizon, last.value, last.worst) == (4, 25, 200)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_measures_of_a_diverged_run(bad: float):
    """NRMSE is infinite from there on, sMAPE at most 200."""
    errors = np.ones((2, 10))
    errors[0, 9] = bad
    assert [row.value for row in nrmse_by_step(errors, std=1.0)] == [1, 1, 1, np.inf]
    prediction = errors[:, :, None]
    assert smape_by_horizon(prediction, np.ones_like(prediction))[-1].worst == pytest.approx(20)


def test_r_squared():
    """Of a perfect, a mean and a scaled prediction."""
    truth = np.sin(np.arange(628) * 0.01 * 2)[None, :, None]
    assert r_squared(truth, truth) == 1
    assert r_squared(np.full_like(truth, truth.mean()), truth) == pytest.approx(0, abs=1e-12)
    halved = truth.mean() + 0.5 * (truth - truth.mean())
    assert r_squared(halved, truth) == pytest.approx(0.75)


def test_r_squared_takes_each_channels_own_mean():
    truth = np.stack([np.zeros(4), np.full(4, 10.0)], axis=1) + np.array([[1.0], [-1], [1], [-1]])
    assert r_squared(np.array([[0.0, 10.0]] * 4), truth) == pytest.approx(0)


def test_no_r_squared():
    """A constant truth has none, and a diverged prediction none that is finite."""
    constant = np.full((1, 9, 1), 0.1)
    assert np.isnan(r_squared(constant + 1, constant))
    truth = np.arange(9.0)[None, :, None]
    assert not np.isfinite(r_squared(np.full_like(truth, 1e300), truth))


def test_valid_steps():
    """They are the first step beyond the limit."""
    linear = 0.1 * np.arange(1, 11)  # at step n the error is n / 10
    errors = np.array([linear, linear / 2, 3 * linear, np.full(10, np.nan)])
    np.testing.assert_array_equal(valid_steps(errors, limit=0.55), [6, np.inf, 2, 1])


def test_an_error_at_the_limit_is_still_valid():
    np.testing.assert_array_equal(valid_steps(np.full((1, 5), 0.4), limit=0.4), [np.inf])
