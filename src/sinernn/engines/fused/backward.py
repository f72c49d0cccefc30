# pyright: basic
# No type annotations: numba infers the types of arguments when it compiles.
"""The backward pass: loss, gradients and clipping; shapes as in `buffers`."""

import math

from sinernn.engines.fused.elementwise import column_sums, copy, square_errors, steps_backward
from sinernn.engines.fused.gemm import product
from sinernn.engines.fused.jit import helper
from sinernn.engines.fused.matrices import matrix, transposed
from sinernn.engines.fused.slices import (
    fed_slots,
    layer_inputs,
    mirror,
    slots,
    state,
    weights,
    zeros,
)


@helper
def loss(sizes, washout, resets, buffers):
    """Return the loss; `buffers.outputs` becomes the gradient with respect to the outputs.

    Args:
        sizes: `Sizes`.
        washout: Number of first steps that do not count in rows that were reset.
        resets: [B] whether a row's state was reset.
        buffers: `Buffers`.
    """
    channels, outputs, batch = sizes.channels, sizes.outputs, sizes.batch
    counted = 0
    for b in range(batch):
        skipped = min(washout, sizes.steps) if resets[b] else 0
        counted += outputs * (sizes.steps - skipped)
        for t in range(skipped):  # an output equal to its target has no error
            place = t * batch + b
            copy(
                matrix(buffers.outputs, place * outputs, 1, outputs, outputs),
                matrix(buffers.window, (place + batch) * channels, 1, outputs, channels),
            )
    rows, columns = sizes.steps * batch, outputs
    if outputs == channels:  # without inputs, all targets are consecutive
        rows, columns = 1, rows * outputs
    total = square_errors(
        matrix(buffers.outputs, 0, rows, columns, outputs),
        matrix(buffers.window, batch * channels, rows, columns, channels),
        2.0 / counted if counted > 0 else 0.0,
    )
    return total / counted if counted > 0 else math.nan  # the mean of nothing, as in torch


@helper
def read_out_backward(shape, sizes, trained, places, buffers):
    """Compute the read-out's gradient, and `buffers.upper` for the top layer."""
    rows, outputs = sizes.steps * sizes.batch, sizes.outputs
    weight_at, bias_at = places[sizes.layers, 0], places[sizes.layers, 1]
    errors = matrix(buffers.outputs, 0, rows, outputs, outputs)
    product(
        matrix(trained.gradient, weight_at, outputs, shape.hidden, shape.hidden),
        zeros(buffers.constants, outputs, shape.hidden),
        transposed(errors),
        state(shape, sizes, buffers.states, 0, sizes.layers - 1, 1, rows),
    )
    column_sums(matrix(trained.gradient, bias_at, 1, outputs, outputs), errors)
    product(
        matrix(buffers.upper, 0, rows, shape.hidden, shape.hidden),
        zeros(buffers.constants, rows, shape.hidden),
        errors,
        matrix(trained.params, weight_at, outputs, shape.hidden, shape.hidden),
    )


@helper
def layer_backward(shape, sizes, layer, trained, places, buffers):
    """Compute one layer's gradient from `buffers.upper`, then `upper` for the layer below."""
    rows, batch = sizes.steps * sizes.batch, sizes.batch
    dh = matrix(buffers.carry, 0, batch, shape.hidden, shape.hidden)
    dc = matrix(buffers.carry, batch * shape.hidden, batch, shape.hidden, shape.hidden)
    copy(dh, zeros(buffers.constants, batch, shape.hidden))
    copy(dc, zeros(buffers.constants, batch, shape.hidden))
    last = shape.states - 1
    steps_backward(
        shape,
        slots(shape, sizes, buffers.slots, layer, 0, rows),
        mirror(shape, buffers.mirror, layer, 1),
        state(shape, sizes, buffers.states, 0, layer, 0, rows + batch),
        state(shape, sizes, buffers.states, last, layer, 0, rows + batch),
        matrix(buffers.upper, 0, rows, shape.hidden, shape.hidden),
        dh,
        dc,
        zeros(buffers.constants, batch, shape.gates),
    )

    # Gradients start at zero; a bias is treated as a weight whose input is always 1.
    inputs = layer_inputs(shape, sizes, buffers, layer, 0, rows)
    reads = sizes.channels if layer == 0 else shape.hidden
    ones = transposed(matrix(buffers.constants, 0, rows, 1, 0))
    row = zeros(buffers.constants, 1, shape.gates)
    fed = fed_slots(shape, sizes, buffers.slots, layer, 0, rows, 0)
    input_weights = weights(shape, trained.gradient, places[layer, 0], reads)
    input_bias = weights(shape, trained.gradient, places[layer, 2], 1)
    nothing = zeros(buffers.constants, reads, shape.gates)
    product(input_weights, nothing, transposed(inputs), fed)
    product(input_bias, row, ones, fed)
    if layer > 0:
        upper = matrix(buffers.upper, 0, rows, shape.hidden, shape.hidden)
        below = mirror(shape, buffers.mirror, layer, 0)
        product(upper, zeros(buffers.constants, rows, shape.hidden), fed, below)
    fed = fed_slots(shape, sizes, buffers.slots, layer, 0, rows, shape.recurrent)
    recurrent_weights = weights(shape, trained.gradient, places[layer, 1], shape.hidden)
    recurrent_bias = weights(shape, trained.gradient, places[layer, 3], 1)
    before = transposed(state(shape, sizes, buffers.states, 0, layer, 0, rows))
    product(recurrent_weights, zeros(buffers.constants, shape.hidden, shape.gates), before, fed)
    if shape.recurrent > 0:
        product(recurrent_bias, row, ones, fed)
    else:  # both biases feed the same slots
        copy(recurrent_bias, input_bias)


@helper
def clip_factor(gradient, limit):
    """Return the factor that limits the gradient's norm, as in torch's clip_grad_norm_."""
    if limit == math.inf:
        return 1.0
    squares = 0.0
    for i in range(gradient.size):
        squares += gradient[i] * gradient[i]
    factor = limit / (math.sqrt(squares) + 1e-6)
    return 1.0 if factor > 1.0 else factor  # NaN > 1 is false, so a NaN reaches the weights
