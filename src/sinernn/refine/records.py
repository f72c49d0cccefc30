"""The record of an iteration of refinement, and rows of the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from sinernn.model.network import RefineState

MetricsRow = Mapping[str, str | int | float | None]
"""A row of metrics.csv, by column; a missing value is an empty cell."""


@dataclass(frozen=True)
class RefineRecord:
    """The result of an iteration of refinement, or of the measurement at its start."""

    stage: int
    """Number of the stage, from 0."""

    iteration: int
    """Number of the iteration within the stage, from 0; -1 for the measurement at the start."""

    step: int
    """Iterations done in all stages."""

    loss: float
    """Mean squared error of the stage after the iteration, scaled units; NaN at the start."""

    damping: float
    """Levenberg-Marquardt damping of the step."""

    is_stage_end: bool
    """Whether the stage is over."""

    closed_loop_rmse: float | None
    """On the validation part, where it was measured; infinite for a diverging free run."""

    is_best: bool
    """Whether the network is the best so far: see `loop.refine`."""

    state: RefineState
    """State to continue from, with identical results."""

    @property
    def metrics(self) -> MetricsRow:
        """The record as a row of metrics.csv."""
        at_start = self.iteration < 0
        return {
            "phase": "refine",
            "step": self.step,
            "loss": None if at_start else self.loss,
            "closed_loop_rmse": self.closed_loop_rmse,
            "stage": self.stage,
            "damping": None if at_start else self.damping,
        }
