"""The network as numbers: parameter names and shapes, initial values, and the training state.

Names and layouts are those of `torch.nn.RNN`, `GRU` and `LSTM` (prefix `rnn.`) and of the linear
read-out applied at every step (prefix `readout.`). Numpy only: every engine starts from here.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sinernn.model.cells import CELLS
from sinernn.randomness import Purpose, stream

Params = dict[str, np.ndarray]
"""Parameters by torch's names; see `Network.shapes`."""

Theta = Float[np.ndarray, " P"]
"""All parameters in one array, in the order of `Network.shapes`, in float64."""

Hidden = Float[np.ndarray, "S L B H"]
"""Hidden state: S = 1 (h), or 2 (h and c) for the LSTM, of L layers and B rows."""


@dataclass(frozen=True)
class Network:
    """The architecture: a recurrent network whose outputs are its next inputs."""

    cell: str
    """One of `CELLS`."""

    channels: int
    """Inputs and outputs D."""

    hidden_size: int
    """Units H in each layer."""

    num_layers: int
    """Layers L."""

    dtype: str
    """`float32` or `float64`."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter, in the order in which torch lists them."""
        rows, shapes = CELLS[self.cell].gates * self.hidden_size, dict[str, tuple[int, ...]]()
        for layer in range(self.num_layers):
            shapes[f"rnn.weight_ih_l{layer}"] = (rows, self.hidden_size if layer else self.channels)
            shapes[f"rnn.weight_hh_l{layer}"] = (rows, self.hidden_size)
            shapes[f"rnn.bias_ih_l{layer}"] = (rows,)
            shapes[f"rnn.bias_hh_l{layer}"] = (rows,)
        shapes["readout.weight"] = (self.channels, self.hidden_size)
        shapes["readout.bias"] = (self.channels,)
        return shapes

    @property
    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def split(self, theta: Theta) -> Params:
        """Return views of parameters that are one array, under torch's names."""
        views, begin = Params(), 0
        for name, shape in self.shapes.items():
            end = begin + math.prod(shape)
            views[name] = theta[begin:end].reshape(shape)
            begin = end
        return views

    def zero_hidden(self, rows: int) -> Hidden:
        """Return the hidden state at rest, for a batch of `rows`."""
        states = CELLS[self.cell].states
        return np.zeros((states, self.num_layers, rows, self.hidden_size), self.dtype)

    def initial_params(self, seed: int) -> Params:
        """Draw every parameter uniformly from +-1/sqrt(H), as torch does for these layers.

        The draws are made in float64 and rounded, so both dtypes start from the same network.
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
    """All that second-order refinement needs to go on; its arrays are never written in place."""

    theta: Theta
    """The parameters as they stand."""

    stage: int
    """The stage that comes next; as many as there are when refinement is done."""

    iteration: int
    """The iteration of it that comes next; -1 before the measurement at the start."""

    step: int
    """Iterations done in all stages."""

    damping: float
    """Levenberg-Marquardt damping, relative to the scale of each parameter."""

    best_theta: Theta
    """The parameters to keep."""

    best_error: float
    """Their closed-loop error on the validation part; infinite before it is measured."""


@dataclass
class TrainState:
    """All that training needs to go on, on any engine."""

    params: Params
    """The weights."""

    first_moment: Params
    """Adam's running mean of each gradient."""

    second_moment: Params
    """Adam's running mean of each squared gradient."""

    hidden: Hidden
    """What the last update left behind, for the next one to go on from."""

    updates: int
    """Updates done; plans, schedule and Adam's bias correction follow from it."""

    refine: RefineState | None = None
    """Where refinement stands, which follows the updates; None before it begins."""

    def is_finite(self) -> bool:
        """Whether every number in it is finite."""
        groups = (self.params, self.first_moment, self.second_moment, {"hidden": self.hidden})
        return all(np.isfinite(value).all() for group in groups for value in group.values())
