"""Samples that arrive one by one, as lines of CSV."""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from sinernn.arrays import Float
from sinernn.data.series import Extent
from sinernn.data.tables import to_float
from sinernn.data.text_files import MISSING, find_delimiter
from sinernn.data.times import parse_date
from sinernn.errors import ConfigError, Place, Problem, printable

MAX_LINE = 100_000  # characters
MAX_FILLED = 1000  # rows in a row that are interpolated

_JITTER = 0.01
"""Share of a step by which a time may be wrong."""


@dataclass(frozen=True)
class Sample:
    """A sample of a stream."""

    time: float
    """In time units, counted from the first row if there is no column of times."""

    values: Float[np.ndarray, " channel"]
    """In signal units."""

    is_first: bool
    """Whether a recording begins: the stream itself, or what follows a gap or missing cells."""


class SampleStream:
    """Samples from lines of CSV, each as soon as its row is read."""

    def __init__(
        self,
        lines: Iterable[str],
        extent: Extent,
        *,
        decimal: str = ".",
        gaps: str = "refuse",
        missing: str = "refuse",
        remark: Callable[[str], object] = lambda _: None,
        source: str = "standard input",
    ) -> None:
        """Read the header.

        Args:
            lines: A header that names every channel of the extent, and its column of times if it
                has one; then a row for each sample. Other columns are left out. Cells are separated
                by the first of tab, semicolon and comma that is in the header.
            extent: What is expected.
            decimal: Decimal sign.
            gaps: What to do about missing rows: `refuse` them, begin a new recording (`split`), or
                `interpolate`, as soon as the next row is there.
            missing: The same, of empty cells.
            remark: Receives a text when a new recording begins.
            source: What to call the lines in an error.

        Raises:
            ConfigError: A column is missing.
        """
        self._decimal, self._gaps, self._missing = decimal, gaps, missing
        self._remark, self._source = remark, source
        lines = iter(lines)
        first = next(lines, "").removeprefix("\ufeff")
        self._rows = csv.reader(chain([first], lines), delimiter=find_delimiter(first, decimal))
        self.header = [name.strip() for name in next(self._rows, list[str]())]
        for name in extent.names:
            if name not in self.header:
                found = ", ".join(printable(each, 40) for each in self.header[:20]) or "none"
                raise self._error(f"there is no such column; the first line names {found}", name)
        self._names, self._places = extent.names, [self.header.index(each) for each in extent.names]
        timed = extent.time_name in self.header
        self._timed = self.header.index(extent.time_name) if timed else None
        self.extent = extent if timed else replace(extent, start=None, time_name="time")
        """What is known of the samples: without a column of times they have no dates."""

    def __iter__(self) -> Iterator[Sample]:
        """Yield every sample.

        Raises:
            ConfigError: A cell is not a number, or what is missing is refused.
        """
        last: Sample | None = None
        time: float | None = None
        rules = set[str]()  # what is to be done about what is missing since the last sample
        for row in self._rows:
            if not row:
                continue
            if len(row) != len(self.header):
                count = len(self.header)
                raise self._error(f"must have {count} cells as the first line, got {len(row)}")
            time, is_after_gap = self._time(row, time)
            rules |= {self._gaps} if is_after_gap else set()
            values = self._values(row)
            if np.isnan(values).any():
                rules.add(self._missing)
                continue
            count = 0 if last is None else round((time - last.time) / self.extent.time_step) - 1
            is_first = last is None or "split" in rules or count > MAX_FILLED
            if last is not None and is_first:
                rows = "1 row is" if count == 1 else f"{count} rows are"
                self._remark(f"{self._place()}: {rows} missing before it; a new warm-up begins")
            elif last is not None:
                for share in np.arange(1, count + 1) / (count + 1):
                    between = (1 - share) * last.values + share * values
                    yield Sample(last.time + share * (time - last.time), between, False)
            last = Sample(time, values, is_first)
            rules.clear()
            yield last

    def _values(self, row: Sequence[str]) -> Float[np.ndarray, " channel"]:
        """Return the numbers of a row; NaN where one is missing."""
        values = np.full(len(self._names), np.nan)
        for at, (name, place) in enumerate(zip(self._names, self._places, strict=True)):
            value, text = to_float(row[place], self._decimal), printable(row[place], 40)
            is_missing = row[place].strip().lower() in MISSING
            if is_missing and self._missing != "refuse":
                continue
            if value is None or not math.isfinite(value):
                advice = "; signal.missing=split begins anew after it" if is_missing else ""
                raise self._error(f"must be a number, got {text!r}{advice}", name)
            values[at] = value
        return values

    def _time(self, row: Sequence[str], last: float | None) -> tuple[float, bool]:
        """Return the time of a row, and whether rows before it are missing."""
        expected = 0.0 if last is None else last + self.extent.time_step
        if self._timed is None:
            return expected, False
        name, text = self.header[self._timed], row[self._timed]
        time, got = self._parsed(text), printable(text, 40)
        if time is None or not math.isfinite(time):
            example = self.extent.written(np.array([expected]))[0]
            raise self._error(f"must be a time such as {example}, got {got!r}", name)
        if last is None:
            return time, False
        lost = (time - expected) / self.extent.time_step
        is_gap = round(lost) > 0 and abs(lost - round(lost)) <= _JITTER
        if not (is_gap and self._gaps != "refuse") and abs(lost) > _JITTER:
            advice = "; signal.gaps=split begins anew after a gap" if is_gap else ""
            after = f"one step of {self.extent.time_step:g} after the row before"
            example = self.extent.written(np.array([expected]))[0]
            raise self._error(f"must be {after} ({example}), got {got}{advice}", name)
        return time, is_gap

    def _parsed(self, text: str) -> float | None:
        """Return a time in time units; None if it is not one."""
        if self.extent.start is None:
            return to_float(text, self._decimal)
        try:
            return self.extent.time_of(parse_date(text.strip()))
        except ValueError:
            return None

    def _place(self) -> Place:
        return Place(self._source, max(self._rows.line_num, 1))

    def _error(self, message: str, column: str | None = None) -> ConfigError:
        path = () if column is None else (column,)
        return ConfigError([Problem(self._place(), path, message)])
