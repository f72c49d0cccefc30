"""Derivatives of sequences' outputs with respect to every parameter.

T steps, H hidden units, D channels, G gates of torch's weight matrices, R residuals of one
sequence, newest first: column k D + d is channel d of the k-th step counted from the end of the
sequence.
"""

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from sinernn.engines.fused.buffers import aligned_zeros
from sinernn.engines.fused.layout import Layout
from sinernn.engines.fused.native import Kernel
from sinernn.engines.fused.runs import Recorder
from sinernn.model.cells import CELLS, Cell
from sinernn.model.network import Network, Theta

differentiate = Kernel("sinernn.refine.kernels", "differentiate")

CHUNK = 8
"""Time steps whose outer products are summed in one pass over the Jacobian: eight multiply-adds for
every load and store of an accumulator."""

GROUP = 4
"""Sequences that one call runs and differentiates. A constant: the last bits of a run depend on how
many run side by side."""

LANES = 8
"""Columns are worked on in whole groups of this many, the last ones zero: the vectorised loops then
have no remainder, which would take longer than the rest."""


class Weights(NamedTuple):
    """What adjoints flow back through, in torch's order and shapes."""

    w_ih: np.ndarray  # [G H, D]
    w_hh: np.ndarray  # [G H, H]
    w_out: np.ndarray  # [D, H]

    @classmethod
    def of(cls, theta: Theta, network: Network) -> "Weights":
        """Views of the flat parameters [P]."""
        views = network.split(theta)
        return cls(views["rnn.weight_ih_l0"], views["rnn.weight_hh_l0"], views["readout.weight"])


class Adjoints(NamedTuple):
    """Working memory of `differentiate`; R' is R in whole groups of LANES."""

    state: np.ndarray  # [H, R'] of h
    memory: np.ndarray  # [H, R'] of c
    inputs: np.ndarray  # [D, R'] of the next step's input
    # of each step of a chunk
    from_input: np.ndarray  # [CHUNK, G H, R'] of W_ih x + b_ih
    from_state: np.ndarray  # [CHUNK, G H, R'] of W_hh h + b_hh; where they are added, the same
    output: np.ndarray  # [CHUNK, D, R']

    @classmethod
    def of(cls, network: Network, residuals: int) -> "Adjoints":
        """Memory for as many residuals of a sequence, zero."""
        cell, hidden, channels = CELLS[network.cell], network.hidden_size, network.channels
        rows, count = cell.gates * hidden, in_lanes(residuals)
        from_input = zeros(CHUNK, rows, count)
        return cls(
            state=zeros(hidden, count),
            memory=zeros(hidden, count),
            inputs=zeros(channels, count),
            from_input=from_input,
            from_state=from_input if feeds_sums(cell) else zeros(CHUNK, rows, count),
            output=zeros(CHUNK, channels, count),
        )


def feeds_sums(cell: Cell) -> bool:
    """Whether what the input and the recurrent weights contribute is added gate by gate."""
    return cell.slots == cell.gates and cell.input_order == cell.hidden_order


def zeros(*shape: int) -> np.ndarray:
    """Return zeros whose rows, in whole groups, begin at a cache line each."""
    return aligned_zeros(math.prod(shape), "float64").reshape(shape)


def in_lanes(count: int) -> int:
    """Round a number of columns up to whole groups."""
    return (count + LANES - 1) // LANES * LANES


@lru_cache
def layout_of(network: Network) -> Layout:
    """Return where the parameters of a network lie in the kernels' arrays, in float64."""
    return Layout(replace(network, dtype="float64"))


class Sweep:
    """Runs of a group of sequences and their derivatives, in memory that the next group reuses."""

    def __init__(self, network: Network, theta: Theta, steps: int, residuals: int) -> None:
        """Allocate memory for as many steps and residuals of a sequence."""
        layout, cell = layout_of(network), CELLS[network.cell]
        self._recorder = Recorder(layout, layout.pack_flat(theta), steps, GROUP)
        self._shape = layout.shape
        slopes = aligned_zeros(steps * layout.shape.slopes, "float64")
        self._memory = (
            slopes,
            slopes.reshape(steps, 2, cell.slots + 2, -1),
            Weights.of(theta, network),
            np.array([cell.input_order, cell.hidden_order]),
            feeds_sums(cell),
            Adjoints.of(network, residuals),
            zeros(theta.size, in_lanes(residuals)),
        )

    def run(self, samples: Float[np.ndarray, "B W D"]) -> Float[np.ndarray, "B steps D"]:
        """Run at most `GROUP` sequences; where samples end, outputs become inputs."""
        return self._recorder.run(samples)

    def differentiate(self, *settings: Any) -> None:
        """Differentiate the run before; for the settings see `arguments`."""
        differentiate(*self.arguments(*settings))

    def arguments(
        self,
        forced: int,
        first: int,
        stride: int,
        weight: float,
        jacobian: Float[np.ndarray, "P columns"],
        column: int,
    ) -> tuple[Any, ...]:
        """Return what the kernel takes to fill `jacobian` from a column on."""
        recorded = self._shape, self._recorder.sizes, self._recorder.buffers
        return *recorded, *self._memory, forced, first, stride, weight, jacobian, column
