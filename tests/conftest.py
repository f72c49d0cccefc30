"""What several test files need."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import kills
from nursery import Nursery
from sinernn import cli, experiment
from sinernn.config import Config, load_config
from sinernn.evaluation import Evidence, Forecasts, OneStep
from sinernn.evaluation.baselines import mean, persistence
from sinernn.evaluation.dynamics import Dynamics
from sinernn.runs import Run
from sinernn.runs.directory import open_run

REPOSITORY = Path(__file__).parents[1]
CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))
TINY = REPOSITORY / "configs" / "tiny.yaml"


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """A folder for which no disk is waited, if there is memory to mount: a kill loses none of it."""
    shared = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None)


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """An empty folder in memory, which is the working folder."""
    with folder_in_memory() as folder, monkeypatch.context() as patch:
        patch.chdir(folder)
        yield Path(folder)


@pytest.fixture
def sinernn(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """The command line, run in this process in an empty folder."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["sinernn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def installed(here: Path) -> Callable[..., Outcome]:
    """The installed command, run as a process of its own in an empty folder."""

    def run(*arguments: object) -> Outcome:
        command = [str(Path(sys.executable).with_name("sinernn")), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def bench() -> Generator[kills.Bench]:
    """A warm process from which trainings are forked to be killed, and what each must come to."""
    cases = kills.CASES | kills.SHORT_CASES
    warm = [kills.warming(case) for case in cases.values()]
    with folder_in_memory() as folder, Nursery(Path(folder), warm) as nursery:
        yield kills.Bench(Path(folder), nursery, cases)


@pytest.fixture(scope="session")
def runs_of_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one in it, of `tiny()`, without figures; to be copied."""
    runs = tmp_path_factory.mktemp("trained") / "runs"
    experiment.train(tiny(), runs_dir=runs, figures=False)
    return runs


@pytest.fixture
def trained(here: Path, runs_of_tiny: Path) -> Run:
    """A run of `tiny()` without figures, in `runs`, for tests of what comes after training."""
    shutil.copytree(runs_of_tiny, "runs", symlinks=True)
    return open_run("latest")


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No colours and a known width, whatever the tests run in."""
    for name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", os.environ.get("TERM", "dumb"))


def tiny(*overrides: str) -> Config:
    """The smoke test's config with changes, in float32 and without refinement."""
    given = {text.split("=")[0] for text in overrides}
    plain = ["device=cpu", "dtype=float32", "refine=null"]
    return load_config(TINY, [*(p for p in plain if p.split("=")[0] not in given), *overrides])


def refined(*overrides: str) -> Config:
    """The smoke test's config with changes, refinement and all."""
    return load_config(TINY, ["device=cpu", *overrides])


def make_evidence(
    prediction: Callable[[np.ndarray], np.ndarray] = lambda truth: truth,
    *,
    wave: Callable[[np.ndarray], np.ndarray] = np.sin,
    steps: int = 400,
    origins: int = 3,
    channels: int = 1,
    warmup: int = 50,
    noise: float = 0.0,
    period: float | None = 2 * np.pi,
) -> Evidence:
    """What an evaluation of a wave, sampled every 0.2 time units, would find.

    `prediction` makes forecasts [origin, steps, channel] from the truth; the hidden state goes
    round a circle when driven, and spirals into its centre when free.
    """
    time = 0.2 * np.arange(warmup + steps) + 100.0 * np.arange(origins)[:, None]
    truth = np.repeat(wave(time)[:, :, None], channels, axis=2)
    observed = truth + noise * np.random.default_rng(0).normal(size=truth.shape)
    forecasts = Forecasts(time, observed, truth, prediction(truth[:, warmup:]))
    angle = 0.2 * np.arange(min(steps, 1000))
    circle = np.stack([np.cos(angle), np.sin(angle), 0.1 * np.cos(2 * angle)], axis=1)
    training = np.repeat(wave(0.2 * np.arange(3142))[None, :, None], channels, axis=2)
    return Evidence(
        closed_loop=forecasts,
        open_loop=OneStep(time, observed, truth, truth + 0.01 * np.cos(3 * time)[:, :, None]),
        baselines={
            "mean": mean(training, origins, steps),
            "persistence": persistence(observed[:, :warmup], steps),
        },
        dynamics=Dynamics(
            exponents=np.zeros(origins),
            outputs=np.tile(wave(0.2 * np.arange(2000))[None, :, None], (origins, 1, channels)),
            driven=circle,
            free=circle * np.exp(-angle / 10)[:, None],
            explained=np.array([0.6, 0.3, 0.05]),
            driven_eigenvalues=np.full((5, 4, 2), 0.5),
            free_eigenvalues=np.full((5, 4, 2), 0.7),
        ),
        std=training.std(axis=(0, 1)),
        time_step=0.2,
        period=period,
    )
