"""Figures of the hidden state: its orbit, and what becomes of small changes along it."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sinernn.plotting.style import ACCENT, FAINT, MODEL, TRUTH, Story, count_steps, readable_limits

_LAST_STEPS = 100  # of the free run, drawn apart: where it has got to


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
        for set_label, which in ((axes.set_xlabel, 0), (axes.set_ylabel, second)):
            share = dynamics.explained[which]
            set_label(f"component {which + 1} ({share:.1%} of variance)")
        axes.set(xlim=readable_limits(driven[0], free[0]), ylim=readable_limits(driven[1], free[1]))
    first = figure.axes[0]
    first.set_title(f"{story.title}: hidden state over {count_steps(len(dynamics.driven))}")
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def eigenvalues(story: Story) -> Figure:
    """Eigenvalues of the recurrent Jacobian along the orbit, driven and free; the unit circle."""
    dynamics = story.evaluated.dynamics
    figure = Figure(figsize=(9, 4.7))
    left, right = figure.subplots(1, 2)
    both = (dynamics.driven_eigenvalues, dynamics.free_eigenvalues)
    reach = 1.1 * max(1.0, *(float(np.abs(values).max(initial=0)) for values in both))
    for axes, values in zip((left, right), both, strict=True):
        _draw_eigenvalues(axes, values, reach)
    left.set_title(f"{story.title}: Jacobian, inputs held fixed")
    right.set_title("with the output fed back: the free run's")
    return figure


def _draw_eigenvalues(axes: Axes, values: Float[np.ndarray, "place n 2"], reach: float) -> None:
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color=TRUTH, linewidth=0.9)
    real, imaginary = values.reshape(-1, 2).T
    axes.plot(real, imaginary, ".", color=MODEL, markersize=4, alpha=0.5)
    if not len(values):
        why = "none: the state is too large,\nor it diverged"
        axes.text(0, 0, why, horizontalalignment="center", backgroundcolor="white")
    axes.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
