"""A series of samples, and its extent: what is known before all samples are read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from sinernn.arrays import Float, Int
from sinernn.schema import Conflict


@dataclass(frozen=True)
class Channel:
    """One of the values in a sample."""

    name: str
    unit: str = ""
    """As in `V`; empty if it has none."""


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
    """Date of time 0; None if the samples have no dates."""

    @property
    def channels(self) -> int:
        """Values in a sample."""
        return len(self.outputs) + len(self.inputs)

    @property
    def samples(self) -> int:
        """Samples in all segments together."""
        return sum(self.lengths)


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
