"""Run a network freely over a part of a series: to evaluate it, or to choose a checkpoint."""

from collections.abc import Callable

import numpy as np

from sinernn.arrays import Float, Int
from sinernn.config import Config
from sinernn.data.series import Series
from sinernn.data.windows import Origins, Scale, count_origins, spread_origins
from sinernn.engines import Engine
from sinernn.evaluation.climate import compare_climates
from sinernn.evaluation.forecasts import Forecasts
from sinernn.evaluation.metrics import error_unit, rmse
from sinernn.model.network import Hidden, Network, Theta, TrainState
from sinernn.preparation import training_std

Rows = Int[np.ndarray, "origin all"]
"""Rows of a series that each forecast covers: those of its warm-up, then those of its steps."""


def place_origins(
    config: Config, series: Series, part: str, *, count: int | None = None
) -> tuple[Origins, Rows]:
    """Spread forecasts over a part: as many and as long as the config sets, or as fit.

    Args:
        config: Sets warm-up, horizon and number of forecasts.
        series: The series.
        part: `train`, `validation` or `test`.
        count: Number of forecasts instead of the config's.

    Returns:
        Where they begin, and what they cover.
    """
    settings, stretches = config.evaluation, config.split.parts(series.extent.lengths).named(part)
    warmup = settings.warmup
    horizon = min(settings.horizon, max(map(len, stretches)) - warmup)
    fitting = sum(count_origins(stretches, warmup=warmup, horizon=horizon))
    count = min(count or settings.origins, fitting)
    origins = spread_origins(stretches, warmup=warmup, horizon=horizon, count=count)
    first = series.rows(origins.segments, origins.samples)
    return origins, first[:, None] + np.arange(-warmup, horizon)


def forecast(config: Config, series: Series, scale: Scale, engine: Engine, rows: Rows) -> Forecasts:
    """Run the network freely over rows of a series, after the config's warm-up, in signal units."""
    settings, outputs, observed = config.evaluation, series.extent.outputs, series.observed[rows]
    warmup, inputs = _scaled(series, scale, rows, settings.warmup)
    hidden = hidden_before(settings.initial_state, engine.state, len(rows))
    scaled = engine.closed_loop(warmup, rows.shape[1] - settings.warmup, hidden, inputs)
    return Forecasts(
        time=series.time[rows],
        observed=observed[:, :, : len(outputs)],
        truth=series.clean[rows][:, :, : len(outputs)],
        prediction=scale.first(len(outputs)).invert(scaled.astype(np.float64)),
        inputs=observed[:, :, len(outputs) :] if series.extent.inputs else None,
        unit=error_unit(training_std(config, series)),
    )


def _scaled(
    series: Series, scale: Scale, rows: Rows, warmup: int
) -> tuple[Float[np.ndarray, "origin W D"], Float[np.ndarray, "origin after I"] | None]:
    """Return the warm-ups in scaled units, and the inputs after them; None if there are none."""
    before, after = np.split(scale.apply(series.observed[rows]), [warmup], axis=1)
    return before, after[:, :, len(series.extent.outputs) :] if series.extent.inputs else None


def hidden_before(initial_state: str, state: TrainState, rows: int) -> Hidden:
    """Return the hidden state that forecasts start from, before their warm-up."""
    carried = np.repeat(state.hidden[:, :, :1], rows, axis=2)
    return carried if initial_state == "carried" else np.zeros_like(carried)


def validation_rmse(config: Config, series: Series, scale: Scale, engine: Engine) -> float:
    """Return the closed-loop RMSE on observed samples of the validation part."""
    _, rows = place_origins(config, series, "validation")
    forecasts = forecast(config, series, scale, engine, rows)
    errors = forecasts.prediction - forecasts.observed[:, forecasts.warmup :]
    return rmse(errors / forecasts.unit)


def validation_measure(
    config: Config, series: Series, scale: Scale, network: Network, *, origins: int | None
) -> Callable[[Theta], float]:
    """Return a function that computes the closed-loop RMSE of `validation_rmse` from parameters."""
    from sinernn.refine.problem import free_run

    warmup = config.evaluation.warmup
    _, rows = place_origins(config, series, "validation", count=origins)
    before, inputs = _scaled(series, scale, rows, warmup)
    after = series.observed[rows][:, warmup:, : network.outputs]
    scale, unit = scale.first(network.outputs), error_unit(training_std(config, series))

    def measure(theta: Theta) -> float:
        forecasts = free_run(theta, network, before, steps=after.shape[1], inputs=inputs)
        return rmse((scale.invert(forecasts) - after) / unit)

    return measure


def climate_check(
    config: Config,
    series: Series,
    scale: Scale,
    network: Network,
    *,
    origins: int | None,
    steps: int | None,
) -> Callable[[Theta], bool]:
    """Return whether free runs of so many steps keep the climate of the validation part.

    As a function of the parameters; without `steps` any of them do.
    """
    if steps is None:
        return lambda _: True
    from sinernn.refine.problem import free_run

    _, rows = place_origins(config, series, "validation", count=origins)
    warmup = scale.apply(series.observed[rows][:, : config.evaluation.warmup])
    truth = series.cut(series.observed, config.split.parts(series.extent.lengths).validation)
    unit = error_unit(training_std(config, series))
    truth = [part / unit for part in truth]

    def keeps_climate(theta: Theta) -> bool:
        runs = scale.invert(free_run(theta, network, warmup, steps=steps)) / unit
        return all(climate.is_similar for climate in compare_climates(runs, truth))

    return keeps_climate
