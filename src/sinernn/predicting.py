"""Forecast beyond the end of a series, with intervals from errors on the validation part."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sinernn.arrays import Float
from sinernn.config import Config, load_config
from sinernn.data.continuation import read_inputs, read_like, written_channels
from sinernn.data.windows import count_origins, spread_origins
from sinernn.engines import Engine
from sinernn.errors import RunFileError, UsageError
from sinernn.evaluation.metrics import counted
from sinernn.evaluation.predictions import Interval, Prediction, half_widths
from sinernn.forecasting import hidden_before, place_origins, ready_engine, run_freely
from sinernn.model.linearization import StateMap
from sinernn.model.network import Hidden
from sinernn.preparation import require_data
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint
from sinernn.runs.directory import open_run

LEVELS = (0.8, 0.95)
"""Probabilities of the intervals, unless others are asked for."""

MAX_ORIGINS = 2000  # forecasts that intervals are made from
MAX_NUMBERS = 8_000_000  # in all of these forecasts
_UNUSUAL = 0.99  # share of errors that are not


@dataclass(frozen=True)
class _Member:
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


class Forecaster:
    """The best networks of one or more runs, whose mean forecast is taken."""

    def __init__(
        self,
        runs: Sequence[Run],
        steps: int,
        *,
        levels: Sequence[float] = LEVELS,
        overrides: Sequence[str] = (),
        on_compile: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Read the runs.

        Args:
            runs: At least one.
            steps: Samples to forecast.
            levels: Probabilities of the intervals.
            overrides: `signal.path=FILE`, if the data file of the runs is elsewhere.
            on_compile: Returns a context in which kernels are compiled, if they are not yet.

        Raises:
            SinernnError: A run cannot be read, they do not forecast the same channels, or a level
                is not between 0 and 1.
        """
        for level in levels:
            if not 0 < level < 1:
                message = f"interval: must be between 0 and 1, got {level:g}; an example is 0.9"
                raise UsageError(message)
        self.steps, self._levels = steps, levels
        command = f"predict --steps {steps}"
        self._members = [_load(run, overrides, on_compile, command) for run in runs]
        first = self._members[0]
        self.series = first.config.signal.read()
        """The series of the first run."""
        self.extent = self.series.extent
        ours = written_channels(self.extent)
        for other in self._members[1:]:
            theirs = written_channels(other.config.signal.extent())
            if theirs != ours:
                raise UsageError(
                    f"{other.run.path}: its channels are {theirs}, those of {first.run.path} "
                    f"{ours}; forecast them in two commands"
                )

    @property
    def warmup(self) -> int:
        """Samples after which every network's outputs count."""
        return max(member.config.evaluation.warmup for member in self._members)

    def predict(
        self,
        data: Any,
        *,
        inputs: Any = None,
        warmup: int | None = None,
    ) -> Prediction:
        """Continue beyond the end of a series; see the function `predict`."""
        own = self._members[0].config.signal
        series = self.series if data is None else read_like(own, self.extent, data)
        length = series.extent.lengths[-1]
        if warmup is not None and warmup > length:
            raise UsageError(
                f"warmup: must be at most {length}, the samples there are, got {warmup}"
            )
        samples = series.observed[-(warmup or length) :]
        future = read_inputs(own, self.extent, inputs, self.steps)
        prediction = self.forecast(samples, last=float(series.time[-1]), future=future)
        if (count := len(series.extent.lengths)) == 1:
            return prediction
        note = (
            f"continues the last of {count} recordings; to continue another one, give its rows as "
            "--data FILE"
        )
        return replace(prediction, notes=(note, *prediction.notes))

    def forecast(
        self,
        samples: Float[np.ndarray, "sample channel"],
        *,
        last: float,
        future: Float[np.ndarray, "_ input"],
    ) -> Prediction:
        """Read samples and continue after them.

        Args:
            samples: In signal units.
            last: Time of the last of the samples.
            future: Inputs of the samples after it, at least `steps` - 1 if there are inputs.
        """
        notes = [*self._warn_of(samples), *self._judge()]
        starts = [member.start(1) for member in self._members]
        return self._continue(samples, starts, last, future, notes)

    def follow(
        self, samples: Iterable[tuple[float, Float[np.ndarray, " channel"]]]
    ) -> Iterator[Prediction]:
        """Forecast after every sample of a stream; each network reads a sample once.

        Args:
            samples: Time and channels of each, in signal units.

        Yields:
            A forecast after each sample, the first when the warm-up has been read.

        Raises:
            UsageError: The samples end before that.
        """
        maps = [
            StateMap(each.checkpoint.network, each.checkpoint.state.params)
            for each in self._members
        ]
        states = [member.start(1).astype(np.float64) for member in self._members]
        future, notes = np.empty((0, len(self.extent.inputs))), list(self._judge())
        count = 0
        for count, (time, sample) in enumerate(samples, start=1):
            if count >= self.warmup:
                yield self._continue(sample[None], states, time, future, notes)
            states = [
                each.step(member.checkpoint.scale.apply(sample[None]), state)
                for each, member, state in zip(maps, self._members, states, strict=True)
            ]
        if count < self.warmup:
            raise UsageError(
                f"{counted(count, 'sample')} came before the end; a first forecast needs "
                f"{self.warmup} (evaluation.warmup)"
            )

    def _continue(
        self,
        samples: Float[np.ndarray, "sample channel"],
        states: Sequence[Hidden],
        last: float,
        future: Float[np.ndarray, "_ input"],
        notes: Sequence[str],
    ) -> Prediction:
        runs = np.concatenate(
            [
                run_freely(
                    member.engine,
                    member.checkpoint.scale,
                    samples[None],
                    future[None],
                    self.steps,
                    state,
                )
                for member, state in zip(self._members, states, strict=True)
            ]
        )
        values = runs.mean(axis=0)
        return Prediction(
            extent=self.extent,
            time=last + self.extent.time_step * np.arange(1, self.steps + 1),
            values=values,
            intervals={
                level: Interval(values - width, values + width)
                for level, width in self._half_widths.items()
            },
            spread=runs.std(axis=0) if len(runs) > 1 else None,
            history=samples[:, : values.shape[1]],
            notes=tuple(notes),
        )

    @cached_property
    def _half_widths(self) -> dict[float, Float[np.ndarray, "steps output"]]:
        """Half the width of each interval; NaN where the validation part is too short."""
        errors = self._errors
        missing = ((0, 0), (0, self.steps - errors.shape[1]), (0, 0))
        errors = np.pad(errors, missing, constant_values=np.nan)
        return {level: half_widths(errors, level) for level in self._levels}

    @cached_property
    def _is_one_series(self) -> bool:
        """Whether the validation parts of all runs are the same samples."""
        configs = [member.config for member in self._members]
        return all(
            (each.signal, each.split) == (configs[0].signal, configs[0].split) for each in configs
        )

    @cached_property
    def _errors(self) -> Float[np.ndarray, "origin steps output"]:
        return self.errors("validation")

    def errors(self, part: str) -> Float[np.ndarray, "origin steps output"]:
        """Return absolute errors of free runs on a part, from origins that chose no checkpoint.

        They reach at most as far ahead as twice that would fit, so that those of the last step do
        not all come from the same stretch of the series. NaN where the truth is not known.

        Args:
            part: `validation`, whose errors the intervals are made from, or `train` or `test`.
        """
        config, series = self._members[0].config, self.series
        outputs = len(self.extent.outputs)
        if not self._is_one_series:
            return np.empty((0, 1, outputs))
        parts = config.split.parts(self.extent.lengths).named(part)
        steps = min((max(map(len, parts)) - self.warmup + 1) // 2, self.steps)
        if steps < 1:
            return np.empty((0, 1, outputs))
        fitting = count_origins(parts, warmup=self.warmup, horizon=1)
        found = spread_origins(parts, warmup=self.warmup, horizon=1, count=sum(fitting))
        last = np.array([each.stop - 1 for each in parts])
        origins = series.rows(found.segments, found.samples)
        ends = series.rows(found.segments, last[found.segments])
        chose = np.isin(origins, self._choosing_rows())
        origins, ends = origins[~chose], ends[~chose]
        count = min(len(origins), MAX_ORIGINS, max(MAX_NUMBERS // (steps * outputs), 1))
        kept = np.unique(np.linspace(0, len(origins) - 1, count).round().astype(int))
        origins, ends = origins[kept], ends[kept]
        ahead = origins[:, None] + np.arange(steps)
        known = np.minimum(ahead, ends[:, None])
        before = series.observed[origins[:, None] + np.arange(-self.warmup, 0)]
        future, rows = series.observed[known, outputs:], len(before)
        forecast = np.mean(
            [
                run_freely(
                    each.engine, each.checkpoint.scale, before, future, steps, each.start(rows)
                )
                for each in self._members
            ],
            axis=0,
        )
        errors = np.abs(forecast - series.observed[known, :outputs])
        errors = np.where(np.isnan(errors), np.inf, errors)  # diverged
        return np.where((ahead > ends[:, None])[:, :, None], np.nan, errors)

    def _choosing_rows(self) -> np.ndarray:
        """Return the rows after the warm-ups from which the checkpoints were chosen."""
        chosen = list[np.ndarray]()
        for config in (member.config for member in self._members):
            counts = {None, config.refine.origins if config.refine else None}
            for count in counts:
                _, rows = place_origins(config, self.series, "validation", count=count)
                chosen.append(rows[:, config.evaluation.warmup])
        return np.concatenate(chosen)

    def _warn_of(self, samples: Float[np.ndarray, "sample channel"]) -> Iterator[str]:
        """Warn if the networks predict the last samples unusually badly."""
        length, outputs = min(self.warmup, len(samples) // 2), len(self.extent.outputs)
        if len(samples) < self.warmup:
            yield (
                f"warning: {counted(len(samples), 'sample')} read, fewer than the {self.warmup} "
                "(evaluation.warmup) that the intervals assume; read more for a better forecast"
            )
            return
        if not len(self._errors) or not length:
            return
        predicted = np.mean([member.one_step(samples) for member in self._members], axis=0)
        errors = np.abs(predicted[-1 - length : -1] - samples[-length:, :outputs])
        found, usual = np.median(errors, axis=0), np.quantile(self._errors[:, 0], _UNUSUAL, axis=0)
        for channel, here, there in zip(self.extent.outputs, found, usual, strict=True):
            if here > there:
                yield (
                    f"warning: the end of {channel.name} looks like nothing that the network was "
                    f"trained on: one step ahead, half of the last {length} errors are above "
                    f"{here:.2g}, and on the validation part 1 in 100 is above {there:.2g}"
                )

    def _judge(self) -> Iterator[str]:
        """Say how far free runs were useful, and which intervals are missing."""
        for member in self._members:
            try:
                valid = member.run.read_scores().valid_time
            except RunFileError:
                valid = None
            if valid is None or valid.steps.median is None:
                continue
            whole = ", as far as it was evaluated" if valid.outlasted else ""
            yield (
                f"{member.run.path}: on the {member.config.evaluation.part} part, the median free "
                f"run erred by less than {valid.threshold:g} standard deviations for "
                f"{counted(int(valid.steps.median))}{whole}"
            )
        missing = list[str]()
        for level, width in self._half_widths.items():
            reached = int(np.isfinite(width).all(axis=1).sum())
            if reached < self.steps:
                beyond = f" beyond {counted(reached)}" if reached else ""
                missing.append(f"no {100 * level:.4g} % interval{beyond}")
        if missing:
            yield self._explain(", ".join(missing))

    def _explain(self, what: str) -> str:
        if not self._is_one_series:
            return f"{what}: the runs were trained on different series"
        return (
            f"{what}: the validation part holds {len(self._errors)} forecasts of up to "
            f"{counted(self._errors.shape[1])} that chose no checkpoint; increase split.validation "
            "and train again for more"
        )


def predict(
    runs: Run | Path | str | Sequence[Run | Path | str],
    data: Any = None,
    overrides: Sequence[str] = (),
    *,
    steps: int,
    inputs: Any = None,
    warmup: int | None = None,
    levels: Sequence[float] = LEVELS,
    runs_dir: Path | str = "runs",
) -> Prediction:
    """Continue a run's own series, or another one, beyond its end.

    Args:
        runs: A run, or several, whose forecasts are averaged.
        data: A file with the same columns, or an array, a mapping or a data frame; default: the
            series of the (first) run. Of several segments the last is continued.
        overrides: `signal.path=FILE`, if the data file of the runs is elsewhere.
        steps: Samples to forecast.
        inputs: Of a driven series, the inputs of the samples that follow, in `steps` - 1 rows or
            more; as `data`.
        warmup: How many of the last samples to read; default: all.
        levels: Probabilities of the intervals.
        runs_dir: Folder of the run directories.

    Raises:
        SinernnError: A run or file cannot be read, or they do not go together.

    Example:
        >>> sinernn.predict("latest", steps=5).values.shape
        (5, 1)
    """
    several = [runs] if isinstance(runs, Run | Path | str) else runs
    opened = [open_run(each, runs_dir=runs_dir) for each in several]
    forecaster = Forecaster(opened, steps, levels=levels, overrides=overrides)
    return forecaster.predict(data, inputs=inputs, warmup=warmup)


def _load(
    run: Run,
    overrides: Sequence[str],
    on_compile: Callable[[], AbstractContextManager[object]],
    command: str,
) -> _Member:
    if wrong := [text for text in overrides if not text.startswith("signal.path=")]:
        message = f"{' '.join(wrong)}: would not change a forecast; only signal.path can be changed"
        raise UsageError(message)
    config, (_, checkpoint) = load_config(run.config_path, overrides), run.best_checkpoint()
    require_data(run, config, command)
    return _Member(run, config, checkpoint, ready_engine(config, checkpoint, on_compile))
