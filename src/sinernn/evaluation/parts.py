"""Parts of evaluation.json: the values of each score.

None stands for a value that is infinite or does not exist.
"""

from typing import Annotated, Literal

from pydantic import Field

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


class MeasuredScore(JsonModel):
    """An error by another measure: of all forecasts together, and of the worst one."""

    horizon: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    value: float | None = None
    worst: float | None = None


class MeasuredScores(JsonModel):
    """Errors of the network and of every baseline by another measure than RMSE."""

    network: list[MeasuredScore] = Field(default=[])
    baselines: dict[str, list[MeasuredScore]] = Field(default={})


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
