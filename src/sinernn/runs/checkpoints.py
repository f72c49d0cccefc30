"""Checkpoints: a training state as one safetensors file, held against its network when read."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field
from pydantic_core import from_json
from safetensors.numpy import save

from sinernn.data.windows import Scale
from sinernn.errors import RunFileError, printable
from sinernn.model.cells import CellName
from sinernn.model.network import Network, Params, RefineState, TrainState
from sinernn.runs.files import ArraysFile, contiguous, damaged, require_format, validated
from sinernn.schema import Section

METADATA_KEY = "sinernn.checkpoint"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """A training state with all that is needed to run the network and to go on training it."""

    network: Network
    state: TrainState
    scale: Scale
    """Between the series' own units and the network's."""

    losses: Float[np.ndarray, " n"]
    """Losses of the updates since the last row of the metrics."""

    closed_loop_rmse: float | None
    """On the validation part, where the checkpoint was chosen by it."""


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as a safetensors file; equal checkpoints give equal bytes."""
    state = checkpoint.state
    tensors = {
        **state.params,
        **{f"adam.first_moment.{name}": value for name, value in state.first_moment.items()},
        **{f"adam.second_moment.{name}": value for name, value in state.second_moment.items()},
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
    """Read a checkpoint, and hold every array against the network it claims to be.

    Names, shapes and types are compared before any array is read, so that no more memory is taken
    than the file has bytes.

    Raises:
        RunFileError: It is missing, damaged, or from a future version.
    """
    file = ArraysFile(path)
    facts = _read_facts(path, file.metadata.get(METADATA_KEY, ""))
    network = Network(**dict(facts.network))
    if wrong := _misfit(file, network, facts):
        raise damaged(path, wrong)
    arrays = file.read()
    if wrong := next((name for name in arrays if not np.isfinite(arrays[name]).all()), None):
        raise damaged(path, f"{wrong} holds NaN or infinity")

    def group(prefix: str) -> Params:
        return {name: arrays[prefix + name] for name in network.shapes}

    state = TrainState(
        params=group(""),
        first_moment=group("adam.first_moment."),
        second_moment=group("adam.second_moment."),
        hidden=arrays["hidden"],
        updates=facts.updates,
    )
    if facts.refine is not None:
        given = dict(facts.refine)
        if given["best_error"] is None:
            given["best_error"] = math.inf
        state.refine = RefineState(
            theta=arrays["refine.theta"], best_theta=arrays["refine.best_theta"], **given
        )
    scale = Scale(np.array(facts.scale.mean, float), np.array(facts.scale.std, float))
    return Checkpoint(network, state, scale, arrays["losses"], facts.closed_loop_rmse)


class _NetworkFacts(Section):
    """A `Network`; its bounds keep what is computed of it small, and are beyond any config's."""

    cell: CellName
    channels: int = Field(ge=1, le=1_000_000)
    hidden_size: int = Field(ge=1, le=1_000_000)
    num_layers: int = Field(ge=1, le=1000)
    dtype: Literal["float32", "float64"]


class _ScaleFacts(Section):
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


class _RefineFacts(Section):
    stage: int = Field(ge=0)
    iteration: int = Field(ge=-1)
    step: int = Field(ge=0)
    damping: float = Field(ge=0)
    best_error: Annotated[float, Field(ge=0)] | None
    """None for infinity, the error of a free run that diverged: JSON has none."""


class _Facts(Section):
    """What a checkpoint's metadata say."""

    format: Literal[1]
    network: _NetworkFacts
    updates: int = Field(ge=0, lt=2**63)
    scale: _ScaleFacts
    closed_loop_rmse: Annotated[float, Field(ge=0)] | None
    refine: _RefineFacts | None = None


def _read_facts(path: Path, text: str) -> _Facts:
    try:
        facts = from_json(text)
        version = facts["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise RunFileError(f"{path}: is not a checkpoint of sinernn") from error
    require_format(path, version, known=FORMAT_VERSION)
    return validated(path, _Facts, facts)


def _misfit(file: ArraysFile, network: Network, facts: _Facts) -> str | None:
    """Return which array of a file has no place in a checkpoint of a network, or is missing."""
    if not len(facts.scale.mean) == len(facts.scale.std) == network.channels:
        return "scale has another number of channels than the network"
    expected = {
        prefix + name: (shape, network.dtype)
        for name, shape in network.shapes.items()
        for prefix in ("", "adam.first_moment.", "adam.second_moment.")
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
    # One key: safetensors writes several in any order, and equal states shall give equal bytes.
    facts = {
        "format": FORMAT_VERSION,
        "network": asdict(checkpoint.network),
        "updates": checkpoint.state.updates,
        "scale": {"mean": checkpoint.scale.mean.tolist(), "std": checkpoint.scale.std.tolist()},
        "closed_loop_rmse": checkpoint.closed_loop_rmse,
    }
    if (refine := checkpoint.state.refine) is not None:
        facts["refine"] = {
            "stage": refine.stage,
            "iteration": refine.iteration,
            "step": refine.step,
            "damping": refine.damping,
            # JSON has no infinity, the error of a free run that diverged.
            "best_error": refine.best_error if math.isfinite(refine.best_error) else None,
        }
    return {METADATA_KEY: json.dumps(facts, allow_nan=False)}
