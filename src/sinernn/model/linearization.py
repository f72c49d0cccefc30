"""A network as a map of its hidden state, and the derivative of that map; float64, numpy alone.

An engine computes outputs fast; this opens the network up: hidden states, and what becomes of a
small change of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sinernn.model.cells import CELLS
from sinernn.model.network import Hidden, Network, Params

Inputs = Float[np.ndarray, "B D"]
"""One sample a row, in scaled units."""

InputChange = Float[np.ndarray, "... B D"]
"""A small change of the inputs, or several."""

Change = Float[np.ndarray, "... S L B H"]
"""A small change of the hidden state, or several: axes before those of the state are free."""

Push = Callable[[Change], Change]
"""A tangent map of the whole network: change of the hidden state -> of the next one."""

Slopes = tuple[Any, ...]
"""Derivatives of one state (h or c) after a step by the slots, by h and by c before it."""


class StateMap:
    """A network as a map of its hidden state, in float64 whatever its parameters are."""

    def __init__(self, network: Network, params: Params) -> None:
        self.network, self.cell = network, CELLS[network.cell]
        self.params = {name: value.astype(np.float64) for name, value in params.items()}
        self._readout = np.ascontiguousarray(self.params["readout.weight"].T)  # [H, D]
        self._layers = [self._layer(layer) for layer in range(network.num_layers)]

    def step(self, inputs: Inputs, hidden: Hidden) -> Hidden:
        """Return the hidden state after one more input, in scaled units."""
        new, below = np.empty(hidden.shape), inputs
        for layer in range(self.network.num_layers):
            _, new[0, layer], c = self._forward(layer, below, hidden)
            if self.cell.states == 2:
                new[1, layer] = c
            below = new[0, layer]
        return new

    def output(self, hidden: Hidden) -> Inputs:
        """Return what the network predicts in a state: the next sample, in scaled units."""
        return hidden[0, -1] @ self._readout + self.params["readout.bias"]

    def free_step(self, hidden: Hidden) -> Hidden:
        """Return the hidden state after the network has read its own output."""
        return self.step(self.output(hidden), hidden)

    def linearize(self, inputs: Inputs, hidden: Hidden) -> tuple[Hidden, "_Tangent"]:
        """Return the next hidden state and the tangent map that led there."""
        new, slopes, below = np.empty(hidden.shape), list[list[Slopes]](), inputs
        for layer in range(self.network.num_layers):
            slots, h, c = self._forward(layer, below, hidden)
            before = hidden[0, layer], hidden[-1, layer]
            one, zero = np.ones_like(h), np.zeros_like(h)
            slopes.append(
                [
                    self.cell.backward(slots, before[0], h, before[1], c, *direction)
                    for direction in ((one, zero), (zero, one))[: self.cell.states]
                ]
            )
            new[:, layer] = (h, c)[: self.cell.states]
            below = h
        return new, _Tangent(self, slopes)

    def linearize_free(self, hidden: Hidden) -> tuple[Hidden, Push]:
        """Return `free_step` and its tangent map: the output that is fed back changes, too."""
        new, push = self.linearize(self.output(hidden), hidden)
        return new, lambda change: push(change, change[..., 0, -1, :, :] @ self._readout)

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

    def slots(
        self, layer: int, by_input: np.ndarray | None, by_hidden: np.ndarray, bias: Any = 0.0
    ) -> Any:
        """Return a layer's slots [..., H] from what it reads and its h, or from changes of them."""
        weights, cell, units = self._layers[layer], self.cell, self.network.hidden_size
        sums = by_hidden @ weights.by_hidden + bias
        if by_input is not None:
            sums += by_input @ weights.by_input
        return [sums[..., slot * units : (slot + 1) * units] for slot in range(cell.slots)]

    def _forward(self, layer: int, below: np.ndarray, hidden: Hidden) -> Any:
        slots = self.slots(layer, below, hidden[0, layer], self._layers[layer].bias)
        return self.cell.forward(slots, hidden[0, layer], hidden[-1, layer])

    def _layer(self, layer: int) -> "_Layer":
        """Return a layer's weights by the cell's slots, zero where they feed none."""
        cell, units = self.cell, self.network.hidden_size
        apart = cell.slots - cell.gates

        def by_slot(kind: str, order: tuple[int, ...], first: int) -> Any:
            parameter = self.params[f"rnn.{kind}_l{layer}"]
            blocks = np.split(parameter, cell.gates)
            full = np.zeros((cell.slots, units, *parameter.shape[1:]))
            full[first : first + cell.gates] = [blocks[gate] for gate in order]
            return np.ascontiguousarray(full.reshape(-1, *parameter.shape[1:]).T)

        by_input, by_hidden = cell.input_order, cell.hidden_order
        return _Layer(
            by_slot("weight_ih", by_input, 0),
            by_slot("weight_hh", by_hidden, apart),
            by_slot("bias_ih", by_input, 0) + by_slot("bias_hh", by_hidden, apart),
        )


@dataclass(frozen=True)
class _Layer:
    """A layer's weights by the cell's slots; S H columns."""

    by_input: Float[np.ndarray, "reads slots"]
    by_hidden: Float[np.ndarray, "H slots"]
    bias: Float[np.ndarray, " slots"]


@dataclass(frozen=True)
class _Tangent:
    """The tangent map of one step: layers in turn, each reading the change of the one below."""

    model: StateMap
    slopes: list[list[Slopes]]
    """By layer, and by state after the step."""

    def __call__(self, change: Change, input_change: InputChange | None = None) -> Change:
        """Push a change of the hidden state on, and with it one of the inputs."""
        pushed, below = np.empty(change.shape), input_change
        for layer, slopes in enumerate(self.slopes):
            h, c = change[..., 0, layer, :, :], change[..., -1, layer, :, :]
            slots = self.model.slots(layer, below, h)
            for state, (by_slots, by_h, by_c) in enumerate(slopes):
                total = sum(slope * slot for slope, slot in zip(by_slots, slots, strict=True))
                pushed[..., state, layer, :, :] = total + by_h * h
                if self.model.cell.states == 2:
                    pushed[..., state, layer, :, :] += by_c * c
            below = pushed[..., 0, layer, :, :]
        return pushed
