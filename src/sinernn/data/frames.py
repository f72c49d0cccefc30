"""Data passed to the library: numpy arrays and data frames, without depending on their packages."""

import io
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from sinernn.data.array_files import KINDS
from sinernn.data.tables import column_names, shown, without_mask
from sinernn.errors import ConfigError, UsageError, printable


def to_columns(data: Any) -> dict[str, np.ndarray]:
    """Return the columns of a data frame, a mapping of arrays, or an array (rows, columns).

    Args:
        data: A pandas or polars frame or series, a mapping from names to sequences, or what numpy
            makes an array of one or two dimensions from. Columns without names are called c1, c2
            and so on; a pandas index of dates is the column `time`, or what it is called.

    Raises:
        UsageError: It has another shape, or contains neither numbers, dates nor text.
    """
    found = dict[str, Any]()
    index = getattr(data, "index", None)
    if str(getattr(index, "dtype", "")).startswith("datetime64"):
        found[str(getattr(index, "name", None) or "time")] = index
    if isinstance(data, Mapping):
        found |= cast("Mapping[str, Any]", data)
    elif hasattr(data, "columns"):
        found |= {name: data[name] for name in data.columns}
    elif hasattr(data, "name"):
        found[data.name or "c1"] = data
    else:
        array = data if np.ma.isMaskedArray(data) else np.asarray(data)
        if array.ndim not in (1, 2):
            shape = f"an array of shape {array.shape}"
            raise UsageError(f"data: must have one or two dimensions (rows, columns), got {shape}")
        columns = array[None] if array.ndim == 1 else array.T
        found |= dict(zip(column_names(len(columns)), columns, strict=True))
    return {str(name): _to_array(str(name), column) for name, column in found.items()}


def to_npz(columns: Mapping[str, np.ndarray]) -> bytes:
    """Return columns as the content of an npz file."""
    content = io.BytesIO()
    np.savez(content, **cast("Any", columns))
    return content.getvalue()


@contextmanager
def temporary_npz(content: bytes) -> Generator[Path]:
    """Yield a temporary file with data in memory; errors call it `data`."""
    with TemporaryDirectory(prefix="sinernn-") as folder:
        path = Path(folder, "data.npz")
        path.write_bytes(content)
        try:
            yield path
        except ConfigError as error:
            name = shown(path)
            problems = [
                replace(
                    each,
                    place=replace(each.place, source=each.place.source.replace(name, "data")),
                    message=each.message.replace(name, "data"),
                )
                for each in error.problems
            ]
            raise ConfigError(problems) from error


def _to_array(name: str, column: Any) -> np.ndarray:
    array = without_mask(column) if np.ma.isMaskedArray(column) else np.asarray(column)
    if array.dtype.kind == "O":  # text, numbers with None among them, or dates with a time zone
        is_date = any(hasattr(value, "isoformat") for value in array.flat)
        if any(getattr(value, "tzinfo", None) for value in array.flat):
            return np.array([str(value) for value in array.flat])  # ISO 8601, as in text files
        try:
            return np.asarray(array, "M8[us]" if is_date else float)
        except (TypeError, ValueError):
            array = array.astype(str)
    if array.ndim != 1 or array.dtype.kind in KINDS:
        what = f"{array.dtype} of shape {array.shape}"
        message = f"data: column {name!r} must hold numbers, dates or text, got {what}"
        raise UsageError(printable(message, 300))
    return array.astype({"M": "M8[us]", "U": array.dtype}.get(array.dtype.kind, float))
