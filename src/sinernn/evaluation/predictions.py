"""Forecasts beyond the end of a series, with intervals from errors of earlier forecasts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sinernn.arrays import Float
from sinernn.data.series import Extent
from sinernn.display import Table, as_html
from sinernn.evaluation.metrics import counted

SHOWN = 20
"""Steps that a notebook shows."""


@dataclass(frozen=True)
class Interval:
    """Where a sample lies with a given probability, by step and channel; NaN: no statement."""

    lower: Float[np.ndarray, "steps output"]
    upper: Float[np.ndarray, "steps output"]


@dataclass(frozen=True)
class Prediction:
    """A forecast beyond the end of a series, in its own units.

    Example:
        >>> prediction = sinernn.predict("latest", steps=3)
        >>> prediction.values.shape, sorted(prediction.intervals)
        ((3, 1), [0.8, 0.95])
    """

    extent: Extent
    """Channels and times of the series."""

    time: Float[np.ndarray, " steps"]
    """Of the samples that are forecast, in time units."""

    values: Float[np.ndarray, "steps output"]
    """Of several runs the mean; NaN from the step at which a free run diverged."""

    intervals: Mapping[float, Interval]
    """By their probability."""

    spread: Float[np.ndarray, "steps output"] | None
    """Standard deviation over the runs; None for one run."""

    history: Float[np.ndarray, "sample output"]
    """The samples before, as far as they were read."""

    inputs: Float[np.ndarray, "known input"]
    """Of these samples and of those to come, as far as they act on the forecast."""

    notes: tuple[str, ...]
    """How far free runs were useful on the test part, and what the forecast does not promise."""

    def columns(self) -> dict[str, list[str] | list[int] | list[float]]:
        """Return the columns of a table, a row a step: time, then outputs with their intervals."""
        table: dict[str, list[str] | list[int] | list[float]] = {
            self.extent.time_name: self.extent.written(self.time)
        }
        for index, channel in enumerate(self.extent.outputs):
            table[channel.name] = self.values[:, index].tolist()
            for level, interval in self.intervals.items():
                table[f"{channel.name} lower {level:.4g}"] = interval.lower[:, index].tolist()
                table[f"{channel.name} upper {level:.4g}"] = interval.upper[:, index].tolist()
            if self.spread is not None:
                table[f"{channel.name} spread"] = self.spread[:, index].tolist()
        return table

    def _repr_html_(self) -> str:
        columns = {
            name: [f"{each:.5g}" if isinstance(each, float) else str(each) for each in cells]
            for name, cells in ((name, cells[:SHOWN]) for name, cells in self.columns().items())
        }
        more = len(self.time) - SHOWN
        rest = [f"and {counted(more)} more: see columns()"] if more > 0 else []
        return as_html([Table(columns), *rest, *self.notes])


def half_widths(
    errors: Float[np.ndarray, "origin steps output"], level: float
) -> Float[np.ndarray, "steps output"]:
    """Return the error that a forecast of so many steps stays below with probability `level`.

    Of n errors at a step it is the one of rank ceil((n + 1) level). It holds for every step and
    channel by itself, for the next one of exchangeable forecasts; those from neighbouring origins
    are so only roughly.

    Args:
        errors: Of several origins; NaN where the truth is not known, infinite after divergence.
        level: Between 0 and 1.

    Returns:
        NaN where there are too few errors.

    Source:
        Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), "Distribution-free predictive
        inference for regression", Journal of the American Statistical Association 113, 1094-1111,
        algorithm 2 (split conformal); by horizon, without their correction for all horizons
        together: Stankeviciute, Alaa and van der Schaar (2021), "Conformal time-series
        forecasting", NeurIPS 34.
    """
    unknown = np.full((1, *errors.shape[1:]), np.nan)  # what a rank beyond the last error finds
    ordered = np.sort(np.concatenate([np.abs(errors), unknown]), axis=0)
    counts = np.sum(~np.isnan(errors), axis=0)
    ranks = np.ceil((counts + 1) * level - 1e-9).astype(int)
    chosen = np.take_along_axis(ordered, ranks[None] - 1, axis=0)[0]
    return np.where(np.isfinite(chosen), chosen, np.nan)
