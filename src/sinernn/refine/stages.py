"""What a refinement does: its config sections."""

from typing import Annotated, Literal

from pydantic import Field

from sinernn.schema import Section, Whole, whole


class Stage(Section):
    """One least-squares problem: sequences of the training part, read from the zero state."""

    loop: Literal["closed", "open"] = "closed"
    """closed: every input after the warm-up is the output before it, as in a forecast; open:
    always true samples, as in training."""

    sequences: Whole = Field(default=16, ge=1, le=100_000)
    """How many, spread evenly over the training part; time and memory grow with them."""

    warmup: Whole = Field(default=50, ge=1, le=100_000)
    """True samples that a sequence reads first, in samples; their errors do not count. Time grows
    with them."""

    horizon: Whole = Field(default=200, ge=1, le=100_000)
    """Steps that follow and count; time grows with its square, and on chaos errors exponentially.
    """

    stride: Whole = Field(default=1, ge=1, le=100_000)
    """Every how many-th of those steps counts, from the last backwards, in samples; time falls
    nearly in proportion. Best without a common factor with the signal's period."""

    iterations: Whole = Field(default=10, ge=1, le=100_000)
    """Levenberg-Marquardt steps at most; a stage also ends when none lowers its error, not even
    with the noise that `redraw_every` has yet to draw."""

    target_loss: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Mean squared error, in squares of scaled units, at which the stage ends before its last
    iteration: an easy start takes few, a hard one many; null: off. 1 is what the mean of the signal
    achieves, and what is larger no stage misses."""

    warmup_noise: float = Field(default=0.0, ge=0, le=100)
    """Standard deviation of Gaussian noise added to the warm-up, in standard deviations of the
    training part (scaled units), targets unchanged: makes the free run attract what is beside it,
    and filter noise. What exceeds the signal hides it."""

    redraw_every: Annotated[int, Field(ge=1, le=100_000), whole] | None = None
    """Iterations that share their noise; null: the whole stage, which is never longer."""

    measure_every: Annotated[int, Field(ge=1, le=100_000), whole] | None = None
    """Iterations between measurements on the validation part, and one at the stage's end; null:
    at the end alone; no stage is longer than the bound."""

    lift: float = Field(default=0.0, ge=0, le=1000)
    """For rnn_relu: before the stage every unit is moved to at least this far above its kink, in
    scaled units, dead ones too; the network is then linear, as a sum of oscillations wants it.
    0: off. What exceeds the signal by far costs digits."""


DEFAULT_STAGES = (
    Stage(sequences=24, horizon=50, stride=5, iterations=40, target_loss=3e-4, warmup_noise=0.03),
    Stage(sequences=24, horizon=200, stride=17, iterations=30, target_loss=1e-4, warmup_noise=0.03),
    Stage(loop="open", sequences=8, horizon=61, iterations=18),
    Stage(sequences=16, horizon=200, stride=11, iterations=8),
    Stage(sequences=16, horizon=1000, stride=37, iterations=3),
)
"""For one clean oscillation, 30 samples a period: see docs/experiments.md. The first two make its
orbit attract what is beside it, of which errors on the orbit tell nothing; the others polish."""


class Refine(Section):
    """Second-order training after the updates: Levenberg-Marquardt steps, stage by stage.

    In float64 on the CPU, whatever the engine; what is kept is the best by closed-loop error on
    the validation part.
    """

    stages: Annotated[tuple[Stage, ...], Field(strict=False)] = Field(
        default=DEFAULT_STAGES, min_length=1, max_length=100
    )
    """One after the other, with a horizon that grows; more than a dozen have never helped. Settings
    and metrics count them from 0 (`refine.stages.0.horizon`), the progress from 1."""

    origins: Annotated[int, Field(ge=1, le=10_000), whole] | None = None
    """Forecasts on the validation part, with the warm-up and horizon of `evaluation` as far as they
    fit, whose error decides what is kept; null: as many as `evaluation` has. With noise, 32 tell
    better than 8. Time grows with them."""
