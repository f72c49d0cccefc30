"""Data for a network trained on another series: samples to continue, and inputs to come."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from sinernn.arrays import Float
from sinernn.data.files import OWN_RATE, File
from sinernn.data.frames import temporary_npz, to_columns, to_npz
from sinernn.data.recordings import Recording, downsample
from sinernn.data.series import Extent, Series
from sinernn.data.tables import DataProblems
from sinernn.data.times import JITTER, parse_dates
from sinernn.errors import UsageError, printable


def read_like(signal: object, extent: Extent, data: Any) -> tuple[Series, str]:
    """Read a series with the channels and the time step of another one.

    Args:
        signal: Describes the other one; if it is a file, `data` is read by its settings.
        extent: Of the other one.
        data: A file, or what `sinernn.data.frames.to_columns` takes; an array has its channels.

    Returns:
        The series; and a note if it lacks the other's column of times, so that its own are counted.

    Raises:
        SinernnError: It cannot be read, or has other channels or another time step.
    """
    if isinstance(data, Path | str):
        name, source = str(data), nullcontext(_data_file(data, "--data"))
    else:
        name, source = "data", temporary_npz(to_npz(_named(signal, data, extent, "data")))
    with source as path:
        file = _described(signal, extent, path)
        columns = file.open().names
        _require(extent.names, columns, name)
        series = file.read(may_be_constant=True)
    found, expected = written_channels(series.extent), written_channels(extent)
    if found != expected:
        raise UsageError(f"{name}: its channels are {found}, those of the run {expected}")
    if not has_same_step(series.extent, extent):
        steps = f"{written_step(series.extent)}, that of the run {written_step(extent)}"
        raise UsageError(f"{name}: its time step is {steps}; resample it")
    missing = time_column_of(signal) if file.time_column is None else None
    if missing is None:
        return series, ""
    unit = f" in {series.extent.time_unit}" if series.extent.time_unit else ""
    only = printable(", ".join(columns), 200)
    counted = f"times are counted{unit} from its first row"
    return series, f"{name}: has no column {missing}, only {only}; {counted}"


def read_inputs(
    signal: object, extent: Extent, inputs: Any, steps: int, *, last: float | None
) -> Float[np.ndarray, "_ input"]:
    """Read the inputs of the samples after a series, one fewer than the steps to forecast.

    Args:
        signal: See `read_like`.
        extent: Of the series.
        inputs: A file, or what `sinernn.data.frames.to_columns` takes; None if there are none.
            Their rows are those that samples are made of, if the signal is downsampled.
        steps: Steps to forecast.
        last: Time of the last sample, which those of the inputs must follow, if they have any;
            None if it is not known.

    Raises:
        SinernnError: Inputs are missing, there should be none, or they are of another time.
    """
    names, needed = [channel.name for channel in extent.inputs], steps - 1
    if inputs is None and (needed == 0 or not names):
        return np.empty((0, len(names)))
    if not names:
        raise UsageError("inputs: the network has none; leave them out")
    reduced = signal.downsample if isinstance(signal, File) else None
    factor = reduced.factor if reduced else 1
    if inputs is None:
        rows = "1 row" if needed * factor == 1 else f"{needed * factor} rows"
        raise UsageError(
            f"inputs: {rows} of {', '.join(names)} needed, of the samples to come; give a file "
            "with such columns as --inputs FILE"
        )
    timed = None if last is None else time_column_of(signal)
    if isinstance(inputs, Path | str):
        source, path = str(inputs), _data_file(inputs, "--inputs")
        reader = _described(signal, extent, path).open()
        _require(names, reader.names, source)
        times = [timed] if timed in reader.names else []
        has_dates = extent.start is not None
        table = reader.read([*names, *([] if has_dates else times)], times if has_dates else [])
        columns, rows = table.columns, table.rows[: needed * factor]
    else:
        columns, source = _named(signal, inputs, extent, "inputs"), "inputs"
        _require(names, columns, source)
        rows = np.arange(1, needed * factor + 1)
    values = np.stack([columns[name] for name in names], axis=1)[: needed * factor]
    if (known := len(values) // factor) < needed:
        raise UsageError(
            f"{source}: holds the inputs of {known} of the {needed} samples that {steps} steps "
            f"need; use --steps {known + 1}"
        )
    for row, column in np.argwhere(~np.isfinite(values))[:1]:
        message = f"row {rows[row]} of {names[column]} has no number; fill it in"
        raise UsageError(f"{source}: {message}")
    if last is not None and timed in columns:
        step, ahead = extent.time_step / factor, 1
        if reduced and reduced.method == "mean":  # whose time is the middle of its rows
            ahead = (factor + 1) / 2 / factor
        expected = last + ahead * extent.time_step + step * np.arange(len(values))
        _require_times(columns[timed][: len(values)], rows, expected, extent, source, step)
    if reduced:
        raw = Recording(np.arange(len(values), dtype=float), values)
        values = downsample(raw, factor, reduced.method).values
    return values


def _require_times(
    found: np.ndarray,
    rows: np.ndarray,
    expected: Float[np.ndarray, " row"],
    extent: Extent,
    source: str,
    step: float,
) -> None:
    """Check that rows are of the times that are expected."""
    times = found
    if extent.start is not None:
        problems = DataProblems(Path(source))
        found = found.astype(str) if found.dtype == float else found
        dates = parse_dates(found, rows, extent.time_name, problems)
        problems.raise_found()
        times = np.array([extent.time_of(date) for date in dates.tolist()])
    for at in np.flatnonzero(~(np.abs(times - expected) <= JITTER * step))[:1]:
        what = "one step after the row before" if at else "the first of the samples to come"
        raise UsageError(
            f"{source}: row {rows[at]}: {extent.time_name} must be "
            f"{extent.written(expected[[at]])[0]}, {what}, got {printable(str(found[at]), 60)}"
        )


def time_column_of(signal: object) -> str | None:
    """Return the column of times that a signal from a file has."""
    return signal.time_column if isinstance(signal, File) else None


def has_same_step(one: Extent, other: Extent) -> bool:
    """Whether the samples of two series are equally far apart, as far as their units say so."""
    is_close = abs(one.time_step - other.time_step) <= 1e-3 * other.time_step
    units = {one.time_unit, other.time_unit} - {""}
    return is_close and len(units) < 2


def written_step(extent: Extent) -> str:
    """Return the spacing of the samples, as in `1 h`."""
    return f"{extent.time_step:g} {extent.time_unit}".rstrip()


def written_channels(extent: Extent) -> str:
    """Return the names of the channels, as in `flow, pressure with inputs valve`."""
    outputs, inputs = (
        ", ".join(channel.name for channel in channels)
        for channels in (extent.outputs, extent.inputs)
    )
    return f"{outputs} with inputs {inputs}" if inputs else outputs


def _require(needed: Sequence[str], columns: Collection[str], source: str) -> None:
    """Check that a file or mapping has the columns that a network reads."""
    if missing := [name for name in needed if name not in columns]:
        raise UsageError(f"{source}: has no column {missing[0]}; needed are {', '.join(needed)}")


def _named(signal: object, data: Any, extent: Extent, what: str) -> dict[str, np.ndarray]:
    """Return columns of data; those of an array, which has no names, are the extent's channels."""
    columns = to_columns(data)
    if isinstance(data, Mapping) or hasattr(data, "columns") or hasattr(data, "name"):
        return columns
    channels = extent.inputs if what == "inputs" else (*extent.outputs, *extent.inputs)
    names = [channel.name for channel in channels]
    if len(columns) == len(names):
        return dict(zip(names, columns.values(), strict=True))
    if isinstance(signal, File) and list(columns) == list(signal.open().names):
        return columns
    raise UsageError(
        f"{what}: has {len(columns)} columns, and the network reads {', '.join(names)}; give an "
        "array with these columns, or a mapping from names to columns"
    )


def _data_file(source: Path | str, option: str) -> Path:
    """Return the whole path of a file that is read in place of the run's own."""
    path = Path(source).resolve()
    if not path.exists():
        raise UsageError(f"{source}: no such file; give an existing one as {option} FILE")
    if not path.is_file():
        stream = "read standard input with --data -, or " if option == "--data" else ""
        raise UsageError(f"{source}: is not a regular file; {stream}save its rows as a file")
    return path


def _described(signal: object, extent: Extent, path: Path) -> File:
    """Describe a file as another one, as far as it has the same kind and columns."""
    own = signal if isinstance(signal, File) else File(kind="file", time_column=extent.time_name)
    changes: dict[str, Any] = {"path": str(path)}
    if path.suffix != own.file.suffix:
        plain, of_a_kind = File(kind="file"), ("array", "delimiter", "decimal", "header")
        changes |= {name: getattr(plain, name) for name in of_a_kind}
    names = own.model_copy(update=changes).open().names
    if own.time_column not in names:
        step = extent.time_step / (own.downsample.factor if own.downsample else 1)
        step = None if path.suffix in OWN_RATE else step
        unit = "" if path.suffix in OWN_RATE else extent.time_unit
        changes |= {"time_column": None, "gaps": "refuse", "time_step": step, "time_unit": unit}
    if own.segment_column not in names:
        changes["segment_column"] = None
    outputs = tuple(channel.name for channel in extent.outputs)
    if set(outputs) <= set(names):
        changes["columns"] = outputs
    return own.model_copy(update=changes)
