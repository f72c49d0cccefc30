"""The style of all figures, their data, and what they draw in common."""

import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation

from sinernn.arrays import Float
from sinernn.data.series import Channel
from sinernn.errors import printable
from sinernn.evaluation.forecasts import Evidence
from sinernn.evaluation.metrics import counted

# Okabe and Ito's palette, which colour-blind readers can distinguish; each also differs in weight
# or dash, so that a greyscale print remains readable.
TRUTH, MODEL, ACCENT, FAINT = "#000000", "#0072B2", "#D55E00", "#B0B0B0"
GREEN, PURPLE, ORANGE = "#009E73", "#CC79A7", "#E69F00"

CHANNELS_SHOWN = 8
"""Outputs and inputs with a panel of their own, at most."""

_NAME = 40  # characters of a channel's name in a label

BELOW = "outside lower center"
"""Place of a figure's legend."""

BASELINE_LINES: dict[str, dict[str, Any]] = {
    **{name: {"color": ACCENT, "linestyle": (0, (1, 1))} for name in ("AR", "ARX", "VAR", "VARX")},
    "mean": {"color": GREEN, "linestyle": (0, (6, 2))},
    "persistence": {"color": PURPLE, "linestyle": (0, (6, 2, 1, 2))},
    "seasonal naive": {"color": ORANGE, "linestyle": (0, (3, 1))},
}
"""Line styles of baselines, by name without the part in brackets; others are grey."""

STYLE: dict[str, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 150,
    # Cells of a grid fill the figure; `arrange` reserves space for labels in them.
    **dict.fromkeys(["figure.subplot.left", "figure.subplot.bottom"], 0.0),
    **dict.fromkeys(["figure.subplot.right", "figure.subplot.top"], 1.0),
    **dict.fromkeys(["figure.subplot.wspace", "figure.subplot.hspace"], 0.0),
    "axes.titley": 1.0,
    "font.size": 10,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "sinernn",  # the same figure gives the same bytes
}
FORMATS: dict[str, dict[str, Any]] = {
    # A little larger than with the default level 6, in half of its time.
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}
"""What figures are saved with, by the ending of their files; none names a date or a version."""


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Story:
    """Data of a run's figures."""

    title: str
    """Name of the run, and of what it was evaluated on."""

    metrics: dict[str, Float[np.ndarray, " row"]]
    """Columns of metrics.csv, of the updates."""

    evidence: Evidence | None
    """Data of the last evaluation; None before the first."""

    refinement: dict[str, Float[np.ndarray, " iteration"]]
    """Columns of metrics.csv, of the refinement; empty if there is none."""

    note: str = ""
    """The network and its score, for the small print."""

    signal: str = "signal"
    """Name of the output."""

    unit: str = ""
    """Unit of the signal, as in `V`; empty if it has none. Of several outputs together it is that
    of their errors, standard deviations."""

    time_unit: str = ""
    """Unit of time, as in `s`; empty if it has none."""

    outputs: tuple[Channel, ...] = ()
    """Names and units of the outputs; empty if they are not known."""

    inputs: tuple[Channel, ...] = ()
    """Names and units of the inputs."""

    loops: tuple[str, ...] = ()
    """`open` or `closed`: what each stage of the refinement minimises the error of."""

    scale: float | None = None
    """Signal units in a scaled unit: the RMS over the channels; None if it is not known."""

    noise: float = 0.0
    """Standard deviation of the observation noise, in signal units."""

    diverged_at: int | None = None
    """The update at which training diverged."""

    learning: dict[str, Float[np.ndarray, "steps output"]] = field(default_factory=dict[str, Any])
    """The free run from the typical origin with the weights of each snapshot, by its label; empty
    if it was not computed."""

    def in_unit(self, quantity: str, power: str = "") -> str:
        """Return the label of an axis of the signal's unit, or a power of it."""
        return f"{quantity} ({self.unit}{power})" if self.unit else quantity

    @property
    def time_ahead(self) -> str:
        """The label of an axis of time that is 0 at a forecast's origin."""
        return "time after the origin" + (f" ({self.time_unit})" if self.time_unit else "")

    @property
    def is_refined(self) -> bool:
        """Whether the run was refined."""
        return bool(len(self.refinement.get("step", ())))

    @property
    def by_output(self) -> list["Story"]:
        """The story of each output alone, of `CHANNELS_SHOWN` at most."""
        count = len(self.evaluated.std)
        if count == 1:
            return [replace(self, signal=printable(self.signal, _NAME))]
        outputs = _named(self.outputs, "output", count)
        return [
            replace(
                self,
                evidence=self.evaluated.of_channel(index),
                signal=output.name,
                unit=output.unit,
            )
            for index, output in enumerate(outputs[:CHANNELS_SHOWN])
        ]

    @property
    def input_labels(self) -> list[str]:
        """The label of an axis for each input, of `CHANNELS_SHOWN` at most."""
        inputs = _named(self.inputs, "input", self._input_count)[:CHANNELS_SHOWN]
        return [each.label for each in inputs]

    @property
    def left_out(self) -> str:
        """How many outputs and inputs have no panel, for a title; empty if all have one."""
        counts = {"output": len(self.evaluated.std), "input": self._input_count}
        beyond = [
            counted(count - CHANNELS_SHOWN, kind)
            for kind, count in counts.items()
            if count > CHANNELS_SHOWN
        ]
        return f" (not shown: {', '.join(beyond)})" if beyond else ""

    @property
    def _input_count(self) -> int:
        inputs = self.evaluated.closed_loop.inputs
        return 0 if inputs is None else inputs.shape[2]

    @property
    def evaluated(self) -> Evidence:
        """The evidence, for the figures that show an evaluation."""
        if self.evidence is None:
            raise ValueError("this figure shows an evaluation, and there is none")
        return self.evidence


def _named(channels: tuple[Channel, ...], kind: str, count: int) -> tuple[Channel, ...]:
    """Return the channels, with numbers for names where they are not known, and long names cut."""
    if len(channels) == count:
        return tuple(replace(each, name=printable(each.name, _NAME)) for each in channels)
    return tuple(Channel(f"{kind} {number}") for number in range(1, count + 1))


@contextmanager
def own_style() -> Generator[None]:
    """Draw with our style on matplotlib's own defaults: a user's matplotlibrc changes no figure."""
    style: dict[Any, Any] = {**mpl.rcParamsDefault, **STYLE}
    del style["backend"]  # setting it imports pyplot, and could change what a notebook shows
    with mpl.rc_context(style), warnings.catch_warnings():
        # Characters of a run's name that the font lacks are drawn as boxes, without a warning.
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from font", category=UserWarning
        )
        yield


def readable_error(evidence: Evidence) -> float:
    """Return the largest error that an axis shows: a diverging run must not flatten the others."""
    return 1000 * evidence.spread or float("inf")


def draw_valid_limit(axes: Axes, evidence: Evidence) -> None:
    """Draw the error up to which a forecast is valid."""
    label = f"valid below {evidence.valid_threshold:g} standard deviations"
    axes.axhline(evidence.valid_limit, color=TRUTH, linewidth=0.9, linestyle="--", label=label)


class PlainPowers(LogFormatterSciNotation):
    """Powers as plain text, 10⁻³, since parsing mathtext takes longer than drawing it."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick, which may be empty."""
        text = str(super().__call__(x, pos)).removeprefix(r"$\mathdefault{").removesuffix("}$")
        text = text.replace(r"\times", "\N{MULTIPLICATION SIGN}")
        return re.sub(r"\^\{(.*?)\}", lambda found: found[1].translate(_SUPERSCRIPTS), text)


def use_log(axis: XAxis | YAxis) -> None:
    """Make an axis logarithmic."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter(PlainPowers())
    axis.set_minor_formatter(PlainPowers())


def fit_log(
    axes: Axes, values: Float[np.ndarray, "..."], *, top: float = float("inf"), cut: float = 0.0
) -> None:
    """Make the y-axis logarithmic around values above 0; if there are none, it stays linear.

    Args:
        axes: The panel.
        values: What is drawn.
        top: Values above it are not shown.
        cut: Share of the values, the smallest, for which the axis need not have room.
    """
    shown = values[np.isfinite(values) & (values > 0) & (values <= top)]
    if not shown.size:
        return
    low, high = np.log10([np.quantile(shown, cut), shown.max()])
    spare = max(0.06 * (high - low), (1 - high + low) / 2)  # a decade at least
    use_log(axes.yaxis)
    axes.set_ylim(*(10.0 ** np.clip([low - spare, high + spare], -307, 307)))


def readable_limits(
    truth: Float[np.ndarray, " n"], other: Float[np.ndarray, " m"]
) -> tuple[float, float]:
    """Return limits that show the truth, and of `other` only what is near it, not a divergence."""
    low, high = float(truth.min()), float(truth.max())
    height = (high - low) or 1.0
    seen = other[np.isfinite(other)]
    lowest = max(float(seen.min(initial=low)), low - 1.5 * height)
    highest = min(float(seen.max(initial=high)), high + 1.5 * height)
    return lowest - 0.06 * height, highest + 0.06 * height


def leaving_step(
    prediction: Float[np.ndarray, " steps"], limits: tuple[float, float]
) -> int | None:
    """Return the first step, from 1, at which a free run is outside of limits or not a number."""
    outside = ~((prediction >= limits[0]) & (prediction <= limits[1]))
    return int(outside.argmax()) + 1 if outside.any() else None


def marker_for(points: int) -> str:
    """Return a marker for a line of one point, which is invisible without, and none for others."""
    return "o" if points == 1 else ""


def add_legend(figure: Figure, *several: Axes) -> None:
    """Add a legend below the panels, with the lines of some of them."""
    lines: dict[str, Artist] = {}  # the first line of every label
    for axes in several:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            lines.setdefault(label, handle)
    # To build a legend takes longer than to draw it, so estimate how many columns fit, in widths of
    # an m: a letter takes 0.52, the line, its distance to the label and that between columns 4.8.
    width = figure.get_size_inches()[0] * 72 / mpl.rcParams["font.size"]
    lengths = [0.52 * len(label) + 4.8 for label in lines]
    fitting = (
        columns
        for columns in range(len(lines), 1, -1)
        if sum(map(max, np.array_split(lengths, columns))) <= width
    )
    ncols = next(fitting, 1)
    figure.legend(lines.values(), lines.keys(), loc=BELOW, ncols=ncols)
