"""Results of an evaluation: content of evaluation.json, typed and versioned, and what it says.

Errors are in the series' own units; those of several outputs together are in standard deviations of
each (`metrics.error_unit`). None stands for a value that is infinite or does not exist. Scores may
come from a file of a stranger: any value that is missing is shown as such.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from sinernn.display import Table, as_html, as_text, error_text, number_text
from sinernn.errors import printable
from sinernn.evaluation.metrics import counted
from sinernn.evaluation.parts import (
    BaselineScore,
    ChannelScore,
    DynamicsScore,
    ForecastOrigin,
    Hint,
    HorizonScore,
    LyapunovTimes,
    MeasuredScores,
    OneStepScore,
    OscillationScore,
    Skill,
    ValidTime,
)
from sinernn.schema import JsonModel


class Scores(JsonModel):
    """Content of evaluation.json."""

    format: Literal[1] = 1
    """Version of the keys; version 0.1 wrote none, and the same keys."""

    run: str = ""
    """Name of the run, with overrides."""

    seed: int | None = None
    cell: str = ""
    hidden_size: int = 0
    num_layers: int = 0
    parameters: int = 0
    """Number of trained values."""

    config: str = ""
    """Name of what the network was evaluated on, with overrides."""

    judged: dict[str, Any] = Field(default={})
    """The sections of that config: signal, split and evaluation."""

    checkpoint: str = ""
    updates: int = 0
    refine_iterations: int = 0
    part: str = ""
    warmup: int = 0
    initial_state: str = ""
    time_unit: str = ""
    channels: list[ChannelScore] = Field(default=[])
    """Outputs, with scores of their own if there are several, then inputs."""

    open_loop: OneStepScore = OneStepScore()
    closed_loop_rmse: list[HorizonScore] = Field(default=[])
    """At growing horizons."""

    baselines: list[BaselineScore] = Field(default=[])
    closed_loop_nrmse: MeasuredScores | None = None
    """Errors of single steps, over all forecasts, in standard deviations of the series; None unless
    it is `evaluation.measure`, and of a constant."""

    closed_loop_smape: MeasuredScores | None = None
    """Symmetric mean absolute percentage errors up to growing horizons, of the median forecast,
    from 0 to 200; None unless it is `evaluation.measure`."""

    skill: Skill = Skill()
    valid_time: ValidTime | None = None
    valid_lyapunov_times: LyapunovTimes | None = None
    """None if the series is not chaotic, or too short to tell, or driven by inputs from a file."""

    oscillation: OscillationScore | None = None
    dynamics: DynamicsScore = DynamicsScore()
    hints: list[Hint] = Field(default=[])
    origins: list[ForecastOrigin] = Field(default=[])

    @property
    def error_unit(self) -> str:
        """Unit of the errors of all outputs together; empty if the series has none."""
        units = [channel.unit for channel in self.channels if not channel.is_input]
        return "standard deviations of each output" if len(units) > 1 else "".join(units)

    def outlasts_horizon(self, which: Literal["median", "worst"]) -> bool:
        """Whether the median or worst valid time is at least the horizon, which is all of it."""
        if self.valid_time is None:
            return False
        count, outlasted = len(self.origins), self.valid_time.outlasted
        is_bound = outlasted > (count // 2 if which == "median" else count - 1)
        return (
            is_bound and getattr(self.valid_time.steps, which) == self.closed_loop_rmse[-1].horizon
        )

    def describe(self, name: str = "") -> Iterator[str | Table]:
        """Yield what was evaluated and on what, tables, then the conclusions in words.

        Args:
            name: What to call the run; default: its name.
        """
        yield f"{name or self.run}: {describe_network(self)}"
        yield describe_evaluation(self)
        yield describe_one_step(self)
        yield from score_tables(self)
        yield from findings(self)
        if self.dynamics.warning:
            yield f"warning: {self.dynamics.warning}"
        yield f"skill: {self.skill.words}"
        for hint in self.hints:
            yield f"hint: try {hint.override}: {hint.because}"
        yield from divergences(self)

    def __str__(self) -> str:
        """Return what `eval` prints."""
        return as_text(self.describe())

    def _repr_html_(self) -> str:
        return as_html(self.describe())


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


def score_tables(scores: Scores) -> list[Table]:
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


def _by_horizon(scores: Scores) -> Table:
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
    columns = {
        first: [str(horizon) for horizon, _, _ in own],
        "network": [error_text(error) for _, error, _ in own],
        f"worst of\n{origins}": [error_text(worst) for _, _, worst in own],
    }
    for name, errors in others.items():
        texts = [*map(error_text, errors), *["-"] * len(own)]
        columns.setdefault(printable(name, 30).replace(" ", "\n"), texts[: len(own)])
    return Table(columns, f"closed loop: {title}")


def _by_output(scores: Scores) -> Table:
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

    return Table.of_rows(headings, rows(), title)


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
