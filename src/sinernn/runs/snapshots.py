"""Snapshots of a run: its weights at chosen moments of the training, in one file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from safetensors.numpy import save

from sinernn.model.network import Network, Params
from sinernn.runs import Run
from sinernn.runs.checkpoints import NetworkFacts, read_metadata
from sinernn.runs.facts import Count
from sinernn.runs.files import FORMAT, ArraysFile, contiguous, damaged, is_there
from sinernn.schema import Section

SNAPSHOTS = "snapshots.safetensors"
"""Name of the file in the run directory."""

METADATA_KEY = "sinernn.snapshots"


@dataclass(frozen=True)
class Snapshot:
    """The weights at a moment of the training."""

    params: Params
    """Weights by torch's names, in the run's dtype."""

    updates: int
    """Updates done."""

    stage: int | None = None
    """Stages of refinement done, 0 before the first; the weights are then the best so far. None
    during the updates."""

    stages: int = 0
    """Stages of refinement in all."""

    is_best: bool = False
    """Whether it is the trained network, of which training took no snapshot."""

    @property
    def label(self) -> str:
        """The moment in words, such as `update 100` or `refinement, stage 2 of 7`."""
        if self.stage is not None:
            done = f"refinement, stage {self.stage} of {self.stages}"
            return done if self.stage else "before refinement"
        if self.updates == 0:
            return "initial weights"
        return f"best network, update {self.updates}" if self.is_best else f"update {self.updates}"


class _Facts(Section):
    """Metadata of the file, which labels the snapshots in the order in which they were taken."""

    format: Literal[1]
    network: NetworkFacts
    updates: Annotated[list[Count], Field(min_length=1, max_length=10_000)]
    stages_done: list[Count]
    """Of the last snapshots, those of the refinement."""

    stages: Count


def snapshots_bytes(network: Network, snapshots: Sequence[Snapshot]) -> bytes:
    """Return snapshots as a safetensors file: each parameter's arrays `[snapshot, ...]` stacked."""
    facts = {
        "format": FORMAT,
        "network": NetworkFacts.of(network),
        "updates": [each.updates for each in snapshots],
        "stages_done": [each.stage for each in snapshots if each.stage is not None],
        "stages": max(each.stages for each in snapshots),
    }
    stacked = {name: np.stack([each.params[name] for each in snapshots]) for name in network.shapes}
    return save(contiguous(stacked), {METADATA_KEY: json.dumps(facts)})


def load_snapshots(path: Path) -> tuple[Network, list[Snapshot]]:
    """Read a file of snapshots, and check every array against the network in its metadata.

    As in `load_checkpoint`, no more memory is taken than the file has bytes.

    Raises:
        RunFileError: It is missing, damaged, or from a future version.
    """
    file = ArraysFile(path)
    facts = read_metadata(path, file.metadata.get(METADATA_KEY, ""), _Facts, "file of snapshots")
    network, count = facts.network.network(), len(facts.updates)
    during_updates = count - len(facts.stages_done)
    if during_updates < 0:
        raise damaged(path, "it labels more snapshots of the refinement than there are")
    expected = {name: (count, *shape) for name, shape in network.shapes.items()}
    is_same = file.shapes == expected and network.outputs > 0
    if not is_same or set(file.dtypes.values()) != {network.dtype}:
        raise damaged(path, f"its arrays are not {count} times those of the network")
    arrays = file.read()
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise damaged(path, "it holds NaN or infinity")
    done = [None] * during_updates + facts.stages_done
    return network, [
        Snapshot(
            params={name: array[index] for name, array in arrays.items()},
            updates=facts.updates[index],
            stage=done[index],
            stages=facts.stages if index >= during_updates else 0,
        )
        for index in range(count)
    ]


def read_snapshots(run: Run) -> list[Snapshot]:
    """Read a run's snapshots, from the initial weights to the trained network.

    Training takes them at updates, and at the ends of stages of refinement; the best network, which
    is evaluated, is the last of them here even if no snapshot is equal to it.

    Returns:
        At least two, if training has saved any; empty for a run without snapshots, such as one of
        an older version.

    Raises:
        RunFileError: The file is damaged, from a future version, or of another network.
    """
    path = run.path / SNAPSHOTS
    if not is_there(path):
        return []
    network, snapshots = load_snapshots(path)
    if not any(run.has_checkpoint(name) for name in ("best", "last")):
        return snapshots  # of a training that diverged early
    best = run.best_checkpoint()[1]
    if best.network != network:
        raise damaged(path, "it is of another network than the checkpoints")
    params, last = best.state.params, snapshots[-1].params
    if not all(np.array_equal(params[name], last[name]) for name in params):
        snapshots.append(Snapshot(params, best.state.updates, is_best=True))
    return snapshots
