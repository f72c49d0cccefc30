"""Samples that arrive one by one, as lines of CSV."""

import csv
import math
from collections.abc import Iterable, Iterator

import numpy as np

from sinernn.arrays import Float
from sinernn.data.series import Extent
from sinernn.data.tables import to_float
from sinernn.data.times import parse_date
from sinernn.errors import ConfigError, Place, Problem, printable

MAX_LINE = 100_000  # characters

_JITTER = 0.01
"""Share of a step by which a time may be wrong."""


def read_samples(
    lines: Iterable[str], extent: Extent, *, source: str = "standard input"
) -> Iterator[tuple[float, Float[np.ndarray, " channel"]]]:
    """Yield time and values of every row, as soon as it is read.

    Args:
        lines: A header that names every channel of the extent, and its column of times if it has
            one; then a row for each sample. Other columns are left out.
        extent: What is expected.
        source: What to call the lines in an error.

    Yields:
        Time in time units, counted from the first row if there is no column of times; and values
        in signal units.

    Raises:
        ConfigError: A column is missing, a cell is not a number, or a row is missing.
    """
    rows = csv.reader(lines)
    header = [name.strip() for name in next(rows, list[str]())]
    names = extent.names

    def error(message: str, column: str | None = None) -> ConfigError:
        place = Place(source, max(rows.line_num, 1))
        return ConfigError([Problem(place, () if column is None else (column,), message)])

    for name in names:
        if name not in header:
            found = ", ".join(printable(each, 40) for each in header[:20]) or "none"
            raise error(f"there is no such column; the first line names {found}", name)
    places = [header.index(name) for name in names]
    timed = header.index(extent.time_name) if extent.time_name in header else None
    last: float | None = None
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise error(f"must have {len(header)} cells as the first line, got {len(row)}")
        values = np.array([to_float(row[place]) for place in places], float)  # NaN for None
        for name, place, value in zip(names, places, values, strict=True):
            if not math.isfinite(value):
                raise error(f"must be a number, got {printable(row[place], 40)!r}", name)
        time = 0.0 if last is None else last + extent.time_step
        if timed is not None:
            written = _time(row[timed], extent)
            if written is None or math.isnan(written):
                example = extent.written(np.array([time]))[0]
                raise error(
                    f"must be a time such as {example}, got {printable(row[timed], 40)!r}",
                    header[timed],
                )
            if last is not None and abs(written - time) > _JITTER * extent.time_step:
                raise error(
                    f"must be one step of {extent.time_step:g} after the row before "
                    f"({extent.written(np.array([time]))[0]}), got {printable(row[timed], 40)}",
                    header[timed],
                )
            time = written
        last = time
        yield time, values


def _time(text: str, extent: Extent) -> float | None:
    """Return a time in time units; None if it is not one."""
    if extent.start is None:
        return to_float(text)
    try:
        return extent.time_of(parse_date(text.strip()))
    except ValueError:
        return None
