"""Series from files: the config section that describes one, and how it becomes samples."""

import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sinernn.data.array_files import ArrayReader, read_npy, read_npz, read_parquet, read_wav
from sinernn.data.recordings import (
    MAX_RECORDINGS,
    Recording,
    check_gaps,
    check_values,
    cut_recordings,
    downsample,
    recording_bounds,
)
from sinernn.data.series import Channel, Extent, Series
from sinernn.data.synthetic import TimeStep, Unit
from sinernn.data.tables import DataProblems, TextFormat, shown
from sinernn.data.text_files import DELIMITERS, CsvReader
from sinernn.data.times import exact_step, find_step, place_rows, read_times
from sinernn.errors import ConfigError, Place, Problem, nearest, printable
from sinernn.schema import Conflict, Section, Whole

TEXT = (".csv", ".tsv", ".txt", ".dat")
"""Ends of names of text files."""

COPIES: dict[str, Path] = {}
"""What is read instead of a path of a config, which is of another machine."""

Reader = CsvReader | ArrayReader
"""An open data file: the names of its columns, which of them are numbers, how many rows it has (of
a text file an estimate), and `read`."""

ARRAYS: dict[str, Callable[[Path, DataProblems, str | None], ArrayReader]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".wav": read_wav,
    ".parquet": read_parquet,
}
"""How to open a file of arrays, by the end of its name."""

OWN_RATE = (".wav",)
"""Files that contain their sampling rate."""

Columns = Annotated[tuple[str, ...], Field(strict=False, max_length=1000)]
Missing = Literal["refuse", "split", "interpolate"]


class Downsample(Section):
    """Fewer samples than the file has rows."""

    factor: Whole = Field(ge=2, le=1_000_000)
    """Rows of the file for one sample; with more, hardly a sample would be left."""

    method: Literal["mean", "pick"] = "mean"
    """mean: of the rows, without aliasing; pick: the first of them."""


class File(Section):
    """A series from a file: CSV, npy, npz, WAV or Parquet.

    Example:
        >>> import numpy as np
        >>> np.save("wave.npy", np.sin(np.arange(100.0)))
        >>> sinernn.File(kind="file", path="wave.npy").read().observed.shape
        (100, 1)
    """

    kind: Literal["file"]
    """Kind of signal."""

    path: Annotated[str, Field(max_length=4000)] = ""
    """The data file, relative to the config's file; its name ends in .csv, .tsv, .txt, .npy, .npz,
    .wav or .parquet."""

    array: str | None = None
    """The array of an npz file that contains the columns; null: each of its arrays is one."""

    columns: Columns | None = None
    """Columns to predict; null: every one of numbers that has no other role. Without a header they
    are called c1, c2, and so on."""

    inputs: Columns = ()
    """Columns that the network reads but does not predict, such as the position of a valve."""

    time_column: str | None = None
    """Column of times: numbers, or dates such as 2024-03-31T02:00."""

    time_step: TimeStep | None = None
    """Spacing of the samples, in time units; null: that of the time column, which must be even to
    1e-6, or 1 without one. If it is given beside a time column (for dates in seconds), times may
    deviate from even steps by a tenth of it."""

    time_unit: Unit = ""
    """Unit of time, for figures, as in `s`; dates have their own."""

    segment_column: str | None = None
    """Column with the name of the recording that a row belongs to."""

    gaps: Missing = "refuse"
    """Rows missing from the time column: refuse the file, split the recording there, or interpolate
    between the rows around them."""

    missing: Missing = "refuse"
    """Empty cells (also NaN, NA, null): refuse the file, split the recording there, or interpolate
    between the cells around them."""

    downsample: Downsample | None = None
    """Fewer samples than rows; null: one for each row."""

    period: Annotated[float, Field(gt=0, le=1e12)] | None = None
    """Length of one season or oscillation, in time units; null: no seasonal baseline. More than the
    bound would look constant."""

    units: dict[str, Unit] = Field(default={}, max_length=1000)
    """Units of columns, for figures, as in `{flow: l/s}`."""

    licence: Annotated[str, Field(max_length=200)] = ""
    """Licence of the data, as in `CC BY 4.0`, which `sinernn export` passes on; no more than its
    name."""

    delimiter: Literal["auto", "comma", "semicolon", "tab"] = "auto"
    """What separates the cells of a text file; auto: the first of tab, semicolon and comma that its
    first line contains."""

    decimal: Literal["point", "comma"] = "point"
    """Decimal sign of a text file."""

    header: bool | None = None
    """Whether a text file begins with the names of its columns; null: if none of them is a
    number."""

    @property
    def decimal_sign(self) -> str:
        """Decimal sign of a text file."""
        return "." if self.decimal == "point" else ","

    @property
    def file(self) -> Path:
        """The data file, or the copy that is read instead."""
        return COPIES.get(self.path, Path(self.path))

    def conflicts(self) -> Iterator[Conflict]:
        """Yield contradictions between the settings, and with the columns of the file.

        Raises:
            ConfigError: The file cannot be read.
        """
        found = [*self._of_path()] or [*self._of_format()]
        yield from found or self._of_columns(self.open())

    def open(self) -> Reader:
        """Open the file and read its first part.

        Raises:
            ConfigError: It cannot be read.
        """
        _refuse([*self._of_path()])
        problems = DataProblems(self.file)
        if open_arrays := ARRAYS.get(self.file.suffix.lower()):
            return open_arrays(self.file, problems, self.array)
        delimiters = {name: delimiter for delimiter, name in DELIMITERS.items()}
        text = TextFormat(delimiters.get(self.delimiter), self.decimal_sign, self.header)
        return CsvReader(self.file, problems, text)

    def roles(self, reader: Reader) -> tuple[list[str], list[str]]:
        """Return the columns to predict, and those to read only."""
        taken = {self.time_column, self.segment_column, *self.inputs}
        others = [name for name in reader.numeric if name not in taken]
        return list(others if self.columns is None else self.columns), list(self.inputs)

    @property
    def lyapunov_exponent(self) -> None:
        """Largest Lyapunov exponent, which a file does not tell."""

    def extent(self) -> Extent:
        """Return what is known of the series, which reads the file unless that is done already."""
        return self.read().extent

    def read(self, *, may_be_constant: bool = False) -> Series:
        """Read the series, once in a process as long as the file stays the same.

        Args:
            may_be_constant: Whether columns may be, which nothing is learned from.

        Raises:
            ConfigError: Settings contradict each other or the file, or the file is damaged.
        """
        return self._content(may_be_constant)[0]

    def rows(self) -> int:
        """Return how many rows of data the file has, which reads it as `read` does."""
        return self._content()[1]

    def fingerprint(self) -> tuple[str, int]:
        """Return the SHA-256 of the file, and its size in bytes.

        Raises:
            OSError: It cannot be read.
        """
        with self.file.open("rb") as file:
            return file_digest(file, "sha256").hexdigest(), self.file.stat().st_size

    def _content(self, may_be_constant: bool = False) -> tuple[Series, int]:
        _refuse([*self._of_path()])
        status = self.file.stat()
        of_file = self.model_dump_json(), status.st_size, status.st_mtime_ns
        return _read_once(*of_file, may_be_constant)

    def _of_path(self) -> Iterator[Conflict]:
        if not self.path:
            yield Conflict(("path",), "is required: the data file, as in signal.path=sensor.csv")
            return
        name, message = printable(shown(self.file), 300), ""
        try:
            mode = self.file.stat().st_mode
            if stat.S_ISDIR(mode):
                message = "is a directory, not a data file"
            elif not stat.S_ISREG(mode):  # a pipe could block, a device could be endless
                message = "not a regular file; save the data as a file"
            else:
                self.file.open("rb").close()
        except FileNotFoundError:
            message = "no such file; set signal.path to the data file"
        except (OSError, ValueError) as error:
            message = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        suffix, known = self.file.suffix.lower(), [*TEXT, *ARRAYS]
        if not message and suffix not in known:
            message = f"data files end in {', '.join(known)}; "
            message += "decompress it" if suffix in (".gz", ".zip", ".xz", ".bz2") else "rename it"
        if message:
            yield Conflict(("path",), f"{name}: {message}")

    def _of_format(self) -> Iterator[Conflict]:
        """Yield settings that this kind of file does not have."""
        suffix = self.file.suffix.lower()
        if suffix not in TEXT:
            for name in ("delimiter", "decimal", "header"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    yield Conflict(
                        (name, "path"), f"applies to text files, not to {suffix}; remove it"
                    )
        if suffix != ".npz" and self.array is not None:
            yield Conflict(("array", "path"), f"applies to npz files, not to {suffix}; use null")
        if self.delimiter == self.decimal == "comma":
            message = "cells and decimals cannot both be separated by commas; use semicolon"
            yield Conflict(("delimiter", "decimal"), message)
        if self.time_column is None and self.gaps != "refuse":
            message = f"without a time column no row is known to be missing, got {self.gaps}"
            yield Conflict(("gaps", "time_column"), f"{message}; set signal.time_column")
        if suffix in OWN_RATE:
            for name in ("time_column", "time_step", "time_unit"):
                if getattr(self, name):
                    yield Conflict((name, "path"), "the file contains its rate; remove it")

    def _of_columns(self, reader: Reader) -> Iterator[Conflict]:
        """Yield columns that the file does not have, or that have two roles."""
        outputs, inputs = self.roles(reader)
        names = ", ".join(reader.names)
        if isinstance(reader, CsvReader):
            names += f" (separated by {DELIMITERS[reader.delimiter]})"
        roles = [
            *(("columns", name) for name in self.columns or ()),
            *(("inputs", name) for name in inputs),
            *(("time_column", name) for name in [self.time_column] if name),
            *(("segment_column", name) for name in [self.segment_column] if name),
        ]
        known = dict[str, str]()
        for setting, name in [*roles, *(("units", name) for name in self.units)]:
            if name not in reader.names:
                guess = nearest(name, reader.names)
                advice = f"did you mean {guess}?" if guess else f"the file has {names}"
                message = f"{shown(self.file)} has no column {name!r}; {advice}"
                yield Conflict((setting, "path"), printable(message, 500))
            elif setting != "units" and name in known:
                message = f"{name!r} is already one of signal.{known[name]}; keep one of them"
                yield Conflict((setting, known[name]), message)
            elif setting != "units":
                known[name] = setting
        if not outputs:
            message = f"the file has no column of numbers to predict, only {names}"
            if reader.numeric:
                message = f"all columns of numbers, {', '.join(reader.numeric)}, have another role"
                message += "; leave one of them to predict"
            yield Conflict(("columns", "path"), printable(message, 500))
        has_dates = self.time_column in reader.names and self.time_column not in reader.numeric
        if has_dates and self.time_unit:
            yield Conflict(("time_unit", "time_column"), "the dates contain it; remove it")


def _refuse(conflicts: Sequence[Conflict]) -> None:
    """Raise contradictions between settings, if there are any."""
    if conflicts:
        place = Place("config")
        raise ConfigError(
            [Problem(place, ("signal", *each.settings[:1]), each.message) for each in conflicts]
        )


@lru_cache(maxsize=2)  # a run's own series, and another one to evaluate on
def _read_once(
    settings: str, _size: int, _mtime_ns: int, may_be_constant: bool
) -> tuple[Series, int]:
    """Read a series and the rows of its file, whose content the arguments identify."""
    file = File.model_validate_json(settings)
    _refuse([*file.conflicts()])
    reader = file.open()
    problems = reader.problems
    outputs, inputs = file.roles(reader)
    names, timed = [*outputs, *inputs], [file.time_column] if file.time_column else []
    has_dates = file.time_column is not None and file.time_column not in reader.numeric
    numbers = [*names, *([] if has_dates else timed)]
    segments = [file.segment_column] if file.segment_column else []
    read = reader.read_good_rows if isinstance(reader, CsvReader) else reader.read
    table = read(numbers, [*(timed if has_dates else []), *segments])
    if len(table.rows) < 2:
        problems.raise_found()
        raise problems.error(f"has fewer than 2 rows of data, got {len(table.rows)}")
    values = np.stack([table.columns[name] for name in names], axis=1)
    bounds = recording_bounds(table, file.segment_column, problems)
    check_values(
        values,
        names,
        table,
        problems,
        refuses_missing=file.missing == "refuse",
        refuses_constant=not may_be_constant,
    )
    counts: list[np.ndarray] = [np.arange(each.stop - each.start) for each in bounds]
    positions = np.concatenate(counts)
    times, step = None, file.time_step or reader.time_step or 1.0
    if file.time_column is not None:
        where = (bounds, table.rows, file.time_column, problems)
        column, is_given = table.columns[file.time_column], file.time_step is not None
        times = read_times(column, *where, given_step=file.time_step)
        step = file.time_step or find_step(times, bounds)
        positions = place_rows(times, *where, step=step, is_given=is_given)
        problems.raise_found()
        check_gaps(positions, bounds, table, file.time_column, file.gaps, problems)
        if not is_given:
            step = exact_step(times, positions, bounds) or step
    problems.raise_found()
    recordings = cut_recordings(
        times,
        values,
        positions,
        bounds,
        step=step,
        split_at_gaps=file.gaps == "split",
        split_at_missing=file.missing == "split",
    )
    factor = 1
    if file.downsample is not None:
        factor, method = file.downsample.factor, file.downsample.method
        recordings = [downsample(recording, factor, method) for recording in recordings]
    own_unit = "s" if reader.time_step else times.unit if times else ""
    known = Extent(
        lengths=(),
        time_step=step * factor,
        outputs=tuple(Channel(name, file.units.get(name, "")) for name in outputs),
        inputs=tuple(Channel(name, file.units.get(name, "")) for name in inputs),
        time_unit=file.time_unit or own_unit,
        start=times.start if times else None,
        time_name=file.time_column or ("time" if "time" not in names else "time of sample"),
    )
    recordings = [recording for recording in recordings if len(recording.time)]
    series = _joined(recordings, known, file.period, problems)
    unread = int(np.isnan(values.sum(axis=1))[::-1].argmin())
    return replace(series, unread=unread), len(table.rows)


def _joined(
    recordings: Sequence[Recording], known: Extent, period: float | None, problems: DataProblems
) -> Series:
    """Return recordings as the segments of a series."""
    lengths = tuple(len(recording.time) for recording in recordings)
    if sum(lengths) < 2:
        raise problems.error("leaves fewer than 2 samples in a row; interpolate instead of split")
    if len(lengths) > MAX_RECORDINGS:
        message = f"falls into {len(lengths)} recordings, at most {MAX_RECORDINGS:,} are allowed"
        raise problems.error(f"{message}; interpolate instead of split")
    samples = np.concatenate([recording.values for recording in recordings])
    return Series(
        observed=samples,
        clean=samples,
        time=np.concatenate([recording.time for recording in recordings]),
        extent=replace(known, lengths=lengths),
        period=period,
    )
