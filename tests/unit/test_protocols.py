"""Scores and peers of the comparison with published forecasts (benchmarks/chaos.py)."""

from pathlib import Path

import numpy as np
import pytest

import protocols
from chaos import Result, read_results
from peers import analogue, next_generation_reservoir


def constant(value: float, steps: int = 90, channels: int = 1) -> np.ndarray:
    """Two forecasts of one value."""
    return np.full((2, steps, channels), value)


def test_smape_is_zero_to_two_hundred():
    """Over all steps: 100 at three times the truth."""
    truth = constant(1.0)
    assert protocols.smape(truth, truth) == pytest.approx([0, 0])
    assert protocols.smape(constant(3.0), truth) == pytest.approx([100, 100])
    assert protocols.smape(constant(-1.0), truth) == pytest.approx([200, 200])
    assert protocols.smape(constant(np.nan), truth) == pytest.approx([200, 200])


def test_valid_time_of_a_protocol():
    """The time before the first step at which the mean square is above 0.09; Lyapunov time 1/0.91."""
    truth, std = constant(0.0, channels=3), np.array([1.0, 2.0, 4.0])
    forecasts = np.zeros_like(truth)
    forecasts[0, 20:] = 0.31 * std
    forecasts[1, 20:] = 0.29 * std
    found = protocols.valid_time(forecasts, truth, std=std, time_step=0.01)
    assert found == pytest.approx([0.91 * 0.01 * 20, 0.91 * 0.01 * 89])


def test_nrmse_of_a_protocol():
    """Of a constant error it is that error in standard deviations, up to the true first sample."""
    found = protocols.nrmse(constant(2.0, 43, 3), constant(1.0, 43, 3), std=2.0, samples=44)
    assert found == pytest.approx(np.sqrt(43 / 44) / 2)


def test_error_84_steps_ahead():
    """In original coordinates: y = artanh(x) + 1."""
    forecasts, truth = np.tanh(constant(0.5)), np.tanh(constant(0.2))
    truth[:, 84:] = 0.9  # steps that do not count
    assert protocols.error_at_84(forecasts, truth, std=0.1) == pytest.approx([3, 3])


def test_euler_series_obeys_its_equation():
    """From a history at the fixed point x = 1 it does not move."""
    series = protocols.euler_mackey_glass(17, 50, history=1.0)
    np.testing.assert_allclose(series, 1.0, atol=1e-13)
    assert protocols.euler_mackey_glass(17, 50).std() > 0.1


def test_next_generation_reservoir():
    """The Hénon map is a polynomial of its last two samples: its forecasts are exact at first."""
    x = [0.1, 0.2]
    for _ in range(300):
        x.append(1 - 1.4 * x[-1] ** 2 + 0.3 * x[-2])
    series = np.array(x)[:, None]
    forecast, weights = next_generation_reservoir(series[:290], ridge=0.0)
    assert weights == 6
    np.testing.assert_allclose(forecast(series[None, :290], 5)[0], series[290:295], atol=1e-8)


def test_analogue_of_a_periodic_series():
    """It has been there before: the forecast is exact."""
    series = np.sin(2 * np.pi / 20 * np.arange(200))[:, None]
    forecast, _ = analogue(series[:100])
    np.testing.assert_allclose(forecast(series[None, 20:100], 50)[0], series[100:150], atol=1e-12)


def test_data_that_is_missing(tmp_path: Path):
    """The message names the file."""
    with pytest.raises(
        ValueError, match=r"results_test_univariate.*: cannot be read \(No such file"
    ):
        next(protocols.gilpin(tmp_path))
    with pytest.raises(ValueError, match="gilpin needs --data"):
        next(protocols.gilpin(None))


def test_results_of_an_interrupted_table(tmp_path: Path):
    """Results that are stored are not computed again, also if the last line was cut."""
    stored = Result("p", "m", "t", 3, [0.5], 7, 1.0)
    path = tmp_path / "results.jsonl"
    path.write_text(stored.line + stored.line[:20], encoding="utf-8")
    assert read_results(path) == {stored.key: stored}
