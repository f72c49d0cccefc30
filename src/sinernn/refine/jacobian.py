"""Derivatives of the outputs of sequences with respect to every parameter.

T steps, H hidden units, D channels, O outputs, G gates of torch's weight matrices, R residuals of
one sequence, newest first: column k O + d is output d of the k-th step that counts, from the end of
the sequence.
"""

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from sinernn.arrays import Float
from sinernn.engines import KernelCall
from sinernn.engines.fused.buffers import aligned_zeros
from sinernn.engines.fused.layout import Flat, float64_layout_of
from sinernn.engines.fused.native import Kernel
from sinernn.engines.fused.runs import Runner
from sinernn.model.cells import CELLS, Cell
from sinernn.model.network import Network, Theta

differentiate = Kernel("sinernn.refine.kernels", "differentiate")

CHUNK = 8
"""Time steps whose outer products are summed in one pass over the Jacobian: eight multiply-adds per
load and store of an accumulator."""

LANES = 8
"""Columns are padded with zeros to a multiple of this, so the vectorised loops have no remainder,
which would take longer than the main part."""


Tool = TypeVar("Tool")


class Weights(NamedTuple):
    """The weights that adjoints are propagated through, in torch's order and shapes."""

    w_ih: np.ndarray  # [G H, O] of the channels that outputs are fed back to
    w_hh: np.ndarray  # [G H, H]
    w_out: np.ndarray  # [O, H]

    @classmethod
    def of(cls, theta: Theta, network: Network) -> "Weights":
        """Return parts of the flat parameters [P]."""
        views = network.split(theta)
        w_ih = np.ascontiguousarray(views["rnn.weight_ih_l0"][:, : network.outputs])
        return cls(w_ih, views["rnn.weight_hh_l0"], views["readout.weight"])


class Adjoints(NamedTuple):
    """Adjoints, working memory of `differentiate`; R' is R rounded up to a multiple of LANES."""

    state: np.ndarray  # [H, R'] of h
    memory: np.ndarray  # [H, R'] of c
    inputs: np.ndarray  # [O, R'] of the outputs that the next step reads
    # For each step of a chunk:
    from_input: np.ndarray  # [CHUNK, G H, R'] of W_ih x + b_ih
    from_state: np.ndarray  # [CHUNK, G H, R'] of W_hh h + b_hh; same array if `feeds_sums`
    output: np.ndarray  # [CHUNK, O, R'] of the output

    @classmethod
    def of(cls, network: Network, residuals: int) -> "Adjoints":
        """Allocate zeros for a number of residuals of a sequence."""
        cell, hidden, outputs = CELLS[network.cell], network.hidden_size, network.outputs
        rows, count = cell.gates * hidden, in_lanes(residuals)
        from_input = zeros(CHUNK, rows, count)
        return cls(
            state=zeros(hidden, count),
            memory=zeros(hidden, count),
            inputs=zeros(outputs, count),
            from_input=from_input,
            from_state=from_input if feeds_sums(cell) else zeros(CHUNK, rows, count),
            output=zeros(CHUNK, outputs, count),
        )


def feeds_sums(cell: Cell) -> bool:
    """Return whether input and recurrent weights contribute to the same sums, gate by gate."""
    return cell.slots == cell.gates and cell.input_order == cell.hidden_order


def zeros(*shape: int) -> np.ndarray:
    """Return zeros; if rows are a multiple of LANES, each row starts at a cache line."""
    return aligned_zeros(math.prod(shape), "float64").reshape(shape)


def in_lanes(count: int) -> int:
    """Round a number of columns up to a multiple of LANES."""
    return (count + LANES - 1) // LANES * LANES


class Differentiator:
    """Runs and differentiates groups of sequences of the same shape."""

    def __init__(
        self, network: Network, shape: tuple[int, int, int], forced: int, residuals: int
    ) -> None:
        """Allocate memory.

        Args:
            network: The network.
            shape: Of the samples [B, steps, D] of a group.
            forced: Number of steps fed with true samples; later ones read the outputs back.
            residuals: Number of residuals of a sequence.
        """
        layout, cell = float64_layout_of(network), CELLS[network.cell]
        steps, theta = shape[1], np.zeros(network.parameter_count)
        self._weights = Weights.of(theta, network)
        self._runner = Runner(layout, shape, forced, steps, records=True)
        slopes = aligned_zeros(steps * layout.shape.slopes, "float64")
        self._fixed = (
            layout.shape,
            self._runner.buffers,
            slopes,
            slopes.reshape(steps, 2, cell.slots + 2, -1),
            self._weights,
            np.array([cell.input_order, cell.hidden_order]),
            feeds_sums(cell),
            Adjoints.of(network, residuals),
            zeros(theta.size, in_lanes(residuals)),
            self._runner.sizes,
            forced,
        )
        self.differentiate = differentiate.bind(*self._fixed)
        """Differentiates the last run; for the arguments after `forced` see the kernel."""

    def run(
        self, packed: Flat, weights: Weights, samples: Float[np.ndarray, "B steps D"]
    ) -> Float[np.ndarray, "B steps O"]:
        """Run a group, and return its outputs, which the next run overwrites.

        Args:
            packed: The parameters, as `Layout.pack_flat` returns them.
            weights: The parts of them that adjoints are propagated through.
            samples: The sequences.
        """
        for mine, given in zip(self._weights, weights, strict=True):
            mine[:] = given
        return self._runner.run(packed, samples)

    def kernel_call(self, *varying: Any) -> KernelCall:
        """Return the kernel of `differentiate`, and its arguments."""
        return differentiate, (*self._fixed, *varying)


class Memory:
    """Memory that the iterations of a stage use again; new memory takes longer than a short run."""

    def __init__(self) -> None:
        """Allocate nothing yet."""
        self._free = dict[Any, list[Any]]()
        self._jacobian = zeros(0, 0)

    def jacobian(self, parameters: int, residuals: int) -> Float[np.ndarray, "P columns"]:
        """Return the same array as long as its shape is; its columns past the residuals are 0."""
        shape = parameters, in_lanes(residuals)
        if self._jacobian.shape != shape:
            self._jacobian = zeros(*shape)
        return self._jacobian

    @contextmanager
    def borrow(self, kind: Callable[..., Tool], *sizes: Any) -> Generator[Tool]:
        """Lend a tool of these sizes that no other thread uses meanwhile."""
        free = self._free.setdefault((kind, sizes), [])
        try:
            tool = free.pop()
        except IndexError:
            tool = kind(*sizes)
        yield tool
        free.append(tool)
