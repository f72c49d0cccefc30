import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinernn.evaluation.periodic import compare_oscillations, fit_sinusoid, least_squares

TIME = np.arange(2000)
FREQUENCY = 10 / 49  # the tutorial's sine, rad a sample


@given(
    periods=st.floats(1.2, 80),
    phase_rad=st.floats(-3.1, 3.1),
    amplitude=st.floats(1e-3, 1e3),
    offset=st.floats(-5, 5),
)
def test_the_fit_of_a_sinusoid_is_exact(
    periods: float, phase_rad: float, amplitude: float, offset: float
):
    frequency = 2 * np.pi * periods / 400
    fit = fit_sinusoid(offset + amplitude * np.sin(frequency * np.arange(400) + phase_rad))
    assert fit is not None
    # Rounding of the offset is error of the wave; 1e-7 leaves room for amplitude 1e-3 beside 5.
    assert fit.frequency == pytest.approx(frequency, rel=1e-7)
    assert fit.amplitude == pytest.approx(amplitude, rel=1e-7)
    assert fit.offset == pytest.approx(offset, abs=1e-7 * max(amplitude, 1))
    assert np.exp(1j * fit.phase_rad) == pytest.approx(np.exp(1j * phase_rad), abs=1e-6)
    assert fit.explained == pytest.approx(1)


def test_fit_in_noise():
    """The error is near the Cramer-Rao bound.

    Var(frequency) >= 12 (noise / amplitude)^2 2 / (n (n^2 - 1)): Rife and Boorstyn, eq. 17.
    """
    n, noise = len(TIME), 0.5
    bound = np.sqrt(24 * noise**2 / (n * (n**2 - 1)))
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(50):
        fit = fit_sinusoid(np.sin(FREQUENCY * TIME) + noise * generator.normal(size=n))
        assert fit is not None
        errors.append(fit.frequency - FREQUENCY)
    # 50 draws know a standard deviation to 10%; three times that either way.
    assert 0.7 * bound < np.std(errors) < 1.3 * bound


def test_detuned_sine():
    """It has its frequency error and phase drift."""
    run = np.sin(1.001 * FREQUENCY * TIME)
    found = compare_oscillations(run, np.sin(FREQUENCY * TIME))
    assert found is not None
    assert found.frequency_error == pytest.approx(1e-3, rel=1e-9)
    assert found.phase_drift == pytest.approx(1000 * 1e-3 * FREQUENCY, rel=1e-9)
    assert found.amplitude_ratio == pytest.approx(1)


@pytest.mark.parametrize("shift_rad", [-3.0, -0.1, 0.2, 1.5])
def test_shifted_sine(shift_rad: float):
    """It has its shift and no drift."""
    found = compare_oscillations(
        0.5 * np.sin(FREQUENCY * TIME + shift_rad), np.sin(FREQUENCY * TIME)
    )
    assert found is not None
    assert found.phase_shift_rad == pytest.approx(shift_rad, abs=1e-9)
    assert found.phase_drift == pytest.approx(0, abs=1e-9)
    assert found.frequency_error == pytest.approx(0, abs=1e-12)
    assert found.amplitude_ratio == pytest.approx(0.5)


def test_the_tutorials_horizon_is_long_enough():
    found = compare_oscillations(
        np.sin(1.02 * FREQUENCY * TIME[:49]), np.sin(FREQUENCY * TIME[:49])
    )
    assert found is not None
    assert found.frequency_error == pytest.approx(0.02, rel=1e-6)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(np.full(2000, 0.3), id="a constant"),
        pytest.param(np.where(TIME < 1000, np.sin(FREQUENCY * TIME), np.nan), id="a diverging run"),
        pytest.param(np.exp(-TIME / 5), id="a run that falls to a line"),
        pytest.param(np.random.default_rng(0).normal(size=2000), id="noise"),
        pytest.param(TIME * 1.0, id="a drift"),
    ],
)
def test_what_does_not_oscillate_is_not_compared(run: np.ndarray):
    assert compare_oscillations(run, np.sin(FREQUENCY * TIME)) is None


def test_too_short_a_series_has_no_fit():
    assert fit_sinusoid(np.array([0.0, 1, 0, -1])) is None
    assert (
        compare_oscillations(np.sin(FREQUENCY * TIME[:20]), np.sin(FREQUENCY * TIME[:20])) is None
    )


def test_dependent_columns():
    """The solution is the shortest."""
    column = np.arange(5.0)
    design = np.stack([column, column], axis=1)
    np.testing.assert_allclose(least_squares(design, 3 * column), [1.5, 1.5])
