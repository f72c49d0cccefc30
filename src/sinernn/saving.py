"""Training that is kept: states and metrics go to the run directory, so that it can go on there.

The order of writing is what survives a kill at any instant: first `best`, then the metrics, then
`last`. Training goes on from `last`; what the others hold beyond it comes again, to the bit.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np

from sinernn import judging, training
from sinernn.config import Config
from sinernn.engines import Engine
from sinernn.errors import (
    InterruptedRunError,
    RunFileError,
    TrainingDivergedError,
    command_line,
)
from sinernn.evaluation.metrics import finite
from sinernn.interrupts import StopRequest
from sinernn.model.network import RefineState, Theta, TrainState
from sinernn.preparation import Experiment
from sinernn.refine.records import RefineRecord
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint
from sinernn.standing import (
    BEFORE_END,
    Standing,
    calmer_settings,
    is_evaluated,
    last_regular_row,
    takes_more_steps,
)
from sinernn.training import Record


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
                is_regular = record.step == last_regular_row(config, record.step)
                run.write_metrics(standing.rows)
                save("last", np.empty(0) if is_regular else record.losses)
                run.save_model(run.best_checkpoint()[1])
                saved = record.step
            yield record
            if signal_number is not None and not (
                config.refine is None and record.step == settings.steps
            ):
                where = f"interrupted at update {record.step} of {settings.steps}"
                raise interrupted(run, where, stop)
    except TrainingDivergedError as error:
        run.write_metrics(standing.rows)  # how it came about is worth seeing
        raise _diverged(error, config, run, saved) from error


def _best_rmse(run: Run, config: Config) -> float:
    """Return the error of the best network so far, without an end that is none any more."""
    if not run.has_checkpoint("best"):
        return float("inf")
    best = run.load_checkpoint("best")
    updates = best.state.updates
    if updates < config.training.steps and not is_evaluated(config, updates):
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

    stages, series = config.refine.stages, experiment.series

    def save(name: str, theta: Theta, state: RefineState, rmse: float | None) -> None:
        params = problem.unflatten(theta, network)
        refined = replace(trained, params=params, refine=state)
        run.save_checkpoint(name, Checkpoint(network, refined, scale, np.empty(0), rmse))

    try:
        for record in loop.refine(
            standing.refine or loop.start(run.best_checkpoint()[1].state.params, network),
            [scale.apply(part) for part in series.cut(series.observed, experiment.parts.train)],
            network=network,
            stages=stages,
            seed=config.seed,
            measure=judging.validation_measure(
                config, series, scale, network, origins=config.refine.origins
            ),
        ):
            signal_number, state = stop.signal_number, record.state
            is_done = state.stage == len(stages)
            standing.rows.append(record.metrics)
            if record.is_best:
                save("best", state.best_theta, state, finite(state.best_error))
            # The start as well: from then on `best` is no longer what refinement began with.
            if record.is_stage_end or record.iteration < 0 or signal_number is not None:
                run.write_metrics(standing.rows)
                save("last", state.theta, state, None)
                run.save_model(run.best_checkpoint()[1])
            yield record
            if signal_number is not None and not is_done:
                where = f"interrupted in stage {record.stage + 1} of {len(stages)} of refine"
                raise interrupted(run, where, stop)
    except Exception:
        with suppress(RunFileError):  # what went wrong first is what matters
            run.write_metrics(standing.rows)  # how it came about is worth seeing
        raise


def interrupted(run: Run, where: str, stop: StopRequest) -> InterruptedRunError:
    """Return what is told of a signal, with the command that goes on."""
    message = f"{where}; go on with: {command_line('resume', run.path)}"
    return InterruptedRunError(message, signal_number=stop.signal_number or 0)


def _diverged(
    error: TrainingDivergedError, config: Config, run: Run, saved: int
) -> TrainingDivergedError:
    kept = f"the state of update {saved} is kept in {run.path}" if saved else "nothing was saved"
    return TrainingDivergedError(f"{error}; {kept}; try {' or '.join(calmer_settings(config))}")
