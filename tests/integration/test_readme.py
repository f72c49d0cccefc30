"""The README and its pages are tested: commands and Python run, links lead somewhere."""

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pages
from commands import run
from examples import REPOSITORY, TINY, copy_configs
from sinernn.engines.fused.cache import cache_folder

DOCS = sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md"))
RUN_TOGETHER = (
    ("README", "runs", "data", "signals", "quality", "speed", "export", "sweeps", "tracking",
     "report"),
    ("lesson", "chaos"),
    ("gallery",),
)  # fmt: skip
"""Pages whose commands are run, each group one after the other in one folder."""

COMMANDS = [
    line for names in RUN_TOGETHER for name in names for line in pages.commands(pages.PAGES[name])
]
ELSEWHERE = ("python -m pip install", "python -m venv", ". .venv")
"""Commands of the shell around us: what they bring is what these tests run in."""


def test_make_targets_of_the_readme_are_there():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([\w-]+):", makefile, flags=re.MULTILINE)
    named = [word for line in COMMANDS if line.startswith("make ") for word in line.split()[1:]]
    assert {"train", "test"} <= set(named) <= set(targets)


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.parametrize("names", RUN_TOGETHER)
def test_commands_of_pages_run(here: Path, names: tuple[str, ...]):
    """They run one after the other, and draw the figures that the pages show.

    With shorter trainings: other tests train shipped configs to the end.
    """
    copy_configs(here / "configs")
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(here)}
    environment["SINERNN_CACHE_DIR"] = str(cache_folder() or here / "kernels")
    found = [pages.PAGES[name] for name in names]
    missing, ran = {each for page in found for each in pages.pictures(page)}, 0
    assert missing
    for line in (line for page in found for line in pages.commands(page)):
        if line.startswith(("make ", "python benchmarks/", *ELSEWHERE)):
            continue
        assert line.startswith("sinernn "), f"nothing runs this command: {line}"
        done = run(*shlex.split(line), env=environment)
        assert done.code == 0, f"{line}\n{done.err}"
        missing -= {name for name, _ in pages.drawn(done.out)}
        ran += 1
    assert ran >= 8
    assert not missing


def test_pictures_are_shown():
    """`make docs` writes every picture and report again: none is left from an earlier page."""
    shown = {name for page in pages.PAGES.values() for name in pages.pictures(page)}
    stored = [*(REPOSITORY / "docs/images").iterdir(), *(REPOSITORY / "docs/pages").iterdir()]
    assert {path.name for path in stored} == shown


def test_snapshots_of_the_lesson():
    """Its table names moments of the training that the page of the default run has."""
    lesson = (REPOSITORY / "docs/lesson.md").read_text(encoding="utf-8")
    page = (REPOSITORY / "docs/pages/default.html").read_text(encoding="utf-8")
    named = re.findall(r"^\| ((?:update|refinement, stage) .+?) \|", lesson, flags=re.MULTILINE)
    assert len(named) >= 5
    assert [label for label in named if f'"{label}"' not in page] == []


@pytest.mark.parametrize(
    "line", dict.fromkeys(line for line in COMMANDS if line.startswith("python benchmarks/"))
)
def test_benchmarks_of_the_readme_start(line: str):
    script = shlex.split(line)[1]
    told = run(sys.executable, REPOSITORY / script, "--help")
    assert told.code == 0
    for option in re.findall(r"--[\w-]+", line):
        assert option in told.out


@pytest.fixture
def run_python_of(here: Path) -> Callable[[str], dict[str, Any]]:
    """What the Python of a page leaves behind."""

    def run_block(page: str) -> dict[str, Any]:
        shutil.copytree(REPOSITORY / "configs", here / "configs")
        shutil.copy(TINY, "tiny.yaml")
        text = pages.PAGES[page].read_text(encoding="utf-8")
        code = "".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
        namespace: dict[str, Any] = {}
        # The tiny config in place of the default: 4 units for 16.
        exec(code.replace("default.yaml", "tiny.yaml").replace("16", "4"), namespace)
        return namespace

    return run_block


def test_the_python_of_the_readme_runs(run_python_of):
    assert run_python_of("runs")["states"].shape == (1, 50, 4)


def test_the_python_of_notebooks_runs(run_python_of):
    assert run_python_of("notebooks")["figure"].axes
    assert Path("horizon.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("page", ["README.md", *DOCS])
def test_links_of_pages(page: str):
    """They lead somewhere."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)\)", prose):
        place = (REPOSITORY / page).parent / target
        assert target.startswith("https://") or place.exists(), target


def test_readme_fits_on_a_page():
    assert len(pages.PAGES["README"].read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/reliability.md"])
def test_tests_named_in_pages_exist(page: str):
    """Every test that a page names is in the suite."""
    suite = {
        path.name: path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("*.py")
    }
    told = re.findall(r"\btest_\w+\*?(?:\.py)?", (REPOSITORY / page).read_text(encoding="utf-8"))
    assert len(told) > 10
    for name in told:
        if name.endswith(".py"):
            assert name in suite
        else:
            text = f"def {name.removesuffix('*')}" + ("" if name.endswith("*") else "(")
            assert any(text in source for source in suite.values()), name
