"""The memory of the kernels: flat arrays, of which `slices` returns matrix views.

In comments: D channels, the first O of them outputs, L layers, T steps, B batch (all in `Sizes`); H
hidden units padded to whole vectors, G columns of a weight matrix and S slot columns (all in
`Shape`). Rows of a window are time-major: row t * B + b. Padding starts at zero and stays zero: a
padded unit has no weights, so its pre-activation, state and gradient are zero in every cell.
"""

from typing import Any, NamedTuple

import numpy as np

from sinernn.engines.fused.native import address
from sinernn.engines.fused.shape import PADDED_BYTES, Shape


class Sizes(NamedTuple):
    """Sizes known only at run time: one compiled kernel supports all values."""

    channels: int  # D
    outputs: int  # O
    layers: int  # L
    steps: int  # T
    batch: int  # B


class Buffers(NamedTuple):
    """Working memory: flat arrays of the network's dtype, written by the kernels."""

    window: np.ndarray  # [T + 1, B, D] inputs; shifted by one step, the targets
    bias: np.ndarray  # [L, S] sum of both biases of a layer
    slots: np.ndarray  # [L, T, B, S]
    states: np.ndarray  # [h or c, L, T + 1, B, H]; step 0 is the start
    outputs: np.ndarray  # [T, B, O] outputs, then the gradient with respect to them
    upper: np.ndarray  # [T, B, H] gradient with respect to a layer's h, from the layer above
    carry: np.ndarray  # [h or c, B, H] gradient with respect to the state, from later steps
    mirror: np.ndarray  # [L, input or recurrent, G, H] transposed weights
    constants: np.ndarray  # [1 + S] a one, then zeros

    @classmethod
    def of(cls, shape: Shape, sizes: Sizes, dtype: str, *, training: bool) -> "Buffers":
        """Allocate zeros; without `training`, no memory for the backward pass."""
        rows, backward = sizes.steps * sizes.batch, 1 if training else 0

        def zeros(size: int) -> np.ndarray:
            return aligned_zeros(size, dtype)

        buffers = cls(
            window=zeros((rows + sizes.batch) * sizes.channels),
            bias=zeros(sizes.layers * shape.slots),
            slots=zeros(sizes.layers * rows * shape.slots),
            states=zeros(shape.states * sizes.layers * (rows + sizes.batch) * shape.hidden),
            outputs=zeros(rows * sizes.outputs),
            upper=zeros(backward * rows * shape.hidden),
            carry=zeros(backward * 2 * sizes.batch * shape.hidden),
            mirror=zeros(backward * 2 * sizes.layers * shape.gates * shape.hidden_step),
            constants=zeros(1 + shape.slots),
        )
        buffers.constants[0] = 1
        return buffers


class Trained(NamedTuple):
    """The arrays that training updates, flat and padded to whole vectors; see `Layout.places`."""

    params: np.ndarray  # [P]
    gradient: np.ndarray  # [P]
    first: np.ndarray  # [P] Adam's first moment
    second: np.ndarray  # [P] Adam's second moment
    hidden: np.ndarray  # [h or c, L, B, H] carried from window to window


def aligned_zeros(size: int, dtype: str) -> np.ndarray:
    """Return zeros aligned to a cache line, so that no vector crosses two lines."""
    item_bytes = np.dtype(dtype).itemsize
    padded = np.zeros(size + PADDED_BYTES // item_bytes, dtype)
    skip = -address(padded) % PADDED_BYTES // item_bytes
    return padded[skip : skip + size]


def plain(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Return the array in the form that kernels require, copied if necessary."""
    array = np.ascontiguousarray(array, dtype)
    return array if array.flags.carray else array.copy()
