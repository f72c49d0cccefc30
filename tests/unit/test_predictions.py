"""Intervals, times of forecasts, and samples that arrive one by one."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinernn.data.series import Channel, Extent
from sinernn.data.streams import SampleStream
from sinernn.errors import ConfigError
from sinernn.evaluation.predictions import half_widths

PUMP = Extent((9,), 0.5, (Channel("flow"),), (Channel("valve"),), time_name="t")


def dated(unit: str, step: float = 1.0, start: datetime = datetime(2024, 1, 31)):
    return Extent((9,), step, (Channel("flow"),), time_unit=unit, start=start, time_name="day")


def times_of(lines: list[str], extent: Extent) -> list[float]:
    return [sample.time for sample in SampleStream(lines, extent)]


def test_rank_of_an_interval():
    """Of 9 errors, 80 % are below the one of rank ceil(10 x 0.8) = 8."""
    errors = np.arange(9.0, 0, -1).reshape(9, 1, 1)
    assert half_widths(errors, 0.8).item() == 8
    assert half_widths(-errors, 0.9).item() == 9


def test_too_few_errors_for_an_interval():
    """At least 9 errors for 90 %; unknown ones do not count, infinite ones are no interval."""
    errors = np.ones((10, 3, 1))
    errors[:2, 1] = np.nan
    errors[:2, 2] = np.inf
    widths = half_widths(errors, 0.9)[:, 0]
    assert widths[0] == 1
    assert np.isnan(widths[1:]).all()


def test_no_errors_for_an_interval():
    assert np.isnan(half_widths(np.empty((0, 2, 3)), 0.5)).all()


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.8, 0.95]))
def test_coverage_of_exchangeable_errors(seed: int, level: float):
    """Half of 4000 errors predict the share of the other half to 5 standard deviations."""
    errors = np.random.default_rng(seed).standard_cauchy((4000, 1, 1))
    width = half_widths(errors[:2000], level)
    share = np.mean(np.abs(errors[2000:]) <= width)
    assert abs(share - level) < 5 * np.sqrt(level * (1 - level) * 2 / 2000)


@pytest.mark.parametrize(
    ("unit", "step", "times", "written"),
    [
        ("d", 1.0, [1, 30], ["2024-02-01", "2024-03-01"]),
        ("h", 6.0, [6, 24], ["2024-01-31T06:00:00", "2024-02-01T00:00:00"]),
        ("h", 24.0, [24], ["2024-02-01T00:00:00"]),  # as the others of an hourly table
        ("s", 0.5, [0.5, 1], ["2024-01-31T00:00:00.500000", "2024-01-31T00:00:01"]),
        ("month", 1.0, [1, 12], ["2024-02-29", "2025-01-31"]),
        ("year", 1.0, [1, 4], ["2025-01-31", "2028-01-31"]),
    ],
)
def test_dates_of_a_forecast(unit: str, step: float, times: list[float], written: list[str]):
    extent = dated(unit, step)
    assert extent.written(np.array(times, float)) == written
    dates = [datetime.fromisoformat(text) for text in written]
    assert [extent.time_of(date) for date in dates] == times


def test_numbers_of_a_forecast():
    """Times that are numbers are written without the rounding errors of sums."""
    assert Extent((9,), 0.1, (Channel("x"),)).written(0.1 * np.arange(3, 5)) == [0.3, 0.4]
    large = Extent((9,), 0.001, (Channel("x"),)).written(1.7e9 + 0.001 * np.arange(524, 526))
    assert large == [1700000000.524, 1700000000.525]
    whole = Extent((9,), 7.0, (Channel("x"),)).written(1.7e12 + 7.0 * np.arange(1, 3))
    assert str(whole) == "[1700000000007, 1700000000014]"


def test_time_zone_of_a_forecast():
    """Dates with a time zone are written in UTC, and say so; others have none."""
    extent = dated("h", start=datetime(2024, 1, 31, tzinfo=UTC))
    assert extent.written(np.array([0.0, 2])) == [
        "2024-01-31T00:00:00+00:00",
        "2024-01-31T02:00:00+00:00",
    ]
    assert times_of(["day,flow", "2024-01-31T02:00+01:00,3"], extent) == [1]


def test_samples_of_a_stream():
    lines = ["valve,note,t,flow\n", "1,a,7,2.5\n", "\n", "0,b,7.5,3.5\n"]
    found = [(sample.time, sample.values.tolist()) for sample in SampleStream(lines, PUMP)]
    assert found == [(7, [2.5, 1]), (7.5, [3.5, 0])]


def test_times_of_a_stream_without_times():
    assert times_of(["flow,valve", "1,1", "2,1", "3,1"], PUMP) == [0, 0.5, 1]


def test_dates_of_a_stream():
    lines = ["day,flow", "2024-02-01,1", "2024-02-02T01:00+01:00,2"]
    assert times_of(lines, dated("d")) == [1, 2]


def test_months_of_a_stream():
    """Dates are read as those of a file are."""
    lines = ["day,flow", "2024-02,1", "2024/03,2", "2024-04-01,3"]
    assert times_of(lines, dated("month")) == [1, 2, 3]


def test_stream_without_the_dates():
    """Times are counted from the first row, and are no dates."""
    stream = SampleStream(["Day,flow", "2024-02-01,1", "2024-02-02,2"], dated("d"))
    assert [sample.time for sample in stream] == [0, 1]
    assert stream.extent.written(np.array([0.0, 1.0])) == [0, 1]


def test_stream_written_as_its_file():
    """A byte order mark, semicolons and decimal commas."""
    lines = ["\ufefft;flow;valve", "0,5;1,25;1", "1;2;0"]
    found = [(each.time, *each.values) for each in SampleStream(lines, PUMP, decimal=",")]
    assert found == [(0.5, 1.25, 1), (1, 2, 0)]


BROKEN_OFF = ["t,flow,valve", "0,1,0", "0.5,2,0", "1,,0", "2,5,0", "2.5,6,0"]
"""A cell is missing at 1, and a row at 1.5."""


def test_stream_that_splits():
    """What follows a gap or a missing cell is a new recording, which is said."""
    remarks: list[str] = []
    stream = SampleStream(BROKEN_OFF, PUMP, gaps="split", missing="split", remark=remarks.append)
    found = [(sample.time, sample.is_first) for sample in stream]
    assert found == [(0, True), (0.5, False), (2, True), (2.5, False)]
    assert remarks == ["standard input:5: 2 rows are missing before it; a new warm-up begins"]


def test_stream_that_interpolates():
    stream = SampleStream(BROKEN_OFF, PUMP, gaps="interpolate", missing="interpolate")
    found = [(sample.time, sample.values[0], sample.is_first) for sample in stream]
    times, flows, _ = zip(*found, strict=True)
    assert times == (0, 0.5, 1, 1.5, 2, 2.5)
    assert flows == pytest.approx((1, 2, 3, 4, 5, 6))
    assert [is_first for *_, is_first in found] == [True] + 5 * [False]


def test_stream_with_a_long_gap():
    """It is not interpolated, however many rows that would be."""
    lines = ["t,flow,valve", "0,1,0", "5e8,2,0"]
    found = list(SampleStream(lines, PUMP, gaps="interpolate"))
    assert [sample.is_first for sample in found] == [True, True]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "standard input:1: valve: there is no such column; the first line names none"),
        (["t,valve"], "1: flow: there is no such column; the first line names t, valve"),
        (["flow,valve", "1"], "2: must have 2 cells as the first line, got 1"),
        (["flow,valve", "1,"], "2: valve: must be a number, got ''; signal.missing=split begins"),
        (["t,flow,valve", "1,1,1", "2,1,1"], "got 2; signal.gaps=split begins anew after a gap"),
        (["flow,valve", "1,x"], "2: valve: must be a number, got 'x'"),
        (["flow,valve", "1_0,0"], "2: flow: must be a number, got '1_0'"),
        (["flow,valve", "inf,0"], "2: flow: must be a number, got 'inf'"),
        (["t,flow,valve", "x,1,1"], "2: t: must be a time such as 0.0, got 'x'"),
        (["t,flow,valve", "1,1,1", "2,1,1"], "3: t: must be one step of 0.5 after the row before"),
    ],
)
def test_broken_streams(lines: list[str], message: str):
    with pytest.raises(ConfigError) as caught:
        list(SampleStream(lines, PUMP))
    if not lines:
        message = message.replace("valve", "flow")
    assert message in str(caught.value)
