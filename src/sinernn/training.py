"""The updates: a generator of records; printing and saving happen at the consumer."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sinernn.data.windows import Planner
from sinernn.engines import Engine
from sinernn.errors import TrainingDivergedError

PIECE_SECONDS = 0.1  # short enough for Ctrl-C and a progress bar, long enough to cost nothing

Schedule = Callable[[int, int], Float[np.ndarray, " n"]]
"""(first update, how many) -> their learning rates."""


@dataclass(frozen=True)
class Record:
    """What a piece of training came to."""

    step: int
    """Updates done."""

    losses: Float[np.ndarray, " n"]
    """Loss of every update since the last row of the metrics, scaled units squared."""

    learning_rate: float
    """Of the last update."""

    is_row: bool
    """Whether this record is a row of the metrics."""

    is_checkpoint: bool
    """Whether the state is due to be saved."""

    closed_loop_rmse: float | None = None
    """On the validation part, where it was evaluated; infinite for a diverging free run."""

    @property
    def loss(self) -> float:
        """Mean loss since the last row."""
        return float(self.losses.mean())

    @property
    def metrics(self) -> dict[str, Any]:
        """The record as a row of metrics.csv."""
        return {
            "phase": "training",
            "step": self.step,
            "loss": self.loss,
            "learning_rate": self.learning_rate,
            "closed_loop_rmse": self.closed_loop_rmse,
        }


def schedule(kind: str, *, peak: float, steps: int) -> Schedule:
    """Return the learning rates of a run of `steps` updates.

    Args:
        kind: `constant`, or `cosine`: from `peak` along half a cosine to nearly 0.
        peak: Learning rate of the first update.
        steps: Updates in all.

    Source:
        Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts",
        ICLR, equation 5, with one period and a minimum of 0.
    """

    def learning_rates(first: int, n: int) -> Float[np.ndarray, " n"]:
        if kind == "constant":
            return np.full(n, peak)
        return peak * 0.5 * (1 + np.cos(np.pi * np.arange(first, first + n) / steps))

    return learning_rates


def run_updates(
    engine: Engine,
    *,
    plan: Planner,
    learning_rates: Schedule,
    first: int,
    steps: int,
    log_every: int,
    evaluate_every: int | None,
    checkpoint_every: int | None,
    evaluate: Callable[[], float],
    losses: Float[np.ndarray, " n"] | None = None,
) -> Iterator[Record]:
    """Advance the engine from update `first` to `steps`, and yield a record after every piece.

    A row is due at every multiple of `log_every`, `evaluate_every` and `checkpoint_every`, and at
    the end; between them records only report progress. The pieces change no bit of the result.

    Args:
        engine: Stands at update `first`.
        plan: Which windows each update sees.
        learning_rates: The schedule.
        first: Updates done already.
        steps: Updates in all.
        log_every: Updates between rows.
        evaluate_every: Updates between evaluations; None: never.
        checkpoint_every: Updates between checkpoints; None: only at the end.
        evaluate: Returns the engine's closed-loop error at that moment.
        losses: Losses since the last row, of a run that goes on.

    Raises:
        TrainingDivergedError: A loss is not finite, or a weight after a piece.
    """
    done, pending = first, np.empty(0) if losses is None else losses
    updates_a_second = 0.0
    while done < steps:
        due = [
            every for every in (log_every, evaluate_every, checkpoint_every) if every is not None
        ]
        boundary = min(steps, *(next_multiple(every, done) for every in due))
        n = min(boundary - done, max(1, int(updates_a_second * PIECE_SECONDS)))
        rates = learning_rates(done, n)
        windows = plan(done, n)
        began = time.perf_counter()
        new = engine.advance(windows.starts, windows.resets, rates)
        updates_a_second = n / max(time.perf_counter() - began, 1e-9)
        _require_finite(new, done)
        done += n
        pending = np.concatenate([pending, new])
        is_row = done == boundary
        if not engine.state.is_finite():
            raise _diverged(done, "a weight is no longer finite")
        yield Record(
            step=done,
            losses=pending,
            learning_rate=float(rates[-1]),
            is_row=is_row,
            is_checkpoint=done == steps or is_due(checkpoint_every, done, steps=steps),
            closed_loop_rmse=evaluate() if is_due(evaluate_every, done, steps=steps) else None,
        )
        if is_row:
            pending = np.empty(0)


def is_due(every: int | None, done: int, *, steps: int) -> bool:
    """Whether what comes every so many updates comes now: at each multiple, and at the end."""
    return every is not None and (done == steps or done % every == 0)


def next_multiple(every: int, done: int) -> int:
    """Return the first multiple of `every` past `done`."""
    return (done // every + 1) * every


def _require_finite(losses: Float[np.ndarray, " n"], done: int) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        raise _diverged(done + int(bad[0]) + 1, f"the loss is {losses[bad[0]]}")


def _diverged(update: int, what: str) -> TrainingDivergedError:
    return TrainingDivergedError(f"training diverged at update {update}: {what}")
