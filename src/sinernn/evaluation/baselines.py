"""Baselines: forecasts without a network, which a trained network should beat.

A baseline is a function of a `History`, registered in `BASELINES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sinernn.arrays import Float
from sinernn.evaluation.metrics import error_unit, rmse

ORDERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Orders p to choose from; a shorter warm-up is itself the largest order."""

FITTED_SAMPLES = 20_000  # more improve least squares little; the latest are used
LAGGED_VALUES = 512  # read by a prediction, at most: the time of a fit grows with their square
_EXACT = 1e-9  # of the standard deviation: below it, orders differ only by rounding
_ROUNDING = 1e-13  # of the largest sample, for a constant

Warmup = Float[np.ndarray, "origin W channel"]
Forecast = Float[np.ndarray, "origin steps output"]
Segments = Sequence[Float[np.ndarray, "_ channel"]]


@dataclass(frozen=True)
class History:
    """Samples that a baseline forecasts from."""

    training: Segments
    """Observed samples to fit to."""

    choosing: Float[np.ndarray, "choice all channel"] | None
    """W + some steps observed samples of several origins, to choose an order on."""

    warmup: Warmup
    """The W observed samples before each origin."""

    steps: int
    """Samples to forecast."""

    season: float | None
    """Samples in a period; None if the series has none."""

    inputs: Float[np.ndarray, "origin steps input"] | None = None
    """Inputs after the warm-up, the last channels of all other samples; None if there are none."""

    @property
    def outputs(self) -> int:
        """Number of channels to forecast, the first ones."""
        return self.warmup.shape[2] - self.input_count

    @property
    def input_count(self) -> int:
        """Number of inputs."""
        return 0 if self.inputs is None else self.inputs.shape[2]


Baseline = Callable[[History], dict[str, Forecast]]
"""Forecasts by name; none if the history is too short.

A chosen parameter follows the name in brackets, as in `AR(12)`.
"""


def persistence(history: History) -> dict[str, Forecast]:
    """Repeat the last sample: the naive method.

    Source:
        Hyndman and Athanasopoulos (2018), Forecasting: Principles and Practice, 2nd ed.,
        section 3.1; so are `seasonal_naive` and `mean`.
    """
    last = history.warmup[:, -1:, : history.outputs]
    return {"persistence": np.repeat(last, history.steps, axis=1)}


def seasonal_naive(history: History) -> dict[str, Forecast]:
    """Repeat the last season.

    A fractional season is counted back exactly, then rounded to the nearest sample, so that no
    drift builds up.
    """
    if not history.season:
        return {}
    length = history.warmup.shape[1]
    ahead = np.arange(1, history.steps + 1)
    seasons = np.maximum(np.ceil((ahead - 0.5) / history.season), 1)
    index = length - 1 + ahead - np.rint(seasons * history.season).astype(int)
    if index.min() < 0:
        return {}  # the warm-up is shorter than a season
    return {"seasonal naive": history.warmup[:, np.minimum(index, length - 1), : history.outputs]}


def mean(history: History) -> dict[str, Forecast]:
    """Forecast the training part's mean."""
    average = np.concatenate(history.training).mean(axis=0)[: history.outputs]
    shape = (len(history.warmup), history.steps, len(average))
    return {"mean": np.broadcast_to(average, shape).copy()}


def linear_autoregression(history: History) -> dict[str, Forecast]:
    """Run AR(p) of the order that is best in closed loop on `History.choosing`.

    It is a VAR for several outputs, and an ARX with inputs.
    """
    length = history.warmup.shape[1]
    orders = sorted({*(order for order in ORDERS if order < length), min(length, ORDERS[-1])})
    models = fit_autoregressions(history.training, orders, inputs=history.input_count)
    if not models or history.choosing is None:
        return {}
    chosen = choose_order(models, history.choosing[:, :length], history.choosing[:, length:])
    name = "ARX" if history.input_count else "AR"
    name = name if history.outputs == 1 else f"V{name}"
    found = autoregress([chosen], history.warmup, history.steps, history.inputs)[0]
    return {f"{name}({chosen.order})": found}


@dataclass(frozen=True)
class Autoregression:
    """y[n] = intercept + sum_k weights[k] x[n - 1 - k], of samples x whose first values are y."""

    order: int
    intercept: Float[np.ndarray, " output"]
    weights: Float[np.ndarray, "order channel output"]
    """[lag, from channel, to output]."""


def fit_autoregressions(
    training: Segments, orders: Sequence[int], *, inputs: int = 0
) -> list[Autoregression]:
    """Fit AR(p) by least squares for every order p that the training part is long enough for.

    It reads all channels, and predicts all but the inputs, which are the last ones; many channels
    have lower orders.

    One QR factorisation of the longest lags leaves a small triangular problem for each order,
    which is solved to the rank that float64 resolves: a noise-free sine has an exact AR(2), to
    which longer lags add only rounding errors.
    """
    channels = training[0].shape[1]
    outputs = channels - inputs
    fitting = [
        p
        for p in orders
        if p * channels <= LAGGED_VALUES
        and sum(max(len(part) - p, 0) for part in training) > 2 * (p * channels + 1)
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
    targets, lags = lagged[:, 0, :outputs], lagged[:, 1:].reshape(len(lagged), -1)
    design = np.concatenate([np.ones((len(lagged), 1)), lags, targets], axis=1)
    triangle = _triangle(design)
    fits: list[Autoregression] = []
    for order in fitting:
        columns = 1 + order * channels
        solution = np.linalg.lstsq(triangle[:, :columns], triangle[:, -outputs:], rcond=1e-12)[0]
        weights = solution[1:].reshape(order, channels, outputs)
        fits.append(Autoregression(order, solution[0], weights))
    return fits


def _triangle(design: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "column column"]:
    """Return R of a tall matrix's QR factorisation, by factorising blocks and then stacked Rs.

    Blocks fit into the processor's cache and are too small to profit from several threads.

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


def autoregress(
    models: Sequence[Autoregression],
    warmup: Warmup,
    steps: int,
    inputs: Float[np.ndarray, "origin steps input"] | None = None,
) -> list[Forecast]:
    """Run several models in closed loop from the same warm-ups, with the same inputs."""
    longest = max(model.order for model in models)
    (origins, length, channels), outputs = warmup.shape, len(models[0].intercept)
    # Shorter models get weight 0 for the lags they lack. [model, longest x channel, output]
    weights = np.zeros((len(models), longest, channels, outputs))
    for index, model in enumerate(models):
        weights[index, longest - model.order :] = model.weights[::-1]  # oldest lag first
    weights = weights.reshape(len(models), longest * channels, outputs)
    intercepts = np.stack([model.intercept for model in models])[:, None]
    past = np.zeros((len(models), origins, longest + steps, channels))
    known = min(length, longest)
    past[:, :, longest - known : longest] = warmup[:, -known:]
    if inputs is not None:
        past[:, :, longest:, outputs:] = inputs
    flat = past.reshape(len(models), origins, -1)
    with np.errstate(over="ignore", invalid="ignore"):  # an unstable model may diverge
        for begin in range(0, steps * channels, channels):
            end = begin + longest * channels
            flat[:, :, end : end + outputs] = flat[:, :, begin:end] @ weights + intercepts
    return [forecast[:, longest:, :outputs] for forecast in past]


def choose_order(
    models: Sequence[Autoregression],
    warmup: Warmup,
    after: Float[np.ndarray, "origin after channel"],
) -> Autoregression:
    """Return the model of lowest closed-loop RMSE; of exact ones, the one of lowest order.

    Args:
        models: To choose from.
        warmup: Samples before some origins.
        after: Samples after them, which show the truth and hold the inputs.
    """
    truth, inputs = np.split(after, [len(models[0].intercept)], axis=2)
    unit = error_unit(truth.std(axis=(0, 1)))
    forecasts = autoregress(models, warmup, truth.shape[1], inputs)
    truth = truth / unit
    scores = [rmse(forecast / unit - truth) for forecast in forecasts]
    enough = max(min(scores), _EXACT * float(truth.std()), _ROUNDING * float(np.abs(truth).max()))
    return next(model for model, score in zip(models, scores, strict=True) if score <= enough)


BASELINES: tuple[Baseline, ...] = (persistence, seasonal_naive, mean, linear_autoregression)
"""Every baseline, in the order of the table."""


def forecast_baselines(history: History) -> dict[str, Forecast]:
    """Return the forecasts of every baseline by name."""
    return {
        name: forecast for baseline in BASELINES for name, forecast in baseline(history).items()
    }
