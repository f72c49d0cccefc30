"""Run a network whose parameters are packed, from numpy arrays to numpy arrays."""

from functools import lru_cache
from typing import Any

import numpy as np

from sinernn.arrays import Float
from sinernn.engines import KernelCall
from sinernn.engines.fused.buffers import Buffers, Sizes, aligned_zeros
from sinernn.engines.fused.layout import Flat, Layout
from sinernn.engines.fused.native import Kernel
from sinernn.model.network import Hidden

run = Kernel("sinernn.engines.fused.kernels", "run")


class Runner:
    """Runs sequences of the same shape, again and again: its arrays are taken apart only once."""

    def __init__(
        self,
        layout: Layout,
        shape: tuple[int, int, int],
        forced: int,
        steps: int,
        *,
        records: bool = False,
    ) -> None:
        """Allocate memory.

        Args:
            layout: Layout of the network.
            shape: Of the samples [B, given, D] in scaled units: of every step, of which those after
                `forced` are read for their inputs alone, or of the first `forced` steps if the
                network has no inputs.
            forced: Number of steps that read the whole sample; later ones read the outputs back.
            steps: Number of outputs of each row.
            records: Whether `buffers` keep the window, states and slots of every step, which
                derivatives need; otherwise each step overwrites those before.
        """
        network, (rows, given, channels) = layout.network, shape
        dtype, kept = network.dtype, steps if records else 1
        self.sizes = Sizes(channels, network.outputs, network.num_layers, kept, rows)
        self.buffers = Buffers.of(layout.shape, self.sizes, dtype, training=False)
        self._layout = layout
        self._params = aligned_zeros(layout.size, dtype)
        self._samples = np.empty((given, rows, channels), dtype)
        self._hidden = layout.pad_hidden(network.zero_hidden(rows))
        self._outputs = np.empty((steps, rows, network.outputs), dtype)
        # A kernel is compiled for types: every call must have the same types.
        self._arguments: tuple[Any, ...] = (
            layout.shape, self.sizes, self._samples, forced, layout.places, self._params,
            self._hidden, self.buffers, self._outputs,
        )  # fmt: skip
        self._run = run.bind(*self._arguments)

    def run(
        self, params: Flat, samples: Float[np.ndarray, "B given D"], hidden: Hidden | None = None
    ) -> Float[np.ndarray, "B steps O"]:
        """Return the network's outputs from a hidden state, or from zero.

        The next run overwrites them.
        """
        self._samples[:] = samples.transpose(1, 0, 2)
        self._params[:] = params
        self._hidden[:] = 0 if hidden is None else self._layout.pad_hidden(hidden)
        self._run()
        return self._outputs.transpose(1, 0, 2)

    @property
    def hidden(self) -> Hidden:
        """A copy of the hidden state after the last run."""
        return self._layout.unpad_hidden(self._hidden)

    def orbit(
        self,
    ) -> tuple[Float[np.ndarray, "states S L B H"], Float[np.ndarray, "steps slots L B H"]]:
        """Return the initial state and that after each step of the last run, and the slots."""
        shape, network = self._layout.shape, self._layout.network
        layers, steps, rows = network.num_layers, self.sizes.steps, self.sizes.batch
        states = self.buffers.states.reshape(-1, layers, steps + 1, rows, shape.hidden)
        count = shape.slots // shape.hidden
        slots = self.buffers.slots.reshape(layers, steps, rows, count, shape.hidden)
        states, slots = (values[..., : network.hidden_size] for values in (states, slots))
        return np.moveaxis(states, 2, 0), slots.transpose(1, 3, 0, 2, 4)

    def kernel_call(self) -> KernelCall:
        """Return the kernel of `run`, and its arguments."""
        return run, self._arguments


@lru_cache(maxsize=8)  # asked for whenever an engine is built
def empty_run(layout: Layout) -> KernelCall:
    """Return the kernel that runs a network, and arguments for a run of no steps."""
    return Runner(layout, (0, 0, layout.network.channels), 0, 0).kernel_call()
