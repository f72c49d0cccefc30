# pyright: basic
# No type annotations: numba infers the types of arguments when it compiles.
"""Matrix views of the flat arrays of `buffers`.

Most functions take only the flat array that they need: passing all of `Buffers` would account for
most of the compile time.
"""

from sinernn.engines.fused.jit import helper
from sinernn.engines.fused.matrices import matrix


@helper
def weights(shape, flat, at, rows):
    """Return a view [rows, G] of a layer's weights or of their gradient."""
    return matrix(flat, at, rows, shape.gates, shape.gates_step)


@helper
def state(shape, sizes, flat, kind, layer, step, rows):
    """Return a view [rows, H] of a layer's h (kind 0) or c (1), starting before a step."""
    at = ((kind * sizes.layers + layer) * (sizes.steps + 1) + step) * sizes.batch
    return matrix(flat, at * shape.hidden, rows, shape.hidden, shape.hidden)


@helper
def slots(shape, sizes, flat, layer, step, rows):
    """Return a view [rows, S] of a layer's slots, starting at a step."""
    at = (layer * sizes.steps + step) * sizes.batch * shape.slots
    return matrix(flat, at, rows, shape.slots, shape.slots)


@helper
def fed_slots(shape, sizes, flat, layer, step, rows, column):
    """Return a view [rows, G] of the slots fed by one weight matrix, from `column` on."""
    at = (layer * sizes.steps + step) * sizes.batch * shape.slots + column
    return matrix(flat, at, rows, shape.gates, shape.slots)


@helper
def mirror(shape, flat, layer, recurrent):
    """Return a view [G, H] of a layer's transposed input (0) or recurrent (1) weights."""
    at = (2 * layer + recurrent) * shape.gates * shape.hidden_step
    return matrix(flat, at, shape.gates, shape.hidden, shape.hidden_step)


@helper
def layer_inputs(shape, sizes, buffers, layer, step, rows):
    """Return a view [rows, D or H] of a layer's inputs from a step on: window or h below it."""
    if layer == 0:
        columns = sizes.channels
        return matrix(buffers.window, step * sizes.batch * columns, rows, columns, columns)
    columns = shape.hidden + 0  # not a literal, so that both views have the same type
    at = ((layer - 1) * (sizes.steps + 1) + step + 1) * sizes.batch * columns
    return matrix(buffers.states, at, rows, columns, columns)


@helper
def zeros(constants, rows, columns):
    """Return a view [rows, columns] of zeros in `Buffers.constants`; columns <= S."""
    return matrix(constants, 1, rows, columns, 0)
