"""Run a network whose parameters are packed, from numpy arrays to numpy arrays."""

from typing import Any

import numpy as np

from sinernn.arrays import Float
from sinernn.engines.fused.buffers import Buffers, Sizes, aligned_zeros, plain
from sinernn.engines.fused.layout import Flat, Layout
from sinernn.engines.fused.native import Kernel
from sinernn.model.network import Hidden

run = Kernel("sinernn.engines.fused.kernels", "run")


def free_run(
    layout: Layout,
    params: Flat,
    samples: Float[np.ndarray, "B given D"],
    forced: int,
    steps: int,
    hidden: Flat,
) -> Float[np.ndarray, "B steps O"]:
    """Return the network's outputs; after `forced` samples, outputs are read back.

    Args:
        layout: Layout of the network.
        params: Packed parameters.
        samples: True samples in scaled units: of every step, of which those after `forced` are read
            for their inputs alone, or of the first `forced` steps if the network has no inputs.
        forced: Number of steps that read the whole sample.
        steps: Number of outputs of each row.
        hidden: Padded initial state; replaced by the final state.
    """
    memory = _one_step(layout, len(samples))
    arguments = _arguments(layout, params, samples, forced, steps, hidden, memory)
    run(*arguments)
    return np.ascontiguousarray(arguments[-1].transpose(1, 0, 2))


def empty_run(layout: Layout) -> tuple[Kernel, tuple[Any, ...]]:
    """Return the kernel of `free_run`, and arguments of the right types for a run of no steps."""
    network = layout.network
    params, hidden = aligned_zeros(layout.size, network.dtype), aligned_zeros(0, network.dtype)
    nothing = np.empty((0, 0, network.channels))
    return run, _arguments(layout, params, nothing, 0, 0, hidden, _one_step(layout, 0))


class Runner:
    """Runs sequences again and again: as `free_run` does, but takes apart its arrays only once."""

    def __init__(
        self, layout: Layout, shape: tuple[int, int, int], forced: int, steps: int
    ) -> None:
        """Allocate memory.

        Args:
            layout: Layout of the network.
            shape: Of the samples [B, given, D].
            forced: See `free_run`.
            steps: See `free_run`.
        """
        params = aligned_zeros(layout.size, layout.network.dtype)
        hidden = layout.pad_hidden(layout.network.zero_hidden(shape[0]))
        memory = _one_step(layout, shape[0])
        arguments = _arguments(layout, params, np.zeros(shape), forced, steps, hidden, memory)
        self._samples, self._outputs = arguments[2], arguments[-1]
        self._params, self._hidden, self._run = params, hidden, run.bind(*arguments)

    def run(
        self, params: Flat, samples: Float[np.ndarray, "B given D"]
    ) -> Float[np.ndarray, "B steps O"]:
        """Return the network's outputs from the zero state; the next run overwrites them."""
        self._samples[:] = samples.transpose(1, 0, 2)
        self._params[:], self._hidden[:] = params, 0
        self._run()
        return self._outputs.transpose(1, 0, 2)


class Recorder:
    """Runs sequences in a batch, and records the values of every step that derivatives need."""

    def __init__(self, layout: Layout, params: Flat, steps: int, batch: int) -> None:
        """Allocate memory for `steps` steps of `batch` sequences."""
        network = layout.network
        self.sizes = Sizes(network.channels, network.outputs, network.num_layers, steps, batch)
        self.buffers = Buffers.of(layout.shape, self.sizes, network.dtype, training=False)
        self.params, self._layout = params, layout

    def run(
        self,
        samples: Float[np.ndarray, "B given D"],
        forced: int,
        hidden: Hidden | None = None,
    ) -> Float[np.ndarray, "B steps O"]:
        """Run at most `batch` sequences from a hidden state, or from zero; see `free_run`.

        Afterwards, `buffers` contain window, states and slots, and `sizes` has the actual batch.
        """
        network, rows = self._layout.network, len(samples)
        self.sizes = self.sizes._replace(batch=rows)
        padded = self._layout.pad_hidden(network.zero_hidden(rows) if hidden is None else hidden)
        memory, steps = (self.sizes, self.buffers), self.sizes.steps
        arguments = _arguments(self._layout, self.params, samples, forced, steps, padded, memory)
        run(*arguments)
        return arguments[-1].transpose(1, 0, 2)

    def orbit(
        self,
    ) -> tuple[Float[np.ndarray, "states S L B H"], Float[np.ndarray, "steps slots L B H"]]:
        """Return the initial state and that after each step of the last run, and the slots.

        Of a run of as many sequences as there is memory for.
        """
        shape, network = self._layout.shape, self._layout.network
        layers, steps, rows = network.num_layers, self.sizes.steps, self.sizes.batch
        states = self.buffers.states.reshape(-1, layers, steps + 1, rows, shape.hidden)
        count = shape.slots // shape.hidden
        slots = self.buffers.slots.reshape(layers, steps, rows, count, shape.hidden)
        states, slots = (values[..., : network.hidden_size] for values in (states, slots))
        return np.moveaxis(states, 2, 0), slots.transpose(1, 3, 0, 2, 4)


def _one_step(layout: Layout, batch: int) -> tuple[Sizes, Buffers]:
    """Return memory for a single step, which the next step overwrites."""
    network = layout.network
    sizes = Sizes(network.channels, network.outputs, network.num_layers, 1, batch)
    return sizes, Buffers.of(layout.shape, sizes, network.dtype, training=False)


def _arguments(
    layout: Layout,
    params: Flat,
    samples: Float[np.ndarray, "B given D"],
    forced: int,
    steps: int,
    hidden: Flat,
    memory: tuple[Sizes, Buffers],
) -> tuple[Any, ...]:
    # A kernel is compiled for types: every call must have the same types.
    (sizes, buffers), dtype = memory, layout.network.dtype
    outputs = np.empty((steps, len(samples), layout.network.outputs), dtype)
    samples = plain(samples.transpose(1, 0, 2), dtype)
    return layout.shape, sizes, samples, forced, layout.places, params, hidden, buffers, outputs
