# pyright: basic
# Kernels: numba infers the types, and none are written.
"""One step of each cell and its adjoint; a run of sequences. Compiled, float64, one thread.

Arrays are C-ordered float64: T steps, H hidden units, D channels, G gates.

Source: the gates and their order are those of torch.nn.RNN, GRU and LSTM (PyTorch's reference
pages).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sinernn.engines.fused.cache import kernel, subroutine
from sinernn.engines.fused.constants import compile_time
from sinernn.network import Network, Theta

PADDING = 7
"""Zeros before the first step of a trace, so that steps can be taken eight at a time."""


@compile_time
@dataclass(frozen=True, repr=False)
class Cell:
    """One kind of cell; kernels are compiled for each that is used."""

    name: str
    """In the config."""

    gates: int
    """G."""

    cache_rows: int
    """What one step stores for its adjoint, in rows of H."""

    step: Callable[..., Any]
    """The new h of unit `i`, from:

    from_input: [G, H] W_ih x + b_ih.
    from_state: [G, H] W_hh h + b_hh.
    before: [H] the old h.
    memory: [H] c, changed (lstm).
    cache: [rows, H], filled.
    """

    adjoint: Callable[..., Any]
    """The step's adjoint for unit `i` and `width` residuals side by side, from:

    cache: [rows, H] what the step stored.
    before: [H] the old h.
    d_state: [H, R] adjoint of the new h.
    d_memory: [H, R] adjoint of the new c on entry, of the old c on return (lstm).
    d_pre: [G H, R], filled: adjoint of W_ih x + b_ih.
    d_pre_hidden: [G H, R], filled for gru alone: adjoint of W_hh h + b_hh. The other cells add the
        two, so their adjoints are the same array.
    kept: [H, R], filled: what reaches the old h past the gates (gru), else zero.
    """

    def __repr__(self) -> str:
        return f"Cell({self.name})"


class Weights(NamedTuple):
    """The parameters in torch's order and shapes."""

    w_ih: np.ndarray  # [G H, D]
    w_hh: np.ndarray  # [G H, H]
    b_ih: np.ndarray  # [G H]
    b_hh: np.ndarray  # [G H]
    w_out: np.ndarray  # [D, H]
    b_out: np.ndarray  # [D]

    @classmethod
    def of(cls, theta: Theta, network: Network) -> "Weights":
        """Views of the flat parameters [P]."""
        views, begin = [], 0
        for shape in network.shapes.values():
            end = begin + math.prod(shape)
            views.append(theta[begin:end].reshape(shape))
            begin = end
        return cls(*views)


class Trace(NamedTuple):
    """What `run` leaves of a sequence, for its derivatives."""

    inputs: np.ndarray  # [PADDING + T, D]
    states: np.ndarray  # [PADDING + T + 1, H] h; after the padding comes the zero start
    ones: np.ndarray  # [PADDING + T, 1] what biases multiply; there from the first
    cache: np.ndarray  # [T, cache rows, H]
    from_input: np.ndarray  # [G, H] of the last step
    from_state: np.ndarray  # [G, H] of the last step
    memory: np.ndarray  # [H] c after it

    @classmethod
    def of(cls, network: Network, steps: int) -> "Trace":
        """Room for as many steps."""
        cell, hidden = CELLS[network.cell], network.hidden_size
        rows = PADDING + steps
        return cls(
            inputs=np.zeros((rows, network.channels)),
            states=np.zeros((rows + 1, hidden)),
            ones=(np.arange(rows) >= PADDING).astype(np.float64)[:, None],
            cache=np.empty((steps, cell.cache_rows, hidden)),
            from_input=np.empty((cell.gates, hidden)),
            from_state=np.empty((cell.gates, hidden)),
            memory=np.empty(hidden),
        )


@subroutine
def _sigmoid(value):
    return 1.0 / (1.0 + math.exp(-value))


@subroutine
def _tanh_step(i, from_input, from_state, before, memory, cache):
    state = math.tanh(from_input[0, i] + from_state[0, i])
    cache[0, i] = state
    return state


@subroutine
def _tanh_adjoint(i, cache, before, d_state, d_memory, d_pre, d_pre_hidden, kept, width):
    # tanh' = 1 - h*h, so the stored state saves a second tanh
    slope = 1.0 - cache[0, i] * cache[0, i]
    for r in range(width):
        d_pre[i, r] = slope * d_state[i, r]
        kept[i, r] = 0.0


@subroutine
def _relu_step(i, from_input, from_state, before, memory, cache):
    # `not <= 0` and no max(): a NaN must stay one
    total = from_input[0, i] + from_state[0, i]
    state = 0.0 if total <= 0.0 else total
    cache[0, i] = state
    return state


@subroutine
def _relu_adjoint(i, cache, before, d_state, d_memory, d_pre, d_pre_hidden, kept, width):
    slope = 1.0 if cache[0, i] > 0.0 else 0.0
    for r in range(width):
        d_pre[i, r] = slope * d_state[i, r]
        kept[i, r] = 0.0


@subroutine
def _gru_step(i, from_input, from_state, before, memory, cache):
    reset = _sigmoid(from_input[0, i] + from_state[0, i])
    keep = _sigmoid(from_input[1, i] + from_state[1, i])
    new = math.tanh(from_input[2, i] + reset * from_state[2, i])
    cache[0, i] = reset
    cache[1, i] = keep
    cache[2, i] = new
    cache[3, i] = from_state[2, i]
    return (1.0 - keep) * new + keep * before[i]


@subroutine
def _gru_adjoint(i, cache, before, d_state, d_memory, d_pre, d_pre_hidden, kept, width):
    hidden = d_state.shape[0]
    reset, keep, new = cache[0, i], cache[1, i], cache[2, i]
    to_new = (1.0 - keep) * (1.0 - new * new)
    to_reset = to_new * cache[3, i] * reset * (1.0 - reset)
    to_keep = (before[i] - new) * keep * (1.0 - keep)
    for r in range(width):
        value = d_state[i, r]
        d_pre[i, r] = to_reset * value
        d_pre[hidden + i, r] = to_keep * value
        d_pre[2 * hidden + i, r] = to_new * value
        d_pre_hidden[i, r] = to_reset * value
        d_pre_hidden[hidden + i, r] = to_keep * value
        d_pre_hidden[2 * hidden + i, r] = to_new * reset * value
        kept[i, r] = keep * value


@subroutine
def _lstm_step(i, from_input, from_state, before, memory, cache):
    enter = _sigmoid(from_input[0, i] + from_state[0, i])
    forget = _sigmoid(from_input[1, i] + from_state[1, i])
    new = math.tanh(from_input[2, i] + from_state[2, i])
    leave = _sigmoid(from_input[3, i] + from_state[3, i])
    cache[0, i] = enter
    cache[1, i] = forget
    cache[2, i] = new
    cache[3, i] = leave
    cache[5, i] = memory[i]
    memory[i] = forget * memory[i] + enter * new
    cache[4, i] = math.tanh(memory[i])
    return leave * cache[4, i]


@subroutine
def _lstm_adjoint(i, cache, before, d_state, d_memory, d_pre, d_pre_hidden, kept, width):
    hidden = d_state.shape[0]
    enter, forget, new, leave = cache[0, i], cache[1, i], cache[2, i], cache[3, i]
    squashed, memory_before = cache[4, i], cache[5, i]
    to_memory = leave * (1.0 - squashed * squashed)
    to_enter = new * enter * (1.0 - enter)
    to_forget = memory_before * forget * (1.0 - forget)
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


CELLS = {
    cell.name: cell
    for cell in (
        Cell("rnn_tanh", 1, 1, _tanh_step, _tanh_adjoint),  # stores h
        Cell("rnn_relu", 1, 1, _relu_step, _relu_adjoint),  # h
        Cell("gru", 3, 4, _gru_step, _gru_adjoint),  # r, z, n, W_hn h + b_hn
        Cell("lstm", 4, 6, _lstm_step, _lstm_adjoint),  # i, f, g, o, tanh c, c of the step before
    )
}


@kernel
def run(cell, weights, samples, forced, trace, outputs):
    """Run sequences from the zero state.

    Args:
        cell: One of `CELLS`.
        weights: `Weights`.
        samples: [B, >= forced, D].
        forced: The first inputs are that many true samples; every later one is the output
            before it.
        trace: Filled: of the last sequence.
        outputs: [B, T, D], filled.
    """
    w_ih, w_hh, b_ih, b_hh, w_out, b_out = weights
    inputs, states, cache = trace.inputs[PADDING:], trace.states[PADDING:], trace.cache
    from_input, from_state, memory = trace.from_input, trace.from_state, trace.memory
    steps, channels = inputs.shape
    gates, hidden = from_input.shape
    for b in range(outputs.shape[0]):
        for i in range(hidden):
            memory[i] = 0.0
        for t in range(steps):
            for d in range(channels):
                inputs[t, d] = samples[b, t, d] if t < forced else outputs[b, t - 1, d]
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
                states[t + 1, i] = cell.step(i, from_input, from_state, states[t], memory, cache[t])
            for d in range(channels):
                total = b_out[d]
                for j in range(hidden):
                    total += w_out[d, j] * states[t + 1, j]
                outputs[b, t, d] = total
