"""What a notebook shows of trainings and their results."""

import io
from pathlib import Path
from typing import Any

import IPython.display
import numpy as np
import pytest
from rich.console import Console

import sinernn
from examples import tiny
from sinernn import progress
from sinernn.progress import TrainingProgress
from sinernn.sweeps.driver import sweep
from sinernn.training import Record
from sweeping import FEW, InProcess


class Outputs:
    """Stands for a cell's output: counts its updates, as the handle of IPython's `display`."""

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.updates: list[str] = []

    def display(self, shown: Any, *, display_id: bool) -> "Outputs":
        assert display_id
        self.shown.append(shown)
        return self

    def update(self, shown: Any) -> None:
        self.updates.append(shown._repr_mimebundle_([], [])["text/plain"])


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Outputs:
    outputs = Outputs()
    monkeypatch.setattr(IPython.display, "display", outputs.display)
    return outputs


def notebook_console() -> Console:
    return Console(file=io.StringIO(), force_jupyter=True, width=100)


def test_bar_is_one_output(cell: Outputs):
    """A thousand records change one output a few times, the last of them at the end."""
    with TrainingProgress(1000, console=notebook_console()) as shown:
        for step in range(1, 1001):
            row = Record(step, np.array([0.25]), 0.1, is_row=True, is_checkpoint=False)
            shown.record(row, dict)
    assert len(cell.shown) == 1
    assert len(cell.updates) < 500
    assert "1000/1000 updates" in cell.updates[-1]


def test_nothing_shown_without_events(cell: Outputs):
    """A finished run that is resumed shows no bar."""
    with TrainingProgress(1000, console=notebook_console()):
        pass
    assert cell.shown == cell.updates == []


@pytest.mark.parametrize(
    ("asked", "in_notebook", "is_shown"),
    [(None, True, True), (None, False, False), (False, True, False), (True, False, True)],
)
def test_progress_is_shown_where_wanted(
    monkeypatch: pytest.MonkeyPatch, asked: bool | None, in_notebook: bool, is_shown: bool
):
    """By default in notebooks alone."""
    monkeypatch.setattr(progress, "Console", lambda: Console(force_jupyter=in_notebook))
    assert progress.is_progress_shown(asked) is is_shown


def test_library_is_silent(here: Path, capfd: pytest.CaptureFixture[str]):
    """Training and sweeps print nothing outside of notebooks, and progress where it is asked for."""
    config = tiny("training.steps=2")
    run = sinernn.train(config, figures=False).run
    sweep(config, FEW, figures=False, executor=InProcess)
    assert capfd.readouterr() == ("", "")
    sinernn.train(config, figures=False, progress=True)
    sinernn.verify(run, progress=True)
    sweep(config, FEW, figures=False, executor=InProcess, progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.count("fused on cpu") == 2
    assert "1 done, 0 failed, 0 to go" in shown.err
