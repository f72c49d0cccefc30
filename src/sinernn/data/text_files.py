"""Read CSV files: in blocks, by numpy where a block holds nothing but numbers."""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sinernn.data.tables import (
    MAX_COLUMNS,
    MAX_VALUES,
    DataProblems,
    Table,
    TextFormat,
    column_names,
    to_float,
)
from sinernn.errors import printable

BLOCK = 1_000_000  # bytes; a longer line is an error
MISSING = ("", "nan", "na", "n/a", "null", "none")
DELIMITERS = {"\t": "tab", ";": "semicolon", ",": "comma"}


class CsvReader:
    """A text file with one row in each line."""

    time_step = None

    def __init__(self, path: Path, problems: DataProblems, text: TextFormat) -> None:
        """Read the first block: find the delimiter, the header and the columns of numbers."""
        self._path, self.problems, self._decimal = path, problems, text.decimal
        lines = next(
            (lines for _, lines in self._blocks() if any(map(str.strip, lines))), list[str]()
        )
        at = next((at for at, line in enumerate(lines) if line.strip()), None)
        if at is None:
            raise problems.error("is empty")
        self.delimiter = text.delimiter or find_delimiter(lines[at], text.decimal)
        first = self._cells(lines[at])
        if len(first) > MAX_COLUMNS:
            raise problems.error(f"has {len(first)} columns, at most {MAX_COLUMNS} are allowed")
        is_header = not any(self._is_number(cell) for cell in first)
        self._header = is_header if text.header is None else text.header
        self._skipped = at + 1 if self._header else at
        defaults = column_names(len(first))
        given = [name.strip() for name in first] if self._header else defaults
        self.names = [name or default for name, default in zip(given, defaults, strict=True)]
        for name in dict.fromkeys(self.names):
            if (count := self.names.count(name)) > 1:
                problems.add(f"{count} columns have this name; rename one", row=at + 1, column=name)
        rows = [self._cells(line) for line in lines[self._skipped :][:1000] if line.strip()]
        if not rows:
            raise problems.error("has a header but no rows", row=at + 1)
        problems.raise_found()
        self._check_layout(lines[at].strip(), at + 1, first, rows)
        self.numeric = [
            name for column, name in enumerate(self.names) if self._looks_numeric(rows, column)
        ]
        size = sum(len(line) + 1 for line in lines)
        self.rows = round(len(lines) * max(1, path.stat().st_size / size))

    def _check_layout(
        self, line: str, row: int, first: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        """Refuse a file whose first rows show that it is not read as it was meant."""
        counts, message = {len(cells) for cells in rows}, ""
        if line.lower().startswith("sep="):
            message = "is a note to spreadsheets, not a header; remove this line"
        elif len(counts) == 1 and counts != {len(first)}:
            message = f"must have {counts.pop()} cells like all rows below it, got {len(first)}; "
            if line.startswith("#"):
                message += "remove comments above the header"
            elif not any(cells[-1].strip() for cells in rows):
                message += f"remove the {DELIMITERS[self.delimiter]} at the end of each row"
            else:
                message += "name each column once"
        elif len(first) == 1 and all(
            len(parts := cells[0].split()) > 1 and all(map(self._is_number, parts))
            for cells in rows
        ):
            message = "cells are separated by spaces; use comma, semicolon or tab"
        if message:
            raise self.problems.error(message, row=row)

    def read(self, numbers: Sequence[str], texts: Sequence[str]) -> Table:
        """Read columns; what is not a number is reported with its line.

        Raises:
            ConfigError: The file is not text, or cells or whole rows are wrong.
        """
        table = self.read_good_rows(numbers, texts)
        self.problems.raise_found()
        return table

    def read_good_rows(self, numbers: Sequence[str], texts: Sequence[str]) -> Table:
        """Read columns without the rows that are wrong, which are added to the problems.

        Raises:
            ConfigError: The file is not text, or there are too many problems.
        """
        wanted = [self.names.index(name) for name in (*numbers, *texts)]
        parts: list[list[np.ndarray]] = []
        rows: list[np.ndarray] = []
        values = 0
        for before, lines in self._blocks():
            skipped = max(0, self._skipped - before)
            before, lines = before + min(skipped, len(lines)), lines[skipped:]
            block = self._numbers(lines, wanted) if not texts else None
            if block is None:
                found, block = self._carefully(before, lines, wanted, len(numbers))
            else:
                found = np.arange(before + 1, before + 1 + len(lines))
            parts.append(block)
            rows.append(found)
            values += len(found) * len(wanted)
            if values > MAX_VALUES:
                limit = f"has more than {MAX_VALUES:,} numbers in the columns used"
                raise self.problems.error(f"{limit}; use fewer columns or rows")
        names = (*numbers, *texts)
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return Table(dict(zip(names, columns, strict=True)), np.concatenate(rows))

    def _blocks(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the lines of the file in blocks, and how many lines are before each."""
        count, rest = 0, b""
        with self._path.open("rb") as file:
            while True:
                try:
                    data = file.read(BLOCK)
                except OSError as error:
                    raise self.problems.error(f"cannot be read: {error.strerror}") from error
                if not rest and not count:
                    data = self._without_mark(data)
                data = rest + data
                is_last = len(data) - len(rest) < BLOCK - 3
                end = len(data) if is_last else data.rfind(b"\n") + 1
                if end == 0 and data:
                    what = f"a line of more than {BLOCK:,} bytes; is this a text file?"
                    raise self.problems.error(what, row=count + 1)
                text, rest = self._decoded(data[:end], count), data[end:]
                lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
                if lines[-1] == "":
                    lines.pop()
                yield count, lines
                count += len(lines)
                if is_last:
                    return

    def _without_mark(self, data: bytes) -> bytes:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise self.problems.error("is UTF-16 text; save the file as UTF-8")
        return data.removeprefix(codecs.BOM_UTF8)

    def _decoded(self, data: bytes, before: int) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            row = before + data[: error.start].count(b"\n") + 1
            message = f"invalid UTF-8 byte 0x{data[error.start]:02x}; save the file as UTF-8"
            raise self.problems.error(message, row=row) from error

    def _numbers(self, lines: list[str], wanted: Sequence[int]) -> list[np.ndarray] | None:
        """Read a block by numpy; None if it needs a closer look."""
        text = "\n".join(lines)
        count = len(self.names) - 1
        is_regular = text.count(self.delimiter) == count * len(lines) and (
            not count or all(line.count(self.delimiter) == count for line in lines)
        )
        if not lines or not is_regular or '"' in text:
            return None
        if self._decimal == ",":
            if "." in text:
                return None
            lines = text.replace(",", ".").split("\n")
        try:
            block = np.loadtxt(
                lines, delimiter=self.delimiter, comments=None, usecols=wanted, ndmin=2
            )
        except ValueError:
            return None
        return list(block.T) if len(block) == len(lines) else None

    def _carefully(
        self, before: int, lines: list[str], wanted: Sequence[int], numbers: int
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Read a block cell by cell; return the numbers of its rows, and its columns."""
        rows: list[int] = []
        columns: list[list[float | str | None]] = [[] for _ in wanted]
        for row, line in enumerate(lines, start=before + 1):
            if not line.strip():
                continue
            if line.count('"') % 2:
                message = "a quote is not closed in its line; close it, or remove it"
                self.problems.add(message, row=row)
                continue
            cells = self._cells(line)
            if len(cells) != len(self.names):
                message = f"must have {len(self.names)} cells like the first row, got {len(cells)}"
                self.problems.add(message, row=row)
                continue
            found = [
                self._number(cells[cell], row, cell) if at < numbers else cells[cell].strip()
                for at, cell in enumerate(wanted)
            ]
            if None in found:
                continue
            rows.append(row)
            for column, value in zip(columns, found, strict=True):
                column.append(value)
        kinds = [float] * numbers + [object] * (len(wanted) - numbers)
        arrays = [np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
        return np.array(rows, int), arrays

    def _cells(self, line: str) -> list[str]:
        return next(csv.reader([line], delimiter=self.delimiter))

    def _looks_numeric(self, rows: Sequence[Sequence[str]], column: int) -> bool:
        cells = (row[column].strip() for row in rows if len(row) > column)
        first = next((cell for cell in cells if cell.lower() not in MISSING), None)
        return first is not None and self._is_number(first)

    def _is_number(self, cell: str) -> bool:
        return to_float(cell.strip(), self._decimal) is not None

    def _number(self, cell: str, row: int, column: int) -> float | None:
        text = cell.strip()
        value = to_float(text, self._decimal)
        if value is None and text.lower() in MISSING:
            return np.nan
        if value is None:
            advice = ""
            if re.fullmatch(r"[-+]?\d+,\d+", text):
                advice = "; set signal.decimal=comma"
            elif re.fullmatch(r"[-+]?\d+\.\d+", text):
                advice = "; set signal.decimal=point"
            elif re.fullmatch(r"[-+]?\d{1,3}([., ']\d{3})+([.,]\d*)?", text):
                advice = "; remove the separators of thousands"
            message = f"must be a number, got {printable(repr(text), 60)}{advice}"
            self.problems.add(message, row=row, column=self.names[column])
        return value


def find_delimiter(line: str, decimal: str) -> str:
    """Return the delimiter of a first line: the first of tab, semicolon and comma that is there."""
    outside = re.sub(r'"[^"]*"', "", line)
    possible = [each for each in DELIMITERS if each != decimal]
    return next((each for each in possible if each in outside), possible[-1])
