"""What a notebook shows of trainings and their results."""

import io
import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import IPython.display
import numpy as np
import pytest
from rich.console import Console

import pages
import sinernn
from examples import REPOSITORY, tiny
from sinernn import progress
from sinernn.display import Table
from sinernn.evaluation.results import Scores
from sinernn.progress import TrainingProgress
from sinernn.runs import Run
from sinernn.sweeps.driver import sweep
from sinernn.training import Record
from sweeping import FEW, InProcess

NOTEBOOKS = sorted((REPOSITORY / "examples").glob("*.ipynb"))


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


class Page(HTMLParser):
    """The tags, images and text of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.images, self.text = set[str](), list[bytes](), ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        source = dict(attrs).get("src") or ""
        if source:
            assert source.startswith("data:image/png;base64,")
            self.images.append(b64decode(source.partition(",")[2]))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_summary_shows_itself(here: Path):
    """The verdict in words, the overview, and all scores; as text what `train` prints."""
    summary = sinernn.train(tiny("training.steps=2"))
    page = Page(summary._repr_html_())
    assert page.images == [summary.figures[0].read_bytes()]
    assert summary.scores.skill.words in page.text
    assert {"table", "details"} <= page.tags
    for text in ("one step ahead: RMSE", "long-term behaviour", "persistence"):
        assert text in page.text
        assert text in str(summary)
    assert repr(summary) == f"<Summary of {summary.run.path}: {summary.scores.skill.words}>"
    summary.figures[0].unlink()
    assert not Page(summary._repr_html_()).images


def test_names_are_text(trained: Run):
    """Names come from configs and files of strangers: no tag and no control code is theirs."""
    hostile = "<script>alert(1)</script>\x1b[31m"
    scores = trained.read_scores()
    baselines = [scores.baselines[0].model_copy(update={"name": hostile})]
    skill = scores.skill.model_copy(update={"words": hostile})
    changed = {"run": hostile, "skill": skill, "baselines": baselines, hostile: hostile}
    scores = Scores.model_validate({**scores.model_dump(), **changed})
    page = Page(scores._repr_html_())
    assert "script" not in page.tags
    assert page.text.count("<script>alert(1)</script>") == 5
    assert "\x1b" not in str(scores) + page.text


def test_results_show_themselves(trained: Run):
    """Scores, sweeps and comparisons are tables in a notebook, and text elsewhere."""
    config = tiny("training.steps=2")
    table = sinernn.sweep(config, [*FEW, "seeds=2"], executor=InProcess)
    comparison = sinernn.compare_runs([str(table.path / "*-0"), str(table.path / "*-1")], each=True)
    words = {"persistence": trained.read_scores(), "interval": table, "worst origin": comparison}
    for word, shown in words.items():
        page = Page(shown._repr_html_())
        assert "table" in page.tags
        assert word in page.text
        assert word in str(shown)
    assert Page(table._repr_html_()).images
    assert repr(table) == f"<SweepTable of {table.path}: 2 runs, 0 failed or diverged>"


def test_table_as_text():
    """Headings of several lines stand on the rule; columns are aligned as asked for."""
    table = Table({"name": ["a", "波"], "worst\nerror": ["1", "22"]}, "title", left=("name",))
    lines = ["title", "      worst", "name  error", "─" * 11, "a         1", "波       22"]
    assert str(table).splitlines() == lines


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path: Path):
    """So that a change of it can be read; its links lead somewhere."""
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
        else:
            for target in re.findall(r"\]\(([^)#]+)\)", "".join(cell["source"])):
                assert (path.parent / target).exists(), target


def test_notebooks_are_on_a_page():
    assert {path.name for path in NOTEBOOKS} == set(
        re.findall(r"examples/([\w-]+\.ipynb)\)", pages.PAGES["notebooks"].read_text())
    )
