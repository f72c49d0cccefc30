"""Figures of waveforms: the network's predictions one step ahead and in closed loop."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import MaxNLocator

from sinernn.arrays import Float
from sinernn.evaluation.forecasts import Evidence, Forecasts
from sinernn.evaluation.metrics import counted
from sinernn.plotting.style import (
    ACCENT,
    FAINT,
    MODEL,
    TRUTH,
    Story,
    add_legend,
    draw_valid_limit,
    labelled,
    marker_for,
    readable_error,
    readable_limits,
    use_decades,
    valid_limit,
)
from sinernn.plotting.training import draw_training

DETAIL_STEPS = 150  # samples up to which a waveform is legible in a panel
_ORIGINS_SHOWN = 20  # lines, at most
_WINDOW = 20  # steps that a long run's error is averaged over, if it has no period


def overview(story: Story) -> Figure:
    """The whole story for a talk: a free run over the truth, its error, and the training."""
    figure = Figure(figsize=(10, 6))
    grid = figure.add_gridspec(2, 1, height_ratios=[1.1, 1])
    first = _draw_waveform(figure, grid[0], story)
    bottom = grid[1].subgridspec(1, 2, width_ratios=[1.4 if story.is_refined else 1.7, 1])
    errors = figure.add_subplot(bottom[0])
    _draw_errors(errors, story.evaluated)
    panels = draw_training(figure, bottom[1], story)
    _add_legend_above(panels)
    if story.is_refined:
        panels[1].set(xlabel="iterations", title="")
    add_legend(figure, first, errors)
    return figure


def _add_legend_above(panels: list[Axes]) -> None:
    """Add a small legend between a row of panels and its title, above the numbers of stages."""
    lines, has_stages = labelled(*panels), len(panels) > 1
    legend = panels[0].legend(
        lines.values(),
        lines.keys(),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=2,
        borderaxespad=1.2 if has_stages else 0,
        fontsize="small",
    )
    legend.set_in_layout(False)  # it may extend over the panel to the right
    panels[0].set_title("training" + "\n" * (-(-len(lines) // 2) + has_stages))


def closed_loop(story: Story) -> Figure:
    """A typical free run over the truth, its beginning and its end, and every origin's error."""
    figure = Figure(figsize=(10, 6))
    grid = figure.add_gridspec(2, 1, height_ratios=[1.2, 1])
    first = _draw_waveform(figure, grid[0], story)
    errors = figure.add_subplot(grid[1])
    _draw_errors(errors, story.evaluated)
    add_legend(figure, first, errors)
    return figure


def open_loop(story: Story) -> Figure:
    """Predictions one step ahead from true samples, and their error: easy, and misleading."""
    one_step = story.evaluated.open_loop[0]
    time, prediction = one_step.time[0], one_step.prediction[0, :, 0]
    shown = slice(0, DETAIL_STEPS)
    figure = Figure(figsize=(10, 5))
    top, bottom = figure.subplots(2, 1, height_ratios=[1.2, 1])
    top.plot(time[shown], one_step.truth[0, shown, 0], color=FAINT, linewidth=5, label="truth")
    if not np.array_equal(one_step.observed, one_step.truth):
        observed = one_step.observed[0, shown, 0]
        top.plot(time[shown], observed, ".", color=TRUTH, markersize=3, label="observed samples")
    top.plot(time[shown], prediction[shown], color=MODEL, linewidth=1.4, label="one step ahead")
    channels = _channel_note(one_step.truth.shape[2])
    top.set(ylabel="signal (signal units)", xlabel="time (time units)")
    top.set_title(f"one step ahead, always fed true samples{channels}")
    bottom.plot(time, prediction - one_step.truth[0, :, 0], color=ACCENT, linewidth=0.9)
    bottom.set(ylabel="error (signal units)", xlabel="time (time units)")
    bottom.set_title(f"its error over {len(time)} samples")
    add_legend(figure, top)
    return figure


def tutorial(story: Story) -> Figure:
    """The tutorial's figure: true samples as large dots on a line, free-run outputs as small."""
    forecasts = story.evaluated.closed_loop
    origin, warmup, stop = forecasts.typical, forecasts.warmup, min(forecasts.steps, 49)
    figure = Figure(figsize=(7.5, 4.5))
    axes = figure.subplots()
    time = forecasts.time[origin, warmup - 1 : warmup + stop]
    truth = forecasts.truth[origin, warmup - 1 : warmup + stop, 0]
    prediction = forecasts.prediction[origin, :stop, 0]
    axes.plot(time, truth, "-", color=FAINT, linewidth=1)
    axes.scatter(time, truth, s=70, color=FAINT, label="true samples")
    axes.scatter(time[1:], prediction, s=14, color=MODEL, zorder=3, label="free run of the network")
    axes.set(xlabel="time (time units)", ylabel="signal (signal units)")
    _limit_to_readable(axes, forecasts, origin, stop)
    axes.set_title(f"the first {counted(stop)} of a free run")
    add_legend(figure, axes)
    return figure


def _draw_waveform(figure: Figure, place: SubplotSpec, story: Story) -> Axes:
    """Draw a typical free run over the truth, of a long one the beginning and the end."""
    forecasts = story.evaluated.closed_loop
    origin, steps = forecasts.typical, forecasts.steps
    is_long = steps > 2 * DETAIL_STEPS
    grid = place.subgridspec(1, 2 if is_long else 1)
    first = figure.add_subplot(grid[0])
    _draw_free_run(first, forecasts, origin, 0, DETAIL_STEPS if is_long else steps)
    first.set_title(_free_run_title(story, origin))
    first.set_ylabel("signal (signal units)")
    if is_long:
        last = figure.add_subplot(grid[1], sharey=first)
        _draw_free_run(last, forecasts, origin, steps - DETAIL_STEPS, steps)
        last.set_title(f"its last {DETAIL_STEPS} of {steps} steps")
        last.tick_params(labelleft=False)
    _limit_to_readable(first, forecasts, origin, steps)
    return first


def _free_run_title(story: Story, origin: int) -> str:
    forecasts = story.evaluated.closed_loop
    diverged = forecasts.diverged_at[origin]
    if diverged:
        return f"a free run that diverges at step {diverged}"
    count = len(forecasts.time)
    which = f"origin {origin + 1} of {count}, a median one" if count > 2 else f"origin {origin + 1}"
    return f"free run ({which}{_channel_note(forecasts.truth.shape[2])})"


def _channel_note(channels: int) -> str:
    return f", channel 1 of {channels}" if channels > 1 else ""


def _draw_free_run(axes: Axes, forecasts: Forecasts, origin: int, begin: int, end: int) -> None:
    """Draw steps `begin` to `end` of a free run; from step 0, the end of its warm-up as well."""
    warmup, time = forecasts.warmup, forecasts.time[origin]
    truth, observed = forecasts.truth[origin, :, 0], forecasts.observed[origin, :, 0]
    lead = min(warmup, DETAIL_STEPS // 5) if begin == 0 else 0
    all_shown = slice(warmup + begin - lead, warmup + end)
    axes.plot(time[all_shown], truth[all_shown], color=FAINT, linewidth=5, label="truth")
    if lead:
        read = slice(warmup - lead, warmup)
        axes.plot(
            time[read], observed[read], "o", color=TRUTH, markersize=3, label="warm-up samples"
        )
        axes.axvline(time[warmup - 1], color=TRUTH, linewidth=0.8, linestyle=":")
    run = time[warmup + begin : warmup + end]
    prediction = forecasts.prediction[origin, begin:end, 0]
    marker = marker_for(len(run))
    axes.plot(run, prediction, marker=marker, color=MODEL, linewidth=1.4, label="free run")
    axes.set_xlabel("time (time units)")


def _limit_to_readable(axes: Axes, forecasts: Forecasts, origin: int, steps: int) -> None:
    truth = forecasts.truth[origin, : forecasts.warmup + steps, 0]
    shown = np.concatenate([truth, forecasts.observed[origin, : forecasts.warmup, 0]])
    axes.set_ylim(*readable_limits(shown, forecasts.prediction[origin, :steps, 0]))


def _draw_errors(axes: Axes, evidence: Evidence) -> None:
    """Draw every origin's error over the steps, the typical one's on top, and the valid limit."""
    forecasts = evidence.closed_loop
    origin, count, steps = forecasts.typical, len(forecasts.time), forecasts.steps
    window = 1
    if steps > 2 * DETAIL_STEPS:
        window = round(evidence.period / evidence.time_step) if evidence.period else _WINDOW
        window = min(max(window, 1), steps)
    errors = _moving_rms(forecasts.errors, window)
    ahead = range(1, steps + 1)
    others = [index for index in range(count) if index != origin][:: -(-count // _ORIGINS_SHOWN)]
    for index in others:
        axes.plot(ahead, errors[index], color=FAINT, linewidth=0.8)
    axes.plot(ahead, errors[origin], marker=marker_for(steps), color=ACCENT, linewidth=1.4)
    axes.set(xlabel="steps ahead", ylabel="error (signal units)")
    axes.set_xlim(0, steps)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    if np.nanmax(errors, initial=0) > valid_limit(evidence) / 10:
        draw_valid_limit(axes, evidence)
    use_decades(axes, top=readable_error(evidence))
    what = "step by step" if window == 1 else f"RMS of the last {window} steps"
    axes.set_title(f"its error, {what}{'; the other origins in grey' if count > 1 else ''}")


def _moving_rms(
    errors: Float[np.ndarray, "origin steps"], window: int
) -> Float[np.ndarray, "origin steps"]:
    """Return the root mean square of the last `window` errors, which has no zero crossings."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = [np.convolve(row**2, np.ones(window))[: len(row)] for row in errors]
        counts = np.convolve(np.ones(errors.shape[1]), np.ones(window))[: errors.shape[1]]
        return np.sqrt(np.array(sums) / counts)
