# pyright: basic
# Formulas take numpy arrays or LLVM vectors, for which there is no common type.
"""What a cell does at one step, hidden unit by hidden unit: all that one cell adds.

A step's pre-activations stand in *slots*, one for each sum that a hidden unit keeps apart.
The input weights feed the first `gates` slots, the recurrent weights the last `gates`:

    cell        slots        input weights feed   recurrent weights feed
    rnn_*       a            a                    a
    lstm        i f g o      all                  all
    gru         m r z k      m r z                r z k

(The GRU multiplies k, the recurrent part of its candidate, by r before it joins m.)

Forward replaces the slots by what backward needs, backward replaces those by the gradients
of the pre-activations. Formulas take lanes (see `lanes.py`); the equations are those in the
documentation of torch.nn.RNN, torch.nn.LSTM and torch.nn.GRU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sinernn.engines.fused.lanes import relu, sigmoid, tanh, where_positive


@dataclass(frozen=True)
class Cell:
    """One kind of cell."""

    slots: int
    """Sums kept apart for each hidden unit."""

    input_order: tuple[int, ...]
    """For each slot that the input weights feed, the index of torch's gate."""

    hidden_order: tuple[int, ...]
    """The same for the last slots and the recurrent weights."""

    states: int
    """1 (h) or 2 (h and c)."""

    forward: Callable[..., Any]
    """(slots, h, c) -> (slots to keep, h, c), all of one step; () where backward needs none."""

    backward: Callable[..., Any]
    """(kept slots, h before, h after, c before, c after, dh, dc) -> (gradients of the slots, dh
    before without what flows through the recurrent weights, dc before)."""

    @property
    def gates(self) -> int:
        """Matrices of [inputs, H] in a weight matrix."""
        return len(self.input_order)


def _tanh_forward(slots, h, c):
    after = tanh(slots[0])
    return (), after, c


def _tanh_backward(slots, h, after, c, c_after, dh, dc):
    # tanh' = 1 - h*h, so the stored state saves a second tanh
    return (dh * (1.0 - after * after),), 0.0, dc


def _relu_forward(slots, h, c):
    after = relu(slots[0])
    return (), after, c


def _relu_backward(slots, h, after, c, c_after, dh, dc):
    return (where_positive(after, dh),), 0.0, dc


def _lstm_forward(slots, h, c):
    i, f, g, o = sigmoid(slots[0]), sigmoid(slots[1]), tanh(slots[2]), sigmoid(slots[3])
    c = f * c + i * g
    return (i, f, g, o), o * tanh(c), c


def _lstm_backward(slots, h, after, c, c_after, dh, dc):
    i, f, g, o = slots
    s = tanh(c_after)
    dc = dc + dh * o * (1.0 - s * s)
    gradients = (
        dc * g * i * (1.0 - i),
        dc * c * f * (1.0 - f),
        dc * i * (1.0 - g * g),
        dh * s * o * (1.0 - o),
    )
    return gradients, 0.0, dc * f


def _gru_forward(slots, h, c):
    r, z, k = sigmoid(slots[1]), sigmoid(slots[2]), slots[3]
    n = tanh(slots[0] + r * k)
    return (n, r, z, k), n + z * (h - n), c


def _gru_backward(slots, h, after, c, c_after, dh, dc):
    n, r, z, k = slots
    dn = dh * (1.0 - z) * (1.0 - n * n)
    return (dn, dn * k * r * (1.0 - r), dh * (h - n) * z * (1.0 - z), dn * r), dh * z, dc


CELLS = {
    "rnn_tanh": Cell(1, (0,), (0,), 1, _tanh_forward, _tanh_backward),
    "rnn_relu": Cell(1, (0,), (0,), 1, _relu_forward, _relu_backward),
    # torch orders the LSTM's gates i f g o and the GRU's r z n
    "lstm": Cell(4, (0, 1, 2, 3), (0, 1, 2, 3), 2, _lstm_forward, _lstm_backward),
    "gru": Cell(4, (2, 0, 1), (0, 1, 2), 1, _gru_forward, _gru_backward),
}
