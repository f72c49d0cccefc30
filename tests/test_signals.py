import numpy as np
import pytest

from sinernn.signals import Sine


def test_the_tutorial_series_is_linspace_and_sin():
    series = Sine(length=50, starts=(0.0, 1.0, 2.0)).samples()

    expected = np.stack([np.sin(np.linspace(start, start + 10, 50)) for start in (0, 1, 2)])
    # float64 rounding of the sampling times, of size 1e-15, is all that differs.
    np.testing.assert_allclose(series.observed[:, :, 0], expected, atol=5e-15)


def test_every_parameter_of_the_wave_means_what_it_says():
    series = Sine(
        amplitude=3, period=2, phase=0.5, offset=-1, time_step=0.25, length=9, starts=(4.0,)
    ).samples()

    time = 4 + 0.25 * np.arange(9)
    np.testing.assert_allclose(series.time[0], time)
    np.testing.assert_allclose(series.clean[0, :, 0], 3 * np.sin(np.pi * time + 0.5) - 1)
    assert series.time_step == 0.25


def test_a_sampled_sine_obeys_its_two_term_recurrence():
    x = Sine(period=3.0, time_step=0.1, length=200).samples().clean[0, :, 0]
    np.testing.assert_allclose(
        x[2:], 2 * np.cos(2 * np.pi / 3 * 0.1) * x[1:-1] - x[:-2], atol=1e-13
    )


def test_without_noise_observed_and_clean_are_equal():
    series = Sine(length=20).samples()
    np.testing.assert_array_equal(series.observed, series.clean)


def test_noise_has_the_standard_deviation_asked_for():
    series = Sine(length=100_000, noise_std=0.3).samples()
    noise = series.observed - series.clean
    # The standard error of a standard deviation is its size over sqrt(2 n): 0.2 %; five of them.
    assert noise.std() == pytest.approx(0.3, rel=0.012)
    assert noise.mean() == pytest.approx(0, abs=0.005)


def test_noise_is_data_drawn_by_its_own_seed_alone():
    first = Sine(length=30, noise_std=1.0, noise_seed=1).samples().observed
    again = Sine(length=30, noise_std=1.0, noise_seed=1).samples().observed
    other = Sine(length=30, noise_std=1.0, noise_seed=2).samples().observed
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).any()


def test_a_segment_keeps_its_noise_when_segments_are_added():
    one = Sine(length=30, noise_std=1.0, starts=(0.0,)).samples()
    two = Sine(length=30, noise_std=1.0, starts=(0.0, 0.0)).samples()
    np.testing.assert_array_equal(one.observed[0], two.observed[0])
    assert not np.isclose(two.observed[0], two.observed[1]).any()
