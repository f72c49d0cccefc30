# pyright: basic
# Numba compiles it untyped: numbers, arrays and shapes meet it as numba's own types.
"""The kernels: forward, backward, loss, clipping and Adam, n updates in one call.

Plain Python over numpy arrays, which numba compiles as it stands; shapes as in `memory`. Nothing is
allocated, and one thread does everything in one order, so the bits are the same on every run.
"""

import math

from sinernn.engines.fused.backward import (
    clip_factor,
    layer_backward,
    read_out_backward,
    square_errors,
)
from sinernn.engines.fused.cache import helper, kernel
from sinernn.engines.fused.elementwise import adam, copy_transposed
from sinernn.engines.fused.forward import add_biases, forward
from sinernn.engines.fused.memory import mirror, weights


@helper
def fill_window(sizes, samples, starts, buffers):
    """Copy the windows at `starts` [B] into `buffers.window`."""
    for b in range(sizes.batch):
        for t in range(sizes.steps + 1):
            for d in range(sizes.channels):
                place = (t * sizes.batch + b) * sizes.channels + d
                buffers.window[place] = samples[starts[b] + t, d]


@helper
def carry_in(shape, sizes, resets, hidden, buffers):
    """Set the states at step 0: those carried, or zero where `resets` [B]."""
    size = sizes.batch * shape.hidden
    for part in range(shape.states * sizes.layers):
        for b in range(sizes.batch):
            for place in range(b * shape.hidden, (b + 1) * shape.hidden):
                at = part * (sizes.steps + 1) * size + place
                buffers.states[at] = hidden[part * size + place]
                if resets[b]:
                    buffers.states[at] = 0


@helper
def move_states(shape, sizes, source, source_steps, from_step, target, target_steps, to_step):
    """Copy all states of one step between arrays of states [h or c, L, steps, B, H]."""
    size = sizes.batch * shape.hidden
    for part in range(shape.states * sizes.layers):
        for place in range(size):
            value = source[(part * source_steps + from_step) * size + place]
            target[(part * target_steps + to_step) * size + place] = value


@kernel
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
        losses[update] = square_errors(sizes, washout, resets[update], buffers)
        held = sizes.steps + 1
        move_states(shape, sizes, buffers.states, held, sizes.steps, trained.hidden, 1, 0)

        for layer in range(sizes.layers):
            for which in range(0 if layer > 0 else 1, 2):  # no gradient by the window
                weight = weights(shape, params, places[layer, which], shape.hidden)
                copy_transposed(mirror(shape, buffers.mirror, layer, which), weight)
        trained.gradient[:] = 0
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


@kernel
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
