"""Figures of chaos: how errors grow, how long forecasts are valid, and the attractor."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sinernn.arrays import Float
from sinernn.evaluation.climate import decorrelation_steps
from sinernn.evaluation.forecasts import Evidence
from sinernn.evaluation.metrics import valid_steps
from sinernn.plotting.style import (
    ACCENT,
    FAINT,
    MODEL,
    TRUTH,
    Story,
    add_legend,
    draw_valid_limit,
    fit_log,
    marker_for,
    readable_error,
    readable_limits,
)

_DOTS: dict[str, Any] = {"marker": ".", "linestyle": "", "markeredgewidth": 0}


def valid_time(story: Story) -> Figure:
    """How errors grow with time, beside the Lyapunov exponent, and how long forecasts are valid."""
    figure = Figure(figsize=(10, 4.4))
    growth, validity = figure.subplots(1, 2, width_ratios=[1.3, 1])
    _draw_growth(growth, story)
    _draw_valid_times(validity, story)
    add_legend(figure, growth, validity)
    return figure


def _draw_growth(axes: Axes, story: Story) -> None:
    evidence = story.evaluated
    errors, top = evidence.closed_loop.errors, readable_error(evidence)
    time = evidence.time_step * np.arange(1.0, errors.shape[1] + 1)
    shown = np.where(np.isfinite(errors), errors, np.inf)
    middle = np.median(shown, axis=0)
    if len(shown) > 1:
        low, high = np.minimum([shown.min(axis=0), shown.max(axis=0)], min(top, 1e300))
        label = "best to worst origin"
        axes.fill_between(time, low, high, color=MODEL, alpha=0.25, linewidth=0, label=label)
    axes.plot(time, middle, marker_for(len(time)) or "-", color=MODEL, label="median origin")
    if evidence.spread:
        draw_valid_limit(axes, evidence)
        _draw_slope(axes, evidence, time, middle)
    fit_log(axes, np.append(shown, evidence.valid_limit), top=top)
    axes.set(xlabel=story.time_ahead, ylabel=story.in_unit("error at this time"))
    axes.set_title("growth of errors")


def _draw_slope(
    axes: Axes,
    evidence: Evidence,
    time: Float[np.ndarray, " steps"],
    middle: Float[np.ndarray, " steps"],
) -> None:
    """Draw the growth of a small error, through the median halfway up to the valid limit."""
    exponent = evidence.exponent or 0.0
    valid = int(np.argmax(np.append(middle, np.inf) > evidence.valid_limit))
    if not 0 < exponent < 1e6 or valid < 3 or not middle[0] > 0:
        return
    halfway = np.sqrt(middle[0] * evidence.valid_limit)
    at = int(np.argmax(middle[:valid] >= halfway)) or valid // 2
    reach = np.log(evidence.valid_limit / middle[at]) / exponent
    span = np.array([max(time[0], time[at] - 2 * reach), min(time[at] + reach, time[-1])])
    line = middle[at] * np.exp(exponent * (span - time[at]))
    label = f"growth by the Lyapunov exponent, {exponent:.3g} per time unit"
    axes.plot(span, line, color=ACCENT, linestyle=(0, (4, 2)), label=label)


def _draw_valid_times(axes: Axes, story: Story) -> None:
    evidence = story.evaluated
    steps = evidence.closed_loop.steps
    axes.set(xlabel=story.time_ahead, ylabel="share of forecasts still valid", ylim=(0, 1.05))
    if not evidence.spread:
        axes.set_title("valid time: none, a constant has no scale")
        return
    valid = np.sort(valid_steps(evidence.closed_loop.errors, limit=evidence.valid_limit))
    ended = valid[np.isfinite(valid)]
    ends = evidence.time_step * np.concatenate([[0.0], ended, [steps]])
    left = 1 - np.append(np.arange(len(ended) + 1.0), len(ended)) / len(valid)
    axes.step(ends, left, where="post", color=MODEL)
    median = float(valid[(len(valid) - 1) // 2])
    middle = evidence.time_step * min(median, steps)
    words = f"valid time, median {'> ' if np.isinf(median) else ''}{middle:.3g}"
    if evidence.exponent and 0 < evidence.exponent < 1e6:
        words += f" ({middle * evidence.exponent:.3g} Lyapunov times)"
    axes.axvline(middle, color=TRUTH, linewidth=0.9, linestyle=":")
    axes.set_title(words)


def attractor(story: Story) -> Figure:
    """The attractor of the truth and of a free run side by side, and their map of maxima."""
    evidence, outputs = story.evaluated, story.by_output
    last = len(outputs) - 1
    truth = evidence.open_loop[0].truth[0]
    run = evidence.dynamics.outputs[0][: len(truth)]
    lag = decorrelation_steps(truth[:, :1]) if last == 0 else 0
    if lag >= min(len(truth), len(run)):
        lag = 0
    x, y = ([each[: len(each) - lag, 0], each[lag:, last]] for each in (truth, run))
    names = [outputs[0].signal, f"{outputs[0].signal}, {lag} steps later"]
    if last:
        names[1] = outputs[last].signal
    limits = [readable_limits(*pair) for pair in zip(x, y, strict=True)]
    figure = Figure(figsize=(11, 4.2))
    panels = figure.subplots(1, 3)
    for axes, pair, colour, title in zip(
        panels, (x, y), (TRUTH, MODEL), ("truth", "free run, after its transient"), strict=False
    ):
        axes.plot(*pair, color=colour, markersize=2.5, **_DOTS)
        axes.set(xlabel=names[0], ylabel=names[1], xlim=limits[0], ylim=limits[1], title=title)
    _draw_maxima(panels[2], truth[:, last], run[:, last], outputs[last].signal)
    add_legend(figure, panels[2])
    return figure


def _draw_maxima(
    axes: Axes, truth: Float[np.ndarray, " n"], run: Float[np.ndarray, " m"], name: str
) -> None:
    """Draw each maximum over the one before; on a low-dimensional attractor they are a curve."""
    found = [maxima(each) for each in (truth, run)]
    looks: list[dict[str, Any]] = [
        {"color": FAINT, "markersize": 9},
        {"color": MODEL, "markersize": 4},
    ]
    for values, look, label in zip(found, looks, ("truth", "free run"), strict=True):
        axes.plot(values[:-1], values[1:], label=label, **look, **_DOTS)
    low, high = readable_limits(*found) if len(found[0]) > 1 else (0.0, 1.0)
    least = 0.1 * float(np.ptp(truth))  # maxima of a periodic series are all alike
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=f"maximum of {name}")
    axes.set(ylabel="next maximum", title="return map of maxima")


def maxima(samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, " maximum"]:
    """Return the local maxima: the vertex of the parabola through each with its neighbours."""
    finite = np.isfinite(samples)
    kept = samples if finite.all() else samples[: int(finite.argmin())]
    if len(kept) < 3:
        return np.empty(0)
    with np.errstate(all="ignore"):  # of a diverging run
        before, at, after = kept[:-2], kept[1:-1], kept[2:]
        inside = np.flatnonzero((at > before) & (at >= after))
        slope, bend = (after - before)[inside] / 2, (before - 2 * at + after)[inside]
        return at[inside] - slope**2 / (2 * bend)
