"""Figure of a forecast beyond the end of a series."""

import numpy as np
from matplotlib.figure import Figure

from sinernn.evaluation.predictions import Prediction
from sinernn.plotting.style import (
    CHANNELS_SHOWN,
    MODEL,
    TRUTH,
    add_legend,
    marker_for,
    readable_limits,
)

_HISTORY = 2  # times the length of the forecast
_LEAST_HISTORY = 50  # samples


def forecast_figure(prediction: Prediction) -> Figure:
    """The end of the series, the forecast, and its intervals: a panel a channel, of the first 8."""
    outputs = prediction.extent.outputs[:CHANNELS_SHOWN]
    figure = Figure(figsize=(10, 1.4 + (3.2 if len(outputs) == 1 else 1.8 * len(outputs))))
    grid = figure.add_gridspec(len(outputs), 1)
    step, steps = prediction.extent.time_step, len(prediction.time)
    past = prediction.history[-max(_HISTORY * steps, _LEAST_HISTORY) :]
    before = step * np.arange(1 - len(past), 1)
    after = step * np.arange(1, steps + 1)
    levels = sorted(prediction.intervals, reverse=True)
    for row, channel in enumerate(outputs):
        axes = figure.add_subplot(grid[row])
        values = prediction.values[:, row]
        axes.plot(
            before,
            past[:, row],
            color=TRUTH,
            linewidth=1.2,
            marker=marker_for(len(past)),
            label="series",
        )
        for depth, level in enumerate(levels, start=1):
            interval = prediction.intervals[level]
            lower, upper = interval.lower[:, row], interval.upper[:, row]
            if np.isfinite(lower).any():
                shade = 0.25 * depth / len(levels) + 0.1
                axes.fill_between(
                    after,
                    lower,
                    upper,
                    color=MODEL,
                    alpha=shade,
                    linewidth=0,
                    label=f"{100 * level:.4g} % interval",
                )
        axes.plot(after, values, color=MODEL, marker=marker_for(steps), label="forecast")
        axes.axvline(0, color=TRUTH, linewidth=0.8, linestyle=":")
        bands = [
            side[:, row]
            for each in prediction.intervals.values()
            for side in (each.lower, each.upper)
        ]
        axes.set_ylim(*readable_limits(past[:, row], np.concatenate([values, *bands])))
        axes.set_ylabel(channel.label)
        if row + 1 < len(outputs):
            axes.tick_params(labelbottom=False)
    unit = f" ({prediction.extent.time_unit})" if prediction.extent.time_unit else ""
    figure.axes[-1].set_xlabel(f"time after the last sample{unit}")
    if len(outputs) < len(prediction.extent.outputs):
        count = len(prediction.extent.outputs)
        figure.axes[0].set_title(f"the first {CHANNELS_SHOWN} of {count} channels")
    add_legend(figure, figure.axes[0])
    return figure
