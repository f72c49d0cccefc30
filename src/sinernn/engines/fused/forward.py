# pyright: basic
# No type annotations: numba infers the types of arguments when it compiles.
"""The forward pass: compute a window's states and outputs; shapes as in `buffers`."""

from sinernn.engines.fused.elementwise import copy, steps_forward
from sinernn.engines.fused.gemm import inner_products, product
from sinernn.engines.fused.jit import helper
from sinernn.engines.fused.matrices import matrix
from sinernn.engines.fused.slices import fed_slots, layer_inputs, slots, state, weights


@helper
def add_biases(shape, sizes, params, places, buffers):
    """Fill `buffers.bias` with the sums of both biases."""
    for layer in range(sizes.layers):
        for column in range(shape.slots):
            total = params[places[layer, 2] + column] if column < shape.gates else 0.0
            if column >= shape.recurrent:
                total += params[places[layer, 3] + column - shape.recurrent]
            buffers.bias[layer * shape.slots + column] = total


@helper
def forward(shape, sizes, first, steps, params, places, buffers):
    """Compute states and outputs of `steps` steps from the window and the states before `first`.

    Works layer by layer, so one product per layer covers the inputs of all steps.
    """
    rows, batch = steps * sizes.batch, sizes.batch
    last = shape.states - 1  # without c, h is passed in its place and not read
    for layer in range(sizes.layers):
        reads = sizes.channels if layer == 0 else shape.hidden
        product(
            fed_slots(shape, sizes, buffers.slots, layer, first, rows, 0),
            matrix(buffers.bias, layer * shape.slots, rows, shape.gates, 0),
            layer_inputs(shape, sizes, buffers, layer, first, rows),
            weights(shape, params, places[layer, 0], reads),
        )
        at = (layer * sizes.steps + first) * batch * shape.slots + shape.gates
        copy(  # slots that the inputs do not feed
            matrix(buffers.slots, at, rows, shape.recurrent, shape.slots),
            matrix(buffers.bias, layer * shape.slots + shape.gates, rows, shape.recurrent, 0),
        )
        steps_forward(
            shape,
            slots(shape, sizes, buffers.slots, layer, first, rows),
            weights(shape, params, places[layer, 1], shape.hidden),
            state(shape, sizes, buffers.states, 0, layer, first, rows + batch),
            state(shape, sizes, buffers.states, last, layer, first, rows + batch),
        )
    weight_at, bias_at = places[sizes.layers, 0], places[sizes.layers, 1]
    at = first * batch * sizes.outputs
    inner_products(
        matrix(buffers.outputs, at, rows, sizes.outputs, sizes.outputs),
        matrix(params, bias_at, rows, sizes.outputs, 0),
        state(shape, sizes, buffers.states, 0, sizes.layers - 1, first + 1, rows),
        matrix(params, weight_at, sizes.outputs, shape.hidden, shape.hidden),
    )
