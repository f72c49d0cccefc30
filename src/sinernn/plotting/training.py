"""Figures of the training: updates, and iterations of refinement."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec, SubplotSpec
from matplotlib.ticker import MaxNLocator

from sinernn.arrays import Float
from sinernn.plotting.style import (
    ACCENT,
    FAINT,
    GREEN,
    PURPLE,
    TRUTH,
    Story,
    add_legend,
    fit_log,
    marker_for,
    use_log,
)

_LOOPS = {"open": (GREEN, "one step ahead, training"), "closed": (PURPLE, "free run, training")}
"""Color and label of the training error of a loop."""


def loss_curve(story: Story) -> Figure:
    """RMSE one step ahead and of free runs, over the updates and the stages of refinement."""
    figure = Figure(figsize=(10 if story.is_refined else 7.5, 5))
    grid = figure.add_gridspec(2, 1, height_ratios=[3, 1])
    panels = draw_training(figure, grid[0], story)
    pad = 18 if story.is_refined else None  # the numbers of stages stand beside it
    panels[0].set_title("training", pad=pad)
    add_legend(figure, *panels)
    columns = _columns(grid[1], story)
    rate = figure.add_subplot(columns[0], sharex=panels[0])
    rate.plot(story.metrics["step"], story.metrics["learning_rate"], color=TRUTH)
    rate.set(ylabel="learning rate", xlabel="updates", ylim=(0, None))
    if story.is_refined:
        damping = figure.add_subplot(columns[1], sharex=panels[1])
        damping.plot(story.refinement["step"], story.refinement["damping"], color=TRUTH)
        fit_log(damping, story.refinement["damping"])
        damping.set(ylabel="damping", xlabel="iterations of refinement")
    for axes in panels:
        axes.tick_params(labelbottom=False)
        axes.set_xlabel("")
    return figure


def draw_training(figure: Figure, place: SubplotSpec, story: Story) -> list[Axes]:
    """Draw the RMSE over the updates, and to the right over the iterations of refinement, if any.

    Losses are mean squares in scaled units; their root is drawn in signal units, as other errors
    are. The line at the standard deviation of the noise is the RMSE of a perfect forecast.
    """
    grid = _columns(place, story)
    updates = figure.add_subplot(grid[0])
    _draw_error(updates, story, "open", story.metrics["step"], story.metrics["loss"])
    use_log(updates.yaxis)
    _draw_closed_loop_rmse(updates, story.metrics)
    updates.set(xlabel="updates", ylabel=story.in_unit("RMSE"))
    if story.diverged_at is not None:
        updates.axvline(story.diverged_at, color=ACCENT, linestyle="--", label="diverged")
    panels = [updates]
    if story.is_refined:
        panels.append(figure.add_subplot(grid[1], sharey=updates))
        _draw_refinement(panels[1], story)
        panels[1].tick_params(labelleft=False)
    for axes in panels if story.noise else ():
        axes.axhline(story.noise, color=TRUTH, linestyle="-.", linewidth=1, label="noise floor")
    return panels


def _columns(place: SubplotSpec, story: Story) -> GridSpecFromSubplotSpec:
    """Return a column for the updates, and one for the refinement, if there is any."""
    widths = [3, 2] if story.is_refined else [1]
    return place.subgridspec(1, len(widths), width_ratios=widths)


def _draw_error(
    axes: Axes,
    story: Story,
    loop: str,
    steps: Float[np.ndarray, " row"],
    losses: Float[np.ndarray, " row"],
) -> None:
    color, label = _LOOPS[loop]
    if story.scale is None:
        label += " (scaled units)"
    rmse = np.sqrt(losses) * (story.scale or 1.0)
    axes.plot(steps, rmse, marker=marker_for(len(steps)), color=color, label=label)


def _draw_refinement(axes: Axes, story: Story) -> None:
    """Draw the error that each stage minimises, and the closed-loop error on validation."""
    metrics = story.refinement
    labelled, spacing = -np.inf, 0.05 * float(np.ptp(metrics["step"]))
    for stage in map(int, np.unique(metrics["stage"])):
        rows = (metrics["stage"] == stage) & np.isfinite(metrics["loss"])
        if not rows.any():
            continue
        steps = metrics["step"][rows]
        loop = story.loops[stage] if stage < len(story.loops) else "closed"
        _draw_error(axes, story, loop, steps, metrics["loss"][rows])
        axes.axvline(steps[-1] + 0.5, color=FAINT, linewidth=0.8, linestyle=":")
        if (middle := float(steps.mean())) >= labelled + spacing:
            above = axes.get_xaxis_transform()
            axes.text(middle, 1.02, f"{stage + 1}", transform=above, ha="center", fontsize="small")
            labelled = middle
    _draw_closed_loop_rmse(axes, metrics)
    axes.set_title("refinement, by stage", pad=18)  # their numbers stand below
    axes.set_xlabel("iterations of refinement")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _draw_closed_loop_rmse(axes: Axes, metrics: dict[str, Float[np.ndarray, " row"]]) -> None:
    """Draw the closed-loop error where it was evaluated."""
    steps, errors = metrics["step"], metrics["closed_loop_rmse"]
    shown = np.isfinite(errors)
    if shown.any():
        label = "free run, validation"
        axes.plot(steps[shown], errors[shown], "o--", color=ACCENT, markersize=5, label=label)
