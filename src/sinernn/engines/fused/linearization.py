"""A network as a map of its hidden state, and the derivative of that map; in float64.

Engines compute outputs; this module gives access to hidden states, and shows how small changes of
them evolve.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sinernn.arrays import Float
from sinernn.engines import KernelCall
from sinernn.engines.fused.layout import float64_layout_of
from sinernn.engines.fused.native import Kernel
from sinernn.engines.fused.runs import Runner, empty_run
from sinernn.model.cells import CELLS
from sinernn.model.network import Hidden, Network, Params

push_changes = Kernel("sinernn.engines.fused.kernels", "push_changes")

Inputs = Float[np.ndarray, "B _"]
"""What a step reads, in scaled units: a sample per row [B, D]; or in a free run, where the outputs
are the network's own, the inputs alone [B, I], or None if the network has none."""

Change = Float[np.ndarray, "S L R H"]
"""A small change of the hidden state of each row; or several, one after the other."""


@dataclass(frozen=True)
class Orbit:
    """Hidden states along a run."""

    states: Float[np.ndarray, "states S L B H"]
    """The initial hidden state and that after each step."""

    slots: Float[np.ndarray, "steps slots L B H"]
    """What each step computed on the way, as its derivative needs it; see `model.cells`."""

    is_free: bool
    """Whether the network read its own outputs."""


class StateMap:
    """A network as a map of its hidden state, in float64 for parameters of any dtype."""

    def __init__(self, network: Network, params: Params) -> None:
        self.network, self.cell = network, CELLS[network.cell]
        self.params = {name: value.astype(np.float64) for name, value in params.items()}
        self._layout = float64_layout_of(network)
        self._packed = self._layout.pack(self.params)

    def step(self, inputs: Inputs | None, hidden: Hidden) -> Hidden:
        """Return the hidden state after a step that reads `inputs`; see `Inputs` for a free one."""
        return self.advance(hidden, 1, None if inputs is None else inputs[None])

    def output(self, hidden: Float[np.ndarray, "... S L B H"]) -> Float[np.ndarray, "... B O"]:
        """Return the network's prediction in a state: the next outputs, in scaled units."""
        readout, bias = self.params["readout.weight"], self.params["readout.bias"]
        return hidden[..., 0, -1, :, :] @ readout.T + bias

    def run(
        self, hidden: Hidden, steps: int, inputs: Float[np.ndarray, "steps B _"] | None = None
    ) -> Orbit:
        """Return the hidden states of a run of so many steps; for the inputs see `Inputs`.

        Raises:
            ValueError: The hidden state is not of this network; or the inputs are neither those of
                a free run nor samples, or not of all steps and rows.
        """
        runner, is_free = self._run(hidden, steps, inputs, records=True)
        return Orbit(*runner.orbit(), is_free)

    def advance(
        self, hidden: Hidden, steps: int, inputs: Float[np.ndarray, "steps B _"] | None = None
    ) -> Hidden:
        """Return the hidden state after a run of so many steps; see `run`."""
        return self._run(hidden, steps, inputs, records=False)[0].hidden

    def _run(
        self,
        hidden: Hidden,
        steps: int,
        inputs: Float[np.ndarray, "steps B _"] | None,
        *,
        records: bool,
    ) -> tuple[Runner, bool]:
        """Run the network, and return what ran it, and whether it read its own outputs."""
        network, rows = self.network, hidden.shape[2]
        # Kernels check no bounds.
        if hidden.shape != (expected := network.zero_hidden(rows).shape):
            raise ValueError(f"a hidden state has the shape {expected}, got {hidden.shape}")
        found = 0 if inputs is None else inputs.shape[-1]
        if found not in (network.inputs, network.channels):
            raise ValueError(
                f"a step reads {network.channels} channels, or {network.inputs} inputs in a free "
                f"run, got {found}"
            )
        is_free = found == network.inputs
        samples = np.zeros((rows, steps, network.channels))
        if inputs is not None:
            if (given := inputs[:steps].shape[:2]) != (steps, rows):
                raise ValueError(f"{steps} steps of {rows} rows need as many inputs, got {given}")
            samples[:, :, network.channels - found :] = inputs[:steps].swapaxes(0, 1)
        if is_free:  # its first sample are the outputs in the initial state
            samples[:, :1, : network.outputs] = self.output(hidden)[:, None]
        forced = 1 if is_free else steps
        runner = Runner(self._layout, samples.shape, forced, steps, records=records)
        runner.run(self._packed, samples, hidden)
        return runner, is_free

    def push(self, orbit: Orbit, change: Change) -> Change:
        """Return the changes of an orbit's last state that follow from changes of its first."""
        return self.grow(orbit, change, times=0)[0]

    def grow(
        self, orbit: Orbit, change: Change, *, times: int
    ) -> tuple[Change, Float[np.ndarray, "times R"]]:
        """Push changes along an orbit, and bring them to length 1 so many times on the way.

        Args:
            orbit: A run of this network.
            change: Of its first state.
            times: A divisor of the number of steps; or 0, for changes as they are.

        Returns:
            The changes of the last state, and their squared lengths before every normalization.

        Raises:
            ValueError: The changes are not of such a state, or the steps cannot be divided so.
        """
        states, layers, rows, units = change.shape
        steps, expected = len(orbit.slots), orbit.states.shape[1:]
        # Kernels check no bounds.
        if rows % expected[2] or (states, layers, expected[2], units) != expected:
            raise ValueError(f"changes {change.shape} are not those of states {expected}")
        if times and steps % times:
            raise ValueError(f"{steps} steps cannot be divided by {times}")
        pushed = change.transpose(1, 2, 0, 3).copy().reshape(layers, rows, -1)
        squares = np.empty((times, rows))
        sums = np.empty((rows, self.cell.slots * units))
        self._push[orbit.is_free](self._slopes(orbit), pushed, squares, sums)
        return pushed.reshape(layers, rows, states, units).transpose(2, 0, 1, 3), squares

    def jacobians(
        self, hidden: Hidden, *, inputs: Inputs | None = None
    ) -> Float[np.ndarray, "B n n"]:
        """Return the derivative of each row's next state by its state, n = S L H values.

        Args:
            hidden: States, one per row.
            inputs: What each row reads next, held fixed; in a free run, outputs are fed back.
        """
        states, layers, rows, units = hidden.shape
        size = states * layers * units
        orbit = self.run(hidden, 1, None if inputs is None else inputs[None])
        directions = np.eye(size).reshape(states, layers, units, size).swapaxes(2, 3)
        pushed = self.push(orbit, np.repeat(directions, rows, axis=2))
        pushed = pushed.reshape(states, layers, size, rows, units)
        return pushed.transpose(3, 0, 1, 4, 2).reshape(rows, size, size)

    @cached_property
    def _push(self) -> dict[bool, Callable[..., None]]:
        """The kernel for free runs, and for those that samples drive."""
        return {is_free: push_changes.bind(self._weights(is_free)) for is_free in (True, False)}

    def _slopes(self, orbit: Orbit) -> Float[np.ndarray, "steps L B S values H"]:
        """Return the derivatives of h and c after each step by every slot, h and c."""
        before, after, cell = orbit.states[:-1], orbit.states[1:], self.cell
        h, c = before[:, 0], before[:, -1]
        one, zero, slots = np.ones(h.shape), np.zeros(h.shape), orbit.slots.swapaxes(0, 1)
        found = cell.slopes(tuple(slots), h, after[:, 0], c, after[:, -1], one, zero)
        slopes = np.empty((*h.shape[:3], cell.states, cell.slots + 2, h.shape[3]))
        for state in range(cell.states):
            for value, slope in enumerate(found[state]):
                slopes[:, :, :, state, value] = slope
        return slopes

    def _weights(self, is_free: bool) -> Float[np.ndarray, "L reads slot_columns"]:
        """Return what `push_changes` takes."""
        cell, units, layers = self.cell, self.network.hidden_size, self.network.num_layers
        full = np.zeros((layers, 2 * units, cell.slots, units))
        kinds = (
            ("weight_ih", cell.input_order, 0),
            ("weight_hh", cell.hidden_order, cell.slots - cell.gates),
        )
        for layer in range(layers):
            for row, (kind, order, first) in zip((0, units), kinds, strict=True):
                weights = self.params[f"rnn.{kind}_l{layer}"]
                if row == 0 and layer == 0:  # reads the outputs that are fed back, or none
                    by_output = is_free * weights[:, : self.network.outputs]
                    weights = by_output @ self.params["readout.weight"]
                gates = weights.reshape(cell.gates, units, units)[list(order)]
                view = full[layer, row : row + units, first : first + cell.gates]
                view[...] = gates.transpose(2, 0, 1)
        if layers == 1:
            full = full[:, :units] + full[:, units:]
        return full.reshape(layers, -1, cell.slots * units)


def orbit_kernels(network: Network) -> list[KernelCall]:
    """Return calls of the kernels of a `StateMap`; see `Engine.kernel_calls`."""
    arrays = (np.empty((0,) * dimensions) for dimensions in (3, 6, 3, 2, 2))
    return [empty_run(float64_layout_of(network)), (push_changes, tuple(arrays))]
