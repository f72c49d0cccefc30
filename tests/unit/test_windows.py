from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sinernn.data.windows import (
    Scale,
    contiguous_planner,
    count_origins,
    fit_scale,
    identity_scale,
    noisy_copies,
    random_planner,
    split_by_time,
    spread,
    spread_origins,
    whole_windows,
)


@given(
    lengths=st.lists(st.integers(2, 10_000), min_size=1, max_size=4),
    train=st.floats(0.01, 1),
    validation=st.floats(0, 1),
)
def test_parts_make_up_the_segments(lengths: list[int], train: float, validation: float):
    if train + validation > 1:
        with pytest.raises(ValueError, match="cannot split"):
            split_by_time(lengths, train=train, validation=max(validation, 1.01 - train))
        return
    parts = split_by_time(lengths, train=train, validation=validation)
    for of_segment, length in zip(
        zip(parts.train, parts.validation, parts.test, strict=True), lengths, strict=True
    ):
        assert [sample for part in of_segment for sample in part] == list(range(length))
        assert abs(len(of_segment[0]) - length * train) <= 0.5
    assert parts.named("validation") == parts.validation


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


def test_no_noise_changes_no_bit():
    samples = np.random.default_rng(0).normal(size=(50, 2))
    np.testing.assert_array_equal(noisy_copies(samples, 0.0, 3, 1), samples)


def test_copies_with_noise():
    """Every copy has other noise, of the given spread; the seed fixes it."""
    samples = np.random.default_rng(0).normal(size=(2000, 2))
    noisy = noisy_copies(samples, 0.2, 3, 4)
    noise = noisy.reshape(4, 2000, 2) - samples
    np.testing.assert_allclose(noise.std(axis=1), 0.2, rtol=0.1)  # 1 / sqrt(4000): 1.6 %, 6 times
    correlation = np.corrcoef(noise.transpose(0, 2, 1).reshape(8, 2000))
    assert np.abs(correlation - np.eye(8)).max() < 0.13  # 1 / sqrt(2000): 2.2 %, 6 times
    np.testing.assert_array_equal(noisy, noisy_copies(samples, 0.2, 3, 4))
    assert not np.array_equal(noisy, noisy_copies(samples, 0.2, 4, 4))


def test_spread_of_a_constant():
    """It is zero, whatever rounding says."""
    samples = 1e6 + np.array([[[0.0, 0.0], [1e-9, 2.0]]])
    np.testing.assert_array_equal(spread(samples), [0, 1])


@pytest.mark.parametrize("value", [0.0, 1e9])
def test_a_constant_training_part_has_no_scale(value: float):
    rounding = np.resize([0, 1e-16], 50) * value
    with pytest.raises(ValueError, match="constant"):
        fit_scale((np.full(50, value) + rounding).reshape(1, 50, 1))


OPTIONS = dict(batch_size=1, carry_state=True)


@pytest.mark.parametrize(
    ("segments", "starts"),
    [((11, 11), [0, 5, 11, 16, 0]), ((11, 5, 6, 12), [0, 5, 16, 22, 27])],
)
def test_contiguous_windows(segments, starts: list[int]):
    """A segment of 5 samples has no window of 5 inputs and their targets, one of 6 has one."""
    plan = contiguous_planner(segments, length=5, **OPTIONS)(0, 5)
    np.testing.assert_array_equal(plan.starts[:, 0], starts)
    begins = [0, *np.cumsum(segments)]
    assert plan.resets[:, 0].tolist() == [start in begins for start in starts]


def test_rows_of_a_contiguous_batch():
    """They begin evenly spread."""
    plan = contiguous_planner([41], length=4, batch_size=3, carry_state=True)(0, 8)
    np.testing.assert_array_equal(plan.starts[0], np.array([0, 3, 6]) * 4)
    np.testing.assert_array_equal(plan.resets[0], True)  # nothing was carried yet
    np.testing.assert_array_equal(plan.resets[4], [False, False, True])  # row 2 comes to window 0


PLANNERS = {"contiguous": contiguous_planner, "random": partial(random_planner, seed=5)}


@pytest.mark.parametrize("order", PLANNERS)
def test_without_carrying_every_window_is_reset(order: str):
    planner = PLANNERS[order]([41], length=4, batch_size=2, carry_state=False)
    assert planner(5, 7).resets.all()


def test_random_order_carries_state():
    """Random order can carry the state although windows are not neighbours."""
    resets = random_planner([41], length=4, batch_size=2, carry_state=True, seed=0)(0, 9).resets
    assert resets[0].all()
    assert not resets[1:].any()


@pytest.mark.parametrize(
    ("segments", "possible"),
    [
        # Inputs 0..4 and target 5 up to inputs 2..6 and target 7, in each of three segments.
        ((8, 8, 8), [0, 1, 2, 8, 9, 10, 16, 17, 18]),
        ((8, 5, 11), [0, 1, 2, 13, 14, 15, 16, 17, 18]),
    ],
)
def test_random_windows_are_whole_and_uniform(segments, possible: list[int]):
    planner = random_planner(segments, length=5, batch_size=2, carry_state=True, seed=1)
    starts, counts = np.unique(planner(0, 9000).starts, return_counts=True)
    np.testing.assert_array_equal(starts, possible)
    # 2000 expected each, of standard deviation 42; five of them.
    assert np.abs(counts - 2000).max() < 210


def test_random_windows_of_equal_segments():
    """They are those of version 0.1."""
    plan = random_planner([100] * 3, length=7, batch_size=2, carry_state=True, seed=5)(0, 3)
    np.testing.assert_array_equal(plan.starts, [[212, 207], [15, 188], [81, 208]])


@given(
    first=st.integers(0, 3000),
    lengths=st.lists(st.integers(1, 1500), min_size=1, max_size=4),
    segments=st.sampled_from([(100, 100), (100, 3, 41)]),
    order=st.sampled_from(["contiguous", "random"]),
)
def test_a_plan_in_pieces_is_the_plan(first: int, lengths: list[int], segments, order: str):
    planner = PLANNERS[order](segments, length=7, batch_size=3, carry_state=True)
    whole = planner(first, sum(lengths))
    begins = first + np.cumsum([0, *lengths[:-1]])
    pieces = [planner(int(begin), n) for begin, n in zip(begins, lengths, strict=True)]
    np.testing.assert_array_equal(np.concatenate([p.starts for p in pieces]), whole.starts)
    np.testing.assert_array_equal(np.concatenate([p.resets for p in pieces]), whole.resets)


def test_too_short_a_training_part_has_no_plan():
    assert whole_windows(5, 5) == 0
    with pytest.raises(ValueError, match="windows"):
        contiguous_planner([5], length=5, **OPTIONS)
    with pytest.raises(ValueError, match="no segment has the 6 samples"):
        random_planner([5, 4], length=5, seed=0, **OPTIONS)


@given(
    begin=st.integers(0, 50),
    lengths=st.lists(st.integers(0, 200), min_size=1, max_size=5),
    warmup=st.integers(1, 20),
    horizon=st.integers(1, 20),
    data=st.data(),
)
def test_origins(begin: int, lengths: list[int], warmup: int, horizon: int, data: st.DataObject):
    """They differ and leave room for warm-up and horizon."""
    stretches = [range(begin, begin + length) for length in lengths]
    fitting = count_origins(stretches, warmup=warmup, horizon=horizon)
    assume(any(fitting))
    count = data.draw(st.integers(1, sum(fitting)))
    origins = spread_origins(stretches, warmup=warmup, horizon=horizon, count=count)
    assert len(set(zip(origins.segments, origins.samples, strict=True))) == count
    shares = np.bincount(origins.segments, minlength=len(lengths))
    for segment, stretch in enumerate(stretches):
        samples = origins.samples[origins.segments == segment]
        assert all(stretch.start + warmup <= s <= stretch.stop - horizon for s in samples)
        if shares[segment] > 1:
            assert samples[0] == stretch.start + warmup
            assert samples[-1] == stretch.stop - horizon
        # As many as in any other segment, or as many as fit.
        assert shares[segment] >= min(fitting[segment], shares.max() - 1)


def test_origins_of_equal_segments():
    """Segments share them from the first on."""
    origins = spread_origins([range(20)] * 3, warmup=5, horizon=5, count=8)
    np.testing.assert_array_equal(np.bincount(origins.segments), [3, 3, 2])


def test_more_origins_than_fit_are_refused():
    with pytest.raises(ValueError, match="4 origins do not fit, at most 3 do"):
        spread_origins([range(12)], warmup=5, horizon=5, count=4)
