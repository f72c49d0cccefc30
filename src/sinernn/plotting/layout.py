"""Lay out a figure's panels and draw their scales, faster than matplotlib does.

matplotlib's constrained layout takes longer than all the drawing, half of which goes into ticks of
three lines and two texts each. Here text is measured once, and the major or minor ticks of an axis
are one artist.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Any, Literal, TypeVar, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import NullLocator
from matplotlib.transforms import Bbox, ScaledTranslation, Transform

from sinernn.plotting.style import BELOW

_T = TypeVar("_T")
_TICK_LEFT, _TICK_DOWN = 0, 3  # matplotlib's markers
_PAD = 4.0  # points between a panel with its labels and its neighbours


@dataclass(frozen=True)
class _Margins:
    """Points that a panel's scales and title need on each side of it."""

    left: float
    right: float
    bottom: float
    top: float


_TYPICAL = _Margins(left=50.0, right=10.0, bottom=34.0, top=22.0)


def arrange(figure: Figure, renderer: RendererBase, *, title: str = "", note: str = "") -> None:
    """Fit titles, panels, labels and a legend below into the figure, and draw the scales.

    The title stands above all panels, and below it the note in small print.

    A panel's cell is its place in a grid that fills the figure without spacing. Panels share the
    space beside the labels in the proportions of their cells. The panels of a row have a common
    bottom edge, and those at the left of the figure a common left edge. Panels that share
    a y-axis are equally high; a panel without a title is as high as the one to its left.
    """
    cells = {axes: _cell(figure, axes) for axes in figure.axes}
    above = _write_header(figure, renderer, title, note)
    below = _fit_legend(figure, renderer)
    # The number of ticks depends on an axis's length, so place the panels about right first.
    _place(figure, cells, dict.fromkeys(cells, _TYPICAL), above, below)
    _wrap_texts(figure, renderer)
    scales = {
        axes: [_Scale(figure, axis, renderer) for axis in (axes.xaxis, axes.yaxis)]
        for axes in cells
    }
    own = {axes: _margins(figure, x, y, renderer) for axes, (x, y) in scales.items()}
    margins = {
        axes: replace(own[axes], top=max(own[each].top for each in _row(axes))) for axes in own
    }
    for axes, cell in cells.items():
        if not axes.get_title(loc="left"):
            left = [each for each, at in cells.items() if at.y0 == cell.y0 and at.x0 < cell.x0]
            nearest = max(left, key=lambda each: cells[each].x0, default=axes)
            margins[axes] = replace(margins[axes], top=margins[nearest].top)
    _place(figure, cells, margins, above, below)
    for both in scales.values():
        for scale in both:
            scale.draw()


def _write_header(figure: Figure, renderer: RendererBase, title: str, note: str) -> float:
    """Write title and small print, and return the points that they need."""
    width, height = (float(inches) * 72 for inches in figure.get_size_inches())
    points, used = 72 / figure.dpi, 0.0
    for text, size, color in ((title, "large", "black"), (note, "small", "#606060")):
        if text:
            x, y = _PAD / width, 1 - (used + _PAD) / height
            written = figure.text(x, y, text, fontsize=size, color=color, va="top")
            room = width - 2 * _PAD
            share = room / (written.get_window_extent(renderer).width * points)
            while share < 1 and written.get_window_extent(renderer).width * points > room:
                written.set_text(text)
                _break_lines(written, share)
                share = share * 0.98 if share * len(text) > 10 else 1.0
            used += written.get_window_extent(renderer).height * points + _PAD
    return used + _PAD if used else 0.0


def _fit_legend(figure: Figure, renderer: RendererBase) -> float:
    """Give a legend that is wider than the figure fewer columns; return the points it needs."""
    for legend in figure.legends:
        texts = [text.get_text() for text in legend.texts]
        lines = [line for line in legend.legend_handles if line is not None]
        for columns in range(len(texts) - 1, 0, -1):
            if legend.get_window_extent(renderer).width <= figure.bbox.width:
                break
            legend.remove()
            legend = figure.legend(lines, texts, loc=BELOW, ncols=columns)
        return legend.get_window_extent(renderer).height * 72 / figure.dpi + 2 * _PAD
    return 0.0


def _row(axes: Axes) -> list[Axes]:
    """Return the panels that share a panel's y-axis, itself among them: they are equally high."""
    return cast("list[Axes]", axes.get_shared_y_axes().get_siblings(axes))


def _wrap_texts(figure: Figure, renderer: RendererBase) -> None:
    """Break titles and names of axes that are longer than their panel."""
    for axes in figure.axes:
        panel = axes.get_window_extent(renderer)
        for text, side in (
            (_title(axes), "width"),
            (axes.xaxis.label, "width"),
            (axes.yaxis.label, "height"),
        ):
            if text is None or not text.get_text():
                continue
            share = getattr(panel, side) / getattr(text.get_window_extent(renderer), side)
            if share < 0.9:  # panels are placed about right only, and a gap follows each
                _break_lines(text, share)


def _break_lines(text: Text, share: float) -> None:
    """Break a text into lines of at most so large a share of its length."""
    whole = text.get_text()
    lines = (fill(line, max(int(share * len(whole)), 10)) for line in whole.split("\n"))
    text.set_text("\n".join(lines))


def _title(axes: Axes) -> Text | None:
    """Return a panel's title; None if it has none."""
    children = (child for child in axes.get_children() if isinstance(child, Text))
    text = axes.get_title(loc="left")
    return next(child for child in children if child.get_text() == text) if text else None


def _cell(figure: Figure, axes: Axes) -> Bbox:
    spec = axes.get_subplotspec()
    assert spec is not None, "every panel is made in a grid"
    return Bbox(np.round(spec.get_position(figure).get_points(), 6))


def _place(
    figure: Figure,
    cells: Mapping[Axes, Bbox],
    margins: Mapping[Axes, _Margins],
    above: float,
    below: float,
) -> None:
    """Give every panel its position, with so many points free above and below all of them."""
    width, height = (float(inches) * 72 for inches in figure.get_size_inches())
    left = _largest((cell.x0, margins[axes].left) for axes, cell in cells.items())
    right = _largest((cell.x1, margins[axes].right) for axes, cell in cells.items())
    bottom = _largest((cell.y0, margins[axes].bottom) for axes, cell in cells.items())
    top = _largest((cell.y1, margins[axes].top) for axes, cell in cells.items())
    rows = _line_up({*bottom, *top}, top, bottom, height - above - below)
    for axes, cell in cells.items():
        row = [each for each in cells.values() if each.y0 == cell.y0]
        cuts = {0.0, 1.0} | {cut for each in row for cut in (each.x0, each.x1)}
        columns = _line_up(cuts, right, left, width)
        x0, x1 = columns[cell.x0][1], columns[cell.x1][0]
        y0, y1 = rows[cell.y0][1], rows[cell.y1][0] + top[cell.y1] - margins[axes].top - _PAD
        axes.set_position(
            (x0 / width, (below + y0) / height, (x1 - x0) / width, (y1 - y0) / height)
        )
        axes.apply_aspect()


def _largest(sizes: Iterable[tuple[float, float]]) -> dict[float, float]:
    """Return the largest size at each cut between cells, with padding."""
    largest: dict[float, float] = {}
    for cut, size in sizes:
        largest[cut] = max(size + _PAD, largest.get(cut, 0.0))
    return largest


def _line_up(
    cuts: Iterable[float],
    before: Mapping[float, float],
    after: Mapping[float, float],
    length: float,
) -> dict[float, tuple[float, float]]:
    """Return where the gap at each cut begins and ends on a line; cells share what is left.

    Args:
        cuts: Where cells begin and end, as fractions of the line, its two ends among them.
        before: Space needed before a cut.
        after: Space needed after a cut.
        length: Length of the line.
    """
    gaps = {cut: before.get(cut, 0.0) + after.get(cut, 0.0) for cut in sorted(cuts)}
    free = max(length - sum(gaps.values()), 1.0)
    passed, found = 0.0, dict[float, tuple[float, float]]()
    for cut, gap in gaps.items():
        begin = passed + free * cut
        found[cut] = begin, begin + gap
        passed += gap
    return found


def _margins(figure: Figure, x: "_Scale", y: "_Scale", renderer: RendererBase) -> _Margins:
    """Return the margins for scales and title, and move the title above the y-axis's offset."""
    axes, top = x.axes, y.after
    if y.offset:
        top = y.to_offset + 1.2 * mpl.rcParams["font.size"]
    if title := _title(axes):
        if y.offset:
            title.set_transform(_shifted(figure, axes.transAxes, 0.0, top))
        title_top = title.get_window_extent(renderer).y1
        top = max(top, (title_top - axes.bbox.y1) * 72 / figure.dpi)
    return _Margins(max(y.thickness, x.before), x.after, max(x.thickness, y.before), top)


def _shifted(figure: Figure, transform: Transform, x: float, y: float) -> Transform:
    """Return the transform with a shift in points after it."""
    return transform + ScaledTranslation(x / 72, y / 72, figure.dpi_scale_trans)


class _Scale:
    """Ticks, labels and name of an axis of known length, measured in points."""

    to_offset = 3.0
    """From the panel to the offset text: the factor or summand that all labels have in common."""

    def __init__(self, figure: Figure, axis: XAxis | YAxis, renderer: RendererBase) -> None:
        self.figure, self.axes, self.axis = figure, axis.axes, axis
        self.is_vertical = axis is axis.axes.yaxis
        style = cast("dict[str, Any]", mpl.rcParams)
        tick = f"{axis.axis_name}tick"
        self.sizes = [float(style[f"{tick}.{which}.size"]) for which in ("major", "minor")]
        self.widths = [float(style[f"{tick}.{which}.width"]) for which in ("major", "minor")]
        self.font = FontProperties(size=style[f"{tick}.labelsize"])
        self.ticks: list[list[float]] = []  # major and minor
        self.labels: dict[float, str] = {}
        self.before = self.after = 0.0  # extent of labels beyond the ends of the axis

        points = 72 / figure.dpi
        box = axis.axes.bbox
        length = (box.height if self.is_vertical else box.width) * points
        transform = axis.get_transform().transform
        low, high = transform(np.array(axis.get_view_interval()))
        # A line of text is as high as its letters may be.
        line = renderer.get_text_width_height_descent("lp", self.font, ismath=False)[1] * points
        largest = 0.0  # extent of labels across the axis
        taken: list[tuple[float, float]] = []  # where labels begin and end along the axis
        is_labelled = axis.get_tick_params()["labelleft" if self.is_vertical else "labelbottom"]
        for places, formatter in (
            (np.asarray(axis.get_majorticklocs()), axis.get_major_formatter()),
            (np.asarray(axis.get_minorticklocs()), axis.get_minor_formatter()),
        ):
            fractions = (transform(places) - low) / (high - low)
            shown = (fractions > -1e-9) & (fractions < 1 + 1e-9)
            self.ticks.append(places[shown].tolist())
            if not is_labelled:
                continue
            texts = np.array(formatter.format_ticks(places.tolist()), object)[shown]
            for place, fraction, text in zip(self.ticks[-1], fractions[shown], texts, strict=True):
                if not text:
                    continue
                size = renderer.get_text_width_height_descent(text, self.font, ismath=False)
                width, height = size[0] * points, max(size[1] * points, line)
                along, across = _point(self.is_vertical, width, height)
                middle = fraction * length
                begins, ends = middle - along / 2, middle + along / 2
                if any(begins < until and since < ends for since, until in taken):
                    continue  # one label less is better than two that overlap
                taken.append((begins, ends))
                self.labels[place] = text
                largest = max(largest, across)
                self.before = max(self.before, -begins)
                self.after = max(self.after, ends - length)
        self.offset = axis.get_major_formatter().get_offset() if is_labelled else ""

        self.to_labels = self.sizes[0] + float(style[f"{tick}.major.pad"])
        self.thickness = self.to_labels + largest
        self.to_name = self.thickness + axis.labelpad
        self.below_name = 0.0
        if axis.get_label_text():
            name = axis.label.get_window_extent(renderer)
            along, across = _point(self.is_vertical, name.width * points, name.height * points)
            self.thickness = self.to_name + across
            size = renderer.get_text_width_height_descent(self.offset, self.font, ismath=False)
            if self.offset and along / 2 + size[0] * points > length / 2 and not self.is_vertical:
                self.below_name = across + 1.0  # there is no space for the offset beside the name
                self.thickness += line + 1.0

    def draw(self) -> None:
        """Draw ticks, labels and name, and hide matplotlib's own ticks."""
        axes, axis, is_vertical = self.axes, self.axis, self.is_vertical
        # Coordinates along the axis are data; across it they are fractions of the panel.
        transform = axes.get_yaxis_transform() if is_vertical else axes.get_xaxis_transform()
        ends = [[_point(is_vertical, at, across) for across in (0.0, 1.0)] for at in self.ticks[0]]
        grid = LineCollection(ends, transform=transform, zorder=0.5)
        grid.set(color=mpl.rcParams["grid.color"], linewidth=mpl.rcParams["grid.linewidth"])
        axes.add_artist(grid)
        for places, size, width in zip(self.ticks, self.sizes, self.widths, strict=True):
            marks = Line2D(*_point(is_vertical, places, [0.0] * len(places)), linestyle="none")
            marks.set(marker=_TICK_LEFT if is_vertical else _TICK_DOWN, markersize=size)
            marks.set(markeredgewidth=width, color="black", zorder=0.5)
            marks.set(transform=transform, clip_on=False)
            axes.add_artist(marks)
        beside = self._away(transform, self.to_labels)
        aligned = ("right", "center_baseline") if is_vertical else ("center", "top")
        for place, text in self.labels.items():
            self._write(text, _point(is_vertical, place, 0.0), beside, *aligned)
        if self.offset and is_vertical:
            above = _shifted(self.figure, axes.transAxes, 0.0, self.to_offset)
            self._write(self.offset, (0.0, 1.0), above, "left", "baseline")
        elif self.offset:
            below = self._away(axes.transAxes, self.to_name + self.below_name)
            self._write(self.offset, (1.0, 0.0), below, "right", "top")
        axis.set_major_locator(NullLocator())
        axis.set_minor_locator(NullLocator())
        axis.offsetText.set_visible(False)
        middle = _point(is_vertical, 0.5, 0.0)
        axis.set_label_coords(*middle, transform=self._away(axes.transAxes, self.to_name))

    def _write(
        self,
        text: str,
        where: tuple[float, float],
        transform: Transform,
        horizontal: Literal["left", "center", "right"],
        vertical: Literal["top", "baseline", "center_baseline"],
    ) -> None:
        label = Text(*where, text, font=self.font, ha=horizontal, va=vertical)
        label.set(transform=transform, clip_on=False)
        self.axes.add_artist(label)

    def _away(self, transform: Transform, points: float) -> Transform:
        """Return the transform with a shift away from the panel after it."""
        return _shifted(self.figure, transform, *_point(self.is_vertical, 0.0, -points))


def _point(is_vertical: bool, along: _T, across: _T) -> tuple[_T, _T]:
    """Return x and y of coordinates along and across an axis."""
    return (across, along) if is_vertical else (along, across)
