"""A new signal, figure, metric, baseline, export format or command shows up where a user would see it.

A new cell is added in tests/unit/test_cells.py.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from matplotlib.figure import Figure
from pydantic import Field, create_model

from sinernn import cli, exporters, plotting
from sinernn.config import Config
from sinernn.config.load import validate
from sinernn.config.places import Document, Places
from sinernn.config.sections import Signal
from sinernn.data.synthetic import Synthetic
from sinernn.data.systems import Flow, Map
from sinernn.errors import Place
from sinernn.evaluation import baselines, scores
from sinernn.runs import Run
from sinernn.schema import default_kind


class Sign(Synthetic):
    """A square wave."""

    kind: Literal["sign"]

    def values(self, time):
        return np.sign(np.sin(time))


class Decay(Flow):
    """Exponential decay."""

    kind: Literal["decay"]
    rate: float = 2.0
    variables = ("x",)
    default_state = (1.0,)

    def slope(self, time, state):
        return [-self.rate * state[0]]


class Doubling(Map):
    """Twice as much."""

    kind: Literal["doubling"]
    variables = ("x",)
    default_state = (1.0,)

    def step(self, state):
        return [2 * state[0]]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(Sign, [0, 1, -1]), (Decay, np.exp([0, -6, -12])), (Doubling, [1, 8, 64])],
)
def test_new_signal(kind, expected):
    """A config accepts a signal's class once it is part of the union."""
    name = kind.__name__.lower()
    union = Annotated[Signal | kind, Field(discriminator="kind"), default_kind("sine")]
    extended = create_model("Extended", __base__=Config, signal=(union, ...))
    signal = {"kind": name, "time_step": 3.0, "length": 3}
    signal |= {"transient": 0.0} if "transient" in kind.model_fields else {}
    config = validate(Document({"signal": signal}, Places(Place("config"))), extended)
    np.testing.assert_allclose(config.signal.read().observed[:, 0], expected, atol=1e-10)


def test_new_figure(sinernn, trained: Run, monkeypatch: pytest.MonkeyPatch):
    """`plot` draws and lists it."""

    def blank(story):
        """An empty page."""
        return Figure()

    monkeypatch.setitem(plotting.FIGURES, "blank", blank)
    assert sinernn("plot", "latest", "--figure", "blank").out.endswith("/figures/blank.png\n")
    assert "blank        An empty page." in sinernn("plot", "--list").out


def test_new_metric(sinernn, trained: Run, monkeypatch: pytest.MonkeyPatch):
    """`eval` prints it by its name."""
    monkeypatch.setitem(scores.METRICS, "origins_seen", lambda evidence: 3)
    assert "\norigins_seen: 3\n" in sinernn("eval", "latest").out
    assert json.loads(sinernn("eval", "latest", "--json").out)["origins_seen"] == 3


def test_new_baseline(sinernn, trained: Run, monkeypatch: pytest.MonkeyPatch):
    """`eval` gives it a column, and `plot` a line."""

    def zero(history):
        return {"zero": 0 * baselines.persistence(history)["persistence"]}

    monkeypatch.setattr(baselines, "BASELINES", (*baselines.BASELINES, zero))
    assert " zero" in sinernn("eval", "latest").out
    assert sinernn("plot", "latest", "--figure", "horizon").code == 0


def test_new_export_format(sinernn, trained: Run, monkeypatch: pytest.MonkeyPatch):
    """`export` writes it, and lists it."""

    def cell_files(portable):
        return {".txt": f"{portable.network.cell}: {exporters.MARK}".encode()}

    monkeypatch.setitem(exporters.EXPORTERS, "cell", cell_files)
    for _ in range(2):  # the first is replaced
        assert sinernn("export", "latest", "--format", "cell", "--to", "a.txt").out == "a.txt\n"
    assert Path("a.txt").read_text(encoding="utf-8") == "rnn_tanh: sinernn export"
    assert "onnx, cell" in sinernn("export", "latest", "--format", "x").err


def test_new_command(sinernn, monkeypatch: pytest.MonkeyPatch):
    """`--help` lists it, and it runs."""

    def hello_command() -> None:
        """Say hello."""
        print("hello")

    monkeypatch.setattr(cli.app, "registered_commands", [*cli.app.registered_commands])
    cli.app.command("hello", cls=cli.Command)(hello_command)
    assert "Say hello." in sinernn("--help").out
    assert sinernn("hello").out == "hello\n"
