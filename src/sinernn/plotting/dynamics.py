"""Figures of the hidden state: its orbit, and the Jacobian's eigenvalues along it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sinernn.arrays import Float
from sinernn.evaluation.metrics import counted
from sinernn.plotting.style import (
    ACCENT,
    FAINT,
    MODEL,
    TRUTH,
    Story,
    add_legend,
    leaving_step,
    readable_limits,
)

_PHASES = "twilight"  # the end of a period has the color of its beginning
_LAST_STEPS = 100  # of the free run, highlighted; of a short one a fifth


def orbit(story: Story) -> Figure:
    """The hidden state's orbit in principal components: driven by true samples, and free."""
    dynamics = story.evaluated.dynamics
    figure = Figure(figsize=(9, 4.8))
    steps = len(dynamics.free)
    for axes, second in zip(figure.subplots(1, 2), (1, 2), strict=True):
        pair = [0, second]
        driven, free = dynamics.driven[:, pair].T, dynamics.free[:, pair].T
        limits = [readable_limits(*each) for each in zip(driven, free, strict=True)]
        left = [leaving_step(*each) for each in zip(free, limits, strict=True)]
        end = min((each for each in left if each), default=steps + 1) - 1  # states shown
        last = min(_LAST_STEPS, -(-end // 5))
        axes.plot(*driven, color=FAINT, linewidth=4, label="driven by true samples")
        axes.plot(*free, color=MODEL, linewidth=0.9, label="free run")
        leaves = f"before it leaves at step {end}"  # the first state is that of step 0
        label = f"its last {counted(last)}" if end == steps else leaves
        axes.plot(*free[:, end - last : end], ".", color=ACCENT, markersize=4, label=label)
        axes.plot(*driven[:, 0], "s", color=TRUTH, markersize=6, label="start")
        _draw_direction(axes, driven)
        x, y = (f"component {i + 1} ({dynamics.explained[i]:.1%} variance)" for i in pair)
        axes.set(xlabel=x, ylabel=y, xlim=limits[0], ylim=limits[1])
    first = figure.axes[0]
    horizon = story.evaluated.closed_loop.steps
    shown = f"the first {steps} of " if steps < horizon else ""
    first.set_title(f"hidden state over {shown}{counted(horizon)}")
    add_legend(figure, first)
    return figure


def _draw_direction(axes: Axes, curve: Float[np.ndarray, "2 steps"]) -> None:
    """Draw an arrow along a curve, away from its start."""
    reach = np.ptp(curve, axis=1, keepdims=True)
    far = (np.abs(curve - curve[:, :1]) > 0.15 * reach).any(axis=0)[:-1]
    if far.any():
        at = int(far.argmax())
        arrow = {"arrowstyle": "-|>", "color": TRUTH, "mutation_scale": 16, "shrinkA": 0}
        begin, end = (tuple(curve[:, place].tolist()) for place in (at, at + 1))
        axes.annotate("", end, xytext=begin, arrowprops=arrow)


def eigenvalues(story: Story) -> Figure:
    """Eigenvalues of the recurrent Jacobian along the orbit, driven and free; the unit circle."""
    evidence = story.evaluated
    dynamics = evidence.dynamics
    figure = Figure(figsize=(9, 4.7))
    *panels, scale = figure.subplots(1, 3, width_ratios=[1, 1, 0.05])
    both = (dynamics.driven_eigenvalues, dynamics.free_eigenvalues)
    reach = 1.1 * max(1.0, *(float(np.abs(values).max(initial=0)) for values in both))
    angle = np.linspace(0, 2 * np.pi, 200)
    for axes, values in zip(panels, both, strict=True):
        axes.plot(np.cos(angle), np.sin(angle), color=TRUTH, linewidth=0.9)
        # They are evenly spread over the orbit.
        steps = np.linspace(0, len(dynamics.driven) - 1, len(values)).round()
        part = steps / max(len(dynamics.driven) - 1, 1)
        if evidence.period:
            part = steps * evidence.time_step / evidence.period % 1
        colors = np.repeat(part, values.shape[1])
        look = {"s": 14, "edgecolors": "#606060", "linewidths": 0.3}  # some colors are light
        axes.scatter(*values.reshape(-1, 2).T, c=colors, cmap=_PHASES, vmin=0, vmax=1, **look)
        if not len(values):
            why = "none: the state is too large,\nor it diverged"
            axes.text(0, 0, why, horizontalalignment="center", backgroundcolor="white")
        axes.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
    panels[0].set_title("Jacobian, inputs held fixed")
    finite = np.isfinite(dynamics.free).all(axis=1)
    until = "" if finite.all() else f", up to step {int(finite.argmin())}, where it diverges"
    panels[1].set_title(f"with the output fed back: the free run's{until}")
    ramp = np.linspace(1, 0, 256)[:, None]
    scale.imshow(ramp, _PHASES, aspect="auto", extent=(0, 1, 0, 1), zorder=1)
    scale.set(xticks=[], ylabel="phase (periods)" if evidence.period else "part of the orbit")
    scale.grid(visible=False)
    return figure
