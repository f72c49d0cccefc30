"""What a judgement rests on: arrays that scores are computed from and figures are drawn from."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sinernn.evaluation.dynamics import Dynamics
from sinernn.evaluation.metrics import rmse

OPEN_LOOP_KEPT = 2000  # samples that a figure could show; the scores are computed from all


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
    def steps(self) -> int:
        """Samples forecast from each origin."""
        return self.prediction.shape[1]

    @property
    def errors(self) -> Float[np.ndarray, "origin steps"]:
        """Distance to the truth at every step: root mean square over the channels."""
        return self.errors_of(self.prediction)

    def errors_of(
        self, prediction: Float[np.ndarray, "origin steps channel"]
    ) -> Float[np.ndarray, "origin steps"]:
        """Return the distance of any forecasts from these origins to the truth at every step."""
        with np.errstate(over="ignore"):
            return np.sqrt(np.mean((prediction - self.truth[:, self.warmup :]) ** 2, axis=2))

    @property
    def diverged_at(self) -> list[int | None]:
        """Each origin's first step (from 1) that is not finite, or None."""
        channels = self.prediction.shape[2]
        finite = np.sum(np.isfinite(self.prediction), axis=2) == channels
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
class OneStep:
    """Open-loop predictions in the series' own units: always fed true samples."""

    time: Float[np.ndarray, "segment sample"]
    """When each predicted sample was taken, in time units."""

    observed: Float[np.ndarray, "segment sample channel"]
    """What the series' recorder saw."""

    truth: Float[np.ndarray, "segment sample channel"]
    """The same without noise."""

    prediction: Float[np.ndarray, "segment sample channel"]
    """What the network made of all samples before, one step ahead."""


@dataclass(frozen=True)
class Evidence:
    """Everything there is to judge, in the series' own units."""

    closed_loop: Forecasts
    open_loop: OneStep
    baselines: dict[str, Float[np.ndarray, "origin steps channel"]]
    """Forecasts from the same origins after the same warm-up, by the name of the method."""

    dynamics: Dynamics
    std: Float[np.ndarray, " channel"]
    """Standard deviation of the training part: the yardstick of relative errors."""

    time_step: float
    """Spacing of the samples, in time units."""

    period: float | None
    """Length of one oscillation, in time units; None if the series has none."""

    @property
    def spread(self) -> float:
        """The yardstick as one number, as errors are: root mean square over the channels."""
        return rmse(self.std)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays, for a file; of the open loop only what a figure shows."""
        shown = {name: value[:1, :OPEN_LOOP_KEPT] for name, value in vars(self.open_loop).items()}
        period = np.nan if self.period is None else self.period
        return {
            **{f"closed_loop.{name}": value for name, value in vars(self.closed_loop).items()},
            **{f"open_loop.{name}": value for name, value in shown.items()},
            **{f"baselines.{name}": value for name, value in self.baselines.items()},
            **{f"dynamics.{name}": value for name, value in vars(self.dynamics).items()},
            "std": self.std,
            "times": np.array([self.time_step, period]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Evidence":
        """Read `arrays` back.

        Raises:
            TypeError: An array is missing or too many.
            KeyError: The same.
            ValueError: Arrays do not fit each other.
        """

        def group(prefix: str) -> dict[str, np.ndarray]:
            start = f"{prefix}."
            return {
                name.removeprefix(start): value
                for name, value in arrays.items()
                if name.startswith(start)
            }

        time_step, period = arrays["times"].tolist()
        closed_loop = Forecasts(**group("closed_loop"))
        origins, steps, channels = closed_loop.prediction.shape
        everything = (origins, closed_loop.time.shape[1], channels)
        if closed_loop.truth.shape != everything or closed_loop.observed.shape != everything:
            raise ValueError("the arrays of the closed loop have shapes that do not fit")
        if any(
            forecast.shape != (origins, steps, channels) for forecast in group("baselines").values()
        ):
            raise ValueError("a baseline's forecasts have another shape than the network's")
        return cls(
            closed_loop=closed_loop,
            open_loop=OneStep(**group("open_loop")),
            baselines=group("baselines"),
            dynamics=Dynamics(**group("dynamics")),
            std=arrays["std"],
            time_step=time_step,
            period=None if np.isnan(period) else period,
        )
