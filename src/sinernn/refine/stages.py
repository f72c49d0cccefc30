"""Config sections of refinement."""

from collections.abc import Callable, Sequence
from math import ceil, gcd, inf, log2
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, PlainSerializer, WrapValidator
from pydantic_core import PydanticCustomError

from sinernn.data.survey import Survey
from sinernn.model.network import Network
from sinernn.schema import Section, Whole, whole


class Stage(Section):
    """One least-squares problem: sequences of the training part, each from a zero state."""

    loop: Literal["closed", "open"] = "closed"
    """closed: every input after the warm-up is the output before it, as in a forecast; open: all
    inputs are true samples, as in training."""

    sequences: Whole = Field(default=16, ge=1, le=100_000)
    """Number of sequences of an iteration, spread evenly over the training part; time and memory
    grow with it."""

    batches: Whole = Field(default=1, ge=1, le=10_000)
    """Number of sets of so many sequences, which iterations take in turn: more than 1 let short
    iterations cover much of the training part. `target_loss` and the loss in the metrics are then
    those of the iteration's own set."""

    warmup: Whole = Field(default=50, ge=1, le=100_000)
    """True samples at the start of a sequence, whose errors do not count; time grows with them."""

    horizon: Whole = Field(default=200, ge=1, le=100_000)
    """Steps after the warm-up, which count; time grows with the square, and on chaotic series
    errors grow exponentially."""

    stride: Whole = Field(default=1, ge=1, le=100_000)
    """Only every stride-th of those steps counts, from the last backwards; time falls nearly in
    proportion. Best without a common factor with the signal's period in samples."""

    iterations: Whole = Field(default=10, ge=1, le=100_000)
    """Maximum number of Levenberg-Marquardt steps; a stage also ends when no step lowers its
    error, not even after noise is redrawn. With several `batches` the next set is tried instead."""

    target_loss: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Mean squared error, in squares of scaled units, at which the stage ends early, so that an
    easy start takes few iterations and a hard one many; null: off. Predicting the mean of the
    signal gives 1; every stage reaches the bound."""

    warmup_noise: float = Field(default=0.0, ge=0, le=100)
    """Standard deviation of Gaussian noise added to the outputs in the warm-up, in standard
    deviations of the training part (scaled units); targets stay clean. It makes the forecast
    attract nearby trajectories, and filter noise. More than the bound hides the signal."""

    redraw_every: Annotated[int, Field(ge=1, le=100_000), whole] | None = None
    """Iterations between draws of the noise; null: one draw for the whole stage. The bound is the
    longest stage."""

    measure_every: Annotated[int, Field(ge=1, le=100_000), whole] | None = None
    """Iterations between measurements on the validation part, with one more at the end of the
    stage; null: only at the end. The bound is the longest stage."""

    lift: float = Field(default=0.0, ge=0, le=1000)
    """For rnn_relu: before the stage, move every unit, dead ones too, at least this far above its
    kink, in scaled units; the network is then linear, which suits a sum of oscillations. 0: off.
    Values far above the signal lose digits."""


DEFAULT_STAGES = (
    Stage(sequences=24, horizon=50, stride=5, iterations=40, target_loss=3e-4, warmup_noise=0.03),
    Stage(sequences=24, horizon=200, stride=17, iterations=30, target_loss=1e-4, warmup_noise=0.03),
    Stage(loop="open", sequences=8, horizon=61, iterations=18),
    Stage(sequences=16, horizon=200, stride=11, iterations=8),
    Stage(sequences=16, horizon=1000, stride=37, iterations=3),
)
"""For one clean oscillation, 30 samples a period: see docs/experiments.md. The first two make the
orbit attract nearby trajectories, which errors on the orbit do not show; the others add precision.
"""


_FIXED_WEIGHTS = 2000
"""Weights for which enough residuals are counted, unless noise must be averaged out. More would
fix those of a larger network, but lower its error less in the same time (experiments.md)."""

_LYAPUNOV_TIMES = 1.2
"""Horizon of the last stage for a chaotic series: further ones did not help (experiments.md)."""


def suit_stages(
    survey: Survey,
    network: Network,
    lengths: Sequence[int],
    *,
    warmup: int,
    horizon: int,
    lyapunov_time: float = inf,
) -> tuple[Stage, ...]:
    """Return stages that suit a series and a network.

    Those of the shipped configs, in periods instead of samples: of `default` for an oscillation, of
    `mackey_glass` for an irregular series, of `noisy` for a noisy one.

    Args:
        survey: What the training part is like.
        network: The network, of one layer.
        lengths: Samples of each segment in the training part; the longest has at least 2.
        warmup: True samples before a forecast.
        horizon: Steps of a forecast.
        lyapunov_time: Steps in which a small difference grows e-fold.
    """
    longest = max(lengths)
    warmup = min(warmup, longest // 2)
    period = survey.cycle
    weights = network.parameter_count
    if survey.kind != "noisy":
        weights = min(weights, _FIXED_WEIGHTS)
    size = weights / network.outputs  # residuals of an output that fix the weights

    def stage(horizon: int, counted: float, *, sequences: int, **settings: Any) -> Stage:
        """Count so many steps of all sequences, which start at different places."""
        room = longest - warmup
        steps = max(1, min(horizon, room if room < 2 * period else round(0.7 * room)))
        places = sum(max(0, length - warmup - steps + 1) for length in lengths)
        sequences = min(sequences, places)
        stride = max(1, min(round(steps * sequences / counted), steps))
        while stride < steps and gcd(stride, round(period)) > 1:  # every phase should count
            stride += 1
        return Stage(warmup=warmup, horizon=steps, sequences=sequences, stride=stride, **settings)

    if survey.kind == "noisy":
        return (
            stage(
                min(horizon, round(6.5 * period)), 12 * size, sequences=340, iterations=20,
                warmup_noise=0.3, redraw_every=4, measure_every=4,
            ),
            stage(
                horizon, 6 * size, sequences=128, iterations=9,
                warmup_noise=0.05, redraw_every=3, measure_every=1,
            ),
        )  # fmt: skip
    if survey.kind == "irregular":
        reached = max(3e-6, (survey.noise / 10) ** 2)  # below it, what is left is noise
        # From a free run that has left the attractor nothing is learned, and further than a
        # Lyapunov time its errors are those of the steps before: the horizon begins short, at most
        # doubles, and ends there.
        horizon = min(horizon, max(2, round(_LYAPUNOV_TIMES * min(lyapunov_time, horizon))))
        first = min(max(0.1 * period, 1), horizon)
        horizons = np.geomspace(first, horizon, 2 + ceil(log2(horizon / first)))[:-1]
        return (
            stage(round(2 * period), 2 * size, loop="open", sequences=192, iterations=30),
            *(
                stage(
                    round(each), 1.5 * size, sequences=192, iterations=20, target_loss=reached,
                    warmup_noise=1e-3,
                )
                for each in horizons
            ),
            stage(horizon, 2 * size, sequences=192, iterations=15, measure_every=3),
        )  # fmt: skip
    return (
        stage(
            round(1.6 * period),
            size,
            sequences=24,
            iterations=40,
            target_loss=3e-4,
            warmup_noise=0.03,
        ),
        stage(
            round(6.5 * period),
            size,
            sequences=24,
            iterations=30,
            target_loss=1e-4,
            warmup_noise=0.03,
        ),
        stage(round(2 * period), 1.5 * size, loop="open", sequences=8, iterations=18),
        stage(round(6.5 * period), size, sequences=16, iterations=8),
        stage(round(32 * period), 1.5 * size, sequences=16, iterations=3),
    )


def _none_for_auto(given: Any, validate: Callable[[Any], Any]) -> Any:
    if isinstance(given, str) and given != "auto":
        raise PydanticCustomError("stages", "must be auto or a list of stages")
    return () if given == "auto" else validate(given)


Stages = Annotated[
    tuple[Stage, ...],
    WrapValidator(
        _none_for_auto,
        json_schema_input_type=Literal["auto"]
        | Annotated[tuple[Stage, ...], Field(min_length=1, max_length=100)],
    ),
    PlainSerializer(lambda stages: stages or "auto"),
]
"""Stages of a refinement; none until `auto` is replaced by those that suit the series."""


class Refine(Section):
    """Second-order training after the updates: Levenberg-Marquardt steps, stage by stage.

    In float64 on the CPU, whatever the engine; keeps the network with the lowest closed-loop error
    on the validation part.

    Example:
        >>> [stage.loop for stage in sinernn.Refine().stages]
        ['closed', 'closed', 'open', 'closed', 'closed']
    """

    stages: Annotated[Stages, Field(strict=False)] = Field(
        default=DEFAULT_STAGES, min_length=1, max_length=100
    )
    """Stages in order, with growing horizons; more than a dozen have never helped. Settings and
    metrics count them from 0 (`refine.stages.0.horizon`), the progress from 1. auto: chosen when a
    run starts, from its series, network and `evaluation`; the run's config contains them."""

    origins: Annotated[int, Field(ge=1, le=10_000), whole] | None = None
    """Number of forecasts on the validation part that select the result, with the warm-up of
    `evaluation`; null: as many as `evaluation` has. With noise, 32 select better than 8. Time grows
    with them."""

    forecast_steps: Annotated[int, Field(ge=1, le=1_000_000), whole] | None = None
    """Steps of these forecasts; null: as many as `evaluation` has. On a chaotic series, fewer than
    a forecast is valid for: later all errors are as large, and select by chance. Time and memory
    grow with them."""

    climate_steps: Annotated[int, Field(ge=500, le=1_000_000), whole] | None = None
    """Steps of free runs from the same places, at least the 500 that a climate is compared over:
    a network whose free runs keep the standard deviation and spectrum of the validation part is
    preferred to all that do not, whatever their errors. For chaotic series, where forecasts fail
    sooner or later; null: off. Time and memory grow with them."""
