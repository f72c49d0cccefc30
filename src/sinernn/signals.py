"""Signals: a kind of signal is one config section that can make its samples."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from sinernn.randomness import Purpose, stream
from sinernn.schema import Section, Whole


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


class Sine(Section):
    """A sine wave: offset + amplitude sin(2 pi t / period + phase), sampled evenly."""

    kind: Literal["sine"] = "sine"
    """Which signal this is."""

    amplitude: float = Field(default=1.0, ge=1e-12, le=1e12)
    """Height of the wave above its offset, in signal units; its square must fit into float32."""

    period: float = Field(default=2 * math.pi, ge=1e-12, le=1e12)
    """Length of one oscillation, in time units; what is longer is no oscillation."""

    phase: float = Field(default=0.0, ge=-1e6, le=1e6)
    """Phase at time 0, in rad; a larger one is a rounding error."""

    offset: float = Field(default=0.0, ge=-1e12, le=1e12)
    """Mean of the wave, in signal units; its square must fit into float32."""

    noise_std: float = Field(default=0.0, ge=0, le=1e12)
    """Standard deviation of Gaussian observation noise, in signal units; its square must fit into
    float32."""

    noise_seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Which noise, unless `noise_std` is 0; it is part of the data, `seed` does not change it."""

    time_step: float = Field(default=10 / 49, ge=1e-12, le=1e12)
    """Spacing of the samples, in time units; its sum over a segment must keep its digits."""

    length: Whole = Field(default=25_000, ge=2, le=10_000_000)
    """Samples in a segment; the bound keeps a series within the memory of a laptop."""

    starts: Annotated[
        tuple[Annotated[float, Field(ge=-1e12, le=1e12)], ...], Field(strict=False)
    ] = Field(default=(0.0,), min_length=1, max_length=1000)
    """Start time of each segment, in time units; a segment is one unbroken recording. Beyond the
    bound the samples between two starts lose their digits."""

    def samples(self) -> Series:
        """Sample every segment, and add the noise that `noise_seed` stands for."""
        time = np.asarray(self.starts)[:, None] + self.time_step * np.arange(self.length)
        angle_rad = 2 * np.pi / self.period * time + self.phase
        clean = (self.offset + self.amplitude * np.sin(angle_rad))[:, :, None]
        return Series(clean + self._noise(), clean, time, self.time_step, self.period)

    def _noise(self) -> Float[np.ndarray, "segment sample 1"]:
        # One stream a segment, so that a segment's noise does not depend on how many there are.
        return self.noise_std * np.stack(
            [
                stream(self.noise_seed, Purpose.NOISE, block=segment).standard_normal(
                    (self.length, 1)
                )
                for segment in range(len(self.starts))
            ]
        )


Signal = Sine
"""Any kind of signal: a union over `kind` as soon as there is a second (`schema.default_kind`)."""
