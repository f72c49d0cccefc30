"""Run a network freely over a part of a series: to evaluate it, or to choose a checkpoint."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np

from sinernn import compilation, engines
from sinernn.arrays import Float, Int
from sinernn.config import Config
from sinernn.data.series import Series
from sinernn.data.windows import Origins, Scale, count_origins, spread_origins
from sinernn.engines import Engine, KernelCall
from sinernn.evaluation.climate import compare_climates
from sinernn.evaluation.forecasts import Forecasts
from sinernn.evaluation.metrics import rmse
from sinernn.model.network import Hidden, Network, Theta, TrainState
from sinernn.preparation import training_unit
from sinernn.runs.checkpoints import Checkpoint
from sinernn.runs.snapshots import Snapshot

Rows = Int[np.ndarray, "origin all"]
"""Rows of a series that each forecast covers: those of its warm-up, then those of its steps."""


def place_origins(
    config: Config,
    series: Series,
    part: str,
    *,
    count: int | None = None,
    horizon: int | None = None,
) -> tuple[Origins, Rows]:
    """Spread forecasts over a part: as many and as long as the config sets, or as fit.

    Args:
        config: Sets warm-up, horizon and number of forecasts.
        series: The series.
        part: `train`, `validation` or `test`.
        count: Number of forecasts instead of the config's.
        horizon: Steps of a forecast instead of the config's.

    Returns:
        Where they begin, and what they cover.
    """
    settings, stretches = config.evaluation, config.split.parts(series.extent.lengths).named(part)
    warmup = settings.warmup
    horizon = min(horizon or settings.horizon, max(map(len, stretches)) - warmup)
    fitting = sum(count_origins(stretches, warmup=warmup, horizon=horizon))
    count = min(count or settings.origins, fitting)
    origins = spread_origins(stretches, warmup=warmup, horizon=horizon, count=count)
    first = series.rows(origins.segments, origins.samples)
    return origins, first[:, None] + np.arange(-warmup, horizon)


def forecast(config: Config, series: Series, scale: Scale, engine: Engine, rows: Rows) -> Forecasts:
    """Run the network freely over rows of a series, after the config's warm-up, in signal units."""
    settings, outputs, observed = config.evaluation, series.extent.outputs, series.observed[rows]
    before, after = np.split(observed, [settings.warmup], axis=1)
    hidden = hidden_before(settings.initial_state, engine.state, len(rows))
    return Forecasts(
        time=series.time[rows],
        observed=observed[:, :, : len(outputs)],
        truth=series.clean[rows][:, :, : len(outputs)],
        prediction=run_freely(
            engine, scale, before, after[:, :, len(outputs) :], after.shape[1], hidden
        ),
        inputs=observed[:, :, len(outputs) :] if series.extent.inputs else None,
        unit=training_unit(config, series),
    )


def run_freely(
    engine: Engine,
    scale: Scale,
    before: Float[np.ndarray, "origin W channel"],
    inputs: Float[np.ndarray, "origin after input"],
    steps: int,
    hidden: Hidden,
) -> Float[np.ndarray, "origin steps output"]:
    """Run a network freely after some samples, in signal units.

    Args:
        engine: Runs the network.
        scale: Of all channels.
        before: True samples, outputs and inputs.
        inputs: Those after them, of `steps` - 1 samples or more; without any for a network that
            reads none.
        steps: Samples to generate.
        hidden: Hidden state before the true samples.
    """
    outputs = before.shape[2] - inputs.shape[2]
    scaled = engine.closed_loop(scale.apply(before), steps, hidden, _scaled_inputs(scale, inputs))
    return scale.first(outputs).invert(scaled.astype(np.float64))


def _scaled_inputs(
    scale: Scale, inputs: Float[np.ndarray, "origin after I"]
) -> Float[np.ndarray, "origin after I"] | None:
    """Return inputs in scaled units; None if there are none."""
    count = inputs.shape[2]
    return scale.last(count).apply(inputs) if count else None


def repeat_forecast(
    trained: Checkpoint, snapshots: Sequence[Snapshot], forecasts: Forecasts, initial_state: str
) -> dict[str, Float[np.ndarray, "steps output"]]:
    """Repeat an evaluation's typical forecast with the weights of each snapshot.

    Args:
        trained: The network that was evaluated.
        snapshots: Of its training.
        forecasts: Of its evaluation.
        initial_state: `zero` or `carried`: its hidden state before the warm-up.

    Returns:
        Free runs in signal units by the snapshots' labels, from the engine that is faster here.
    """
    origin, outputs = forecasts.typical, forecasts.observed.shape[2]
    samples = forecasts.observed[origin, None]
    if forecasts.inputs is not None:
        samples = np.concatenate([samples, forecasts.inputs[origin, None]], axis=2)
    before, after = np.split(samples, [forecasts.warmup], axis=1)
    hidden = hidden_before(initial_state, trained.state, 1)
    inputs, steps, runs = after[:, :, outputs:], forecasts.steps, dict[str, np.ndarray]()
    for each in snapshots:
        then = replace(trained, state=replace(trained.state, params=each.params))
        engine = ready_engine(Config(), then)
        runs[each.label] = run_freely(engine, trained.scale, before, inputs, steps, hidden)[0]
    return runs


def ready_engine(
    config: Config,
    checkpoint: Checkpoint,
    on_compile: Callable[[], AbstractContextManager[object]] = nullcontext,
    others: Sequence[KernelCall] = (),
) -> Engine:
    """Build the config's engine for a trained network, with compiled kernels.

    Args:
        config: Sets engine and device.
        checkpoint: Contains the network.
        on_compile: Returns a context in which kernels are compiled, if they are not compiled yet.
        others: Calls of kernels that are needed besides the engine's.

    Raises:
        DeviceError: The device is not present.
    """
    choice = engines.choose(config.engine, config.device, checkpoint.network)
    engine = engines.build(choice, checkpoint.network, checkpoint.state)
    if missing := compilation.missing([*engine.kernel_calls(), *others]):
        with on_compile():
            compilation.compile_kernels(checkpoint.network, missing)
    return engine


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
    config: Config,
    series: Series,
    scale: Scale,
    network: Network,
    *,
    origins: int | None,
    horizon: int | None = None,
) -> Callable[[Theta], float]:
    """Return a function that computes the closed-loop RMSE of `validation_rmse` from parameters.

    With another number of origins, or horizon, if they are given.
    """
    from sinernn.refine.problem import free_run

    warmup = config.evaluation.warmup
    _, rows = place_origins(config, series, "validation", count=origins, horizon=horizon)
    before, after = np.split(series.observed[rows], [warmup], axis=1)
    after, inputs = np.split(after, [network.outputs], axis=2)
    before, inputs = scale.apply(before), _scaled_inputs(scale, inputs)
    scale, unit = scale.first(network.outputs), training_unit(config, series)

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
    unit = training_unit(config, series)
    truth = [part / unit for part in truth]

    def keeps_climate(theta: Theta) -> bool:
        runs = scale.invert(free_run(theta, network, warmup, steps=steps)) / unit
        return all(climate.is_similar for climate in compare_climates(runs, truth))

    return keeps_climate
