from dataclasses import replace

import numpy as np
import pytest

from examples import make_evidence
from sinernn.evaluation.forecasts import Evidence, Forecasts
from sinernn.evaluation.metrics import error_unit


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


def test_errors_against_the_truth():
    """Errors are distances to the truth, not to what was observed."""
    errors = np.array([[1.0, 2, 3, 4], [0, 0, 0, 1]])
    np.testing.assert_allclose(forecasts(errors, channels=2).errors, errors, atol=1e-12)


def test_errors_of_channels_of_different_size():
    """Errors of several channels are in standard deviations of each; those of one in its unit."""
    evidence = make_evidence(lambda truth: truth + 0.1, channels=2)
    size = np.array([1.0, 1000.0])
    std = evidence.std * size
    forecasts = evidence.closed_loop
    large = replace(
        forecasts,
        truth=forecasts.truth * size,
        prediction=forecasts.truth[:, forecasts.warmup :] * size + [0.0, 100.0],
        unit=error_unit(std),
    )
    error = 100 / std[1] / np.sqrt(2)
    np.testing.assert_allclose(large.errors, error)
    found = replace(evidence, closed_loop=large, std=std)
    assert found.spread == 1
    np.testing.assert_allclose(found.of_channel(1).closed_loop.errors, 100)
    assert found.of_channel(1).spread == pytest.approx(std[1])


@pytest.mark.parametrize("std", [[2.0, 0.0], [0.0]])
def test_error_unit_of_a_constant(std: list[float]):
    """There is none: its errors stay as they are."""
    assert error_unit(np.array(std))[-1] == 1


def test_warmup_of_a_forecast():
    """It is what comes before the prediction."""
    assert forecasts(np.zeros((2, 5)), warmup=7).warmup == 7
    assert forecasts(np.zeros((2, 5)), warmup=7).steps == 5


def test_diverged_at():
    """A forecast diverges at its first step that is not finite."""
    errors = np.ones((3, 10))
    errors[1, 4:] = np.nan
    assert forecasts(errors).diverged_at == [None, 5, None]


@pytest.mark.parametrize(
    ("totals", "origin"), [([5.0, 1, 3], 2), ([1.0, np.nan, 2], 2), ([4.0, 2], 0), ([7.0], 0)]
)
def test_the_typical_origin_is_a_median_one(totals: list[float], origin: int):
    assert forecasts(np.array(totals)[:, None] * np.ones(6)).typical == origin


@pytest.mark.parametrize("has_inputs", [False, True])
@pytest.mark.parametrize("period", [2 * np.pi, None])
def test_evidence_comes_back_from_its_arrays(period: float | None, has_inputs: bool):
    evidence = make_evidence(period=period, channels=2)
    if has_inputs:
        read = replace(evidence.closed_loop, inputs=evidence.closed_loop.observed[:, :, :1])
        evidence = replace(evidence, closed_loop=read)
    arrays = evidence.arrays()
    back = Evidence.from_arrays(arrays)
    assert (back.time_step, back.period) == (evidence.time_step, evidence.period)
    for name, value in back.arrays().items():
        np.testing.assert_array_equal(value, arrays[name])
    np.testing.assert_array_equal(back.closed_loop.truth, evidence.closed_loop.truth)


def test_open_loop_in_the_file():
    """The file keeps as much of the open loop as a figure shows."""
    kept = make_evidence(steps=5000).arrays()
    assert kept["open_loop.prediction"].shape == (1, 2000, 1)
    assert kept["closed_loop.prediction"].shape == (3, 5000, 1)


@pytest.mark.parametrize("name", ["times", "closed_loop.truth", "dynamics.free"])
def test_a_missing_array_is_reported(name: str):
    arrays = make_evidence().arrays()
    del arrays[name]
    with pytest.raises(ValueError, match=f"array {name} is missing"):
        Evidence.from_arrays(arrays)
