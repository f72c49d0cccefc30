# pyright: basic
# Numba compiles it untyped: numbers, arrays and shapes meet it as numba's own types.
"""The kernels: forward, backward, loss, clipping and Adam, n updates in one call.

Plain Python over numpy arrays, which numba compiles as it stands; shapes as in `buffers`. Nothing
is allocated, and one thread does everything in one order, so the bits are the same on every run.
"""

import math

from sinernn.engines.fused.backward import clip_factor, layer_backward, loss, read_out_backward
from sinernn.engines.fused.elementwise import adam, copy, copy_transposed
from sinernn.engines.fused.forward import add_biases, forward
from sinernn.engines.fused.jit import helper
from sinernn.engines.fused.matrices import matrix
from sinernn.engines.fused.slices import mirror, state, weights, zeros


@helper
def fill_window(sizes, samples, starts, buffers):
    """Copy the windows at `starts` [B] into `buffers.window`."""
    channels, batch = sizes.channels, sizes.batch
    # one window stands in its buffer as in the samples
    rows, columns = (1, (sizes.steps + 1) * channels) if batch == 1 else (sizes.steps + 1, channels)
    for b in range(batch):
        copy(
            matrix(buffers.window, b * channels, rows, columns, batch * channels),
            matrix(samples, starts[b] * channels, rows, columns, channels),
        )


@helper
def carry_in(shape, sizes, resets, hidden, buffers):
    """Set the states at step 0: those carried, or zero where `resets` [B]."""
    for kind in range(shape.states):
        for layer in range(sizes.layers):
            row = (kind * sizes.layers + layer) * sizes.batch
            before = state(shape, sizes, buffers.states, kind, layer, 0, sizes.batch)
            carried = matrix(hidden, row * shape.hidden, sizes.batch, shape.hidden, shape.hidden)
            copy(before, carried)
            for b in range(sizes.batch):
                if resets[b]:
                    at = (row * (sizes.steps + 1) + b) * shape.hidden
                    copy(
                        matrix(buffers.states, at, 1, shape.hidden, shape.hidden),
                        zeros(buffers.constants, 1, shape.hidden),
                    )


@helper
def move_states(shape, sizes, source, source_steps, from_step, target, target_steps, to_step):
    """Copy all states of one step between arrays of states [h or c, L, steps, B, H]."""
    size = sizes.batch * shape.hidden
    for part in range(shape.states * sizes.layers):
        copy(
            matrix(
                target,
                (part * target_steps + to_step) * size,
                sizes.batch,
                shape.hidden,
                shape.hidden,
            ),
            matrix(
                source,
                (part * source_steps + from_step) * size,
                sizes.batch,
                shape.hidden,
                shape.hidden,
            ),
        )


def advance(
    shape,
    sizes,
    washout,
    clip,
    samples,
    starts,
    resets,
    learning_rates,
    updates,
    places,
    trained,
    buffers,
    losses,
):
    """Run one update for each row of the plan.

    Shapes:
        shape: Cell and width (`Shape`).
        sizes: `Sizes`.
        washout: First steps of a reset row that do not count in the loss.
        clip: Largest global norm of the gradient; infinity for none.
        samples: [N, D].
        starts, resets: [n, B] first sample of each window; whether its state is zero first.
        learning_rates: [n].
        updates: Updates done before.
        places: [L + 1, 4] where in the flat arrays a layer's input weights [D or H, G],
            recurrent weights [H, G] and two biases [G] stand; in the last row the read-out's
            weights [D, H] and bias [D].
        trained: `Trained`, changed.
        buffers: `Buffers` for T steps.
        losses: [n] written.
    """
    params = trained.params
    for update in range(starts.shape[0]):
        fill_window(sizes, samples, starts[update], buffers)
        carry_in(shape, sizes, resets[update], trained.hidden, buffers)
        add_biases(shape, sizes, params, places, buffers)
        forward(shape, sizes, 0, sizes.steps, params, places, buffers)
        losses[update] = loss(sizes, washout, resets[update], buffers)
        held = sizes.steps + 1
        move_states(shape, sizes, buffers.states, held, sizes.steps, trained.hidden, 1, 0)

        for layer in range(sizes.layers):
            for which in range(0 if layer > 0 else 1, 2):  # no gradient by the window
                weight = weights(shape, params, places[layer, which], shape.hidden)
                copy_transposed(mirror(shape, buffers.mirror, layer, which), weight)
        read_out_backward(shape, sizes, trained, places, buffers)
        for layer in range(sizes.layers - 1, -1, -1):
            layer_backward(shape, sizes, layer, trained, places, buffers)

        done = updates + update + 1
        adam(
            params,
            trained.gradient,
            trained.first,
            trained.second,
            clip_factor(trained.gradient, clip),
            learning_rates[update] / (1.0 - 0.9**done),
            1.0 / math.sqrt(1.0 - 0.999**done),
        )


def run(shape, sizes, inputs, places, params, hidden, buffers, outputs):
    """Run the network; where inputs end, outputs become inputs.

    Shapes:
        sizes: `Sizes`; its steps are one, or as many as there are outputs: then the window, the
            states and the slots of every step are left in `buffers`.
        inputs: [W, B, D].
        hidden: [h or c, L, B, H] state before; changed to that after.
        outputs: [steps, B, D] written, steps >= W.
    """
    steps, held = outputs.shape[0], sizes.steps + 1
    add_biases(shape, sizes, params, places, buffers)
    move_states(shape, sizes, hidden, 1, 0, buffers.states, held, 0)
    step = 0
    for t in range(steps):
        start = step * sizes.batch * sizes.channels
        for b in range(sizes.batch):
            for d in range(sizes.channels):
                value = inputs[t, b, d] if t < inputs.shape[0] else outputs[t - 1, b, d]
                buffers.window[start + b * sizes.channels + d] = value
        forward(shape, sizes, step, 1, params, places, buffers)
        for b in range(sizes.batch):
            for d in range(sizes.channels):
                outputs[t, b, d] = buffers.outputs[start + b * sizes.channels + d]
        step += 1
        if step == sizes.steps and t < steps - 1:  # the buffers hold one step
            move_states(shape, sizes, buffers.states, held, step, buffers.states, held, 0)
            step = 0
    move_states(shape, sizes, buffers.states, held, step, hidden, 1, 0)
