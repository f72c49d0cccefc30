import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinernn.data.series import Channel, Extent, Series, first_rows, locate


def ragged(*lengths: int, channels: int = 1, inputs: int = 0) -> Series:
    """A series whose samples count up, from 100 more in every segment."""
    values = np.concatenate([100.0 * s + np.arange(n) for s, n in enumerate(lengths)])
    samples = np.repeat(values[:, None], channels, axis=1)
    names = [Channel(f"channel {n}") for n in range(channels)]
    read, driven = tuple(names[: channels - inputs]), tuple(names[channels - inputs :])
    return Series(samples, samples, values, Extent(lengths, 1.0, read, driven))


def test_extent_of_a_series():
    extent = ragged(5, 3, channels=3, inputs=1).extent
    assert (extent.channels, extent.samples) == (3, 8)


def test_rows_of_samples_in_segments():
    series = ragged(5, 3, 4)
    rows = series.rows(np.array([0, 1, 2]), np.array([4, 0, 3]))
    np.testing.assert_array_equal(series.time[rows], [4, 100, 203])


def test_cut_returns_a_view_of_every_segment():
    series = ragged(5, 3, 4)
    cut = series.cut(series.time, (range(1, 3), range(0), range(2, 4)))
    assert [part.tolist() for part in cut] == [[1, 2], [], [202, 203]]
    assert all(part.base is series.time for part in cut)


def test_segments_must_make_up_the_samples():
    with pytest.raises(ValueError, match=r"segments of \(2, 3\) samples"):
        Series(*np.zeros((2, 4, 1)), np.zeros(4), Extent((2, 3), 1.0, (Channel("x"),)))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any))
def test_items_are_located_in_their_segments(counts: list[int]):
    expected = [(segment, at) for segment, count in enumerate(counts) for at in range(count)]
    segments, within = locate(counts, np.arange(sum(counts)))
    assert list(zip(segments.tolist(), within.tolist(), strict=True)) == expected


def test_first_rows():
    np.testing.assert_array_equal(first_rows((5, 3, 4)), [0, 5, 8])
