"""Figures of waveforms: the network's predictions one step ahead and in closed loop."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import MaxNLocator

from sinernn.arrays import Float
from sinernn.evaluation.forecasts import Forecasts
from sinernn.evaluation.metrics import counted, rmse
from sinernn.plotting.style import (
    ACCENT,
    FAINT,
    GREEN,
    MODEL,
    TRUTH,
    Story,
    add_legend,
    draw_valid_limit,
    fit_log,
    leaving_step,
    marker_for,
    readable_error,
    readable_limits,
    valid_limit,
)
from sinernn.plotting.training import draw_training

DETAIL_STEPS = 150  # samples up to which a waveform is legible in a panel
_HUGE = 1e100  # no histogram has room for a larger residual
_ORIGINS_SHOWN = 20  # lines, at most
_PANELS = 12  # origins with a panel of their own, at most
_STEPS = [1, 2, 5, 10]  # between labels, times a power of ten
_WINDOW = 20  # steps that a long run's error is averaged over, if it has no period


def overview(story: Story) -> Figure:
    """The whole story for a talk: a free run over the truth, its error, and the training."""
    figure = Figure(figsize=(10, 6))
    grid = figure.add_gridspec(2, 1, height_ratios=[1.1, 1])
    first = _draw_waveform(figure, grid[0], story)
    bottom = grid[1].subgridspec(1, 2, width_ratios=[1.4 if story.is_refined else 1.7, 1])
    errors = figure.add_subplot(bottom[0])
    _draw_errors(errors, story)
    panels = draw_training(figure, bottom[1], story)
    panels[0].set_title("training", pad=18 if story.is_refined else None)
    if story.is_refined:
        panels[1].set(xlabel="iterations", title="")
    add_legend(figure, first, errors, *panels)
    return figure


def closed_loop(story: Story) -> Figure:
    """The free run of every origin over the truth; of long ones the end, where errors are large."""
    forecasts = story.evaluated.closed_loop
    count, steps = len(forecasts.time), forecasts.steps
    shown = np.unique(np.linspace(0, count - 1, min(count, _PANELS)).round().astype(int))
    columns = min(len(shown), 4)
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(10, 1.2 + 1.7 * max(rows, 2)))
    grid = figure.add_gridspec(rows, columns)
    errors = [rmse(row) for row in forecasts.errors]
    for place, origin in enumerate(map(int, shown)):
        axes = figure.add_subplot(grid[place], sharey=figure.axes[0] if place else None)
        left = _leaving_step(forecasts, origin, steps)
        begin = max(steps - DETAIL_STEPS, 0) if left is None else 0
        _draw_free_run(axes, story, origin, begin, min(begin + DETAIL_STEPS, steps))
        what = f"RMSE {errors[origin]:.2g}" if left is None else f"leaves at step {left}"
        axes.set_title(f"origin {origin + 1}: {what}")
        if place % columns:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel(_signal_label(story))
        if place + columns < len(shown):
            axes.set_xlabel("")
    limits = [_limits(forecasts, origin, steps) for origin in map(int, shown)]
    figure.axes[0].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    add_legend(figure, *figure.axes)
    return figure


def open_loop(story: Story) -> Figure:
    """Predictions one step ahead from true samples, and their error: easy, and misleading."""
    one_step = story.evaluated.open_loop[0]
    shown = slice(0, DETAIL_STEPS)
    time = one_step.time[0, shown] - one_step.time[0, 0]
    residuals = one_step.prediction[0, :, 0] - one_step.truth[0, :, 0]
    figure = Figure(figsize=(10, 5.5))
    grid = figure.add_gridspec(2, 2, height_ratios=[1.1, 1], width_ratios=[2, 1])
    top = figure.add_subplot(grid[0, :])
    top.plot(time, one_step.truth[0, shown, 0], color=FAINT, linewidth=5, label="truth")
    if not np.array_equal(one_step.observed, one_step.truth):
        observed = one_step.observed[0, shown, 0]
        top.plot(time, observed, ".", color=TRUTH, markersize=3, label="observed samples")
    prediction = one_step.prediction[0, shown, 0]
    top.plot(time, prediction, color=GREEN, linewidth=1.4, label="one step ahead")
    limits = readable_limits(one_step.truth[0, shown, 0], prediction)
    outside = int((~((prediction >= limits[0]) & (prediction <= limits[1]))).sum())
    top.set_ylim(*limits)
    ahead = story.time_ahead.replace("the origin", "the first forecast")
    top.set(ylabel=_signal_label(story), xlabel=ahead)
    beyond = f", {outside} of them beyond the range shown" if outside else ""
    samples = counted(len(time), "sample")
    top.set_title(f"one step ahead, always fed true samples: {samples}{beyond}")
    left = figure.add_subplot(grid[1, 0])
    left.plot(time, residuals[shown], color=ACCENT, linewidth=1.2, marker=marker_for(len(time)))
    left.set(ylabel=story.in_unit("residual"), xlabel=ahead)
    left.set_title("residual: prediction minus truth")
    right = figure.add_subplot(grid[1, 1])
    finite = residuals[np.abs(residuals) < _HUGE]
    if finite.size:
        right.hist(finite, bins=30, color=ACCENT)
        right.xaxis.set_major_locator(MaxNLocator(4))
        right.ticklabel_format(axis="x", scilimits=(-2, 3))
    else:
        right.text(0.5, 0.5, "none is finite", ha="center", transform=right.transAxes)
    right.set(ylabel="samples", xlabel=story.in_unit("residual"))
    right.set_title(f"of {counted(len(residuals), 'sample')}, RMS {rmse(residuals):.2g}")
    add_legend(figure, top)
    return figure


def tutorial(story: Story) -> Figure:
    """The tutorial's figure: true samples as large dots on a line, free-run outputs as small."""
    forecasts = story.evaluated.closed_loop
    origin, warmup, stop = forecasts.typical, forecasts.warmup, min(forecasts.steps, 49)
    figure = Figure(figsize=(7.5, 4.5))
    axes = figure.subplots()
    time = _time_ahead(forecasts, origin)[warmup - 1 : warmup + stop]
    truth = forecasts.truth[origin, warmup - 1 : warmup + stop, 0]
    prediction = forecasts.prediction[origin, :stop, 0]
    axes.plot(time, truth, "-", color=FAINT, linewidth=1)
    axes.scatter(time, truth, s=70, color=FAINT, label="true samples")
    axes.scatter(time[1:], prediction, s=14, color=MODEL, zorder=3, label="free run of the network")
    axes.set(xlabel=story.time_ahead, ylabel=_signal_label(story))
    axes.set_ylim(*_limits(forecasts, origin, stop))
    _mark_leaving(axes, forecasts, origin, stop)
    axes.set_title(f"the first {counted(stop)} of a free run")
    add_legend(figure, axes)
    return figure


def _draw_waveform(figure: Figure, place: SubplotSpec, story: Story) -> Axes:
    """Draw a typical free run over the truth, of a long one the beginning and the end."""
    forecasts = story.evaluated.closed_loop
    origin, steps = forecasts.typical, forecasts.steps
    left = _leaving_step(forecasts, origin, steps)
    is_long = steps > 2 * DETAIL_STEPS and left is None
    grid = place.subgridspec(1, 2 if is_long else 1)
    first = figure.add_subplot(grid[0])
    _draw_free_run(first, story, origin, 0, min(steps, DETAIL_STEPS) if is_long or left else steps)
    count = len(forecasts.time)
    which = f"origin {origin + 1} of {count}{', a median one' if count > 2 else ''}"
    end = f", which leaves the range shown at step {left} of {steps}" if left else ""
    first.set_title(f"free run ({which}){end}")
    first.set_ylabel(_signal_label(story))
    if is_long:
        last = figure.add_subplot(grid[1], sharey=first)
        _draw_free_run(last, story, origin, steps - DETAIL_STEPS, steps)
        last.set_title(f"its last {DETAIL_STEPS} of {steps} steps")
        last.tick_params(labelleft=False)
    first.set_ylim(*_limits(forecasts, origin, steps))
    return first


def _signal_label(story: Story) -> str:
    channels = story.evaluated.closed_loop.truth.shape[2]
    return story.in_unit("signal" if channels == 1 else f"channel 1 of {channels}")


def _time_ahead(forecasts: Forecasts, origin: int) -> Float[np.ndarray, " all"]:
    """Return sampling times relative to an origin: the last sample of its warm-up."""
    time = forecasts.time[origin]
    return time - time[forecasts.warmup - 1]


def _draw_free_run(axes: Axes, story: Story, origin: int, begin: int, end: int) -> None:
    """Draw steps `begin` to `end` of a free run; from step 0, the end of its warm-up as well."""
    forecasts = story.evaluated.closed_loop
    warmup, time = forecasts.warmup, _time_ahead(forecasts, origin)
    truth, observed = forecasts.truth[origin, :, 0], forecasts.observed[origin, :, 0]
    lead = min(warmup, DETAIL_STEPS // 5) if begin == 0 else 0
    all_shown = slice(warmup + begin - lead, warmup + end)
    axes.plot(time[all_shown], truth[all_shown], color=FAINT, linewidth=5, label="truth")
    if lead:
        read = slice(warmup - lead, warmup)
        axes.plot(
            time[read], observed[read], "o", color=TRUTH, markersize=3, label="warm-up samples"
        )
        axes.axvline(0, color=TRUTH, linewidth=0.8, linestyle=":")
    run = time[warmup + begin : warmup + end]
    prediction = forecasts.prediction[origin, begin:end, 0]
    marker = marker_for(len(run))
    axes.plot(run, prediction, marker=marker, color=MODEL, linewidth=1.4, label="free run")
    _mark_leaving(axes, forecasts, origin, end)
    axes.set_xlabel(story.time_ahead)
    axes.xaxis.set_major_locator(
        MaxNLocator(7, steps=_STEPS)
    )  # to draw a label takes longer than to draw a line


def _mark_leaving(axes: Axes, forecasts: Forecasts, origin: int, steps: int) -> None:
    """Mark where a free run leaves the range shown, if it does within so many steps."""
    if left := _leaving_step(forecasts, origin, steps):
        at = _time_ahead(forecasts, origin)[forecasts.warmup - 1 + left]
        axes.axvline(at, color=MODEL, linestyle="--", linewidth=1, label="free run leaves")


def _limits(forecasts: Forecasts, origin: int, steps: int) -> tuple[float, float]:
    """Return the range of the signal that a figure of a free run shows."""
    truth = forecasts.truth[origin, : forecasts.warmup + steps, 0]
    shown = np.concatenate([truth, forecasts.observed[origin, : forecasts.warmup, 0]])
    return readable_limits(shown, forecasts.prediction[origin, :steps, 0])


def _leaving_step(forecasts: Forecasts, origin: int, steps: int) -> int | None:
    prediction = forecasts.prediction[origin, :steps, 0]
    return leaving_step(prediction, _limits(forecasts, origin, steps))


def _draw_errors(axes: Axes, story: Story) -> None:
    """Draw every origin's error over the steps, the typical one's on top, and the valid limit."""
    evidence = story.evaluated
    forecasts = evidence.closed_loop
    origin, count, steps = forecasts.typical, len(forecasts.time), forecasts.steps
    top = readable_error(evidence)
    readable = np.flatnonzero(np.asarray(forecasts.errors <= top).any(axis=0))
    if steps - 1 not in readable:  # all have left: no further steps than those that show it
        steps = min(steps, 2 * int(readable[-1]) + 10 if readable.size else 10)
    window = 1
    if steps > 2 * DETAIL_STEPS:
        window = round(evidence.period / evidence.time_step) if evidence.period else _WINDOW
        window = min(max(window, 1), steps)
    errors = _moving_rms(forecasts.errors[:, :steps], window)
    ahead = range(1, steps + 1)
    others = [index for index in range(count) if index != origin][:: -(-count // _ORIGINS_SHOWN)]
    label = "errors from other origins"
    for index in others:
        axes.plot(ahead, errors[index], color=FAINT, linewidth=0.8, label=label)
    marker = marker_for(int(np.isfinite(errors[origin]).sum()))
    axes.plot(
        ahead,
        errors[origin],
        marker=marker,
        color=ACCENT,
        linewidth=1.4,
        label="error of the free run",
    )
    axes.set(xlabel="steps ahead", ylabel=story.in_unit("error"))
    axes.set_xlim(0, steps)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=_STEPS, integer=True))
    shown = errors
    if np.nanmax(errors, initial=0) > valid_limit(evidence) / 10:
        draw_valid_limit(axes, evidence)
        shown = np.append(errors, valid_limit(evidence))
    fit_log(axes, shown, top=top, cut=0.01)
    axes.set_title(f"error, {'step by step' if window == 1 else f'RMS of the last {window} steps'}")


def _moving_rms(
    errors: Float[np.ndarray, "origin steps"], window: int
) -> Float[np.ndarray, "origin steps"]:
    """Return the root mean square of the last `window` errors, which has no zero crossings."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = [np.convolve(row**2, np.ones(window))[: len(row)] for row in errors]
        counts = np.convolve(np.ones(errors.shape[1]), np.ones(window))[: errors.shape[1]]
        return np.sqrt(np.array(sums) / counts)
