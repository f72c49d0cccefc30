"""What `make dist` builds: the same bits each time, and a wheel that is complete."""

import re
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

import pages
from commands import Outcome, run
from examples import REPOSITORY
from sinernn.engines.fused.cache import cache_folder


def build(project: Path, folder: Path) -> dict[str, bytes]:
    """Build wheel and sdist as `make dist` does; return their bytes."""
    words = [sys.executable, "-m", "hatchling", "build", "-d", folder]
    outcome = run(*words, cwd=project)
    assert outcome.code == 0, outcome.err
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist."""
    folder = tmp_path_factory.mktemp("dist")
    build(REPOSITORY, folder)
    return folder


def test_dist_is_reproducible(here: Path, built: Path):
    """The unpacked sdist, with other times and modes of files, builds the same two files."""
    (sdist,) = built.glob("*.tar.gz")
    shutil.unpack_archive(sdist, here, filter="data")
    (project,) = here.glob("sinernn-*")
    for path in project.rglob("*.py"):
        path.chmod(0o600)
        path.touch()
    assert build(project, here / "again") == {
        path.name: path.read_bytes() for path in built.iterdir()
    }


def test_wheel_in_a_clean_environment(here: Path, built: Path):
    """Without the repository it trains, evaluates, draws, reports, forecasts, exports.

    Its dependencies are those of this environment: nothing is downloaded.
    """
    environment, (wheel,) = here / "environment", built.glob("*.whl")
    assert run(sys.executable, "-m", "venv", "--without-pip", environment).code == 0
    python = environment / "bin" / "python"
    words = ["-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel]
    installed = run(sys.executable, *words)
    assert installed.code == 0, installed.err
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"], encoding="utf-8")
    assert (environment / "share/man/man1/sinernn.1").is_file()
    folder = here / "empty"
    folder.mkdir()

    def command(program: str, *arguments: str) -> Outcome:
        variables = {"HOME": str(folder), "SINERNN_CACHE_DIR": str(cache_folder() or folder)}
        outcome = run(environment / "bin" / program, *arguments, cwd=folder, env=variables)
        assert outcome.code == 0, outcome.err
        return outcome

    where = command("python", "-c", "import sinernn; print(sinernn.__file__)").out
    assert Path(where.strip()).is_relative_to(packages)
    command("sinernn", "init", "tiny", "--to", "mine.yaml")
    command("sinernn", "train", "mine.yaml")
    command("sinernn", "eval", "latest", "evaluation.horizon=40")
    command("sinernn", "plot", "latest", "--figure", "loss")
    page = folder / command("sinernn", "report", "latest").out.strip()
    assert "Sinernn.mountLive" in page.read_text(encoding="utf-8")
    command("sinernn", "predict", "latest", "--steps", "5", "--to", "forecast.csv")
    command("sinernn", "export", "latest", "--format", "onnx", "--to", "wave.onnx")
    examples = re.findall(
        r"```python\n(.*?)```", pages.PAGES["export"].read_text(encoding="utf-8"), re.S
    )
    (example,) = [each for each in examples if "onnxruntime" in each]
    shape = command("python", "-c", f"{example}print(len(forecast), forecast[0].shape)").out
    assert shape == "100 (1, 1)\n"
    assert {"mine.yaml", "runs", "forecast.csv"} <= {path.name for path in folder.iterdir()}
