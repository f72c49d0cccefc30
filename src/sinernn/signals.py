"""Signals: a kind of signal is one config section that can make its samples."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from sinernn.randomness import Purpose, stream
from sinernn.schema import Section, default_kind, whole


@dataclass(frozen=True)
class Series:
    """Samples of one or more unbroken recordings, all of one length and spacing."""

    observed: Float[np.ndarray, "segment sample channel"]
    """What a network may see, noise and all, in signal units."""

    clean: Float[np.ndarray, "segment sample channel"]
    """The same without noise: the truth that forecasts are scored against."""

    time: Float[np.ndarray, "segment sample"]
    """When each sample was taken, in time units."""

    time_step: float
    """Spacing of the samples, in time units."""

    period: float | None = None
    """Length of one oscillation, in time units; None if the series does not repeat itself."""


Amplitude = Annotated[
    float,
    Field(
        ge=1e-12,
        le=1e12,
        description="Height of the wave above its offset, in signal units; its square must fit "
        "into float32.",
    ),
]
Period = Annotated[
    float,
    Field(
        ge=1e-12,
        le=1e12,
        description="Length of one oscillation, in time units; what is longer is no oscillation.",
    ),
]
Phase = Annotated[
    float,
    Field(
        ge=-1e6, le=1e6, description="Phase at time 0, in rad; a larger one is a rounding error."
    ),
]
Offset = Annotated[
    float,
    Field(
        ge=-1e12,
        le=1e12,
        description="Mean of the signal, in signal units; its square must fit into float32.",
    ),
]
NoiseStd = Annotated[
    float,
    Field(
        ge=0,
        le=1e12,
        description="Standard deviation of Gaussian observation noise, in signal units; its square "
        "must fit into float32.",
    ),
]
NoiseSeed = Annotated[
    int,
    Field(
        ge=0,
        lt=2**63,
        description="Which noise, unless `noise_std` is 0; it is part of the data, `seed` does not "
        "change it.",
    ),
    whole,
]
TimeStep = Annotated[
    float,
    Field(
        ge=1e-12,
        le=1e12,
        description="Spacing of the samples, in time units; its sum over a segment must keep its "
        "digits.",
    ),
]
Length = Annotated[
    int,
    Field(
        ge=2,
        le=10_000_000,
        description="Samples in a segment; the bound keeps a series within the memory of a laptop.",
    ),
    whole,
]
Starts = Annotated[
    tuple[Annotated[float, Field(ge=-1e12, le=1e12)], ...],
    Field(
        strict=False,
        min_length=1,
        max_length=1000,
        description="Start time of each segment, in time units; a segment is one unbroken "
        "recording. Beyond the bound the samples between two starts lose their digits.",
    ),
]
"""Settings that several kinds of signal have."""


class Sine(Section):
    """A sine wave: offset + amplitude sin(2 pi t / period + phase), sampled evenly."""

    kind: Literal["sine"] = "sine"
    """Which signal this is."""

    amplitude: Amplitude = 1.0
    period: Period = 2 * math.pi
    phase: Phase = 0.0
    offset: Offset = 0.0
    noise_std: NoiseStd = 0.0
    noise_seed: NoiseSeed = 0
    time_step: TimeStep = 10 / 49
    length: Length = 25_000
    starts: Starts = (0.0,)

    def samples(self) -> Series:
        """Sample every segment, and add the noise that `noise_seed` stands for."""
        time = _sampling_times(self)
        clean = self.offset + _wave(self, time)
        return _observe(self, time, clean, period=self.period)


class Tone(Section):
    """One sine wave of a sum: amplitude sin(2 pi t / period + phase)."""

    amplitude: Amplitude = 1.0
    period: Period = 2 * math.pi
    phase: Phase = 0.0


class SumOfSines(Section):
    """A sum of sine waves; with periods in no whole ratio it never repeats itself."""

    kind: Literal["sum_of_sines"]
    """Which signal this is."""

    tones: Annotated[tuple[Tone, ...], Field(strict=False)] = Field(
        default=(Tone(), Tone(amplitude=0.5, period=2 * math.pi / math.sqrt(2))),
        min_length=1,
        max_length=100,
    )
    """The waves; more than the bound are noise to a small network."""

    offset: Offset = 0.0
    noise_std: NoiseStd = 0.0
    noise_seed: NoiseSeed = 0
    time_step: TimeStep = 10 / 49
    length: Length = 25_000
    starts: Starts = (0.0,)

    def samples(self) -> Series:
        """Sample every segment, and add the noise that `noise_seed` stands for."""
        time = _sampling_times(self)
        return _observe(
            self, time, self.offset + np.sum([_wave(tone, time) for tone in self.tones], axis=0)
        )


class MackeyGlass(Section):
    """A series that is chaotic for a long delay: dx/dt = growth y / (1 + y^exponent) - decay x.

    Here y = x(t - delay). The defaults are those of the benchmark series: delay 17, one sample a
    time unit.

    Source:
        Mackey and Glass (1977), "Oscillation and chaos in physiological control systems", Science
        197, 287-289; parameters, a step of 1/10 and one sample a time unit: Jaeger (2001), "The
        'echo state' approach to analysing and training recurrent neural networks", GMD Report 148,
        section 6.1, who takes Euler steps and squashes the series by tanh(x - 1), as this does not.
        Our own: the constant history, and classical Runge-Kutta steps, for which a delayed value at
        mid-step comes from the cubic through four of its neighbours.
    """

    kind: Literal["mackey_glass"]
    """Which signal this is."""

    delay: float = Field(default=17.0, ge=0.01, le=1000)
    """In time units, whole integration steps; with the other defaults chaotic from about 17 on.
    Beyond the bound the past is longer than a segment."""

    growth: float = Field(default=0.2, gt=0, le=10)
    """Factor of the delayed term, per time unit; what is faster needs smaller steps than there
    are."""

    decay: float = Field(default=0.1, ge=0.001, le=1)
    """Rate of decay, per time unit; what is faster needs smaller steps than there are."""

    exponent: float = Field(default=10.0, ge=1, le=100)
    """How sharply the delayed term falls above 1; beyond the bound it is a step."""

    initial_value: float = Field(default=1.2, gt=0, le=100)
    """The series before time 0, constant, in signal units; what is far above 1 only decays."""

    transient: float = Field(default=1000.0, ge=0, le=1e6)
    """What is left out before time 0 of the segments, in time units, whole integration steps; it
    costs the time of as many samples."""

    integration_step: float = Field(default=0.1, ge=0.001, le=1)
    """In time units; the error falls with its fourth power, and time grows."""

    noise_std: NoiseStd = 0.0
    noise_seed: NoiseSeed = 0
    time_step: TimeStep = 1.0
    length: Length = 25_000
    starts: Starts = (0.0,)

    def steps(self, time: float) -> int:
        """Return how many integration steps a time is, rounded."""
        return round(time / self.integration_step)

    @property
    def stretch(self) -> int:
        """How many integration steps are taken at once; time grows with the number of stretches."""
        return stretch_of(self.steps(self.delay), self.decay * self.integration_step)

    def samples(self) -> Series:
        """Integrate once, take every segment out of it, and add the noise of `noise_seed`."""
        first = [self.steps(self.transient + start) for start in self.starts]
        every = self.steps(self.time_step)
        trajectory = integrate_mackey_glass(
            max(first) + every * (self.length - 1),
            delay=self.steps(self.delay),
            step=self.integration_step,
            growth=self.growth,
            decay=self.decay,
            exponent=self.exponent,
            initial_value=self.initial_value,
        )
        index = np.array(first)[:, None] + every * np.arange(self.length)
        return _observe(self, _sampling_times(self), trajectory[index])


AnySignal = Sine | SumOfSines | MackeyGlass
Signal = Annotated[AnySignal, Field(discriminator="kind"), default_kind("sine")]
"""Any kind of signal."""


def stretch_of(delay: int, z: float) -> int:
    """Return how many integration steps can be taken at once.

    Args:
        delay: In steps, at least 4.
        z: Decay in a step, at most 1.
    """
    # Powers of the factor must keep their digits when a sum over a stretch is divided by them.
    return min(delay - 2, math.floor(math.log(1e-6) / math.log(_decay_in_a_step(z))))


def _decay_in_a_step(z: float) -> float:
    return 1 - z + z**2 / 2 - z**3 / 6 + z**4 / 24


_BESIDE_END = np.array([1, -5, 15, 5]) / 16
"""A cubic through four values, in the middle of the last two."""


def integrate_mackey_glass(
    count: int,
    *,
    delay: int,
    step: float,
    growth: float,
    decay: float,
    exponent: float,
    initial_value: float,
) -> Float[np.ndarray, " step"]:
    """Return the series from time 0 on, at every step.

    Within less than a delay the delayed term is known beforehand, and a Runge-Kutta step is then
    linear in x: `count` of them are a few array operations for each such stretch.

    Args:
        count: Steps.
        delay: In steps, at least 4.
        step: In time units; times `decay` at most 1.
        growth: See `MackeyGlass`.
        decay: See `MackeyGlass`.
        exponent: See `MackeyGlass`.
        initial_value: The constant history.
    """
    z = decay * step
    factor = _decay_in_a_step(z)
    stretch = stretch_of(delay, z)
    x = np.full(delay + 1 + count, initial_value)  # x[delay] is time 0
    for begin in range(1, count + 1, stretch):
        n = min(stretch, count + 1 - begin)
        known = x[begin - 2 : begin + n + 1] if begin > 1 else np.append(x[0], x[: n + 2])
        middle = (-known[:-3] + 9 * known[1:-2] + 9 * known[2:-1] - known[3:]) / 16
        # x' has a jump at time 0, x'' one at the delay: there the cubic is of one side alone.
        for jump in (delay, 2 * delay):
            at = jump - begin + 1
            if 1 <= at <= n:
                middle[at - 1] = _BESIDE_END @ x[jump - 3 : jump + 1]
            if 0 <= at < n:
                middle[at] = _BESIDE_END[::-1] @ x[jump : jump + 4]
        with np.errstate(over="ignore"):  # then the term is 0
            from_known, from_middle = (
                growth * y / (1 + y**exponent) for y in (known[1:-1], middle)
            )
        # x' = f - decay x by Runge-Kutta: the weights of f at the step's begin, middle and end.
        added = (step / 6) * (
            (1 - z + z**2 / 2 - z**3 / 4) * from_known[:-1]
            + (4 - 2 * z + z**2 / 2) * from_middle
            + from_known[1:]
        )
        powers = factor ** np.arange(1, n + 1)
        at = delay + begin
        x[at : at + n] = powers * (x[at - 1] + np.cumsum(added / powers))
    return x[delay:]


def _wave(
    tone: Sine | Tone, time: Float[np.ndarray, "segment sample"]
) -> Float[np.ndarray, "segment sample"]:
    return tone.amplitude * np.sin(2 * np.pi / tone.period * time + tone.phase)


def _sampling_times(signal: AnySignal) -> Float[np.ndarray, "segment sample"]:
    return np.asarray(signal.starts)[:, None] + signal.time_step * np.arange(signal.length)


def _observe(
    signal: AnySignal,
    time: Float[np.ndarray, "segment sample"],
    values: Float[np.ndarray, "segment sample"],
    *,
    period: float | None = None,
) -> Series:
    """Return the series of one channel, with the noise that `noise_seed` stands for."""
    clean = values[:, :, None]
    # One stream a segment, so that a segment's noise does not depend on how many there are.
    noise = signal.noise_std * np.stack(
        [
            stream(signal.noise_seed, Purpose.NOISE, block=segment).standard_normal(
                (signal.length, 1)
            )
            for segment in range(len(signal.starts))
        ]
    )
    return Series(clean + noise, clean, time, signal.time_step, period)
