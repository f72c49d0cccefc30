import math

import numpy as np
import pytest

from sinernn.data.delays import MackeyGlass
from sinernn.data.synthetic import Sine, SumOfSines, Tone


def test_the_tutorial_series_is_linspace_and_sin():
    series = Sine(length=50, starts=(0.0, 1.0, 2.0)).read()

    expected = np.concatenate([np.sin(np.linspace(start, start + 10, 50)) for start in (0, 1, 2)])
    # float64 rounding of the sampling times, of size 1e-15, is all that differs.
    np.testing.assert_allclose(series.observed[:, 0], expected, atol=5e-15)


@pytest.mark.parametrize(
    "signal",
    [
        Sine(length=7, starts=(0.0, 3.0)),
        SumOfSines(kind="sum_of_sines", length=7),
        MackeyGlass(kind="mackey_glass", length=7, starts=(0.0, 3.0)),
    ],
    ids=lambda signal: signal.kind,
)
def test_extent_is_that_of_the_series(signal: Sine | SumOfSines | MackeyGlass):
    assert signal.extent() == signal.read().extent


def test_parameters_of_a_sine():
    """Each means what it says."""
    series = Sine(
        amplitude=3, period=2, phase=0.5, offset=-1, time_step=0.25, length=9, starts=(4.0,)
    ).read()

    time = 4 + 0.25 * np.arange(9)
    np.testing.assert_allclose(series.time, time)
    np.testing.assert_allclose(series.clean[:, 0], 3 * np.sin(np.pi * time + 0.5) - 1)
    assert series.extent.time_step == 0.25


def test_recurrence_of_a_sine():
    """A sampled sine obeys its two-term recurrence."""
    x = Sine(period=3.0, time_step=0.1, length=200).read().clean[:, 0]
    np.testing.assert_allclose(
        x[2:], 2 * np.cos(2 * np.pi / 3 * 0.1) * x[1:-1] - x[:-2], atol=1e-13
    )


def test_no_noise():
    """Observed and clean samples are equal."""
    series = Sine(length=20).read()
    np.testing.assert_array_equal(series.observed, series.clean)


def test_standard_deviation_of_noise():
    """It is the one that was asked for."""
    series = Sine(length=100_000, noise_std=0.3).read()
    noise = series.observed - series.clean
    # The standard error of a standard deviation is its size over sqrt(2 n): 0.2 %; five of them.
    assert noise.std() == pytest.approx(0.3, rel=0.012)
    assert noise.mean() == pytest.approx(0, abs=0.005)


def test_seed_of_noise():
    """Noise is data, drawn by its own seed alone."""
    first = Sine(length=30, noise_std=1.0, noise_seed=1).read().observed
    again = Sine(length=30, noise_std=1.0, noise_seed=1).read().observed
    other = Sine(length=30, noise_std=1.0, noise_seed=2).read().observed
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).any()


def test_noise_of_segments():
    """A segment keeps its noise when segments are added."""
    one = Sine(length=30, noise_std=1.0, starts=(0.0,)).read()
    two = Sine(length=30, noise_std=1.0, starts=(0.0, 0.0)).read()
    np.testing.assert_array_equal(one.observed, two.observed[:30])
    assert not np.isclose(two.observed[:30], two.observed[30:]).any()


def test_a_sum_of_sines_is_the_sum_of_its_sines():
    tones = (Tone(amplitude=2, period=3, phase=0.1), Tone(period=5))
    series = SumOfSines(kind="sum_of_sines", tones=tones, offset=7, length=40).read()
    one = Sine(amplitude=2, period=3, phase=0.1, length=40).read().clean
    other = Sine(period=5, length=40).read().clean
    np.testing.assert_allclose(series.clean, one + other + 7, atol=1e-14)


def test_recurrence_of_two_sines():
    """Their sum obeys the product of their recurrences."""
    x = SumOfSines(kind="sum_of_sines", length=200).read().clean[:, 0]
    one, other = ([1, -2 * np.cos(rate * 10 / 49), 1] for rate in (1, math.sqrt(2)))
    np.testing.assert_allclose(np.convolve(x, np.convolve(one, other), "valid"), 0, atol=1e-13)


def mackey_glass(**settings) -> np.ndarray:
    return MackeyGlass(kind="mackey_glass", **settings).read().clean[:, 0]


def test_mackey_glass_first_delay():
    """With a constant history the delayed term is constant up to time 17."""
    x = mackey_glass(transient=0.0, length=17)
    rest = 0.2 * 1.2 / (1 + 1.2**10) / 0.1
    # A Runge-Kutta step of 0.1 errs by (0.01)^5 / 120 here, of which there are 160.
    np.testing.assert_allclose(x, rest + (1.2 - rest) * np.exp(-0.1 * np.arange(17)), atol=1e-10)


def test_mackey_glass_obeys_its_equation():
    x = mackey_glass(time_step=0.1, length=2000)
    slope = ((x[:-4] - x[4:]) + 8 * (x[3:-1] - x[1:-3])) / (12 * 0.1)  # at x[2:-2], of order 4
    delayed, now, slope = x[2 : -2 - 170], x[172:-2], slope[170:]
    expected = 0.2 * delayed / (1 + delayed**10) - 0.1 * now
    np.testing.assert_allclose(slope, expected, atol=1e-5)


@pytest.mark.parametrize("delay", [17, 23, 30])
def test_exponents_of_mackey_glass(delay: float):
    """Within 5 % of published Lyapunov times, whose own precision is not stated.

    Source: Yik et al. (2025), "The NeuroBench framework for benchmarking neuromorphic computing
    algorithms and systems", Nature Communications 16, 1545; the table of its Mackey-Glass series.
    """
    published = {17: 197, 23: 106, 30: 139}
    signal = MackeyGlass(kind="mackey_glass", delay=delay, length=4000)
    assert signal.lyapunov_exponent == pytest.approx(1 / published[delay], rel=0.05)


def test_exponent_of_a_periodic_mackey_glass():
    """It is 0 with a short delay; and not known if its computation would take too long."""
    assert MackeyGlass(kind="mackey_glass", delay=10.0, length=2000).lyapunov_exponent == 0
    coarse = MackeyGlass(kind="mackey_glass", delay=1000.0, integration_step=0.01, length=2)
    assert coarse.lyapunov_exponent is None


def test_mackey_glass_proceeds_from_any_past():
    """Its next values are those of one long integration, also of several orbits at once."""
    signal = MackeyGlass(kind="mackey_glass")
    x, past = signal.integrate(2000), signal.past
    begins = np.array([300, 600])
    pasts = x[begins + np.arange(past)[:, None]]
    found = signal.proceed(pasts, 500)
    np.testing.assert_allclose(found, x[begins + np.arange(past + 500)[:, None]], atol=1e-13)


def test_mackey_glass_segments():
    """They are parts of one trajectory."""
    one = mackey_glass(length=60)
    two = mackey_glass(length=50, starts=(0.0, 10.0))
    np.testing.assert_array_equal(two, [*one[:50], *one[10:]])


def mackey_glass_step_by_step(
    count, *, delay, step, growth, decay, exponent, initial_value
) -> np.ndarray:
    """Classical Runge-Kutta steps, one after the other."""
    x = [float(initial_value)] * (delay + 1)  # the last is time 0

    def delayed(twice: int) -> float:
        """The delayed term at `twice` / 2, an index of `x`."""
        at, is_between = divmod(twice, 2)
        y = x[at]
        if is_between:
            # Beside time 0 and one delay later x is not smooth: nodes of one side.
            jumps = (delay, 2 * delay)
            first = at - 2 if at + 1 in jumps else at if at in jumps else at - 1
            nodes = np.arange(first, first + 4)
            values = [x[max(node, 0)] for node in nodes]  # before the history, the history
            y = np.polyval(np.polyfit(nodes - at, values, 3), 0.5)
        return growth * y / (1 + y**exponent)

    for n in range(count):
        begin, middle, end = (delayed(2 * n + half) for half in (0, 1, 2))
        now = x[-1]
        k1 = begin - decay * now
        k2 = middle - decay * (now + step / 2 * k1)
        k3 = middle - decay * (now + step / 2 * k2)
        k4 = end - decay * (now + step * k3)
        x.append(now + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return np.array(x[delay:])


@pytest.mark.parametrize(
    ("delay", "step", "decay"),
    [(4, 0.1, 0.1), (5, 0.1, 0.1), (17, 1.0, 0.1), (40, 0.1, 0.1), (40, 1.0, 1.0), (170, 0.1, 0.1)],
)
def test_mackey_glass_stretches(delay, step, decay):
    """Stretches of any length give the same as step by step.

    Tolerance: a stretch divides by powers down to 1e-6, of rounding 1e-16.
    """
    signal = MackeyGlass(
        kind="mackey_glass", delay=delay * step, integration_step=step, decay=decay
    )
    expected = mackey_glass_step_by_step(
        200, delay=delay, step=step, decay=decay, growth=0.2, exponent=10.0, initial_value=1.2
    )
    for count in (1, 2, 3, 39, 200):
        actual = signal.integrate(count)
        np.testing.assert_allclose(actual, expected[: count + 1], rtol=1e-9)


def test_mackey_glass_order():
    """The error falls with the fourth power of the step.

    From a constant history as well, whose end is a kink.
    """

    def to_time_60(steps: int) -> np.ndarray:
        signal = MackeyGlass(kind="mackey_glass", integration_step=1 / steps)
        return signal.integrate(60 * steps)[::steps]

    best = to_time_60(80)
    coarse, fine = (np.abs(to_time_60(steps) - best).max() for steps in (5, 10))
    assert 14 < coarse / fine < 18


def test_series_is_generated_once():
    """Equal settings share a series, which nobody can change."""
    series = Sine(length=10, noise_std=0.1).read()
    assert Sine(length=10, noise_std=0.1).read() is series
    assert Sine(length=10, noise_std=0.2).read() is not series
    with pytest.raises(ValueError, match="read-only"):
        series.observed[0] = 1
