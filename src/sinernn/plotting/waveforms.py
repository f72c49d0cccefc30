"""Figures of waveforms: the network's predictions one step ahead and in closed loop."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sinernn.arrays import Float
from sinernn.evaluation.forecasts import Evidence, Forecasts
from sinernn.evaluation.metrics import counted, evenly_spaced, rmse
from sinernn.plotting.style import (
    ACCENT,
    FAINT,
    GREEN,
    MODEL,
    ORANGE,
    TRUTH,
    Story,
    add_legend,
    draw_valid_limit,
    fit_log,
    leaving_step,
    marker_for,
    readable_error,
    readable_limits,
)
from sinernn.plotting.training import draw_training

DETAIL_STEPS = 150  # samples up to which a waveform is legible in a panel
_COLUMNS = 4
_HUGE = 1e100  # no histogram has room for a larger residual
_ORIGINS_SHOWN = 20  # lines, at most
_PANELS = 12  # origins with a panel of their own, at most
_STEPS = [1, 2, 5, 10]  # between labels, times a power of ten
_WINDOW = 20  # steps that a long run's error is averaged over, if it has no period


def overview(story: Story) -> Figure:
    """The whole story for a talk: a free run over the truth, its error, and the training."""
    outputs, labels = story.by_output, story.input_labels
    rows = len(outputs) + len(labels)
    figure = Figure(figsize=(10, 4.4 + 1.6 * rows))
    grid = figure.add_gridspec(rows + 1, 1, height_ratios=[*[1.1 if rows == 1 else 0.6] * rows, 1])
    waves: list[list[Axes]] = []
    for row, one in enumerate(outputs):
        waves.append(_draw_waveform(figure, grid[row], one, story, is_first=row == 0))
    for row, label in enumerate(labels):
        waves.append(_draw_input(figure, grid[len(outputs) + row], story, row, label))
    for axes in (panel for row in waves[:-1] for panel in row):
        axes.set_xlabel("")
    bottom = grid[rows].subgridspec(1, 2, width_ratios=[1.4 if story.is_refined else 1.7, 1])
    errors = figure.add_subplot(bottom[0])
    _draw_errors(errors, story)
    panels = draw_training(figure, bottom[1], story)
    panels[0].set_title("training", pad=18 if story.is_refined else None)
    if story.is_refined:
        panels[1].set(xlabel="iterations", title="")
    add_legend(figure, *(panel for row in waves for panel in row[:1]), errors, *panels)
    return figure


def closed_loop(story: Story) -> Figure:
    """The free run of every origin over the truth; of long ones the end, where errors are large."""
    outputs, labels = story.by_output, story.input_labels
    count, steps = len(story.evaluated.closed_loop.time), story.evaluated.closed_loop.steps
    several = len(outputs) + len(labels) > 1  # then each has a row of its own
    most = _COLUMNS if several else _PANELS
    shown: list[int] = evenly_spaced(count, most).tolist()
    columns = min(len(shown), _COLUMNS)
    rows = len(outputs) * -(-len(shown) // columns) + len(labels)
    figure = Figure(figsize=(10, 1.2 + 1.7 * max(rows, 2)))
    grid = figure.add_gridspec(rows, columns)
    left_by_origin = {
        origin: [_leaving_step(one.evaluated.closed_loop, origin, steps) for one in outputs]
        for origin in shown
    }
    begins = [
        0 if any(left_by_origin[origin]) else max(steps - DETAIL_STEPS, 0) for origin in shown
    ]
    for number, one in enumerate(outputs):
        forecasts, panels = one.evaluated.closed_loop, list[Axes]()
        for place, (origin, begin) in enumerate(zip(shown, begins, strict=True)):
            at, left = grid[number * columns + place], left_by_origin[origin][number]
            panels.append(figure.add_subplot(at, sharey=panels[0] if panels else None))
            end = min(begin + DETAIL_STEPS, steps)
            draw_free_run(panels[-1], one, origin, begin, end)
            _mark_leaving(panels[-1], forecasts, origin, end)
            error = f"RMSE {rmse(forecasts.errors[origin]):.2g}"
            what = error if left is None else f"leaves at step {left}"
            left_out = story.left_out if place == number == 0 else ""
            panels[-1].set_title(f"origin {origin + 1}: {what}{left_out}")
        limits = [_limits(forecasts, origin, steps) for origin in shown]
        panels[0].set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        for axes in panels[::columns]:
            axes.set_ylabel(one.in_unit(one.signal))
    for number, label in enumerate(labels):
        panels = list[Axes]()
        for place, (origin, begin) in enumerate(zip(shown, begins, strict=True)):
            at = grid[len(outputs) + number, place]
            panels.append(figure.add_subplot(at, sharey=panels[0] if panels else None))
            _draw_read(panels[-1], story, origin, number, begin, min(begin + DETAIL_STEPS, steps))
        panels[0].set_ylabel(label)
    for place, axes in enumerate(figure.axes):
        if place % columns:
            axes.tick_params(labelleft=False)
        if place + columns < len(figure.axes):
            axes.set_xlabel("")
    add_legend(figure, *figure.axes)
    return figure


def open_loop(story: Story) -> Figure:
    """Predictions one step ahead from true samples, and their error: easy, and misleading."""
    outputs = story.by_output
    if len(outputs) == 1:
        figure = Figure(figsize=(10, 5.5))
        grid = figure.add_gridspec(2, 2, height_ratios=[1.1, 1], width_ratios=[2, 1])
        _draw_one_step(figure.add_subplot(grid[0, :]), story)
        _draw_residuals(figure.add_subplot(grid[1, 0]), story)
        _draw_histogram(figure.add_subplot(grid[1, 1]), story)
    else:
        figure = Figure(figsize=(10, 1.2 + 1.7 * len(outputs)))
        grid = figure.add_gridspec(len(outputs), 2, width_ratios=[2, 1])
        for row, one in enumerate(outputs):
            waves = figure.add_subplot(grid[row, 0])
            _draw_one_step(waves, one, left_out=story.left_out if row == 0 else "")
            _draw_histogram(figure.add_subplot(grid[row, 1]), one)
            if one is not outputs[-1]:
                waves.set_xlabel("")
    add_legend(figure, figure.axes[0])
    return figure


def _draw_one_step(axes: Axes, story: Story, *, left_out: str = "") -> None:
    """Draw predictions one step ahead over true samples, as many as are legible."""
    one_step = story.evaluated.open_loop[0]
    shown = slice(0, DETAIL_STEPS)
    time = one_step.time[0, shown] - one_step.time[0, 0]
    axes.plot(time, one_step.truth[0, shown, 0], color=FAINT, linewidth=5, label="truth")
    if not np.array_equal(one_step.observed, one_step.truth):
        observed = one_step.observed[0, shown, 0]
        axes.plot(time, observed, ".", color=TRUTH, markersize=3, label="observed samples")
    prediction = one_step.prediction[0, shown, 0]
    axes.plot(time, prediction, color=GREEN, linewidth=1.4, label="one step ahead")
    limits = readable_limits(one_step.truth[0, shown, 0], prediction)
    outside = int((~((prediction >= limits[0]) & (prediction <= limits[1]))).sum())
    axes.set_ylim(*limits)
    axes.set(ylabel=story.in_unit(story.signal), xlabel=_after_first_forecast(story))
    beyond = f", {outside} of them beyond the range shown" if outside else ""
    samples = counted(len(time), "sample")
    axes.set_title(f"one step ahead, always fed true samples: {samples}{beyond}{left_out}")


def _draw_residuals(axes: Axes, story: Story) -> None:
    one_step, shown = story.evaluated.open_loop[0], slice(0, DETAIL_STEPS)
    time = one_step.time[0, shown] - one_step.time[0, 0]
    residuals = one_step.prediction[0, shown, 0] - one_step.truth[0, shown, 0]
    axes.plot(time, residuals, color=ACCENT, linewidth=1.2, marker=marker_for(len(time)))
    axes.set(ylabel=story.in_unit("residual"), xlabel=_after_first_forecast(story))
    axes.set_title("residual: prediction minus truth")


def _draw_histogram(axes: Axes, story: Story) -> None:
    """Draw the distribution of all residuals of one-step predictions."""
    one_step = story.evaluated.open_loop[0]
    residuals = one_step.prediction[0, :, 0] - one_step.truth[0, :, 0]
    finite = residuals[np.abs(residuals) < _HUGE]
    if finite.size:
        axes.hist(finite, bins=30, color=ACCENT)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.ticklabel_format(axis="x", scilimits=(-2, 3))
    else:
        axes.text(0.5, 0.5, "none is finite", ha="center", transform=axes.transAxes)
    axes.set(ylabel="samples", xlabel=story.in_unit("residual"))
    axes.set_title(f"of {counted(len(residuals), 'sample')}, RMS {rmse(residuals):.2g}")


def _after_first_forecast(story: Story) -> str:
    return story.time_ahead.replace("the origin", "the first forecast")


def tutorial(story: Story) -> Figure:
    """The tutorial's figure: true samples as large dots on a line, free-run outputs as small."""
    forecasts, outputs = story.evaluated.closed_loop, story.by_output
    origin, warmup, stop = forecasts.typical, forecasts.warmup, min(forecasts.steps, 49)
    figure = Figure(figsize=(7.5, 2.3 + 2.2 * len(outputs)))
    panels = figure.subplots(len(outputs), squeeze=False)[:, 0]
    time = _time_ahead(forecasts, origin)[warmup - 1 : warmup + stop]
    for axes, one in zip(panels, outputs, strict=True):
        forecasts = one.evaluated.closed_loop
        truth = forecasts.truth[origin, warmup - 1 : warmup + stop, 0]
        run = forecasts.prediction[origin, :stop, 0]
        axes.plot(time, truth, "-", color=FAINT, linewidth=1)
        axes.scatter(time, truth, s=70, color=FAINT, label="true samples")
        axes.scatter(time[1:], run, s=14, color=MODEL, zorder=3, label="free run of the network")
        axes.set_ylabel(one.in_unit(one.signal))
        axes.set_ylim(*_limits(forecasts, origin, stop))
        _mark_leaving(axes, forecasts, origin, stop)
    panels[-1].set_xlabel(story.time_ahead)
    panels[0].set_title(f"the first {counted(stop)} of a free run{story.left_out}")
    add_legend(figure, *panels)
    return figure


def _draw_waveform(
    figure: Figure, place: SubplotSpec, story: Story, whole: Story, *, is_first: bool
) -> list[Axes]:
    """Draw an output's typical free run over the truth; of a long one the beginning and the end.

    Args:
        figure: Where to draw.
        place: The row.
        story: Of the output.
        whole: Of all outputs, which decides what is typical.
        is_first: Whether it is the first row, whose title names the origin.
    """
    forecasts, origin = story.evaluated.closed_loop, whole.evaluated.closed_loop.typical
    steps = forecasts.steps
    left = _leaving_step(forecasts, origin, steps)
    is_long = steps > 2 * DETAIL_STEPS and left is None
    grid = place.subgridspec(1, 2 if is_long else 1)
    first = figure.add_subplot(grid[0])
    shown = min(steps, DETAIL_STEPS) if is_long or left else steps
    draw_free_run(first, story, origin, 0, shown)
    _mark_leaving(first, forecasts, origin, shown)
    count = len(forecasts.time)
    which = f"origin {origin + 1} of {count}{', a median one' if count > 2 else ''}"
    end = f"leaves the range shown at step {left} of {steps}" if left else ""
    if is_first:
        end = f"free run ({which}){', which ' if left else ''}{end}{whole.left_out}"
    first.set_title(end)
    first.set_ylabel(story.in_unit(story.signal))
    if is_long:
        last = figure.add_subplot(grid[1], sharey=first)
        draw_free_run(last, story, origin, steps - DETAIL_STEPS, steps)
        last.set_title(f"its last {DETAIL_STEPS} of {steps} steps" if is_first else "")
        last.tick_params(labelleft=False)
    first.set_ylim(*_limits(forecasts, origin, steps))
    return figure.axes[-2 if is_long else -1 :]


def _draw_input(
    figure: Figure, place: SubplotSpec, story: Story, number: int, label: str
) -> list[Axes]:
    """Draw an input of the typical free run; of a long one the beginning and the end."""
    forecasts = story.evaluated.closed_loop
    origin, steps = forecasts.typical, forecasts.steps
    spans = [(0, steps)]
    if steps > 2 * DETAIL_STEPS:
        spans = [(0, DETAIL_STEPS), (steps - DETAIL_STEPS, steps)]
    grid = place.subgridspec(1, len(spans))
    panels = [figure.add_subplot(grid[column]) for column in range(len(spans))]
    for axes, span in zip(panels, spans, strict=True):
        _draw_read(axes, story, origin, number, *span)
    panels[0].set_ylabel(label)
    return panels


def _draw_read(axes: Axes, story: Story, origin: int, number: int, begin: int, end: int) -> None:
    """Draw what a free run reads of an input in steps `begin` to `end`."""
    forecasts = story.evaluated.closed_loop
    assert forecasts.inputs is not None
    span = _span(forecasts, begin, end)
    time = _time_ahead(forecasts, origin)[span]
    axes.plot(time, forecasts.inputs[origin, span, number], color=ORANGE, label="input")
    axes.set_xlabel(story.time_ahead)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=_STEPS))


def _span(forecasts: Forecasts, begin: int, end: int) -> slice:
    """Return the samples of steps `begin` to `end`, from step 0 with the end of the warm-up."""
    lead = min(forecasts.warmup, DETAIL_STEPS // 5) if begin == 0 else 0
    return slice(forecasts.warmup + begin - lead, forecasts.warmup + end)


def _time_ahead(forecasts: Forecasts, origin: int) -> Float[np.ndarray, " all"]:
    """Return sampling times relative to an origin: the last sample of its warm-up."""
    time = forecasts.time[origin]
    return time - time[forecasts.warmup - 1]


def draw_free_run(axes: Axes, story: Story, origin: int, begin: int, end: int) -> Line2D:
    """Draw steps `begin` to `end` of a free run; from step 0, the end of its warm-up as well.

    Args:
        axes: The panel.
        story: Of one output.
        origin: Number of the forecast.
        begin: First step, from 0.
        end: The step after the last.

    Returns:
        The line of the free run.
    """
    forecasts = story.evaluated.closed_loop
    warmup, time = forecasts.warmup, _time_ahead(forecasts, origin)
    truth, observed = forecasts.truth[origin, :, 0], forecasts.observed[origin, :, 0]
    all_shown = _span(forecasts, begin, end)
    axes.plot(time[all_shown], truth[all_shown], color=FAINT, linewidth=5, label="truth")
    if begin == 0:
        read = slice(all_shown.start, warmup)
        axes.plot(
            time[read], observed[read], "o", color=TRUTH, markersize=3, label="warm-up samples"
        )
        axes.axvline(0, color=TRUTH, linewidth=0.8, linestyle=":")
    run = time[warmup + begin : warmup + end]
    prediction = forecasts.prediction[origin, begin:end, 0]
    marker = marker_for(len(run))
    (line,) = axes.plot(
        run, prediction, marker=marker, color=MODEL, linewidth=1.4, label="free run"
    )
    axes.set_xlabel(story.time_ahead)
    axes.xaxis.set_major_locator(
        MaxNLocator(7, steps=_STEPS)
    )  # to draw a label takes longer than to draw a line
    return line


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
    window = error_window(evidence, steps)
    errors = moving_rms(forecasts.errors[:, :steps], window)
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
    if np.nanmax(errors, initial=0) > evidence.valid_limit / 10:
        draw_valid_limit(axes, evidence)
        shown = np.append(errors, evidence.valid_limit)
    fit_log(axes, shown, top=top, cut=0.01)
    axes.set_title(f"error, {'step by step' if window == 1 else f'RMS of the last {window} steps'}")


def error_window(evidence: Evidence, steps: int) -> int:
    """Return how many steps the error of a run of so many is averaged over, to be drawn."""
    if steps <= 2 * DETAIL_STEPS:
        return 1
    window = round(evidence.period / evidence.time_step) if evidence.period else _WINDOW
    return min(max(window, 1), steps)


def moving_rms(
    errors: Float[np.ndarray, "run steps"], window: int
) -> Float[np.ndarray, "run steps"]:
    """Return the root mean square of the last `window` errors, which has no zero crossings."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = [np.convolve(row**2, np.ones(window))[: len(row)] for row in errors]
        counts = np.convolve(np.ones(errors.shape[1]), np.ones(window))[: errors.shape[1]]
        return np.sqrt(np.array(sums) / counts)
