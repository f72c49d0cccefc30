"""What refinement tells after every iteration."""

from dataclasses import dataclass
from typing import Any

from sinernn.model.network import RefineState


@dataclass(frozen=True)
class RefineRecord:
    """Where refinement stands after an iteration, or at its start."""

    stage: int
    """Which stage it was, from 0."""

    iteration: int
    """Which iteration of it, from 0; -1 for the measurement at the start."""

    step: int
    """Iterations done in all stages."""

    loss: float
    """Mean squared error of the stage after the iteration, scaled units; NaN at the start."""

    damping: float
    """With which the step was found."""

    is_stage_end: bool
    """Whether the stage is over."""

    closed_loop_rmse: float | None
    """On the validation part, where it was measured; infinite for a diverging free run."""

    is_best: bool
    """Whether what was measured is the best so far."""

    state: RefineState
    """Going on from it repeats what follows to the bit."""

    @property
    def metrics(self) -> dict[str, Any]:
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
