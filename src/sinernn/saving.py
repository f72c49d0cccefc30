"""Training that is kept: states and metrics go to the run directory, so that it can go on there.

The order of writing is what survives a kill at any instant: first `best`, then the metrics, then
`last`. Training goes on from `last`; what the others hold beyond it comes again, to the bit.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sinernn import evaluation, judging, training
from sinernn.config import Config
from sinernn.engines import Engine
from sinernn.errors import InterruptedRunError, RunFileError, TrainingDivergedError
from sinernn.interrupts import StopRequest
from sinernn.network import RefineState, Theta, TrainState
from sinernn.preparation import Experiment
from sinernn.refine.records import RefineRecord
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint
from sinernn.training import Record

BEFORE_END = "best_before_end"
"""What was best before an evaluation that came only because the run ended there: the best of a
longer run, which has no such evaluation."""


@dataclass
class Standing:
    """Where the training of a run stands."""

    checkpoint: Checkpoint
    """`last`, or what the run starts from."""

    rows: list[Mapping[str, Any]]
    """Of the metrics, up to there."""

    @property
    def refine(self) -> RefineState | None:
        """Where its refinement stands; None before it begins."""
        return self.checkpoint.state.refine

    def is_done(self, config: Config) -> bool:
        """Whether nothing is left to train."""
        if self.checkpoint.state.updates < config.training.steps:
            return False
        stages = config.refine.stages if config.refine else ()
        return not stages or (self.refine is not None and self.refine.stage == len(stages))


def takes_more_steps(config: Config) -> bool:
    """Whether a run of this config is the beginning of a run of more steps."""
    return config.training.schedule == "constant" and config.refine is None


def find_standing(experiment: Experiment, run: Run, start: Checkpoint) -> Standing:
    """Read where a run stands.

    Args:
        experiment: What the run trains; of more steps than before, if it is to go on.
        run: The run, held by this process.
        start: Where it stands if it has saved nothing yet.

    Raises:
        RunFileError: A file is missing or damaged, or belongs to another run.
    """
    config = experiment.config
    if not run.has_checkpoint("last"):
        return Standing(start, [])
    last = _load(run, "last", experiment)
    if last.state.hidden.shape != start.state.hidden.shape:
        raise _foreign(run, "last", f"holds {last.state.hidden.shape[2]} rows of a batch")
    if run.has_checkpoint("best"):
        _load(run, "best", experiment)
    return Standing(last, _rows_until(run, config, last.state))


def _load(run: Run, name: str, experiment: Experiment) -> Checkpoint:
    """Read a checkpoint of the experiment."""
    checkpoint, config = run.load_checkpoint(name), experiment.config
    steps, refine = config.training.steps, checkpoint.state.refine
    if checkpoint.network != experiment.network:
        raise _foreign(run, name, "is of another network")
    if not 0 <= checkpoint.state.updates <= steps:
        raise _foreign(run, name, f"has seen {checkpoint.state.updates} updates of {steps}")
    stages = config.refine.stages if config.refine else ()
    if refine is not None and not 0 <= refine.stage <= len(stages):
        raise _foreign(run, name, f"stands in stage {refine.stage + 1} of {len(stages)}")
    return checkpoint


def _foreign(run: Run, name: str, what: str) -> RunFileError:
    return RunFileError(
        f"{run.checkpoint_path(name)}: {what}, and does not go with {run.config_path}; "
        "put back the file that belongs there"
    )


def _rows_until(run: Run, config: Config, state: TrainState) -> list[Mapping[str, Any]]:
    """Return the rows of the metrics that a run has written when it comes to a state."""
    path, rows = run.path / "metrics.csv", run.metrics_rows()
    try:
        steps = [int(row["step"]) for row in rows]
    except ValueError as error:
        raise RunFileError(f"{path}: is damaged: {error}") from error
    ends = {"training": _last_row(config, state.updates)}
    if state.refine is not None:
        ends["refine"] = state.refine.step
    kept = [
        (row["phase"], step, _without_an_end(row, step, config))
        for row, step in zip(rows, steps, strict=True)
        if step <= ends.get(row["phase"], -1)
        and (row["phase"] == "refine" or step == _last_row(config, step))
    ]
    for phase, end in ends.items():
        found = max((step for of, step, _ in kept if of == phase), default=0)
        if found != end:
            raise RunFileError(
                f"{path}: its rows of {phase} end at {found}, and the last checkpoint's at {end}; "
                "put back the file that belongs there"
            )
    return [row for _, _, row in kept]


def _without_an_end(row: dict[str, str], step: int, config: Config) -> dict[str, str]:
    """Return a row as it is where the run does not end: then it may not have been evaluated."""
    settings = config.training
    is_evaluated = step == settings.steps or step % (settings.evaluate_every or 1) == 0
    if row["phase"] == "refine" or is_evaluated:
        return row
    return row | {"closed_loop_rmse": ""}


def _last_row(config: Config, updates: int) -> int:
    """Return the last of so many updates at which the metrics have a row."""
    return updates if updates == config.training.steps else _last_regular_row(config, updates)


def _last_regular_row(config: Config, updates: int) -> int:
    """Return the last of so many updates at which those of any longer run have a row, too."""
    settings = config.training
    intervals = (settings.log_every, settings.evaluate_every, settings.checkpoint_every)
    return max(updates // every * every for every in intervals if every is not None)


def train(
    experiment: Experiment, engine: Engine, run: Run, standing: Standing, stop: StopRequest
) -> Iterator[Record]:
    """Run the updates that are left, and keep their metrics and states in the run directory."""
    config, settings = experiment.config, experiment.config.training
    saved, best_rmse = standing.checkpoint.state.updates, _best_rmse(run, config)
    records = training.train(
        engine,
        plan=experiment.plan,
        learning_rates=training.schedule(
            settings.schedule, peak=settings.learning_rate, steps=settings.steps
        ),
        first=standing.checkpoint.state.updates,
        steps=settings.steps,
        log_every=settings.log_every,
        evaluate_every=settings.evaluate_every,
        checkpoint_every=settings.checkpoint_every,
        evaluate=lambda: judging.validation_rmse(
            config, experiment.series, experiment.scale, engine
        ),
        losses=standing.checkpoint.losses,
    )

    def save(name: str, losses: np.ndarray, rmse: float | None = None) -> None:
        checkpoint = Checkpoint(experiment.network, engine.state, experiment.scale, losses, rmse)
        run.save_checkpoint(name, checkpoint)

    try:
        for record in records:
            signal_number = stop.signal_number  # asked once: it may come at any instant
            if record.is_row:
                standing.rows.append(record.metrics)
            rmse = record.closed_loop_rmse
            if rmse is not None and rmse < best_rmse:
                if takes_more_steps(config) and record.step % (settings.evaluate_every or 1):
                    run.set_aside("best", BEFORE_END)
                best_rmse = rmse
                save("best", np.empty(0), rmse)
            if record.is_checkpoint or signal_number is not None:
                is_regular = record.step == _last_regular_row(config, record.step)
                run.write_metrics(standing.rows)
                save("last", np.empty(0) if is_regular else record.losses)
                run.save_model(run.best_checkpoint()[1])
                saved = record.step
            yield record
            if signal_number is not None and not (
                config.refine is None and record.step == settings.steps
            ):
                where = f"interrupted at update {record.step} of {settings.steps}"
                raise _interrupted(run, where, signal_number)
    except TrainingDivergedError as error:
        run.write_metrics(standing.rows)  # how it came about is worth seeing
        raise _diverged(error, config, run, saved) from error


def _best_rmse(run: Run, config: Config) -> float:
    """Return the error of the best network so far, without an end that is none any more."""
    if not run.has_checkpoint("best"):
        return float("inf")
    best, every = run.load_checkpoint("best"), config.training.evaluate_every
    updates = best.state.updates
    if every is not None and updates % every and updates < config.training.steps:
        run.put_back(BEFORE_END, "best")
        return _best_rmse(run, config)
    return float("inf") if best.closed_loop_rmse is None else best.closed_loop_rmse


def refine(
    experiment: Experiment, run: Run, standing: Standing, trained: TrainState, stop: StopRequest
) -> Iterator[RefineRecord]:
    """Refine the best network of the updates, and keep metrics and states in the run directory.

    Goes on from `standing`, whose rows it adds to; `trained` is the state after the updates.
    """
    config, network, scale = experiment.config, experiment.network, experiment.scale
    if config.refine is None:
        return
    from sinernn.refine import loop, problem

    stages, training_part = config.refine.stages, slice(config.parts.train)

    def save(name: str, theta: Theta, state: RefineState, rmse: float | None) -> None:
        params = problem.unflatten(theta, network)
        refined = replace(trained, params=params, refine=state)
        run.save_checkpoint(name, Checkpoint(network, refined, scale, np.empty(0), rmse))

    for record in loop.refine(
        standing.refine or loop.start(run.best_checkpoint()[1].state.params, network),
        scale.apply(experiment.series.observed[:, training_part]),
        network=network,
        stages=stages,
        seed=config.seed,
        measure=judging.validation_measure(
            config, experiment.series, scale, network, origins=config.refine.origins
        ),
    ):
        signal_number, state = stop.signal_number, record.state
        is_done = state.stage == len(stages)
        standing.rows.append(record.metrics)
        if record.is_best:
            save("best", state.best_theta, state, evaluation.finite(state.best_error))
        # The start as well: from then on `best` is no longer what refinement began with.
        if record.is_stage_end or record.iteration < 0 or signal_number is not None:
            run.write_metrics(standing.rows)
            save("last", state.theta, state, None)
            run.save_model(run.best_checkpoint()[1])
        yield record
        if signal_number is not None and not is_done:
            where = f"interrupted in stage {record.stage + 1} of {len(stages)} of refine"
            raise _interrupted(run, where, signal_number)


def _interrupted(run: Run, where: str, signal_number: int) -> InterruptedRunError:
    command = f"sinernn resume {shlex.quote(str(run.path))}"
    return InterruptedRunError(f"{where}; go on with: {command}", signal_number=signal_number)


def _diverged(
    error: TrainingDivergedError, config: Config, run: Run, saved: int
) -> TrainingDivergedError:
    settings = config.training
    overrides = f"training.learning_rate={settings.learning_rate / 10:g}"
    if settings.gradient_clip is None:
        overrides += " or training.gradient_clip=1.0"
    kept = f"the state of update {saved} is kept in {run.path}" if saved else "nothing was saved"
    return TrainingDivergedError(f"{error}; {kept}; try {overrides}")
