"""Figures of the hidden state: its orbit, and the Jacobian's eigenvalues along it."""

import numpy as np
from matplotlib.figure import Figure

from sinernn.evaluation.metrics import counted
from sinernn.plotting.style import ACCENT, FAINT, MODEL, TRUTH, Story, add_legend, readable_limits

_LAST_STEPS = 100  # of the free run, highlighted


def orbit(story: Story) -> Figure:
    """The hidden state's orbit in principal components: driven by true samples, and free."""
    dynamics = story.evaluated.dynamics
    figure = Figure(figsize=(9, 4.8))
    for axes, second in zip(figure.subplots(1, 2), (1, 2), strict=True):
        pair = [0, second]
        driven, free = dynamics.driven[:, pair].T, dynamics.free[:, pair].T
        axes.plot(*driven, color=FAINT, linewidth=4, label="driven by true samples")
        axes.plot(*free, color=MODEL, linewidth=0.9, label="free run")
        axes.plot(*free[:, -_LAST_STEPS:], ".", color=ACCENT, markersize=4, label="its last steps")
        axes.plot(*driven[:, 0], "s", color=TRUTH, markersize=6, label="start")
        x, y = (f"component {i + 1} ({dynamics.explained[i]:.1%} of variance)" for i in pair)
        axes.set(xlabel=x, ylabel=y)
        axes.set(xlim=readable_limits(driven[0], free[0]), ylim=readable_limits(driven[1], free[1]))
    first = figure.axes[0]
    first.set_title(f"hidden state over {counted(len(dynamics.driven))}")
    add_legend(figure, first)
    return figure


def eigenvalues(story: Story) -> Figure:
    """Eigenvalues of the recurrent Jacobian along the orbit, driven and free; the unit circle."""
    dynamics = story.evaluated.dynamics
    figure = Figure(figsize=(9, 4.7))
    panels = figure.subplots(1, 2)
    both = (dynamics.driven_eigenvalues, dynamics.free_eigenvalues)
    reach = 1.1 * max(1.0, *(float(np.abs(values).max(initial=0)) for values in both))
    angle = np.linspace(0, 2 * np.pi, 200)
    for axes, values in zip(panels, both, strict=True):
        axes.plot(np.cos(angle), np.sin(angle), color=TRUTH, linewidth=0.9)
        axes.plot(*values.reshape(-1, 2).T, ".", color=MODEL, markersize=4, alpha=0.5)
        if not len(values):
            why = "none: the state is too large,\nor it diverged"
            axes.text(0, 0, why, horizontalalignment="center", backgroundcolor="white")
        axes.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
    panels[0].set_title("Jacobian, inputs held fixed")
    panels[1].set_title("with the output fed back: the free run's")
    return figure
