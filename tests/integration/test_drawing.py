"""Figures of a run as files and as objects, and what they import."""

from typing import Any

import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

import sinernn
from commands import run_python
from examples import TINY
from sinernn.errors import UsageError
from sinernn.runs import Run
from sweeping import FEW, InProcess


def test_preload(trained: Run):
    """It imports what drawing needs, and no pyplot."""
    code = (
        "import sys\n"
        "from sinernn import plot_run\n"
        "import threading\n"
        "thread = threading.Thread(target=plot_run.preload)\n"
        "thread.start(); thread.join()\n"
        "before = set(sys.modules)\n"
        "plot_run.plot('latest', names=['overview'])\n"
        "print(*(set(sys.modules) - before), 'matplotlib.pyplot' in sys.modules)\n"
    )
    *later, pyplot = run_python(code).split()
    assert pyplot == "False"
    assert not [name for name in later if name.startswith("matplotlib")], later


def shown(figure: object) -> dict[str, object]:
    """What IPython shows of an object, by its kind."""
    return DisplayFormatter().format(figure)[0]


def test_figure_is_what_plot_draws(trained: Run):
    """The same bytes, and no file."""
    figure = sinernn.figure(trained, "loss", width=5.0, title=False)
    assert not (trained.path / "figures").exists()
    [path] = sinernn.plot(trained, names=["loss"], width=5.0, title=False)
    assert shown(figure)["image/png"] == path.read_bytes()


def test_figure_in_a_notebook(trained: Run):
    """It is shown as one image, although pyplot does not know it, and saved in the same size."""
    figure = sinernn.figure("latest", "loss", width=5.0, dpi=30.0)
    assert sorted(shown(figure)) == ["image/png", "text/plain"]
    figure.savefig("own.png")
    with Image.open("own.png") as image:
        assert image.width == 150


def test_figures_of_other_results(trained: Run):
    """Sweeps, by name or table, comparisons and forecasts have one each."""
    table = sinernn.sweep(TINY, [*FEW, "seeds=2"], figures=False, executor=InProcess)
    comparison = sinernn.compare_runs([str(table.path / "*")], each=True)
    for each in (table, table.path.name, comparison, sinernn.predict(trained, steps=3)):
        assert sinernn.figure(each, dpi=30.0).axes
    assert not (table.path / "figures").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "sine"}, "no figure is called sine; there are overview,"),
        ({"evaluation": "far"}, "has no evaluation called far"),
        ({"width": 1000.0}, "width: must be from 1 to 20 inches, got 1000"),
        ({"height": 1.0}, "overview does not fit into 10 by 1 inches"),
    ],
)
def test_figure_that_cannot_be_drawn(trained: Run, options: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        sinernn.figure(trained, **options)


def test_forecast_has_one_figure(trained: Run):
    prediction = sinernn.predict(trained, steps=3)
    with pytest.raises(UsageError, match="a Prediction has one figure; leave out name"):
        sinernn.figure(prediction, "overview")
