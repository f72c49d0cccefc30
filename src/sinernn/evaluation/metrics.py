"""Error measures, one step ahead and in closed loop: arrays in, numbers out."""

from dataclasses import dataclass

import numpy as np

from sinernn.arrays import Float, Int

HORIZON_LADDER = (1, 2, 5, 10, 20, 49, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
"""Steps ahead at which closed-loop error is reported; 49 is the tutorial's own horizon."""


@dataclass(frozen=True)
class HorizonError:
    """RMSE over the first `horizon` steps, in the series' own units: median and worst origin."""

    horizon: int
    median: float
    worst: float


@dataclass(frozen=True)
class MeasuredError:
    """Another measure at a horizon: of all origins together, and of the worst one."""

    horizon: int
    value: float
    worst: float


def rmse(errors: Float[np.ndarray, "..."]) -> float:
    """Root mean square of errors; infinite if one of them is not finite."""
    with np.errstate(over="ignore"):  # squares of a diverging free run
        value = float(np.sqrt(np.mean(np.square(errors))))
    return value if np.isfinite(value) else float("inf")


def error_unit(std: Float[np.ndarray, " channel"]) -> Float[np.ndarray, " channel"]:
    """Return what errors are divided by before those of all channels are taken together.

    A single channel keeps its unit. Several may have different units or sizes: each error is in
    standard deviations of its channel, so that none drowns the others.

    Args:
        std: Of each channel; 0 of a constant one, whose errors stay as they are.
    """
    return np.where(std > 0, std, 1.0) if len(std) > 1 else np.ones(1)


def errors_by_horizon(errors: Float[np.ndarray, "origin steps"]) -> list[HorizonError]:
    """Return RMSE up to each rung of the ladder below the last step, and up to the last."""
    horizons = _rungs(errors.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):  # of a diverging free run
        squares = np.square(errors)
        found = np.sqrt([squares[:, :horizon].mean(axis=1) for horizon in horizons])
    found = np.where(np.isfinite(found), found, np.inf)
    medians, worst = np.median(found, axis=1), found.max(axis=1)
    return [
        HorizonError(*row) for row in zip(horizons, medians.tolist(), worst.tolist(), strict=True)
    ]


def nrmse_by_step(errors: Float[np.ndarray, "origin steps"], *, std: float) -> list[MeasuredError]:
    """Return the NRMSE of single steps of the ladder: over all origins, and of the worst one.

    Args:
        errors: Distance to the truth, as for `errors_by_horizon`.
        std: Standard deviation of the series in the same unit; positive.

    Source:
        Jaeger (2001), "The 'echo state' approach to analysing and training recurrent neural
        networks", GMD Report 148, section 6, where the step is the 84th.
    """
    steps = _rungs(errors.shape[1])
    relative = errors[:, [step - 1 for step in steps]] / std
    with np.errstate(over="ignore", invalid="ignore"):  # of a diverging free run
        values = np.sqrt(np.mean(relative**2, axis=0))
    return _measured(steps, values, relative.max(axis=0))


def smape_by_horizon(
    prediction: Float[np.ndarray, "origin steps channel"],
    truth: Float[np.ndarray, "origin steps channel"],
) -> list[MeasuredError]:
    """Return the symmetric percentage error up to each rung: of the median and worst origin.

    The mean over steps and channels of `symmetric_errors`, from 0 to 200.
    """
    by_step = symmetric_errors(prediction, truth).mean(axis=2)
    horizons = _rungs(by_step.shape[1])
    found = np.stack([by_step[:, :horizon].mean(axis=1) for horizon in horizons])
    return _measured(horizons, np.median(found, axis=1), found.max(axis=1))


def symmetric_errors(
    prediction: Float[np.ndarray, "*shape"], truth: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """Return 200 |p - v| / (|p| + |v|) of every prediction p of a value v, from 0 to 200.

    It is 0 where both are 0, and 200 where the prediction is not finite.

    Source:
        Gilpin (2021), "Chaos as an interpretable benchmark for forecasting and data-driven
        modelling", arXiv 2110.05266; the values at 0 and infinity are our own.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = np.abs(prediction) + np.abs(truth)
        shares = np.abs(prediction - truth) / np.where(sizes == 0, 1.0, sizes)
    return 200 * np.where(np.isfinite(shares), shares, 1.0)


def _rungs(steps: int) -> list[int]:
    """Return the rungs of the ladder below the last step, and the last."""
    return [*(rung for rung in HORIZON_LADDER if rung < steps), steps]


def _measured(
    horizons: list[int], values: Float[np.ndarray, " rung"], worst: Float[np.ndarray, " rung"]
) -> list[MeasuredError]:
    numbers = np.stack([values, worst])
    numbers[np.isnan(numbers)] = np.inf
    return [MeasuredError(*row) for row in zip(horizons, *numbers.tolist(), strict=True)]


def r_squared(
    prediction: Float[np.ndarray, "... channel"], truth: Float[np.ndarray, "... channel"]
) -> float:
    """Share of the truth's variance that a prediction explains; NaN if the truth has none."""
    with np.errstate(over="ignore", invalid="ignore"):
        unexplained = np.sum((prediction - truth) ** 2)
    deviation = truth - truth.reshape(-1, truth.shape[-1]).mean(axis=0)
    variation = np.sum(deviation**2)
    # A constant leaves squares of rounding errors, not zero.
    if variation <= truth.size * (1e-12 * np.abs(truth).max()) ** 2:
        return float("nan")
    return float(1 - unexplained / variation)


def valid_steps(
    errors: Float[np.ndarray, "origin steps"], *, limit: float
) -> Float[np.ndarray, " origin"]:
    """Return each origin's first step (from 1) whose error exceeds `limit`; infinite if none does.

    Source:
        Pathak et al. (2018), Chaos 28, 041101, "valid time" with the threshold 0.4; the error is
        divided by the standard deviation as in Vlachas et al. (2020), Neural Networks 126,
        191-217, "valid prediction time".
    """
    exceeds = ~(errors <= limit)  # NaN is not valid
    return np.where(exceeds.any(axis=1), exceeds.argmax(axis=1) + 1.0, np.inf)


def finite(value: float) -> float | None:
    """Return a value, or None, JSON's null, if it is infinite or not a number."""
    return value if np.isfinite(value) else None


def evenly_spaced(count: int, most: int) -> Int[np.ndarray, " kept"]:
    """Return at most so many of the indices below `count`, evenly spread from first to last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def counted(number: int | float | str, unit: str = "step") -> str:
    """Return a number, perhaps as it is written, with its unit, in the plural if needed."""
    return f"{number} {unit}{'' if number in (1, '1') else 's'}"
