"""Checkpoints: a training state as one safetensors file, held against its network when read."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors.numpy import save

from sinernn.errors import RunFileError
from sinernn.network import GATES, Network, Params, RefineState, TrainState
from sinernn.runs.files import contiguous, read_safetensors
from sinernn.windows import Scale

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
    """Read a checkpoint, and hold every tensor against the network it claims to be.

    Raises:
        RunFileError: It is missing, damaged, or from a future version.
    """
    tensors, metadata = read_safetensors(path)
    try:
        facts = json.loads(metadata[METADATA_KEY])
        version = facts["format"]
    except (KeyError, ValueError, TypeError) as error:
        raise RunFileError(f"{path}: is not a checkpoint of sinernn") from error
    if version != FORMAT_VERSION:
        raise RunFileError(
            f"{path}: has format {version}, this sinernn reads {FORMAT_VERSION}; upgrade it"
        )
    try:
        network = Network(**facts["network"])
        GATES[network.cell]  # an unknown cell has no shapes
        scale = Scale(
            np.array(facts["scale"]["mean"], float), np.array(facts["scale"]["std"], float)
        )
        if scale.mean.shape != (network.channels,) or scale.std.shape != (network.channels,):
            raise ValueError("scale has another number of channels than the network")
        state = TrainState(
            params=_group(tensors, "", network),
            first_moment=_group(tensors, "adam.first_moment.", network),
            second_moment=_group(tensors, "adam.second_moment.", network),
            hidden=tensors["hidden"],
            updates=int(facts["updates"]),
            refine=_refine_state(tensors, facts.get("refine"), network),
        )
        expected = network.zero_hidden(state.hidden.shape[2])
        if state.hidden.shape != expected.shape or state.hidden.dtype != expected.dtype:
            raise ValueError("hidden has another shape or type than the network's")
        return Checkpoint(network, state, scale, tensors["losses"], facts["closed_loop_rmse"])
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise RunFileError(f"{path}: is damaged: {error}") from error


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


def _group(tensors: dict[str, np.ndarray], prefix: str, network: Network) -> Params:
    group: Params = {}
    for name, shape in network.shapes.items():
        tensor = tensors[prefix + name]
        if tensor.shape != shape or tensor.dtype != np.dtype(network.dtype):
            raise ValueError(
                f"{prefix}{name} is {tensor.dtype}{list(tensor.shape)}, not the network's"
            )
        group[name] = tensor
    return group


def _refine_state(
    tensors: dict[str, np.ndarray], facts: dict[str, Any] | None, network: Network
) -> RefineState | None:
    if facts is None:
        return None
    theta, best_theta = (tensors[f"refine.{name}"] for name in ("theta", "best_theta"))
    for array in (theta, best_theta):
        if array.shape != (network.parameter_count,) or array.dtype != np.float64:
            raise ValueError("refine.theta has another shape or type than the network's parameters")
    return RefineState(
        theta=theta,
        stage=int(facts["stage"]),
        iteration=int(facts["iteration"]),
        step=int(facts["step"]),
        damping=float(facts["damping"]),
        best_theta=best_theta,
        best_error=math.inf if facts["best_error"] is None else float(facts["best_error"]),
    )
