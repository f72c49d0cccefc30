"""The reference engine: PyTorch's own layers, autograd and Adam, on any device PyTorch reaches."""

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sinernn.arrays import Bool, Float, Int
from sinernn.engines import (
    KernelCall,
    Objective,
    blank_after_divergence,
    free_run_samples,
    require_objective,
    require_plan,
)
from sinernn.errors import DeviceError
from sinernn.model.cells import CELLS
from sinernn.model.network import Hidden, Network, Params, TrainState

CUBLAS_WORKSPACE = ":4096:8"
"""One of the two values with which cuBLAS is deterministic (cuBLAS manual, "Results
reproducibility"; the note of `torch.use_deterministic_algorithms`)."""


TORCH_LAYERS: dict[str, Callable[..., nn.Module]] = {
    "rnn_tanh": partial(nn.RNN, nonlinearity="tanh"),
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}


class RecurrentNetwork(nn.Module):
    """Recurrent layers and a linear read-out at every step; parameter names as in `Network`."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        sizes = (network.channels, network.hidden_size, network.num_layers)
        if network.cell in TORCH_LAYERS:
            self.rnn = TORCH_LAYERS[network.cell](*sizes, batch_first=True)
        else:
            self.rnn = CellLayers(network)
        self.readout = nn.Linear(network.hidden_size, network.outputs)

    def forward(self, inputs: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Map inputs [B, T, D] and hidden [S, L, B, H] to outputs [B, T, O] and the last hidden."""
        is_single = len(hidden) == 1  # h; else (h, c)
        states, after = self.rnn(inputs, hidden[0] if is_single else tuple(hidden))
        return self.readout(states), torch.stack((after,) if is_single else after)


class CellLayers(nn.Module):
    """Layers of a cell that PyTorch lacks, from its `forward` alone: autograd does the rest."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network, self._cell = network, CELLS[network.cell]
        for name, shape in network.shapes.items():
            layer, _, parameter = name.partition(".")
            if layer == "rnn":
                self.register_parameter(parameter, nn.Parameter(torch.empty(shape)))

    def forward(self, inputs: Tensor, before: Any) -> tuple[Tensor, Any]:
        """Map inputs [B, T, D] and h, or (h, c), [L, B, H] to h [B, T, H] and the last of them."""
        hidden = torch.stack((before,) if self._cell.states == 1 else before)
        sequence, last = inputs, list[Tensor]()
        for layer in range(self._network.num_layers):
            h, c, steps = hidden[0, layer], hidden[-1, layer], list[Tensor]()
            for t in range(sequence.shape[1]):
                h, c = self._step(layer, sequence[:, t], h, c)
                steps.append(h)
            sequence = torch.stack(steps, dim=1)
            last.append(torch.stack((h, c)[: self._cell.states]))
        after = torch.stack(last, dim=1)  # [S, L, B, H]
        return sequence, after[0] if len(after) == 1 else tuple(after)

    def _step(self, layer: int, inputs: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        cell, named = self._cell, dict(self.named_parameters())
        slots: list[Any] = [0.0] * cell.slots
        for kind, read, order, first in (
            ("ih", inputs, cell.input_order, 0),
            ("hh", h, cell.hidden_order, cell.slots - cell.gates),
        ):
            weight, bias = named[f"weight_{kind}_l{layer}"], named[f"bias_{kind}_l{layer}"]
            blocks = nn.functional.linear(read, weight, bias).chunk(cell.gates, dim=-1)
            for place, gate in enumerate(order):
                slots[first + place] = slots[first + place] + blocks[gate]
        _, h, c = cell.forward(slots, h, c)
        return h, c


class TorchEngine:
    """See `sinernn.engines.Engine`."""

    def __init__(
        self,
        network: Network,
        state: TrainState,
        objective: Objective | None = None,
        *,
        device: str,
    ) -> None:
        self._device = torch.device(device)
        if self._device.type == "cuda":
            # Read when cuBLAS starts; deterministic algorithms refuse to run without it.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS_WORKSPACE)
        self._dtype = getattr(torch, network.dtype)
        self._network = network
        self._rows, self._updates = state.hidden.shape[2], state.updates
        self._objective = objective
        with self._computing():
            self._module = RecurrentNetwork(network).to(self._device, self._dtype)
            self._module.load_state_dict(
                {name: torch.tensor(value) for name, value in state.params.items()}
            )
            self._hidden = self._tensor(state.hidden)
            self._samples = self._tensor(objective.samples) if objective else None
            self._adam = torch.optim.Adam(self._module.parameters())
            for name, parameter in self._module.named_parameters():
                self._adam.state[parameter] = {
                    "step": torch.tensor(float(state.updates)),
                    "exp_avg": self._tensor(state.first_moment[name]),
                    "exp_avg_sq": self._tensor(state.second_moment[name]),
                }

    def advance(
        self,
        starts: Int[np.ndarray, "n B"],
        resets: Bool[np.ndarray, "n B"],
        learning_rates: Float[np.ndarray, " n"],
    ) -> Float[np.ndarray, " n"]:
        """See `Engine.advance`."""
        objective = require_objective(self._objective)
        require_plan(objective, starts, resets, learning_rates, rows=self._hidden.shape[2])
        assert self._samples is not None
        steps = torch.arange(objective.length + 1)  # the window and its last target
        losses: list[Tensor] = []
        with self._computing():
            positions = (torch.tensor(starts)[:, :, None] + steps).to(self._device)  # [n, B, T + 1]
            for position, reset, rate in zip(positions, resets, learning_rates, strict=True):
                losses.append(self._update(self._samples[position], reset, float(rate)))
        self._updates += len(losses)
        return torch.stack(losses).cpu().double().numpy() if losses else np.empty(0)

    def _update(
        self, window: Tensor, reset: Bool[np.ndarray, " B"], learning_rate: float
    ) -> Tensor:
        assert self._objective is not None
        if reset.any():
            mask = torch.tensor(reset, device=self._device)[:, None]  # [B, 1]
            self._hidden = self._hidden.masked_fill(mask, 0.0)
        outputs, hidden = self._module(window[:, :-1], self._hidden)
        loss = self._loss(outputs, window[:, 1:, : self._network.outputs], reset)
        self._adam.zero_grad()
        loss.backward()
        if self._objective.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self._module.parameters(), self._objective.gradient_clip)
        self._adam.param_groups[0]["lr"] = learning_rate
        self._adam.step()
        self._hidden = hidden.detach()
        return loss.detach()

    def _loss(self, outputs: Tensor, targets: Tensor, reset: Bool[np.ndarray, " B"]) -> Tensor:
        assert self._objective is not None
        if self._objective.washout == 0 or not reset.any():
            return nn.functional.mse_loss(outputs, targets)
        counts = np.ones(targets.shape[:2], dtype=bool)  # [B, T]
        counts[reset, : self._objective.washout] = False
        mask = torch.tensor(counts, device=self._device)
        return nn.functional.mse_loss(outputs[mask], targets[mask])

    def open_loop(
        self, samples: Float[np.ndarray, "B T D"], hidden: Hidden
    ) -> Float[np.ndarray, "B T O"]:
        """See `Engine.open_loop`."""
        with torch.inference_mode(), self._computing():
            outputs, _ = self._module(self._tensor(samples), self._tensor(hidden))
        return outputs.cpu().numpy()

    def closed_loop(
        self,
        warmup: Float[np.ndarray, "B W D"],
        steps: int,
        hidden: Hidden,
        inputs: Float[np.ndarray, "B after I"] | None = None,
    ) -> Float[np.ndarray, "B steps O"]:
        """See `Engine.closed_loop`."""
        given, forced = free_run_samples(self._network, warmup, steps, inputs), warmup.shape[1]
        with torch.inference_mode(), self._computing():
            samples = self._tensor(given)
            outputs, state = self._module(samples[:, :forced], self._tensor(hidden))
            free_run = [outputs[:, -1:]]
            for step in range(forced, forced + steps - 1):
                sample = free_run[-1]
                if inputs is not None:
                    known = samples[:, step : step + 1, self._network.outputs :]
                    sample = torch.cat([sample, known], dim=2)
                output, state = self._module(sample, state)
                free_run.append(output)
        return blank_after_divergence(torch.cat(free_run, dim=1).cpu().numpy())

    @property
    def params(self) -> Params:
        """See `Engine.params`."""
        return {name: _array(parameter) for name, parameter in self._module.named_parameters()}

    @property
    def state(self) -> TrainState:
        """See `Engine.state`."""
        named = dict(self._module.named_parameters())
        moments = {name: self._adam.state[parameter] for name, parameter in named.items()}
        return TrainState(
            params=self.params,
            first_moment={name: _array(each["exp_avg"]) for name, each in moments.items()},
            second_moment={name: _array(each["exp_avg_sq"]) for name, each in moments.items()},
            hidden=_array(self._hidden),
            updates=self._updates,
        )

    def is_finite(self) -> bool:
        """See `Engine.is_finite`."""
        return self.state.is_finite()

    def kernel_calls(self) -> list[KernelCall]:
        """See `Engine.kernel_calls`; there is nothing to compile."""
        return []

    @contextmanager
    def _computing(self) -> Generator[None]:
        """Compute with the same bits each time; report what does not fit into the device.

        Raises:
            DeviceError: The device's memory is full.
        """
        with _reproducible:
            try:
                yield
            except torch.OutOfMemoryError as error:
                raise DeviceError(
                    f"device: {self._device} has not enough free memory for batches of "
                    f"{self._rows} with {self._network.hidden_size} hidden units; "
                    "set device=cpu, or reduce windows.batch_size, windows.length or "
                    "model.hidden_size"
                ) from error

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.tensor(array, dtype=self._dtype, device=self._device)


def present_devices() -> list[str]:
    """Return the devices that PyTorch can use, the one that `auto` prefers first."""
    found = list[str]()
    if torch.cuda.is_available():
        found += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def present_device(device: str, dtype: str) -> str:
    """Return `device` if it is present; for `auto` the best one: CUDA, then MPS, then CPU.

    Raises:
        DeviceError: The device is not present, or cannot compute in `dtype`.
    """
    present = present_devices()
    able = [name for name in present if name != "mps" or dtype != "float64"]  # MPS has no float64
    if device == "auto":
        return able[0]
    if device in present and device not in able:
        raise DeviceError(f"device: mps cannot compute in {dtype}; set dtype=float32 or device=cpu")
    if device not in present and not (device == "cuda" and "cuda:0" in present):
        raise DeviceError(f"device: {device} is not present; present: {', '.join(present)}")
    return device


class _Reproducible:
    """Same bits in every run, for any number of threads, and float32 that is float32.

    The number of threads is a setting of each Python thread. Deterministic algorithms are a setting
    of the process, as is TF32, with 10 bits of precision, which cuDNN's recurrent layers would use:
    set while any engine computes, and restored after the last one.
    """

    def __init__(self) -> None:
        self._lock, self._users, self._before = threading.Lock(), 0, (False, False, True)
        self._own = threading.local()

    def __enter__(self) -> None:
        self._own.threads = torch.get_num_threads()
        torch.set_num_threads(1)  # also the fastest for networks this small
        with self._lock:
            if self._users == 0:
                self._before = (
                    torch.are_deterministic_algorithms_enabled(),
                    torch.is_deterministic_algorithms_warn_only_enabled(),
                    torch.backends.cudnn.allow_tf32,
                )
                torch.use_deterministic_algorithms(True)
                torch.backends.cudnn.allow_tf32 = False
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                is_deterministic, only_warns, torch.backends.cudnn.allow_tf32 = self._before
                torch.use_deterministic_algorithms(is_deterministic, warn_only=only_warns)
        torch.set_num_threads(self._own.threads)


_reproducible = _Reproducible()


def _array(tensor: Tensor) -> np.ndarray:
    """Return a copy of a tensor."""
    return np.array(tensor.detach().cpu().numpy())
