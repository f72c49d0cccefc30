# pyright: basic
# Numba compiles it untyped: numbers, arrays and shapes meet it as numba's own types.
"""Matrices cut out of the flat arrays of `buffers`.

A function takes the one array of `Buffers`, flat, that it cuts: to hand on all of them at every
step is the larger part of what compiling costs.
"""

from sinernn.engines.fused.jit import helper
from sinernn.engines.fused.matrices import matrix


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
