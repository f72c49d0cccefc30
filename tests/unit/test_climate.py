"""Whether a free run has the statistics of the series."""

from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from sinernn.data.delays import MackeyGlass
from sinernn.evaluation.climate import (
    STRETCH,
    Climate,
    compare_climates,
    describe_departures,
    estimate_exponent,
)
from sinernn.refine.stages import Refine

STEPS = np.arange(2000)[:, None]
SINE = np.sin(0.2 * STEPS)


def compare(run: np.ndarray, truth: np.ndarray = SINE) -> Climate:
    (found,) = compare_climates(run[None], [truth])
    return found


def test_climate_of_another_phase():
    """A free run at another phase has the same statistics."""
    found = compare(np.sin(0.2 * STEPS + 1))
    # A stretch holds 15.9 periods: the tenth that is missing changes its variance by 1%.
    assert found.std_ratio == pytest.approx(1, abs=0.01)
    assert found.range_ratio == pytest.approx(1, abs=1e-3)
    assert found.mean_shift < 0.01
    assert found.spectral_distance < 1e-3
    assert found.is_similar


@pytest.mark.parametrize("factor", [0.7, 1.3, 0.0])
def test_climate_of_another_amplitude(factor: float):
    found = compare(factor * SINE)
    assert found.std_ratio == pytest.approx(factor, rel=0.01)
    assert found.range_ratio == pytest.approx(factor, rel=1e-3)
    assert not found.is_similar


@pytest.mark.parametrize(("steps", "ratio"), [(2 * STRETCH, 0.5), (STRETCH, 0.8)])
def test_climate_of_a_short_departure(steps: int, ratio: float):
    """It is visible in its own steps, not in all; one calm stretch can be the series' own."""
    is_calm = np.isin(STEPS, np.arange(1000, 1000 + steps))
    run = np.where(is_calm, 0.5, 1.0) * SINE
    assert compare(run).std_ratio == pytest.approx(ratio, abs=0.01)


def test_climate_of_another_mean():
    found = compare(SINE + 0.3)
    assert found.mean_shift == pytest.approx(0.3 * np.sqrt(2), rel=0.01)


def test_climate_of_another_frequency():
    found = compare(np.sin(0.3 * STEPS))
    assert found.spectral_distance == pytest.approx(1, abs=0.01)
    assert not found.is_similar


def test_climate_of_one_tone_of_two():
    """Half of the variance is missing."""
    truth = SINE + np.sin(0.5 * STEPS)
    assert compare(np.sqrt(2) * SINE, truth).spectral_distance == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("value", [np.nan, 1e200])
def test_climate_of_divergence(value: float):
    found = compare(np.where(STEPS < 900, SINE, value))
    assert np.isinf(found.std_ratio)
    assert not found.is_similar


@pytest.mark.parametrize(
    ("run", "truth"),
    [
        pytest.param(SINE[: STRETCH - 1], SINE, id="short run"),
        pytest.param(SINE, SINE[: STRETCH - 1], id="short series"),
        pytest.param(SINE, np.sin(0.002 * STEPS), id="slow series"),
    ],
)
def test_climate_too_short_to_compare(run: np.ndarray, truth: np.ndarray):
    assert compare_climates(run[None], [truth]) == []


def test_shortest_climate_steps():
    """Free runs that select a network are long enough to compare."""
    assert Refine(climate_steps=STRETCH).climate_steps == STRETCH
    with pytest.raises(ValidationError, match="greater than or equal to 500"):
        Refine(climate_steps=STRETCH - 1)


def test_climate_leaves_out_short_segments():
    (whole,) = compare_climates(SINE[None], [SINE])
    (found,) = compare_climates(SINE[None], [SINE, 9 * SINE[:100]])
    assert found == whole


def test_exponent_of_a_sine():
    """Neighbours keep their distance."""
    assert estimate_exponent(SINE) == pytest.approx(0, abs=1e-4)


def test_exponent_of_the_logistic_map():
    """It is log 2 of x' = 4 x (1 - x); the estimate is good to a factor of two."""
    samples = [0.3]
    while len(samples) < 2000:
        samples.append(4 * samples[-1] * (1 - samples[-1]))
    exponent = estimate_exponent(np.array(samples)[:, None])
    assert np.log(2) / 2 < exponent < 2 * np.log(2)


def test_exponent_of_mackey_glass():
    """It is about 5.3e-3: so fast does a change of 1e-12 in the initial value grow."""
    samples = MackeyGlass(kind="mackey_glass", length=3000).read().clean
    assert 3e-3 < estimate_exponent(samples) < 12e-3


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(SINE[:200], id="too few samples"),
        pytest.param(np.random.default_rng(0).normal(size=(2000, 1)), id="noise"),
    ],
)
def test_exponent_that_cannot_be_estimated(samples: np.ndarray):
    assert np.isnan(estimate_exponent(samples))


def test_words_about_departures():
    runs = [compare(0.5 * np.sin(0.3 * STEPS)), compare(SINE)]
    assert describe_departures(runs, Counter({"limit cycle": 1}), of=2, may_cycle=False) == (
        "1 of 2 free runs left the attractor: limit cycle (1), where the series has none; "
        "standard deviation 0.5 x the truth's over 500 steps, 100% of the variance at other "
        "frequencies"
    )
    diverged = [compare(SINE * np.nan)]
    assert describe_departures(diverged, Counter({"divergence": 1}), of=1, may_cycle=True) == (
        "1 of 1 free runs left the attractor: divergence (1)"
    )


def test_words_about_runs_that_stand_still():
    """Such a run has no frequencies that could differ, not even those of rounding."""
    still = [compare(SINE), compare(1e-17 * np.sin(2 * STEPS))]
    words = describe_departures(still, Counter({"fixed point": 1}), of=2, may_cycle=True)
    assert words.startswith("1 of 2 free runs left the attractor: fixed point (1); standard ")
    assert words.endswith(" x the truth's over 500 steps")


def test_a_chaotic_series_keeps_its_own_climate():
    """With a delay of 30 the standard deviation of 500 steps varies by a fifth."""
    series = MackeyGlass(kind="mackey_glass", length=20000, delay=30).read().clean
    runs = np.stack([series[start : start + 2000] for start in range(0, 16000, 1000)])
    found = compare_climates(runs, [series[-2000:]])
    assert len(found) == len(runs)
    assert all(climate.is_similar for climate in found)
