"""Waveforms: Fourier coefficients, recurrences and identities."""

import numpy as np
import pytest

from sinernn.data import waves
from sinernn.data.synthetic import Sine, Wave

SAMPLES = 240
"""In a period: a multiple of every duty below."""


def one_period(kind: type[Wave], **settings) -> np.ndarray:
    name = kind.model_fields["kind"].annotation.__args__[0]
    settings = {"period": 3.0, "time_step": 3 / SAMPLES, "length": SAMPLES} | settings
    return kind(kind=name, **settings).read().clean[:, 0]


def harmonics(samples: np.ndarray) -> np.ndarray:
    """Coefficients of sin(2 pi k t / period), of every k below the Nyquist frequency."""
    return -2 * np.fft.rfft(samples).imag[1:-1] / len(samples)


K = np.arange(1, SAMPLES // 2)
STEP = np.pi / SAMPLES


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (waves.Square, np.where(K % 2, 4 / SAMPLES / np.tan(K * STEP), 0)),
        (waves.Triangle, np.where(K % 2, (8 / SAMPLES**2) * np.sin(np.pi * K / 2) / np.sin(K * STEP) ** 2, 0)),
        (waves.Sawtooth, -2 / SAMPLES / np.tan(K * STEP)),
    ],
)  # fmt: skip
def test_fourier_coefficients(kind: type[Wave], expected: np.ndarray):
    """Those of the sampled wave, in closed form; 4 / pi k, 8 / pi² k² and 2 / pi k for many samples.

    Tolerance: a sample is shifted by 1e-9 periods, where the sawtooth rises by 2e-9.
    """
    np.testing.assert_allclose(harmonics(one_period(kind)), expected, atol=1e-8)
    assert expected[0] == pytest.approx(
        {waves.Square: 4 / np.pi, waves.Triangle: 8 / np.pi**2, waves.Sawtooth: -2 / np.pi}[kind],
        rel=1e-3,
    )


@pytest.mark.parametrize("duty", [0.1, 0.5, 0.75])
def test_duty(duty: float):
    """The square wave is high for this fraction of a period, first."""
    wave = one_period(waves.Square, duty=duty, amplitude=2.0, offset=1.0)
    np.testing.assert_array_equal(
        wave, np.repeat([3.0, -1.0], [SAMPLES * duty, SAMPLES * (1 - duty)])
    )


@pytest.mark.parametrize("kind", [waves.Square, waves.Triangle, waves.Sawtooth, waves.ImpulseTrain])
@pytest.mark.parametrize("time_step", [0.1, 0.3, 0.7])
def test_rounding_of_times(kind: type[Wave], time_step: float):
    """Every period has the same samples, although its times are rounded."""
    wave = one_period(kind, period=21.0, time_step=time_step, length=30_000)
    samples = round(21 / time_step)
    repeated = np.tile(wave[:samples], len(wave) // samples)
    np.testing.assert_allclose(wave[: len(repeated)], repeated, atol=1e-9)


def test_phase_of_waves():
    """A quarter of a period is a phase of pi / 2."""
    for kind in (waves.Square, waves.Triangle, waves.Sawtooth):
        shifted = one_period(kind, phase=np.pi / 2)
        np.testing.assert_allclose(shifted, np.roll(one_period(kind), -SAMPLES // 4), atol=1e-12)


def test_impulses():
    """One sample a period, also if its length is no whole number of samples."""
    wave = one_period(waves.ImpulseTrain, period=2.5, time_step=1.0, length=10, amplitude=3.0)
    np.testing.assert_array_equal(wave, 3.0 * np.array([1, 0, 0, 1, 0, 1, 0, 0, 1, 0]))


def test_modulated_amplitude():
    """It is a carrier and two side bands: a sum of three sine waves."""
    wave = one_period(
        waves.AmplitudeModulated, period=3.0, modulation_period=12.0, depth=0.4, length=300
    )

    def tone(frequency: float) -> np.ndarray:
        # A cosine, as sin a sin b = (cos(a - b) - cos(a + b)) / 2.
        phase = np.pi / 2 * (frequency != 1 / 3)
        sine = Sine(period=1 / frequency, phase=phase, time_step=3 / SAMPLES, length=300)
        return sine.read().clean[:, 0]

    carrier, lower, upper = tone(1 / 3), tone(1 / 3 - 1 / 12), tone(1 / 3 + 1 / 12)
    np.testing.assert_allclose(wave, carrier + 0.2 * (lower - upper), atol=1e-12)


def test_damped_oscillation():
    """It obeys the recurrence of a damped linear oscillator."""
    x = one_period(waves.Damped, period=3.0, decay_time=2.0, time_step=0.1, length=100)
    factor = np.exp(-0.1 / 2.0)
    expected = 2 * factor * np.cos(2 * np.pi / 3 * 0.1) * x[1:-1] - factor**2 * x[:-2]
    np.testing.assert_allclose(x[2:], expected, atol=1e-14)


def test_frequency_of_a_chirp():
    """Zero crossings are where the phase is a multiple of pi; the phase has no jumps."""
    settings = {
        "period": 4.0,
        "end_period": 1.0,
        "sweep": 16.0,
        "time_step": 1e-3,
        "length": 32_000,
    }
    x = one_period(waves.Chirp, **settings)
    time = 1e-3 * np.arange(len(x))
    crossings = time[1:][np.diff(np.signbit(x))]
    # Cycles in a sweep: t / 4 + (3 / 4) t² / 32, which is 10 at its end.
    expected = [-16 / 3 + np.sqrt((16 / 3) ** 2 + 128 / 3 * n / 2) for n in range(1, 20)]
    np.testing.assert_allclose(crossings[:19], expected, atol=2e-3)
    np.testing.assert_allclose(x[16_000:], x[:16_000], atol=1e-9)  # a whole number of cycles
    bumpy = one_period(waves.Chirp, **settings | {"sweep": 15.7})
    assert np.abs(np.diff(bumpy)).max() < 2 * np.pi * 1e-3
