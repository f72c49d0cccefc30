"""Fit sinusoids to waveforms, and compare their frequencies, phases and amplitudes."""

from dataclasses import dataclass

import numpy as np

from sinernn.arrays import Float

_ITERATIONS = 20  # Gauss-Newton from a periodogram's peak converges in about 5
_CONVERGED = 1e-12  # of the frequency: a smaller step is the last
_STILL = 1e-9  # of the largest sample: an oscillation below it is rounding


@dataclass(frozen=True)
class Sinusoid:
    """x[n] = offset + amplitude sin(frequency n + phase)."""

    frequency: float
    """Rad a sample."""

    amplitude: float
    """In the samples' units, as is the offset."""

    phase_rad: float
    """At the first sample, in (-pi, pi]."""

    offset: float
    explained: float
    """Share of the samples' variance; 1 for a pure sinusoid."""


def fit_sinusoid(samples: Float[np.ndarray, " n"]) -> Sinusoid | None:
    """Fit frequency, amplitude, phase and offset by nonlinear least squares.

    Gauss-Newton on all four parameters, from the peak of a zero-padded periodogram. In white
    Gaussian noise least squares is maximum likelihood, and nearly attains the Cramer-Rao bound.

    Args:
        samples: Evenly spaced; a fit to less than a period of them is unreliable.

    Returns:
        None for fewer than 5 samples, samples that are not finite, and a constant.

    Source:
        Händel (2000), "Properties of the IEEE-STD-1057 four-parameter sine wave fit algorithm",
        IEEE Transactions on Instrumentation and Measurement 49, 1189-1193; for the starting
        point Rife and Boorstyn (1974), IEEE Transactions on Information Theory 20, 591-598.
    """
    n = len(samples)
    if n < 5 or not np.isfinite(samples).all():
        return None
    largest = float(np.abs(samples).max())
    if np.ptp(samples) <= _STILL * largest:
        return None
    deviation = samples / largest - (samples / largest).mean()  # sums of huge samples overflow
    scaled = deviation / np.abs(deviation).max()
    scale = largest * float(np.abs(deviation).max())
    padded = 1 << (8 * n - 1).bit_length()
    frequency = 2 * np.pi / padded * (1 + int(np.abs(np.fft.rfft(scaled, padded))[1:].argmax()))
    time = np.linspace(-(n - 1) / 2, (n - 1) / 2, n)  # phase and frequency decouple at its centre
    weights = np.array([0.0, 1.0, 0.0, 0.0])
    design = np.ones((4, n))  # cosine, sine, offset, derivative by frequency
    for _ in range(_ITERATIONS):
        angle = frequency * time
        design[0], design[1] = np.cos(angle), np.sin(angle)
        design[3] = (weights[1] * design[0] - weights[0] * design[1]) * (time / n)
        weights = least_squares(design.T, scaled)
        step = float(weights[3]) / n
        frequency = min(max(frequency + step, np.pi / n), np.pi)  # half a period; Nyquist
        if abs(step) < _CONVERGED * frequency:
            break
    fitted = weights[:3] @ design[:3]
    phase = np.arctan2(weights[0], weights[1]) + frequency * time[0]
    return Sinusoid(
        frequency=frequency,
        amplitude=scale * float(np.hypot(weights[0], weights[1])),
        phase_rad=_wrapped(float(phase)),
        offset=float(samples.mean() + scale * weights[2]),
        explained=float(1 - np.sum((scaled - fitted) ** 2) / np.sum(scaled**2)),
    )


def least_squares(
    design: Float[np.ndarray, "n k"], samples: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " k"]:
    """Return the weights of a least-squares fit of the columns to the samples.

    It solves the normal equations: sines and cosines are nearly orthogonal, so that squaring the
    condition number costs no accuracy. For dependent columns it returns the shortest weights.
    """
    gram = design.T @ design
    return np.asarray(np.linalg.lstsq(gram, design.T @ samples, rcond=1e-13)[0])


@dataclass(frozen=True)
class Oscillation:
    """Oscillation of a free run, compared with the truth's."""

    frequency_error: float
    """Relative: 0.01 is one percent too fast."""

    phase_drift: float
    """Phase gained on the truth, in rad per 1000 steps."""

    phase_shift_rad: float
    """Phase ahead of the truth at the first step, in (-pi, pi]."""

    amplitude_ratio: float
    """Amplitude divided by the truth's."""


def compare_oscillations(
    prediction: Float[np.ndarray, " n"], truth: Float[np.ndarray, " n"]
) -> Oscillation | None:
    """Fit a sinusoid to a forecast and to the truth over the same steps, and compare them.

    Returns:
        None for a forecast that does not oscillate: the fitted sinusoid explains less than half of
        its variance, or completes less than a period.
    """
    run, true = fit_sinusoid(prediction), fit_sinusoid(truth)
    if not run or not true or run.explained < 0.5 or run.frequency * len(prediction) < 2 * np.pi:
        return None
    return Oscillation(
        frequency_error=run.frequency / true.frequency - 1,
        phase_drift=1000 * (run.frequency - true.frequency),
        phase_shift_rad=_wrapped(run.phase_rad - true.phase_rad),
        amplitude_ratio=run.amplitude / true.amplitude,
    )


def _wrapped(angle_rad: float) -> float:
    return float(np.angle(np.exp(1j * angle_rad)))
