"""The kernels' memory: flat arrays, from which `slices` cuts matrices.

In comments: D channels, L layers, T steps, B batch (all in `Sizes`), H hidden units padded to whole
vectors, G columns of a weight matrix and S slots' columns (all in `Shape`). Rows of a window are
time-major: row t * B + b. Padding starts as zero and stays zero: a padded unit has no weights, so
its pre-activation, state and gradient are zero in every cell.
"""

from typing import Any, NamedTuple

import numpy as np

from sinernn.engines.fused.shape import PADDED_BYTES, Shape


class Sizes(NamedTuple):
    """Sizes that one compiled kernel serves all values of."""

    channels: int  # D
    layers: int  # L
    steps: int  # T
    batch: int  # B


class Buffers(NamedTuple):
    """Working memory, flat arrays of the network's dtype, written by the kernels."""

    window: np.ndarray  # [T + 1, B, D] inputs; one row on, they are the targets
    bias: np.ndarray  # [L, S] both biases of a layer added up
    slots: np.ndarray  # [L, T, B, S]
    states: np.ndarray  # [h or c, L, T + 1, B, H]; step 0 is the start
    outputs: np.ndarray  # [T, B, D] outputs, then the gradient by them
    upper: np.ndarray  # [T, B, H] gradient by a layer's h that comes from above
    carry: np.ndarray  # [h or c, B, H] gradient by the state that comes from later steps
    mirror: np.ndarray  # [L, input or recurrent, G, H] weights transposed
    constants: np.ndarray  # [1 + S] a one, then zeros

    @classmethod
    def of(cls, shape: Shape, sizes: Sizes, dtype: str, *, training: bool) -> "Buffers":
        """Return zeros; without training, none for the backward pass."""
        rows, backward = sizes.steps * sizes.batch, 1 if training else 0

        def zeros(size: int) -> np.ndarray:
            return aligned_zeros(size, dtype)

        buffers = cls(
            window=zeros((rows + sizes.batch) * sizes.channels),
            bias=zeros(sizes.layers * shape.slots),
            slots=zeros(sizes.layers * rows * shape.slots),
            states=zeros(shape.states * sizes.layers * (rows + sizes.batch) * shape.hidden),
            outputs=zeros(rows * sizes.channels),
            upper=zeros(backward * rows * shape.hidden),
            carry=zeros(backward * 2 * sizes.batch * shape.hidden),
            mirror=zeros(backward * 2 * sizes.layers * shape.gates * shape.hidden_step),
            constants=zeros(1 + shape.slots),
        )
        buffers.constants[0] = 1
        return buffers


class Trained(NamedTuple):
    """What training changes, flat arrays of whole vectors; the layout is in `places`."""

    params: np.ndarray  # [P]
    gradient: np.ndarray  # [P]
    first: np.ndarray  # [P] Adam's first moment
    second: np.ndarray  # [P] Adam's second moment
    hidden: np.ndarray  # [h or c, L, B, H] carried on from window to window


def aligned_zeros(size: int, dtype: str) -> np.ndarray:
    """Return zeros that begin at a cache line, so that no vector straddles two."""
    item_bytes = np.dtype(dtype).itemsize
    padded = np.zeros(size + PADDED_BYTES // item_bytes, dtype)
    skip = -padded.ctypes.data % PADDED_BYTES // item_bytes
    return padded[skip : skip + size]


def plain(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Return the array, copied if need be, in the one form that kernels take."""
    return np.require(array, dtype, ["C", "ALIGNED", "WRITEABLE", "ENSUREARRAY"])
