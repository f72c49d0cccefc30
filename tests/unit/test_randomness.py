import numpy as np
import pytest

from sinernn.randomness import Purpose, stream


def test_a_stream_is_a_function_of_its_arguments():
    np.testing.assert_array_equal(
        stream(7, Purpose.NOISE, 3).random(5), stream(7, Purpose.NOISE, 3).random(5)
    )


@pytest.mark.parametrize(
    "other", [(8, Purpose.NOISE, 3), (7, Purpose.WINDOWS, 3), (7, Purpose.NOISE, 4)]
)
def test_streams_differ(other: tuple[int, Purpose, int]):
    """Streams of different arguments share no number."""
    mine = stream(7, Purpose.NOISE, 3).random(10_000)
    assert not np.isin(mine, stream(*other).random(10_000)).any()


def test_the_largest_seed_and_block_are_accepted():
    assert 0 <= stream(2**64 - 1, Purpose.WEIGHTS, 2**64 - 1).random() < 1
