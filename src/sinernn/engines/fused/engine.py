"""The engine in compiled loops: the Engine protocol outside, padded flat arrays inside."""

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from sinernn.engines import (
    Objective,
    blank_after_divergence,
    require_free_run,
    require_objective,
    require_plan,
)
from sinernn.engines.fused.cache import is_compiled
from sinernn.engines.fused.kernels import advance, run
from sinernn.engines.fused.layout import Layout, zeros
from sinernn.engines.fused.memory import Buffers, Sizes, Trained
from sinernn.engines.fused.shape import Shape
from sinernn.network import Hidden, Network, TrainState


class FusedEngine:
    """See `sinernn.engines.Engine`; one core, and other threads of the process go on meanwhile."""

    def __init__(
        self, network: Network, state: TrainState, objective: Objective | None = None
    ) -> None:
        self._network, self._objective = network, objective
        self._batch = _require_state(network, state)
        self._layout = Layout(network)
        self._trained = Trained(
            params=self._layout.pack(state.params),
            gradient=zeros(self._layout.size, network.dtype),
            first=self._layout.pack(state.first_moment),
            second=self._layout.pack(state.second_moment),
            hidden=self._layout.pad_hidden(state.hidden),
        )
        self._updates = state.updates
        if objective is not None:
            _require_shape("samples", objective.samples, (len(objective.samples), network.channels))
            self._samples = _plain(objective.samples, network.dtype)
            self._sizes = self._sizes_of(objective.length, self._batch)
            self._buffers = make_buffers(
                self._layout.shape, self._sizes, network.dtype, training=True
            )

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
        advance(*self._advance_arguments(objective, starts, resets, learning_rates, losses))
        self._updates += len(starts)
        return losses

    def open_loop(
        self, inputs: Float[np.ndarray, "B T D"], hidden: Hidden
    ) -> Float[np.ndarray, "B T D"]:
        """See `Engine.open_loop`."""
        return self._run(inputs, inputs.shape[1], hidden)

    def closed_loop(
        self, warmup: Float[np.ndarray, "B W D"], steps: int, hidden: Hidden
    ) -> Float[np.ndarray, "B steps D"]:
        """See `Engine.closed_loop`."""
        require_free_run(warmup, steps)
        outputs = self._run(warmup, warmup.shape[1] + steps - 1, hidden)
        return blank_after_divergence(outputs[:, -steps:])

    @property
    def state(self) -> TrainState:
        """See `Engine.state`."""
        return TrainState(
            params=self._layout.unpack(self._trained.params),
            first_moment=self._layout.unpack(self._trained.first),
            second_moment=self._layout.unpack(self._trained.second),
            hidden=self._layout.unpad_hidden(self._trained.hidden),
            updates=self._updates,
        )

    @property
    def needs_compiling(self) -> bool:
        """See `Engine.needs_compiling`."""
        return not all(is_compiled(kernel, *arguments) for kernel, arguments in self._empty_calls())

    def compile(self) -> None:
        """See `Engine.compile`."""
        for kernel, arguments in self._empty_calls():
            kernel(*arguments)

    def _empty_calls(self) -> list[tuple[Any, tuple[Any, ...]]]:
        """Kernels, with arguments of the right types that ask for nothing."""
        nothing = np.empty((self._batch, 0, self._network.channels), self._network.dtype)
        calls = [(run, self._run_arguments(nothing, 0, self._trained.hidden))]
        if self._objective is not None:
            starts, resets = np.empty((0, self._batch), np.int64), np.empty((0, self._batch), bool)
            none = np.empty(0)
            arguments = self._advance_arguments(self._objective, starts, resets, none, none)
            calls.append((advance, arguments))
        return calls

    def _run(
        self, inputs: Float[np.ndarray, "B W D"], steps: int, hidden: Hidden
    ) -> Float[np.ndarray, "B steps D"]:
        """Run the network; where inputs end, outputs become inputs."""
        rows, length, _ = inputs.shape
        _require_shape("inputs", inputs, (rows, length, self._network.channels))
        _require_shape("hidden", hidden, self._network.zero_hidden(rows).shape)
        arguments = self._run_arguments(inputs, steps, self._layout.pad_hidden(hidden))
        run(*arguments)
        return np.ascontiguousarray(arguments[-1].transpose(1, 0, 2))

    def _advance_arguments(
        self,
        objective: Objective,
        starts: Int[np.ndarray, "n B"],
        resets: Bool[np.ndarray, "n B"],
        learning_rates: Float[np.ndarray, " n"],
        losses: Float[np.ndarray, " n"],
    ) -> tuple[Any, ...]:
        # A kernel is compiled for types: every call must bring the same.
        return (
            self._layout.shape,
            self._sizes,
            objective.washout,
            math.inf if objective.gradient_clip is None else float(objective.gradient_clip),
            self._samples,
            _plain(starts, np.int64),
            _plain(resets, np.bool_),
            _plain(learning_rates, np.float64),
            int(self._updates),
            self._layout.places,
            self._trained,
            self._buffers,
            losses,
        )

    def _run_arguments(
        self, inputs: Float[np.ndarray, "B W D"], steps: int, hidden: np.ndarray
    ) -> tuple[Any, ...]:
        inputs = _plain(inputs.transpose(1, 0, 2), self._network.dtype)
        sizes = self._sizes_of(1, inputs.shape[1])
        return (
            self._layout.shape,
            sizes,
            inputs,
            np.zeros(sizes.batch, np.bool_),
            self._layout.places,
            self._trained.params,
            hidden,
            make_buffers(self._layout.shape, sizes, self._network.dtype, training=False),
            np.empty((steps, sizes.batch, sizes.channels), self._network.dtype),
        )

    def _sizes_of(self, steps: int, batch: int) -> Sizes:
        return Sizes(self._network.channels, self._network.num_layers, steps, batch)


def _plain(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Return the array, copied if need be, as what numba takes for one and the same type."""
    return np.require(array, dtype, ["C", "ALIGNED", "WRITEABLE", "ENSUREARRAY"])


def _require_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    # Kernels check no bounds: a wrong shape would read another's memory.
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, got {array.shape}")


def _require_state(network: Network, state: TrainState) -> int:
    """Return the rows of a state's batch, once all its shapes are the network's."""
    for group in ("params", "first_moment", "second_moment"):
        arrays = getattr(state, group)
        for name, shape in network.shapes.items():
            _require_shape(f"{group}: {name}", arrays[name], shape)
    _, _, rows, _ = state.hidden.shape
    _require_shape("hidden", state.hidden, network.zero_hidden(rows).shape)
    return rows


def make_buffers(shape: Shape, sizes: Sizes, dtype: str, *, training: bool) -> Buffers:
    """Return working memory; without training, none for the backward pass."""
    rows, backward = sizes.steps * sizes.batch, 1 if training else 0
    buffers = Buffers(
        window=zeros((rows + sizes.batch) * sizes.channels, dtype),
        bias=zeros(sizes.layers * shape.slots, dtype),
        slots=zeros(sizes.layers * rows * shape.slots, dtype),
        states=zeros(shape.states * sizes.layers * (rows + sizes.batch) * shape.hidden, dtype),
        outputs=zeros(rows * sizes.channels, dtype),
        upper=zeros(backward * rows * shape.hidden, dtype),
        carry=zeros(backward * 2 * sizes.batch * shape.hidden, dtype),
        mirror=zeros(backward * 2 * sizes.layers * shape.gates * shape.hidden_step, dtype),
        constants=zeros(1 + shape.slots, dtype),
    )
    buffers.constants[0] = 1
    return buffers
