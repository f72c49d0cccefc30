"""Metrics of a trained network, in numbers and words.

Training minimises the one-step error, which says little about a free run; the closed-loop error far
ahead, from several origins and beside baselines, is what counts. A metric is a function of the
`Evidence`, registered in `METRICS`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from sinernn.evaluation.dynamics import exponent_resolution, settled
from sinernn.evaluation.forecasts import Evidence
from sinernn.evaluation.hints import Setting, find_hints
from sinernn.evaluation.metrics import (
    VALID_FRACTION,
    HorizonError,
    errors_by_horizon,
    finite,
    r_squared,
    rmse,
    valid_steps,
)
from sinernn.evaluation.periodic import compare_oscillations
from sinernn.evaluation.skill import compare_with_baselines


def open_loop(evidence: Evidence) -> dict[str, Any]:
    """One step ahead: RMSE, the same by the standard deviation, and R²."""
    channels, parts = len(evidence.std), evidence.open_loop
    prediction = np.concatenate([part.prediction.reshape(-1, channels) for part in parts])
    truth = np.concatenate([part.truth.reshape(-1, channels) for part in parts])
    error = rmse(prediction - truth)
    return {
        "rmse": finite(error),
        "nrmse": finite(error / evidence.spread) if evidence.spread else None,
        "r2": finite(r_squared(prediction, truth)),
    }


def closed_loop_rmse(evidence: Evidence) -> list[dict[str, Any]]:
    """RMSE up to several horizons, median and worst origin; null: diverged."""
    return _ladder(errors_by_horizon(evidence.closed_loop.errors))


def baselines(evidence: Evidence) -> list[dict[str, Any]]:
    """Closed-loop RMSE of every baseline."""
    return [
        {"name": name, "closed_loop_rmse": _ladder(table)}
        for name, table in _baseline_tables(evidence).items()
    ]


def valid_time(evidence: Evidence) -> dict[str, Any] | None:
    """First step beyond the threshold, at most the horizon, which `outlasted` origins reached."""
    if not evidence.spread:
        return None  # a constant has no scale
    forecasts = evidence.closed_loop
    steps = valid_steps(forecasts.errors, limit=VALID_FRACTION * evidence.spread)
    capped = np.sort(np.minimum(steps, forecasts.steps))
    middle = capped[(len(capped) - 1) // 2]  # not a mean: capped values are bounds

    def in_units(unit: float) -> dict[str, float]:
        return {"median": float(middle) * unit, "worst": float(capped[0]) * unit}

    return {
        "threshold": VALID_FRACTION,
        "steps": in_units(1.0),
        "time_units": in_units(evidence.time_step),
        "periods": in_units(evidence.time_step / evidence.period) if evidence.period else None,
        "outlasted": int(np.isinf(steps).sum()),
    }


def oscillation(evidence: Evidence) -> dict[str, Any] | None:
    """Frequency, phase and amplitude relative to the truth; null: the truth does not oscillate.

    `of` of the `count` free runs (origins times channels) oscillate; the others have no frequency.
    """
    forecasts, period = evidence.closed_loop, evidence.period
    # A frequency needs a whole period, and more than two samples per period.
    if not period or not 2 * evidence.time_step < period <= forecasts.steps * evidence.time_step:
        return None
    pairs = [
        compare_oscillations(prediction[:, channel], truth[:, channel])
        for prediction, truth in zip(
            forecasts.prediction, forecasts.truth[:, forecasts.warmup :], strict=True
        )
        for channel in range(truth.shape[1])
    ]
    found = [pair for pair in pairs if pair]
    return {
        "of": len(found),
        "count": len(pairs),
        "frequency_error": _median_and_worst([one.frequency_error for one in found], best=0.0),
        "phase_drift_rad_per_1000_steps": _median_and_worst(
            [one.phase_drift for one in found], best=0.0
        ),
        "phase_shift_rad": _median_and_worst([one.phase_shift_rad for one in found], best=0.0),
        "amplitude_ratio": _median_and_worst([one.amplitude_ratio for one in found], best=1.0),
    }


def dynamics(evidence: Evidence) -> dict[str, Any]:
    """Long-term behaviour of free runs, and how fast nearby trajectories diverge."""
    found = evidence.dynamics
    places = Counter(
        settled(outputs, float(exponent), std=evidence.spread)
        for outputs, exponent in zip(found.outputs, found.exponents, strict=True)
    )
    bounded = found.exponents[~np.isnan(found.exponents)]  # of what did not diverge
    exponent = float(np.median(bounded)) if bounded.size else float("nan")
    return {
        "settles": {place.value: count for place, count in places.most_common()},
        "lyapunov_exponent_per_step": finite(exponent),
        "lyapunov_exponent_per_time_unit": finite(exponent / evidence.time_step),
        "lyapunov_resolution_per_step": exponent_resolution(found.outputs.shape[1]),
    }


def skill_line(evidence: Evidence) -> dict[str, Any]:
    """Whether the network beats the baselines, in words."""
    skill = compare_with_baselines(
        errors_by_horizon(evidence.closed_loop.errors),
        _baseline_tables(evidence),
        std=evidence.spread
        or rmse(evidence.closed_loop.truth),  # the scale of a constant is its size
    )
    return {**skill, "ratio": None if skill["ratio"] is None else finite(skill["ratio"])}


METRICS: dict[str, Callable[[Evidence], Any]] = {
    "open_loop": open_loop,
    "closed_loop_rmse": closed_loop_rmse,
    "baselines": baselines,
    "skill": skill_line,
    "valid_time": valid_time,
    "oscillation": oscillation,
    "dynamics": dynamics,
}
"""Every metric, by its key in evaluation.json."""


def score(evidence: Evidence) -> dict[str, Any]:
    """Return every metric as a JSON value."""
    return {name: function(evidence) for name, function in METRICS.items()}


def advise(evidence: Evidence, setting: Setting) -> list[dict[str, Any]]:
    """Return settings that may explain a poor free run: `override` and `because`."""
    error = errors_by_horizon(evidence.closed_loop.errors)[-1].median
    relative = error / evidence.spread if evidence.spread else float("inf") if error else 0.0
    return [asdict(hint) for hint in find_hints(setting, relative_error=relative)]


def _baseline_tables(evidence: Evidence) -> dict[str, list[HorizonError]]:
    return {
        name: errors_by_horizon(evidence.closed_loop.errors_of(forecast))
        for name, forecast in evidence.baselines.items()
    }


def _ladder(table: list[HorizonError]) -> list[dict[str, Any]]:
    return [
        {name: finite(value) if name != "horizon" else value for name, value in asdict(row).items()}
        for row in table
    ]


def _median_and_worst(values: list[float], *, best: float) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "median": float(np.median(values)),
        "worst": max(values, key=lambda value: abs(value - best)),
    }
