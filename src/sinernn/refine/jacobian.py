# pyright: basic
# Kernels: numba infers the types, and none are written.
"""Derivatives of one sequence's outputs with respect to every parameter. Compiled, one thread.

The Jacobian is taken in reverse: every residual (one time step, one channel) starts an adjoint of
its own, and one sweep from the last step to the first carries all of them side by side as the
columns of a matrix: back-propagation through time, batched over the rows of the Jacobian. With R
residuals and T steps that costs about R T/2 4 H^2 operations, against T 2 H^4 for the forward
recursion of dh/dtheta; it vectorises over residuals, and a cell needs only its one-step adjoint.

Beside the names in `cells`: R residuals of one sequence, newest first; column k D + d is channel d
of the k-th step counted from the end of the sequence.
"""

import math
from typing import NamedTuple

import numpy as np

from sinernn.engines.fused import layout
from sinernn.engines.fused.cache import kernel, subroutine
from sinernn.network import Network
from sinernn.refine.cells import CELLS, PADDING

_CHUNK = PADDING + 1
"""Time steps whose outer products are summed in one pass over the Jacobian: eight multiply-adds for
every load and store of an accumulator."""

_LANES = 8
"""Columns are worked on in whole groups of this many, the last ones zero: the vectorised loops then
have no remainder, which would take longer than the rest."""


class Adjoints(NamedTuple):
    """Working memory of `differentiate`; R' is R in whole groups of _LANES."""

    state: np.ndarray  # [H, R'] of h
    memory: np.ndarray  # [H, R'] of c (lstm)
    kept: np.ndarray  # [H, R'] what reaches the h before past the gates
    inputs: np.ndarray  # [D, R'] of the next step's input
    # of each step of a chunk
    from_input: np.ndarray  # [_CHUNK, G H, R'] of W_ih x + b_ih
    from_state: np.ndarray  # [_CHUNK, G H, R'] of W_hh h + b_hh; where they are added, the same
    output: np.ndarray  # [_CHUNK, D, R']

    @classmethod
    def of(cls, network: Network, residuals: int) -> "Adjoints":
        """Room for as many residuals of a sequence, zero."""
        cell, hidden, channels = CELLS[network.cell], network.hidden_size, network.channels
        rows, count = cell.gates * hidden, in_lanes(residuals)
        from_input = zeros(_CHUNK, rows, count)
        return cls(
            state=zeros(hidden, count),
            memory=zeros(hidden, count),
            kept=zeros(hidden, count),
            inputs=zeros(channels, count),
            from_input=from_input,
            from_state=zeros(_CHUNK, rows, count) if cell.name == "gru" else from_input,
            output=zeros(_CHUNK, channels, count),
        )


def zeros(*shape: int) -> np.ndarray:
    """Return zeros whose rows, in whole groups, begin at a cache line each."""
    return layout.zeros(math.prod(shape), "float64").reshape(shape)


def in_lanes(count: int) -> int:
    """Round a number of columns up to whole groups."""
    return (count + _LANES - 1) // _LANES * _LANES


_in_lanes = subroutine(in_lanes)


@subroutine
def _add_products(out, weights, rows, width):
    """out[j, :width] += sum over g of weights[g, j] rows[g, :width].

    Eight g at a time: the inner loop is one vector load and store for eight
    multiply-adds.
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
def _add_outer_products(jacobian, adjoints, values, width):
    """jacobian[g U + u, :width] += sum over s of adjoints[s, g, :width] values[-1 - s, u].

    A chunk of steps s, newest first: adjoints [_CHUNK, rows, R']; values [_CHUNK, U], but in
    the order of time, and zero before its start.
    """
    columns = values.shape[1]
    for g in range(adjoints.shape[1]):
        a0, a1, a2, a3 = adjoints[0, g], adjoints[1, g], adjoints[2, g], adjoints[3, g]
        a4, a5, a6, a7 = adjoints[4, g], adjoints[5, g], adjoints[6, g], adjoints[7, g]
        for u in range(columns):
            v0, v1, v2, v3 = values[7, u], values[6, u], values[5, u], values[4, u]
            v4, v5, v6, v7 = values[3, u], values[2, u], values[1, u], values[0, u]
            target = jacobian[g * columns + u]
            for r in range(width):
                target[r] += ((v0 * a0[r] + v1 * a1[r]) + (v2 * a2[r] + v3 * a3[r])) + (
                    (v4 * a4[r] + v5 * a5[r]) + (v6 * a6[r] + v7 * a7[r])
                )


@kernel
def differentiate(cell, weights, trace, forced, first, stride, adjoints, jacobian):
    """Derivatives of one sequence's outputs with respect to every parameter.

    The outputs of steps T-1, T-1-stride, ... >= first are residuals.

    Args:
        cell: One of `CELLS`.
        weights: `Weights`.
        trace: What `run` filled.
        forced: Steps fed with true samples; the input of every later step is the output
            before it, and its adjoint goes there.
        first: See above.
        stride: See above.
        adjoints: `Adjoints`, zero.
        jacobian: [P, R'], zero; filled, newest step first.
    """
    w_ih, w_hh, _, _, w_out, _ = weights
    d_state, d_memory, kept, d_input, d_pre, d_pre_hidden, d_output = adjoints
    steps, channels = trace.inputs.shape[0] - PADDING, trace.inputs.shape[1]
    states, cache, hidden = trace.states[PADDING:], trace.cache, trace.states.shape[1]
    # what adds up to the derivatives, in the order of the parameters
    factors = (d_pre, d_pre_hidden, d_pre, d_pre_hidden, d_output, d_output)
    values = (trace.inputs, trace.states, trace.ones, trace.ones, trace.states[1:], trace.ones)

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
        _add_products(d_state, w_out, d_output[slot], active)
        for i in range(hidden):
            cell.adjoint(
                i, cache[t], states[t], d_state, d_memory,
                d_pre[slot], d_pre_hidden[slot], kept, active,
            )  # fmt: skip
        for i in range(hidden):
            for r in range(active):
                d_state[i, r] = kept[i, r]
        _add_products(d_state, w_hh, d_pre_hidden[slot], active)
        if t >= forced:
            for d in range(channels):
                for r in range(active):
                    d_input[d, r] = 0.0
            _add_products(d_input, w_ih, d_pre[slot], active)
        filled += 1
        if filled == _CHUNK or t == 0:
            newest = t + filled - 1
            rest = jacobian
            for part in range(6):
                chunk = values[part][newest : newest + _CHUNK]
                _add_outer_products(rest, factors[part], chunk, active)
                rest = rest[factors[part].shape[1] * chunk.shape[1] :]
            filled = 0
