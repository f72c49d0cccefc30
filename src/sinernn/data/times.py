"""Times of rows: numbers or dates, and the even steps between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, tzinfo

import numpy as np

from sinernn.arrays import Float, Int
from sinernn.data.series import SECONDS
from sinernn.data.tables import DataProblems
from sinernn.errors import printable

TOLERANCE = 1e-6
"""Relative difference of two steps that are equal: times are written with some six digits."""

JITTER = 0.1
"""Share of a given step by which a time may deviate from an even grid."""


@dataclass(frozen=True)
class Times:
    """Time of every row."""

    values: Float[np.ndarray, " row"]
    """In time units."""

    unit: str = ""
    start: datetime | None = None
    """Date of time 0, in UTC if the dates have time zones; None if the rows have no dates."""


def read_times(
    column: np.ndarray,
    bounds: Sequence[slice],
    rows: Int[np.ndarray, " row"],
    name: str,
    problems: DataProblems,
    *,
    given_step: float | None = None,
) -> Times:
    """Return the time of every row, from a column of numbers or dates.

    Args:
        column: Numbers, or what `parse_dates` takes.
        bounds: Rows of each recording.
        rows: Number of each row in the file.
        name: Of the column.
        problems: What was found before.
        given_step: Spacing of the samples, of dates in seconds, if it is given.

    Raises:
        ConfigError: What is not a date or a number, and what was found before.
    """
    if column.dtype != float:
        dates = parse_dates(column, rows, name, problems)
        problems.raise_found()
        zone = None if column.dtype.kind == "M" else parse_date(column[0]).tzinfo
        return times_of_dates(dates, bounds, zone, given_step)
    if not np.isfinite(column).all():
        for row in rows[~np.isfinite(column)]:
            problems.add("has no time; remove the row", row=row, column=name)
        problems.raise_found()
    return Times(column)


def parse_dates(
    texts: np.ndarray, rows: Int[np.ndarray, " row"], column: str, problems: DataProblems
) -> np.ndarray:
    """Return dates in UTC as datetime64; those with no time zone are taken as they are.

    Args:
        texts: ISO 8601 (`2024-03-31T02:00+01:00`, `2024-03-31`, `2024-03`), or datetime64.
        rows: Number of each row in the file.
        column: Name of the column.
        problems: Receives what is not a date.
    """
    if texts.dtype.kind == "M":
        years = texts.astype("M8[Y]").astype(int) + 1970  # in microseconds they could overflow
        for at in np.flatnonzero((years < 1) | (years > MAXYEAR)):
            message = "has no date; remove the row"
            if not np.isnat(texts[at]):
                message = f"must be a date of the years 1 to {MAXYEAR}, got the year {years[at]}"
            problems.add(message, row=rows[at], column=column)
        return texts.astype("M8[us]")
    dates = np.empty(len(rows), "M8[us]")
    for at, text in enumerate(texts):
        try:
            dates[at] = parse_date(text).replace(tzinfo=None)
        except ValueError:
            message = f"must be a date such as 2024-03-31 or 2024-03-31T02:00, got {text[:60]!r}"
            problems.add(printable(message, 200), row=rows[at], column=column)
    return dates


def parse_date(text: str) -> datetime:
    """Return a date in UTC; one that has no time zone is taken as it is.

    Args:
        text: ISO 8601, as `parse_dates` takes it.

    Raises:
        ValueError: It is not a date.
    """
    day = "-01" if len(text) == len("2024-03") else ""
    date = datetime.fromisoformat(text.replace("/", "-") + day)
    try:
        return date.astimezone(UTC) if date.tzinfo else date
    except OverflowError as error:
        raise ValueError("in UTC it has the year 0 or 10000") from error


def times_of_dates(
    dates: np.ndarray,
    bounds: Sequence[slice],
    zone: tzinfo | None = None,
    given_step: float | None = None,
) -> Times:
    """Count time from the first date, in the unit that fits the steps.

    Dates that are whole months apart, as the first or the last day of every month, have even steps
    in months or years; others in days, hours, minutes or seconds.

    Args:
        dates: As datetime64 in microseconds.
        bounds: Rows of each recording.
        zone: UTC, or None if they have no time zone.
        given_step: Spacing of the samples in seconds, if it is given; time is then in seconds.
    """
    start = dates[0].astype(datetime).replace(tzinfo=zone)
    months = dates.astype("M8[M]")
    into_month = dates - months  # time since the month began
    to_next = (months + 1).astype(dates.dtype) - dates
    is_same_day = bool((into_month == into_month[0]).all())
    is_last_day = bool((to_next == to_next[0]).all() and to_next[0] <= np.timedelta64(1, "D"))
    counted = (months - months[0]).astype(int)
    if given_step is not None:
        return Times((dates - dates[0]).astype(np.int64) / 1e6, "s", start)
    if len(dates) > 1 and (is_same_day or is_last_day) and np.ptp(counted):
        steps = np.concatenate([np.diff(counted[rows]) for rows in bounds])
        is_yearly = not (steps % 12).any()
        if not is_same_day and start.day < 31:  # the month before has 31, so no date is cut short
            start, counted = start.replace(month=start.month - 1, day=31), counted + 1
        return Times(counted / (12 if is_yearly else 1), "year" if is_yearly else "month", start)
    passed = (dates - dates[0]).astype(np.int64)
    step = int(_usual_step(passed, bounds) or 0)
    fitting = (name for name, seconds in SECONDS.items() if step and step % (seconds * 10**6) == 0)
    unit = next(fitting, "s")
    return Times(passed / (SECONDS[unit] * 1e6), unit, start)


def find_step(times: Times, bounds: Sequence[slice]) -> float:
    """Return the spacing of most rows; 1 if no recording has two in order."""
    return _usual_step(times.values, bounds) or 1.0


def _usual_step(values: np.ndarray, bounds: Sequence[slice]) -> float | None:
    """Return the median step, of the middle two the shorter: the longer may be a gap."""
    steps = np.concatenate([np.diff(values[rows]) for rows in bounds])
    forward = np.sort(steps[steps > 0])
    return float(forward[(len(forward) - 1) // 2]) if len(forward) else None


def place_rows(
    times: Times,
    bounds: Sequence[slice],
    rows: Int[np.ndarray, " row"],
    column: str,
    problems: DataProblems,
    *,
    step: float,
    is_given: bool,
) -> Int[np.ndarray, " row"]:
    """Return how many steps each row is after the first of its recording.

    Args:
        times: Time of every row.
        bounds: Rows of each recording.
        rows: Number of each row in the file.
        column: Name of the time column.
        problems: Receives times that do not increase, and steps that are uneven.
        step: Spacing of the samples.
        is_given: Whether the step is given, so that times may deviate by some jitter.
    """
    values, positions = times.values, np.zeros(len(rows), int)
    backward: list[int] = []
    uneven: list[int] = []
    for recording in bounds:
        passed = np.diff(values[recording])
        counts = np.rint(passed / step) if step > 0 else np.zeros(len(passed))
        resolution = 4 * np.spacing(np.abs(values[recording]).max())
        allowed = (2 * JITTER if is_given else TOLERANCE) * abs(step) + resolution
        after = recording.start + 1
        backward += (after + np.flatnonzero(passed <= 0)).tolist()
        is_uneven = (passed > 0) & ((np.abs(passed - counts * step) > allowed) | (counts == 0))
        uneven += (after + np.flatnonzero(is_uneven)).tolist()
        positions[after : recording.stop] = np.cumsum(counts)
    if backward:
        at = backward[0]
        same = values[at] == values[at - 1]
        what = "repeats the time of" if same else "is earlier than"
        more = f" (the first of {len(backward)} such rows)" if len(backward) > 1 else ""
        message = f"{what} the row before{more}; sort the rows, and keep one of each time"
        if times.start and not times.start.tzinfo:
            message += "; local times that repeat an hour in autumn need their time zone, as +01:00"
        problems.add(message, row=rows[at], column=column)
        return positions
    drifting = _first_adrift(values, positions, bounds, step) if is_given and not uneven else None
    if not uneven and drifting is None:
        return positions
    at = uneven[0] if drifting is None else drifting
    unit = f" {times.unit}" if times.unit else ""
    if drifting is None:
        found, steps = values[at] - values[at - 1], len(values) - len(bounds)
        message = (
            f"uneven step: {found:g}{unit} after the row before, and {step:g}{unit} in most rows; "
            f"{len(uneven)} of {steps} steps ({100 * len(uneven) / steps:.3g} %) differ"
        )
    else:
        message = f"the times drift away from even steps of {step:g}{unit}"
    mean = exact_step(times, positions, bounds)
    message += "; resample the series to even steps"
    is_usable = times.unit in SECONDS if times.start else True
    if is_usable and mean and _first_adrift(values, positions, bounds, mean) is None:
        seconds = mean * SECONDS.get(times.unit, 1)
        message += f", or set signal.time_step={seconds:.9g} to allow a jitter of 10 %"
    problems.add(message, row=rows[at], column=column)
    return positions


def _first_adrift(
    values: np.ndarray, positions: np.ndarray, bounds: Sequence[slice], step: float
) -> int | None:
    """Return the first row whose time no grid of even steps has within the jitter, if any."""
    for recording in bounds:
        off = values[recording] - positions[recording] * step
        spread = np.maximum.accumulate(off) - np.minimum.accumulate(off)
        resolution = 4 * np.spacing(np.abs(values[recording]).max())
        beyond = np.flatnonzero(spread > 2 * JITTER * step + resolution)
        if len(beyond):
            return int(recording.start + beyond[0])
    return None


def exact_step(times: Times, positions: np.ndarray, bounds: Sequence[slice]) -> float | None:
    """Return the mean step of the longest recording: more digits than one step has."""
    longest = max(bounds, key=lambda each: int(positions[each.stop - 1]))
    count, last = int(positions[longest.stop - 1]), longest.stop - 1
    passed = float(times.values[last] - times.values[longest.start])
    return float(f"{passed / count:.12g}") if count > 0 else None
