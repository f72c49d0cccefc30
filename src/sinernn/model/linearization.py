"""A network as a map of its hidden state, and the derivative of that map; float64, numpy only.

Engines compute outputs fast; this module gives access to hidden states, and shows how small changes
of them evolve.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import mul
from typing import Any

import numpy as np

from sinernn import blas as blas  # imported before anything computes
from sinernn.arrays import Float
from sinernn.model.cells import CELLS
from sinernn.model.network import Hidden, Network, Params

Inputs = Float[np.ndarray, "B _"]
"""What a step reads, in scaled units: a sample per row [B, D]; or in a free run, where the outputs
are the network's own, the inputs alone [B, I], or None if the network has none."""

Change = Float[np.ndarray, "S L *several B H"]
"""A small change of the hidden state, or several changes along additional axes."""

Push = Callable[[Change], Change]
"""A tangent map of the network: from a change of the hidden state to the change one step later."""

Places = list[list[list[int]]]
"""Of each layer, and each state (h or c) after a step: which derivatives are not zero, by their
places in (*slots, h, c), of which the last two are those before the step."""


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
        given, is_free = self._given(inputs)
        return self._run(hidden, given[None], is_free)[0][1]

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
        new, places, slopes, is_free = self._slopes(inputs, hidden)
        return new, partial(self._push, places, is_free, [slopes])

    def run(
        self, hidden: Hidden, steps: int, inputs: Float[np.ndarray, "steps B _"] | None = None
    ) -> Float[np.ndarray, "states S L B H"]:
        """Return the initial hidden state and that after each step; for the inputs see `Inputs`."""
        given, is_free = self._given(inputs)  # of all steps at once
        if given.ndim == 1:  # in full shape, numpy adds it in half the time
            full = np.tile(given, (hidden.shape[2], 1))
            given = np.broadcast_to(full, (steps, *full.shape))
        return self._run(hidden, given[:steps], is_free)[0]

    def free_tangents(
        self,
        states: Float[np.ndarray, "steps S L B H"],
        inputs: Float[np.ndarray, "steps B I"] | None = None,
        *,
        stride: int = 1,
    ) -> Iterator[Push]:
        """Return the tangent map of a free step from each state; all are linearized together.

        Of every `stride` steps together, which divides their number.
        """
        steps, rows = len(states), states.shape[3]
        batch = np.moveaxis(states, 0, 2).reshape(*states.shape[1:3], steps * rows, -1)
        given = None if inputs is None else inputs.reshape(steps * rows, -1)
        _, places, slopes, is_free = self._slopes(given, batch)
        views = (each.reshape(steps, rows, -1) for each in slopes)
        by_step = list(zip(*views, strict=True)) or [()] * steps
        for begin in range(0, steps, stride):
            yield partial(self._push, places, is_free, by_step[begin : begin + stride])

    def _slopes(
        self, inputs: Inputs | None, hidden: Hidden
    ) -> tuple[Hidden, Places, list[Float[np.ndarray, "B H"]], bool]:
        """Return the next hidden state, the derivatives of a step, and whether it is free.

        Of the derivatives those that are not zero, after their places.
        """
        given, is_free = self._given(inputs)
        states, kept = self._run(hidden, given[None], is_free)
        one, zero = np.ones(hidden.shape[2:]), np.zeros(hidden.shape[2:])
        places, slopes = Places(), list[Float[np.ndarray, "B H"]]()
        for layer, slots in enumerate(kept):
            h, after = hidden[:, layer], states[1][:, layer]
            found = self.cell.slopes(slots, h[0], after[0], h[-1], after[-1], one, zero)
            places.append([])
            for by_value in found[: self.cell.states]:
                values = by_value[: self.cell.slots + self.cell.states]
                used = [value for value, slope in enumerate(values) if np.any(slope)]
                places[-1].append(used)
                slopes += [values[value] for value in used]
        return states[1], places, slopes, is_free

    def _push(
        self,
        places: Places,
        is_free: bool,
        steps: Sequence[Sequence[Float[np.ndarray, "B H"]]],
        change: Change,
    ) -> Change:
        """Return the change of the hidden state some steps later: each layer reads that below.

        Args:
            places: Of the derivatives that are not zero.
            is_free: Whether the network reads its own outputs.
            steps: These derivatives, of each step.
            change: Of the state before.
        """
        changes = [list(of_state) for of_state in change]  # [state][layer]
        plan = [(layer, self._weights(layer, is_free), used) for layer, used in enumerate(places)]
        # The overhead of dot is half that of matmul, but it is slow for stacks of matrices.
        multiply = np.ndarray.dot if change.ndim == 4 else np.matmul
        for slopes in steps:
            left, below = iter(slopes), None
            if is_free and len(places) > 1:  # else the outputs are in the recurrent weights
                below = changes[0][-1] @ self._readout
            for layer, weights, by_state in plan:
                h, c = changes[0][layer], changes[-1][layer]
                sums = multiply(h, weights.by_hidden)
                if below is not None:
                    sums += below @ weights.by_input
                values = (*map(sums.__getitem__, self._columns), h, c)
                for state, used in enumerate(by_state):
                    terms = map(mul, [values[value] for value in used], left)
                    changes[state][layer] = reduce(np.add, terms) if used else np.zeros(h.shape)
                below = changes[0][layer]
        pushed = np.empty(change.shape)
        for state, of_layers in enumerate(changes):
            for layer, of_layer in enumerate(of_layers):
                pushed[state, layer] = of_layer
        return pushed

    def _run(
        self, hidden: Hidden, given: Float[np.ndarray, "steps ..."], is_free: bool
    ) -> tuple[Float[np.ndarray, "states S L B H"], list[Any]]:
        """Run the network.

        Args:
            hidden: Initial state.
            given: What inputs and bias add to the first layer's slots.
            is_free: Whether the network reads its own outputs.

        Returns:
            The initial state and that after each step; each layer's slots that derivatives of the
            last step need.
        """
        states, forward = np.empty((len(given) + 1, *hidden.shape)), self.cell.forward
        states[0] = hidden
        network, has_cell_state = self.network, self.cell.states == 2
        reads_outputs = is_free and network.num_layers > 1
        kept: list[Any] = [None] * network.num_layers
        plan: list[tuple[int, _Layer, np.ndarray, list[np.ndarray]]] = []
        for layer in range(network.num_layers):
            weights = self._weights(layer, is_free)
            sums = np.empty((hidden.shape[2], weights.by_hidden.shape[1]))
            plan.append((layer, weights, sums, [sums[columns] for columns in self._columns]))
        # Views of each step and layer, made at once: to index one by one takes as long as a step.
        h, c = (
            list(zip(*(states[:, state, layer] for layer in range(len(plan))), strict=True))
            for state in (0, -1)
        )
        for now, h_now, c_now, h_next, c_next in zip(given, h, c, h[1:], c[1:], strict=False):
            below = h_now[-1].dot(self._readout) if reads_outputs else None
            for layer, weights, sums, slots in plan:
                h_now[layer].dot(weights.by_hidden, sums)
                np.add(sums, weights.bias if layer else now, sums)
                if below is not None:
                    np.add(sums, below.dot(weights.by_input), sums)
                kept[layer], below, cell = forward(slots, h_now[layer], c_now[layer])
                h_next[layer][...] = below
                if has_cell_state:
                    c_next[layer][...] = cell
        return states, kept

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
        directions = np.eye(size).reshape(states, layers, units, size)
        directions = np.moveaxis(directions, 3, 2)[:, :, :, None]
        pushed = push(np.repeat(directions, rows, axis=3))
        return pushed.transpose(3, 0, 1, 4, 2).reshape(rows, size, size)

    def _weights(self, layer: int, is_free: bool) -> "_Layer":
        """Return a layer's weights."""
        return self._closed if is_free and layer == 0 else self._layers[layer]

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
