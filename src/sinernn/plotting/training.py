"""Figures of the training."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sinernn.plotting.style import ACCENT, MODEL, TRUTH, Story


def loss(story: Story) -> Figure:
    """One-step loss and closed-loop error over the updates, with the learning rate below."""
    figure = Figure(figsize=(7.5, 5))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    draw_losses(top, story)
    top.set_title(f"{story.title}: training\n")
    top.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    bottom.plot(story.metrics["step"], story.metrics["learning_rate"], color=TRUTH)
    bottom.set(ylabel="learning rate", xlabel="updates", ylim=(0, None))
    return figure


def draw_losses(axes: Axes, story: Story) -> None:
    """Draw the one-step loss, and the closed-loop error where it was evaluated."""
    steps, closed_loop_rmse = story.metrics["step"], story.metrics["closed_loop_rmse"]
    axes.plot(steps, story.metrics["loss"], color=MODEL, label="one-step loss (scaled units²)")
    axes.set(yscale="log", ylabel="mean squared error")
    shown = np.isfinite(closed_loop_rmse)
    if shown.any():
        axes.plot(
            steps[shown],
            closed_loop_rmse[shown],
            "o--",
            color=ACCENT,
            markersize=5,
            label="closed-loop RMSE, validation (signal units)",
        )
        axes.set_ylabel("error")
