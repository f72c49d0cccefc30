"""A network as a map of its hidden state, and the derivative of that map; float64, numpy only.

Engines compute outputs fast; this module gives access to hidden states, and shows how small changes
of them evolve.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

Slopes = tuple[Any, ...]
"""Derivatives of one state (h or c) after a step, by the slots and by h and c before the step."""


class StateMap:
    """A network as a map of its hidden state, in float64 for parameters of any dtype."""

    def __init__(self, network: Network, params: Params) -> None:
        self.network, self.cell = network, CELLS[network.cell]
        self.params = {name: value.astype(np.float64) for name, value in params.items()}
        self._readout = np.ascontiguousarray(self.params["readout.weight"].T)  # [H, O]
        self._layers = [self._layer(layer) for layer in range(network.num_layers)]
        # What a free step feeds back. With one layer, the outputs that are fed back are a linear
        # function of h: one product per step.
        first, feeds_itself = self._layers[0], network.num_layers == 1
        by_output, by_input = np.split(first.by_input, [network.outputs])
        self._closed = _Layer(
            by_input if feeds_itself else by_output,
            first.by_hidden + self._readout @ by_output if feeds_itself else first.by_hidden,
            first.bias + self.params["readout.bias"] @ by_output,
        )

    def step(self, inputs: Inputs, hidden: Hidden) -> Hidden:
        """Return the hidden state after one more sample in scaled units."""
        return self._run(inputs, hidden)[0]

    def output(self, hidden: Float[np.ndarray, "... S L B H"]) -> Float[np.ndarray, "... B O"]:
        """Return the network's prediction in a state: the next outputs, in scaled units."""
        return hidden[..., 0, -1, :, :] @ self._readout + self.params["readout.bias"]

    def free_step(self, hidden: Hidden, inputs: Inputs | None = None) -> Hidden:
        """Return the hidden state after the network has read its own outputs, and inputs if any."""
        return self._run(inputs, hidden)[0]

    def linearize(self, inputs: Inputs | None, hidden: Hidden) -> tuple[Hidden, "_Tangent"]:
        """Return the next hidden state and the tangent map of this step.

        In a free run the network reads its own outputs, which depend on the state.
        """
        new, kept = self._run(inputs, hidden)
        one, zero = np.ones(hidden.shape[2:]), np.zeros(hidden.shape[2:])
        slopes = [
            self.cell.slopes(
                slots, hidden[0, layer], new[0, layer], hidden[-1, layer], new[-1, layer], one, zero
            )[: self.cell.states]
            for layer, slots in enumerate(kept)
        ]
        return new, _Tangent(self, slopes, self._is_free(inputs))

    def run(
        self, hidden: Hidden, steps: int, inputs: Float[np.ndarray, "steps B _"] | None = None
    ) -> Float[np.ndarray, "states S L B H"]:
        """Return the initial hidden state and that after each step; for the inputs see `Inputs`."""
        states = np.empty((steps + 1, *hidden.shape))
        states[0] = hidden
        for step in range(steps):
            given = None if inputs is None else inputs[step]
            states[step + 1] = self._run(given, states[step])[0]
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
        _, tangent = self.linearize(given, batch)
        return (tangent.of_rows(slice(step * rows, (step + 1) * rows)) for step in range(steps))

    def _run(self, inputs: Inputs | None, hidden: Hidden) -> tuple[Hidden, list[Any]]:
        """Return the next hidden state, and the slots of each layer that derivatives need."""
        new, kept, below = np.empty(hidden.shape), list[Any](), inputs
        for layer in range(self.network.num_layers):
            weights = self._layers[layer]
            if layer == 0 and self._is_free(inputs):
                weights, below = self._fed_back(hidden, inputs)
            slots = self.slots(weights, below, hidden[0, layer], weights.bias)
            slots, new[0, layer], c = self.cell.forward(slots, hidden[0, layer], hidden[-1, layer])
            if self.cell.states == 2:
                new[1, layer] = c
            kept.append(slots)
            below = new[0, layer]
        return new, kept

    def _is_free(self, inputs: Inputs | None) -> bool:
        """Return whether a step reads the network's own outputs.

        Raises:
            ValueError: The inputs are neither those of a free run nor a sample.
        """
        network, found = self.network, 0 if inputs is None else inputs.shape[1]
        if found not in (network.inputs, network.channels):
            raise ValueError(
                f"a step reads {network.channels} channels, or {network.inputs} inputs in a free "
                f"run, got {found}"
            )
        return found == network.inputs

    def _fed_back(self, hidden: Hidden, inputs: Inputs | None) -> tuple["_Layer", Inputs | None]:
        """Return the first layer's weights and inputs when it reads the network's outputs."""
        if self.network.num_layers == 1:
            return self._closed, inputs if self.network.inputs else None
        output = self.output(hidden)
        return self._layers[0], output if inputs is None else np.concatenate([output, inputs], 1)

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

    def slots(
        self, weights: "_Layer", by_input: np.ndarray | None, by_hidden: np.ndarray, bias: Any = 0.0
    ) -> Any:
        """Return a layer's slots [..., H] from its input and h, or from changes of both."""
        units = self.network.hidden_size
        sums = by_hidden @ weights.by_hidden + bias
        if by_input is not None:
            sums += by_input @ weights.by_input
        return [sums[..., slot * units : (slot + 1) * units] for slot in range(self.cell.slots)]

    def layer_for_changes(
        self, layer: int, change: Change, below: np.ndarray | None, is_free: bool
    ) -> tuple["_Layer", np.ndarray | None]:
        """Return a layer's weights and the change of its input, for a change of the state."""
        if layer > 0 or not is_free:
            return self._layers[layer], below
        if self.network.num_layers == 1:
            return self._closed, None  # inputs do not depend on the state
        return self._closed, change[..., 0, -1, :, :] @ self._readout

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


@dataclass(frozen=True)
class _Tangent:
    """The tangent map of one step: each layer reads the change of the layer below."""

    model: StateMap
    slopes: list[list[Slopes]]
    """For each layer and each state after the step."""

    is_free: bool
    """Whether the first layer reads the network's output; otherwise its input is held fixed."""

    def of_rows(self, rows: slice) -> "_Tangent":
        """Return the tangent map of some rows."""
        slopes = [
            [tuple(by[rows] if np.ndim(by) else by for by in state) for state in layer]
            for layer in self.slopes
        ]
        return _Tangent(self.model, slopes, self.is_free)

    def __call__(self, change: Change) -> Change:
        """Return the change of the hidden state one step later."""
        pushed, below = np.empty(change.shape), None
        for layer, slopes in enumerate(self.slopes):
            h, c = change[..., 0, layer, :, :], change[..., -1, layer, :, :]
            weights, below = self.model.layer_for_changes(layer, change, below, self.is_free)
            slots = self.model.slots(weights, below, h)
            for state, (*by_slots, by_h, by_c) in enumerate(slopes):
                total = by_h * h
                for slope, slot in zip(by_slots, slots, strict=True):
                    total = total + slope * slot
                if self.model.cell.states == 2:
                    total = total + by_c * c
                pushed[..., state, layer, :, :] = total
            below = pushed[..., 0, layer, :, :]
        return pushed
