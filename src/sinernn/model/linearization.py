"""A network as a map of its hidden state, and the derivative of that map; float64, numpy only.

Engines compute outputs fast; this module gives access to hidden states, and shows how small changes
of them evolve.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np

from sinernn import blas as blas  # imported before anything computes
from sinernn.arrays import Float
from sinernn.model.cells import CELLS
from sinernn.model.network import Hidden, Network, Params

Inputs = Float[np.ndarray, "B _"]
"""What a step reads, in scaled units: a sample per row [B, D]; or in a free run, where the outputs
are the network's own, the inputs alone [B, I], or None if the network has none."""

Change = Float[np.ndarray, "... S L B H"]
"""A small change of the hidden state, or several changes along additional leading axes."""

Push = Callable[[Change], Change]
"""A tangent map of the network: from a change of the hidden state to the change one step later."""

Slopes = list[list[list[tuple[int, Float[np.ndarray, "B H"]]]]]
"""Derivatives of a step, for each layer and each state (h or c) after it: by (*slots, h, c), the
last two before it. Each has its place in this tuple; those that are zero are left out."""


class StateMap:
    """A network as a map of its hidden state, in float64 for parameters of any dtype."""

    def __init__(self, network: Network, params: Params) -> None:
        self.network, self.cell = network, CELLS[network.cell]
        self.params = {name: value.astype(np.float64) for name, value in params.items()}
        units = network.hidden_size
        self._columns = [
            (..., slice(slot * units, (slot + 1) * units)) for slot in range(self.cell.slots)
        ]
        self._readout = np.ascontiguousarray(self.params["readout.weight"].T)  # [H, O]
        self._layers = [self._layer(layer) for layer in range(network.num_layers)]
        # The first layer when it reads the network's outputs. With one layer, these are a linear
        # function of its h: one product per step.
        first, by_output = self._layers[0], self._layers[0].by_input[: network.outputs]
        self._closed = _Layer(
            by_output,
            first.by_hidden + (self._readout @ by_output if network.num_layers == 1 else 0.0),
            first.bias + self.params["readout.bias"] @ by_output,
        )

    def step(self, inputs: Inputs | None, hidden: Hidden) -> Hidden:
        """Return the hidden state after a step that reads `inputs`."""
        new = np.empty(hidden.shape)
        self._run(hidden, new, *self._given(inputs))
        return new

    def output(self, hidden: Float[np.ndarray, "... S L B H"]) -> Float[np.ndarray, "... B O"]:
        """Return the network's prediction in a state: the next outputs, in scaled units."""
        return hidden[..., 0, -1, :, :] @ self._readout + self.params["readout.bias"]

    def free_step(self, hidden: Hidden, inputs: Inputs | None = None) -> Hidden:
        """Return the hidden state after the network has read its own outputs, and inputs if any."""
        return self.step(inputs, hidden)

    def linearize(self, inputs: Inputs | None, hidden: Hidden) -> tuple[Hidden, Push]:
        """Return the next hidden state and the tangent map of this step.

        In a free run the network reads its own outputs, which depend on the state.
        """
        new, slopes, is_free = self._slopes(inputs, hidden)
        return new, partial(self._push, slopes, is_free)

    def run(
        self, hidden: Hidden, steps: int, inputs: Float[np.ndarray, "steps B _"] | None = None
    ) -> Float[np.ndarray, "states S L B H"]:
        """Return the initial hidden state and that after each step; for the inputs see `Inputs`."""
        states = np.empty((steps + 1, *hidden.shape))
        states[0] = hidden
        given, is_free = self._given(inputs)  # of all steps at once
        if given.ndim == 1:  # in full shape, numpy adds it in half the time
            full = np.tile(given, (hidden.shape[2], 1))
            given = np.broadcast_to(full, (steps, *full.shape))
        views = list[Hidden](states)
        for now, before, after in zip(given, views, views[1:], strict=False):
            self._run(before, after, now, is_free)
        return states

    def free_tangents(
        self,
        states: Float[np.ndarray, "steps S L B H"],
        inputs: Float[np.ndarray, "steps B I"] | None = None,
    ) -> Iterator[Push]:
        """Return the tangent map of a free step from each state; all are linearized together."""
        steps, rows = len(states), states.shape[3]
        batch = np.moveaxis(states, 0, 2).reshape(*states.shape[1:3], steps * rows, -1)
        given = None if inputs is None else inputs.reshape(steps * rows, -1)
        _, slopes, is_free = self._slopes(given, batch)
        for step in range(steps):
            now = slice(step * rows, (step + 1) * rows)
            own = [
                [[(value, by[now]) for value, by in state] for state in layer] for layer in slopes
            ]
            yield partial(self._push, own, is_free)

    def _slopes(self, inputs: Inputs | None, hidden: Hidden) -> tuple[Hidden, Slopes, bool]:
        """Return the next hidden state, the derivatives of a step, and whether it is free."""
        new, (given, is_free) = np.empty(hidden.shape), self._given(inputs)
        kept = self._run(hidden, new, given, is_free)
        one, zero = np.ones(hidden.shape[2:]), np.zeros(hidden.shape[2:])
        slopes, count = Slopes(), self.cell.slots + self.cell.states
        for layer, slots in enumerate(kept):
            h, after = hidden[:, layer], new[:, layer]
            found = self.cell.slopes(slots, h[0], after[0], h[-1], after[-1], one, zero)
            slopes.append([
                [(value, by) for value, by in enumerate(state[:count]) if np.any(by)]
                for state in found[: self.cell.states]
            ])  # fmt: skip
        return new, slopes, is_free

    def _push(self, slopes: Slopes, is_free: bool, change: Change) -> Change:
        """Return the change of the hidden state one step later: each layer reads that below."""
        pushed, below = np.empty(change.shape), None
        for layer, by_state in enumerate(slopes):
            h, c = change[..., 0, layer, :, :], change[..., -1, layer, :, :]
            weights, below = self._layer_of(layer, change, below, is_free)
            values = (*self._slots(weights, below, h), h, c)
            for state, nonzero in enumerate(by_state):
                terms = [by * values[value] for value, by in nonzero]
                pushed[..., state, layer, :, :] = reduce(np.add, terms or [0.0])
            below = pushed[..., 0, layer, :, :]
        return pushed

    def _run(self, hidden: Hidden, new: Hidden, given: np.ndarray, is_free: bool) -> list[Any]:
        """Write the next hidden state to `new`; return each layer's slots that derivatives need."""
        kept, below = list[Any](), None
        for layer in range(self.network.num_layers):
            weights, below = self._layer_of(layer, hidden, below, is_free)
            h = hidden[0, layer]
            slots = self._slots(weights, below, h, weights.bias if layer else given)
            slots, below, c = self.cell.forward(slots, h, hidden[-1, layer])
            new[0, layer] = below
            if self.cell.states == 2:
                new[1, layer] = c
            kept.append(slots)
        return kept

    def _given(
        self, inputs: Float[np.ndarray, "... B _"] | None
    ) -> tuple[Float[np.ndarray, "..."], bool]:
        """Return what inputs and bias add to the first layer's slots, and whether a run is free.

        In a free run, the network reads its own outputs.

        Raises:
            ValueError: The inputs are neither those of a free run nor samples.
        """
        network, found = self.network, 0 if inputs is None else inputs.shape[-1]
        if found not in (network.inputs, network.channels):
            raise ValueError(
                f"a step reads {network.channels} channels, or {network.inputs} inputs in a free "
                f"run, got {found}"
            )
        is_free = found == network.inputs
        bias = (self._closed if is_free else self._layers[0]).bias
        if inputs is None or not found:
            return bias, is_free
        return inputs @ self._layers[0].by_input[network.channels - found :] + bias, is_free

    def jacobians(
        self, hidden: Hidden, *, inputs: Inputs | None = None
    ) -> Float[np.ndarray, "B n n"]:
        """Return the derivative of each row's next state by its state, n = S L H values.

        Args:
            hidden: States, one per row.
            inputs: What each row reads next, held fixed; in a free run, outputs are fed back.
        """
        states, layers, rows, units = hidden.shape
        push = self.linearize(inputs, hidden)[1]
        size = states * layers * units
        directions = np.eye(size).reshape(size, states, layers, 1, units)
        pushed = push(np.broadcast_to(directions, (size, states, layers, rows, units)).copy())
        return np.moveaxis(pushed, 3, 0).reshape(rows, size, size).swapaxes(1, 2)

    def _slots(
        self, weights: "_Layer", below: np.ndarray | None, h: np.ndarray, bias: Any = None
    ) -> list[np.ndarray]:
        """Return a layer's slots [..., H] from the layer below and h, or from changes of both."""
        # The overhead of dot is half that of matmul, but it is slow for stacks of matrices.
        sums = (np.dot if h.ndim == 2 else np.matmul)(h, weights.by_hidden)
        if bias is not None:
            sums += bias
        if below is not None:
            sums += below @ weights.by_input
        return list(map(sums.__getitem__, self._columns))

    def _layer_of(
        self, layer: int, hidden: Change, below: np.ndarray | None, is_free: bool
    ) -> tuple["_Layer", np.ndarray | None]:
        """Return a layer's weights, and what it reads that depends on the state, or a change."""
        if layer > 0 or not is_free:
            return self._layers[layer], below
        if self.network.num_layers == 1:
            return self._closed, None  # the outputs are in its recurrent weights
        return self._closed, hidden[..., 0, -1, :, :] @ self._readout

    def _layer(self, layer: int) -> "_Layer":
        """Return a layer's weights in the order of the cell's slots, zero for slots not fed."""
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
    """A layer's weights in the order of the cell's slots; one block of H columns per slot."""

    by_input: Float[np.ndarray, "reads slots"]
    by_hidden: Float[np.ndarray, "H slots"]
    bias: Float[np.ndarray, " slots"]
