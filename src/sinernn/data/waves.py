"""Waveforms: functions of the phase, or sine waves whose amplitude or frequency changes."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from sinernn.data.synthetic import Times, Values, Wave
from sinernn.schema import Conflict


class Periodic(Wave):
    """A wave that is a function of its phase."""

    def cycles(self, time: Times) -> Times:
        """Return the number of periods since phase 0."""
        # A sample at a jump is behind it, however the time is rounded.
        return time / self.period + self.phase / (2 * np.pi) + 1e-9


class Square(Periodic):
    """A square wave: offset + amplitude for a part of the period, offset - amplitude after it."""

    kind: Literal["square"]
    """Kind of signal."""

    duty: float = Field(default=0.5, ge=0.001, le=0.999)
    """Fraction of a period that is high; beyond the bounds it is a train of impulses."""

    def values(self, time: Times) -> Values:
        """Return the wave at these times."""
        return self.amplitude * np.where(self.cycles(time) % 1 < self.duty, 1.0, -1.0)


class Triangle(Periodic):
    """A triangle wave: at phase 0 it is the offset and rises, as a sine wave does."""

    kind: Literal["triangle"]
    """Kind of signal."""

    def values(self, time: Times) -> Values:
        """Return the wave at these times."""
        return self.amplitude * (1 - 4 * np.abs((self.cycles(time) + 0.25) % 1 - 0.5))


class Sawtooth(Periodic):
    """A sawtooth wave: it rises from offset - amplitude to offset + amplitude, and jumps back."""

    kind: Literal["sawtooth"]
    """Kind of signal."""

    def values(self, time: Times) -> Values:
        """Return the wave at these times."""
        return self.amplitude * (2 * (self.cycles(time) % 1) - 1)


class ImpulseTrain(Periodic):
    """Impulses of one sample: offset + amplitude at the first sample of a period, else offset."""

    kind: Literal["impulse_train"]
    """Kind of signal."""

    def values(self, time: Times) -> Values:
        """Return the impulses at these times."""
        periods = [np.floor(self.cycles(each)) for each in (time - self.time_step, time)]
        return self.amplitude * (periods[1] > periods[0])

    def conflicts(self) -> Iterator[Conflict]:
        """Yield contradictions between the settings."""
        if self.period < 2 * self.time_step:
            message = f"must be at least twice signal.time_step ({self.time_step:g})"
            yield Conflict(("period", "time_step"), f"{message}, got {self.period:g}")
        else:
            yield from super().conflicts()


class Chirp(Wave):
    """A sine wave whose frequency changes linearly, again and again.

    In each sweep it goes from 1 / period to 1 / end_period; the phase has no jumps. A sweep that is
    longer than the series is a plain chirp, whose test part has frequencies of its own.
    """

    kind: Literal["chirp"]
    """Kind of signal."""

    end_period: float = Field(default=2.0, ge=1e-12, le=1e12)
    """Length of an oscillation at the end of a sweep, in time units; a longer one would look
    constant."""

    sweep: float = Field(default=100.0, ge=1e-12, le=1e12)
    """Length of a sweep, in time units; a longer one would look like a sine wave."""

    def values(self, time: Times) -> Values:
        """Return the wave at these times."""
        begin, end = 1 / self.period, 1 / self.end_period
        sweeps, part = np.divmod(time / self.sweep, 1)
        cycles = sweeps * (begin + end) / 2 + part * begin + part**2 * (end - begin) / 2
        return self.amplitude * np.sin(2 * np.pi * self.sweep * cycles + self.phase)

    @property
    def oscillation(self) -> None:
        """There is none: its length changes."""
        return None


class AmplitudeModulated(Wave):
    """A sine wave whose amplitude oscillates.

    It is offset + amplitude (1 + depth sin(2 pi t / modulation_period)) sin(2 pi t / period +
    phase).
    """

    kind: Literal["am"]
    """Kind of signal."""

    depth: float = Field(default=0.5, ge=0, le=1)
    """Relative change of the amplitude; beyond the bound it would change its sign."""

    modulation_period: float = Field(default=50.0, ge=1e-12, le=1e12)
    """Length of an oscillation of the amplitude, in time units; a longer one would look
    constant."""

    def values(self, time: Times) -> Values:
        """Return the wave at these times."""
        factor = 1 + self.depth * np.sin(2 * np.pi / self.modulation_period * time)
        return factor * super().values(time)


class Damped(Wave):
    """A damped oscillation: offset + amplitude exp(-t / decay_time) sin(2 pi t / period + phase).

    For several recordings, give `starts` from 0 on, with less amplitude the later they are.
    """

    kind: Literal["damped"]
    """Kind of signal."""

    decay_time: float = Field(default=2000.0, ge=1e-12, le=1e12)
    """Time in which the amplitude falls to 1/e, in time units; a longer one would look constant."""

    def values(self, time: Times) -> Values:
        """Return the oscillation at these times."""
        return np.exp(-time / self.decay_time) * super().values(time)

    def conflicts(self) -> Iterator[Conflict]:
        """Yield contradictions between the settings."""
        if min(self.starts) < 0:
            message = "must be at least 0, where the oscillation has its amplitude"
            yield Conflict(("starts",), f"{message}, got {min(self.starts):g}")
        else:
            yield from super().conflicts()
