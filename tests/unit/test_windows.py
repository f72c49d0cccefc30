import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinernn.windows import (
    Scale,
    contiguous_planner,
    fit_scale,
    identity_scale,
    random_planner,
    split_by_time,
    spread,
    spread_origins,
    whole_windows,
)


@given(
    length=st.integers(2, 10_000),
    train=st.floats(0.01, 1),
    validation=st.floats(0, 1),
)
def test_the_parts_of_a_split_make_up_the_segment(length: int, train: float, validation: float):
    if train + validation > 1:
        with pytest.raises(ValueError, match="cannot split"):
            split_by_time(length, train=train, validation=max(validation, 1.01 - train))
        return
    parts = split_by_time(length, train=train, validation=validation)
    assert min(parts.train, parts.validation, parts.test) >= 0
    assert parts.train + parts.validation + parts.test == length
    assert abs(parts.train - length * train) <= 0.5
    assert parts.bounds("train") == (0, parts.train)
    assert parts.bounds("validation") == (parts.train, parts.train + parts.validation)
    assert parts.bounds("test") == (length - parts.test, length)


def test_scale():
    """It gives the training part mean 0 and standard deviation 1."""
    training = np.random.default_rng(0).normal([3, -2], [5, 0.1], size=(4, 100, 2))
    scaled = fit_scale(training).apply(training).reshape(-1, 2)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), 1)


def test_scale_inverted():
    """The samples come back."""
    scale = Scale(np.array([3.0, -2.0]), np.array([5.0, 0.1]))
    samples = np.random.default_rng(0).normal(size=(7, 2))
    np.testing.assert_allclose(scale.invert(scale.apply(samples)), samples, rtol=1e-12)


def test_the_identity_scale_changes_no_bit():
    samples = np.random.default_rng(0).normal(size=(7, 2))
    np.testing.assert_array_equal(identity_scale(2).apply(samples), samples)


def test_spread_of_a_constant():
    """It is zero, whatever rounding says."""
    samples = 1e6 + np.array([[[0.0, 0.0], [1e-9, 2.0]]])
    np.testing.assert_array_equal(spread(samples), [0, 1])


@pytest.mark.parametrize("value", [0.0, 1e9])
def test_a_constant_training_part_has_no_scale(value: float):
    rounding = np.resize([0, 1e-16], 50) * value
    with pytest.raises(ValueError, match="constant"):
        fit_scale((np.full(50, value) + rounding).reshape(1, 50, 1))


def test_contiguous_windows():
    """They cover each segment in order."""
    plan = contiguous_planner(segments=2, samples=11, length=5, batch_size=1, carry_state=True)(
        0, 5
    )
    np.testing.assert_array_equal(plan.starts[:, 0], [0, 5, 11, 16, 0])
    np.testing.assert_array_equal(plan.resets[:, 0], [True, False, True, False, True])


def test_rows_of_a_contiguous_batch():
    """They begin evenly spread."""
    plan = contiguous_planner(segments=1, samples=41, length=4, batch_size=3, carry_state=True)(
        0, 8
    )
    np.testing.assert_array_equal(plan.starts[0], np.array([0, 3, 6]) * 4)
    np.testing.assert_array_equal(plan.resets[0], True)  # nothing was carried yet
    np.testing.assert_array_equal(plan.resets[4], [False, False, True])  # row 2 comes to window 0


@pytest.mark.parametrize("order", ["contiguous", "random"])
def test_without_carrying_every_window_is_reset(order: str):
    options = dict(segments=1, samples=41, length=4, batch_size=2, carry_state=False)
    planner = (
        contiguous_planner(**options)
        if order == "contiguous"
        else random_planner(**options, seed=0)
    )
    assert planner(5, 7).resets.all()


def test_random_order_carries_state():
    """Random order can carry the state although windows are not neighbours."""
    planner = random_planner(
        segments=1, samples=41, length=4, batch_size=2, carry_state=True, seed=0
    )
    resets = planner(0, 9).resets
    assert resets[0].all()
    assert not resets[1:].any()


def test_random_windows_are_whole_and_uniform():
    planner = random_planner(
        segments=3, samples=8, length=5, batch_size=2, carry_state=True, seed=1
    )
    starts, counts = np.unique(planner(0, 9000).starts, return_counts=True)
    # Inputs 0..4 and target 5 up to inputs 2..6 and target 7, in each of three segments.
    np.testing.assert_array_equal(starts, [0, 1, 2, 8, 9, 10, 16, 17, 18])
    # 2000 expected each, of standard deviation 42; five of them.
    assert np.abs(counts - 2000).max() < 210


@given(
    first=st.integers(0, 3000),
    lengths=st.lists(st.integers(1, 1500), min_size=1, max_size=4),
    order=st.sampled_from(["contiguous", "random"]),
)
def test_a_plan_in_pieces_is_the_plan(first: int, lengths: list[int], order: str):
    options = dict(segments=2, samples=100, length=7, batch_size=3, carry_state=True)
    planner = (
        contiguous_planner(**options)
        if order == "contiguous"
        else random_planner(**options, seed=5)
    )
    whole = planner(first, sum(lengths))
    begins = first + np.cumsum([0, *lengths[:-1]])
    pieces = [planner(int(begin), n) for begin, n in zip(begins, lengths, strict=True)]
    np.testing.assert_array_equal(np.concatenate([p.starts for p in pieces]), whole.starts)
    np.testing.assert_array_equal(np.concatenate([p.resets for p in pieces]), whole.resets)


def test_too_short_a_training_part_has_no_plan():
    assert whole_windows(5, 5) == 0
    with pytest.raises(ValueError, match="windows"):
        contiguous_planner(segments=1, samples=5, length=5, batch_size=1, carry_state=True)
    with pytest.raises(ValueError, match="no window"):
        random_planner(segments=1, samples=5, length=5, batch_size=1, carry_state=True, seed=0)


@given(
    begin=st.integers(0, 50),
    room=st.integers(1, 200),
    warmup=st.integers(1, 20),
    horizon=st.integers(1, 20),
    segments=st.integers(1, 4),
    data=st.data(),
)
def test_origins(
    begin: int, room: int, warmup: int, horizon: int, segments: int, data: st.DataObject
):
    """They differ and leave room for warm-up and horizon."""
    count = data.draw(st.integers(1, room * segments))
    end = begin + warmup + horizon + room - 1
    origins = spread_origins(
        (begin, end), segments=segments, warmup=warmup, horizon=horizon, count=count
    )
    assert len(set(zip(origins.segments, origins.samples, strict=True))) == count
    assert origins.samples.min() >= begin + warmup
    assert origins.samples.max() + horizon <= end
    shares = np.bincount(origins.segments, minlength=segments)
    assert shares.max() - shares.min() <= 1
    if shares[0] > 1:
        assert origins.samples[0] == begin + warmup
        assert origins.samples[shares[0] - 1] + horizon == end


def test_too_many_origins():
    """More origins than there is room for are refused."""
    with pytest.raises(ValueError, match="room for 3"):
        spread_origins((0, 12), segments=1, warmup=5, horizon=5, count=4)
