"""Results of an evaluation: content of evaluation.json, typed and versioned.

Errors are in the series' own units; those of several outputs together are in standard deviations of
each (`metrics.error_unit`). None stands for a value that is infinite or does not exist.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from sinernn.display import Table, as_html, as_text, error_text, number_text
from sinernn.errors import printable
from sinernn.evaluation.metrics import counted
from sinernn.schema import JsonModel


class MedianAndWorst(JsonModel):
    """Median over the forecasts, and the value furthest from the ideal one."""

    median: float | None = None
    worst: float | None = None


class OneStepScore(JsonModel):
    """Errors one step ahead, over the whole part."""

    rmse: float | None = None
    nrmse: float | None = None
    """RMSE divided by the series' standard deviation."""

    r2: float | None = None


class HorizonScore(JsonModel):
    """Closed-loop RMSE over the first `horizon` steps."""

    horizon: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    median: float | None = None
    worst: float | None = None


class BaselineScore(JsonModel):
    """A baseline's errors over the same horizons."""

    name: str = ""
    closed_loop_rmse: list[HorizonScore] = Field(default=[])


class ChannelScore(JsonModel):
    """A channel, and the errors of an output among several, in its own unit."""

    name: str = ""
    unit: str = ""
    is_input: bool = False
    """Whether it is read and not predicted."""

    open_loop: OneStepScore | None = None
    closed_loop_rmse: list[HorizonScore] = Field(default=[])
    baselines: list[BaselineScore] = Field(default=[])


class Skill(JsonModel):
    """Comparison with the best baseline, at the longest horizon."""

    horizon: int = 0
    best_baseline: str = ""
    ratio: float | None = None
    """The baseline's error divided by the network's: above 1 the network is better."""

    words: str = ""


class ValidTime(JsonModel):
    """First step at which an error exceeds the threshold, capped at the horizon."""

    threshold: float = 0.0
    """In standard deviations of the series."""

    steps: MedianAndWorst = MedianAndWorst()
    time_units: MedianAndWorst = MedianAndWorst()
    periods: MedianAndWorst | None = None
    outlasted: int = 0
    """Forecasts that reached the horizon."""


class LyapunovTimes(JsonModel):
    """Valid time in Lyapunov times: 1 is the time in which a small difference grows e-fold."""

    exponent_per_time_unit: float = 0.0
    """Largest Lyapunov exponent of the series."""

    source: Literal["equations", "samples"] = "samples"
    """What it is computed from; from samples it is good to a factor of about two."""

    median: float = 0.0
    mean: float = 0.0
    worst: float = 0.0
    outlasted: int = 0
    """Forecasts that reached the horizon, whose valid time is at least that."""


class OscillationScore(JsonModel):
    """Oscillation of free runs, compared with the truth's."""

    of: int = 0
    """Free runs that oscillate; the others have no frequency."""

    count: int = 0
    """Free runs: origins times channels."""

    frequency_error: MedianAndWorst | None = None
    """Relative."""

    phase_drift_rad_per_1000_steps: MedianAndWorst | None = None
    phase_shift_rad: MedianAndWorst | None = None
    amplitude_ratio: MedianAndWorst | None = None


class ClimateScore(JsonModel):
    """Statistics of free runs after their transient, relative to the truth's."""

    left: dict[str, int] = Field(default={})
    """Number of free runs that have left the attractor of the series, by where they settle."""

    mean_shift: MedianAndWorst | None = None
    """Distance of the means, in standard deviations."""

    std_ratio: MedianAndWorst | None = None
    """Of the stretch of 500 steps, in each free run, whose ratio is furthest from 1; relative to
    the nearest of the truth's stretches, and 1 between them."""

    range_ratio: MedianAndWorst | None = None
    spectral_distance: MedianAndWorst | None = None
    """Share of the variance at other frequencies than the truth's: 0 to 1."""

    true_exponent_per_step: float | None = None
    """Largest Lyapunov exponent of the series itself: 0 if it is periodic, otherwise estimated from
    its samples, to a factor of about two; None if there are too few."""


class DynamicsScore(JsonModel):
    """Where free runs settle, and how fast nearby trajectories diverge."""

    settles: dict[str, int] = Field(default={})
    """Number of free runs by where they settle."""

    lyapunov_exponent_per_step: float | None = None
    lyapunov_exponent_per_time_unit: float | None = None
    lyapunov_resolution_per_step: float = 0.0
    """An exponent this small does not differ from 0."""

    climate: ClimateScore | None = None
    """None if the series or the free runs are too short to compare."""

    warning: str | None = None
    """In words, if free runs have left the attractor of the series."""


class Hint(JsonModel):
    """A setting to try."""

    override: str = ""
    """As on the command line, after the config."""

    because: str = ""


class ForecastOrigin(JsonModel):
    """Where a forecast began, and the step at which it diverged."""

    segment: int = 0
    sample: int = 0
    diverged_at: int | None = None


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
    skill: Skill = Skill()
    valid_time: ValidTime | None = None
    valid_lyapunov_times: LyapunovTimes | None = None
    """None if the series is not chaotic, or driven, or too short to tell."""

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

    def __str__(self) -> str:
        """Return what `eval` prints."""
        return as_text(self.describe())

    def _repr_html_(self) -> str:
        return as_html(self.describe())

    def describe(self, name: str = "") -> Iterator[str | Table]:
        """Yield what was evaluated and on what, a table, then the conclusions in words.

        Args:
            name: What to call the run; default: its name.
        """
        layers, units = counted(self.num_layers, "layer"), counted(self.hidden_size, "unit")
        yield (
            f"{name or self.run}: {self.cell}, {layers} of {units}, {self.parameters} parameters, "
            f"seed {self.seed}"
        )
        trained = f"{self.updates} updates"
        if self.refine_iterations:
            trained += f" and {self.refine_iterations} iterations of refinement"
        yield (
            f"evaluated on {self.config}, {self.part} part: {self.checkpoint} checkpoint, "
            f"after {trained}; errors in {self.error_unit or 'signal units'}"
        )
        yield (
            f"one step ahead: RMSE {error_text(self.open_loop.rmse)}, "
            f"NRMSE {number_text(self.open_loop.nrmse, '.2e')}, "
            f"R² {number_text(self.open_loop.r2, '.6g')}"
        )
        yield _closed_loop_table(self)
        if any(channel.closed_loop_rmse for channel in self.channels):
            yield _channel_table(self)
        yield from filter(None, (_valid_time(self), _oscillation(self), _dynamics(self)))
        if self.dynamics.warning:
            yield f"warning: {self.dynamics.warning}"
        for key, value in self.model_dump(include=set(self.model_extra or {})).items():
            yield f"{key}: {json.dumps(value)}"
        yield f"skill: {self.skill.words}"
        for hint in self.hints:
            yield f"hint: try {hint.override}: {hint.because}"
        count = len(self.origins)
        for number, origin in enumerate(self.origins, start=1):
            if origin.diverged_at is not None:
                yield f"origin {number} of {count} diverged at step {origin.diverged_at}"


def _channel_table(scores: Scores) -> Table:
    """Return a table of the errors of each output, up to the longest horizon."""
    worst = f"worst of\n{counted(len(scores.origins), 'origin')}"
    names = ("output", "one step\nahead", "R²", "network", worst, "best\nbaseline")
    rows = list[tuple[str, ...]]()
    for channel in scores.channels:
        if channel.open_loop and channel.closed_loop_rmse:
            one_step, last = channel.open_loop, channel.closed_loop_rmse[-1]
            errors = [(each.closed_loop_rmse[-1].median, each.name) for each in channel.baselines]
            error, best = min((pair for pair in errors if pair[0] is not None), default=(None, ""))
            unit = f" ({channel.unit})" if channel.unit else ""
            rows.append(
                (
                    printable(channel.name + unit, 30),
                    error_text(one_step.rmse),
                    number_text(one_step.r2, ".4g"),
                    error_text(last.median),
                    error_text(last.worst),
                    f"{error_text(error)} {best}",
                )
            )
    title = f"of each output in its unit, up to {counted(scores.closed_loop_rmse[-1].horizon)}"
    columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    return Table(columns, title)


def _closed_loop_table(scores: Scores) -> Table:
    """Return a table of the errors of network and baselines, one row per horizon."""
    rows = scores.closed_loop_rmse
    columns = {
        "steps": [str(row.horizon) for row in rows],
        "network": [error_text(row.median) for row in rows],
        f"worst of\n{counted(len(scores.origins), 'origin')}": [
            error_text(row.worst) for row in rows
        ],
    }
    for baseline in scores.baselines:
        name = baseline.name.replace(" ", "\n")
        columns[name] = [error_text(row.median) for row in baseline.closed_loop_rmse]
    return Table(columns, "closed loop: median RMSE up to a horizon")


def _valid_time(scores: Scores) -> str | None:
    valid = scores.valid_time
    if valid is None:
        return None
    count = len(scores.origins)

    def duration(which: Literal["median", "worst"]) -> str:
        steps, units = getattr(valid.steps, which), getattr(valid.time_units, which)
        periods = ""
        if valid.periods:
            periods = f", {counted(f'{getattr(valid.periods, which):.3g}', 'period')}"
        if lyapunov := scores.valid_lyapunov_times:
            about = "about " if lyapunov.source == "samples" else ""
            number = f"{getattr(lyapunov, which):.3g}"
            periods += f", {about}{counted(number, 'Lyapunov time')}"
        time = f"{units:.4g}"
        time = f"{time} {scores.time_unit}" if scores.time_unit else counted(time, "time unit")
        beyond = "more than " if scores.outlasts_horizon(which) else ""
        duration = counted(int(steps) if steps == int(steps) else steps)
        return f"{beyond}{duration} ({time}{periods})"

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
    frequency, drift = found.frequency_error, found.phase_drift_rad_per_1000_steps
    ratio = found.amplitude_ratio
    if frequency is None or drift is None or ratio is None:
        return "oscillation: no free run fits a sinusoid"
    some = "" if found.of == found.count else f" ({found.of} of {found.count} free runs)"
    return (
        f"oscillation{some}: frequency error {frequency.median:+.1e} (relative), phase drift "
        f"{drift.median:+.1e} rad per 1000 steps, amplitude {ratio.median:.4g} x the true one"
    )


def _dynamics(scores: Scores) -> str:
    found = scores.dynamics
    total = sum(found.settles.values())
    places = ", ".join(f"{place} ({count} of {total})" for place, count in found.settles.items())
    exponent = found.lyapunov_exponent_per_step
    if exponent is None:
        return f"long-term behaviour: {places}"
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
