"""Take snapshots of the weights while a run is trained.

They are written before `last`, from which training continues: later ones in the file are then taken
again, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sinernn.config import Config
from sinernn.config.sections import MAX_SNAPSHOT_BYTES
from sinernn.engines import Engine
from sinernn.model.network import Network, TrainState
from sinernn.preparation import Experiment
from sinernn.refine.records import RefineRecord
from sinernn.runs import Run
from sinernn.runs.directory import lost_file
from sinernn.runs.files import damaged, is_there
from sinernn.runs.snapshots import SNAPSHOTS, Snapshot, load_snapshots, snapshots_bytes
from sinernn.training import Record

FIRST, LAST = 10, 10_000_000
"""Updates of the first and the last snapshot after the initial weights."""


@dataclass(frozen=True)
class SnapshotPlan:
    """When snapshots are taken."""

    updates: tuple[int, ...]
    """Updates after which one is taken, 0 first; they do not depend on how many there will be."""

    stages: tuple[int, ...]
    """Stages of refinement after which one is taken; 0: before the first."""

    def until(self, state: TrainState) -> list[tuple[int, int | None]]:
        """Return updates and stages of the snapshots that were taken before a state."""
        done = -1 if state.refine is None else state.refine.stage
        return [
            *((updates, None) for updates in self.updates if updates <= state.updates),
            *((state.updates, stage) for stage in self.stages if stage <= done),
        ]


def plan_snapshots(config: Config, network: Network) -> SnapshotPlan:
    """Return when a training takes snapshots: at most as many as the config sets, or as fit.

    One of the initial weights; before refinement and after each of its stages, but of many stages
    only some, so that they are at most half; the others logarithmically spaced, since learning is
    fastest at the start: before the first row of the metrics half as many, then at rows.
    """
    size = network.parameter_count * np.dtype(network.dtype).itemsize
    after_start = min(config.training.snapshots, MAX_SNAPSHOT_BYTES // size) - 1
    if after_start < 0:
        return SnapshotPlan((), ())
    stages = np.empty(0)
    if config.refine is not None:
        last = len(config.refine.stages)
        stages = np.linspace(last, 0, min(last + 1, -(-after_start // 2)))
    updates = np.geomspace(FIRST, LAST, after_start - len(stages))
    every = config.training.log_every
    between = updates[updates < every][::2]  # to interrupt a piece of training takes time
    at_rows = (updates[updates >= every] / every).round() * every
    return SnapshotPlan((0, *_whole(between), *_whole(at_rows)), _whole(stages))


def _whole(numbers: np.ndarray) -> tuple[int, ...]:
    return tuple(sorted(set(numbers.round().astype(int).tolist())))


def snapshots_until(run: Run, experiment: Experiment, state: TrainState) -> list[Snapshot]:
    """Read the snapshots of a run that were taken before a state from which it continues.

    Raises:
        RunFileError: They are missing or damaged, or belong to another run.
    """
    expected = plan_snapshots(experiment.config, experiment.network).until(state)
    path = run.path / SNAPSHOTS
    if not expected:
        return []
    if not is_there(path):
        raise lost_file(run, path)
    network, found = load_snapshots(path)
    taken = found[: len(expected)]
    if network != experiment.network or [(s.updates, s.stage) for s in taken] != expected:
        raise damaged(path, f"its snapshots are not those of {run.config_path}")
    return taken


class SnapshotRecorder:
    """Takes snapshots while this process trains a run."""

    def __init__(
        self, run: Run, experiment: Experiment, engine: Engine, taken: Sequence[Snapshot]
    ) -> None:
        """Take the first snapshot, of a training that has none.

        Args:
            run: The run, held by this process.
            experiment: What is trained.
            engine: Holds the state from which the training continues.
            taken: The snapshots before that state.
        """
        self._run, self._network = run, experiment.network
        self._steps, refine = experiment.config.training.steps, experiment.config.refine
        self._stages = 0 if refine is None else len(refine.stages)
        self.plan = plan_snapshots(experiment.config, experiment.network)
        self._taken, self._written = list(taken), len(taken)
        if self.plan.updates and not taken:
            self._taken.append(Snapshot(engine.params, updates=0))

    def take(self, record: Record | RefineRecord) -> None:
        """Take the snapshots that are due at a record."""
        if not isinstance(record, RefineRecord):
            self._taken += [Snapshot(params, n) for n, params in record.weights.items()]
            return
        stage, is_start = record.state.stage, record.iteration < 0
        if (record.is_stage_end or is_start) and stage in self.plan.stages:
            from sinernn.refine.problem import unflatten

            params = unflatten(record.state.best_theta, self._network)
            self._taken.append(Snapshot(params, self._steps, stage, self._stages))

    def write(self) -> None:
        """Write the file, if a snapshot has been taken since it was written."""
        if self._written < len(self._taken):
            self._run.write(SNAPSHOTS, snapshots_bytes(self._network, self._taken))
            self._written = len(self._taken)
