"""Find out how a data file is to be read: its columns, its times, and what is missing."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sinernn.arrays import Bool, Int
from sinernn.config.suggest import FEWEST, Choice
from sinernn.data.files import TEXT, File, Reader
from sinernn.data.recordings import recording_bounds
from sinernn.data.tables import DataProblems, Table, shown
from sinernn.data.text_files import DELIMITERS, CsvReader
from sinernn.data.times import find_step, parse_dates, place_rows, read_times
from sinernn.errors import ConfigError, UsageError, printable

TIMES = re.compile(
    r"(t|ts|ds|times?|dates?|datetime|date_time|timestamps?|year|seconds|elapsed)([ _(\[].*)?", re.I
)
"""Names of columns of times, perhaps followed by a unit."""

SEGMENTS = ("segment", "recording", "run", "trial", "session", "series", "unique_id", "item_id")
"""Names of columns of recordings, in lower case."""

_LIKE_DATES = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b.*|\d{1,2}:\d{2}.*")

_FEW = 0.05  # share of the rows that may be interpolated
_BRIEF = 3  # rows in a row that may be
_ROWS = 10  # mean rows of a recording: text that changes more often is not its name
_TRIED = 1000  # rows on which a column of dates is recognised


def detect(given: File) -> tuple[dict[str, Choice], list[str]]:
    """Choose the settings of `signal` for a data file, by their names.

    Args:
        given: The file, and settings that are not to be chosen.

    Returns:
        The settings, with those given; and what was found besides, in words.

    Raises:
        SinernnError: The file cannot be read, has no such columns, or nothing to predict.
    """
    file, path, fixed = given, given.file, given.model_fields_set - {"kind", "path"}
    dumped = given.model_dump(mode="json")
    found = {name: Choice(dumped[name], "as given") for name in dumped if name in fixed}
    if path.suffix.lower() in TEXT and path.is_file() and "decimal" not in fixed:
        with_comma = file.model_copy(update={"decimal": "comma"})
        if len(with_comma.open().numeric) > len(file.open().numeric):
            file = with_comma
            found["decimal"] = Choice("comma", "so more columns are numbers")
    name = printable(shown(path), 300)
    for conflict in file.model_copy(update={"gaps": "refuse"}).conflicts():  # times come later
        message = conflict.message
        raise UsageError(message if message.startswith(name) else f"{name}: {message}")
    reader = file.open()
    if reader.rows < FEWEST <= len(reader.numeric):
        what = f"{name}: has {len(reader.numeric)} columns of {reader.rows} rows"
        raise UsageError(f"{what}, and a config needs at least {FEWEST} rows; transpose it")
    texts = [column for column in reader.names if column not in reader.numeric]
    table = reader.read(reader.numeric, texts)
    likely = next(_time_columns(reader, table, path, file.inputs), None)
    time = file.time_column if "time_column" in fixed else likely
    if time is None and "time_column" not in fixed:
        _refuse_dates(table, texts, path)
    segment = file.segment_column
    if "segment_column" not in fixed:
        segment = next(_segment_columns(table, texts, [time, *file.inputs]), None)
    unused = _unused_columns(file, reader, table, time, segment, likely)
    taken = (time, segment, *file.inputs, *unused)
    outputs = list(file.columns or (each for each in reader.names if each not in taken))
    reasons = printable(", ".join(f"{column} ({why})" for column, why in unused.items()), 300)
    if not outputs:
        message = f"{name}: has no column of numbers to predict"
        reasons += "".join(f", {column} (an input)" for column in file.inputs)
        raise UsageError(f"{message}: {reasons.removeprefix(', ')}")
    about = "all that are numbers and vary"
    if unused:
        about += f"; not {printable(', '.join(unused), 60)}"
    found.setdefault("columns", Choice(outputs, about))
    if file.inputs:
        found["inputs"] = Choice(list(file.inputs), "read and not predicted")
    if time and "time_column" not in fixed:
        what = "dates" if time not in reader.numeric else "numbers"
        found["time_column"] = Choice(time, f"its {what} increase")
    if segment and "segment_column" not in fixed:
        found["segment_column"] = Choice(segment, "names the recording of each row")
    words = list[str]()
    if isinstance(reader, CsvReader) and len(reader.names) > 1:
        words.append(f"cells are separated by {DELIMITERS[reader.delimiter]}")
    if unused:
        words.append(f"not used: {reasons}")
    if time is None and file.time_step is None and reader.time_step is None:
        words.append("there is no column of times: the step is taken as 1 (signal.time_step)")
    columns = [*outputs, *file.inputs]
    return found | _missing(given, table, time, segment, columns), words


def _unused_columns(
    file: File,
    reader: Reader,
    table: Table,
    time: str | None,
    segment: str | None,
    likely: str | None,
) -> dict[str, str]:
    """Return the columns that have no role, with the reason.

    Args:
        file: The file, with the columns that were given.
        reader: The same, open.
        table: Its columns.
        time: Column of times.
        segment: Column of the recordings' names.
        likely: Column that looks like times, whether it is taken or not.
    """
    unused = dict[str, str]()
    for column in reader.names:
        if column in (time, segment, *file.inputs, *(file.columns or ())):
            continue
        values = table.columns[column]
        if column == likely:
            unused[column] = "times"
        elif column not in reader.numeric:
            unused[column] = f"text such as {printable(repr(str(values[0])), 30)}"
        elif not (known := values[np.isfinite(values)]).size or not np.ptp(known):
            unused[column] = "constant"
        elif time is not None and set(np.diff(known)) == {1.0}:
            unused[column] = "counts rows"
        elif file.columns is not None:
            unused[column] = "not in signal.columns"
    return unused


def _refuse_dates(table: Table, texts: Sequence[str], path: Path) -> None:
    """Refuse a file whose only times are dates in a spelling that is not read."""
    problems = DataProblems(path)
    for column in texts:
        if _LIKE_DATES.fullmatch(str(table.columns[column][0])):
            try:
                parse_dates(table.columns[column], table.rows, column, problems)
                problems.raise_found()
            except ConfigError as error:
                advice = "or add signal.time_column=null to count rows as even steps"
                raise UsageError(f"{error.problems[0]}; {advice}") from error


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
        is_named = bool(TIMES.fullmatch(name)) and (steps > 0).mean() > 0.9
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
    file: File, table: Table, time: str | None, segment: str | None, columns: Sequence[str]
) -> dict[str, Choice]:
    """Return what to do about missing rows and cells, as far as that is not given."""
    found, problems = dict[str, Choice](), DataProblems(file.file)
    bounds, count = recording_bounds(table, segment, problems), len(table.rows)
    is_missing: Bool[np.ndarray, " row"] = np.any(
        [np.isnan(table.columns[name]) for name in columns], axis=0
    )
    if is_missing.any() and "missing" not in file.model_fields_set:
        edges = np.flatnonzero(np.diff(is_missing, prepend=False, append=False))
        runs, what = edges[1::2] - edges[::2], "cells or rows of cells"
        other = "signal.columns=[NAME] to leave out a column"
        found["missing"] = _treatment(
            runs, count, what, file.file, f"signal.missing=interpolate, or {other}"
        )
    if time is not None:
        where = (bounds, table.rows, time, problems)
        times = read_times(table.columns[time], *where, given_step=file.time_step)
        step, is_given = file.time_step or find_step(times, bounds), file.time_step is not None
        positions = place_rows(times, *where, step=step, is_given=is_given)
        problems.raise_found()
        lost = np.concatenate([np.diff(positions[rows]) for rows in bounds]) - 1
        if (lost > 0).any() and "gaps" not in file.model_fields_set:
            other = "signal.time_column=null to count rows as even steps, as business days"
            advice = f"signal.gaps=interpolate, or {other}"
            found["gaps"] = _treatment(lost[lost > 0], count, "rows", file.file, advice)
    return found


def _treatment(
    runs: Int[np.ndarray, " run"], rows: int, what: str, path: Path, advice: str
) -> Choice:
    """Choose between interpolation and a split, for missing rows that follow each other.

    Raises:
        UsageError: Neither suits.
    """
    longest, total = int(runs.max()), int(runs.sum())
    missing = f"{total} of {rows} {what} are missing, at most {longest} in a row"
    if longest <= _BRIEF and total <= _FEW * rows:
        return Choice("interpolate", f"{missing}: few and short")
    if rows / (len(runs) + 1) < FEWEST:
        why = "too many to fill in, and a split would leave hardly a recording"
        raise UsageError(f"{printable(shown(path), 300)}: {missing}: {why}; add {advice}")
    return Choice("split", f"{missing}: longer than interpolation can fill")
