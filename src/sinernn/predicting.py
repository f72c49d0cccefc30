"""Forecast beyond the end of a series, with intervals from errors on the validation part."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sinernn.arrays import Float
from sinernn.config import load_config
from sinernn.data.continuation import read_inputs, read_like, time_column_of
from sinernn.data.files import File
from sinernn.data.series import Extent
from sinernn.data.streams import SampleStream
from sinernn.engines.fused.linearization import StateMap
from sinernn.ensemble import Ensemble
from sinernn.errors import RunFileError, UsageError
from sinernn.evaluation.metrics import counted
from sinernn.evaluation.predictions import Interval, Prediction, half_widths
from sinernn.model.network import Hidden
from sinernn.runs import Run
from sinernn.runs.directory import open_run

LEVELS = (0.8, 0.95)
"""Probabilities of the intervals, unless others are asked for."""

MAX_STEPS = 1_000_000
_UNUSUAL = 0.99  # share of errors that are not
_LEAST_ERRORS = 10  # whose median is compared, of a stream
_OF_DATA = ("signal.missing=", "signal.gaps=")


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
            overrides: `signal.path=FILE`, if the data file of the runs is elsewhere; and how
                another one is read: `signal.missing` and `signal.gaps`.
            on_compile: Returns a context in which kernels are compiled, if they are not yet.

        Raises:
            SinernnError: A run cannot be read, they do not forecast the same channels, or an
                argument is wrong.
        """
        _require_count("steps", steps, most=MAX_STEPS)
        for level in levels:
            if not 0 < level < 1:
                message = f"interval: must be between 0 and 1, got {level:g}; an example is 0.9"
                raise UsageError(message)
        self.steps, self._levels, self._overrides = steps, levels, overrides
        path = [text for text in overrides if text.startswith("signal.path=")]
        self._of_data = [text for text in overrides if text not in path]
        if wrong := [text for text in self._of_data if not text.startswith(_OF_DATA)]:
            known = f"only signal.path can be changed, and {' and '.join(_OF_DATA)} of --data"
            message = f"{' '.join(wrong)}: would not change a forecast; {known.replace('=', '')}"
            raise UsageError(message)
        command = f"predict --steps {steps}"
        self.ensemble = Ensemble(runs, path, command=command, on_compile=on_compile)
        self.extent = self.ensemble.series.extent

    @property
    def data_files(self) -> list[Path]:
        """The files that the series of the runs are read from."""
        signals = [member.config.signal for member in self.ensemble.members]
        return [signal.file for signal in signals if isinstance(signal, File)]

    @property
    def _signal(self) -> object:
        """How another series than the runs' own is read."""
        return load_config(self.ensemble.members[0].run.config_path, self._overrides).signal

    def predict(
        self,
        data: Any,
        *,
        inputs: Any = None,
        warmup: int | None = None,
    ) -> Prediction:
        """Continue beyond the end of a series; see the function `predict`."""
        signal, series, note = self._signal, self.ensemble.series, ""
        if data is not None:
            series, note = read_like(signal, self.extent, data)
        elif self._of_data:
            unused = " ".join(self._of_data)
            raise UsageError(f"{unused}: is for reading another series; give it as --data FILE")
        extent, last = series.extent, float(series.time[-1])
        length = extent.lengths[-1]
        if warmup is not None:
            _require_count("warmup", warmup, most=length, what=", the samples there are")
        samples = series.observed[-(warmup or length) :]
        future = read_inputs(signal, extent, inputs, self.steps, last=None if note else last)
        notes = [note] if note else []
        if (count := len(extent.lengths)) > 1:
            notes.append(
                f"continues the last of {count} recordings; to continue another one, give its rows "
                "as --data FILE"
            )
        if series.unread:
            notes.append(
                f"the last {counted(series.unread, 'row')} of the series have missing cells: the "
                f"forecast follows the sample before, of {extent.written(series.time[-1:])[0]}"
            )
        notes += [*self._warn_of(samples), *self._judge()]
        return self._continue(extent, samples, self.ensemble.start(), last, future, notes)

    def follow(
        self, lines: Iterable[str], *, remark: Callable[[str], object] = lambda _: None
    ) -> Iterator[Prediction]:
        """Forecast after every sample of a stream; each network reads a sample once.

        Args:
            lines: CSV; see `SampleStream`.
            remark: Receives what is to be said of the stream, when it is found.

        Yields:
            A forecast after each sample, when the warm-up has been read; only the first has notes.

        Raises:
            UsageError: The lines are wrong, end before that, or cannot be all that is needed.
        """
        signal, inputs = self._signal, [channel.name for channel in self.extent.inputs]
        if inputs and self.steps > 1:
            raise UsageError(
                f"--data -: the inputs of the samples to come ({', '.join(inputs)}) are not known "
                "after each row; use --steps 1, or --data FILE --inputs FILE"
            )
        rules = dict[str, Any]()
        if isinstance(signal, File):
            if signal.downsample is not None:
                raise UsageError(
                    f"--data -: a sample of this run is {signal.downsample.factor} rows "
                    "(signal.downsample), and a forecast follows each row; use --data FILE"
                )
            rules = {"gaps": signal.gaps, "missing": signal.missing, "decimal": signal.decimal_sign}
        stream = SampleStream(lines, self.extent, remark=remark, **rules)
        missing = time_column_of(signal)
        if missing is not None and missing not in stream.header:
            remark(f"standard input has no column {missing}: times are counted from its first row")
        yield from self._follow(stream, remark)

    def _follow(
        self, stream: SampleStream, remark: Callable[[str], object]
    ) -> Iterator[Prediction]:
        members, warmup, outputs = self.ensemble.members, self.ensemble.warmup, self.extent.outputs
        maps = [StateMap(each.checkpoint.network, each.checkpoint.state.params) for each in members]
        states, count, total = list[np.ndarray](), 0, 0
        future, notes = np.empty((0, len(self.extent.inputs))), list(self._judge())
        errors, is_usual = list[np.ndarray](), True
        expected: np.ndarray | None = None
        for sample in stream:
            if sample.is_first:
                states = [each.astype(float) for each in self.ensemble.start()]
                count, expected = 0, None
            elif expected is not None and is_usual:
                errors.append(np.abs(expected - sample.values[: len(outputs)]))
            if is_usual and len(errors) >= max(warmup, _LEAST_ERRORS):
                for warning in self._unusual(np.array(errors)):
                    remark(warning)
                    is_usual = False
                errors.clear()
            count += 1
            if count >= warmup:
                total += 1
                found = self._continue(
                    stream.extent, sample.values[None], states, sample.time, future, notes
                )
                expected, notes = found.values[0], []
                yield found
            states = [
                each.step(member.checkpoint.scale.apply(sample.values[None]), state)
                for each, member, state in zip(maps, members, states, strict=True)
            ]
        if not total:
            raise UsageError(
                f"{counted(count, 'sample')} came before the end; a first forecast needs "
                f"{warmup} (evaluation.warmup)"
            )

    def _continue(
        self,
        extent: Extent,
        samples: Float[np.ndarray, "sample channel"],
        states: Sequence[Hidden],
        last: float,
        future: Float[np.ndarray, "_ input"],
        notes: Sequence[str],
    ) -> Prediction:
        runs = self.ensemble.free_runs(samples[None], future[None], self.steps, states)[:, 0]
        values = runs.mean(axis=0)
        return Prediction(
            extent=extent,
            time=last + extent.time_step * np.arange(1, self.steps + 1),
            values=values,
            intervals={
                level: Interval(values - width, values + width)
                for level, width in self._half_widths.items()
            },
            spread=runs.std(axis=0) if len(runs) > 1 else None,
            history=samples[:, : values.shape[1]],
            inputs=np.concatenate([samples[:, values.shape[1] :], future[: self.steps - 1]]),
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
        if not length:
            return
        predicted = self.ensemble.one_step(samples)
        errors = np.abs(predicted[-1 - length : -1] - samples[-length:, :outputs])
        yield from self._unusual(errors)

    def _unusual(self, errors: Float[np.ndarray, "sample output"]) -> Iterator[str]:
        """Warn if these errors one step ahead are larger than nearly all on the validation part."""
        if not len(self._errors):
            return
        found, usual = np.median(errors, axis=0), np.quantile(self._errors[:, 0], _UNUSUAL, axis=0)
        for channel, here, there in zip(self.extent.outputs, found, usual, strict=True):
            if not here <= there:  # NaN: a free run diverged
                yield (
                    f"warning: the end of {channel.name} looks like nothing that the network was "
                    f"trained on: one step ahead, half of the last {len(errors)} errors are above "
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
            return f"{what}: the series or splits of the runs differ"
        return (
            f"{what}: the validation part holds {counted(len(self._errors), 'forecast')} of up to "
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
        overrides: `signal.path=FILE`, if the data file of the runs is elsewhere; and how `data` is
            read: `signal.missing` and `signal.gaps`.
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
    if not len(several):
        raise UsageError("runs: name at least one, as in predict('latest', steps=5)")
    if np.ndim(levels) == 0:
        raise UsageError(f"levels: must be several probabilities, as in [0.8, 0.95], got {levels}")
    opened = [open_run(each, runs_dir=runs_dir) for each in several]
    forecaster = Forecaster(opened, steps, levels=levels, overrides=overrides)
    return forecaster.predict(data, inputs=inputs, warmup=warmup)


def _require_count(name: str, value: object, *, most: int, what: str = "") -> None:
    if not isinstance(value, int | np.integer) or value < 1:
        raise UsageError(f"{name}: must be a whole number of at least 1, got {value}")
    if value > most:
        raise UsageError(f"{name}: must be at most {most}{what}, got {value}")
