"""The engine protocol, and the choice of an engine for a config."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sinernn import blas as blas  # first of all that computes
from sinernn.arrays import Bool, Float, Int
from sinernn.errors import DeviceError
from sinernn.model.cells import CELLS
from sinernn.model.network import Hidden, Network, Params, TrainState


@dataclass(frozen=True)
class Objective:
    """The training objective: mean squared one-step error over windows of a stream of samples."""

    samples: Float[np.ndarray, "N D"]
    """Training parts of all segments, concatenated, in scaled units and the network's dtype; all D
    channels are read, and the first O of them are targets."""

    length: int
    """Inputs T in a window; the targets are the same samples shifted by one."""

    washout: int
    """First steps excluded from the loss, in rows whose hidden state was reset."""

    gradient_clip: float | None
    """Maximum global norm of the gradient; a larger one is scaled down to it."""


KernelCall = tuple[Any, tuple[Any, ...]]
"""A kernel (`engines.fused.native.Kernel`), with arguments of the types it is compiled for."""


@runtime_checkable  # so that the tests can check annotations while they run
class Engine(Protocol):
    """A network and its training state, in the form that the engine computes with.

    An engine has no sampler, random generator or schedule: it receives plans, so that a run can
    continue on another engine.
    """

    def advance(
        self,
        starts: Int[np.ndarray, "n B"],
        resets: Bool[np.ndarray, "n B"],
        learning_rates: Float[np.ndarray, " n"],
    ) -> Float[np.ndarray, " n"]:
        """Run n updates of Adam and return the loss before each of them.

        Cutting a plan into pieces changes no bit of the result.

        Args:
            starts: Position of each window's first input in the objective's samples.
            resets: Whether a row's hidden state is set to zero first; otherwise it is carried.
            learning_rates: One for each update.

        Returns:
            Mean squared errors in scaled units; NaN or infinite where training diverged.

        Raises:
            ValueError: The engine was made without an objective, or the plan does not fit it.
        """
        ...

    def open_loop(
        self, samples: Float[np.ndarray, "B T D"], hidden: Hidden
    ) -> Float[np.ndarray, "B T O"]:
        """Predict one step ahead of every sample, in scaled units, starting from `hidden`."""
        ...

    def closed_loop(
        self,
        warmup: Float[np.ndarray, "B W D"],
        steps: int,
        hidden: Hidden,
        inputs: Float[np.ndarray, "B after I"] | None = None,
    ) -> Float[np.ndarray, "B steps O"]:
        """Read the warm-up, then run freely: every output is read back, in scaled units.

        Args:
            warmup: True samples, W >= 1.
            steps: Samples to generate, >= 1.
            hidden: Hidden state before the warm-up.
            inputs: True inputs after the warm-up, of steps - 1 samples or more: the output of a
                step and its inputs are the next sample. None if the network has none.

        Returns:
            Row 0 follows `warmup[:, -1]`; NaN from the first value that is not finite.

        Raises:
            ValueError: `warmup` is empty, `steps` < 1, or the inputs are not those of the network.
        """
        ...

    def kernel_calls(self) -> list[KernelCall]:
        """Return calls that compile the engine's kernels, the slowest first.

        Compilation takes seconds, once on a machine; without it the first calls compile.
        """
        ...

    @property
    def params(self) -> Params:
        """A copy of the current weights."""
        ...

    @property
    def state(self) -> TrainState:
        """A copy of the current training state."""
        ...

    def is_finite(self) -> bool:
        """Whether every number of the training state is finite."""
        ...


@dataclass(frozen=True)
class EngineChoice:
    """Which engine computes, and where."""

    engine: str
    """`fused` or `torch`; never `auto`."""

    device: str
    """A device that is present; never `auto`."""


FUSED_LIMIT = 1_000_000
"""Recurrent weights of a layer at which torch becomes as fast on the CPU; and these times the rows
of a batch, at which it does on CUDA."""


def choose(engine: str, device: str, network: Network, *, rows: int = 1) -> EngineChoice:
    """Resolve `auto` to an available engine and device.

    The engine is chosen first: the fused one runs on the CPU, and torch, which takes a second to
    load, is loaded only for a named accelerator or for work on which it may be faster.

    Args:
        engine: `auto`, `fused` or `torch`.
        device: `auto` or a device.
        network: The architecture.
        rows: Sequences that are computed at once.

    Without PyTorch, `auto` is the fused engine on the CPU.

    Raises:
        DeviceError: The device is not present, or cannot compute in the network's dtype; or this
            takes PyTorch, which is not installed or cannot be loaded.
        ValueError: The fused engine is asked for an accelerator, which the config forbids.
    """
    fused, on_processor = EngineChoice("fused", "cpu"), device in ("auto", "cpu")
    if engine == "fused" and not on_processor:
        raise ValueError(f"the fused engine computes on the CPU, not on {device}")
    prefers_fused = engine == "auto" and on_processor and is_faster_fused(network)
    if engine == "fused" or (
        prefers_fused and (device == "cpu" or not is_faster_on_cuda(network, rows))
    ):
        return fused
    if engine == "auto" and on_processor and find_spec("torch") is None:
        return fused
    present = load_torch_engine().present_device(device, network.dtype)
    choice = EngineChoice("torch", present)
    return fused if prefers_fused and not choice.device.startswith("cuda") else choice


def load_torch_engine() -> Any:
    """Import the module of the torch engine, which is optional: the fused one does not need it.

    Raises:
        DeviceError: PyTorch is not installed, or cannot be loaded.
    """
    try:
        from sinernn.engines import torch_engine
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            why, remedy = "is not installed", "install it with: pip install torch"
        else:
            why, remedy = f"cannot be loaded ({error})", "reinstall it"
        message = f"engine: torch needs PyTorch, which {why}; {remedy}"
        raise DeviceError(f"{message}; or use engine=fused device=cpu") from error
    return torch_engine


def is_faster_fused(network: Network) -> bool:
    """Whether the fused engine is assumed to be faster on the CPU.

    In benchmarks/engines.md, measured by benchmarks/engines.py, it is faster up to 512 units,
    except for the LSTM of 512, where both are about equal. This was measured in float32, with one
    layer, batches up to 64 and windows of 49 (and 490 at batch 1); elsewhere it is a guess.
    """
    return _recurrent_weights(network) < FUSED_LIMIT


def is_faster_on_cuda(network: Network, rows: int) -> bool:
    """Whether training is assumed to be faster on CUDA than with the fused engine.

    Measured on an H200 for rnn_tanh and lstm in float32 (benchmarks/engines.md): as fast at half a
    million to two million products of a step's rows and recurrent weights, and faster beyond. Many
    devices compute float64 slowly, which therefore stays on the CPU.
    """
    return network.dtype == "float32" and rows * _recurrent_weights(network) >= FUSED_LIMIT


def _recurrent_weights(network: Network) -> int:
    return CELLS[network.cell].gates * network.hidden_size**2


def build(
    choice: EngineChoice, network: Network, state: TrainState, objective: Objective | None = None
) -> Engine:
    """Build the chosen engine; without an objective it can run the network but not train it."""
    if choice.engine == "fused":
        from sinernn.engines.fused.engine import FusedEngine

        return FusedEngine(network, state, objective)
    engine: Engine = load_torch_engine().TorchEngine(
        network, state, objective, device=choice.device
    )
    return engine


def require_objective(objective: Objective | None) -> Objective:
    """Return the objective, which an engine needs to train.

    Raises:
        ValueError: There is none.
    """
    if objective is None:
        raise ValueError("this engine was made without an objective, so it cannot train")
    return objective


def require_plan(
    objective: Objective,
    starts: Int[np.ndarray, "n B"],
    resets: Bool[np.ndarray, "n B"],
    learning_rates: Float[np.ndarray, " n"],
    *,
    rows: int,
) -> None:
    """Check that a plan fits a batch of `rows` and stays within the samples.

    Raises:
        ValueError: It does not, or its arrays have the wrong type.
    """
    if objective.length < 1:
        raise ValueError(f"a window needs an input, got the length {objective.length}")
    if not np.issubdtype(starts.dtype, np.integer) or resets.dtype != bool:
        raise ValueError(
            f"starts must be whole numbers and resets bool, got {starts.dtype} and {resets.dtype}"
        )
    shape = (len(learning_rates), rows)
    if starts.shape != shape or resets.shape != shape:
        raise ValueError(
            f"starts {starts.shape} and resets {resets.shape} must both be {shape}: "
            "learning rates by rows of the hidden state"
        )
    last = len(objective.samples) - objective.length - 1
    if starts.size and not 0 <= starts.min() <= starts.max() <= last:
        raise ValueError(f"windows start in 0..{last}, got {starts.min()}..{starts.max()}")


def free_run_samples(
    network: Network,
    warmup: Float[np.ndarray, "B W D"],
    steps: int,
    inputs: Float[np.ndarray, "B after I"] | None,
) -> Float[np.ndarray, "B given D"]:
    """Return the warm-up and the samples that a free run reads after it, with 0 for the outputs.

    Raises:
        ValueError: The warm-up or the steps are missing, or the inputs are not the network's.
    """
    if warmup.shape[1] < 1 or steps < 1:
        raise ValueError(f"needs a warm-up and a step, got {warmup.shape[1]} and {steps}")
    rows, after, found = (len(warmup), 0, 0) if inputs is None else inputs.shape
    if found != network.inputs or rows != len(warmup) or (inputs is not None and after < steps - 1):
        raise ValueError(
            f"{steps} steps of {len(warmup)} rows need inputs of the shape "
            f"{(len(warmup), steps - 1, network.inputs)}, got {(rows, after, found)}"
        )
    if inputs is None:
        return warmup
    outputs = np.zeros((rows, steps - 1, network.outputs), inputs.dtype)
    return np.concatenate([warmup, np.concatenate([outputs, inputs[:, : steps - 1]], 2)], 1)


def blank_after_divergence(
    outputs: Float[np.ndarray, "B steps O"],
) -> Float[np.ndarray, "B steps O"]:
    """Return the free run with NaN from each row's first step that is not finite."""
    finite = np.isfinite(outputs).all(axis=2, keepdims=True)
    return np.where(np.logical_and.accumulate(finite, axis=1), outputs, np.nan)
