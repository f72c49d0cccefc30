"""Synthetic signals: each kind is a config section that generates its samples."""

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, StringConstraints

from sinernn.arrays import Float
from sinernn.data.series import Channel, Extent, Series
from sinernn.randomness import Purpose, stream
from sinernn.schema import Conflict, Section, Whole

TimeStep = Annotated[
    float,
    Field(
        ge=1e-12,
        le=1e12,
        description="Spacing of the samples, in time units; large enough that all sampling times "
        "differ.",
    ),
]

Start = Annotated[float, Field(ge=-1e12, le=1e12)]
Unit = Annotated[str, StringConstraints(max_length=20)]
Times = Float[np.ndarray, "segment sample"]
Values = Float[np.ndarray, "segment sample *channel"]


class Synthetic(Section):
    """A signal generated from its settings.

    A kind of signal is a subclass with a `kind`, settings of its own that can be hashed, and
    `values`, and the names of its channels if it has several.
    """

    kind: Any  # each kind has its own

    time_step: TimeStep = 10 / 49

    length: Whole = Field(default=25_000, ge=2, le=10_000_000)
    """Samples in a segment; the bound keeps a series within the memory of a laptop."""

    starts: Annotated[tuple[Start, ...], Field(strict=False)] = Field(
        default=(0.0,), min_length=1, max_length=1000
    )
    """Start time of each segment, in time units; a segment is one unbroken recording. Beyond the
    bound the times of two samples would be equal."""

    offset: float = Field(default=0.0, ge=-1e12, le=1e12)
    """Added to every output, in signal units; its square must fit into float32."""

    noise_std: float = Field(default=0.0, ge=0, le=1e12)
    """Standard deviation of Gaussian observation noise on every output, in signal units; its square
    must fit into float32."""

    unit: Unit = ""
    """Unit of the signal, for figures, as in `V`; empty if it has none."""

    time_unit: Unit = ""
    """Unit of time, for figures, as in `s`; empty if it has none."""

    noise_seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of the noise; it belongs to the data, and `seed` does not change it."""

    def values(self, time: Times) -> Values:
        """Return the signal at these times, without offset and noise: outputs, then inputs."""
        raise NotImplementedError

    @property
    def times(self) -> Times:
        """Sampling times of every segment, in time units."""
        return np.asarray(self.starts)[:, None] + self.time_step * np.arange(self.length)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the channels that the network predicts."""
        return ("signal",)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the channels that it reads but does not predict."""
        return ()

    @property
    def lyapunov_exponent(self) -> float | None:
        """Largest Lyapunov exponent, per time unit, from the equations; None if not known."""
        return None

    @property
    def oscillation(self) -> float | None:
        """Length of one oscillation, in time units; None if there is none."""
        return None

    def extent(self) -> Extent:
        """Return what is known of the series without generating it."""
        return Extent(
            lengths=(self.length,) * len(self.starts),
            time_step=self.time_step,
            outputs=tuple(Channel(name, self.unit) for name in self.outputs),
            inputs=tuple(Channel(name) for name in self.inputs),
            time_unit=self.time_unit,
        )

    def read(self) -> Series:
        """Generate every segment, with the noise of `noise_seed`; once in a process."""
        return _generate_once(self)  # pyright: ignore[reportArgumentType] # frozen, so hashable

    def conflicts(self) -> Iterator[Conflict]:
        """Yield contradictions between the settings."""
        latest = max(map(abs, self.starts)) + self.length * self.time_step
        resolution = latest * 2.0**-52  # largest spacing of floats there
        if self.time_step <= 1000 * resolution:
            message = (
                f"floating-point times near {latest:g} have a spacing of {resolution:.1g}, too "
                f"coarse for signal.time_step ({self.time_step:g}); start closer to 0"
            )
            yield Conflict(("starts", "time_step"), message)


@lru_cache(maxsize=2)  # a training reads its series several times
def _generate_once(signal: Synthetic) -> Series:
    time = signal.times
    outputs, inputs = len(signal.outputs), len(signal.inputs)
    is_output = np.repeat([1.0, 0.0], [outputs, inputs])
    clean = signal.values(time).reshape(time.size, -1) + signal.offset * is_output
    # One stream for each segment: its noise does not depend on how many there are.
    streams = [stream(signal.noise_seed, Purpose.NOISE, block) for block in range(len(time))]
    noise = np.concatenate([each.standard_normal((signal.length, outputs)) for each in streams])
    observed = clean + signal.noise_std * np.pad(noise, ((0, 0), (0, inputs)))
    for shared in (observed, clean, time):
        shared.flags.writeable = False
    extent, period = signal.extent(), signal.oscillation
    return Series(observed, clean, time.ravel(), extent, period)


class Tone(Section):
    """A sine wave: amplitude sin(2 pi t / period + phase)."""

    amplitude: float = Field(default=1.0, ge=1e-12, le=1e12)
    """Height of the wave, in signal units; its square must fit into float32."""

    period: float = Field(default=2 * math.pi, ge=1e-12, le=1e12)
    """Length of one oscillation, in time units; a longer one would look constant."""

    phase: float = Field(default=0.0, ge=-1e6, le=1e6)
    """Phase at time 0, in rad; a larger one loses precision."""

    def values(self, time: Times) -> Values:
        """Return the wave at these times."""
        return self.amplitude * np.sin(2 * np.pi / self.period * time + self.phase)


class Wave(Tone, Synthetic):
    """A signal that oscillates with one period."""

    @property
    def oscillation(self) -> float | None:
        """Length of one oscillation, in time units; None if it changes."""
        return self.period


class Sine(Wave):
    """A sine wave: offset + amplitude sin(2 pi t / period + phase).

    Example:
        >>> sinernn.Sine(period=10, length=100).extent().samples
        100
    """

    kind: Literal["sine"] = "sine"
    """Kind of signal."""


class SumOfSines(Synthetic):
    """A sum of sine waves; without a common period it never repeats itself.

    Example:
        >>> signal = sinernn.SumOfSines(kind="sum_of_sines", length=100)
        >>> signal.read().observed.shape
        (100, 1)
    """

    kind: Literal["sum_of_sines"]
    """Kind of signal."""

    tones: Annotated[tuple[Tone, ...], Field(strict=False)] = Field(
        default=(Tone(), Tone(amplitude=0.5, period=2 * math.pi / math.sqrt(2))),
        min_length=1,
        max_length=100,
    )
    """The waves; more than the bound are noise to a small network."""

    def values(self, time: Times) -> Values:
        """Return the sum of the waves at these times."""
        return np.sum([tone.values(time) for tone in self.tones], axis=0)


class Evolving(Synthetic):
    """A signal whose state evolves from an initial one; its segments are parts of one evolution."""

    transient: float = Field(default=100.0, ge=0, le=1e6)
    """Time discarded before time 0 of the segments, in time units, so that the state comes close to
    the attractor; it takes as long to compute as samples do."""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield contradictions between the settings."""
        if self.transient + min(self.starts) < 0:
            message = f"must be at least {-self.transient:g}, the start of signal.transient"
            yield Conflict(("starts", "transient"), f"{message}, got {min(self.starts):g}")
        else:
            yield from super().conflicts()


def off_grid(
    times: Iterable[tuple[str, float]], step: float, what: str, *involved: str
) -> Iterator[Conflict]:
    """Yield settings, with their times, that are no multiple of a step."""
    for setting, time in times:
        if abs(time / step - round(time / step)) > 1e-6 * max(1.0, abs(time / step)):
            yield Conflict((setting, *involved), f"must be {what}, got {time:g}")


MAX_INTEGRATION_STEPS = 3_000_000  # a second or so, and the memory of a small laptop
