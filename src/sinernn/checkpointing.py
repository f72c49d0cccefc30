"""Checkpoints of a run: write them while it is trained, and find where it can continue.

The order of writing makes a kill at any instant harmless: first `best`, then metrics and snapshots,
then `last`. Training continues from `last`; later results are computed again, bit for bit.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from sinernn.arrays import Float
from sinernn.config import Config
from sinernn.engines import Engine
from sinernn.errors import (
    InterruptedRunError,
    RunFileError,
    TrainingDivergedError,
    command_line,
)
from sinernn.evaluation.metrics import finite
from sinernn.model.network import Params, RefineState, Theta, TrainState
from sinernn.preparation import Experiment
from sinernn.refine.records import MetricsRow, RefineRecord
from sinernn.resuming import calmer_settings, takes_more_steps
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint
from sinernn.runs.directory import lost_file
from sinernn.runs.facts import RunFacts
from sinernn.runs.files import damaged, is_there
from sinernn.runs.snapshots import Snapshot
from sinernn.snapshotting import SnapshotRecorder, snapshots_until
from sinernn.training import Record, is_due, row_intervals

BEFORE_END = "best_before_end"
"""The best checkpoint before an evaluation that was due only because the run ended: the best of a
longer run, which has no such evaluation."""


@dataclass
class Position:
    """How far the training of a run has come."""

    checkpoint: Checkpoint
    """`last`, or the one that the run starts from."""

    rows: list[MetricsRow]
    """Rows of the metrics up to there."""

    snapshots: Sequence[Snapshot] = ()
    """Snapshots up to there."""

    def is_done(self, config: Config) -> bool:
        """Whether nothing is left to train."""
        state = self.checkpoint.state
        if config.refine is None:
            return state.updates == config.training.steps
        return state.refine is not None and state.refine.stage == len(config.refine.stages)


@dataclass
class Checkpointer:
    """Writes the metrics, checkpoints and facts of a run while this process trains it."""

    run: Run
    experiment: Experiment
    engine: Engine
    position: Position
    """Where the training continues."""

    facts: RunFacts

    def __post_init__(self) -> None:
        self._saved_updates = self.position.checkpoint.state.updates
        taken = self.position.snapshots
        self.snapshots = SnapshotRecorder(self.run, self.experiment, self.engine, taken)
        self._began = time.perf_counter() - (self.facts.seconds or 0.0)  # None: it was killed
        self._counts = dict[str, int]()

    @cached_property
    def _best_rmse(self) -> float:
        """Error of the best network so far; what is done to find it belongs to the training."""
        return _best_rmse(self.run, self.experiment.config)

    @contextmanager
    def closing(self) -> Generator[None]:
        """Write to run.json how the training in the body ends; add a way out to its error.

        Raises:
            SinernnError: The training's own error.
        """
        try:
            yield
        except BaseException as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with suppress(RunFileError):  # the first error is what matters
                if not isinstance(error, InterruptedRunError) and isinstance(error, Exception):
                    self.run.write_metrics(self.position.rows)  # they show what led to the error
                    self.snapshots.write()
            diverged_at = getattr(error, "update", None)
            self.facts = self.facts.model_copy(update={"diverged_at": diverged_at})
            with suppress(RunFileError):
                self._close(getattr(error, "run_status", status))
            if (explained := self._explained(error)) is not error:
                raise explained from error
            raise
        self._close("finished")

    def save(self, record: Record | RefineRecord, *, at_once: bool) -> None:
        """Write what is due at a record; if `at_once`, write a checkpoint in any case."""
        self.snapshots.take(record)
        if isinstance(record, RefineRecord):
            self._save_refinement(record, at_once)
            self._counts["refine_iterations"] = record.step
        else:
            self._save_update(record, at_once)
            self._counts["updates"] = record.step

    def weights(self, record: Record | RefineRecord) -> Params:
        """Return a copy of the weights at a record, which must be the latest."""
        if isinstance(record, RefineRecord):
            return self._refined(record.state.theta, record.state).params
        return self.engine.params

    def _save_update(self, record: Record, at_once: bool) -> None:
        config, rmse, best = self.experiment.config, record.closed_loop_rmse, self._best_rmse
        if record.is_row:
            self.position.rows.append(record.metrics)
        if rmse is not None and rmse < best:
            every = config.training.evaluate_every or 1
            if takes_more_steps(config) and record.step % every:
                self.run.set_aside("best", BEFORE_END)
            self._best_rmse = rmse
            self._save_best(self.engine.state, rmse)
        if record.is_checkpoint or at_once:
            is_regular = record.step == last_regular_row(config, record.step)
            self._save_last(self.engine.state, np.empty(0) if is_regular else record.losses)
            self._saved_updates = record.step

    def _save_refinement(self, record: RefineRecord, at_once: bool) -> None:
        state = record.state
        self.position.rows.append(record.metrics)
        if record.is_best:
            self._save_best(self._refined(state.best_theta, state), finite(state.best_error))
        # The start as well: from then on `best` is no longer what refinement began with.
        if record.is_stage_end or record.iteration < 0 or at_once:
            self._save_last(self._refined(state.theta, state), np.empty(0))

    def _save_best(self, state: TrainState, rmse: float | None) -> None:
        network, scale = self.experiment.network, self.experiment.scale
        self.run.save_checkpoint("best", Checkpoint(network, state, scale, closed_loop_rmse=rmse))

    def _save_last(self, state: TrainState, losses: Float[np.ndarray, " n"]) -> None:
        """Write the metrics, snapshots, `last` and the best weights."""
        run, experiment = self.run, self.experiment
        last = Checkpoint(experiment.network, state, experiment.scale, losses)
        run.write_metrics(self.position.rows)
        self.snapshots.write()
        run.save_checkpoint("last", last)
        run.save_model(run.best_checkpoint()[1] if run.has_checkpoint("best") else last)

    def _refined(self, theta: Theta, state: RefineState) -> TrainState:
        """Return the state after the updates with refined weights."""
        from sinernn.refine.problem import unflatten

        params = unflatten(theta, self.experiment.network)
        return replace(self.engine.state, params=params, refine=state)

    def _close(self, status: str) -> None:
        seconds = round(time.perf_counter() - self._began, 3)
        end = {"status": status, "ended": now(), "seconds": seconds, **self._counts}
        self.facts = self.facts.model_copy(update=end)
        self.run.write_facts(self.facts)

    def _explained(self, error: BaseException) -> BaseException:
        """Return an error that ends training, with a way out added."""
        path, saved = self.run.path, self._saved_updates
        if isinstance(error, TrainingDivergedError):
            kept = f"the state of update {saved} is kept in {path}"
            kept = kept if saved else "nothing was saved"
            settings = " or ".join(calmer_settings(self.experiment.config))
            message = f"{error}; {kept}; try {settings}"
            return TrainingDivergedError(message, update=error.update)
        if isinstance(error, RunFileError) and is_there(path):
            way_out = f"then continue with: {command_line('resume', path)}"
            return RunFileError(f"{error}; fix that, {way_out}")
        return error


def place_in_training(record: Record | RefineRecord, config: Config) -> str | None:
    """Return the position of a record in words; None if it is the end of training."""
    if isinstance(record, RefineRecord):
        stages = config.refine.stages if config.refine else ()
        is_end = record.state.stage == len(stages)
        return None if is_end else f"in stage {record.stage + 1} of {len(stages)} of refine"
    is_end = record.step == config.training.steps and config.refine is None
    return None if is_end else f"at update {record.step} of {config.training.steps}"


def _best_rmse(run: Run, config: Config) -> float:
    """Return the error of the best network so far.

    An evaluation that was due only because the run ended does not count if it now takes more steps.
    """
    if not run.has_checkpoint("best"):
        return float("inf")
    best = run.load_checkpoint("best")
    updates = best.state.updates
    if updates < config.training.steps and not is_evaluated(config, updates):
        run.put_back(BEFORE_END, "best")
        return _best_rmse(run, config)
    return float("inf") if best.closed_loop_rmse is None else best.closed_loop_rmse


def now() -> str:
    """Return the time in the format of run.json."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def find_position(experiment: Experiment, run: Run, start: Checkpoint) -> Position:
    """Read how far a run has come.

    Args:
        experiment: The run's experiment; with more steps than before if it is continued.
        run: The run, held by this process.
        start: Its first checkpoint, for a run that has saved nothing yet.

    Raises:
        RunFileError: A file is missing or damaged, or belongs to another run.
    """
    config = experiment.config
    if not run.has_checkpoint("last"):
        if run.has_checkpoint("best"):
            _require_beginning(_load(run, "best", experiment), run, config)
        return Position(start, [])
    last = _load(run, "last", experiment)
    if last.state.hidden.shape != start.state.hidden.shape:
        raise _foreign(run, "last", f"holds {last.state.hidden.shape[2]} rows in a batch")
    rows = _rows_until(run, config, last.state)
    errors = {row["closed_loop_rmse"] for row in rows} - {"", "inf", "nan"}
    if errors or run.has_checkpoint("best"):  # a finite error has been the best
        _load(run, "best", experiment)
    return Position(last, rows, snapshots_until(run, experiment, last.state))


def _require_beginning(best: Checkpoint, run: Run, config: Config) -> None:
    """Check that `best` may have been written before the first `last`."""
    first = min(config.training.checkpoint_every or best.state.updates, config.training.steps)
    if best.state.refine is not None or best.state.updates > first:
        raise lost_file(run, run.checkpoint_path("last"))


def _load(run: Run, name: str, experiment: Experiment) -> Checkpoint:
    """Read a checkpoint of the experiment."""
    checkpoint, config = run.load_checkpoint(name), experiment.config
    steps, refine = config.training.steps, checkpoint.state.refine
    if checkpoint.network != experiment.network:
        raise _foreign(run, name, "is of another network")
    if not 0 <= checkpoint.state.updates <= steps:
        raise _foreign(run, name, f"is at update {checkpoint.state.updates} of {steps}")
    stages = config.refine.stages if config.refine else ()
    if refine is not None and not 0 <= refine.stage <= len(stages):
        raise _foreign(run, name, f"is in stage {refine.stage + 1} of {len(stages)}")
    return checkpoint


def _foreign(run: Run, name: str, what: str) -> RunFileError:
    return RunFileError(
        f"{run.checkpoint_path(name)}: {what}, and does not belong to {run.config_path}; "
        "restore the file that belongs there"
    )


def _rows_until(run: Run, config: Config, state: TrainState) -> list[MetricsRow]:
    """Return the rows of the metrics up to a state."""
    path, rows = run.path / "metrics.csv", list[MetricsRow]()
    ends = {"training": _last_row(config, state.updates)}
    if state.refine is not None:
        ends["refine"] = state.refine.step
    found = dict.fromkeys(ends, 0)
    for row in run.metrics_rows():
        phase = row["phase"]
        try:
            step = int(row["step"])
        except ValueError as error:
            raise damaged(path, error) from error
        if (
            phase not in ends
            or step > ends[phase]
            or (phase == "training" and step != _last_row(config, step))
        ):
            continue
        if phase == "training" and not is_evaluated(config, step):
            row["closed_loop_rmse"] = ""
        rows.append(row)
        found[phase] = max(found[phase], step)
    for phase, end in ends.items():
        if found[phase] != end:
            raise RunFileError(
                f"{path}: its rows of {phase} end at {found[phase]}, but the last checkpoint's at "
                f"{end}; restore the file that belongs there"
            )
    return rows


def is_evaluated(config: Config, updates: int) -> bool:
    """Whether a run is evaluated after so many updates."""
    return is_due(config.training.evaluate_every, updates, steps=config.training.steps)


def _last_row(config: Config, updates: int) -> int:
    """Return the last of so many updates at which the metrics have a row."""
    return updates if updates == config.training.steps else last_regular_row(config, updates)


def last_regular_row(config: Config, updates: int) -> int:
    """Return the last of so many updates at which the metrics of any longer run have a row, too."""
    return max(updates // every * every for every in row_intervals(config.training))
