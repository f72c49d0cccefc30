"""Scores in words and tables, for the terminal and for pages.

Scores may come from a file of a stranger: any value that is missing is shown as such.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from sinernn.errors import printable
from sinernn.evaluation.metrics import counted
from sinernn.evaluation.results import HorizonScore, Scores


class TextTable(NamedTuple):
    """A table of texts; a heading may have several lines."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def error_text(value: float | None) -> str:
    """Return an error as tables show it."""
    return "diverged" if value is None else f"{value:.2e}"


def steps_text(steps: float | None, *, is_bound: bool) -> str:
    """Return a valid time in steps as tables show it; nothing for none.

    Args:
        steps: The valid time.
        is_bound: Whether the forecasts end there, still valid.
    """
    return "" if steps is None else f"{'>' if is_bound else ''}{steps:g}"


def duration_text(seconds: float | None, digits: str = ".3g") -> str:
    """Return a duration in the largest unit of which there are two or more; nothing for none."""
    if seconds is None:
        return ""
    units = {"d": 86400, "h": 3600, "min": 60}
    unit = next((unit for unit, size in units.items() if seconds >= 2 * size), "s")
    return f"{seconds / units.get(unit, 1):{digits}} {unit}"


def number_text(value: float | None, form: str) -> str:
    """Return a number, or a dash for none."""
    return "-" if value is None else format(value, form)


def describe_network(scores: Scores) -> str:
    """Return cell, size and seed."""
    layers, units = counted(scores.num_layers, "layer"), counted(scores.hidden_size, "unit")
    return f"{scores.cell}, {layers} of {units}, {scores.parameters} parameters, seed {scores.seed}"


def describe_evaluation(scores: Scores) -> str:
    """Return what the network was evaluated on, and after how much training."""
    trained = f"{scores.updates} updates"
    if scores.refine_iterations:
        trained += f" and {scores.refine_iterations} iterations of refinement"
    return (
        f"evaluated on {scores.config}, {scores.part} part: {scores.checkpoint} checkpoint, "
        f"after {trained}; errors in {scores.error_unit or 'signal units'}"
    )


def describe_one_step(scores: Scores) -> str:
    """Return the errors one step ahead."""
    found = scores.open_loop
    return (
        f"one step ahead: RMSE {error_text(found.rmse)}, NRMSE {number_text(found.nrmse, '.2e')}, "
        f"R² {number_text(found.r2, '.6g')}"
    )


def score_tables(scores: Scores) -> list[TextTable]:
    """Return the errors over all outputs by horizon, then, of several outputs, those of each."""
    has_channels = any(channel.closed_loop_rmse for channel in scores.channels)
    return [_by_horizon(scores), *([_by_output(scores)] if has_channels else [])]


def findings(scores: Scores) -> list[str]:
    """Return what free runs are like: how long they are valid, how they oscillate and settle."""
    found = [_valid_time(scores), _oscillation(scores), _dynamics(scores)]
    for name, value in scores.model_dump(include=set(scores.model_extra or {})).items():
        found.append(f"{name}: {json.dumps(value)}")
    return [line for line in found if line]


def divergences(scores: Scores) -> list[str]:
    """Return which forecasts diverged, and when."""
    count = len(scores.origins)
    return [
        f"origin {number} of {count} diverged at step {origin.diverged_at}"
        for number, origin in enumerate(scores.origins, start=1)
        if origin.diverged_at is not None
    ]


def _by_horizon(scores: Scores) -> TextTable:
    """Return the errors of network and baselines, a row for each horizon."""
    origins = counted(len(scores.origins), "origin")
    own = [(row.horizon, row.median, row.worst) for row in scores.closed_loop_rmse]
    others = {each.name: [row.median for row in each.closed_loop_rmse] for each in scores.baselines}
    first, title = "steps", "median RMSE up to a horizon"
    if found := scores.closed_loop_nrmse or scores.closed_loop_smape:
        own = [(row.horizon, row.value, row.worst) for row in found.network]
        others = {name: [row.value for row in rows] for name, rows in found.baselines.items()}
        title = "median sMAPE up to a horizon, 0 to 200"
        if scores.closed_loop_nrmse:
            first, title = "step", f"NRMSE of one step, over {origins}"
    headings = [first, "network", f"worst of\n{origins}"]
    headings += [printable(name, 30).replace(" ", "\n") for name in others]
    rows = [
        [str(horizon), error_text(error), error_text(worst)]
        + [error_text(each[at]) if at < len(each) else "-" for each in others.values()]
        for at, (horizon, error, worst) in enumerate(own)
    ]
    return TextTable(f"closed loop: {title}", headings, rows)


def _by_output(scores: Scores) -> TextTable:
    """Return the errors of each output, up to the longest horizon."""
    longest = max((row.horizon for row in scores.closed_loop_rmse), default=0)
    title = f"of each output in its unit, up to {counted(longest)}"
    worst = f"worst of\n{counted(len(scores.origins), 'origin')}"
    headings = ("output", "one step\nahead", "R²", "network", worst, "best\nbaseline")

    def rows() -> Iterator[list[str]]:
        for channel in scores.channels:
            if not (channel.open_loop and channel.closed_loop_rmse):
                continue
            last = channel.closed_loop_rmse[-1]
            tables = [(_last(each.closed_loop_rmse), each.name) for each in channel.baselines]
            errors = [(error, name) for error, name in tables if error is not None]
            error, best = min(errors, default=(None, ""))
            unit = f" ({channel.unit})" if channel.unit else ""
            yield [
                printable(channel.name + unit, 30),
                error_text(channel.open_loop.rmse),
                number_text(channel.open_loop.r2, ".4g"),
                error_text(last.median),
                error_text(last.worst),
                f"{error_text(error)} {best}",
            ]

    return TextTable(title, headings, list(rows()))


def _last(ladder: Sequence[HorizonScore]) -> float | None:
    return ladder[-1].median if ladder else None


def _valid_time(scores: Scores) -> str | None:
    valid = scores.valid_time
    if valid is None or not scores.closed_loop_rmse:
        return None
    count = len(scores.origins)

    def duration(which: Literal["median", "worst"]) -> str:
        steps, units = getattr(valid.steps, which), getattr(valid.time_units, which)
        if steps is None:
            return "-"
        more = ""
        if valid.periods:
            more = f", {counted(number_text(getattr(valid.periods, which), '.3g'), 'period')}"
        if lyapunov := scores.valid_lyapunov_times:
            about = "about " if lyapunov.source == "samples" else ""
            more += f", {about}{counted(f'{getattr(lyapunov, which):.3g}', 'Lyapunov time')}"
        time = number_text(units, ".4g")
        time = f"{time} {scores.time_unit}" if scores.time_unit else counted(time, "time unit")
        beyond = "more than " if scores.outlasts_horizon(which) else ""
        duration = counted(int(steps) if steps == int(steps) else steps)
        return f"{beyond}{duration} ({time}{more})"

    what = f"valid time (error below {valid.threshold:g} standard deviations)"
    outlasted = valid.outlasted
    if outlasted == count:
        return f"{what}: {duration('median')}, all origins"
    beyond = f"; {outlasted} of {count} outlasted the horizon" if outlasted else ""
    return f"{what}: median {duration('median')}, worst {duration('worst')}{beyond}"


def _oscillation(scores: Scores) -> str | None:
    found = scores.oscillation
    if found is None:
        return None
    each = found.frequency_error, found.phase_drift_rad_per_1000_steps, found.amplitude_ratio
    if None in each:
        return "oscillation: no free run fits a sinusoid"
    frequency, drift, ratio = (None if one is None else one.median for one in each)
    some = "" if found.of == found.count else f" ({found.of} of {found.count} free runs)"
    return (
        f"oscillation{some}: frequency error {number_text(frequency, '+.1e')} (relative), phase "
        f"drift {number_text(drift, '+.1e')} rad per 1000 steps, amplitude "
        f"{number_text(ratio, '.4g')} x the true one"
    )


def _dynamics(scores: Scores) -> str:
    found = scores.dynamics
    total = sum(found.settles.values())
    places = ", ".join(f"{place} ({count} of {total})" for place, count in found.settles.items())
    exponent = found.lyapunov_exponent_per_step
    if exponent is None:
        return f"long-term behaviour: {places}" if places else ""
    meaning = "nearby trajectories keep their distance"
    if abs(exponent) > found.lyapunov_resolution_per_step:
        meaning = "nearby trajectories diverge" if exponent > 0 else "nearby trajectories converge"
    true = found.climate.true_exponent_per_step if found.climate else None
    if true is not None:
        own = f"roughly {true:+.0e}" if abs(true) > found.lyapunov_resolution_per_step else "0"
        meaning += f"; the series' own is {own}"
    return (
        f"long-term behaviour: {places}; largest Lyapunov exponent {exponent:+.1e} per step "
        f"({meaning})"
    )
