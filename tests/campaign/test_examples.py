"""The notebooks in examples/ run, and what they show is short."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from commands import run
from examples import REPOSITORY, copy_configs
from sinernn.engines.fused.cache import cache_folder

EXECUTE = Path(sys.executable).with_name("jupyter-execute")
NOTEBOOKS = sorted((REPOSITORY / "examples").glob("*.ipynb"))


def executed(notebook: Path, here: Path) -> list[dict[str, Any]]:
    """Run a notebook beside configs with short trainings; return its cells of code."""
    copy_configs(here / "configs")
    copy = here / "examples" / notebook.name
    copy.parent.mkdir()
    shutil.copy(notebook, copy)
    folders = (
        "HOME",
        "IPYTHONDIR",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
    )
    environment = {**os.environ, **{name: str(here / name) for name in folders}}
    environment["SINERNN_CACHE_DIR"] = str(cache_folder() or here / "kernels")
    done = run(EXECUTE, "--inplace", copy, cwd=copy.parent, env=environment)
    assert done.code == 0, done.err
    cells = json.loads(copy.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def data_of(cells: list[dict[str, Any]], kind: str) -> list[str]:
    outputs = [output for cell in cells for output in cell["outputs"]]
    return ["".join(each["data"][kind]) for each in outputs if kind in each.get("data", {})]


def text_of(cells: list[dict[str, Any]]) -> str:
    streams = [
        each for cell in cells for each in cell["outputs"] if each["output_type"] == "stream"
    ]
    assert {each["name"] for each in streams} <= {"stdout"}
    return "".join("".join(each["text"]) for each in streams)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(here: Path, notebook: Path):
    """A cell shows a few outputs: a line and a bar for a training, then a result."""
    cells = executed(notebook, here)
    assert max(len(cell["outputs"]) for cell in cells) <= 3
    assert len(data_of(cells, "image/png")) >= 1
    pages = data_of(cells, "text/html")
    bars = [page for page in pages if "training <" in page or "sweep <" in page]
    assert 2 <= len(bars) <= 5
    assert all("0:00:00" in bar for bar in bars)  # the last state
    assert any("<details>" in page and "data:image/png" in page for page in pages)
    printed = text_of(cells)
    if notebook.stem == "first-hour":
        assert "as it should be: " in printed
        assert data_of(cells, "text/plain")[-1] == "True"
    else:
        assert "# refine needs its precision" in printed
        difference = printed.split("largest difference from the forecast above: ")[1]
        assert float(difference) < 1e-6  # of a network that was trained hardly
