import numpy as np
import pytest

from driven import recording
from sinernn.evaluation.baselines import (
    ORDERS,
    Autoregression,
    History,
    autoregress,
    choose_order,
    fit_autoregressions,
    forecast_baselines,
    mean,
    persistence,
    seasonal_naive,
)

SINE = np.sin(10 / 49 * np.arange(6000))[None, :, None]


def ar2_process(samples: int, seed: int = 0) -> np.ndarray:
    """x[n] = 0.3 + 1.5 x[n-1] - 0.8 x[n-2] + noise: an AR(2) with known coefficients."""
    noise = np.random.default_rng(seed).normal(size=samples)
    series = np.zeros(samples)
    for n in range(2, samples):
        series[n] = 0.3 + 1.5 * series[n - 1] - 0.8 * series[n - 2] + noise[n]
    return series[None, :, None]


def history(warmup: np.ndarray, steps: int, season: float | None = None) -> History:
    """A history without a training part."""
    return History([], None, warmup, steps, season)


def test_persistence_repeats_the_last_sample():
    found = persistence(history(np.arange(6.0).reshape(2, 3, 1), 2))
    np.testing.assert_array_equal(found["persistence"][:, :, 0], [[2, 2], [5, 5]])


def test_mean_is_the_training_parts():
    training = np.array([[[1.0, 10], [3, 30]], [[5, 50], [7, 70]]])
    found = mean(History(list(training), None, training[:1], 2, None))
    np.testing.assert_array_equal(found["mean"], [[[4, 40], [4, 40]]])


def test_baselines_with_inputs():
    """A VARX of order 1 is exact for a linear system; all baselines forecast the outputs alone."""
    samples = recording(600, seed=0)
    pieces = np.stack([samples[at : at + 60] for at in (100, 250, 400)])
    found = forecast_baselines(
        History([samples], pieces, pieces[:, :20], 40, season=10.0, inputs=pieces[:, 20:, 2:])
    )
    assert list(found) == ["persistence", "seasonal naive", "mean", "VARX(1)"]
    assert {forecast.shape for forecast in found.values()} == {(3, 40, 2)}
    error = (found["VARX(1)"] - pieces[:, 20:, :2]) / samples[:, :2].std(axis=0)
    np.testing.assert_allclose(error, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("outputs", "inputs", "name"), [(2, 0, "VAR"), (1, 2, "ARX"), (3, 0, "VAR")]
)
def test_names_of_autoregressions(outputs: int, inputs: int, name: str):
    samples = np.random.default_rng(0).normal(size=(1, 300, outputs + inputs))
    given = samples[:, 20:30, outputs:] if inputs else None
    found = forecast_baselines(
        History([samples[0]], samples[:, :40], samples[:, :20], 10, None, given)
    )
    assert list(found)[-1].partition("(")[0] == name
    assert found[list(found)[-1]].shape == (1, 10, outputs)


def test_order_of_many_channels():
    """It is bounded, since time and memory of a fit grow with order and channels."""
    samples = np.random.default_rng(0).normal(size=(4000, 100))
    fits = fit_autoregressions([samples], ORDERS, inputs=99)
    assert [fit.order for fit in fits] == [1, 2, 3, 4]
    assert fits[-1].weights.shape == (4, 100, 1)


def test_order_for_channels_of_different_size():
    """A large channel does not drown a small one: the order is that which suits both."""
    exact = 1e-3 * np.sin(0.3 * np.arange(3000))[:, None]  # an AR(2), and no AR(1)
    walk = 1e3 * np.cumsum(np.random.default_rng(2).normal(size=3000))[:, None]  # an AR(1)
    samples = np.concatenate([exact, walk], axis=1)
    fits = fit_autoregressions([samples[:2500]], [1, 2])
    pieces = np.stack([samples[at : at + 60] for at in range(2500, 2900, 50)])
    assert choose_order(fits, pieces[:, :20], pieces[:, 20:]).order == 2


def test_seasonal_naive_repeats_the_last_season():
    found = seasonal_naive(history(np.arange(7.0).reshape(1, 7, 1), 8, season=3.0))
    np.testing.assert_array_equal(found["seasonal naive"].ravel(), [4, 5, 6, 4, 5, 6, 4, 5])


@pytest.mark.parametrize("season", [2.0, 4.0, 7.5, 30.8, 49.9])
def test_seasonal_naive_does_not_drift(season: float):
    """Its error stays that of half a sample, however many seasons ahead."""
    wave = np.sin(2 * np.pi / season * np.arange(3050))[None, :, None]
    forecast = seasonal_naive(history(wave[:, :50], 3000, season=season))["seasonal naive"]
    slope = 2 * np.pi / season  # of the wave, a sample
    assert np.abs(forecast - wave[:, 50:]).max() <= 0.5 * slope + 1e-9


def test_no_seasonal_naive():
    """A warm-up without a season has no seasonal-naive baseline."""
    assert seasonal_naive(history(np.zeros((1, 20, 1)), 40, season=30.8)) == {}


def test_coefficients_of_an_ar_process():
    """Least squares finds them."""
    (fit,) = fit_autoregressions(list(ar2_process(20_000)), [2])
    # Their standard error is about sqrt(1 - 0.8^2) / sqrt(n) = 0.004; four of them.
    assert fit.weights.ravel() == pytest.approx([1.5, -0.8], abs=0.017)
    assert fit.intercept == pytest.approx([0.3], abs=0.03)


def test_orders_of_one_factorisation():
    """Each order is its own least-squares solution."""
    series = ar2_process(3000)
    for fit in fit_autoregressions(list(series), [1, 3, 8]):
        x, longest = series[0, :, 0], 8
        lags = [x[longest - k : -k] for k in range(1, fit.order + 1)]
        design = np.stack([np.ones(len(x) - longest), *lags], axis=1)
        expected = np.linalg.lstsq(design, x[longest:], rcond=None)[0]
        actual = [fit.intercept[0], *fit.weights.ravel()]
        np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


def test_segments_are_not_joined():
    """Two pieces of one sine with a jump between them: no jump is ever fitted."""
    pieces = [SINE[0, :500], SINE[0, 777:1000], SINE[0, :2]]
    (fit,) = fit_autoregressions(pieces, [2])
    assert fit.weights.ravel() == pytest.approx([2 * np.cos(10 / 49), -1], abs=1e-10)


def test_ar_is_exact_on_a_sine():
    """From AR(2) on.

    x[t+1] = 2 cos(w dt) x[t] - x[t-1]; longer lags are linear combinations of two.
    """
    orders = [order for order in ORDERS if order <= 50]
    fits = fit_autoregressions([SINE[0, :3000]], orders)
    assert [fit.order for fit in fits] == orders
    assert fits[1].weights.ravel() == pytest.approx([2 * np.cos(10 / 49), -1], abs=1e-11)
    forecasts = autoregress(fits, SINE[:, 3000:3050], 2000)
    for forecast in forecasts[1:]:
        # Rounding of 1e-16 a step, which 2000 steps of a marginally stable map may add up.
        np.testing.assert_allclose(forecast, SINE[:, 3050:5050], atol=1e-10)


def test_order_as_long_as_the_warmup():
    """The order may be as long as the warm-up that the network reads.

    An echo after 37 samples, which no order of the ladder below 40 can see.
    """
    noise = np.random.default_rng(0).normal(size=3000)
    echo = noise.copy()
    for n in range(37, 3000):
        echo[n] = 0.95 * echo[n - 37] + 0.1 * noise[n]
    series = echo[None, :, None]
    stretches = np.stack([series[0, begin : begin + 60] for begin in range(2000, 2900, 60)])
    found = forecast_baselines(History([series[0, :2000]], stretches, stretches[:, :40], 20, None))
    assert "AR(40)" in found


def test_autoregress_several_models():
    """Each model runs as if it were alone."""
    fits = fit_autoregressions(list(ar2_process(500)), [1, 4])
    warmup = ar2_process(30, seed=1)
    together = autoregress(fits, warmup, 10)
    for fit, forecast in zip(fits, together, strict=True):
        past = list(warmup[0, :, 0])
        for _ in range(10):
            recent = past[: -fit.order - 1 : -1]
            past.append(float(fit.intercept[0] + np.dot(fit.weights.ravel(), recent)))
        np.testing.assert_allclose(forecast[0, :, 0], past[30:], rtol=1e-12)


def test_vector_ar():
    """A vector AR takes every channel into account.

    Sine and cosine turn into each other: a rotation, which is an AR(1) of two channels.
    """
    angle = 0.3 * np.arange(600)
    wave = np.stack([np.sin(angle), np.cos(angle)], axis=1)[None]
    (fit,) = fit_autoregressions([wave[0, :300]], [1])
    (forecast,) = autoregress([fit], wave[:, 300:302], 200)
    np.testing.assert_allclose(forecast, wave[:, 302:502], atol=1e-11)


def test_choice_of_the_order():
    """The order is chosen in closed loop, and ties go to the shortest."""
    fits = fit_autoregressions([SINE[0, :3000]], ORDERS)
    chosen = choose_order(fits, SINE[:, 3000:3050], SINE[:, 3050:4050])
    assert chosen.order == 2


def test_an_unstable_model_is_not_chosen():
    stable = Autoregression(1, np.zeros(1), np.full((1, 1, 1), 0.9))
    unstable = Autoregression(2, np.zeros(1), np.array([[[5.0]], [[0.0]]]))
    warmup = np.ones((1, 5, 1))
    assert choose_order([unstable, stable], warmup, np.zeros((1, 3000, 1))) is stable
    assert not np.isfinite(autoregress([unstable], warmup, 3000)[0]).all()


def all_of(training: np.ndarray, *, warmup: int, season: float | None = 30.8) -> dict:
    choosing = training[:, : warmup + 10]
    return forecast_baselines(History(list(training), choosing, training[:, -warmup:], 100, season))


def test_every_baseline_has_a_name():
    assert list(all_of(SINE, warmup=50)) == ["persistence", "seasonal naive", "mean", "AR(2)"]


def test_baselines_of_a_short_warmup():
    """It has those that it is long enough for."""
    assert list(all_of(SINE, warmup=1)) == ["persistence", "mean", "AR(1)"]
    assert list(all_of(SINE, warmup=50, season=None)) == ["persistence", "mean", "AR(2)"]


def test_a_short_series_has_no_ar():
    names = list(all_of(SINE[:, :4], warmup=1))
    assert names == ["persistence", "mean"]


def test_no_samples_to_choose_on():
    """Without samples to choose the order on there is no AR."""
    found = forecast_baselines(History(list(SINE), None, SINE[:, :50], 10, None))
    assert list(found) == ["persistence", "mean"]


@pytest.mark.parametrize("value", [0.0, 7.0, -1e9])
def test_every_baseline_is_exact_on_a_constant(value: float):
    constant = np.full((1, 3000, 1), value)
    found = all_of(constant, warmup=50)
    assert list(found)[-1] == "AR(1)"
    for forecast in found.values():
        np.testing.assert_allclose(forecast, value, rtol=1e-9)
