"""Figures: arrays in, matplotlib Figures out. Opens no file, needs no display, knows no config.

A figure is one function from a `Story` to a Figure, registered in `FIGURES`.
"""

import inspect
import io
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sinernn.errors import UsageError
from sinernn.plotting.animation import write_frames
from sinernn.plotting.chaos import attractor, valid_time
from sinernn.plotting.comparisons import comparison_figure, horizon, spectra
from sinernn.plotting.dynamics import eigenvalues, orbit
from sinernn.plotting.layout import arrange
from sinernn.plotting.predictions import forecast_figure
from sinernn.plotting.snapshots import LearningFrames, learning
from sinernn.plotting.style import FORMATS, Story, own_style
from sinernn.plotting.sweeps import SWEEP_FIGURES, SweepScores, Varied, sweep_figure
from sinernn.plotting.training import loss_curve
from sinernn.plotting.waveforms import closed_loop, open_loop, overview, tutorial

__all__ = [
    "ANIMATIONS", "ANIMATION_FORMATS", "FIGURES", "FORMATS", "ON_REQUEST", "SWEEP_FIGURES",
    "WITHOUT_EVIDENCE", "Story", "SweepScores", "Varied", "animate", "comparison_figure",
    "compose", "draw", "figure_descriptions", "forecast_figure", "lay_out", "save", "sweep_figure",
]  # fmt: skip

FIGURES: dict[str, Callable[[Story], Figure]] = {
    "overview": overview,
    "loss": loss_curve,
    "open_loop": open_loop,
    "closed_loop": closed_loop,
    "tutorial": tutorial,
    "horizon": horizon,
    "orbit": orbit,
    "spectra": spectra,
    "eigenvalues": eigenvalues,
    "valid_time": valid_time,
    "attractor": attractor,
    "learning": learning,
}
"""Every figure, by the name of its file."""

_LEAST_POINTS = 18.0  # height of a panel: two labels of its y-axis

WITHOUT_EVIDENCE = frozenset({"loss"})
"""Figures that need no evaluation."""

ON_REQUEST = frozenset({"learning"})
"""Figures that are drawn only where they are named: the network is run anew for them."""

ANIMATIONS = {"learning": LearningFrames}
"""The frames of figures that are animations in a format of `ANIMATION_FORMATS`."""

ANIMATION_FORMATS = ("gif", "mp4")
ANIMATION_DPI = 100.0


def figure_descriptions() -> dict[str, str]:
    """Return one line on what every figure shows, by its name."""
    return {name: (inspect.getdoc(figure) or "").split("\n")[0] for name, figure in FIGURES.items()}


def draw(name: str, story: Story, format: str, **size: float | None) -> bytes:
    """Return a figure of `FIGURES` as the content of a file: see `compose` and `save`."""
    return save(compose(name, story, **size), format)


def animate(
    name: str,
    story: Story,
    format: str,
    *,
    on_frame: Callable[[int, int], None] = lambda done, count: None,
    **size: float | None,
) -> bytes:
    """Return a figure of `ANIMATIONS` as the content of a file.

    Args:
        name: One of `ANIMATIONS`.
        story: What to draw.
        format: One of `ANIMATION_FORMATS`.
        on_frame: See `write_frames`.
        size: See `lay_out`; the default of dpi is 100, so that the file is small.

    Raises:
        UsageError: The panels do not fit into the size, or ffmpeg is missing or fails.
    """
    frames = ANIMATIONS[name](story)
    size["dpi"] = size.get("dpi") or ANIMATION_DPI
    figure = lay_out(frames.draw, name, title=story.title, note=story.note, **size)
    with _drawing():
        return write_frames(figure, frames.show, len(frames), format, on_frame=on_frame)


def compose(name: str, story: Story, **size: float | None) -> Figure:
    """Return a figure of `FIGURES`, laid out.

    Args:
        name: One of `FIGURES`.
        story: What to draw.
        size: See `lay_out`.

    Raises:
        UsageError: The panels do not fit into the size.
    """
    return lay_out(lambda: FIGURES[name](story), name, title=story.title, note=story.note, **size)


def lay_out(
    make: Callable[[], Figure],
    name: str,
    *,
    title: str,
    note: str,
    width: float | None = None,
    height: float | None = None,
    dpi: float | None = None,
) -> Figure:
    """Make a figure and lay it out. A notebook shows it as an image, without pyplot.

    Args:
        make: Makes the figure.
        name: What to call it in an error.
        title: Heading; empty for none.
        note: Small print below the heading.
        width: In inches; default: the figure's own. Text grows and shrinks with its square root.
        height: In inches; default: the figure's own, which changes as text does.
        dpi: Pixels in an inch of a PNG; default: 150.

    Raises:
        UsageError: The panels do not fit into the size.
    """
    with _drawing():
        mpl.rcParams["figure.dpi"] = dpi or mpl.rcParams["savefig.dpi"]
        figure = make()
        own_width, own_height = figure.get_size_inches()
        if width is not None and width != own_width:
            scale = float(np.sqrt(width / own_width))
            mpl.rcParams["font.size"] *= scale
            figure, own_height = make(), own_height * scale
        figure.set_size_inches(width or own_width, height or own_height)
        renderer = FigureCanvasAgg(figure).get_renderer()
        arrange(figure, renderer, title=title, note=note)
        if any(axes.bbox.height * 72 / figure.dpi < _LEAST_POINTS for axes in figure.axes):
            size = " by ".join(f"{inches:.3g}" for inches in figure.get_size_inches())
            raise UsageError(
                f"{name} does not fit into {size} inches; choose a larger height or width"
            )
    # Without pyplot, IPython knows no way to show a figure but this method of the object.
    figure._repr_png_ = partial(save, figure, "png")  # pyright: ignore[reportAttributeAccessIssue]
    return figure


def save(figure: Figure, format: str) -> bytes:
    """Return a figure that was laid out as the content of a file.

    Args:
        figure: The figure.
        format: One of `FORMATS`.
    """
    buffer = io.BytesIO()
    with _drawing():
        figure.savefig(buffer, format=format, dpi=figure.dpi, **FORMATS[format])
    return buffer.getvalue()


@contextmanager
def _drawing() -> Generator[None]:
    # Numbers near the largest float, as in an edited metrics.csv, overflow in matplotlib.
    with own_style(), np.errstate(over="ignore", invalid="ignore"):
        yield
