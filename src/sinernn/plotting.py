"""Figures: arrays in, matplotlib Figures out. Opens no file, needs no display, knows no config.

A figure is one function from a `Story` to a Figure, registered in `FIGURES`.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sinernn.evaluation import Forecasts

# Okabe and Ito's palette, told apart by the colour-blind; each also differs in weight or dash,
# so that a greyscale print still reads.
TRUTH, MODEL, ACCENT, FAINT = "#000000", "#0072B2", "#D55E00", "#B0B0B0"

STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "sinernn",  # the same figure gives the same bytes
}
FORMATS = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
DETAIL_STEPS = 150  # a panel of a waveform reads well up to about this many samples


@dataclass(frozen=True)
class Story:
    """What a run has to show."""

    title: str
    metrics: dict[str, Float[np.ndarray, " row"]]
    """Columns of metrics.csv."""

    forecasts: Forecasts | None
    """Of the last evaluation; None before any."""


def loss(story: Story) -> Figure:
    """One-step loss and closed-loop error over the updates, with the learning rate below."""
    figure = Figure(figsize=(7.5, 5))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    steps = story.metrics["step"]
    top.plot(steps, story.metrics["loss"], color=MODEL, label="one-step loss (scaled units²)")
    top.set(yscale="log", ylabel="mean squared error", title=f"{story.title}: training\n")
    closed_loop_rmse = story.metrics["closed_loop_rmse"]
    shown = np.isfinite(closed_loop_rmse)
    if shown.any():
        top.plot(
            steps[shown],
            closed_loop_rmse[shown],
            "o--",
            color=ACCENT,
            markersize=5,
            label="closed-loop RMSE, validation (signal units)",
        )
        top.set_ylabel("error")
    top.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    bottom.plot(steps, story.metrics["learning_rate"], color=TRUTH)
    bottom.set(ylabel="learning rate", xlabel="updates", ylim=(0, None))
    return figure


def closed_loop(story: Story) -> Figure:
    """A typical free run over the truth, its beginning and its end, and every origin's error."""
    forecasts = _require(story)
    origin, steps = forecasts.typical, forecasts.prediction.shape[1]
    figure = Figure(figsize=(10, 6))
    is_long = steps > 2 * DETAIL_STEPS
    grid = figure.add_gridspec(2, 2 if is_long else 1, height_ratios=[1.2, 1])
    first = figure.add_subplot(grid[0, 0])
    _draw_free_run(first, forecasts, origin, 0, min(steps, DETAIL_STEPS) if is_long else steps)
    first.set_title(_truth_title(story, forecasts, origin))
    first.set_ylabel("signal (signal units)")
    if is_long:
        last = figure.add_subplot(grid[0, 1], sharey=first)
        _draw_free_run(last, forecasts, origin, steps - DETAIL_STEPS, steps)
        last.set_title(f"its last {DETAIL_STEPS} of {steps} steps")
        last.tick_params(labelleft=False)
    _limit_to_readable(first, forecasts, origin, steps)
    handles, labels = first.get_legend_handles_labels()
    error_axes = figure.add_subplot(grid[1, :])
    _draw_errors(error_axes, forecasts, origin)
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def tutorial(story: Story) -> Figure:
    """The tutorial's figure: true samples as large dots on a line, free-run outputs as small."""
    forecasts = _require(story)
    origin, warmup = forecasts.typical, forecasts.warmup
    stop = min(forecasts.prediction.shape[1], 49)
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
    axes.set_title(f"{story.title}: the first {stop} steps of a free run")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


FIGURES: dict[str, Callable[[Story], Figure]] = {
    "loss": loss,
    "closed_loop": closed_loop,
    "tutorial": tutorial,
}
"""Every figure there is, by the name of its file."""

WITHOUT_FORECASTS = frozenset({"loss"})
"""Figures of the training alone, which need no evaluation."""


def draw(name: str, story: Story, format: str) -> bytes:
    """Return a figure as the content of a file.

    Args:
        name: One of `FIGURES`.
        story: What to draw.
        format: One of `FORMATS`.
    """
    # From matplotlib's own defaults, so that a user's matplotlibrc changes no figure.
    style: dict[Any, Any] = {**mpl.rcParamsDefault, **STYLE}
    with mpl.rc_context(style):
        buffer = io.BytesIO()
        FIGURES[name](story).savefig(buffer, format=format, metadata=FORMATS[format])
    return buffer.getvalue()


def _require(story: Story) -> Forecasts:
    if story.forecasts is None:
        raise ValueError("this figure needs forecasts")
    return story.forecasts


def _truth_title(story: Story, forecasts: Forecasts, origin: int) -> str:
    count, channels = len(forecasts.time), forecasts.truth.shape[2]
    which = f"origin {origin + 1} of {count}, a median one" if count > 2 else f"origin {origin + 1}"
    channel = f", channel 1 of {channels}" if channels > 1 else ""
    return f"{story.title}: free run ({which}{channel})"


def _draw_free_run(axes: Axes, forecasts: Forecasts, origin: int, begin: int, end: int) -> None:
    """Draw steps `begin` to `end` of a free run; from step 0, the end of its warm-up as well."""
    warmup = forecasts.warmup
    lead = min(warmup, DETAIL_STEPS // 5) if begin == 0 else 0
    window = slice(warmup + begin - lead, warmup + end)
    time = forecasts.time[origin]
    axes.plot(
        time[window], forecasts.truth[origin, window, 0], color=FAINT, linewidth=5, label="truth"
    )
    if lead:
        read = slice(warmup - lead, warmup)
        axes.plot(
            time[read],
            forecasts.observed[origin, read, 0],
            "o",
            color=TRUTH,
            markersize=3,
            label="warm-up samples",
        )
        axes.axvline(time[warmup - 1], color=TRUTH, linewidth=0.8, linestyle=":")
    run = slice(warmup + begin, warmup + end)
    prediction = forecasts.prediction[origin, begin:end, 0]
    axes.plot(time[run], prediction, "-", color=MODEL, linewidth=1.4, label="free run")
    axes.set_xlabel("time (time units)")


def _limit_to_readable(axes: Axes, forecasts: Forecasts, origin: int, steps: int) -> None:
    """Show the truth and what the free run does near it: a diverging run must not flatten both."""
    truth = forecasts.truth[origin, : forecasts.warmup + steps, 0]
    prediction = forecasts.prediction[origin, :steps, 0]
    low, high = float(truth.min()), float(truth.max())
    height = (high - low) or 1.0
    seen = prediction[np.isfinite(prediction)]
    lowest, highest = min(low, seen.min(initial=low)), max(high, seen.max(initial=high))
    axes.set_ylim(
        max(lowest, low - 1.5 * height) - 0.06 * height,
        min(highest, high + 1.5 * height) + 0.06 * height,
    )


def _draw_errors(axes: Axes, forecasts: Forecasts, origin: int) -> None:
    error = np.maximum(forecasts.errors, np.finfo(float).tiny)  # an exact hit has no logarithm
    steps = range(1, error.shape[1] + 1)
    for index in range(len(error)):
        if index != origin:
            axes.plot(steps, error[index], color=FAINT, linewidth=0.7)
    axes.plot(steps, error[origin], color=ACCENT, linewidth=1.2)
    axes.set(yscale="log", xlabel="steps ahead", ylabel="|error| (signal units)")
    axes.set_xlim(0, error.shape[1])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    every = "; the other origins in grey" if len(error) > 1 else ""
    axes.set_title(f"its error, step by step{every}")
