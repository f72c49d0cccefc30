"""Data for a network trained on another series: samples to continue, and inputs to come."""

from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from sinernn.arrays import Float
from sinernn.data.files import OWN_RATE, File
from sinernn.data.frames import to_columns, to_npz
from sinernn.data.series import Extent, Series
from sinernn.errors import UsageError


def read_like(signal: object, extent: Extent, data: Any) -> Series:
    """Read a series with the channels and the time step of another one.

    Args:
        signal: Describes the other one; if it is a file, `data` is read by its settings.
        extent: Of the other one.
        data: A file, or what `sinernn.data.frames.to_columns` takes; an array has its channels.

    Raises:
        SinernnError: It cannot be read, or has other channels or another time step.
    """
    with TemporaryDirectory() as folder:
        path, name = Path(folder) / "data.npz", "data"
        if isinstance(data, Path | str):
            path, name = Path(data).resolve(), str(data)
        else:
            path.write_bytes(to_npz(_named(data, extent, inputs_only=False)))
        file = _described(signal, extent, path)
        _require(extent.names, file.open().names, name)
        series = file.read()
    found, expected = written_channels(series.extent), written_channels(extent)
    if found != expected:
        raise UsageError(f"{name}: its channels are {found}, those of the run {expected}")
    step, own = series.extent.time_step, extent.time_step
    if abs(step - own) > 1e-3 * own:
        message = f"its time step is {step:g}, that of the run {own:g}; resample it"
        raise UsageError(f"{name}: {message}")
    return series


def read_inputs(
    signal: object, extent: Extent, inputs: Any, steps: int
) -> Float[np.ndarray, "_ input"]:
    """Read the inputs of the samples after a series, one fewer than the steps to forecast.

    Args:
        signal: See `read_like`.
        extent: Of the series.
        inputs: A file, or what `sinernn.data.frames.to_columns` takes; None if there are none.
        steps: Steps to forecast.

    Raises:
        SinernnError: Inputs are missing, or there should be none.
    """
    names, needed = [channel.name for channel in extent.inputs], steps - 1
    if inputs is None and (needed == 0 or not names):
        return np.empty((0, len(names)))
    if not names:
        raise UsageError("inputs: the network has none; leave them out")
    if inputs is None:
        raise UsageError(
            f"inputs: {needed} rows of {', '.join(names)} are needed, those of the samples to "
            "come; give a file with these columns as --inputs FILE"
        )
    if isinstance(inputs, Path | str):
        reader, source = _described(signal, extent, Path(inputs).resolve()).open(), str(inputs)
        known = [name for name in names if name in reader.names]
        columns = reader.read(known, []).columns if known else {}
    else:
        columns, source = _named(inputs, extent, inputs_only=True), "inputs"
    _require(names, columns, source)
    values = np.stack([columns[name] for name in names], axis=1)
    if len(values) < needed:
        raise UsageError(
            f"{source}: has {len(values)} rows, and {steps} steps need {needed}; use --steps "
            f"{len(values) + 1}"
        )
    for row, column in np.argwhere(~np.isfinite(values[:needed]))[:1]:
        message = f"row {row + 1} of {names[column]} has no number; fill it in"
        raise UsageError(f"{source}: {message}")
    return values


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


def _named(data: Any, extent: Extent, *, inputs_only: bool) -> dict[str, np.ndarray]:
    """Return columns of data; those of an array, which has no names, are the extent's channels."""
    columns = to_columns(data)
    channels = extent.inputs if inputs_only else (*extent.outputs, *extent.inputs)
    if isinstance(data, np.ndarray) and len(columns) == len(channels):
        names = (channel.name for channel in channels)
        return dict(zip(names, columns.values(), strict=True))
    return columns


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
        changes |= {"time_column": None, "gaps": "refuse", "time_step": step}
    if own.segment_column not in names:
        changes["segment_column"] = None
    outputs = tuple(channel.name for channel in extent.outputs)
    if set(outputs) <= set(names):
        changes["columns"] = outputs
    return own.model_copy(update=changes)
