"""Metrics of a trained network, in numbers and words.

Training minimises the one-step error, which says little about a free run; what counts is the
closed-loop error far ahead, from several origins and compared with baselines. A metric is a
function of the `Evidence`, registered in `METRICS`.
"""

from collections import Counter
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import numpy as np

from sinernn.arrays import Float
from sinernn.data.series import Extent
from sinernn.evaluation import parts
from sinernn.evaluation.climate import (
    compare_climates,
    describe_departures,
    estimate_exponent,
)
from sinernn.evaluation.dynamics import Settled, exponent_resolution, settled
from sinernn.evaluation.forecasts import Evidence
from sinernn.evaluation.hints import Setting, find_hints
from sinernn.evaluation.metrics import (
    HorizonError,
    MeasuredError,
    finite,
    nrmse_by_step,
    r_squared,
    rmse,
    smape_by_horizon,
    valid_steps,
)
from sinernn.evaluation.periodic import compare_oscillations
from sinernn.evaluation.skill import compare_with_baselines


def score_open_loop(evidence: Evidence) -> parts.OneStepScore:
    """RMSE one step ahead, the same divided by the standard deviation, and R²."""
    unit, found = evidence.unit, evidence.open_loop
    prediction = np.concatenate([part.prediction.reshape(-1, len(unit)) for part in found]) / unit
    truth = np.concatenate([part.truth.reshape(-1, len(unit)) for part in found]) / unit
    error = rmse(prediction - truth)
    return parts.OneStepScore(
        rmse=finite(error),
        nrmse=finite(error / evidence.spread) if evidence.spread else None,
        r2=finite(r_squared(prediction, truth)),
    )


def score_closed_loop(evidence: Evidence) -> list[parts.HorizonScore]:
    """RMSE over a ladder of horizons, of the median and worst origin; null if it diverged."""
    return _ladder(evidence.closed_loop.table)


def score_baselines(evidence: Evidence) -> list[parts.BaselineScore]:
    """RMSE of every baseline over the same horizons."""
    return [
        parts.BaselineScore(name=name, closed_loop_rmse=_ladder(table))
        for name, table in evidence.baseline_tables.items()
    ]


def score_nrmse(evidence: Evidence) -> parts.MeasuredScores | None:
    """NRMSE of single steps, if it is the measure; null of a constant, which has no scale."""
    if evidence.measure != "nrmse" or not evidence.spread:
        return None
    forecasts = evidence.closed_loop
    return _by_measure(
        evidence,
        lambda prediction: nrmse_by_step(forecasts.errors_of(prediction), std=evidence.spread),
    )


def score_smape(evidence: Evidence) -> parts.MeasuredScores | None:
    """Symmetric percentage error up to growing horizons, if it is the measure."""
    if evidence.measure != "smape":
        return None
    truth = evidence.closed_loop.truth[:, evidence.closed_loop.warmup :]
    return _by_measure(evidence, lambda prediction: smape_by_horizon(prediction, truth))


def _by_measure(
    evidence: Evidence,
    measure: Callable[[Float[np.ndarray, "origin steps channel"]], list[MeasuredError]],
) -> parts.MeasuredScores:
    def rows(prediction: Float[np.ndarray, "origin steps channel"]) -> list[parts.MeasuredScore]:
        return [
            parts.MeasuredScore(
                horizon=row.horizon, value=finite(row.value), worst=finite(row.worst)
            )
            for row in measure(prediction)
        ]

    baselines = {name: rows(forecast) for name, forecast in evidence.baselines.items()}
    return parts.MeasuredScores(network=rows(evidence.closed_loop.prediction), baselines=baselines)


def score_valid_time(evidence: Evidence) -> parts.ValidTime | None:
    """First step beyond the threshold, capped at the horizon, which `outlasted` origins reached."""
    if not evidence.spread:
        return None  # a constant has no scale
    capped, outlasted = _valid_steps(evidence)
    middle = capped[(len(capped) - 1) // 2]  # not a mean: capped values are bounds

    def in_units(unit: float) -> parts.MedianAndWorst:
        return parts.MedianAndWorst(median=float(middle) * unit, worst=float(capped[0]) * unit)

    return parts.ValidTime(
        threshold=evidence.valid_threshold,
        steps=in_units(1.0),
        time_units=in_units(evidence.time_step),
        periods=in_units(evidence.time_step / evidence.period) if evidence.period else None,
        outlasted=outlasted,
    )


def score_valid_lyapunov_times(evidence: Evidence) -> parts.LyapunovTimes | None:
    """Valid time, capped likewise, in the time in which a small difference grows e-fold."""
    exponent = _true_exponent(evidence) if evidence.spread else 0.0
    if not exponent > 0:  # NaN: not known
        return None
    capped, outlasted = _valid_steps(evidence)
    times = capped * evidence.time_step * exponent
    return parts.LyapunovTimes(
        exponent_per_time_unit=exponent,
        source="samples" if evidence.exponent is None else "equations",
        median=float(times[(len(times) - 1) // 2]),
        mean=float(times.mean()),
        worst=float(times[0]),
        outlasted=outlasted,
    )


def _valid_steps(evidence: Evidence) -> tuple[Float[np.ndarray, " origin"], int]:
    """Return valid times in steps, sorted and capped at the horizon, and how many reached it."""
    steps = valid_steps(evidence.closed_loop.errors, limit=evidence.valid_limit)
    return np.sort(np.minimum(steps, evidence.closed_loop.steps)), int(np.isinf(steps).sum())


def _true_exponent(evidence: Evidence) -> float:
    """Return the largest Lyapunov exponent of the series, per time unit; NaN if it is not known."""
    if evidence.exponent is not None:
        return evidence.exponent
    if evidence.closed_loop.inputs is not None:
        return float("nan")  # neighbours do not have the same inputs
    if evidence.period:
        return 0.0
    return estimate_exponent(_longest(evidence)) / evidence.time_step


def _longest(evidence: Evidence) -> Float[np.ndarray, "n channel"]:
    """Return the longest segment of the evaluated part, in the unit of errors."""
    segments = (segment for part in evidence.open_loop for segment in part.truth)
    return max(segments, key=len) / evidence.unit


def score_oscillation(evidence: Evidence) -> parts.OscillationScore | None:
    """Frequency, phase and amplitude of free runs against the truth's; null without a period."""
    forecasts, period = evidence.closed_loop, evidence.period
    # A frequency needs a whole period to measure, and more than two samples a period to be unique.
    if not period or not 2 * evidence.time_step < period <= forecasts.steps * evidence.time_step:
        return None
    truth = forecasts.truth[:, forecasts.warmup :]
    pairs = [
        compare_oscillations(forecasts.prediction[origin, :, channel], truth[origin, :, channel])
        for origin, channel in np.ndindex(len(truth), truth.shape[2])
    ]
    found = [pair for pair in pairs if pair]
    return parts.OscillationScore(
        of=len(found),
        count=len(pairs),
        frequency_error=_median_and_worst([one.frequency_error for one in found]),
        phase_drift_rad_per_1000_steps=_median_and_worst([one.phase_drift for one in found]),
        phase_shift_rad=_median_and_worst([one.phase_shift_rad for one in found]),
        amplitude_ratio=_median_and_worst([one.amplitude_ratio for one in found], best=1.0),
    )


def score_dynamics(evidence: Evidence) -> parts.DynamicsScore:
    """Where free runs settle, how fast nearby trajectories diverge, and how the truth compares."""
    found = evidence.dynamics
    places = [
        settled(
            outputs / evidence.unit,
            float(exponent),
            std=evidence.spread,
            has_inputs=evidence.closed_loop.inputs is not None,
        )
        for outputs, exponent in zip(found.outputs, found.exponents, strict=True)
    ]
    climate, warning = _score_climate(evidence, places)
    bounded = found.exponents[~np.isnan(found.exponents)]  # of runs that did not diverge
    exponent = float(np.median(bounded)) if bounded.size else float("nan")
    return parts.DynamicsScore(
        settles={place.value: count for place, count in Counter(places).most_common()},
        lyapunov_exponent_per_step=finite(exponent),
        lyapunov_exponent_per_time_unit=finite(exponent / evidence.time_step),
        lyapunov_resolution_per_step=exponent_resolution(found.outputs.shape[1]),
        climate=climate,
        warning=warning,
    )


def _score_climate(
    evidence: Evidence, places: list[Settled]
) -> tuple[parts.ClimateScore | None, str | None]:
    """Compare free runs with the truth; also a warning if some have left its attractor."""
    unit = evidence.unit
    truth = [segment / unit for part in evidence.open_loop for segment in part.truth]
    longest = _longest(evidence)
    found = compare_climates(evidence.dynamics.outputs / unit, truth) if evidence.spread else []
    never = set[Settled]()
    if rmse(longest - longest.mean(axis=0)) > evidence.spread / 10:  # the series oscillates
        never |= {Settled.fixed_point, Settled.divergence}
    if found and Settled.limit_cycle in places and evidence.period is None:
        stretch = longest[: evidence.dynamics.outputs.shape[1]]
        if settled(stretch, 0.0, std=evidence.spread) != Settled.limit_cycle:
            never.add(Settled.limit_cycle)
    left = Counter(
        place.value
        for run, place in zip_longest(found, places)
        if place in never or (run and not run.is_similar)
    )
    warning = None
    if left:
        warning = describe_departures(
            found, left, of=len(places), may_cycle=Settled.limit_cycle not in never
        )
    if not found:
        return None, warning
    climate = parts.ClimateScore(
        left=dict(left.most_common()),
        mean_shift=_median_and_worst([run.mean_shift for run in found]),
        std_ratio=_median_and_worst([run.std_ratio for run in found], best=1.0),
        range_ratio=_median_and_worst([run.range_ratio for run in found], best=1.0),
        spectral_distance=_median_and_worst([run.spectral_distance for run in found]),
        true_exponent_per_step=finite(_true_exponent(evidence) * evidence.time_step),
    )
    return climate, warning


def score_skill(evidence: Evidence) -> parts.Skill:
    """Whether the network beats the baselines, in words."""
    return compare_with_baselines(
        evidence.closed_loop.table,
        evidence.baseline_tables,
        std=evidence.spread
        or rmse(evidence.closed_loop.truth / evidence.unit),  # a constant's scale is its size
    )


METRICS: dict[str, Callable[[Evidence], Any]] = {
    "open_loop": score_open_loop,
    "closed_loop_rmse": score_closed_loop,
    "baselines": score_baselines,
    "closed_loop_nrmse": score_nrmse,
    "closed_loop_smape": score_smape,
    "skill": score_skill,
    "valid_time": score_valid_time,
    "valid_lyapunov_times": score_valid_lyapunov_times,
    "oscillation": score_oscillation,
    "dynamics": score_dynamics,
}
"""Every metric, by its key in evaluation.json.

One without a field in `Scores` is written all the same, and printed as JSON.
"""


def score(evidence: Evidence) -> dict[str, Any]:
    """Return every metric, as `Scores` takes them."""
    return {name: function(evidence) for name, function in METRICS.items()}


def score_channels(evidence: Evidence, extent: Extent) -> list[parts.ChannelScore]:
    """Return all channels; of several outputs, also the scores of each alone."""
    channels: list[parts.ChannelScore] = []
    for index, output in enumerate(extent.outputs):
        scores = dict[str, Any]()
        if len(extent.outputs) > 1:
            alone = evidence.of_channel(index)
            names = ("open_loop", "closed_loop_rmse", "baselines")
            scores = {name: METRICS[name](alone) for name in names}
        channels.append(parts.ChannelScore(name=output.name, unit=output.unit, **scores))
    for channel in extent.inputs:
        channels.append(parts.ChannelScore(name=channel.name, unit=channel.unit, is_input=True))
    return channels


def advise(evidence: Evidence, setting: Setting) -> list[parts.Hint]:
    """Return settings to try, if the free run is poor."""
    error = evidence.closed_loop.table[-1].median
    relative = error / evidence.spread if evidence.spread else float("inf") if error else 0.0
    return find_hints(setting, relative_error=relative)


def _ladder(table: list[HorizonError]) -> list[parts.HorizonScore]:
    return [
        parts.HorizonScore(horizon=row.horizon, median=finite(row.median), worst=finite(row.worst))
        for row in table
    ]


def _median_and_worst(values: list[float], *, best: float = 0.0) -> parts.MedianAndWorst | None:
    if not values:
        return None
    worst = max(values, key=lambda value: abs(value - best))
    return parts.MedianAndWorst(median=finite(float(np.median(values))), worst=finite(worst))
