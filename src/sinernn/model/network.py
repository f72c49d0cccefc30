"""The network in numpy: parameter names and shapes, initial values, and the training state.

Names and shapes are those of `torch.nn.RNN`, `GRU` and `LSTM` (prefix `rnn.`) and of the linear
read-out applied at every step (prefix `readout.`). Every engine starts from these arrays.
"""

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sinernn.arrays import Float
from sinernn.model.cells import CELLS
from sinernn.randomness import Purpose, stream

Params = dict[str, np.ndarray]
"""Parameters by torch's names; see `Network.shapes`."""

Theta = Float[np.ndarray, " P"]
"""All parameters in one array, in the order of `Network.shapes`, in float64."""

Hidden = Float[np.ndarray, "S L B H"]
"""Hidden state of L layers and B rows: S = 1 (h), or 2 (h and c) for the LSTM."""


@dataclass(frozen=True)
class Network:
    """The architecture: a recurrent network that predicts the first channels of the next sample."""

    cell: str
    """One of `CELLS`."""

    outputs: int
    """Number of channels that it predicts; in closed loop they are read back."""

    hidden_size: int
    """Number of units in each layer, H."""

    num_layers: int
    """Number of layers, L."""

    dtype: str
    """`float32` or `float64`."""

    inputs: int = 0
    """Number of channels that it reads but does not predict, after the outputs in a sample."""

    @property
    def channels(self) -> int:
        """Number of values in a sample, D, all of which are read."""
        return self.outputs + self.inputs

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter, in the order in which torch lists them."""
        rows, shapes = CELLS[self.cell].gates * self.hidden_size, dict[str, tuple[int, ...]]()
        for layer in range(self.num_layers):
            shapes[f"rnn.weight_ih_l{layer}"] = (rows, self.hidden_size if layer else self.channels)
            shapes[f"rnn.weight_hh_l{layer}"] = (rows, self.hidden_size)
            shapes[f"rnn.bias_ih_l{layer}"] = (rows,)
            shapes[f"rnn.bias_hh_l{layer}"] = (rows,)
        shapes["readout.weight"] = (self.outputs, self.hidden_size)
        shapes["readout.bias"] = (self.outputs,)
        return shapes

    @property
    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def differences(self, other: "Network") -> dict[str, tuple[Any, Any]]:
        """Return what keeps one network's weights from the other: (own, other), by name.

        Their precision may differ: weights are converted.
        """
        own, theirs = asdict(self), asdict(other)
        return {
            name: (own[name], theirs[name])
            for name in own
            if name != "dtype" and own[name] != theirs[name]
        }

    def split(self, theta: Theta) -> Params:
        """Return views of a flat parameter array under torch's names."""
        views, begin = Params(), 0
        for name, shape in self.shapes.items():
            end = begin + math.prod(shape)
            views[name] = theta[begin:end].reshape(shape)
            begin = end
        return views

    def zero_hidden(self, rows: int) -> Hidden:
        """Return the zero hidden state for a batch of `rows`."""
        states = CELLS[self.cell].states
        return np.zeros((states, self.num_layers, rows, self.hidden_size), self.dtype)

    def initial_params(self, seed: int) -> Params:
        """Draw every parameter uniformly from +-1/sqrt(H), as torch does for these layers.

        The values are drawn in float64 and rounded, so both dtypes start from the same network.
        """
        bound = 1 / math.sqrt(self.hidden_size)
        generator = stream(seed, Purpose.WEIGHTS)
        return {
            name: generator.uniform(-bound, bound, shape).astype(self.dtype)
            for name, shape in self.shapes.items()
        }

    def initial_state(self, seed: int, *, batch_size: int) -> "TrainState":
        """Return the state before the first update."""
        params = self.initial_params(seed)
        return TrainState(
            params=params,
            first_moment={name: np.zeros_like(value) for name, value in params.items()},
            second_moment={name: np.zeros_like(value) for name, value in params.items()},
            hidden=self.zero_hidden(batch_size),
            updates=0,
        )


@dataclass(frozen=True)
class RefineState:
    """The state that refinement needs to continue; its arrays are never changed in place."""

    theta: Theta
    """The current parameters."""

    stage: int
    """Index of the next stage; equals the number of stages when refinement is finished."""

    iteration: int
    """Index of the next iteration in that stage; -1 before the measurement at the start."""

    step: int
    """Number of iterations done in all stages."""

    damping: float
    """Levenberg-Marquardt damping, relative to the scale of each parameter."""

    best_theta: Theta
    """The best parameters so far."""

    best_error: float
    """Closed-loop error of `best_theta` on the validation part; infinite before it is measured."""


@dataclass
class TrainState:
    """The state that training needs to continue, on any engine."""

    params: Params
    """The weights."""

    first_moment: Params
    """Adam's running mean of each gradient."""

    second_moment: Params
    """Adam's running mean of each squared gradient."""

    hidden: Hidden
    """Hidden state after the last update, from which the next one continues."""

    updates: int
    """Number of updates done; it determines plans, schedule and Adam's bias correction."""

    refine: RefineState | None = None
    """State of refinement, which follows the updates; None before it begins."""

    def is_finite(self) -> bool:
        """Return whether every number of the state is finite."""
        groups = (self.params, self.first_moment, self.second_moment, {"hidden": self.hidden})
        return all(np.isfinite(value).all() for group in groups for value in group.values())
