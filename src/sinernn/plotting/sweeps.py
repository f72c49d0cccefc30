"""Figures of sweeps: their shape follows the number of settings that vary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sinernn.arrays import Bool, Float
from sinernn.plotting.style import ACCENT, FAINT, MODEL, TRUTH, add_legend, fit_log, use_log

_MOST_LABELS = 12  # of values on an axis
_COLORS = "viridis_r"  # the darker, the larger


@dataclass(frozen=True)
class Varied:
    """A setting that varies: where the points stand on its axis."""

    name: str
    places: Float[np.ndarray, " point"]
    labels: tuple[str, ...] = ()
    """Of the places 0, 1, 2, ...; empty if the places are the values."""

    is_log: bool = False


@dataclass(frozen=True)
class SweepScores:
    """Data of a sweep's figures."""

    metric: str
    values: Float[np.ndarray, "point seed"]
    """The metric of each run; NaN if it has none."""

    failed: Bool[np.ndarray, "point seed"]
    """Whether it failed or diverged."""

    medians: Float[np.ndarray, " point"]
    """NaN if most runs failed."""

    varied: tuple[Varied, ...]
    is_grid: bool
    best: int | None
    """The best point."""

    @property
    def is_log(self) -> bool:
        """Whether the metric is drawn on a logarithmic axis: an error over more than a decade."""
        shown = self.values[np.isfinite(self.values)]
        return bool(shown.size and shown.min() > 0 and shown.max() > 10 * shown.min())


SWEEP_FIGURES = ("seeds", "line", "map", "parallel")
"""Names of the figures that fit sweeps of no setting, of one, of two, and of more."""


def sweep_figure(scores: SweepScores) -> tuple[str, Callable[[], Figure]]:
    """Return the name of the figure that fits a sweep, and a function that draws it."""
    draw = (_seeds, _line, _map, _parallel)
    shape = min(len(scores.varied), len(draw) - 1)
    return SWEEP_FIGURES[shape], lambda: draw[shape](scores)


def _seeds(scores: SweepScores) -> Figure:
    """Every seed, in the order of its score."""
    figure = Figure(figsize=(10, 5))
    axes = figure.add_subplot(figure.add_gridspec(1, 1)[0])
    shown = np.sort(scores.values[np.isfinite(scores.values)])
    label = f"a seed ({shown.size} of {scores.values.size} have a score)"
    axes.plot(np.arange(1, len(shown) + 1), shown, "o", color=MODEL, markersize=4, label=label)
    if np.isfinite(scores.medians[0]):
        axes.axhline(scores.medians[0], color=TRUTH, linewidth=1, linestyle="--", label="median")
    axes.set(xlabel="seeds in the order of their score", ylabel=scores.metric)
    _scale_scores(axes, scores)
    add_legend(figure, axes)
    return figure


def _line(scores: SweepScores) -> Figure:
    """The median of each point as a line, all seeds as dots."""
    figure = Figure(figsize=(10, 5))
    axes = figure.add_subplot(figure.add_gridspec(1, 1)[0])
    _draw_slice(axes, scores, scores.varied[0], joined=True)
    add_legend(figure, axes)
    return figure


def _map(scores: SweepScores) -> Figure:
    """The median over two settings: cells of a grid, or dots of draws, with their colour."""
    figure = Figure(figsize=(10, 6))
    grid = figure.add_gridspec(1, 12)
    axes, scale = figure.add_subplot(grid[:11]), figure.add_subplot(grid[11])
    first, second = scores.varied
    norm = _norm(scores)
    if scores.is_grid:
        rows, columns = np.unique(second.places), np.unique(first.places)
        cells = np.full((len(rows), len(columns)), np.nan)
        at = np.searchsorted(rows, second.places), np.searchsorted(columns, first.places)
        cells[at] = scores.medians
        image: Any = axes.pcolormesh(cells, cmap=_COLORS, norm=norm)
        _write_cells(axes, scores, at, image)
        if scores.best is not None:
            corner = at[1][scores.best], at[0][scores.best]
            edge = Rectangle(corner, 1, 1, fill=False, edgecolor=ACCENT, linewidth=3)
            axes.add_patch(edge)
        for axis, varied, places in ((axes.xaxis, first, columns), (axes.yaxis, second, rows)):
            _label_cells(axis, varied, places)
        axes.grid(visible=False)
    else:
        axes.scatter(
            first.places, second.places, c=scores.medians, cmap=_COLORS, norm=norm, s=40,
            edgecolors=TRUTH, linewidths=0.4, plotnonfinite=False,
        )  # fmt: skip
        lost = ~np.isfinite(scores.medians)
        axes.plot(first.places[lost], second.places[lost], "x", color=ACCENT)
        if scores.best is not None:
            place = first.places[scores.best], second.places[scores.best]
            axes.plot(*place, "o", color=ACCENT, markersize=11, fillstyle="none", markeredgewidth=2)
        _scale_setting(axes.xaxis, first, scores)
        _scale_setting(axes.yaxis, second, scores)
    axes.set(xlabel=first.name, ylabel=second.name)
    axes.set_title(f"median {scores.metric}{_marked(scores)}")
    _draw_colors(scale, norm, scores)
    return figure


def _parallel(scores: SweepScores) -> Figure:
    """Every point as a line across all settings to its score; below, the score by each setting."""
    count = len(scores.varied)
    columns = min(count, 4)
    rows = -(-count // columns)
    figure = Figure(figsize=(10, 4 + 2.6 * rows))
    grid = figure.add_gridspec(2 + rows, columns)
    axes = figure.add_subplot(grid[:2, :])
    norm = _norm(scores)
    known = np.isfinite(scores.medians)
    score = Varied(scores.metric, scores.medians, is_log=scores.is_log)
    heights = np.stack([_share(each, known) for each in (*scores.varied, score)], axis=1)
    order = np.argsort(-np.nan_to_num(scores.medians))[::1]
    order = order[known[order]]
    lines = [np.column_stack([np.arange(count + 1), heights[point]]) for point in order]
    colors = mpl.colormaps[_COLORS](norm(scores.medians[order]))
    axes.add_collection(LineCollection(lines, colors=colors, linewidths=1, alpha=0.8))
    if scores.best is not None:
        axes.plot(heights[scores.best], color=ACCENT, linewidth=2.4, label="the best point")
    for place, varied in enumerate((*scores.varied, score)):
        axes.axvline(place, color=TRUTH, linewidth=0.8)
        _label_parallel(axes, place, varied, known)
    axes.set(xlim=(-0.05, count + 0.35), ylim=(-0.05, 1.05), yticks=[])
    axes.set_xticks(
        np.arange(count + 1.0).tolist(), [*(each.name for each in scores.varied), "score"]
    )
    axes.set_title(f"median {scores.metric}, by point")
    axes.grid(visible=False)
    panels = [
        figure.add_subplot(grid[2 + index // columns, index % columns]) for index in range(count)
    ]
    for panel, varied in zip(panels, scores.varied, strict=True):
        _draw_slice(panel, scores, varied, joined=False)
        panel.set_ylabel(scores.metric if panel in panels[::columns] else "")
    add_legend(figure, axes, panels[0])
    return figure


def _draw_slice(axes: Axes, scores: SweepScores, varied: Varied, *, joined: bool) -> None:
    """Draw the score against one setting: of every run, or the median of every point."""
    if joined:
        places = np.repeat(varied.places, scores.values.shape[1])
        label = "a seed"
        axes.plot(places, scores.values.ravel(), "o", color=FAINT, markersize=4, label=label)
        order = np.argsort(varied.places, kind="stable")
        style = "o-" if scores.is_grid else "o"
        axes.plot(varied.places[order], scores.medians[order], style, color=MODEL, label="median")
        _count_failures(axes, scores, varied)
    else:
        axes.plot(
            varied.places, scores.medians, "o", color=MODEL, markersize=4, label="median of a point"
        )
    if scores.best is not None:
        place, value = varied.places[scores.best], scores.medians[scores.best]
        axes.plot(
            [place], [value], "o", color=ACCENT, markersize=8, fillstyle="none",
            markeredgewidth=1.6, label="the best point",
        )  # fmt: skip
    axes.set(xlabel=varied.name, ylabel=scores.metric)
    _scale_setting(axes.xaxis, varied, scores)
    _scale_scores(axes, scores)


def _count_failures(axes: Axes, scores: SweepScores, varied: Varied) -> None:
    """Write above each point how many of its runs have no score."""
    for place, failed in zip(varied.places, scores.failed.sum(axis=1), strict=True):
        if failed:
            axes.text(
                place, 0.99, f"{failed} failed", color=ACCENT, ha="center", va="top",
                transform=axes.get_xaxis_transform(), fontsize="small",
            )  # fmt: skip


def _scale_scores(axes: Axes, scores: SweepScores) -> None:
    if scores.is_log:
        fit_log(axes, scores.values)


def _scale_setting(axis: XAxis | YAxis, varied: Varied, scores: SweepScores) -> None:
    if varied.labels:
        axis.set_ticks(np.arange(float(len(varied.labels))).tolist(), labels=list(varied.labels))
        axis.axes.set(**{f"{axis.axis_name}lim": (-0.5, len(varied.labels) - 0.5)})
        return
    if varied.is_log:
        use_log(axis)
    distinct = np.unique(varied.places)
    if scores.is_grid and len(distinct) <= _MOST_LABELS // 2:
        axis.set_ticks(distinct.tolist(), labels=[f"{place:g}" for place in distinct])
        axis.set_ticks([], minor=True)


def _label_cells(axis: XAxis | YAxis, varied: Varied, places: Float[np.ndarray, " place"]) -> None:
    labels = [varied.labels[int(at)] if varied.labels else f"{at:g}" for at in places]
    every = -(-len(labels) // _MOST_LABELS)
    axis.set_ticks((np.arange(len(labels)) + 0.5)[::every].tolist(), labels=labels[::every])


def _write_cells(axes: Axes, scores: SweepScores, at: Sequence[Any], image: Any) -> None:
    """Write each cell's median and failures, in black or white."""
    if len(scores.medians) > 100:
        return
    for row, column, median, failed in zip(
        *at, scores.medians, scores.failed.sum(axis=1), strict=True
    ):
        text = f"{median:.2g}" if np.isfinite(median) else ""
        text += f"\n{failed} failed" if failed else ""
        red, green, blue, _ = image.cmap(image.norm(median)) if np.isfinite(median) else (1,) * 4
        is_dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
        axes.text(
            column + 0.5, row + 0.5, text.strip(), ha="center", va="center",
            color="white" if is_dark else "black",
        )  # fmt: skip


def _marked(scores: SweepScores) -> str:
    if scores.best is None:
        return ""
    return f"; the best point has a {'frame' if scores.is_grid else 'ring'}"


def _norm(scores: SweepScores) -> Normalize:
    shown = scores.medians[np.isfinite(scores.medians)]
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 1.0)
    if low == high:
        low, high = (low / 2, 2 * high) if low > 0 else (low - 1, high + 1)
    return LogNorm(low, high) if scores.is_log and low > 0 else Normalize(low, high)


def _draw_colors(axes: Axes, norm: Normalize, scores: SweepScores) -> None:
    """Draw the scale of the colours as a narrow panel."""
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 1.0)
    is_log = isinstance(norm, LogNorm)
    edges = np.geomspace(low, high, 129) if is_log else np.linspace(low, high, 129)
    middles = np.sqrt(edges[1:] * edges[:-1]) if is_log else (edges[1:] + edges[:-1]) / 2
    axes.pcolormesh([0, 1], edges, middles[:, None], cmap=_COLORS, norm=norm)
    if is_log:
        use_log(axes.yaxis)
    axes.set(xticks=[], ylim=(low, high))
    axes.grid(visible=False)


def _share(varied: Varied, known: Bool[np.ndarray, " point"]) -> Float[np.ndarray, " point"]:
    """Return where values stand between the least and the greatest, 0 to 1."""
    places = np.log(varied.places) if varied.is_log else varied.places
    shown = places[known & np.isfinite(places)]
    low, high = (shown.min(), shown.max()) if shown.size else (0.0, 1.0)
    return (places - low) / ((high - low) or 1.0)


def _label_parallel(
    axes: Axes, place: int, varied: Varied, known: Bool[np.ndarray, " point"]
) -> None:
    """Write the values beside an axis of parallel coordinates."""
    shares = _share(varied, known)
    seen: dict[float, str] = {}
    for share, value in zip(shares[known], varied.places[known], strict=True):
        seen[float(share)] = varied.labels[int(value)] if varied.labels else f"{value:.3g}"
    marks = sorted(seen)
    if len(marks) > _MOST_LABELS // 2:
        marks = [marks[0], marks[-1]]
    for share in marks:
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        axes.text(place + 0.02, share, seen[share], va="center", fontsize="small", bbox=box)
