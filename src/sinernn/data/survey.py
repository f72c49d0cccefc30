"""What a series is like: its period, its noise, and whether it is irregular."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sinernn.arrays import Float

LONGEST = 20_000  # samples that are looked at, the latest of a segment: more change little

NOISY = 0.01
"""Noise, in standard deviations, above which training must not fit every sample."""

_LEAST_PERIODS = 2.5  # fewer cannot be told from a trend
_HARMONICS = 6
_FINE = 8  # points of the periodogram for each of its frequencies
_BAND = 2  # bins of the spectrum on either side of a peak: half the main lobe of a Hann window
_DOMINANT = 0.3  # share of the variance at a period and its harmonics
_FIRST_HARMONIC = 0.1  # share of the peak's power that its fundamental must add
_SHARP = 10  # times the median power around it that a fundamental has; noise has up to 6
_ORDER = 32  # lags of the linear predictor
_DELAYS = 8  # samples that stand for a state of the series
_NEIGHBOURS = 24
_LIBRARY, _QUERIES = 4000, 250  # states: time and memory grow with their product
_HELD_OUT = 0.25  # share of a segment, its end, that is predicted
_NONLINEAR = 0.5  # ratio of the errors below which a series is irregular
_LINES = 0.8  # share of the variance in a few lines above which a series is regular
_ROUNDING = 1e-10  # of the standard deviation


@dataclass(frozen=True)
class Survey:
    """What a series is like, as far as its samples show."""

    period: float | None
    """Samples in the dominant oscillation; None if it has no third of the variance of a channel."""

    cycle: float
    """Samples in a typical oscillation: the period, or without one the inverse of the mean
    frequency."""

    noise: float
    """Error of the best one-step prediction without a network, in standard deviations: an upper
    bound of the noise."""

    is_irregular: bool
    """Whether it is not a sum of a few oscillations, and similar states predict it: a chaotic
    series."""

    trend: float
    """Share of the variance that is a straight line."""

    @property
    def kind(self) -> Literal["regular", "irregular", "noisy"]:
        """What kind of training suits it."""
        if self.is_irregular:
            return "irregular"
        return "regular" if self.noise < NOISY else "noisy"


def survey_series(segments: Sequence[Float[np.ndarray, "_ channel"]], *, inputs: int = 0) -> Survey:
    """Look at segments of a series.

    Args:
        segments: Samples of each segment. The longest one is examined.
        inputs: How many of the channels, the last ones, are not predicted.
    """
    longest = max(segments, key=len)[-LONGEST:]
    outputs, driven = np.split(longest, [longest.shape[1] - inputs], axis=1)
    scaled, driven = _scaled(outputs), _scaled(driven)
    if len(scaled) < 8 or not scaled.shape[1]:
        return Survey(period=None, cycle=4.0, noise=1.0, is_irregular=False, trend=0.0)
    time = np.linspace(-1, 1, len(scaled))[:, None]
    line = time * (time * scaled).mean(axis=0) / (time**2).mean()
    linear, local = prediction_errors(scaled, driven)
    power = _periodogram(scaled - line)
    frequency = np.average(np.arange(len(power)), weights=power) / len(scaled)
    period = dominant_period(scaled - line)
    return Survey(
        period=period,
        cycle=period or min(1 / float(frequency), len(scaled) / _LEAST_PERIODS),
        noise=min(linear, local, 1.0),
        is_irregular=not inputs  # otherwise it follows them
        and (
            (local < _NONLINEAR * linear and local < _NONLINEAR)
            or (min(linear, local) < NOISY and _share_of_lines(power) < _LINES)
        ),
        trend=float(np.square(line).mean()),
    )


def _scaled(samples: Float[np.ndarray, "n channel"]) -> Float[np.ndarray, "n moving"]:
    """Return the channels that are not constant, with mean 0 and standard deviation 1."""
    moving = samples[:, samples.std(axis=0) > _ROUNDING * np.abs(samples).max(axis=0)]
    return (moving - moving.mean(axis=0)) / moving.std(axis=0)


def dominant_period(samples: Float[np.ndarray, "n channel"]) -> float | None:
    """Return the period, in samples, of the oscillation with the largest share of the variance.

    The peak of a periodogram with a Hann window, summed over the channels. If the peak is a
    harmonic (an oscillation with a sharp peak may have more power at twice its frequency), the
    period is that of its fundamental.

    Returns:
        None if the period and its harmonics have less than a third of the variance of any channel.
    """
    n = len(samples)
    power, fine = _periodogram(samples), _periodogram(samples, _FINE * n)
    first = int(np.ceil(_LEAST_PERIODS))
    if len(power) <= first + _BAND or power[first:].sum() <= 0:
        return None
    start = round(_FINE * _LEAST_PERIODS)
    peak = (start + int(fine[start:].argmax())) / _FINE  # periods in the segment
    if peak == _LEAST_PERIODS:  # power still rises towards slower motion
        return None

    def share(cycles: float, power: Float[np.ndarray, " frequency"] = power) -> float:
        centres = np.rint(cycles * np.arange(1, _HARMONICS + 1)).astype(int)
        bins = {i for c in centres.tolist() for i in range(c - _BAND, c + _BAND + 1)}
        return float(
            power[[i for i in bins if first <= i < len(power)]].sum()
            / max(power[first:].sum(), np.finfo(float).tiny)
        )

    for divisor in (2, 3):
        cycles = peak / divisor
        near = fine[round(_FINE * (cycles - 0.5)) : round(_FINE * (cycles + 0.5)) + 1]
        around = fine[max(round(_FINE * (cycles - 8)), 0) : round(_FINE * (cycles + 8)) + 1]
        least = max(_FIRST_HARMONIC * fine[round(_FINE * peak)], _SHARP * np.median(around))
        is_there = cycles >= 2 * first and near.max() > least
        if is_there and share(cycles) > share(peak) + _FIRST_HARMONIC:
            peak = cycles
            break
    by_channel = [_periodogram(channel[:, None]) for channel in samples.T]
    return n / peak if max(share(peak, each) for each in by_channel) >= _DOMINANT else None


def _periodogram(
    samples: Float[np.ndarray, "n channel"], padded: int | None = None
) -> Float[np.ndarray, " frequency"]:
    """Return the power at each number of periods in so many samples, of all channels together."""
    window = np.hanning(len(samples))[:, None]
    return np.square(np.abs(np.fft.rfft(window * samples, padded, axis=0))).sum(axis=1)


def _share_of_lines(power: Float[np.ndarray, " frequency"]) -> float:
    """Return the share of the variance in the strongest lines of a spectrum."""
    left = power.copy()
    for _ in range(_HARMONICS):
        peak = int(left.argmax())
        left[max(peak - _BAND, 0) : peak + _BAND + 1] = 0
    return 1 - float(left.sum() / power.sum())


def prediction_errors(
    samples: Float[np.ndarray, "n channel"], inputs: Float[np.ndarray, "n input"]
) -> tuple[float, float]:
    """Return the one-step errors of two predictors on the end of a series, in its units.

    The first is linear, fitted by least squares to the lags of all channels and inputs. The second
    is linear among the nearest neighbours of a channel's last samples alone, so that it follows a
    nonlinear rule.
    """
    n, channels = samples.shape
    split = n - max(2, round(_HELD_OUT * n))
    order = max(1, min(_ORDER, split // (4 * (channels + inputs.shape[1]))))
    both = np.column_stack([samples, inputs])
    lagged = np.lib.stride_tricks.sliding_window_view(both, order + 1, axis=0)
    rows, targets = lagged[..., :-1].reshape(len(lagged), -1), lagged[:, :channels, -1]
    known = max(split - order, 1)
    design = np.column_stack([np.ones(len(rows)), rows])
    weights = np.linalg.lstsq(design[:known], targets[:known], rcond=1e-10)[0]
    linear = float(np.sqrt(np.square(design[known:] @ weights - targets[known:]).mean()))
    errors = [_local_error(samples[:, channel], split) for channel in range(channels)]
    return linear, float(np.sqrt(np.mean(np.square(errors))))


def _local_error(samples: Float[np.ndarray, " n"], split: int) -> float:
    """Return the root mean square error of local linear prediction after `split`."""
    windows: np.ndarray = np.lib.stride_tricks.sliding_window_view(samples, _DELAYS + 1)
    library, queries = windows[: max(split - _DELAYS, 0)][-_LIBRARY:], windows[split - _DELAYS :]
    if len(library) < 2 * _NEIGHBOURS or split < _DELAYS:
        return float("inf")
    queries = queries[np.linspace(0, len(queries) - 1, min(_QUERIES, len(queries))).astype(int)]
    states, now = library[:, :-1], queries[:, :-1]
    distances = np.square(states).sum(axis=1) - 2 * now @ states.T
    nearest = np.argpartition(distances, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    deviations = states[nearest] - now[:, None]
    design = np.concatenate([np.ones((*nearest.shape, 1)), deviations], axis=2)
    weights = np.linalg.pinv(design, rcond=1e-3) @ library[nearest, -1:]
    return float(np.sqrt(np.square(weights[:, 0, 0] - queries[:, -1]).mean()))
