"""The network's recurrence and its derivative, in float64 and numpy alone.

An engine makes outputs fast; this room opens the network up: hidden states, and what becomes of a
small change of them. One function a cell, which returns the new state and its tangent map.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from sinernn.network import Hidden, Network, Params

Gates = Float[np.ndarray, "... G"]
"""What one side adds to a layer's G = H, 3 H or 4 H gates."""

Rows = Float[np.ndarray, "... H"]
States = tuple[Rows, ...]
"""A layer's state: (h,), or (h, c) for the LSTM."""

Tangent = Callable[[Gates, Gates, States], States]
"""(changes of the gates by the input, by the hidden state, of the state) -> of the new state."""

Cell = Callable[[Gates, Gates, States], tuple[States, Tangent]]
"""(gates by the input, by the hidden state, state) -> (new state, its tangent map)."""


def _tanh(from_input: Gates, from_hidden: Gates, _: States) -> tuple[States, Tangent]:
    new = np.tanh(from_input + from_hidden)
    slope = 1 - new * new
    return (new,), lambda d_input, d_hidden, _: (slope * (d_input + d_hidden),)


def _relu(from_input: Gates, from_hidden: Gates, _: States) -> tuple[States, Tangent]:
    total = from_input + from_hidden
    slope = (total > 0).astype(float)
    return (np.maximum(total, 0),), lambda d_input, d_hidden, _: (slope * (d_input + d_hidden),)


def _gru(from_input: Gates, from_hidden: Gates, states: States) -> tuple[States, Tangent]:
    """See torch.nn.GRU: gates r, z, n; the reset gate multiplies after the matrix product."""
    (hidden,) = states
    input_r, input_z, input_n = np.split(from_input, 3, axis=-1)
    hidden_r, hidden_z, hidden_n = np.split(from_hidden, 3, axis=-1)
    r, z = _sigmoid(input_r + hidden_r), _sigmoid(input_z + hidden_z)
    n = np.tanh(input_n + r * hidden_n)
    tangent = partial(_gru_tangent, (r, z, n), hidden_n, hidden)
    return ((1 - z) * n + z * hidden,), tangent


def _gru_tangent(
    gates: tuple[Rows, Rows, Rows],
    hidden_n: Rows,
    hidden: Rows,
    d_input: Gates,
    d_hidden: Gates,
    d_states: States,
) -> States:
    r, z, n = gates
    di_r, di_z, di_n = np.split(d_input, 3, axis=-1)
    dh_r, dh_z, dh_n = np.split(d_hidden, 3, axis=-1)
    d_r, d_z = r * (1 - r) * (di_r + dh_r), z * (1 - z) * (di_z + dh_z)
    d_n = (1 - n * n) * (di_n + d_r * hidden_n + r * dh_n)
    return ((1 - z) * d_n + d_z * (hidden - n) + z * d_states[0],)


def _lstm(from_input: Gates, from_hidden: Gates, states: States) -> tuple[States, Tangent]:
    """See torch.nn.LSTM: gates i, f, g, o."""
    _, cell = states
    gate_i, gate_f, gate_g, gate_o = np.split(from_input + from_hidden, 4, axis=-1)
    i, f, g, o = _sigmoid(gate_i), _sigmoid(gate_f), np.tanh(gate_g), _sigmoid(gate_o)
    new_cell = f * cell + i * g
    squashed = np.tanh(new_cell)
    tangent = partial(_lstm_tangent, (i, f, g, o), squashed, cell)
    return (o * squashed, new_cell), tangent


def _lstm_tangent(
    gates: tuple[Rows, Rows, Rows, Rows],
    squashed: Rows,
    cell: Rows,
    d_input: Gates,
    d_hidden: Gates,
    d_states: States,
) -> States:
    i, f, g, o = gates
    d_i, d_f, d_g, d_o = np.split(d_input + d_hidden, 4, axis=-1)
    d_cell = f * d_states[1] + cell * (f * (1 - f) * d_f)
    d_cell = d_cell + i * (1 - g * g) * d_g + g * (i * (1 - i) * d_i)
    return o * (1 - squashed * squashed) * d_cell + squashed * (o * (1 - o) * d_o), d_cell


def _sigmoid(x: Gates) -> Gates:
    return 0.5 * (1 + np.tanh(0.5 * x))  # no overflow, whatever x


Inputs = Float[np.ndarray, "B D"]
"""One sample a row, in scaled units."""

InputChange = Float[np.ndarray, "... B D"]
"""A small change of the inputs, or several."""

Change = Float[np.ndarray, "... S L B H"]
"""A small change of the hidden state, or several: axes before those of the state are free."""

Push = Callable[[Change], Change]
"""A tangent map of the whole network: change of the hidden state -> of the next one."""

CELLS: dict[str, Cell] = {"rnn_tanh": _tanh, "rnn_relu": _relu, "gru": _gru, "lstm": _lstm}
"""Every cell of `network.GATES`."""


class Recurrence:
    """A network as a map of its hidden state, in float64 whatever its parameters are."""

    def __init__(self, network: Network, params: Params) -> None:
        self.network = network
        self.params = {name: value.astype(np.float64) for name, value in params.items()}
        # of each layer, [D or H, G] and [H, G]: asked for at every step
        layers = range(network.num_layers)
        self.by_input = [self.params[f"rnn.weight_ih_l{layer}"].T for layer in layers]
        self.by_hidden = [self.params[f"rnn.weight_hh_l{layer}"].T for layer in layers]

    def step(self, inputs: Inputs, hidden: Hidden) -> Hidden:
        """Return the hidden state after one more input, in scaled units."""
        return self.linearize(inputs, hidden)[0]

    def output(self, hidden: Hidden) -> Inputs:
        """Return what the network predicts in a state: the next sample, in scaled units."""
        return hidden[0, -1] @ self.params["readout.weight"].T + self.params["readout.bias"]

    def free_step(self, hidden: Hidden) -> Hidden:
        """Return the hidden state after the network has read its own output."""
        return self.step(self.output(hidden), hidden)

    def linearize(self, inputs: Inputs, hidden: Hidden) -> tuple[Hidden, "_NetworkTangent"]:
        """Return the next hidden state and the tangent map that led there."""
        new, tangents = np.empty(hidden.shape), list[Tangent]()
        below = inputs
        for layer in range(self.network.num_layers):
            states, tangent = CELLS[self.network.cell](
                below @ self.by_input[layer] + self.params[f"rnn.bias_ih_l{layer}"],
                hidden[0, layer] @ self.by_hidden[layer] + self.params[f"rnn.bias_hh_l{layer}"],
                tuple(hidden[:, layer]),
            )
            new[:, layer] = states
            tangents.append(tangent)
            below = states[0]
        return new, _NetworkTangent(self, tuple(tangents))

    def linearize_free(self, hidden: Hidden) -> tuple[Hidden, Push]:
        """Return `free_step` and its tangent map: the output that is fed back changes, too."""
        new, push = self.linearize(self.output(hidden), hidden)
        readout = self.params["readout.weight"].T
        return new, lambda change: push(change, change[..., 0, -1, :, :] @ readout)

    def jacobians(
        self, hidden: Hidden, *, inputs: Inputs | None = None
    ) -> Float[np.ndarray, "B n n"]:
        """Return the derivative of the next state by each row's state, n = S L H numbers.

        Args:
            hidden: States, one a row.
            inputs: What each row reads next, held fixed; default: its own output, fed back.
        """
        states, layers, rows, units = hidden.shape
        push = (
            self.linearize_free(hidden)[1] if inputs is None else self.linearize(inputs, hidden)[1]
        )
        size = states * layers * units
        directions = np.eye(size).reshape(size, states, layers, 1, units)
        pushed = push(np.broadcast_to(directions, (size, states, layers, rows, units)).copy())
        return np.moveaxis(pushed, 3, 0).reshape(rows, size, size).swapaxes(1, 2)


@dataclass(frozen=True)
class _NetworkTangent:
    """The tangent map of one step: layers in turn, each reading the change of the one below."""

    model: Recurrence
    tangents: tuple[Tangent, ...]

    def __call__(self, change: Change, input_change: InputChange | None = None) -> Change:
        """Push a change of the hidden state on, and with it one of the inputs."""
        pushed, below = np.empty(change.shape), input_change
        for layer, tangent in enumerate(self.tangents):
            by_hidden = change[..., 0, layer, :, :] @ self.model.by_hidden[layer]
            by_input = np.zeros(by_hidden.shape)
            if below is not None:
                by_input = below @ self.model.by_input[layer]
            changes = tuple(change[..., state, layer, :, :] for state in range(change.shape[-4]))
            for state, value in enumerate(tangent(by_input, by_hidden, changes)):
                pushed[..., state, layer, :, :] = value
            below = pushed[..., 0, layer, :, :]
        return pushed
