"""Delay equations: systems whose state is a stretch of their past."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from pydantic import Field

from sinernn.arrays import Float, Int
from sinernn.data.exponents import growth_per_step
from sinernn.data.synthetic import (
    MAX_INTEGRATION_STEPS,
    Evolving,
    Times,
    TimeStep,
    Values,
    off_grid,
)
from sinernn.schema import Conflict

MAX_STRETCHES = 100_000  # of integration steps taken at once: a few seconds

_LAST_MIDPOINT = np.array([1, -5, 15, 5]) / 16
"""Weights of four equidistant values in their cubic, midway between the last two."""


class MackeyGlass(Evolving):
    """A series that is chaotic for a long delay: dx/dt = growth y / (1 + y^exponent) - decay x.

    Here y = x(t - delay). The defaults are those of the benchmark series: delay 17, one sample a
    time unit.

    Source:
        Mackey and Glass (1977), "Oscillation and chaos in physiological control systems", Science
        197, 287-289; parameters, a step of 1/10 and one sample a time unit: Jaeger (2001), "The
        'echo state' approach to analysing and training recurrent neural networks", GMD Report 148,
        section 6.1, who takes Euler steps and squashes the series by tanh(x - 1), unlike this one.
        Our own: the constant history, and classical Runge-Kutta steps, for which a delayed value at
        mid-step comes from the cubic through the four values around it.

    Example:
        >>> signal = sinernn.MackeyGlass(kind="mackey_glass", length=100)
        >>> signal.read().observed.shape
        (100, 1)
    """

    kind: Literal["mackey_glass"]
    """Kind of signal."""

    time_step: TimeStep = 1.0

    delay: float = Field(default=17.0, ge=0.01, le=1000)
    """Delay in time units, a multiple of `integration_step`; with the other defaults the series is
    chaotic from about 17 on. Beyond the bound it is longer than a segment."""

    growth: float = Field(default=0.2, gt=0, le=10)
    """Factor of the delayed term, per time unit; beyond the bound integration steps are too long.
    """

    decay: float = Field(default=0.1, ge=0.001, le=1)
    """Rate of decay, per time unit; beyond the bound integration steps are too long."""

    exponent: float = Field(default=10.0, ge=1, le=100)
    """How sharply the delayed term falls above 1; beyond the bound it is a step."""

    initial_value: float = Field(default=1.2, gt=0, le=100)
    """Constant value of the series before time 0, in signal units; far above 1 it only decays."""

    transient: float = Field(default=1000.0, ge=0, le=1e6)
    """Time discarded before time 0 of the segments, in time units, a multiple of
    `integration_step`; it takes as long to compute as samples do."""

    integration_step: float = Field(default=0.1, ge=0.001, le=1)
    """Integration step in time units; the error falls with its fourth power, and time grows."""

    def steps(self, time: float) -> int:
        """Return how many integration steps a time is, rounded."""
        return round(time / self.integration_step)

    @property
    def decay_in_a_step(self) -> float:
        """Factor of x in a Runge-Kutta step without the delayed term."""
        z = self.decay * self.integration_step
        return 1 - z + z**2 / 2 - z**3 / 6 + z**4 / 24

    @property
    def stretch(self) -> int:
        """How many integration steps are taken at once; time grows with the number of stretches."""
        # A sum over a stretch is divided by powers of the factor: tiny ones would lose precision.
        kept = math.floor(math.log(1e-6) / math.log(self.decay_in_a_step))
        return min(self.steps(self.delay) - 2, kept)

    def values(self, time: Times) -> Values:
        """Integrate once, and take every segment from the trajectory."""
        trajectory = _trajectory_of(self)  # pyright: ignore[reportArgumentType] # frozen, so hashable
        return trajectory[self.sampled]

    @property
    def sampled(self) -> Int[np.ndarray, "segment sample"]:
        """Integration steps from the constant history to every sample."""
        first = [self.steps(self.transient + start) for start in self.starts]
        return np.array(first)[:, None] + self.steps(self.time_step) * np.arange(self.length)

    @property
    def past(self) -> int:
        """Number of last values that determine the next ones: those of a delay, and one before."""
        return self.steps(self.delay) + 2

    @property
    def lyapunov_exponent(self) -> float | None:
        """Largest Lyapunov exponent, per time unit; 0 of a periodic one, None if not known."""
        return _exponent_of(self)  # pyright: ignore[reportArgumentType]

    def integrate(self, count: int) -> Float[np.ndarray, " step"]:
        """Return the values from time 0 on, at every one of `count` integration steps."""
        # x' jumps at time 0, x'' after one delay.
        jumps = (self.past - 2, 2 * (self.past - 2))
        history = np.full(self.past, self.initial_value)
        return self.proceed(history, count, jumps=jumps)[self.past - 1 :]

    def proceed(
        self, past: Float[np.ndarray, "past ..."], count: int, *, jumps: Sequence[int] = ()
    ) -> Float[np.ndarray, "all ..."]:
        """Return the past of one or more orbits and the values after it.

        Within less than a delay the delayed term is known beforehand, and a Runge-Kutta step is
        then linear in x: each such stretch is a few array operations.

        Args:
            past: The last values; those after it are at multiples of `integration_step`.
            count: Number of integration steps.
            jumps: Steps after the first of the delay, at which a derivative jumps.
        """
        step, delay = self.integration_step, self.past - 2
        z, stretch = self.decay * step, self.stretch
        x = np.concatenate([past, np.empty((count, *past.shape[1:]))])  # x[delay + 1] is time 0
        for begin in range(1, count + 1, stretch):
            n = min(stretch, count + 1 - begin)
            known = x[begin - 1 : begin + n + 2]
            middle = (-known[:-3] + 9 * known[1:-2] + 9 * known[2:-1] - known[3:]) / 16
            for jump in jumps:  # the cubic there uses values of one side only
                at = jump - begin + 1
                if 1 <= at <= n:
                    middle[at - 1] = _LAST_MIDPOINT @ x[jump - 2 : jump + 2]
                if 0 <= at < n:
                    middle[at] = _LAST_MIDPOINT[::-1] @ x[jump + 1 : jump + 5]
            with np.errstate(over="ignore"):  # then the term is 0
                from_known, from_middle = (
                    self.growth * y / (1 + y**self.exponent) for y in (known[1:-1], middle)
                )
            # x' = f - decay x by Runge-Kutta: the weights of f at the step's begin, middle and end.
            added = (step / 6) * (
                (1 - z + z**2 / 2 - z**3 / 4) * from_known[:-1]
                + (4 - 2 * z + z**2 / 2) * from_middle
                + from_known[1:]
            )
            powers = (self.decay_in_a_step ** np.arange(1, n + 1)).reshape(-1, *[1] * (x.ndim - 1))
            at = delay + 1 + begin
            x[at : at + n] = powers * (x[at - 1] + np.cumsum(added / powers, axis=0))
        return x

    def conflicts(self) -> Iterator[Conflict]:
        """Yield contradictions between the settings."""
        step = self.integration_step
        times = [
            ("delay", self.delay),
            ("time_step", self.time_step),
            ("transient", self.transient),
            *(("starts", start) for start in self.starts),
        ]
        multiple = f"a multiple of signal.integration_step ({step:g})"
        fractional = list(off_grid(times, step, multiple, "integration_step"))
        length = self.transient + max(self.starts) + self.length * self.time_step
        sizes = ("length", "time_step", "starts", "transient")
        if fractional:
            yield from fractional
        elif self.steps(self.delay) < 4:
            message = f"must be at least 4 times signal.integration_step ({step:g})"
            yield Conflict(("delay", "integration_step"), f"{message}, got {self.delay:g}")
        elif length / step > MAX_INTEGRATION_STEPS:
            message = (
                f"the series needs {length / step:.3g} integration steps, at most "
                f"{MAX_INTEGRATION_STEPS:,} are allowed; increase it, or shorten the series"
            )
            yield Conflict(("integration_step", *sizes), message)
        elif (stretches := length / step / self.stretch) > MAX_STRETCHES:
            message = (
                f"only {self.stretch} integration steps can be taken at once with so short a "
                f"delay, and the series needs {stretches:.3g} such stretches, at most "
                f"{MAX_STRETCHES:,} are allowed; increase it, or shorten the series"
            )
            yield Conflict(("delay", "integration_step", *sizes), message)
        else:
            yield from super().conflicts()


@lru_cache(maxsize=1)  # a training reads its series twice, an evaluation also its exponent
def _trajectory_of(signal: MackeyGlass) -> Float[np.ndarray, " step"]:
    return signal.integrate(int(signal.sampled.max()))


_ORBITS = 100
_IGNORED, _FOLLOWED = 20, 150  # delays
_MAX_VALUES = 4_000_000  # of all orbits: half a second or so
_MAX_CALLS = 10_000  # the same, of short stretches


@lru_cache(maxsize=2)
def _exponent_of(signal: MackeyGlass) -> float | None:
    """Return the largest Lyapunov exponent: a step of the growth is as long as the past."""
    past, delays = signal.past, _IGNORED + _FOLLOWED
    orbits = min(_ORBITS, _MAX_VALUES // (delays * past))
    if not orbits or delays * past > _MAX_CALLS * signal.stretch:
        return None  # it would take too long
    after = _trajectory_of(signal)  # pyright: ignore[reportArgumentType]
    first, last = int(signal.sampled.min()), int(signal.sampled.max())
    trajectory = np.concatenate([np.full(past, signal.initial_value), after])
    ends = past + np.linspace(first, last, orbits).astype(int)
    growth = growth_per_step(
        lambda states, _: signal.proceed(states, past)[past:],
        trajectory[ends - np.arange(past)[::-1, None]],
        scale=np.full((past, 1), after[first:].std()),
        ignored=_IGNORED,
        followed=_FOLLOWED,
    )
    return None if growth is None else growth / (past * signal.integration_step)
