"""Forecast beyond the end of a series, with intervals from errors on the validation part."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sinernn.arrays import Float
from sinernn.data.continuation import read_inputs, read_like
from sinernn.ensemble import Ensemble
from sinernn.errors import RunFileError, UsageError
from sinernn.evaluation.metrics import counted
from sinernn.evaluation.predictions import Interval, Prediction, half_widths
from sinernn.model.linearization import StateMap
from sinernn.model.network import Hidden
from sinernn.runs import Run
from sinernn.runs.directory import open_run

LEVELS = (0.8, 0.95)
"""Probabilities of the intervals, unless others are asked for."""

_UNUSUAL = 0.99  # share of errors that are not


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
        self.ensemble = Ensemble(runs, overrides, command=command, on_compile=on_compile)
        self.extent = self.ensemble.series.extent

    def predict(
        self,
        data: Any,
        *,
        inputs: Any = None,
        warmup: int | None = None,
    ) -> Prediction:
        """Continue beyond the end of a series; see the function `predict`."""
        own = self.ensemble.members[0].config.signal
        series = self.ensemble.series if data is None else read_like(own, self.extent, data)
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
        return self._continue(samples, self.ensemble.start(), last, future, notes)

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
            for each in self.ensemble.members
        ]
        states = [member.start(1).astype(np.float64) for member in self.ensemble.members]
        future, notes = np.empty((0, len(self.extent.inputs))), list(self._judge())
        count = 0
        for count, (time, sample) in enumerate(samples, start=1):
            if count >= self.ensemble.warmup:
                yield self._continue(sample[None], states, time, future, notes)
            states = [
                each.step(member.checkpoint.scale.apply(sample[None]), state)
                for each, member, state in zip(maps, self.ensemble.members, states, strict=True)
            ]
        if count < self.ensemble.warmup:
            raise UsageError(
                f"{counted(count, 'sample')} came before the end; a first forecast needs "
                f"{self.ensemble.warmup} (evaluation.warmup)"
            )

    def _continue(
        self,
        samples: Float[np.ndarray, "sample channel"],
        states: Sequence[Hidden],
        last: float,
        future: Float[np.ndarray, "_ input"],
        notes: Sequence[str],
    ) -> Prediction:
        runs = self.ensemble.free_runs(samples[None], future[None], self.steps, states)[:, 0]
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
    def _errors(self) -> Float[np.ndarray, "origin steps output"]:
        return self.ensemble.errors("validation", self.steps)

    def _warn_of(self, samples: Float[np.ndarray, "sample channel"]) -> Iterator[str]:
        """Warn if the networks predict the last samples unusually badly."""
        warmup, outputs = self.ensemble.warmup, len(self.extent.outputs)
        length = min(warmup, len(samples) // 2)
        if len(samples) < warmup:
            yield (
                f"warning: {counted(len(samples), 'sample')} read, fewer than the {warmup} "
                "(evaluation.warmup) that the intervals assume; read more for a better forecast"
            )
            return
        if not len(self._errors) or not length:
            return
        predicted = self.ensemble.one_step(samples)
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
        for member in self.ensemble.members:
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
        if not self.ensemble.is_one_series:
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
