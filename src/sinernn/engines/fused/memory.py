# pyright: basic
# Numba compiles it untyped: numbers, arrays and shapes meet it as numba's own types.
"""The kernels' memory: flat arrays, and the matrices that are cut out of them.

In comments: D channels, L layers, T steps, B batch (all in `Sizes`), H hidden units padded to whole
vectors, G columns of a weight matrix and S slots' columns (all in `shape`). Rows of a window are
time-major: row t * B + b. Padding starts as zero and stays zero: a padded unit has no weights, so
its pre-activation, state and gradient are zero in every cell.

Functions that cut matrices take the one array of `Buffers`, flat, that they cut: to hand on all of
them at every step is the larger part of what compiling costs.
"""

from typing import NamedTuple

import numpy as np

from sinernn.engines.fused.cache import helper
from sinernn.engines.fused.views import matrix


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


class Trained(NamedTuple):
    """What training changes, flat arrays of whole vectors; the layout is in `places`."""

    params: np.ndarray  # [P]
    gradient: np.ndarray  # [P]
    first: np.ndarray  # [P] Adam's first moment
    second: np.ndarray  # [P] Adam's second moment
    hidden: np.ndarray  # [h or c, L, B, H] carried on from window to window


@helper
def weights(shape, flat, at, rows):
    """View [rows, G] of a layer's weights or of their gradient."""
    return matrix(flat, at, rows, shape.gates, shape.gates_step)


@helper
def state(shape, sizes, flat, kind, layer, step, rows):
    """View [rows, H] of a layer's h (kind 0) or c (1) from before a step on."""
    at = ((kind * sizes.layers + layer) * (sizes.steps + 1) + step) * sizes.batch
    return matrix(flat, at * shape.hidden, rows, shape.hidden, shape.hidden)


@helper
def slots(shape, sizes, flat, layer, step, rows):
    """View [rows, S] of a layer's slots from a step on."""
    at = (layer * sizes.steps + step) * sizes.batch * shape.slots
    return matrix(flat, at, rows, shape.slots, shape.slots)


@helper
def fed_slots(shape, sizes, flat, layer, step, rows, column):
    """View [rows, G] of the slots that one weight matrix feeds, from their first column."""
    at = (layer * sizes.steps + step) * sizes.batch * shape.slots + column
    return matrix(flat, at, rows, shape.gates, shape.slots)


@helper
def mirror(shape, flat, layer, recurrent):
    """View [G, H] of a layer's input (0) or recurrent (1) weights transposed."""
    at = (2 * layer + recurrent) * shape.gates * shape.hidden_step
    return matrix(flat, at, shape.gates, shape.hidden, shape.hidden_step)


@helper
def layer_inputs(shape, sizes, buffers, layer, step, rows):
    """View [rows, D or H] of what a layer reads from a step on: the window, or h below it."""
    if layer == 0:
        columns = sizes.channels
        return matrix(buffers.window, step * sizes.batch * columns, rows, columns, columns)
    columns = shape.hidden + 0  # a plain number, so that both views have one type
    at = ((layer - 1) * (sizes.steps + 1) + step + 1) * sizes.batch * columns
    return matrix(buffers.states, at, rows, columns, columns)


@helper
def zeros(constants, rows, columns):
    """View [rows, columns] of zeros, of `Buffers.constants`; at most as many columns as slots."""
    return matrix(constants, 1, rows, columns, 0)
