"""How good a network is: arrays in, numbers out.

One-step error is what training minimises and what misleads; closed-loop error, far ahead and from
several origins, is what counts.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

HORIZON_LADDER = (1, 2, 5, 10, 20, 49, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
"""Steps ahead at which closed-loop error is told; 49 is the tutorial's own horizon."""


@dataclass(frozen=True)
class Forecasts:
    """Closed-loop forecasts in the series' own units, W samples of warm-up before each."""

    time: Float[np.ndarray, "origin all"]
    """W + steps sampling times, in time units."""

    observed: Float[np.ndarray, "origin all channel"]
    """What the series' recorder saw."""

    truth: Float[np.ndarray, "origin all channel"]
    """The same without noise."""

    prediction: Float[np.ndarray, "origin steps channel"]
    """What the network made of the warm-up; NaN from where it diverged."""

    @property
    def warmup(self) -> int:
        """Samples W read before each forecast."""
        return self.time.shape[1] - self.prediction.shape[1]

    @property
    def errors(self) -> Float[np.ndarray, "origin steps"]:
        """Distance to the truth at every step: root mean square over the channels."""
        with np.errstate(over="ignore"):
            return np.sqrt(np.mean((self.prediction - self.truth[:, self.warmup :]) ** 2, axis=2))

    @property
    def diverged_at(self) -> list[int | None]:
        """Each origin's first step (from 1) that is not finite, or None."""
        finite = np.isfinite(self.errors)
        return [
            None if finite[origin].all() else int(finite[origin].argmin()) + 1
            for origin in range(len(finite))
        ]

    @property
    def typical(self) -> int:
        """The origin of (upper) median RMSE over all steps; diverged ones count as the worst."""
        total = [rmse(row) for row in self.errors]
        return int(np.argsort(total, kind="stable")[len(total) // 2])


@dataclass(frozen=True)
class HorizonError:
    """RMSE over the first `horizon` steps, in the series' own units: over the origins."""

    horizon: int
    median: float
    worst: float


def rmse(errors: Float[np.ndarray, "..."]) -> float:
    """Root mean square of errors; infinite where one is missing."""
    with np.errstate(over="ignore"):  # of a free run that went as far as floats do
        value = float(np.sqrt(np.mean(np.square(errors))))
    return value if np.isfinite(value) else float("inf")


def errors_by_horizon(errors: Float[np.ndarray, "origin steps"]) -> list[HorizonError]:
    """Return RMSE up to each rung of the ladder below the last step, and up to the last."""
    steps = errors.shape[1]
    table: list[HorizonError] = []
    for horizon in [*(rung for rung in HORIZON_LADDER if rung < steps), steps]:
        by_origin = [rmse(row[:horizon]) for row in errors]
        table.append(HorizonError(horizon, float(np.median(by_origin)), max(by_origin)))
    return table
