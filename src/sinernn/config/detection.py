"""Find out how a data file is to be read: its columns, its times, and what is missing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sinernn.arrays import Bool, Int
from sinernn.config.suggest import FEWEST, Choice
from sinernn.data.files import TEXT, File, Reader
from sinernn.data.recordings import recording_bounds
from sinernn.data.tables import DataProblems, Table, shown
from sinernn.data.times import find_step, parse_dates, place_rows, read_times
from sinernn.errors import ConfigError, UsageError, printable

TIMES = ("t", "time", "times", "date", "dates", "datetime", "timestamp", "year", "ds", "seconds")
SEGMENTS = ("segment", "recording", "run", "trial", "session", "series", "unique_id", "item_id")
"""Names of columns, in lower case."""

_FEW = 0.05  # share of the rows that may be interpolated
_BRIEF = 3  # rows in a row that may be
_ROWS = 10  # mean rows of a recording: text that changes more often is not its name
_TRIED = 1000  # rows on which a column of dates is recognised


def detect(path: Path, inputs: Sequence[str]) -> dict[str, Choice]:
    """Choose the settings of `signal` for a data file, by their names.

    Args:
        path: The file.
        inputs: Columns that the network is to read and not to predict.

    Raises:
        SinernnError: The file cannot be read, has no such columns, or nothing to predict.
    """
    file, found = File(kind="file", path=str(path), inputs=tuple(inputs)), dict[str, Choice]()
    if path.suffix.lower() in TEXT and path.is_file():
        with_comma = file.model_copy(update={"decimal": "comma"})
        if len(with_comma.open().numeric) > len(file.open().numeric):
            file = with_comma
            found["decimal"] = Choice("comma", "so more columns are numbers")
    name = printable(shown(path), 300)
    for conflict in file.conflicts():
        message = conflict.message
        raise UsageError(message if message.startswith(name) else f"{name}: {message}")
    reader = file.open()
    texts = [column for column in reader.names if column not in reader.numeric]
    table = reader.read(reader.numeric, texts)
    time = next(_time_columns(reader, table, path, inputs), None)
    segment = next(_segment_columns(table, texts, [time, *inputs]), None)
    outputs: list[str] = []
    for column in reader.numeric:
        values = table.columns[column]
        known = values[np.isfinite(values)]
        is_count = time is not None and len(known) > 1 and set(np.diff(known)) == {1.0}
        is_free = column not in (time, segment, *inputs)
        if is_free and len(known) and np.ptp(known) and not is_count:
            outputs.append(column)
    if not outputs:
        raise UsageError(f"{name}: has no column of numbers that varies")
    used = (time, segment, *outputs, *inputs)
    ignored = [column for column in reader.names if column not in used]
    about = "all that are numbers and vary"
    if ignored:
        about += f"; not {printable(', '.join(ignored), 60)}"
    found["columns"] = Choice(outputs, about)
    if inputs:
        found["inputs"] = Choice(list(inputs), "read and not predicted")
    if time:
        what = "dates" if time not in reader.numeric else "numbers"
        found["time_column"] = Choice(time, f"its {what} increase")
    if segment:
        found["segment_column"] = Choice(segment, "names the recording of each row")
    return found | _missing(path, table, time, segment, [*outputs, *inputs])


def _time_columns(reader: Reader, table: Table, path: Path, inputs: Sequence[str]) -> Iterator[str]:
    """Yield columns that hold the time of each row, dates first."""
    for name, values in table.columns.items():
        problems, rows = DataProblems(path), table.rows[:_TRIED]
        if name in reader.numeric:
            continue
        try:
            parse_dates(values[:_TRIED], rows, name, problems)
            problems.raise_found()
        except ConfigError:
            continue
        yield name
    for name in reader.numeric:
        values = table.columns[name]
        steps = np.diff(values)
        is_first = name == reader.names[0] and len(reader.names) > 1
        is_even = bool(np.ptp(steps) <= 1e-6 * abs(steps[0])) if len(steps) else False
        is_named = name.lower() in TIMES and (steps > 0).mean() > 0.9
        if name not in inputs and (is_named or (is_first and is_even and steps[0] > 0)):
            yield name


def _segment_columns(
    table: Table, texts: Sequence[str], taken: Sequence[str | None]
) -> Iterator[str]:
    """Yield columns that name the recording of each row: a block of rows has each name."""
    for name, values in table.columns.items():
        if name in taken or (name not in texts and name.lower() not in SEGMENTS):
            continue
        blocks = 1 + int((values[1:] != values[:-1]).sum())
        if 1 < blocks == len(set(values.tolist())) and blocks * _ROWS <= len(values):
            yield name


def _missing(
    path: Path, table: Table, time: str | None, segment: str | None, columns: Sequence[str]
) -> dict[str, Choice]:
    """Return what to do about missing rows and cells."""
    found, problems = dict[str, Choice](), DataProblems(path)
    bounds, count = recording_bounds(table, segment, problems), len(table.rows)
    is_missing: Bool[np.ndarray, " row"] = np.any(
        [np.isnan(table.columns[name]) for name in columns], axis=0
    )
    if is_missing.any():
        edges = np.flatnonzero(np.diff(is_missing, prepend=False, append=False))
        found["missing"] = _treatment(edges[1::2] - edges[::2], count, "cells or rows of cells")
    if time is not None:
        times = read_times(table.columns[time], bounds, table.rows, time, problems)
        problems.raise_found()
        step = find_step(times, bounds) or 1.0
        where = (bounds, table.rows, time, problems)
        positions = place_rows(times, *where, step=step, is_given=False)
        problems.raise_found()
        lost = np.concatenate([np.diff(positions[rows]) for rows in bounds]) - 1
        if (lost > 0).any():
            found["gaps"] = _treatment(lost[lost > 0], count, "rows")
    return found


def _treatment(runs: Int[np.ndarray, " run"], rows: int, what: str) -> Choice:
    """Choose between interpolation and a split, for missing rows that follow each other."""
    longest, total = int(runs.max()), int(runs.sum())
    missing = f"{total} of {rows} {what} are missing, at most {longest} in a row"
    if longest <= _BRIEF and total <= _FEW * rows:
        return Choice("interpolate", f"{missing}: few and short")
    if rows / (len(runs) + 1) < FEWEST:
        return Choice("interpolate", f"{missing}; a split would leave hardly a recording")
    return Choice("split", f"{missing}: longer than interpolation can fill")
