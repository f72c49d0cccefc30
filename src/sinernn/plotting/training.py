"""Figures of the training: updates, and iterations of refinement."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec, SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sinernn.arrays import Float
from sinernn.plotting.style import ACCENT, FAINT, MODEL, PURPLE, TRUTH, Story, marker_for, use_log


def loss_curve(story: Story) -> Figure:
    """One-step loss, closed-loop error and learning rate; to the right the refinement's errors."""
    figure = Figure(figsize=(10 if story.is_refined else 7.5, 5))
    grid = figure.add_gridspec(2, 1, height_ratios=[3, 1])
    panels = draw_training(figure, grid[0], story)
    bottom = figure.add_subplot(_columns(grid[1], story)[0], sharex=panels[0])
    panels[0].set_title(f"{story.title}: training\n")
    panels[0].tick_params(labelbottom=False)
    lines = {str(line.get_label()): line for axes in panels for line in axes.get_lines()}
    named = {label: line for label, line in lines.items() if not label.startswith("_")}
    add_legend_above(panels[0], named, ncols=3)
    bottom.plot(story.metrics["step"], story.metrics["learning_rate"], color=TRUTH)
    bottom.set(ylabel="learning rate", xlabel="updates", ylim=(0, None))
    return figure


def add_legend_above(
    axes: Axes, lines: dict[str, Line2D], *, ncols: int, fontsize: str | None = None
) -> None:
    """Add a legend between a panel and its title, which leaves space for it."""
    legend = axes.legend(
        lines.values(),
        lines.keys(),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=ncols,
        borderaxespad=0,
        fontsize=fontsize,
    )
    legend.set_in_layout(False)  # it may extend over the panel to the right


def draw_training(figure: Figure, place: SubplotSpec, story: Story) -> list[Axes]:
    """Draw the updates, and to their right the iterations of refinement, if there are any."""
    grid = _columns(place, story)
    updates = figure.add_subplot(grid[0])
    _draw_updates(updates, story.metrics)
    if not story.is_refined:
        return [updates]
    refinement = figure.add_subplot(grid[1], sharey=updates)
    _draw_refinement(refinement, story.refinement)
    refinement.tick_params(labelleft=False)
    return [updates, refinement]


def _columns(place: SubplotSpec, story: Story) -> GridSpecFromSubplotSpec:
    """Return a column for the updates, and one for the refinement, if there is any."""
    widths = [3, 2] if story.is_refined else [1]
    return place.subgridspec(1, len(widths), width_ratios=widths)


def _draw_updates(axes: Axes, metrics: dict[str, Float[np.ndarray, " row"]]) -> None:
    """Draw the one-step loss, and the closed-loop error where it was evaluated."""
    axes.plot(metrics["step"], metrics["loss"], color=MODEL, label="one-step loss (scaled units²)")
    use_log(axes.yaxis)
    is_evaluated = _draw_closed_loop_rmse(axes, metrics)
    axes.set_ylabel("error" if is_evaluated else "mean squared error")


def _draw_refinement(axes: Axes, metrics: dict[str, Float[np.ndarray, " row"]]) -> None:
    """Draw the error that each stage minimises, and the closed-loop error on validation."""
    label = "loss of a stage (scaled units²)"
    for stage in np.unique(metrics["stage"]):
        rows = (metrics["stage"] == stage) & np.isfinite(metrics["loss"])
        if not rows.any():
            continue
        steps = metrics["step"][rows]
        marker = marker_for(len(steps))
        axes.plot(steps, metrics["loss"][rows], color=PURPLE, marker=marker, label=label)
        axes.axvline(steps[-1] + 0.5, color=FAINT, linewidth=0.8, linestyle=":")
        label = "_the same"
    _draw_closed_loop_rmse(axes, metrics)
    axes.set_xlabel("iterations of refinement")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _draw_closed_loop_rmse(axes: Axes, metrics: dict[str, Float[np.ndarray, " row"]]) -> bool:
    """Draw the closed-loop error where it was evaluated; return whether it was."""
    steps, errors = metrics["step"], metrics["closed_loop_rmse"]
    shown = np.isfinite(errors)
    label = "closed-loop RMSE, validation (signal units)"
    if shown.any():
        axes.plot(steps[shown], errors[shown], "o--", color=ACCENT, markersize=5, label=label)
    return bool(shown.any())
