"""The live view of a run in a page: its data, and the files of its script and style.

The script runs the network in the browser: `network.js` is the arithmetic, `simulation.js` a run of
the network over a series, `charts.js` and `live.js` draw it. `Sinernn.mountLive(element, data)`
shows the live view of one run in an element of the page, and returns `{destroy()}`; `data` is what
`live_data` returns, as JSON.
"""

from base64 import b64encode
from dataclasses import asdict
from typing import Any

import numpy as np

from sinernn.arrays import Float, Int
from sinernn.config import Config, load_config
from sinernn.data.series import Series, locate
from sinernn.engines.fused.linearization import StateMap
from sinernn.errors import UsageError
from sinernn.evaluation.dynamics import ORBIT_STEPS, principal_components
from sinernn.evaluation.metrics import evenly_spaced, rmse
from sinernn.exporters.formulas import slot_sums
from sinernn.forecasting import hidden_before, place_origins
from sinernn.model.cells import CELLS
from sinernn.model.network import Network, Params
from sinernn.preparation import require_data, training_std, training_unit
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint
from sinernn.runs.snapshots import Snapshot, read_snapshots

SCRIPTS = (
    "network.js",
    "simulation.js",
    "address.js",
    "uPlot.LICENSE.js",
    "uPlot.iife.min.js",
    "charts.js",
    "pictures.js",
    "widgets.js",
    "gestures.js",
    "controls.js",
    "live.js",
)
"""Files of the script, beside this one, in the order in which a page joins them."""

STYLES = ("uPlot.min.css", "live.css")
"""The same of the style."""

MAX_SAMPLES = 12_000  # numbers of the series in a page: 100 kB
MAX_SNAPSHOT_BYTES = 200_000  # weights in a page, of which more than one set is kept
MAX_NETWORK_BYTES = 2_000_000  # a larger network is slow in a page, and heavy
CONTEXT = 4  # times the warm-up are samples before an origin, for a longer warm-up


def live_data(run: Run) -> dict[str, Any]:
    """Return what the live view of a run needs: values of JSON, arrays as base64.

    Of the series it contains what the evaluated forecasts read and what they are compared with,
    and some samples before; of a long one, fewer or shorter forecasts.

    Args:
        run: The run; its data file must be there.

    Raises:
        SinernnError: The run or its data cannot be read, or the network is too large for a page.
    """
    config, facts = load_config(run.config_path), run.read_facts()
    require_data(run, config, "report")
    checkpoint = run.best_checkpoint()[1]
    network, state, scale = checkpoint.network, checkpoint.state, checkpoint.scale
    series = config.signal.read()
    start = hidden_before(config.evaluation.initial_state, state, 1)
    rows = _forecast_rows(config, series)
    extent, unit = series.extent, training_unit(config, series)
    return {
        "id": run.path.resolve().name,
        "name": facts.name or run.path.name,
        "network": {
            **asdict(network),
            "states": CELLS[network.cell].states,
            "slots": slot_sums(CELLS[network.cell]),
        },
        "weights": _weights(run, checkpoint),
        "start": _encode(start) if start.any() else None,
        "scale": {"mean": scale.mean.tolist(), "std": scale.std.tolist()},
        "channels": [asdict(channel) for channel in (*extent.outputs, *extent.inputs)],
        "time_step": extent.time_step,
        "time_unit": extent.time_unit,
        "warmup": config.evaluation.warmup,
        "horizon": rows.shape[1] - config.evaluation.warmup,
        **_samples(series, rows, config.evaluation.warmup),
        "unit": unit.tolist(),
        "valid_limit": config.evaluation.valid_threshold
        * rmse(training_std(config, series) / unit),
        "orbit": _orbit(
            StateMap(network, state.params),
            start.astype(np.float64),
            scale.apply(series.observed[rows[0]]),
            config.evaluation.warmup,
        ),
    }


def _encode(values: Float[np.ndarray, "..."]) -> str:
    """Return an array as base64 of little-endian floats of its type."""
    return b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def _weights(run: Run, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the weights of snapshots, as many as fit; those of the best network last.

    Raises:
        SinernnError: The network is too large, or the file of snapshots is damaged.
    """
    network, state = checkpoint.network, checkpoint.state
    size = network.parameter_count * np.dtype(network.dtype).itemsize
    if size > MAX_NETWORK_BYTES:
        raise UsageError(
            f"the network has {network.parameter_count} parameters, {size} bytes, and in a page at "
            f"most {MAX_NETWORK_BYTES} can run; the report contains no live view of it"
        )
    taken = read_snapshots(run) or [Snapshot(state.params, state.updates, is_best=True)]
    most = max(MAX_SNAPSHOT_BYTES // size, 1)
    from_last: list[int] = evenly_spaced(len(taken), most).tolist()
    kept = [taken[-1 - place] for place in reversed(from_last)]
    return {
        "labels": [each.label for each in kept],
        "values": [_encode(_flat(network, each.params)) for each in kept],
    }


def _flat(network: Network, params: Params) -> Float[np.ndarray, " P"]:
    return np.concatenate([params[name].ravel() for name in network.shapes])


def _forecast_rows(config: Config, series: Series) -> Int[np.ndarray, "origin all"]:
    """Return the rows of the forecasts in a page: as many of those evaluated as fit.

    Raises:
        UsageError: Not even a short one fits.
    """
    warmup = config.evaluation.warmup
    rows = place_origins(config, series, config.evaluation.part)[1]
    most = MAX_SAMPLES // _columns(series)
    steps = min(rows.shape[1], most) - warmup
    if steps < 1:
        raise UsageError(
            f"evaluation.warmup: {warmup} samples are too long for a page, which can contain "
            f"{most - 1}; the report contains no live view"
        )
    rows = rows[:, : warmup + steps]
    count = len(rows)
    while count > 1 and len(np.unique(rows[evenly_spaced(len(rows), count)])) > most:
        count //= 2
    return rows[evenly_spaced(len(rows), count)]


def _columns(series: Series) -> int:
    """Return the numbers that a page contains of each sample."""
    return series.extent.channels + (len(series.extent.outputs) if _is_noisy(series) else 0)


def _is_noisy(series: Series) -> bool:
    return not np.array_equal(series.clean, series.observed)


def _samples(series: Series, rows: Int[np.ndarray, "origin all"], warmup: int) -> dict[str, Any]:
    """Return the samples of forecasts and some before, and where the forecasts are among them.

    The samples are those of unbroken stretches, end to end. Of each forecast, `row` is the first
    sample that it predicts; `begin` and `end` bound its stretch.
    """
    outputs, first, origin = len(series.extent.outputs), rows[:, 0], rows[:, warmup]
    segment_of = locate(series.extent.lengths, np.arange(len(series.time)))[0]
    is_kept = np.zeros(len(series.time), bool)
    is_kept[rows] = True
    most = MAX_SAMPLES // _columns(series) - int(is_kept.sum())
    context = min((CONTEXT - 1) * warmup, most // len(rows))
    before = np.maximum(first[:, None] - np.arange(1, context + 1), 0)
    is_kept[before[segment_of[before] == segment_of[first][:, None]]] = True
    kept = np.flatnonzero(is_kept)
    is_break = (np.diff(kept) > 1) | (np.diff(segment_of[kept]) > 0)
    bounds = np.array([0, *np.flatnonzero(is_break) + 1, len(kept)])
    places = np.searchsorted(kept, origin)
    stretch = np.searchsorted(bounds, places, side="right")
    table = {
        "row": places.tolist(),
        "begin": bounds[stretch - 1].tolist(),
        "end": bounds[stretch].tolist(),
        "segment": segment_of[origin].tolist(),
        "time": series.extent.written(series.time[origin]),
    }
    return {
        "observed": _encode(series.observed[kept]),
        "truth": _encode(series.clean[kept, :outputs]) if _is_noisy(series) else None,
        "segments": len(series.extent.lengths),
        "origins": [
            dict(zip(table, each, strict=True)) for each in zip(*table.values(), strict=True)
        ],
    }


def _orbit(
    model: StateMap,
    start: Float[np.ndarray, "S L 1 H"],
    samples: Float[np.ndarray, "all channel"],
    warmup: int,
) -> dict[str, Any] | None:
    """Return two principal components of the hidden states that true samples drive, and the orbit.

    None if the states grow without bound.

    Args:
        model: The network.
        start: State before the samples.
        samples: True samples, in scaled units, the first `warmup` of which are the transient.
        warmup: See `samples`.
    """
    given = samples[: warmup + ORBIT_STEPS, None]
    with np.errstate(all="ignore"):
        states = model.run(start, len(given), given).states[warmup:]
        states = states.reshape(len(states), -1)
        components, explained = principal_components(states)
    if not explained.any():
        return None
    center, axes = states.mean(axis=0), components[:, :2]
    return {
        "center": _encode(center),
        "axes": _encode(axes.T),
        "explained": explained[:2].tolist(),
        "driven": _encode(((states - center) @ axes).astype(np.float32)),
    }
