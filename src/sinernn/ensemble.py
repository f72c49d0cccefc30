"""The best networks of one or more runs: their mean free run, and its errors on a part."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sinernn.arrays import Float
from sinernn.config import Config, load_config
from sinernn.data.continuation import has_same_step, written_channels, written_step
from sinernn.data.windows import count_origins, spread_origins
from sinernn.engines import Engine
from sinernn.errors import UsageError
from sinernn.evaluation.metrics import evenly_spaced
from sinernn.forecasting import hidden_before, place_origins, ready_engine, run_freely
from sinernn.model.network import Hidden
from sinernn.preparation import require_data
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint

MAX_ORIGINS = 2000  # forecasts that intervals are made from
MAX_NUMBERS = 8_000_000  # in all of these forecasts


@dataclass(frozen=True)
class Member:
    """One run's best network, ready to run."""

    run: Run
    config: Config
    checkpoint: Checkpoint
    engine: Engine

    def start(self, rows: int) -> Hidden:
        """Return the hidden state before any sample is read."""
        return hidden_before(self.config.evaluation.initial_state, self.engine.state, rows)

    def one_step(self, samples: Float[np.ndarray, "n channel"]) -> Float[np.ndarray, "n output"]:
        """Return the prediction after each sample, in signal units."""
        scale = self.checkpoint.scale
        scaled = self.engine.open_loop(scale.apply(samples)[None], self.start(1))
        return scale.first(self.checkpoint.network.outputs).invert(scaled[0].astype(np.float64))


class Ensemble:
    """Networks that forecast the same channels."""

    def __init__(
        self,
        runs: Sequence[Run],
        overrides: Sequence[str] = (),
        *,
        command: str = "predict",
        on_compile: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Read the runs.

        Args:
            runs: At least one.
            overrides: `signal.path=FILE`, if the data file of the runs is elsewhere.
            command: The command that takes it, with the options that it needs.
            on_compile: Returns a context in which kernels are compiled, if they are not yet.

        Raises:
            SinernnError: A run cannot be read, or they do not forecast the same channels.
        """
        self.members = [_load(run, overrides, on_compile, command) for run in runs]
        first = self.members[0]
        self.series = first.config.signal.read()
        """The series of the first run."""
        for other in self.members[1:]:
            theirs, ours = other.config.signal.extent(), self.series.extent
            what, there, here = "channels are", written_channels(theirs), written_channels(ours)
            if there == here and not has_same_step(theirs, ours):
                what, there, here = "time step is", written_step(theirs), written_step(ours)
            if there != here:
                raise UsageError(
                    f"{other.run.path}: its {what} {there}, but {here} in {first.run.path}; "
                    "forecast them in two commands"
                )

    @property
    def warmup(self) -> int:
        """Samples after which every network's outputs count."""
        return max(member.config.evaluation.warmup for member in self.members)

    def start(self) -> list[Hidden]:
        """Return the hidden state of each network before any sample is read."""
        return [member.start(1) for member in self.members]

    def one_step(self, samples: Float[np.ndarray, "n channel"]) -> Float[np.ndarray, "n output"]:
        """Return the mean prediction after each sample, in signal units."""
        return np.mean([member.one_step(samples) for member in self.members], axis=0)

    def free_runs(
        self,
        before: Float[np.ndarray, "origin W channel"],
        inputs: Float[np.ndarray, "origin after input"],
        steps: int,
        states: Sequence[Hidden] | None = None,
    ) -> Float[np.ndarray, "network origin steps output"]:
        """Run each network freely, as `run_freely` does; by default before any sample is read."""
        states = states or [member.start(len(before)) for member in self.members]
        return np.stack(
            [
                run_freely(each.engine, each.checkpoint.scale, before, inputs, steps, state)
                for each, state in zip(self.members, states, strict=True)
            ]
        )

    @cached_property
    def is_one_series(self) -> bool:
        """Whether the validation parts of all runs are the same samples."""
        split = self.members[0].config.split
        return all(
            each.config.split == split
            and np.array_equal(each.config.signal.read().observed, self.series.observed)
            for each in self.members
        )

    def errors(self, part: str, steps: int) -> Float[np.ndarray, "origin steps output"]:
        """Return absolute errors of free runs on a part, from origins that chose no checkpoint.

        They reach at most as far ahead as twice that would fit, so that those of the last step do
        not all come from the same stretch of the series. NaN where the truth is not known.

        Args:
            part: `validation`, whose errors the intervals are made from, or `train` or `test`.
            steps: How far ahead, if the part is long enough.
        """
        config, series = self.members[0].config, self.series
        outputs = len(series.extent.outputs)
        if not self.is_one_series:
            return np.empty((0, 1, outputs))
        parts = config.split.parts(series.extent.lengths).named(part)
        steps = min((max(map(len, parts)) - self.warmup + 1) // 2, steps)
        if steps < 1:
            return np.empty((0, 1, outputs))
        fitting = count_origins(parts, warmup=self.warmup, horizon=1)
        found = spread_origins(parts, warmup=self.warmup, horizon=1, count=sum(fitting))
        last = np.array([each.stop - 1 for each in parts])
        origins = series.rows(found.segments, found.samples)
        ends = series.rows(found.segments, last[found.segments])
        chose = np.isin(origins, self._choosing_rows())
        origins, ends = origins[~chose], ends[~chose]
        most = min(MAX_ORIGINS, max(MAX_NUMBERS // (steps * outputs), 1))
        kept = evenly_spaced(len(origins), most)
        origins, ends = origins[kept], ends[kept]
        ahead = origins[:, None] + np.arange(steps)
        known = np.minimum(ahead, ends[:, None])
        before = series.observed[origins[:, None] + np.arange(-self.warmup, 0)]
        future = series.observed[known, outputs:]
        forecast = self.free_runs(before, future, steps).mean(axis=0)
        errors = np.abs(forecast - series.observed[known, :outputs])
        errors = np.where(np.isnan(errors), np.inf, errors)  # diverged
        return np.where((ahead > ends[:, None])[:, :, None], np.nan, errors)

    def _choosing_rows(self) -> np.ndarray:
        """Return the rows after the warm-ups from which the checkpoints were chosen."""
        chosen = list[np.ndarray]()
        for config in (member.config for member in self.members):
            refine = config.refine
            for count, horizon in {
                (None, None),
                (refine and refine.origins, refine and refine.forecast_steps),
            }:
                _, rows = place_origins(
                    config, self.series, "validation", count=count, horizon=horizon
                )
                chosen.append(rows[:, config.evaluation.warmup])
        return np.concatenate(chosen)


def _load(
    run: Run,
    overrides: Sequence[str],
    on_compile: Callable[[], AbstractContextManager[object]],
    command: str,
) -> Member:
    config, (_, checkpoint) = load_config(run.config_path, overrides), run.best_checkpoint()
    require_data(run, config, command)
    return Member(run, config, checkpoint, ready_engine(config, checkpoint, on_compile))
