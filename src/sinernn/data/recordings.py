"""From the rows of a table to unbroken recordings: checks, gaps, missing cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sinernn.arrays import Float, Int
from sinernn.data.tables import DataProblems, Table
from sinernn.data.times import Times
from sinernn.errors import printable

MAX_RECORDINGS = 10_000


@dataclass(frozen=True)
class Recording:
    """Samples at even steps without a gap."""

    time: Float[np.ndarray, " sample"]
    values: Float[np.ndarray, "sample channel"]


def recording_bounds(table: Table, column: str | None, problems: DataProblems) -> list[slice]:
    """Return the rows of each recording."""
    count = len(table.rows)
    if column is None:
        return [slice(0, count)]
    names = table.columns[column]
    firsts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), count]
    if len(firsts) > MAX_RECORDINGS + 1:
        message = f"names {len(firsts) - 1} recordings, at most {MAX_RECORDINGS:,} are allowed"
        problems.add(message, column=column)
    known = set[str]()
    for first in firsts[:-1][:MAX_RECORDINGS]:
        name = str(names[first])
        if name in known:
            message = (
                f"{printable(repr(name), 60)} continues after another recording; sort the rows"
            )
            problems.add(message, row=table.rows[first], column=column)
        known.add(name)
    return [slice(first, stop) for first, stop in pairwise(firsts)]


def check_values(
    values: np.ndarray,
    names: Sequence[str],
    table: Table,
    problems: DataProblems,
    *,
    refuses_missing: bool,
    refuses_constant: bool = True,
) -> None:
    """Report cells that are infinite or missing, and columns that are constant."""
    can_tell = refuses_constant and problems.is_empty  # no row was left out
    for channel, name in enumerate(names):
        column = values[:, channel]
        for at in np.flatnonzero(np.isinf(column)):
            message = f"must be finite, got {column[at]:g}; leave the cell empty if it is missing"
            problems.add(message, row=table.rows[at], column=name)
        missing = np.flatnonzero(np.isnan(column))
        known = column[np.isfinite(column)]
        if len(missing) == len(column):
            problems.add("has no value; leave it out of signal.columns", column=name)
        elif len(missing) and refuses_missing:
            more = f" (the first of {len(missing)} such cells)" if len(missing) > 1 else ""
            message = f"is missing{more}; set signal.missing to split or interpolate"
            problems.add(message, row=table.rows[missing[0]], column=name)
        elif can_tell and len(known) + len(missing) == len(column) and np.ptp(known) == 0:
            message = f"is constant ({known[0]:g}); leave it out of signal.columns or signal.inputs"
            problems.add(message, column=name)


def check_gaps(
    positions: np.ndarray,
    bounds: Sequence[slice],
    table: Table,
    column: str,
    gaps: str,
    problems: DataProblems,
) -> None:
    """Report rows that are missing, if that is to be refused."""
    lost = np.zeros(len(positions), int)
    for recording in bounds:
        lost[recording.start + 1 : recording.stop] = np.diff(positions[recording]) - 1
    after = np.flatnonzero(lost > 0)
    count = int(lost[after].sum())
    if len(after) and gaps == "refuse":
        first, rest = int(lost[after[0]]), len(after) - 1
        what = "1 row is missing" if first == 1 else f"{first} rows are missing"
        more = f", and {count - first} more in {rest} other gaps" if rest else ""
        message = f"{what} before this one{more}; set signal.gaps to split or interpolate"
        problems.add(message, row=table.rows[after[0]], column=column)
    elif gaps == "interpolate" and count > 10 * len(positions) + 1000:
        message = f"{count} rows are missing, far more than there are; set signal.gaps=split"
        problems.add(message, row=table.rows[after[0]], column=column)


def cut_recordings(
    times: Times | None,
    values: Float[np.ndarray, "row channel"],
    positions: Int[np.ndarray, " row"],
    bounds: Sequence[slice],
    *,
    step: float,
    split_at_gaps: bool,
    split_at_missing: bool,
) -> list[Recording]:
    """Split recordings where rows or cells are missing, or interpolate what is missing.

    Args:
        times: Time of every row; None counts it from the first row of each recording.
        values: NaN where a cell is missing.
        positions: Steps of each row after the first of its recording.
        bounds: Rows of each recording.
        step: Spacing of the samples.
        split_at_gaps: Begin a new recording after missing rows.
        split_at_missing: Leave out rows with missing cells, and begin a new recording after them.

    Returns:
        Recordings of two samples or more. What is missing before the first or after the last value
        of one is left out.
    """
    is_missing = np.isnan(values.sum(axis=1))
    found: list[Recording] = []
    for recording in bounds:
        kept = np.arange(int(recording.start), int(recording.stop))
        if split_at_missing:
            kept = kept[~is_missing[kept]]
        is_cut = np.diff(kept) > 1
        if split_at_gaps:
            is_cut |= np.diff(positions[kept]) > 1
        first = 0.0 if times is None else float(times.values[recording.start])
        for piece in np.split(kept, np.flatnonzero(is_cut) + 1):
            known = piece[_between_known(values[piece])]
            if len(known) >= 2:
                at = positions[known]
                grid = np.arange(int(at[0]), int(at[-1]) + 1)
                found.append(Recording(first + step * grid, _on_grid(grid, at, values[known])))
    return found


def _between_known(values: Float[np.ndarray, "row channel"]) -> slice:
    """Return the rows between the first and the last value of every channel."""
    known = ~np.isnan(values)
    if not known.any(axis=0).all():
        return slice(0)
    first, after_last = known.argmax(axis=0).max(), known[::-1].argmax(axis=0).max()
    return slice(int(first), len(known) - int(after_last))


def _on_grid(
    grid: Int[np.ndarray, " sample"],
    positions: Int[np.ndarray, " row"],
    values: Float[np.ndarray, "row channel"],
) -> Float[np.ndarray, "sample channel"]:
    """Interpolate linearly where the grid has no value."""
    known = ~np.isnan(values)
    if len(grid) == len(positions) and known.all():
        return values
    columns: list[np.ndarray] = [
        np.interp(grid, positions[has_value], column[has_value])
        for column, has_value in zip(values.T, known.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def downsample(recording: Recording, factor: int, method: str) -> Recording:
    """Keep every `factor`-th sample (`pick`), or the mean of as many (`mean`)."""
    if method == "pick":
        return Recording(recording.time[::factor], recording.values[::factor])
    whole = len(recording.time) // factor
    time, values = recording.time[: whole * factor], recording.values[: whole * factor]
    blocks = values.reshape(whole, factor, values.shape[1])
    return Recording(time.reshape(whole, factor).mean(axis=1), blocks.mean(axis=1))
