"""What computes: the Engine protocol, and the choice of an engine for a config."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from sinernn.network import Hidden, Network, TrainState


@dataclass(frozen=True)
class Objective:
    """What is trained on: mean squared one-step error over windows of a stream of samples."""

    samples: Float[np.ndarray, "N D"]
    """Training parts of all segments laid end to end, in scaled units and the network's dtype."""

    length: int
    """Inputs T in a window; the targets are the same samples shifted by one."""

    washout: int
    """First steps that do not count, in rows whose hidden state was reset."""

    gradient_clip: float | None
    """Largest global norm of the gradient; longer ones are shortened to it."""


@runtime_checkable  # so that the tests can check annotations while they run
class Engine(Protocol):
    """A network and its training state, in whatever form computes fastest.

    An engine owns no sampler, no random generator and no schedule: all of that comes in as plans,
    so that a run begun on one engine can go on with another.
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
            resets: Where a row's hidden state becomes zero first; it is carried on elsewhere.
            learning_rates: One for each update.

        Returns:
            Mean squared errors in scaled units; NaN or infinite where training diverged.

        Raises:
            ValueError: The engine was made without an objective.
        """
        ...

    def open_loop(
        self, inputs: Float[np.ndarray, "B T D"], hidden: Hidden
    ) -> Float[np.ndarray, "B T D"]:
        """Predict one step ahead of every input, in scaled units, starting from `hidden`."""
        ...

    def closed_loop(
        self, warmup: Float[np.ndarray, "B W D"], steps: int, hidden: Hidden
    ) -> Float[np.ndarray, "B steps D"]:
        """Read the warm-up, then run freely: every output is the next input, in scaled units.

        Args:
            warmup: True samples, W >= 1.
            steps: Samples to generate, >= 1.
            hidden: Hidden state before the warm-up.

        Returns:
            Row 0 follows `warmup[:, -1]`; NaN from the first value that is not finite.
        """
        ...

    @property
    def state(self) -> TrainState:
        """A copy of the training state as it stands."""
        ...


@dataclass(frozen=True)
class EngineChoice:
    """Which engine computes, and where."""

    engine: str
    """`torch`; never `auto`."""

    device: str
    """A device that is present; never `auto`."""


def choose(engine: str, device: str, dtype: str) -> EngineChoice:
    """Turn the config's wishes into an engine and a device that are there.

    Raises:
        DeviceError: The device is not present, or cannot compute in `dtype`.
    """
    from sinernn.engines.torch_engine import present_device

    del engine  # `auto` and `torch` are one as long as there is no other
    return EngineChoice("torch", present_device(device, dtype))


def build(
    choice: EngineChoice, network: Network, state: TrainState, objective: Objective | None = None
) -> Engine:
    """Make the chosen engine; without an objective it can run the network, not train it."""
    from sinernn.engines.torch_engine import TorchEngine

    return TorchEngine(network, state, objective, device=choice.device)


def blank_after_divergence(
    outputs: Float[np.ndarray, "B steps D"],
) -> Float[np.ndarray, "B steps D"]:
    """Return the free run with NaN from each row's first step that is not finite."""
    finite = np.isfinite(outputs).all(axis=2, keepdims=True)
    return np.where(np.logical_and.accumulate(finite, axis=1), outputs, np.nan)
