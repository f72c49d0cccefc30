# pyright: basic
# Kernels: numba infers the types, and none are written.
"""One step of each cell and its adjoint; a run of a sequence. Compiled, float64, one thread.

Arrays are C-ordered float64: T steps, H hidden units, D channels, G gates, P parameters in one
flat array.

Source: the gates and their order are those of torch.nn.RNN, GRU and LSTM (PyTorch's reference
pages).
"""

import math

import numpy as np

from sinernn.engines.fused.cache import subroutine

RNN_TANH, RNN_RELU, GRU, LSTM = range(4)
CELLS = {"rnn_tanh": RNN_TANH, "rnn_relu": RNN_RELU, "gru": GRU, "lstm": LSTM}
"""A cell's number, by its name in the config."""

GATES = (1, 1, 3, 4)
CACHE_ROWS = (1, 1, 4, 6)
"""What one step stores for its adjoint, in rows of H: rnn h; gru r, z, n, W_hn h + b_hn; lstm i, f,
g, o, tanh c, and c of the step before."""


@subroutine
def _sigmoid(value):
    return 1.0 / (1.0 + math.exp(-value))


@subroutine
def split(theta, cell, hidden, channels):
    """Views of the flat parameters `theta` [P], in torch's order and shapes."""
    rows = GATES[cell] * hidden
    ends = np.empty(6, np.int64)
    ends[0] = rows * channels
    ends[1] = ends[0] + rows * hidden
    ends[2] = ends[1] + rows
    ends[3] = ends[2] + rows
    ends[4] = ends[3] + channels * hidden
    ends[5] = ends[4] + channels
    return (
        theta[: ends[0]].reshape(rows, channels),
        theta[ends[0] : ends[1]].reshape(rows, hidden),
        theta[ends[1] : ends[2]],
        theta[ends[2] : ends[3]],
        theta[ends[3] : ends[4]].reshape(channels, hidden),
        theta[ends[4] : ends[5]],
    )


@subroutine
def run(theta, cell, hidden, samples, forced, inputs, states, outputs, cache):
    """Run one sequence from the zero state; fill the last four arguments.

    The first `forced` inputs are the true `samples` [>= forced, D]; every later input is
    the output before it.

    Fills: inputs [T, D]; states [T + 1, H], row 0 the zero start; outputs [T, D]; cache
    [T, cache rows, H].
    """
    steps, channels = outputs.shape
    w_ih, w_hh, b_ih, b_hh, w_out, b_out = split(theta, cell, hidden, channels)
    gates = GATES[cell]
    from_input = np.empty((gates, hidden))
    from_state = np.empty((gates, hidden))
    memory = np.zeros(hidden)
    states[0] = 0.0
    for t in range(steps):
        for d in range(channels):
            inputs[t, d] = samples[t, d] if t < forced else outputs[t - 1, d]
        for gate in range(gates):
            for i in range(hidden):
                row = gate * hidden + i
                total = b_ih[row]
                for d in range(channels):
                    total += w_ih[row, d] * inputs[t, d]
                from_input[gate, i] = total
                total = b_hh[row]
                for j in range(hidden):
                    total += w_hh[row, j] * states[t, j]
                from_state[gate, i] = total
        for i in range(hidden):
            if cell == RNN_TANH:
                state = math.tanh(from_input[0, i] + from_state[0, i])
                cache[t, 0, i] = state
            elif cell == RNN_RELU:
                # `not <= 0` and no max(): a NaN must stay one
                total = from_input[0, i] + from_state[0, i]
                state = 0.0 if total <= 0.0 else total
                cache[t, 0, i] = state
            elif cell == GRU:
                reset = _sigmoid(from_input[0, i] + from_state[0, i])
                keep = _sigmoid(from_input[1, i] + from_state[1, i])
                new = math.tanh(from_input[2, i] + reset * from_state[2, i])
                state = (1.0 - keep) * new + keep * states[t, i]
                cache[t, 0, i] = reset
                cache[t, 1, i] = keep
                cache[t, 2, i] = new
                cache[t, 3, i] = from_state[2, i]
            else:
                enter = _sigmoid(from_input[0, i] + from_state[0, i])
                forget = _sigmoid(from_input[1, i] + from_state[1, i])
                new = math.tanh(from_input[2, i] + from_state[2, i])
                leave = _sigmoid(from_input[3, i] + from_state[3, i])
                cache[t, 0, i] = enter
                cache[t, 1, i] = forget
                cache[t, 2, i] = new
                cache[t, 3, i] = leave
                cache[t, 5, i] = memory[i]
                memory[i] = forget * memory[i] + enter * new
                cache[t, 4, i] = math.tanh(memory[i])
                state = leave * cache[t, 4, i]
            states[t + 1, i] = state
        for d in range(channels):
            total = b_out[d]
            for j in range(hidden):
                total += w_out[d, j] * states[t + 1, j]
            outputs[t, d] = total


@subroutine
def step_adjoint(cell, cache, state_before, d_state, d_memory, d_pre, d_pre_hidden, kept, width):
    """Adjoint of one step of a cell, for `width` residuals side by side.

    Args:
        cell: One of `CELLS`.
        cache: What `run` stored for the step, [rows, H].
        state_before: [H] h before it.
        d_state: [H, R] adjoint of the new h.
        d_memory: [H, R] adjoint of the new c on entry, of the old c on return (lstm).
        d_pre: [G H, R], filled: adjoint of W_ih x + b_ih.
        d_pre_hidden: [G H, R], filled for gru alone: adjoint of W_hh h + b_hh. The other
            cells add the two, so their adjoints are the same array.
        kept: [H, R], filled: what reaches the old h past the gates (gru), else zero.
        width: Columns R in use.
    """
    hidden = d_state.shape[0]
    for i in range(hidden):
        if cell == RNN_TANH:
            # tanh' = 1 - h*h, so the stored state saves a second tanh
            slope = 1.0 - cache[0, i] * cache[0, i]
            for r in range(width):
                d_pre[i, r] = slope * d_state[i, r]
                kept[i, r] = 0.0
        elif cell == RNN_RELU:
            slope = 1.0 if cache[0, i] > 0.0 else 0.0
            for r in range(width):
                d_pre[i, r] = slope * d_state[i, r]
                kept[i, r] = 0.0
        elif cell == GRU:
            reset, keep, new = cache[0, i], cache[1, i], cache[2, i]
            to_new = (1.0 - keep) * (1.0 - new * new)
            to_reset = to_new * cache[3, i] * reset * (1.0 - reset)
            to_keep = (state_before[i] - new) * keep * (1.0 - keep)
            for r in range(width):
                value = d_state[i, r]
                d_pre[i, r] = to_reset * value
                d_pre[hidden + i, r] = to_keep * value
                d_pre[2 * hidden + i, r] = to_new * value
                d_pre_hidden[i, r] = to_reset * value
                d_pre_hidden[hidden + i, r] = to_keep * value
                d_pre_hidden[2 * hidden + i, r] = to_new * reset * value
                kept[i, r] = keep * value
        else:
            enter, forget, new, leave = cache[0, i], cache[1, i], cache[2, i], cache[3, i]
            squashed, before = cache[4, i], cache[5, i]
            to_memory = leave * (1.0 - squashed * squashed)
            to_enter = new * enter * (1.0 - enter)
            to_forget = before * forget * (1.0 - forget)
            to_new = enter * (1.0 - new * new)
            to_leave = squashed * leave * (1.0 - leave)
            for r in range(width):
                memory = d_memory[i, r] + to_memory * d_state[i, r]
                d_pre[i, r] = to_enter * memory
                d_pre[hidden + i, r] = to_forget * memory
                d_pre[2 * hidden + i, r] = to_new * memory
                d_pre[3 * hidden + i, r] = to_leave * d_state[i, r]
                d_memory[i, r] = forget * memory
                kept[i, r] = 0.0
