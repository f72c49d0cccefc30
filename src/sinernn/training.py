"""Run the updates: a generator of records; the consumer prints and saves."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sinernn.arrays import Float
from sinernn.config.sections import Training
from sinernn.data.windows import Plan, Planner
from sinernn.engines import Engine
from sinernn.errors import TrainingDivergedError
from sinernn.model.network import Params
from sinernn.refine.records import MetricsRow

MAX_GROWTH = 100
"""Training has diverged if its last loss is so many times that of the start."""

PIECE_SECONDS = 0.1  # short enough for Ctrl-C and a progress bar, long enough to cost nothing


@dataclass(frozen=True)
class Record:
    """The result of a piece of training: some updates."""

    step: int
    """Updates done."""

    losses: Float[np.ndarray, " n"]
    """Loss of every update since the last row of the metrics, scaled units squared."""

    learning_rate: float
    """Of the last update."""

    is_row: bool
    """Whether this record is a row of the metrics."""

    is_checkpoint: bool
    """Whether a checkpoint is due."""

    updates_per_second: float = 0.0
    """Of the engine alone, in the last piece."""

    closed_loop_rmse: float | None = None
    """On the validation part, where it was evaluated; infinite for a diverging free run."""

    weights: Mapping[int, Params] = field(default_factory=dict[int, Params])
    """The weights after some of the updates, by their number: those to be kept."""

    @property
    def loss(self) -> float:
        """Mean loss since the last row."""
        return float(self.losses.mean())

    @property
    def metrics(self) -> MetricsRow:
        """The record as a row of metrics.csv."""
        return {
            "phase": "training",
            "step": self.step,
            "loss": self.loss,
            "learning_rate": self.learning_rate,
            "closed_loop_rmse": self.closed_loop_rmse,
        }


def learning_rates(settings: Training, first: int, n: int) -> Float[np.ndarray, " n"]:
    """Return the learning rates of the n updates after the first `first`.

    The schedule is `constant`, or `cosine`: along half a cosine to nearly 0 at the last update.

    Source:
        Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts",
        ICLR, equation 5, with one period and a minimum of 0.
    """
    peak = settings.learning_rate
    if settings.schedule == "constant":
        return np.full(n, peak)
    return peak * 0.5 * (1 + np.cos(np.pi * np.arange(first, first + n) / settings.steps))


def run_updates(
    engine: Engine,
    plan: Planner,
    settings: Training,
    *,
    evaluate: Callable[[], float],
    losses: Float[np.ndarray, " n"],
    kept: Sequence[int] = (),
) -> Iterator[Record]:
    """Advance the engine to `settings.steps` updates, and yield a record after every piece.

    A row of the metrics is due at every multiple of an interval, and at the end; between them
    records only report progress. The pieces change no bit of the result.

    Args:
        engine: Holds the state to start from.
        plan: Which windows each update sees.
        settings: Number of updates, learning rates and intervals.
        evaluate: Returns the engine's current closed-loop error.
        losses: Losses since the last row, of a resumed run.
        kept: Numbers of updates, in order, after which the weights are kept.

    Raises:
        TrainingDivergedError: A loss is not finite, or a weight after a piece.
    """
    done, steps, pending = engine.state.updates, settings.steps, losses
    updates_per_second = 0.0
    while done < steps:
        boundary = min(steps, *((done // every + 1) * every for every in row_intervals(settings)))
        n = min(boundary - done, max(1, int(updates_per_second * PIECE_SECONDS)))
        rates = learning_rates(settings, done, n)
        windows = plan(done, n)
        keep = [update - done for update in kept if done < update <= done + n]
        began = time.perf_counter()
        new, weights = _advance(engine, windows, rates, keep)
        updates_per_second = n / max(time.perf_counter() - began, 1e-9)
        _require_finite(new, done)
        done += n
        pending = np.concatenate([pending, new])
        is_row = done == boundary
        if not engine.is_finite():
            raise _diverged(done, "a weight is no longer finite")
        is_evaluated = is_due(settings.evaluate_every, done, steps=steps)
        yield Record(
            step=done,
            losses=pending,
            learning_rate=float(rates[-1]),
            is_row=is_row,
            updates_per_second=updates_per_second,
            is_checkpoint=done == steps or is_due(settings.checkpoint_every, done, steps=steps),
            closed_loop_rmse=evaluate() if is_evaluated else None,
            weights={done - n + update: params for update, params in weights.items()},
        )
        if is_row:
            pending = np.empty(0)


def _advance(
    engine: Engine, plan: Plan, rates: Float[np.ndarray, " n"], keep: Sequence[int]
) -> tuple[Float[np.ndarray, " n"], dict[int, Params]]:
    """Run a plan, and return the losses, and the weights after some of its updates."""
    losses, weights, begin = list[np.ndarray](), dict[int, Params](), 0
    for end in sorted({*keep, len(rates)}):
        part = slice(begin, end)
        losses.append(engine.advance(plan.starts[part], plan.resets[part], rates[part]))
        if end in keep:
            weights[end] = engine.params
        begin = end
    return np.concatenate(losses), weights


def check_last_loss(
    rows: Sequence[MetricsRow], *, of_zero: float, of_first: Callable[[], float]
) -> None:
    """Check that training did not end far above the loss that it started from.

    Args:
        rows: All metrics. A refinement that came back down makes good for the updates.
        of_zero: Loss of an output of zero, scaled units squared: the first update's can be tiny,
            by luck or because the weights are another run's.
        of_first: Returns the loss of the first update.

    Raises:
        TrainingDivergedError: The last loss exceeds the larger of both by `MAX_GROWTH`.
    """
    losses = {int(row["step"] or 0): _loss(row) for row in rows if row["phase"] == "training"}
    refined = [_loss(row) for row in rows if row["phase"] == "refine"]
    ended = [*losses.values()][-1]
    last = min([ended, *(loss for loss in refined if loss == loss)])
    if last <= MAX_GROWTH * of_zero:
        return
    start, whose = max((of_first(), "the first update's"), (of_zero, "that of an output of zero"))
    if last <= MAX_GROWTH * start:
        return
    good = [step for step, loss in losses.items() if loss <= MAX_GROWTH * start]
    update = next(step for step in losses if step > max(good, default=0))
    raise TrainingDivergedError(
        f"training diverged at update {update}: from there on its loss was more than {MAX_GROWTH} "
        f"times {whose} ({start:.2e}), and after the last one it is {ended:.2e}",
        update=update,
    )


def _loss(row: MetricsRow) -> float:
    return float("nan") if row["loss"] in (None, "") else float(row["loss"])


def row_intervals(settings: Training) -> list[int]:
    """Return the numbers of updates at whose multiples the metrics have a row."""
    intervals = (settings.log_every, settings.evaluate_every, settings.checkpoint_every)
    return [every for every in intervals if every is not None]


def is_due(every: int | None, done: int, *, steps: int) -> bool:
    """Whether something periodic is due after `done` updates: at each multiple, and at the end."""
    return every is not None and (done == steps or done % every == 0)


def _require_finite(losses: Float[np.ndarray, " n"], done: int) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        raise _diverged(done + int(bad[0]) + 1, f"the loss is {losses[bad[0]]}")


def _diverged(update: int, what: str) -> TrainingDivergedError:
    return TrainingDivergedError(f"training diverged at update {update}: {what}", update=update)
