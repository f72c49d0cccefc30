"""The loop over stages and iterations: a generator of records, like `training`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from sinernn.arrays import Float
from sinernn.model.network import Network, Params, RefineState, Theta
from sinernn.refine.lift import lifted
from sinernn.refine.problem import Problem, flatten, stage_samples, with_noise
from sinernn.refine.records import RefineRecord
from sinernn.refine.solver import INITIAL_DAMPING, levenberg_marquardt_step
from sinernn.refine.stages import Stage


def start(params: Params, network: Network) -> RefineState:
    """Return the state before the first iteration."""
    theta = flatten(params, network)
    return RefineState(
        theta=theta,
        stage=0,
        iteration=-1,
        step=0,
        damping=INITIAL_DAMPING,
        best_theta=theta,
        best_error=float("inf"),
    )


def refine(
    state: RefineState,
    segments: Sequence[Float[np.ndarray, "_ D"]],
    *,
    network: Network,
    stages: Sequence[Stage],
    seed: int,
    measure: Callable[[Theta], float],
    keeps_climate: Callable[[Theta], bool] = lambda _: True,
) -> Iterator[RefineRecord]:
    """Run the remaining stages, and yield a record after every iteration.

    Args:
        state: From `start`, or from the last record of an interrupted refinement.
        segments: Training part of each segment, observed samples in scaled units.
        network: Of one layer.
        stages: In order.
        seed: Of the noise on warm-ups.
        measure: Returns the closed-loop error of parameters on the validation part.
        keeps_climate: Returns whether long free runs stay on the attractor of the series.

    Yields:
        Records; `record.state.best_theta` has the lowest error so far, the start's or a lower one,
        of those that keep the climate if any does.
    """
    if state.iteration < 0:
        error = measure(state.theta)
        state = replace(state, iteration=0, best_error=error)
        yield RefineRecord(
            stage=0,
            iteration=-1,
            step=0,
            loss=float("nan"),
            damping=state.damping,
            is_stage_end=False,
            closed_loop_rmse=error,
            is_best=True,
            state=state,
        )
    while state.stage < len(stages):
        stage, number = stages[state.stage], state.stage
        problem = Problem(network, stage_samples(segments, stage), stage)
        while state.stage == number:
            record = _iterate(
                state,
                problem,
                seed=seed,
                measure=measure,
                keeps_climate=keeps_climate,
            )
            state = record.state
            yield record


def _iterate(
    state: RefineState,
    problem: Problem,
    *,
    seed: int,
    measure: Callable[[Theta], float],
    keeps_climate: Callable[[Theta], bool],
) -> RefineRecord:
    number, iteration, theta = state.stage, state.iteration, state.theta
    network, stage, samples = problem.network, problem.stage, problem.samples
    if stage.lift and iteration == 0:
        theta = lifted(theta, network, samples, warmup=stage.warmup, margin=stage.lift)
    noisy = with_noise(
        samples,
        stage,
        outputs=network.outputs,
        seed=seed,
        number=number,
        iteration=iteration,
    )
    batch = np.ascontiguousarray(noisy[iteration % stage.batches :: stage.batches])
    step = levenberg_marquardt_step(theta, state.damping, replace(problem, samples=batch))
    found = step.accepted_damping is not None
    after = iteration + 1 if found else _next_problem(stage, iteration)
    is_enough = stage.target_loss is not None and step.loss <= stage.target_loss
    is_end = is_enough or after == stage.iterations
    every = stage.measure_every
    is_due = is_end or (every is not None and after // every > iteration // every)
    error = measure(step.theta) if is_due else None
    # The damping of a failed step says nothing about the next problem's.
    damping = step.damping if found else INITIAL_DAMPING
    state = replace(state, theta=step.theta, damping=damping, iteration=after, step=state.step + 1)
    if error is None:
        is_best = False
    elif error < state.best_error:  # long free runs: follow those of the best only if needed
        is_best = keeps_climate(step.theta) or not keeps_climate(state.best_theta)
    else:
        is_best = keeps_climate(step.theta) and not keeps_climate(state.best_theta)
    if is_best:
        state = replace(state, best_theta=step.theta, best_error=error)
    if is_end:
        # If the free run has diverged, continue from the best state.
        theta = state.theta if np.isfinite(step.loss) else state.best_theta
        state = replace(state, theta=theta, stage=number + 1, iteration=0)
    return RefineRecord(
        stage=number,
        iteration=iteration,
        step=state.step,
        loss=step.loss,
        damping=step.damping if step.accepted_damping is None else step.accepted_damping,
        is_stage_end=is_end,
        closed_loop_rmse=error,
        is_best=is_best,
        state=state,
    )


def _next_problem(stage: Stage, iteration: int) -> int:
    """Return the next iteration with other sequences or noise, or the number of iterations."""
    every = 1 if stage.batches > 1 else stage.redraw_every or stage.iterations
    return min((iteration // every + 1) * every, stage.iterations)
