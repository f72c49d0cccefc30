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
def forward(shape, sizes, first, steps, params, places, buffers):
    """Compute the states and outputs of some steps from the window and the states before them.

    Layer by layer, so that the inputs of all these steps meet a layer's weights in one product.
    """
    rows, batch = steps * sizes.batch, sizes.batch
    last = shape.states - 1  # without a c, h is passed in its place and not read
    for layer in range(sizes.layers):
        bias = matrix(buffers.bias, layer * shape.slots, rows, shape.slots, 0)
        copy(slots(shape, sizes, buffers.slots, layer, first, rows), bias)
        reads = sizes.channels if layer == 0 else shape.hidden
        add_product(
            fed_slots(shape, sizes, buffers.slots, layer, first, rows, 0),
            layer_inputs(shape, sizes, buffers, layer, first, rows),
            weights(shape, params, places[layer, 0], reads),
        )
        recurrent = weights(shape, params, places[layer, 1], shape.hidden)
        for t in range(first, first + steps):
            h = state(shape, sizes, buffers.states, 0, layer, t, batch)
            c = state(shape, sizes, buffers.states, last, layer, t, batch)
            h_after = state(shape, sizes, buffers.states, 0, layer, t + 1, batch)
            c_after = state(shape, sizes, buffers.states, last, layer, t + 1, batch)
            fed = fed_slots(shape, sizes, buffers.slots, layer, t, batch, shape.recurrent)
            add_product(fed, h, recurrent)
            step_forward(
                shape, slots(shape, sizes, buffers.slots, layer, t, batch), h, h_after, c, c_after
            )
    weight_at, bias_at = places[sizes.layers, 0], places[sizes.layers, 1]
    start = first * batch
    for row in range(start, start + rows):
        for d in range(sizes.channels):
            buffers.outputs[row * sizes.channels + d] = params[bias_at + d]
    add_inner_products(
        matrix(buffers.outputs, start * sizes.channels, rows, sizes.channels, sizes.channels),
        state(shape, sizes, buffers.states, 0, sizes.layers - 1, first + 1, rows),
        matrix(params, weight_at, sizes.channels, shape.hidden, shape.hidden),
    )
