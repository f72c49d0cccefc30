"""Figure of a forecast beyond the end of a series."""

from typing import Any

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
    inputs = prediction.extent.inputs[: CHANNELS_SHOWN - len(outputs)]
    panels = len(outputs) + len(inputs)
    figure = Figure(figsize=(10, 1.4 + (3.2 if panels == 1 else 1.8 * panels)))
    grid = figure.add_gridspec(panels, 1)
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
        if prediction.spread is not None:
            spread = prediction.spread[:, row, None] * [-1, 1]
            style: dict[str, Any] = {"color": MODEL, "linewidth": 0.8, "linestyle": "--"}
            axes.plot(after, values[:, None] + spread, label=["spread of the runs", "_"], **style)
        joined = np.append(past[-1:, row], values)
        times = np.append(0, after)
        axes.plot(times, joined, color=MODEL, marker=marker_for(steps), label="forecast")
        axes.axvline(0, color=TRUTH, linewidth=0.8, linestyle=":")
        bands = [
            side[:, row]
            for each in prediction.intervals.values()
            for side in (each.lower, each.upper)
        ]
        axes.set_ylim(*readable_limits(past[:, row], np.concatenate([values, *bands])))
        axes.set_ylabel(channel.label)
    for row, channel in enumerate(inputs, start=len(outputs)):
        axes = figure.add_subplot(grid[row], sharex=figure.axes[0])
        known = prediction.inputs[len(prediction.history) - len(past) :, row - len(outputs)]
        axes.plot(before[0] + step * np.arange(len(known)), known, color=TRUTH, linewidth=1.2)
        axes.axvline(0, color=TRUTH, linewidth=0.8, linestyle=":")
        axes.set_ylabel(channel.label)
    for axes in figure.axes[:-1]:
        axes.tick_params(labelbottom=False)
    unit = f" ({prediction.extent.time_unit})" if prediction.extent.time_unit else ""
    figure.axes[-1].set_xlabel(f"time after the last sample{unit}")
    if len(outputs) < len(prediction.extent.outputs):
        count = len(prediction.extent.outputs)
        figure.axes[0].set_title(f"the first {CHANNELS_SHOWN} of {count} channels")
    add_legend(figure, figure.axes[0])
    return figure
