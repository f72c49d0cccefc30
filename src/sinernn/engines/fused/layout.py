"""Convert between torch's parameters and the flat arrays of the kernels."""

from dataclasses import replace
from functools import cached_property, lru_cache

import numpy as np

from sinernn.engines.fused.buffers import aligned_zeros
from sinernn.engines.fused.shape import PADDED_BYTES, Shape
from sinernn.model.cells import CELLS
from sinernn.model.network import Hidden, Network, Params, Theta

Flat = np.ndarray
"""A flat array of the network's dtype, padded to whole vectors. It has no shape annotation, because
most are parts of larger arrays."""


class Layout:
    """The layout of a network's parameters in one flat array.

    Weights are stored as [inputs, gate, unit], with gates in the order of the cell's slots and
    units padded with zeros, so the inner loop of a step's matrix product is over contiguous units.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.shape = Shape.of(network.cell, network.hidden_size, network.dtype)
        lanes = PADDED_BYTES // np.dtype(network.dtype).itemsize
        row = self.shape.gates_step
        sizes: list[int] = []
        for layer in range(network.num_layers):
            reads = self.shape.hidden if layer else network.channels
            sizes += [reads * row, self.shape.hidden * row, row, row]
        sizes += [network.outputs * self.shape.hidden, network.outputs]
        ends = np.cumsum([-(-size // lanes) * lanes for size in sizes])
        self.size = int(ends[-1])
        self.places = np.zeros((network.num_layers + 1, 4), np.int64)  # see kernels.advance
        self.places.flat[1 : len(sizes)] = ends[:-1]

    def pack(self, params: Params) -> Flat:
        """Return the flat array of parameters, or of Adam moments, given under torch's names."""
        flat = aligned_zeros(self.size, self.network.dtype)
        for name, parts in self._parts(flat).items():
            for view, rows in parts:
                view[...] = params[name][rows]
        return flat

    def unpack(self, flat: Flat) -> Params:
        """Return copies of a flat array's values under torch's names."""
        return self.network.split(flat[self._index])

    def pack_flat(self, theta: Theta) -> Flat:
        """Return the flat array of parameters given as one array in torch's order."""
        flat = aligned_zeros(self.size, self.network.dtype)
        flat[self._index] = theta
        return flat

    @cached_property
    def _index(self) -> np.ndarray:
        """Position in the flat array of each parameter value, in torch's order."""
        flat = np.arange(self.size)
        parts = self._parts(flat)
        index = {name: np.empty(shape, int) for name, shape in self.network.shapes.items()}
        for name, values in index.items():
            for view, rows in parts[name]:
                values[rows] = view
        return np.concatenate([values.ravel() for values in index.values()])

    def pad_hidden(self, hidden: Hidden) -> Flat:
        """Return a hidden state as a flat, padded array."""
        states, layers, batch, units = hidden.shape
        padded = aligned_zeros(states * layers * batch * self.shape.hidden, self.network.dtype)
        padded.reshape(states, layers, batch, self.shape.hidden)[..., :units] = hidden
        return padded

    def unpad_hidden(self, padded: Flat) -> Hidden:
        """Return a copy of the hidden state in a flat array: the inverse of `pad_hidden`."""
        network, shape = self.network, self.shape
        hidden = padded.reshape(shape.states, network.num_layers, -1, shape.hidden)
        return hidden[..., : network.hidden_size].copy()

    def _parts(self, flat: Flat) -> dict[str, list[tuple[np.ndarray, slice]]]:
        """Return views of `flat`, and their rows in torch's array, for each of torch's names."""
        network, shape = self.network, self.shape
        cell, units = CELLS[network.cell], network.hidden_size
        parts: dict[str, list[tuple[np.ndarray, slice]]] = {}
        for layer in range(network.num_layers):
            kinds = (
                ("weight_ih", cell.input_order, units if layer else network.channels),
                ("weight_hh", cell.hidden_order, units),
                ("bias_ih", cell.input_order, 0),
                ("bias_hh", cell.hidden_order, 0),
            )
            for (name, order, inputs), at in zip(kinds, self.places[layer], strict=True):
                block = flat[at:][: max(inputs, 1) * shape.gates_step].reshape(max(inputs, 1), -1)
                views: list[tuple[np.ndarray, slice]] = []
                for place, gate in enumerate(order):
                    first = place * shape.hidden
                    view = block[:, first : first + units].T  # [units, inputs], as torch
                    rows = slice(gate * units, (gate + 1) * units)
                    views.append((view if inputs else view[:, 0], rows))
                parts[f"rnn.{name}_l{layer}"] = views
        (weight_at, bias_at), outputs = self.places[-1, :2], network.outputs
        block = flat[weight_at:][: outputs * shape.hidden].reshape(outputs, shape.hidden)
        parts["readout.weight"] = [(block[:, :units], slice(None))]
        parts["readout.bias"] = [(flat[bias_at:][:outputs], slice(None))]
        return parts


@lru_cache(maxsize=8)  # the index of a large network takes as much memory as its weights
def layout_of(network: Network) -> Layout:
    """Return the layout of a network, the same for all its engines."""
    return Layout(network)


def float64_layout_of(network: Network) -> Layout:
    """Return the layout of a network in float64, whatever its dtype."""
    return layout_of(replace(network, dtype="float64"))
