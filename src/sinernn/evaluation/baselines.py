"""Forecasts that need no network; what cannot beat them has learnt nothing.

Each is a function of the same warm-up samples that the network reads, and is registered in
`forecast_baselines`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sinernn.evaluation.metrics import rmse

ORDERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Orders p among which the validation part chooses, and the whole warm-up where that is shorter."""

FITTED_SAMPLES = 20_000  # least squares gains little from more; the latest ones count
_EXACT = 1e-9  # of the spread: orders as good as this are told apart by rounding alone
_ROUNDING = 1e-13  # of the largest sample, where there is no spread

Warmup = Float[np.ndarray, "origin W channel"]
Forecast = Float[np.ndarray, "origin steps channel"]
Segments = Sequence[Float[np.ndarray, "_ channel"]]


def persistence(warmup: Warmup, steps: int) -> Forecast:
    """Repeat the last sample: the naive method.

    Source:
        Hyndman and Athanasopoulos (2018), Forecasting: Principles and Practice, 2nd ed.,
        section 3.1; so are `seasonal_naive` and `mean`.
    """
    return np.repeat(warmup[:, -1:], steps, axis=1)


def seasonal_naive(warmup: Warmup, steps: int, *, season: float) -> Forecast | None:
    """Repeat the last season, `season` samples long; None if the warm-up holds none.

    A season that is no whole number of samples is counted back exactly, then rounded to the
    nearest sample, so that no drift builds up.
    """
    length = warmup.shape[1]
    ahead = np.arange(1, steps + 1)
    seasons = np.maximum(np.ceil((ahead - 0.5) / season), 1)
    place = length - 1 + ahead - np.rint(seasons * season).astype(int)  # at most the last sample
    if place.min() < 0:
        return None
    return warmup[:, np.minimum(place, length - 1)]


def mean(training: Segments, origins: int, steps: int) -> Forecast:
    """Forecast the training part's mean."""
    average = np.concatenate(training).mean(axis=0)
    return np.broadcast_to(average, (origins, steps, len(average))).copy()


@dataclass(frozen=True)
class Autoregression:
    """x[n] = intercept + sum_k weights[k] x[n - 1 - k]; a vector AR for several channels."""

    order: int
    intercept: Float[np.ndarray, " channel"]
    weights: Float[np.ndarray, "order channel channel"]
    """[lag, from channel, to channel]."""


def fit_autoregressions(training: Segments, orders: Sequence[int]) -> list[Autoregression]:
    """Fit AR(p) by least squares for every order p that the training part is long enough for.

    One QR factorisation of the longest lags serves every order: what is left of each is a small
    triangular problem with the same solution. It is solved to the rank that float64 can see: a
    noise-free sine has an exact AR(2), and longer lags add nothing but rounding to it.
    """
    channels = training[0].shape[1]
    fitting = [
        p
        for p in orders
        if sum(max(len(part) - p, 0) for part in training) > 2 * (p * channels + 1)
    ]
    if not fitting:
        return []
    longest = max(fitting)
    kept = max(FITTED_SAMPLES // len(training), 4 * longest)
    windows = [
        np.lib.stride_tricks.sliding_window_view(part[-kept:], longest + 1, axis=0)
        for part in training
        if len(part) > longest
    ]
    # [row, lag, channel], newest first: the sample to predict, then lags 1, 2, ...
    lagged = np.concatenate([rows.transpose(0, 2, 1)[:, ::-1] for rows in windows])
    targets, lags = lagged[:, 0], lagged[:, 1:].reshape(len(lagged), -1)
    design = np.concatenate([np.ones((len(lagged), 1)), lags, targets], axis=1)
    triangle = _triangle(design)
    fits: list[Autoregression] = []
    for order in fitting:
        columns = 1 + order * channels
        solution = np.linalg.lstsq(triangle[:, :columns], triangle[:, -channels:], rcond=1e-12)[0]
        fits.append(
            Autoregression(order, solution[0], solution[1:].reshape(order, channels, channels))
        )
    return fits


def _triangle(design: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "column column"]:
    """Return R of a tall matrix's QR factorisation: of blocks, then of their stacked Rs, and so on.

    Blocks fit the processor's cache, and are too small for threads that would wait for each other.

    Source:
        Demmel, Grigori, Hoemmen and Langou (2012), SIAM Journal on Scientific Computing 34,
        A206-A239, "tall skinny QR".
    """
    columns = design.shape[1]
    height = 4 * columns
    while len(design) > columns:
        padding = np.zeros((-len(design) % height, columns))  # rows of zeros change no R
        blocks = np.concatenate([design, padding]).reshape(-1, height, columns)
        design = np.asarray(np.linalg.qr(blocks, mode="r")).reshape(-1, columns)
    return design


def autoregress(models: Sequence[Autoregression], warmup: Warmup, steps: int) -> list[Forecast]:
    """Run models freely from the same warm-ups, all at once: every forecast is the next input."""
    longest = max(model.order for model in models)
    origins, length, channels = warmup.shape
    # Shorter models get weight 0 for the lags they lack. [model, longest x channel, channel]
    weights = np.zeros((len(models), longest, channels, channels))
    for index, model in enumerate(models):
        weights[index, longest - model.order :] = model.weights[::-1]  # oldest lag first
    weights = weights.reshape(len(models), longest * channels, channels)
    intercepts = np.stack([model.intercept for model in models])[:, None]
    past = np.zeros((len(models), origins, longest + steps, channels))
    known = min(length, longest)
    past[:, :, longest - known : longest] = warmup[:, -known:]
    flat = past.reshape(len(models), origins, -1)
    with np.errstate(over="ignore", invalid="ignore"):  # an unstable model may run away
        for begin in range(0, steps * channels, channels):
            end = begin + longest * channels
            flat[:, :, end : end + channels] = flat[:, :, begin:end] @ weights + intercepts
    return [forecast[:, longest:] for forecast in past]


def choose_order(
    models: Sequence[Autoregression], warmup: Warmup, truth: Forecast
) -> Autoregression:
    """Return the model of lowest closed-loop RMSE; of equally exact ones the shortest."""
    forecasts = autoregress(models, warmup, truth.shape[1])
    scores = [rmse(forecast - truth) for forecast in forecasts]
    enough = max(min(scores), _EXACT * float(truth.std()), _ROUNDING * float(np.abs(truth).max()))
    return next(model for model, score in zip(models, scores, strict=True) if score <= enough)


def forecast_baselines(
    *,
    training: Segments,
    choosing: Float[np.ndarray, "choice all channel"] | None,
    warmup: Warmup,
    steps: int,
    season: float | None,
) -> dict[str, Forecast]:
    """Return every baseline's forecasts, by its name; those that the data are too short for lack.

    Args:
        training: Observed samples to fit to.
        choosing: Stretches of W + some steps observed samples, to choose the AR's order on; None
            if there are none, and no AR then.
        warmup: The W observed samples before each origin.
        steps: Samples to forecast.
        season: Samples in a period; None if the series has none.
    """
    length = warmup.shape[1]
    forecasts: dict[str, Forecast | None] = {
        "persistence": persistence(warmup, steps),
        "seasonal naive": seasonal_naive(warmup, steps, season=season) if season else None,
        "mean": mean(training, len(warmup), steps),
    }
    orders = sorted({*(order for order in ORDERS if order < length), min(length, ORDERS[-1])})
    models = fit_autoregressions(training, orders)
    if models and choosing is not None:
        chosen = choose_order(models, choosing[:, :length], choosing[:, length:])
        forecasts[f"AR({chosen.order})"] = autoregress([chosen], warmup, steps)[0]
    return {name: forecast for name, forecast in forecasts.items() if forecast is not None}
