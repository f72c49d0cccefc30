"""How a network learned: its free run with the weights of each snapshot, as panels or frames.

In an animation one figure is drawn again and again, of which the lines of the free run and a title
change; its axes fit all frames.
"""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from sinernn.arrays import Float
from sinernn.evaluation.metrics import counted, evenly_spaced, rmse
from sinernn.plotting.style import (
    ACCENT,
    FAINT,
    Story,
    add_legend,
    draw_valid_limit,
    fit_log,
    readable_error,
    readable_limits,
)
from sinernn.plotting.waveforms import DETAIL_STEPS, draw_free_run, error_window, moving_rms

_COLUMNS, _PANELS = 3, 12


def learning(story: Story) -> Figure:
    """Free runs with the weights of snapshots; an animation with --format gif or mp4."""
    moments = _moments(story)
    captions = [_caption(label, moments[label], "\n") for label in moments]
    stories = [moment.by_output[0] for moment in moments.values()]
    shown: list[int] = evenly_spaced(len(stories), _PANELS).tolist()
    rows = -(-len(shown) // _COLUMNS)
    figure = Figure(figsize=(10, 1.2 + 1.7 * max(rows, 2)))
    grid = figure.add_gridspec(rows, _COLUMNS)
    for place, index in enumerate(shown):
        one, first = stories[index], figure.axes[0] if figure.axes else None
        axes = figure.add_subplot(grid[place], sharey=first)
        draw_free_run(axes, one, 0, 0, min(one.evaluated.closed_loop.steps, DETAIL_STEPS))
        axes.set_title(captions[index] + (story.left_out if place == 0 else ""))
        if place % _COLUMNS:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel(one.in_unit(one.signal))
        if place + _COLUMNS < len(shown):
            axes.set_xlabel("")
    figure.axes[0].set_ylim(*_limits(stories))
    add_legend(figure, figure.axes[0])
    return figure


class LearningFrames:
    """The frames of the animation."""

    def __init__(self, story: Story) -> None:
        self._story, self._moments = story, _moments(story)
        self._captions = [_caption(label, self._moments[label], ": ") for label in self._moments]
        self._lines: list[tuple[Line2D, Float[np.ndarray, "frame points"]]] = []
        self._earlier: list[Line2D] = []
        self._totals = [_total(moment) for moment in self._moments.values()]
        self._dot = Line2D([], [])
        self._title = Text()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._captions)

    def draw(self) -> Figure:
        """Return a new figure, which shows the last frame."""
        self._lines, self._earlier = [], []
        by_output = [
            [moment.by_output[channel] for moment in self._moments.values()]
            for channel in range(len(self._story.by_output))
        ]
        rows = len(by_output)
        figure = Figure(figsize=(10, 4 + 1.4 * rows))
        heights = [*[1.1 if rows == 1 else 0.7] * rows, 1]
        grid = figure.add_gridspec(rows + 1, 1, height_ratios=heights)
        for channel, stories in enumerate(by_output):
            self._draw_waves(figure, grid[channel], stories)
            if channel < rows - 1:
                for axes in figure.axes:
                    axes.set_xlabel("")
        first = figure.axes[0]
        self._title = first.set_title(max(self._captions, key=len) + self._story.left_out)
        bottom = grid[rows].subgridspec(1, 2, width_ratios=[1.6, 1])
        self._draw_errors(figure, bottom[0])
        self._draw_progress(figure, bottom[1])
        add_legend(figure, first, figure.axes[-2])
        self.show(len(self) - 1)
        return figure

    def show(self, frame: int) -> None:
        """Change the figure to a frame, from 0."""
        self._title.set_text(self._captions[frame] + self._story.left_out)
        for line, values in self._lines:
            line.set_ydata(values[frame])
        for number, line in enumerate(self._earlier):
            line.set_visible(number < frame)
        self._dot.set_data([frame + 1], [self._totals[frame]])

    def _draw_waves(self, figure: Figure, place: SubplotSpec, stories: list[Story]) -> None:
        """Draw an output's free run over the truth; of a long one the beginning and the end."""
        one = stories[-1]
        steps = one.evaluated.closed_loop.steps
        spans = [(0, steps)]
        if steps > 2 * DETAIL_STEPS:
            spans = [(0, DETAIL_STEPS), (steps - DETAIL_STEPS, steps)]
        grid, is_first = place.subgridspec(1, len(spans)), not figure.axes
        panels = [figure.add_subplot(grid[0])]
        panels += [figure.add_subplot(grid[n], sharey=panels[0]) for n in range(1, len(spans))]
        runs = np.array([each.evaluated.closed_loop.prediction[0, :, 0] for each in stories])
        for axes, (begin, end) in zip(panels, spans, strict=True):
            self._lines.append((draw_free_run(axes, one, 0, begin, end), runs[:, begin:end]))
        for axes in panels[1:]:
            axes.tick_params(labelleft=False)
            axes.set_title(f"its last {DETAIL_STEPS} of {steps} steps" if is_first else "")
        panels[0].set_ylabel(one.in_unit(one.signal))
        panels[0].set_ylim(*_limits(stories))

    def _draw_errors(self, figure: Figure, place: SubplotSpec) -> None:
        """Draw the error over the steps, and those of earlier frames behind it."""
        axes, evidence = figure.add_subplot(place), self._story.evaluated
        steps = evidence.closed_loop.steps
        window = error_window(evidence, steps)
        each = [moment.evaluated.closed_loop.errors[0] for moment in self._moments.values()]
        errors = moving_rms(np.array(each), window)
        ahead = range(1, steps + 1)
        for values in errors:
            label = "errors of earlier snapshots"
            self._earlier += axes.plot(ahead, values, color=FAINT, linewidth=0.6, label=label)
        (line,) = axes.plot(ahead, errors[-1], color=ACCENT, label="error of the free run")
        self._lines.append((line, errors))
        axes.set(xlabel="steps ahead", ylabel=self._story.in_unit("error"))
        axes.set_xlim(0, steps)
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        draw_valid_limit(axes, evidence)
        shown = np.append(errors, evidence.valid_limit)
        fit_log(axes, shown, top=readable_error(evidence), cut=0.01)
        axes.set_title(f"error, {'step by step' if window == 1 else f'RMS of {window} steps'}")

    def _draw_progress(self, figure: Figure, place: SubplotSpec) -> None:
        """Draw the RMSE of all snapshots, and a dot for that of the frame."""
        axes = figure.add_subplot(place)
        numbers = range(1, len(self) + 1)
        axes.plot(numbers, self._totals, color=FAINT)
        (self._dot,) = axes.plot([], [], "o", color=ACCENT)
        axes.set(xlabel="snapshot", ylabel=self._story.in_unit("RMSE"))
        axes.set_xlim(0, len(self) + 1)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        fit_log(axes, np.array(self._totals), top=readable_error(self._story.evaluated))
        axes.set_title("RMSE over all steps")


def _moments(story: Story) -> dict[str, Story]:
    """Return the story of the typical free run alone with the weights of each snapshot."""
    evidence = story.evaluated
    if not story.learning:
        raise ValueError("this figure shows snapshots, and there are none")
    forecasts = evidence.closed_loop
    origin = slice(forecasts.typical, forecasts.typical + 1)
    inputs = None if forecasts.inputs is None else forecasts.inputs[origin]
    alone = replace(
        forecasts,
        time=forecasts.time[origin],
        observed=forecasts.observed[origin],
        truth=forecasts.truth[origin],
        prediction=forecasts.prediction[origin],
        inputs=inputs,
    )
    return {
        label: replace(
            story,
            evidence=replace(evidence, closed_loop=replace(alone, prediction=prediction[None])),
        )
        for label, prediction in story.learning.items()
    }


def _total(moment: Story) -> float:
    """Return the RMSE over all steps; NaN if the free run diverged."""
    return rmse(moment.evaluated.closed_loop.errors[0])


def _caption(label: str, moment: Story, between: str) -> str:
    total, forecasts = _total(moment), moment.evaluated.closed_loop
    result = f"RMSE {total:.2g} over {counted(forecasts.steps)}"
    if not np.isfinite(total):
        result = f"diverges at step {forecasts.diverged_at[0]} of {forecasts.steps}"
    return f"{label}{between}{result}"


def _limits(stories: list[Story]) -> tuple[float, float]:
    """Return the range of an output that all its panels show."""
    forecasts = [story.evaluated.closed_loop for story in stories]
    shown = np.concatenate([forecasts[0].truth.ravel(), forecasts[0].observed.ravel()])
    return readable_limits(shown, np.concatenate([each.prediction.ravel() for each in forecasts]))
