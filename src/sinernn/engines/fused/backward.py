# pyright: basic
# Numba compiles it untyped: numbers, arrays and shapes meet it as numba's own types.
"""From the outputs' errors back through time to every gradient; shapes as in `memory`."""

import math

from sinernn.engines.fused.cache import helper
from sinernn.engines.fused.elementwise import copy, step_backward
from sinernn.engines.fused.memory import fed_slots, layer_inputs, mirror, slots, state, weights
from sinernn.engines.fused.products import add_product
from sinernn.engines.fused.views import matrix, transposed


@helper
def square_errors(sizes, washout, resets, buffers):
    """The loss; `buffers.outputs` becomes the gradient by the outputs.

    Args:
        sizes: `Sizes`.
        washout: First steps that do not count, in rows that were reset.
        resets: [B].
        buffers: `Buffers`.
    """
    channels, batch = sizes.channels, sizes.batch
    counted = 0
    for b in range(batch):
        counted += channels * max(0, sizes.steps - (washout if resets[b] else 0))
    # The mean of nothing is NaN, as in torch.
    share = buffers.outputs.dtype.type(2.0 / counted if counted > 0 else math.nan)
    total = 0.0
    for t in range(sizes.steps):
        for b in range(batch):
            counts = t >= washout or not resets[b]
            for d in range(channels):
                place = (t * batch + b) * channels + d
                if counts:
                    error = buffers.outputs[place] - buffers.window[place + batch * channels]
                    total += error * error
                    buffers.outputs[place] = error * share
                else:
                    buffers.outputs[place] = 0
    return total / counted if counted > 0 else math.nan


@helper
def read_out_backward(shape, sizes, trained, places, buffers):
    """The read-out's gradient, and the top layer's `buffers.upper`."""
    rows, channels = sizes.steps * sizes.batch, sizes.channels
    weight_at, bias_at = places[sizes.layers, 0], places[sizes.layers, 1]
    errors = matrix(buffers.outputs, 0, rows, channels, channels)
    add_product(
        matrix(trained.gradient, weight_at, channels, shape.hidden, shape.hidden),
        transposed(errors),
        state(shape, sizes, buffers.states, 0, sizes.layers - 1, 1, rows),
    )
    for row in range(rows):
        for d in range(channels):
            trained.gradient[bias_at + d] += buffers.outputs[row * channels + d]
    upper = matrix(buffers.upper, 0, rows, shape.hidden, shape.hidden)
    copy(upper, matrix(buffers.constants, 1, rows, shape.hidden, 0))
    weight = matrix(trained.params, weight_at, channels, shape.hidden, shape.hidden)
    add_product(upper, errors, weight)


@helper
def layer_backward(shape, sizes, layer, trained, places, buffers):
    """One layer's gradient from `buffers.upper`, which becomes that of the layer below."""
    rows, batch = sizes.steps * sizes.batch, sizes.batch
    dh = matrix(buffers.carry, 0, batch, shape.hidden, shape.hidden)
    dc = matrix(buffers.carry, batch * shape.hidden, batch, shape.hidden, shape.hidden)
    copy(dh, matrix(buffers.constants, 1, batch, shape.hidden, 0))
    copy(dc, matrix(buffers.constants, 1, batch, shape.hidden, 0))
    recurrent = mirror(shape, buffers.mirror, layer, 1)
    last = shape.states - 1
    for t in range(sizes.steps - 1, -1, -1):
        step_backward(
            shape,
            slots(shape, sizes, buffers.slots, layer, t, batch),
            state(shape, sizes, buffers.states, 0, layer, t, batch),
            state(shape, sizes, buffers.states, 0, layer, t + 1, batch),
            state(shape, sizes, buffers.states, last, layer, t, batch),
            state(shape, sizes, buffers.states, last, layer, t + 1, batch),
            matrix(buffers.upper, t * batch * shape.hidden, batch, shape.hidden, shape.hidden),
            dh,
            dc,
        )
        fed = fed_slots(shape, sizes, buffers.slots, layer, t, batch, shape.recurrent)
        add_product(dh, fed, recurrent)

    inputs = layer_inputs(shape, sizes, buffers, layer, 0, rows)
    reads = sizes.channels if layer == 0 else shape.hidden
    before = state(shape, sizes, buffers.states, 0, layer, 0, rows)
    ones = matrix(buffers.constants, 0, rows, 1, 0)  # biases are weights of a constant input
    fed = fed_slots(shape, sizes, buffers.slots, layer, 0, rows, 0)
    gradient = trained.gradient
    add_product(weights(shape, gradient, places[layer, 0], reads), transposed(inputs), fed)
    add_product(weights(shape, gradient, places[layer, 2], 1), transposed(ones), fed)
    if layer > 0:
        upper = matrix(buffers.upper, 0, rows, shape.hidden, shape.hidden)
        copy(upper, matrix(buffers.constants, 1, rows, shape.hidden, 0))
        add_product(upper, fed, mirror(shape, buffers.mirror, layer, 0))
    fed = fed_slots(shape, sizes, buffers.slots, layer, 0, rows, shape.recurrent)
    add_product(weights(shape, gradient, places[layer, 1], shape.hidden), transposed(before), fed)
    add_product(weights(shape, gradient, places[layer, 3], 1), transposed(ones), fed)


@helper
def clip_factor(gradient, limit):
    """Factor that brings the gradient's norm under the limit, as torch's clip_grad_norm_."""
    if limit == math.inf:
        return 1.0
    squares = 0.0
    for i in range(gradient.size):
        squares += gradient[i] * gradient[i]
    factor = limit / (math.sqrt(squares) + 1e-6)
    return 1.0 if factor > 1.0 else factor  # a NaN is not greater, and reaches the weights
