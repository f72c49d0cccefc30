# pyright: basic
# No type annotations: numba infers the types of arguments when it compiles.
"""Refinement's kernels: the Jacobian of a group of sequences, and a triangular solver. One thread.

The Jacobian is computed in reverse mode. Every residual (one time step, one output) has its own
adjoint, and one sweep from the last step to the first propagates all adjoints together, as the
columns of a matrix: back-propagation through time, batched over the rows of the Jacobian. With R
residuals and T steps this takes about R T/2 4 H^2 operations, compared with T 2 H^4 for the forward
recursion of dh/dtheta. It vectorises over residuals, and requires only the derivative of one step
of a cell.

Symbols as in `jacobian`.
"""

import numpy as np

from sinernn.engines.fused.elementwise import differentiate_steps
from sinernn.engines.fused.jit import helper, subroutine
from sinernn.engines.fused.matrices import matrix
from sinernn.refine.jacobian import CHUNK, in_lanes

_in_lanes = subroutine(in_lanes)


@subroutine
def _add_products(out, weights, rows, width):
    """out[j, :width] += sum over g of weights[g, j] rows[g, :width].

    Eight g at a time: the inner loop does eight multiply-adds per vector load and store.
    """
    count = weights.shape[0]
    for j in range(weights.shape[1]):
        target = out[j]
        g = 0
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
def _add_outer_products(jacobian, row, adjoints, values, start, step, columns, newest, width):
    """jacobian[row + g U + u, :width] += sum over s of adjoints[s, g, :width] value[newest - s, u].

    A chunk of steps s, newest first: adjoints [CHUNK, rows, R'], zero for steps before the first;
    value[t, u] is values[start + t step + u], U = columns.

    Returns:
        The row after the last one that was added to.
    """
    for g in range(adjoints.shape[1]):
        a0, a1, a2, a3 = adjoints[0, g], adjoints[1, g], adjoints[2, g], adjoints[3, g]
        a4, a5, a6, a7 = adjoints[4, g], adjoints[5, g], adjoints[6, g], adjoints[7, g]
        for u in range(columns):
            at = start + u
            v0, v1 = values[at + newest * step], values[at + max(newest - 1, 0) * step]
            v2, v3 = values[at + max(newest - 2, 0) * step], values[at + max(newest - 3, 0) * step]
            v4, v5 = values[at + max(newest - 4, 0) * step], values[at + max(newest - 5, 0) * step]
            v6, v7 = values[at + max(newest - 6, 0) * step], values[at + max(newest - 7, 0) * step]
            target = jacobian[row + g * columns + u]
            for r in range(width):
                target[r] += ((v0 * a0[r] + v1 * a1[r]) + (v2 * a2[r] + v3 * a3[r])) + (
                    (v4 * a4[r] + v5 * a5[r]) + (v6 * a6[r] + v7 * a7[r])
                )
    return row + adjoints.shape[1] * columns


@subroutine
def _set_zero(array):
    """Set every number of a matrix to zero."""
    for row in range(array.shape[0]):
        for column in range(array.shape[1]):
            array[row, column] = 0.0


@subroutine
def _clear(adjoints, filled):
    """Set a chunk to zero from step `filled` on."""
    for s in range(filled, adjoints.shape[0]):
        _set_zero(adjoints[s])


@subroutine
def _through_unit(i, states, slopes, orders, shared, dh, dc, d_pre, d_pre_hidden, width):
    """Replace the adjoints of one unit's state after a step by those of the state before it.

    Args:
        i: The unit.
        states: 1 (h), or 2 (h and c).
        slopes: [2, slots + 2] derivatives of h and of c with respect to every slot, h and c.
        orders: [2, G] torch's gate for each slot fed by the inputs and by the recurrent weights.
        shared: Whether both feed the same sums.
        dh: [R'] adjoint of h, changed; excludes the part through the recurrent weights.
        dc: [R'] adjoint of c, changed.
        d_pre: [G H, R'] adjoints of the input part; row i of every gate is written.
        d_pre_hidden: The same for the recurrent part.
        width: Number of columns in use.
    """
    gates, slots = orders.shape[1], slopes.shape[1] - 2
    hidden = d_pre.shape[0] // gates
    for part in range(1 if shared else 2):
        target = d_pre if part == 0 else d_pre_hidden
        for k in range(gates):
            slot = k if part == 0 else slots - gates + k
            by_h, by_c = slopes[0, slot], slopes[1, slot]
            row = target[orders[part, k] * hidden + i]
            if states == 1:
                for r in range(width):
                    row[r] = by_h * dh[r]
            else:
                for r in range(width):
                    row[r] = by_h * dh[r] + by_c * dc[r]
    h_by_h, h_by_c = slopes[0, slots], slopes[0, slots + 1]
    c_by_h, c_by_c = slopes[1, slots], slopes[1, slots + 1]
    if states == 1:
        for r in range(width):
            dh[r] *= h_by_h
        return
    for r in range(width):
        value = dh[r]
        dh[r] = h_by_h * value + c_by_h * dc[r]
        dc[r] = h_by_c * value + c_by_c * dc[r]


@helper
def _states(shape, sizes, flat, kind, step, sequence):
    """Return a view [T, H] of one sequence's h (kind 0) or c (1), starting before a step."""
    at = ((kind * (sizes.steps + 1) + step) * sizes.batch + sequence) * shape.hidden
    return matrix(flat, at, sizes.steps, shape.hidden, sizes.batch * shape.hidden)


def differentiate(
    shape,
    buffers,
    flat_slopes,
    slopes,
    weights,
    orders,
    shared,
    adjoints,
    own,
    sizes,
    forced,
    first,
    stride,
    weight,
    jacobian,
    column,
):
    """Compute the derivatives of the outputs of sequences with respect to every parameter.

    The residuals of each sequence are its outputs at steps T-1, T-1-stride, ... >= first, newest
    first.

    Args:
        shape: The network's `Shape`.
        buffers: `Buffers` that `run` has filled for all steps.
        flat_slopes: [T * 2 * (slots + 2) * H padded] working memory.
        slopes: The same, [T, 2, slots + 2, H padded].
        weights: `Weights`.
        orders: [2, G] `Cell.input_order` and `Cell.hidden_order`.
        shared: Whether the two feed the same sums.
        adjoints: `Adjoints`, working memory.
        own: [P, R'] working memory: the derivatives of one sequence, which fit into the cache.
        sizes: `Sizes` of the sequences; one layer.
        forced: Number of steps fed with true samples. Every later step reads the previous output,
            which receives the adjoint of what was read.
        first: See above.
        stride: See above.
        weight: Factor of every derivative.
        jacobian: [P, columns]; the columns of the sequences are written.
        column: The first of these columns.
    """
    w_ih, w_hh, w_out = weights
    d_state, d_memory, d_input, d_pre, d_pre_hidden, d_output = adjoints
    outputs, steps, hidden = w_ih.shape[1], slopes.shape[0], w_hh.shape[1]
    channels = sizes.channels
    # Not literals: numba would compile a subroutine for each literal value.
    zero, single, padded = np.int64(0), np.int64(1), np.int64(shape.hidden)
    last, batch = shape.states - 1, sizes.batch
    for sequence in range(batch):
        differentiate_steps(
            shape,
            matrix(buffers.slots, sequence * shape.slots, steps, shape.slots, batch * shape.slots),
            _states(shape, sizes, buffers.states, 0, 0, sequence),
            _states(shape, sizes, buffers.states, 0, 1, sequence),
            _states(shape, sizes, buffers.states, last, 0, sequence),
            _states(shape, sizes, buffers.states, last, 1, sequence),
            matrix(flat_slopes, 0, steps, shape.slopes, shape.slopes),
        )
        for array in (own, d_state, d_memory, d_input):
            _set_zero(array)
        for adjoint in (d_pre, d_pre_hidden, d_output):
            _clear(adjoint, zero)
        seen = 0  # columns whose residual is at the present step or later
        filled = 0
        for back in range(steps):
            t = steps - 1 - back
            starts = t >= first and back % stride == 0
            active = _in_lanes(seen + outputs if starts else seen)
            # An output affects its own residual and, if it is fed back, the next step.
            for d in range(outputs):
                for r in range(active):
                    d_output[filled, d, r] = d_input[d, r] if t + 1 >= forced else 0.0
            if starts:
                for d in range(outputs):
                    d_output[filled, d, seen + d] = 1.0
                seen += outputs
            _add_products(d_state, w_out, d_output[filled], active)
            for i in range(hidden):
                _through_unit(
                    i, shape.states, slopes[t, :, :, i], orders, shared, d_state[i], d_memory[i],
                    d_pre[filled], d_pre_hidden[filled], active,
                )  # fmt: skip
            _add_products(d_state, w_hh, d_pre_hidden[filled], active)
            if t >= forced:
                for d in range(outputs):
                    for r in range(active):
                        d_input[d, r] = 0.0
                _add_products(d_input, w_ih, d_pre[filled], active)
            filled += 1
            if t == 0:  # the rest of the chunk is before the first step
                for adjoint in (d_pre, d_pre_hidden, d_output):
                    _clear(adjoint, filled)
            if filled == CHUNK or t == 0:  # in the order of the parameters
                x, s, one, new = buffers.window, buffers.states, buffers.constants, t + filled - 1
                row = _add_outer_products(
                    own, zero, d_pre, x, sequence * channels, batch * channels, channels, new,
                    active,
                )  # fmt: skip
                row = _add_outer_products(
                    own, row, d_pre_hidden, s, sequence * padded, batch * padded, hidden, new,
                    active,
                )  # fmt: skip
                for biased in (d_pre, d_pre_hidden):
                    row = _add_outer_products(
                        own, row, biased, one, zero, zero, single, new, active
                    )
                row = _add_outer_products(
                    own, row, d_output, s, (batch + sequence) * padded, batch * padded, hidden, new,
                    active,
                )  # fmt: skip
                row = _add_outer_products(own, row, d_output, one, zero, zero, single, new, active)
                filled = 0
        for row in range(own.shape[0]):
            for r in range(seen):
                jacobian[row, column + sequence * seen + r] = weight * own[row, r]


def substitute(factor, solution):
    """Solve factor factor^T x = b in place: `solution` [P] is b on entry and x on return.

    Compiled, because numpy has no triangular solver, and importing scipy's would take longer than
    all solves of a run.
    """
    size = solution.size
    for i in range(size):
        total = solution[i]
        for k in range(i):
            total -= factor[i, k] * solution[k]
        solution[i] = total / factor[i, i]
    for i in range(size - 1, -1, -1):
        solution[i] /= factor[i, i]
        value = solution[i]
        for k in range(i):
            solution[k] -= factor[i, k] * value
