"""How panels, labels and titles share a figure."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from examples import REFINEMENT, make_evidence, make_learning
from sinernn.evaluation.forecasts import Evidence
from sinernn.plotting import FIGURES, Story
from sinernn.plotting.layout import arrange
from sinernn.plotting.style import PlainPowers, add_legend, own_style


def make_story(evidence: Evidence) -> Story:
    """A refined run, whose iterations are drawn beside its updates."""
    return Story(
        title="a run",
        metrics={
            "step": np.array([10.0, 20, 30]),
            "loss": np.array([1.0, 0.1, 0.01]),
            "learning_rate": np.array([0.3, 0.2, 0.1]),
            "closed_loop_rmse": np.array([np.nan, 0.5, 0.4]),
        },
        evidence=evidence,
        refinement=REFINEMENT,
        learning=make_learning(evidence),
    )


def drift(truth: np.ndarray) -> np.ndarray:
    """Forecasts that are further off from origin to origin."""
    return truth * (1 + 0.001 * np.arange(1, len(truth) + 1)[:, None, None])


def arranged(name: str, story: Story, width: float | None = None) -> tuple[Figure, RendererBase]:
    """A figure as it is written to a file, and what drew it."""
    with own_style():
        figure = FIGURES[name](story)
        if width is not None:
            scale = (width / figure.get_size_inches()[0]) ** 0.5
            mpl.rcParams["font.size"] *= scale
            figure = FIGURES[name](story)
            figure.set_size_inches(width, scale * figure.get_size_inches()[1])
        renderer = FigureCanvasAgg(figure).get_renderer()
        arrange(figure, renderer)
        figure.draw(renderer)
    return figure, renderer


def visible_texts(figure: Figure) -> list[Text]:
    """Titles, names of axes and labels of ticks."""
    panels = figure.axes
    found = [child for axes in panels for child in axes.get_children() if isinstance(child, Text)]
    found += [axis.label for axes in panels for axis in (axes.xaxis, axes.yaxis)]
    return [text for text in found if text.get_text().strip()]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(make_evidence(drift), id="a long run"),
        pytest.param(make_evidence(drift, steps=60), id="a short run"),
        pytest.param(make_evidence(drift, wave=lambda t: 1e-7 * np.sin(t)), id="tiny values"),
        pytest.param(make_evidence(drift, wave=lambda t: 1e5 + np.sin(t)), id="an offset"),
        pytest.param(make_evidence(lambda truth: truth * 1e300), id="too large to square"),
        pytest.param(make_evidence(lambda truth: truth * np.nan), id="diverged at once"),
    ],
)
@pytest.mark.parametrize("width", [None, 3.5], ids=["own width", "a column of a journal"])
def test_no_text_is_cut_off_or_covers_another(name: str, evidence: Evidence, width: float | None):
    figure, renderer = arranged(name, make_story(evidence), width)
    boxes = {text: text.get_window_extent(renderer) for text in visible_texts(figure)}
    for text, box in boxes.items():
        assert figure.bbox.count_contains(box.shrunk(0.9, 0.9).corners()) == 4, text
        others = [each for each in boxes if each is not text]
        assert not [each for each in others if boxes[each].overlaps(box.shrunk(0.9, 0.9))], text


def test_panels_with_a_common_axis_are_as_wide():
    """The learning rate is drawn below the updates, the damping below the iterations."""
    figure, _ = arranged("loss", make_story(make_evidence()))
    updates, beside, *below = (axes.get_position() for axes in figure.axes)
    for above, axes in zip((updates, beside), below, strict=True):
        assert (axes.x0, axes.x1) == pytest.approx((above.x0, above.x1))
    assert (beside.y0, beside.y1) == pytest.approx((updates.y0, updates.y1))
    assert updates.width / beside.width == pytest.approx(3 / 2)


def test_common_factor_below_the_title():
    """The factor that all labels of an axis share."""
    tiny = make_evidence(drift, wave=lambda t: 1e-7 * np.sin(t))
    figure, renderer = arranged("tutorial", make_story(tiny))
    factor, title = (
        next(text for text in visible_texts(figure) if part in text.get_text())
        for part in ("1e", "the first")
    )
    assert factor.get_window_extent(renderer).y1 <= title.get_window_extent(renderer).y0


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-7, "10⁻⁷"), (1.0, "10⁰"), (1e12, "10¹²"), (2e-7, "2\N{MULTIPLICATION SIGN}10⁻⁷")],
)
def test_powers_are_plain_text(value: float, text: str):
    axes = Figure().subplots()
    axes.set(yscale="log", ylim=(0.9 * value, 1.1 * value))
    formatter = PlainPowers()
    axes.yaxis.set_major_formatter(formatter)
    assert formatter.format_ticks([value]) == [text]


def test_long_titles_do_not_overlap():
    """They are broken into lines, and the panel beside stays equally high."""
    figure = Figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_title(
        "the network, the evaluation's settings and the origin of a free run " * 2, loc="left"
    )
    right.set_title("its last steps", loc="left")
    renderer = FigureCanvasAgg(figure).get_renderer()
    arrange(figure, renderer)
    assert "\n" in left.get_title(loc="left").strip()
    title = next(
        child
        for child in left.get_children()
        if isinstance(child, Text) and child.get_text() == left.get_title(loc="left")
    )
    assert title.get_window_extent(renderer).x1 <= right.get_window_extent(renderer).x0
    assert left.get_position().height == right.get_position().height


def test_small_print_of_wide_letters():
    """Lines are as long as the figure is wide, also where their letters are wider than others."""
    figure = Figure(figsize=(5, 3))
    figure.add_subplot()
    renderer = FigureCanvasAgg(figure).get_renderer()
    arrange(figure, renderer, title="", note=60 * "W " + 400 * "i ")
    (written,) = figure.texts
    assert written.get_window_extent(renderer).x1 <= figure.bbox.width


def test_narrow_figure():
    """Title, small print and legend are broken into as many lines as they need."""
    figure = Figure(figsize=(3, 5))
    axes = figure.subplots()
    for name in ("one of many long names", "another one", "a third", "the last of them"):
        axes.plot([1, 2], label=name)
    renderer = FigureCanvasAgg(figure).get_renderer()
    with own_style():
        add_legend(figure, axes)
        arrange(figure, renderer, title="a long name of a run " * 3, note="small print " * 9)
    title, note = (text.get_window_extent(renderer) for text in figure.texts)
    legend, panel = figure.legends[0].get_window_extent(renderer), axes.get_window_extent(renderer)
    for box in (title, note, legend):
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert figure.bbox.y1 > title.y1 > title.y0 > note.y1 > note.y0 > panel.y1
    assert panel.y0 > legend.y1 > legend.y0 >= 0


def test_without_a_title_nothing_is_reserved():
    with own_style():
        figure = Figure()
        axes = figure.subplots()
        arrange(figure, FigureCanvasAgg(figure).get_renderer())
    assert not figure.texts
    assert axes.get_position().y1 > 0.95
