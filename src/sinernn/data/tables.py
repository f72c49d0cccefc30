"""Columns read from a file, and the problems found in them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sinernn.arrays import Int
from sinernn.errors import MAX_PROBLEMS, ConfigError, Place, Problem

MAX_VALUES = 200_000_000
"""Numbers to read from one file: 1.6 GB, whatever the file says of itself."""

MAX_COLUMNS = 1000


@dataclass(frozen=True)
class Table:
    """Columns of a file, all of one length."""

    columns: dict[str, np.ndarray]
    """Numbers as float64 with NaN for a missing one; dates as datetime64, or as text like names."""

    rows: Int[np.ndarray, " row"]
    """Number of each row in the file, from 1; in a text file, its line."""


@dataclass(frozen=True)
class TextFormat:
    """How a text file writes its cells; None: as found in its first lines."""

    delimiter: str | None = None
    decimal: str = "."
    header: bool | None = None


class DataProblems:
    """The problems of a data file, up to the most that one error shows."""

    def __init__(self, path: Path) -> None:
        self.source = shown(path)
        self._found: list[Problem] = []

    @property
    def is_empty(self) -> bool:
        """Whether none was added."""
        return not self._found

    def add(self, message: str, *, row: Any = None, column: str | None = None) -> None:
        """Add a problem with its row in the file and its column, if it has them.

        Raises:
            ConfigError: There are as many as one error shows.
        """
        place = Place(self.source, None if row is None else int(row))
        self._found.append(Problem(place, () if column is None else (column,), message))
        if len(self._found) > MAX_PROBLEMS:
            self._found[-1] = Problem(place, (), "there are more problems; fix these first")
            self.raise_found(in_order=False)

    def raise_found(self, *, in_order: bool = True) -> None:
        """Raise what was added, in the order of the rows.

        Raises:
            ConfigError: Something was.
        """
        if self._found:
            first = [*sorted(self._found, key=lambda each: each.place.line or 0)]
            raise ConfigError(first if in_order else self._found)

    def error(self, message: str, *, row: int | None = None) -> ConfigError:
        """Return the error of a file that cannot be read further."""
        return ConfigError([Problem(Place(self.source, row), (), message)])


def shown(path: Path) -> str:
    """Return a path as messages show it: relative if it is in the working folder."""
    here = Path.cwd()
    return os.fspath(path.relative_to(here) if path.is_relative_to(here) else path)


def to_float(text: str, decimal: str = ".") -> float | None:
    """Return the number that a cell holds; None if it is none."""
    if decimal != ".":
        text = text.replace(decimal, ".") if "." not in text else ""
    if "_" in text or not text.isascii():  # Python takes 1_0 for 10
        return None
    try:
        return float(text)
    except ValueError:
        return None


def without_mask(values: Any) -> np.ndarray:
    """Return a column whose masked cells are missing: NaN, no date, or empty text."""
    if values.dtype.kind in "biuf":
        return np.ma.filled(values.astype(float), np.nan)
    return np.ma.filled(values, np.datetime64("NaT") if values.dtype.kind == "M" else "")


def column_names(count: int) -> list[str]:
    """Return names for columns that have none: c1, c2, ..."""
    return [f"c{number}" for number in range(1, count + 1)]
