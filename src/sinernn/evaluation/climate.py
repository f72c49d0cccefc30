"""The climate of free runs: their statistics over many steps, compared with the truth's.

Forecasts of a chaotic series fail sooner or later, however good the network; a good one stays on
the attractor all the same, and its free run has the statistics of the series.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sinernn.arrays import Float
from sinernn.evaluation.dynamics import Settled
from sinernn.evaluation.metrics import rmse
from sinernn.evaluation.periodic import least_squares

STRETCH = 500
"""Steps over which standard deviations and spectra are taken."""

STD_RATIOS = (0.8, 1.2)
"""Standard deviation of a stretch, divided by the truth's, of a free run on the attractor."""

MAX_SPECTRAL_DISTANCE = 0.75
"""Of a free run on the attractor: at least a quarter of its variance is at the truth's frequencies.
Stretches of a chaotic series differ by as much as 0.7."""

_TINY = 1e-300  # power of a free run that stands still
_STILL = 1e-6  # standard deviation, relative to the truth's, of a run that stands still
_DELAYS = 6  # samples that stand for a state of the series
_PAIRS = 250  # of neighbouring states, enough for a mean
_LONGEST = 5000  # samples among which neighbours are searched: time and memory grow with them

Stretches = Float[np.ndarray, "stretch channel step"]


@dataclass(frozen=True)
class Climate:
    """Statistics of a free run, relative to the truth's; infinite if it diverged."""

    mean_shift: float
    """Distance between the means, in standard deviations."""

    std_ratio: float
    """Of the stretch whose standard deviation is furthest from those of the truth's stretches,
    relative to the nearest of these: a chaotic series varies itself; 1 if it is between them. The
    next stretch must be as far: a long run has calm stretches that a short truth has not, but if it
    has left the attractor it stays away."""

    range_ratio: float
    spectral_distance: float
    """Share of the variance at other frequencies: from 0, equal spectra, to 1, disjoint ones."""

    @property
    def is_similar(self) -> bool:
        """Whether the free run can be on the attractor of the series."""
        low, high = STD_RATIOS
        return low <= self.std_ratio <= high and self.spectral_distance <= MAX_SPECTRAL_DISTANCE


def has_climate(truth: Sequence[Float[np.ndarray, "_ channel"]]) -> bool:
    """Whether the statistics of a series can be compared.

    They need a segment of 500 steps; and from stretch to stretch its standard deviation must not
    differ as much as it may differ between a free run and the series.
    """
    long = [segment for segment in truth if len(segment) >= STRETCH]
    if not long:
        return False
    low, high = STD_RATIOS
    std, stds = _std_of(long), np.concatenate([_stds(_stretches(segment)) for segment in long])
    return bool(np.all((low * std < stds) & (stds < high * std)))


def compare_climates(
    runs: Float[np.ndarray, "run measured channel"], truth: Sequence[Float[np.ndarray, "_ channel"]]
) -> list[Climate]:
    """Compare the statistics of free runs with those of the series.

    Args:
        runs: After their transient, in the units of the truth.
        truth: Segments of the series, without noise: a free run has none.

    Returns:
        One for each run; none at all if runs are shorter than 500 steps, or the series has no
        climate.

    Source:
        Pathak, Lu, Hunt, Girvan and Ott (2017), Chaos 27, 121102: a network that replicates the
        climate of a chaotic attractor; the statistics and bounds are our own.
    """
    if not has_climate(truth) or runs.shape[1] < STRETCH:
        return []
    long = [segment for segment in truth if len(segment) >= STRETCH]
    true = np.concatenate([_stretches(segment) for segment in long])
    samples = np.concatenate(long)
    mean, std = samples.mean(axis=0), _std_of(long)
    reach, spectrum, true_stds = np.ptp(samples, axis=0).max(), _spectrum(true), _stds(true)
    found: list[Climate] = []
    with np.errstate(all="ignore"):  # a diverging run ends in NaN
        for run in runs:
            own = _stretches(run)
            stds = _stds(own)
            ratios = stds / np.clip(stds, true_stds.min(), true_stds.max())
            if len(ratios) > 2 and np.isfinite(ratios).all():
                # Stretches overlap by half: the next one is the second next.
                pairs = np.stack([ratios[:-2], ratios[2:]])
                ratios = np.take_along_axis(pairs, np.abs(pairs - 1).argmin(axis=0)[None], 0)[0]
            numbers = (
                rmse(run.mean(axis=0) - mean) / std,
                ratios[np.abs(ratios - 1).argmax()],
                np.ptp(run, axis=0).max() / reach,
                np.abs(_spectrum(own) - spectrum).sum() / 2,
            )
            found.append(Climate(*np.nan_to_num(numbers, nan=np.inf, posinf=np.inf).tolist()))
    return found


def estimate_exponent(samples: Float[np.ndarray, "n channel"]) -> float:
    """Estimate the largest Lyapunov exponent of a series from its samples, per step.

    The slope of the mean logarithmic distance of states and their nearest neighbours, from one to
    five mean periods later: good to a factor of about two.

    Args:
        samples: Without noise, which would drive neighbours apart.

    Returns:
        NaN if the series is too short, or neighbours are soon as far apart as any two states.

    Source:
        Rosenstein, Collins and De Luca (1993), Physica D 65, 117-134: neighbours at least a mean
        period apart in time; the delays and the range of the slope are our own.
    """
    deviations = samples[:_LONGEST] - samples[:_LONGEST].mean(axis=0)
    n = len(deviations)
    scaled = deviations / rmse(deviations)
    power = np.square(np.abs(np.fft.rfft(scaled, 2 * n, axis=0))).sum(axis=1)
    period = max(1, round(2 * n / float(np.average(np.arange(len(power)), weights=power))))
    lag = decorrelation_steps(scaled)
    count = n - (_DELAYS - 1) * lag - 5 * period  # states that can be followed
    if count <= 2 * period:
        return float("nan")
    states = np.concatenate([scaled[k * lag :][: count + 5 * period] for k in range(_DELAYS)], 1)
    chosen = np.linspace(0, count - 1, min(_PAIRS, count)).astype(int)
    squares = np.sum(states[:count] ** 2, axis=1) - 2 * states[chosen] @ states[:count].T
    squares[np.abs(chosen[:, None] - np.arange(count)) < period] = np.inf
    nearest = squares.argmin(axis=1)
    gaps = (states[chosen + k] - states[nearest + k] for k in range(5 * period))
    distances = np.array([np.linalg.norm(gap, axis=1) for gap in gaps])
    growth = np.log(np.maximum(distances, _TINY)).mean(axis=1)
    # Two states at random are sqrt(2) standard deviations apart in every sample.
    far = growth > np.log(2 * states.shape[1]) / 2 - 1
    end = int(far.argmax()) if far.any() else len(growth)
    if end < period + 3:
        return float("nan")
    steps = np.arange(float(period), end)
    design = np.stack([np.ones(len(steps)), steps], axis=1)
    return float(least_squares(design, growth[period:end])[1])


def decorrelation_steps(samples: Float[np.ndarray, "n channel"]) -> int:
    """Return the steps, at least 1, after which the autocorrelation falls below 1/e."""
    deviations = samples - samples.mean(axis=0)
    power = np.square(np.abs(np.fft.rfft(deviations, 2 * len(samples), axis=0))).sum(axis=1)
    correlation = np.fft.irfft(power)[: len(samples)]
    return max(1, int(np.argmax(correlation < correlation[0] / np.e)))


def describe_departures(
    runs: Sequence[Climate], left: Mapping[str, int], *, of: int, may_cycle: bool
) -> str:
    """Return a warning of free runs that have left the attractor of the series.

    Args:
        runs: All free runs; none if they cannot be compared.
        left: Number of those that have left, by where they settle.
        of: Number of free runs.
        may_cycle: Whether a limit cycle can be right, because the series is one.
    """
    places = ", ".join(f"{place} ({count})" for place, count in left.items())
    words = f"{sum(left.values())} of {of} free runs left the attractor: {places}"
    if Settled.limit_cycle in left and not may_cycle:
        words += ", where the series has none"
    ratio = max((run.std_ratio for run in runs), key=lambda value: abs(value - 1), default=np.inf)
    if np.isfinite(ratio):
        words += f"; standard deviation {ratio:.2g} x the truth's over {STRETCH} steps"
        # What is left of a run that stands still is rounding, of any frequency.
        moving = (run.spectral_distance for run in runs if run.std_ratio > _STILL)
        distance = max(moving, default=0.0)
        if distance > MAX_SPECTRAL_DISTANCE:
            words += f", {distance:.0%} of the variance at other frequencies"
    return words


def _stretches(samples: Float[np.ndarray, "n channel"]) -> Stretches:
    """Return stretches that overlap by half."""
    starts = range(0, len(samples) - STRETCH + 1, STRETCH // 2)
    return np.stack([samples[start : start + STRETCH].T for start in starts])


def _std_of(segments: Sequence[Float[np.ndarray, "_ channel"]]) -> float:
    return rmse(np.concatenate(segments).std(axis=0))


def _stds(stretches: Stretches) -> Float[np.ndarray, " stretch"]:
    """Return the standard deviation of each stretch: root mean square over the channels."""
    return np.sqrt(np.mean(stretches.var(axis=2), axis=1))


def _spectrum(stretches: Stretches) -> Float[np.ndarray, " frequency"]:
    """Return the share of the variance at each frequency: the mean of windowed periodograms."""
    deviations = stretches - stretches.mean(axis=2, keepdims=True)
    power = np.abs(np.fft.rfft(np.hanning(STRETCH) * deviations)) ** 2
    return power.sum(axis=(0, 1)) / max(float(power.sum()), _TINY)
