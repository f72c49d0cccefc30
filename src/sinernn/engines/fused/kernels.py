# pyright: basic
# No type annotations: numba infers the types of arguments when it compiles.
"""The kernels: forward, backward, loss, clipping and Adam, n updates in one call.

Plain Python over numpy arrays, which numba compiles unchanged; shapes as in `buffers`. Nothing is
allocated, and one thread computes everything in a fixed order, so every run gives the same bits.
"""

import math

from sinernn.engines.fused.backward import clip_factor, layer_backward, loss, read_out_backward
from sinernn.engines.fused.elementwise import adam, copy, copy_transposed
from sinernn.engines.fused.forward import add_biases, forward
from sinernn.engines.fused.jit import helper
from sinernn.engines.fused.matrices import matrix
from sinernn.engines.fused.slices import mirror, state, weights, zeros

TINY = 1e-300  # squared length of a change that has died out


@helper
def fill_window(sizes, samples, starts, buffers):
    """Copy the windows at `starts` [B] into `buffers.window`."""
    channels, batch = sizes.channels, sizes.batch
    # A single window has the same layout in its buffer as in the samples.
    rows, columns = (1, (sizes.steps + 1) * channels) if batch == 1 else (sizes.steps + 1, channels)
    for b in range(batch):
        copy(
            matrix(buffers.window, b * channels, rows, columns, batch * channels),
            matrix(samples, starts[b] * channels, rows, columns, channels),
        )


@helper
def carry_in(shape, sizes, resets, hidden, buffers):
    """Set the states at step 0: the carried states, or zero where `resets` [B] is true."""
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
    places,
    trained,
    buffers,
    starts,
    resets,
    learning_rates,
    updates,
    losses,
):
    """Run one update for each row of the plan.

    Shapes:
        shape: Cell and width (`Shape`).
        sizes: `Sizes`.
        washout: Number of first steps of a reset row that do not count in the loss.
        clip: Maximum global norm of the gradient; infinity for no clipping.
        samples: [N, D].
        places: [L + 1, 4] offsets in the flat arrays of a layer's input weights [D or H, G],
            recurrent weights [H, G] and two biases [G]; in the last row, of the read-out's
            weights [O, H] and bias [O].
        trained: `Trained`, changed in place.
        buffers: `Buffers` for T steps.
        starts, resets: [n, B] first sample of each window; whether its initial state is zero.
        learning_rates: [n].
        updates: Number of previous updates.
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
            for which in range(0 if layer > 0 else 1, 2):  # the window needs no gradient
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


def run(shape, sizes, samples, forced, places, params, hidden, buffers, outputs):
    """Run the network on samples; after `forced` of them, its outputs are read back instead.

    Shapes:
        sizes: `Sizes`; its steps are one, or the number of outputs. In the second case `buffers`
            keep the window, states and slots of every step.
        samples: [steps, B, D]; without inputs, those of the first `forced` steps are enough.
        hidden: [h or c, L, B, H] initial state; replaced by the final state.
        outputs: [steps, B, O] written.
    """
    steps, held = outputs.shape[0], sizes.steps + 1
    add_biases(shape, sizes, params, places, buffers)
    move_states(shape, sizes, hidden, 1, 0, buffers.states, held, 0)
    step = 0
    for t in range(steps):
        start = step * sizes.batch
        for b in range(sizes.batch):
            for d in range(sizes.channels):
                is_true = t < forced or d >= sizes.outputs
                value = samples[t, b, d] if is_true else outputs[t - 1, b, d]
                buffers.window[(start + b) * sizes.channels + d] = value
        forward(shape, sizes, step, 1, params, places, buffers)
        for b in range(sizes.batch):
            for d in range(sizes.outputs):
                outputs[t, b, d] = buffers.outputs[(start + b) * sizes.outputs + d]
        step += 1
        if step == sizes.steps and t < steps - 1:  # buffers of a single step
            move_states(shape, sizes, buffers.states, held, step, buffers.states, held, 0)
            step = 0
    move_states(shape, sizes, buffers.states, held, step, hidden, 1, 0)


def push_changes(weights, slopes, change, squares, sums):
    """Replace small changes of the hidden state by those after some steps, to first order.

    Plain loops over few arrays: one kernel, soon compiled, supports all cells and widths.

    Shapes:
        weights: [L, H + H, slots * H] in the order of slots: of h of the layer below (of the first
            layer: of the last's before the step, whose outputs are fed back), then of the layer's
            own h; the first H rows are left out if there is one layer.
        slopes: [steps, L, B, h or c, slots + 2, H] derivatives of h and c after a step with respect
            to every slot, the previous h (without the recurrent weights' part) and the previous c.
        change: [L, R, (h or c) * H] changed; in row r the slopes are those of row r % B.
        squares: [n, R] written: n times, at even intervals, each row's change is brought to length
            1, from this squared length; n = 0 for never.
        sums: [R, slots * H] working memory.
    """
    steps, layers, batch, states, values, units = slopes.shape
    slots, below, (times, rows) = values - 2, weights.shape[1] - units, squares.shape
    every = steps // max(times, 1)
    for t in range(steps):
        for layer in range(layers):
            for r in range(rows):
                for column in range(slots * units):
                    sums[r, column] = 0.0
            for u in range(below + units):
                for r in range(rows):
                    # Layer -1 is the last.
                    h = change[layer, r, u - below] if u >= below else change[layer - 1, r, u]
                    for column in range(slots * units):
                        sums[r, column] += h * weights[layer, u, column]
            for r in range(rows):
                for u in range(units):
                    h, c = change[layer, r, u], change[layer, r, (states - 1) * units + u]
                    for kind in range(states):
                        slope = slopes[t, layer, r % batch, kind]
                        total = slope[slots, u] * h + slope[slots + 1, u] * c
                        for slot in range(slots):
                            total += slope[slot, u] * sums[r, slot * units + u]
                        change[layer, r, kind * units + u] = total
        if times > 0 and (t + 1) % every == 0:
            for r in range(rows):
                square = 0.0
                for layer in range(layers):
                    for u in range(states * units):
                        square += change[layer, r, u] ** 2
                squares[t // every, r] = square
                factor = 1.0 / math.sqrt(max(square, TINY))
                for layer in range(layers):
                    for u in range(states * units):
                        change[layer, r, u] *= factor
