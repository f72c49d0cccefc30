"""Figures of the training: the updates, and beside them the iterations of refinement."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import MaxNLocator

from sinernn.plotting.style import ACCENT, FAINT, MODEL, PURPLE, TRUTH, Story, marker_for, use_log


def loss_curve(story: Story) -> Figure:
    """One-step loss and closed-loop error, with the learning rate below, and refinement beside."""
    figure = Figure(figsize=(10 if story.is_refined else 7.5, 5))
    grid = figure.add_gridspec(2, 1, height_ratios=[3, 1])
    panels = draw_training(figure, grid[0], story)
    bottom = figure.add_subplot(
        grid[1].subgridspec(1, len(panels), **_widths(story))[0], sharex=panels[0]
    )
    panels[0].set_title(f"{story.title}: training\n")
    panels[0].tick_params(labelbottom=False)
    handles = {str(line.get_label()): line for axes in panels for line in axes.get_lines()}
    shown = {label: line for label, line in handles.items() if not label.startswith("_")}
    legend = panels[0].legend(
        shown.values(),
        shown.keys(),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        borderaxespad=0,
    )
    legend.set_in_layout(False)  # it may reach over the panel beside; the title leaves space for it
    bottom.plot(story.metrics["step"], story.metrics["learning_rate"], color=TRUTH)
    bottom.set(ylabel="learning rate", xlabel="updates", ylim=(0, None))
    return figure


def draw_training(figure: Figure, place: SubplotSpec, story: Story) -> list[Axes]:
    """Draw the updates, and where there are any the iterations of refinement to their right."""
    grid = place.subgridspec(1, 2 if story.is_refined else 1, **_widths(story))
    updates = figure.add_subplot(grid[0])
    _draw_updates(updates, story.metrics)
    if not story.is_refined:
        return [updates]
    refinement = figure.add_subplot(grid[1], sharey=updates)
    _draw_refinement(refinement, story.refinement)
    refinement.tick_params(labelleft=False)
    return [updates, refinement]


def _widths(story: Story) -> dict[str, list[float]]:
    return {"width_ratios": [3.0, 2.0]} if story.is_refined else {}


def _draw_updates(axes: Axes, metrics: dict[str, Float[np.ndarray, " row"]]) -> None:
    """Draw the one-step loss, and the closed-loop error where it was evaluated."""
    axes.plot(metrics["step"], metrics["loss"], color=MODEL, label="one-step loss (scaled units²)")
    axes.set_ylabel("mean squared error")
    use_log(axes.yaxis)
    if _draw_closed_loop_rmse(axes, metrics):
        axes.set_ylabel("error")


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
    shown = np.isfinite(metrics["closed_loop_rmse"])
    if shown.any():
        axes.plot(
            metrics["step"][shown],
            metrics["closed_loop_rmse"][shown],
            "o--",
            color=ACCENT,
            markersize=5,
            label="closed-loop RMSE, validation (signal units)",
        )
    return bool(shown.any())
