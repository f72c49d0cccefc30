"""Arrays of an evaluation, from which metrics are computed and figures drawn."""

from collections import defaultdict
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, get_type_hints

import numpy as np

from sinernn.arrays import Float
from sinernn.errors import printable
from sinernn.evaluation.dynamics import Dynamics
from sinernn.evaluation.metrics import HorizonError, error_unit, errors_by_horizon, rmse

OPEN_LOOP_KEPT = 2000  # samples that a figure could show; the scores are computed from all

USUAL_THRESHOLD = 0.4
"""That of stored evidence which names none."""


@dataclass(frozen=True)
class Forecasts:
    """Closed-loop forecasts of the outputs, in the series' own units, after W samples each."""

    time: Float[np.ndarray, "origin all"]
    """W + steps sampling times, in time units."""

    observed: Float[np.ndarray, "origin all channel"]
    """Samples as recorded, with noise."""

    truth: Float[np.ndarray, "origin all channel"]
    """The same samples without noise."""

    prediction: Float[np.ndarray, "origin steps channel"]
    """Outputs of the network after the warm-up; NaN from the step at which it diverged."""

    inputs: Float[np.ndarray, "origin all input"] | None = None
    """What the network read besides its outputs; None if it has no inputs."""

    unit: Float[np.ndarray, " channel"] | float = 1.0
    """What errors are divided by: see `error_unit`."""

    @property
    def warmup(self) -> int:
        """Samples W read before each forecast."""
        return self.time.shape[1] - self.prediction.shape[1]

    @property
    def steps(self) -> int:
        """Samples forecast from each origin."""
        return self.prediction.shape[1]

    @cached_property
    def errors(self) -> Float[np.ndarray, "origin steps"]:
        """Distance to the truth at every step, in `unit`: root mean square over the channels."""
        return self.errors_of(self.prediction)

    @cached_property
    def table(self) -> list[HorizonError]:
        """Errors over a ladder of horizons, in `unit`."""
        return errors_by_horizon(self.errors)

    def errors_of(
        self, prediction: Float[np.ndarray, "origin steps channel"]
    ) -> Float[np.ndarray, "origin steps"]:
        """Return the distance of any forecasts from these origins to the truth at every step."""
        with np.errstate(over="ignore"):
            errors = (prediction - self.truth[:, self.warmup :]) / self.unit
            return np.sqrt(np.mean(errors**2, axis=2))

    @property
    def diverged_at(self) -> list[int | None]:
        """Each origin's first step (from 1) that is not finite, or None."""
        finite = np.asarray(np.all(np.isfinite(self.prediction), axis=2))
        return [None if row.all() else int(row.argmin()) + 1 for row in finite]

    @property
    def typical(self) -> int:
        """The origin of (upper) median RMSE over all steps; diverged ones count as the worst."""
        total = [rmse(row) for row in self.errors]
        return int(np.argsort(total, kind="stable")[len(total) // 2])


@dataclass(frozen=True)
class OneStep:
    """Open-loop predictions, always fed true samples, in segments of one length; signal units."""

    time: Float[np.ndarray, "segment sample"]
    """Sampling times, in time units."""

    observed: Float[np.ndarray, "segment sample channel"]
    """Samples as recorded, with noise."""

    truth: Float[np.ndarray, "segment sample channel"]
    """The same samples without noise."""

    prediction: Float[np.ndarray, "segment sample channel"]
    """Outputs of the network after all samples before."""


@dataclass(frozen=True)
class Evidence:
    """All that metrics are computed from, in the series' own units."""

    closed_loop: Forecasts
    open_loop: tuple[OneStep, ...]
    """One for each length that segments have."""

    baselines: dict[str, Float[np.ndarray, "origin steps channel"]]
    """Forecasts from the same origins after the same warm-up, by the name of the method."""

    dynamics: Dynamics
    std: Float[np.ndarray, " channel"]
    """Standard deviation of the training part, to which errors are relative."""

    time_step: float
    """Spacing of the samples, in time units."""

    period: float | None
    """Length of one oscillation, in time units; None if the series has none."""

    exponent: float | None = None
    """Largest Lyapunov exponent of the series, per time unit, if its equations are known."""

    valid_threshold: float = USUAL_THRESHOLD
    """A forecast is valid while its error is below so many standard deviations."""

    measure: str = "rmse"
    """Which errors of forecasts are computed besides RMSE: nrmse, smape, or no others."""

    @property
    def valid_limit(self) -> float:
        """The error up to which a forecast is valid, in the unit of errors."""
        return self.valid_threshold * self.spread

    @property
    def unit(self) -> Float[np.ndarray, " channel"]:
        """What errors are divided by before those of all channels are taken together."""
        return error_unit(self.std)

    @property
    def spread(self) -> float:
        """The standard deviation in the unit of errors: root mean square over the channels."""
        return rmse(self.std / self.unit)

    @cached_property
    def baseline_tables(self) -> dict[str, list[HorizonError]]:
        """Errors of every baseline's forecasts over a ladder of horizons, in `unit`."""
        return {
            name: errors_by_horizon(self.closed_loop.errors_of(forecast))
            for name, forecast in self.baselines.items()
        }

    def of_channel(self, channel: int) -> "Evidence":
        """Return the evidence of one output alone; its hidden states are those of the network."""
        one = slice(channel, channel + 1)

        def cut(part: Any) -> Any:
            values = {
                name: getattr(part, name)[:, :, one] for name in ("observed", "truth", "prediction")
            }
            return replace(part, **values)

        return replace(
            self,
            closed_loop=cut(replace(self.closed_loop, unit=1.0)),
            open_loop=tuple(map(cut, self.open_loop)),
            baselines={name: forecast[:, :, one] for name, forecast in self.baselines.items()},
            dynamics=replace(self.dynamics, outputs=self.dynamics.outputs[:, :, one]),
            std=self.std[one],
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of a file; of the open loop only the samples that a figure shows."""
        open_loop = _members(self.open_loop[0])
        groups = {
            "closed_loop": _members(self.closed_loop),
            "open_loop": {name: value[:1, :OPEN_LOOP_KEPT] for name, value in open_loop.items()},
            "baselines": self.baselines,
            "dynamics": _members(self.dynamics),
        }
        named = {
            f"{group}.{name}": values
            for group in groups
            for name, values in groups[group].items()
            if values is not None and name != "unit"
        }
        period = np.nan if self.period is None else self.period
        named |= {"std": self.std, "times": np.array([self.time_step, period])}
        if self.valid_threshold != USUAL_THRESHOLD:
            named["valid_threshold"] = np.array([self.valid_threshold])
        return named

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Evidence":
        """Return the evidence that `arrays` was called on.

        Raises:
            ValueError: An array is missing, unknown, of another shape, or holds values that no
                series has.
        """
        _require_shapes(arrays)
        _require_measurements(arrays)
        groups: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
        for name, value in arrays.items():
            group, _, member = name.partition(".")
            groups[group][member] = _without_huge(value) if name in _OUTPUTS else value
        time_step, period = arrays["times"].tolist()
        evidence = cls(
            closed_loop=Forecasts(**groups["closed_loop"], unit=error_unit(arrays["std"])),
            open_loop=(OneStep(**groups["open_loop"]),),
            baselines=groups["baselines"],
            dynamics=Dynamics(**groups["dynamics"]),
            std=arrays["std"],
            time_step=time_step,
            period=None if np.isnan(period) else period,
            valid_threshold=float(arrays.get("valid_threshold", [USUAL_THRESHOLD])[0]),
        )
        _require_consistency(evidence)
        return evidence


def _members(group: Any) -> dict[str, Any]:
    """Return the arrays of a group, without what is computed from them."""
    return {field.name: getattr(group, field.name) for field in fields(group)}


_GROUPS = {"closed_loop": Forecasts, "open_loop": OneStep, "dynamics": Dynamics}
_HUGE = 1e100  # no series reaches it: squares of larger values may overflow
_LONGEST = 1e9  # samples in a period
_OUTPUTS = ("closed_loop.prediction", "open_loop.prediction", "dynamics.outputs")
_UNBOUNDED = (*_OUTPUTS, "dynamics.exponents", "dynamics.free", "times")
"""Arrays that may hold any value, as do those of baselines: free runs may diverge."""


def _require_shapes(arrays: dict[str, np.ndarray]) -> None:
    kinds: dict[str, Any] = {
        f"{group}.{name}": of
        for group, kind in _GROUPS.items()
        for name, of in get_type_hints(kind).items()
    }
    del kinds["closed_loop.unit"]
    kinds["closed_loop.inputs"] = Float[np.ndarray, "origin all input"]
    baselines = [name for name in arrays if name.startswith("baselines.")]
    kinds |= dict.fromkeys(baselines, Float[np.ndarray, "origin steps channel"])
    kinds |= {"std": Float[np.ndarray, " channel"], "times": Float[np.ndarray, " 2"]}
    kinds["valid_threshold"] = Float[np.ndarray, " 1"]
    for optional in {"closed_loop.inputs", "valid_threshold"} - arrays.keys():
        del kinds[optional]
    if wrong := sorted(arrays.keys() ^ kinds.keys()):
        raise ValueError(f"array {printable(wrong[0], 60)} is missing or unknown")
    sizes: dict[str, int] = {}  # a dimension has one size in all arrays
    for name, kind in kinds.items():
        if not _fits(arrays[name], kind.dim_str.split(), sizes):
            shape = f"{list(arrays[name].shape)}, and should be [{kind.dim_str}]"
            raise ValueError(f"array {printable(name, 60)} is {shape}")


def _fits(array: np.ndarray, dimensions: list[str], sizes: dict[str, int]) -> bool:
    """Whether an array of floats has these dimensions: numbers, or names of `sizes` or new ones."""
    return (
        np.issubdtype(array.dtype, np.floating)
        and array.ndim == len(dimensions)
        and all(
            size == (int(name) if name.isdigit() else sizes.setdefault(name, size))
            for name, size in zip(dimensions, array.shape, strict=True)
        )
    )


def _require_measurements(arrays: dict[str, np.ndarray]) -> None:
    for name, value in arrays.items():
        if name in _UNBOUNDED or name.startswith("baselines."):
            continue
        if value.size == 0 and "eigenvalues" not in name:
            raise ValueError(f"array {name} is empty")
        if not (np.abs(value) < _HUGE).all():
            raise ValueError(f"array {name} holds values that no series has")


def _without_huge(values: np.ndarray) -> np.ndarray:
    """Return values with NaN in place of those too large for an axis."""
    return np.where(np.abs(values) < _HUGE, values, np.nan)


def _require_consistency(evidence: Evidence) -> None:
    closed_loop = evidence.closed_loop
    if not (evidence.std >= 0).all():
        raise ValueError("a standard deviation is negative")
    if not evidence.valid_threshold > 0:
        raise ValueError(f"the threshold is {evidence.valid_threshold}")
    for times in (closed_loop.time, evidence.open_loop[0].time):
        if not (np.diff(times, axis=1) > 0).all():
            raise ValueError("time does not increase from sample to sample")
    if closed_loop.warmup < 1 or closed_loop.steps < 1:
        raise ValueError("a forecast has no warm-up or no steps")
    if not 0 < evidence.time_step < _HUGE:
        raise ValueError(f"the time step is {evidence.time_step}")
    if evidence.period is not None and not 0 < evidence.period < _LONGEST * evidence.time_step:
        raise ValueError(f"the period is {evidence.period}")
