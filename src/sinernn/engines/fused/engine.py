"""The fused engine: implements the Engine protocol on padded flat arrays."""

import math
from typing import Any

import numpy as np

from sinernn.arrays import Bool, Float, Int
from sinernn.engines import (
    KernelCall,
    Objective,
    blank_after_divergence,
    free_run_samples,
    require_objective,
    require_plan,
)
from sinernn.engines.fused.buffers import Buffers, Sizes, Trained, aligned_zeros, plain
from sinernn.engines.fused.layout import layout_of
from sinernn.engines.fused.native import Kernel
from sinernn.engines.fused.runs import Runner, empty_run
from sinernn.model.network import Hidden, Network, Params, TrainState

advance = Kernel("sinernn.engines.fused.kernels", "advance")


class FusedEngine:
    """See `sinernn.engines.Engine`; uses one core, and lets other threads run meanwhile."""

    def __init__(
        self, network: Network, state: TrainState, objective: Objective | None = None
    ) -> None:
        self._network, self._objective = network, objective
        self._batch = _require_state(network, state)
        self._layout = layout_of(network)
        self._trained = Trained(
            params=self._layout.pack(state.params),
            gradient=aligned_zeros(self._layout.size, network.dtype),
            first=self._layout.pack(state.first_moment),
            second=self._layout.pack(state.second_moment),
            hidden=self._layout.pad_hidden(state.hidden),
        )
        self._updates = state.updates
        if objective is not None:
            _require_shape("samples", objective.samples, (len(objective.samples), network.channels))
            channels = network.channels, network.outputs
            sizes = Sizes(*channels, network.num_layers, objective.length, self._batch)
            clip = objective.gradient_clip
            self._fixed = (
                self._layout.shape,
                sizes,
                objective.washout,
                math.inf if clip is None else float(clip),
                plain(objective.samples, network.dtype),
                self._layout.places,
                self._trained,
                Buffers.of(self._layout.shape, sizes, network.dtype, training=True),
            )
            self._advance = advance.bind(*self._fixed)

    def advance(
        self,
        starts: Int[np.ndarray, "n B"],
        resets: Bool[np.ndarray, "n B"],
        learning_rates: Float[np.ndarray, " n"],
    ) -> Float[np.ndarray, " n"]:
        """See `Engine.advance`."""
        objective = require_objective(self._objective)
        require_plan(objective, starts, resets, learning_rates, rows=self._batch)
        losses = np.empty(len(starts))
        self._advance(*self._plan(starts, resets, learning_rates), losses)
        self._updates += len(starts)
        return losses

    def open_loop(
        self, samples: Float[np.ndarray, "B T D"], hidden: Hidden
    ) -> Float[np.ndarray, "B T O"]:
        """See `Engine.open_loop`."""
        steps = samples.shape[1]
        return self._run(samples, steps, steps, hidden)

    def closed_loop(
        self,
        warmup: Float[np.ndarray, "B W D"],
        steps: int,
        hidden: Hidden,
        inputs: Float[np.ndarray, "B after I"] | None = None,
    ) -> Float[np.ndarray, "B steps O"]:
        """See `Engine.closed_loop`."""
        samples, forced = free_run_samples(self._network, warmup, steps, inputs), warmup.shape[1]
        outputs = self._run(samples, forced, forced + steps - 1, hidden)
        return blank_after_divergence(outputs[:, -steps:])

    @property
    def params(self) -> Params:
        """See `Engine.params`."""
        return self._layout.unpack(self._trained.params)

    @property
    def state(self) -> TrainState:
        """See `Engine.state`."""
        return TrainState(
            params=self.params,
            first_moment=self._layout.unpack(self._trained.first),
            second_moment=self._layout.unpack(self._trained.second),
            hidden=self._layout.unpad_hidden(self._trained.hidden),
            updates=self._updates,
        )

    def is_finite(self) -> bool:
        """See `Engine.is_finite`; padding is zero."""
        trained = self._trained
        arrays = (trained.params, trained.first, trained.second, trained.hidden)
        return all(np.isfinite(array).all() for array in arrays)

    def kernel_calls(self) -> list[KernelCall]:
        """See `Engine.kernel_calls`."""
        calls = [empty_run(self._layout)]
        if self._objective is not None:
            starts, resets = np.empty((0, self._batch), np.int64), np.empty((0, self._batch), bool)
            none = np.empty(0)
            calls.insert(0, (advance, (*self._fixed, *self._plan(starts, resets, none), none)))
        return calls

    def _run(
        self, samples: Float[np.ndarray, "B given D"], forced: int, steps: int, hidden: Hidden
    ) -> Float[np.ndarray, "B steps O"]:
        """Run the network; after `forced` samples, outputs are read back."""
        rows, length, _ = samples.shape
        _require_shape("samples", samples, (rows, length, self._network.channels))
        _require_shape("hidden", hidden, self._network.zero_hidden(rows).shape)
        runner = Runner(self._layout, samples.shape, forced, steps)
        return np.ascontiguousarray(runner.run(self._trained.params, samples, hidden))

    def _plan(
        self,
        starts: Int[np.ndarray, "n B"],
        resets: Bool[np.ndarray, "n B"],
        learning_rates: Float[np.ndarray, " n"],
    ) -> tuple[Any, ...]:
        # A kernel is compiled for types: every call must have the same types.
        return (
            plain(starts, np.int64),
            plain(resets, np.bool_),
            plain(learning_rates, np.float64),
            int(self._updates),
        )


def _require_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    # Kernels check no bounds: a wrong shape would make them access other memory.
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, got {array.shape}")


def _require_state(network: Network, state: TrainState) -> int:
    """Return the batch size of a state, after checking all shapes against the network."""
    for group in ("params", "first_moment", "second_moment"):
        arrays = getattr(state, group)
        for name, shape in network.shapes.items():
            _require_shape(f"{group}: {name}", arrays[name], shape)
    _, _, rows, _ = state.hidden.shape
    _require_shape("hidden", state.hidden, network.zero_hidden(rows).shape)
    return rows
