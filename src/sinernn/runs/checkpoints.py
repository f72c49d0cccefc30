"""Checkpoints: a training state as one safetensors file, checked against its network when read."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import Field
from pydantic_core import from_json
from safetensors.numpy import save

from sinernn.arrays import Float
from sinernn.data.windows import Scale
from sinernn.errors import RunFileError, printable
from sinernn.evaluation.metrics import finite
from sinernn.model.cells import CellName
from sinernn.model.network import Network, RefineState, TrainState
from sinernn.runs.files import FORMAT, ArraysFile, contiguous, damaged, require_format, validated
from sinernn.schema import Section

METADATA_KEY = "sinernn.checkpoint"
PREFIXES = {
    "params": "",
    "first_moment": "adam.first_moment.",
    "second_moment": "adam.second_moment.",
}
"""Prefix of the names of a training state's arrays that have one for every parameter."""

SectionT = TypeVar("SectionT", bound=Section)


@dataclass(frozen=True)
class Checkpoint:
    """A training state with all that is needed to run the network and to continue its training."""

    network: Network
    state: TrainState
    scale: Scale
    """Between the series' own units and the network's."""

    losses: Float[np.ndarray, " n"] = field(default_factory=lambda: np.empty(0))
    """Losses of the updates since the last row of the metrics."""

    closed_loop_rmse: float | None = None
    """On the validation part; None for a checkpoint that was not selected by it."""


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as a safetensors file; equal checkpoints give equal bytes."""
    state = checkpoint.state
    tensors = {
        **{
            prefix + name: array
            for group, prefix in PREFIXES.items()
            for name, array in getattr(state, group).items()
        },
        "hidden": state.hidden,
        "losses": checkpoint.losses,
    }
    if state.refine is not None:
        tensors["refine.theta"] = state.refine.theta
        tensors["refine.best_theta"] = state.refine.best_theta
    return save(contiguous(tensors), _metadata(checkpoint))


def model_bytes(checkpoint: Checkpoint) -> bytes:
    """Return the weights alone as a safetensors file, which torch loads as they are."""
    return save(contiguous(checkpoint.state.params), _metadata(checkpoint))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, and check every array against the network in its metadata.

    Names, shapes and types are compared before any array is read, so that no more memory is taken
    than the file has bytes.

    Raises:
        RunFileError: It is missing, damaged, or from a future version.
    """
    file = ArraysFile(path)
    facts = read_metadata(path, file.metadata.get(METADATA_KEY, ""), _Facts, "checkpoint")
    network = facts.network.network()
    if wrong := _misfit(file, network, facts):
        raise damaged(path, wrong)
    arrays = file.read()
    if wrong := next((name for name in arrays if not np.isfinite(arrays[name]).all()), None):
        raise damaged(path, f"{wrong} holds NaN or infinity")
    groups = {
        group: {name: arrays[prefix + name] for name in network.shapes}
        for group, prefix in PREFIXES.items()
    }
    refine = None
    if facts.refine is not None:
        given = dict(facts.refine)
        if facts.refine.best_error is None:
            given["best_error"] = float("inf")
        refine = RefineState(
            theta=arrays["refine.theta"], best_theta=arrays["refine.best_theta"], **given
        )
    state = TrainState(**groups, hidden=arrays["hidden"], updates=facts.updates, refine=refine)
    scale = Scale(np.array(facts.scale.mean, float), np.array(facts.scale.std, float))
    return Checkpoint(network, state, scale, arrays["losses"], facts.closed_loop_rmse)


class NetworkFacts(Section):
    """A `Network`; the bounds, larger than any config's, keep numbers computed from it small."""

    cell: CellName
    channels: int = Field(ge=1, le=1_000_000)
    hidden_size: int = Field(ge=1, le=1_000_000)
    num_layers: int = Field(ge=1, le=1000)
    dtype: Literal["float32", "float64"]
    inputs: int = Field(default=0, ge=0)
    """Of the channels, those that are not predicted; written if there are any."""

    @classmethod
    def of(cls, network: Network) -> dict[str, Any]:
        """Return a network's facts."""
        facts = cls(**{name: getattr(network, name) for name in cls.model_fields})
        return facts.model_dump(exclude_defaults=True)

    def network(self) -> Network:
        """Return the network."""
        facts = self.model_dump(exclude={"channels"})
        return Network(outputs=self.channels - self.inputs, **facts)


class _ScaleFacts(Section):
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


class _RefineFacts(Section):
    stage: int = Field(ge=0)
    iteration: int = Field(ge=-1)
    step: int = Field(ge=0)
    damping: float = Field(ge=0)
    best_error: Annotated[float, Field(ge=0)] | None
    """None for infinity, the error of a diverged free run, which JSON cannot represent."""


class _Facts(Section):
    """Metadata of a checkpoint."""

    format: Literal[1]
    network: NetworkFacts
    updates: int = Field(ge=0, lt=2**63)
    scale: _ScaleFacts
    closed_loop_rmse: Annotated[float, Field(ge=0)] | None
    refine: _RefineFacts | None = None


def read_metadata(path: Path, text: str, kind: type[SectionT], what: str) -> SectionT:
    """Return the metadata of a safetensors file, from its JSON text.

    Args:
        path: The file.
        text: Empty if there is none.
        kind: What it must be.
        what: Name of such a file in a message.

    Raises:
        RunFileError: The file is damaged, from a future version, or not of sinernn.
    """
    try:
        facts = from_json(text)
        version = facts["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise RunFileError(f"{path}: is not a {what} of sinernn") from error
    require_format(path, version)
    return validated(path, kind, facts)


def _misfit(file: ArraysFile, network: Network, facts: _Facts) -> str | None:
    """Return what is wrong with the arrays of a file as a checkpoint of a network, if anything."""
    if not len(facts.scale.mean) == len(facts.scale.std) == network.channels:
        return "scale has another number of channels than the network"
    expected = {
        prefix + name: (shape, network.dtype)
        for name, shape in network.shapes.items()
        for prefix in PREFIXES.values()
    }
    if facts.refine is not None:
        parameters = ((network.parameter_count,), "float64")
        expected |= {"refine.theta": parameters, "refine.best_theta": parameters}
    states, layers, *_, size = network.zero_hidden(0).shape
    rows = file.shapes.get("hidden", (0, 0, 0))[2:3]
    expected["hidden"] = ((states, layers, *rows, size), network.dtype)
    expected["losses"] = (file.shapes.get("losses", ())[:1] or (0,), "float64")
    for name in expected:
        if name not in file.shapes:
            return f"{name} is missing"
    for name, shape in file.shapes.items():
        found = f"{printable(name, 60)} is {file.dtypes[name] or 'of another type'}{list(shape)}"
        if name not in expected or (shape, file.dtypes[name]) != expected[name]:
            return f"{found}, not the network's"
        if 0 in shape and name != "losses":
            return f"{found}, and empty"
    return None


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    # One key: safetensors writes several in any order, and equal states must give equal bytes.
    facts = {
        "format": FORMAT,
        "network": NetworkFacts.of(checkpoint.network),
        "updates": checkpoint.state.updates,
        "scale": {"mean": checkpoint.scale.mean.tolist(), "std": checkpoint.scale.std.tolist()},
        "closed_loop_rmse": checkpoint.closed_loop_rmse,
    }
    if (refine := checkpoint.state.refine) is not None:
        facts["refine"] = {name: getattr(refine, name) for name in _RefineFacts.model_fields}
        facts["refine"]["best_error"] = finite(refine.best_error)
    return {METADATA_KEY: json.dumps(facts, allow_nan=False)}
