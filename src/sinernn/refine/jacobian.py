# pyright: basic
# Kernels: numba infers the types, and none are written.
"""Residuals and their derivatives with respect to every parameter. Compiled, float64, one thread.

The Jacobian is taken in reverse: every residual (one time step, one channel) starts an adjoint of
its own, and one sweep from the last step to the first carries all of them side by side as the
columns of a matrix: back-propagation through time, batched over the rows of the Jacobian. With R
residuals and T steps that costs about R T/2 4 H^2 operations, against T 2 H^4 for the forward
recursion of dh/dtheta; it vectorises over residuals, and a cell needs only its one-step adjoint.

Beside the names in `cells`: R residuals of one sequence, newest first; column k D + d is channel d
of the k-th step counted from the end of the sequence.
"""

import numpy as np

from sinernn.engines.fused.cache import kernel, subroutine
from sinernn.refine.cells import CACHE_ROWS, GRU, run, split, step_adjoint

_CHUNK = 8
"""Time steps whose outer products are summed in one pass over the Jacobian: eight multiply-adds for
every load and store of an accumulator."""

_LANES = 8
"""Columns are worked on in whole groups of this many, the last ones zero: the vectorised loops then
have no remainder, which would take longer than the rest."""


@subroutine
def _in_lanes(count):
    return (count + _LANES - 1) // _LANES * _LANES


@subroutine
def _add_products(out, weights, rows, first, width):
    """out[j, :width] += sum over g of weights[g, j] rows[g, :width], for g >= `first`.

    Eight g at a time: the inner loop is one vector load and store for eight
    multiply-adds.
    """
    count = weights.shape[0]
    for j in range(weights.shape[1]):
        target = out[j]
        g = first
        while g + 8 <= count:
            w0, w1, w2, w3 = weights[g, j], weights[g + 1, j], weights[g + 2, j], weights[g + 3, j]
            w4, w5 = weights[g + 4, j], weights[g + 5, j]
            w6, w7 = weights[g + 6, j], weights[g + 7, j]
            a0, a1, a2, a3 = rows[g], rows[g + 1], rows[g + 2], rows[g + 3]
            a4, a5, a6, a7 = rows[g + 4], rows[g + 5], rows[g + 6], rows[g + 7]
            for r in range(width):
                target[r] += ((w0 * a0[r] + w1 * a1[r]) + (w2 * a2[r] + w3 * a3[r])) + (
                    (w4 * a4[r] + w5 * a5[r]) + (w6 * a6[r] + w7 * a7[r])
                )
            g += 8
        while g < count:
            weight = weights[g, j]
            row = rows[g]
            for r in range(width):
                target[r] += weight * row[r]
            g += 1


@subroutine
def _add_outer_products(jacobian, base, adjoints, values, width):
    """jacobian[base + g U + u, :width] += sum over s of adjoints[s, g, :width] values[s, u].

    A chunk of steps s: adjoints [_CHUNK, rows, R], values [_CHUNK, U]; the values of unused
    steps are zero.
    """
    columns = values.shape[1]
    for g in range(adjoints.shape[1]):
        a0, a1, a2, a3 = adjoints[0, g], adjoints[1, g], adjoints[2, g], adjoints[3, g]
        a4, a5, a6, a7 = adjoints[4, g], adjoints[5, g], adjoints[6, g], adjoints[7, g]
        for u in range(columns):
            v0, v1, v2, v3 = values[0, u], values[1, u], values[2, u], values[3, u]
            v4, v5, v6, v7 = values[4, u], values[5, u], values[6, u], values[7, u]
            target = jacobian[base + g * columns + u]
            for r in range(width):
                target[r] += ((v0 * a0[r] + v1 * a1[r]) + (v2 * a2[r] + v3 * a3[r])) + (
                    (v4 * a4[r] + v5 * a5[r]) + (v6 * a6[r] + v7 * a7[r])
                )


@subroutine
def differentiate(theta, cell, hidden, forced, first, stride, inputs, states, cache, jacobian):
    """Derivatives of one sequence's outputs with respect to every parameter.

    The outputs of steps T-1, T-1-stride, ... >= first are residuals.

    Args:
        theta: [P] parameters.
        cell: One of `CELLS`.
        hidden: Units H.
        forced: Steps fed with true samples; the input of every later step is the output
            before it, and its adjoint goes there.
        first: See above.
        stride: See above.
        inputs: What `run` filled.
        states: What `run` filled.
        cache: What `run` filled.
        jacobian: [P, R'], overwritten; newest step first; R' is R in whole groups of _LANES.
    """
    steps, channels = inputs.shape
    w_ih, w_hh, _, _, w_out, _ = split(theta, cell, hidden, channels)
    rows = w_hh.shape[0]
    count = jacobian.shape[1]
    own_hidden = cell == GRU
    d_state = np.zeros((hidden, count))
    d_memory = np.zeros((hidden, count))
    kept = np.zeros((hidden, count))
    d_input = np.zeros((channels, count))
    d_output = np.zeros((_CHUNK, channels, count))
    d_pre = np.zeros((_CHUNK, rows, count))
    d_pre_hidden = np.zeros((_CHUNK, rows, count)) if own_hidden else d_pre
    x = np.zeros((_CHUNK, channels))
    h_before = np.zeros((_CHUNK, hidden))
    h_after = np.zeros((_CHUNK, hidden))
    ones = np.zeros((_CHUNK, 1))
    bases = np.empty(6, np.int64)
    bases[0] = 0
    bases[1] = rows * channels
    bases[2] = bases[1] + rows * hidden
    bases[3] = bases[2] + rows
    bases[4] = bases[3] + rows
    bases[5] = bases[4] + channels * hidden
    jacobian[:] = 0.0

    seen = 0  # columns whose residual lies at the present step or later
    filled = 0
    for back in range(steps):
        t = steps - 1 - back
        slot = filled
        starts = t >= first and back % stride == 0
        active = _in_lanes(seen + channels if starts else seen)
        # an output is seen by its own residual and, where it is fed back, by the next step
        for d in range(channels):
            for r in range(active):
                d_output[slot, d, r] = d_input[d, r] if t + 1 >= forced else 0.0
        if starts:
            for d in range(channels):
                d_output[slot, d, seen + d] = 1.0
            seen += channels
        _add_products(d_state, w_out, d_output[slot], 0, active)
        step_adjoint(
            cell, cache[t], states[t], d_state, d_memory,
            d_pre[slot], d_pre_hidden[slot], kept, active,
        )  # fmt: skip
        for i in range(hidden):
            for r in range(active):
                d_state[i, r] = kept[i, r]
        _add_products(d_state, w_hh, d_pre_hidden[slot], 0, active)
        if t >= forced:
            for d in range(channels):
                for r in range(active):
                    d_input[d, r] = 0.0
            _add_products(d_input, w_ih, d_pre[slot], 0, active)
        x[slot] = inputs[t]
        h_before[slot] = states[t]
        h_after[slot] = states[t + 1]
        ones[slot] = 1.0
        filled += 1
        if filled == _CHUNK or t == 0:
            for unused in range(filled, _CHUNK):
                x[unused] = 0.0
                h_before[unused] = 0.0
                h_after[unused] = 0.0
                ones[unused] = 0.0
            _add_outer_products(jacobian, bases[0], d_pre, x, active)
            _add_outer_products(jacobian, bases[1], d_pre_hidden, h_before, active)
            _add_outer_products(jacobian, bases[2], d_pre, ones, active)
            if own_hidden:
                _add_outer_products(jacobian, bases[3], d_pre_hidden, ones, active)
            _add_outer_products(jacobian, bases[4], d_output, h_after, active)
            _add_outer_products(jacobian, bases[5], d_output, ones, active)
            filled = 0
    if not own_hidden:
        # the two biases of a gate are added, so their derivatives are equal
        jacobian[bases[3] : bases[4]] = jacobian[bases[2] : bases[3]]


@kernel
def residuals(theta, cell, hidden, samples, forced, first, stride, weights):
    """Weighted residuals [N] of all sequences, in the order of `linearise`."""
    sequences, length, channels = samples.shape
    steps = length - 1
    inputs = np.empty((steps, channels))
    outputs = np.empty((steps, channels))
    states = np.empty((steps + 1, hidden))
    cache = np.empty((steps, CACHE_ROWS[cell], hidden))
    count = ((steps - 1 - first) // stride + 1) * channels
    result = np.empty(sequences * count)
    column = 0
    for b in range(sequences):
        run(theta, cell, hidden, samples[b], forced, inputs, states, outputs, cache)
        for back in range(0, steps - first, stride):
            t = steps - 1 - back
            for d in range(channels):
                result[column] = weights[t] * (outputs[t, d] - samples[b, t + 1, d])
                column += 1
    return result


@kernel
def linearise(theta, cell, hidden, samples, forced, first, stride, weights):
    """Weighted residuals of all sequences and their derivatives.

    Args:
        theta: [P] parameters.
        cell: One of `CELLS`.
        hidden: Units H.
        samples: [B, T + 1, D]; step t reads sample t and is to give sample t + 1.
        forced: Steps fed with true samples, 1 .. T; T is open loop.
        first: Steps T-1, T-1-stride, ... >= first count.
        stride: See `first`.
        weights: [T] factor of a step's error.

    Returns:
        residuals [N], sequence by sequence, newest step first, channels innermost;
        jacobian [P, N'], N' = N rounded up to whole vectors of eight, the padding zero.
    """
    sequences, length, channels = samples.shape
    steps = length - 1
    inputs = np.empty((steps, channels))
    outputs = np.empty((steps, channels))
    states = np.empty((steps + 1, hidden))
    cache = np.empty((steps, CACHE_ROWS[cell], hidden))
    count = ((steps - 1 - first) // stride + 1) * channels
    total = sequences * count
    result = np.empty(total)
    jacobian = np.empty((theta.size, _in_lanes(total)))
    jacobian[:, total:] = 0.0
    own = np.empty((theta.size, _in_lanes(count)))  # one sequence: stays in the second-level cache
    for b in range(sequences):
        run(theta, cell, hidden, samples[b], forced, inputs, states, outputs, cache)
        differentiate(theta, cell, hidden, forced, first, stride, inputs, states, cache, own)
        start = b * count
        for back in range(0, steps - first, stride):
            t = steps - 1 - back
            for d in range(channels):
                column = back // stride * channels + d
                result[start + column] = weights[t] * (outputs[t, d] - samples[b, t + 1, d])
        for p in range(theta.size):
            for column in range(count):
                t = steps - 1 - column // channels * stride
                jacobian[p, start + column] = weights[t] * own[p, column]
    return result, jacobian


@kernel
def free_run(theta, cell, hidden, warmup, steps):
    """Closed-loop continuations [B, steps, D] of `warmup` [B, W, D], from the zero state."""
    sequences, forced, channels = warmup.shape
    total = forced + steps - 1
    inputs = np.empty((total, channels))
    outputs = np.empty((total, channels))
    states = np.empty((total + 1, hidden))
    cache = np.empty((total, CACHE_ROWS[cell], hidden))
    result = np.empty((sequences, steps, channels))
    for b in range(sequences):
        run(theta, cell, hidden, warmup[b], forced, inputs, states, outputs, cache)
        result[b] = outputs[forced - 1 :]
    return result
