# pyright: basic
# Numba compiles it untyped: numbers, arrays and shapes meet it as numba's own types.
"""From a window and the states at its start to all states and outputs; shapes as in `memory`."""

from sinernn.engines.fused.cache import helper
from sinernn.engines.fused.elementwise import copy, step_forward
from sinernn.engines.fused.memory import fed_slots, layer_inputs, slots, state, weights
from sinernn.engines.fused.products import add_inner_products, add_product
from sinernn.engines.fused.views import matrix


@helper
def add_biases(shape, sizes, params, places, buffers):
    """Fill `buffers.bias`."""
    for layer in range(sizes.layers):
        for column in range(shape.slots):
            total = params[places[layer, 2] + column] if column < shape.gates else 0.0
            if column >= shape.recurrent:
                total += params[places[layer, 3] + column - shape.recurrent]
            buffers.bias[layer * shape.slots + column] = total


@helper
def layer_forward(shape, sizes, layer, params, places, buffers):
    """Run one layer over all steps from its state at step 0."""
    rows, batch = sizes.steps * sizes.batch, sizes.batch
    bias = matrix(buffers.bias, layer * shape.slots, rows, shape.slots, 0)
    copy(slots(shape, sizes, buffers.slots, layer, 0, rows), bias)
    reads = sizes.channels if layer == 0 else shape.hidden
    add_product(
        fed_slots(shape, sizes, buffers.slots, layer, 0, rows, 0),
        layer_inputs(shape, sizes, buffers, layer),
        weights(shape, params, places[layer, 0], reads),
    )
    recurrent = weights(shape, params, places[layer, 1], shape.hidden)
    last = shape.states - 1  # without a c, h is handed over in its place and not read
    for t in range(sizes.steps):
        h = state(shape, sizes, buffers.states, 0, layer, t, batch)
        c = state(shape, sizes, buffers.states, last, layer, t, batch)
        h_after = state(shape, sizes, buffers.states, 0, layer, t + 1, batch)
        c_after = state(shape, sizes, buffers.states, last, layer, t + 1, batch)
        fed = fed_slots(shape, sizes, buffers.slots, layer, t, batch, shape.recurrent)
        add_product(fed, h, recurrent)
        step_forward(
            shape, slots(shape, sizes, buffers.slots, layer, t, batch), h, h_after, c, c_after
        )


@helper
def forward(shape, sizes, params, places, buffers):
    """From the window and the states at step 0 to all states and outputs."""
    for layer in range(sizes.layers):
        layer_forward(shape, sizes, layer, params, places, buffers)
    rows = sizes.steps * sizes.batch
    weight_at, bias_at = places[sizes.layers, 0], places[sizes.layers, 1]
    for row in range(rows):
        for d in range(sizes.channels):
            buffers.outputs[row * sizes.channels + d] = params[bias_at + d]
    add_inner_products(
        matrix(buffers.outputs, 0, rows, sizes.channels, sizes.channels),
        state(shape, sizes, buffers.states, 0, sizes.layers - 1, 1, rows),
        matrix(params, weight_at, sizes.channels, shape.hidden, shape.hidden),
    )
