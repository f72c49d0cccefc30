"""A series of samples, and its extent: what is known before all samples are read."""

import math
from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as time_of_day
from typing import Protocol

import numpy as np

from sinernn.arrays import Float, Int
from sinernn.schema import Conflict

SECONDS = {"d": 86400, "h": 3600, "min": 60, "s": 1}
"""Units of time of samples with dates, in seconds, the largest first; a month and a year differ."""


@dataclass(frozen=True)
class Channel:
    """One of the values in a sample."""

    name: str
    unit: str = ""
    """As in `V`; empty if it has none."""

    @property
    def label(self) -> str:
        """Name and unit, as in `flow (l/s)`."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Extent:
    """What is known of a series without its samples."""

    lengths: tuple[int, ...]
    """Samples in each segment; a segment is one unbroken recording."""

    time_step: float
    """Spacing of the samples, in time units."""

    outputs: tuple[Channel, ...]
    """Channels that the network predicts; the first ones of a sample."""

    inputs: tuple[Channel, ...] = ()
    """Channels that it reads but does not predict; the last ones of a sample."""

    time_unit: str = ""
    """As in `s`; empty if time has none."""

    start: datetime | None = None
    """Date of time 0, in UTC if the dates have time zones; None if the samples have no dates."""

    time_name: str = "time"
    """Name of the column of times."""

    @property
    def channels(self) -> int:
        """Values in a sample."""
        return len(self.outputs) + len(self.inputs)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels in the order of a sample."""
        return tuple(channel.name for channel in (*self.outputs, *self.inputs))

    @property
    def samples(self) -> int:
        """Samples in all segments together."""
        return sum(self.lengths)

    def written(self, time: Float[np.ndarray, " n"]) -> list[str] | list[int] | list[float]:
        """Return times as a file has them: dates in ISO 8601, or numbers if there are no dates."""
        if self.start is None:
            return self._without_rounding_errors(time)
        dates = [self._date(self.start, float(value)) for value in time]
        is_short = self.time_unit not in ("h", "min", "s")  # else some times of a table had none
        if is_short and all(date.timetz() == time_of_day.min for date in dates):
            return [f"{date:%Y-%m-%d}" for date in dates]
        return [date.isoformat() for date in dates]

    def time_of(self, date: datetime) -> float:
        """Return the time of a date in UTC, in time units, if the samples have dates."""
        if self.start is None:
            raise ValueError("these samples have no dates")
        date = date.replace(tzinfo=self.start.tzinfo)
        if self.time_unit in SECONDS:
            return (date - self.start).total_seconds() / SECONDS[self.time_unit]
        months = 12 * (date.year - self.start.year) + date.month - self.start.month
        return months / (12 if self.time_unit == "year" else 1)

    def _without_rounding_errors(self, time: Float[np.ndarray, " n"]) -> list[int] | list[float]:
        resolution = float(np.spacing(np.abs(time).max(initial=self.time_step)))
        digits = math.floor(-math.log10(max(10 * resolution, 1e-9 * self.time_step)))
        values = [round(value, digits) for value in time.tolist()]
        is_whole = all(value.is_integer() for value in (self.time_step, *values))
        return [int(value) for value in values] if is_whole else values

    def _date(self, start: datetime, time: float) -> datetime:
        if self.time_unit in SECONDS:
            return start + timedelta(microseconds=round(time * SECONDS[self.time_unit] * 1e6))
        months = start.month - 1 + round(time * (12 if self.time_unit == "year" else 1))
        year, month = start.year + months // 12, months % 12 + 1
        return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))


@dataclass(frozen=True)
class Series:
    """Samples of one or more segments, end to end; the segments may have different lengths.

    Example:
        >>> series = sinernn.Sine(length=100).read()
        >>> series.extent.lengths, series.observed.shape
        ((100,), (100, 1))
    """

    observed: Float[np.ndarray, "sample channel"]
    """Samples as recorded, with noise, in signal units."""

    clean: Float[np.ndarray, "sample channel"]
    """The same samples without noise, where that is known: forecasts are scored against them."""

    time: Float[np.ndarray, " sample"]
    """Sampling times, in time units."""

    extent: Extent

    period: float | None = None
    """Length of one oscillation, in time units; None if there is none."""

    unread: int = 0
    """Rows at the end of its file that are left out, since cells of them are missing."""

    def __post_init__(self) -> None:
        lengths, found = self.extent.lengths, len(self.observed)
        if sum(lengths) != found:
            raise ValueError(f"segments of {lengths} samples need {found} in all")

    def rows(
        self, segments: Int[np.ndarray, " n"], samples: Int[np.ndarray, " n"]
    ) -> Int[np.ndarray, " n"]:
        """Return the row of each sample, counted within its segment, in the arrays."""
        return first_rows(self.extent.lengths)[segments] + samples

    def cut(self, values: np.ndarray, stretches: Sequence[range]) -> list[np.ndarray]:
        """Cut a stretch out of every segment.

        Args:
            values: One of the arrays.
            stretches: One for each segment, in samples counted within it.

        Returns:
            Views, one for each segment.
        """
        firsts = first_rows(self.extent.lengths).tolist()
        return [
            values[first + stretch.start : first + stretch.stop]
            for first, stretch in zip(firsts, stretches, strict=True)
        ]


class Source(Protocol):
    """A section of the config that describes a series."""

    def extent(self) -> Extent:
        """Return what is known of the series without reading or generating all of it."""
        ...

    def read(self) -> Series:
        """Return the series."""
        ...

    def conflicts(self) -> Iterable[Conflict]:
        """Yield contradictions between its settings."""
        ...

    @property
    def lyapunov_exponent(self) -> float | None:
        """Largest Lyapunov exponent, per time unit, from the equations; None if not known."""
        ...


def locate(
    counts: Sequence[int], index: Int[np.ndarray, "*any"]
) -> tuple[Int[np.ndarray, "*any"], Int[np.ndarray, "*any"]]:
    """Locate items that are numbered consecutively over all segments.

    Args:
        counts: Items in each segment.
        index: Numbers of some items, from 0.

    Returns:
        The segment of each item, and its number within the segment.
    """
    last = np.cumsum(counts)
    segments = np.searchsorted(last, index, side="right")
    return segments, index - (last - counts)[segments]


def first_rows(lengths: Sequence[int]) -> Int[np.ndarray, " segment"]:
    """Return the row at which each segment starts, when segments are stored end to end."""
    return np.cumsum([0, *lengths[:-1]])
