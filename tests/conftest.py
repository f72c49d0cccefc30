"""Fixtures of every test."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

import type_checks as type_checks  # before sinernn is imported

# isort: split
import commands
from commands import COMMAND, Outcome, folder_in_memory
from examples import tiny
from sinernn import cli, engines, experiment
from sinernn.__main__ import COLLECT_AFTER
from sinernn.runs import Run
from sinernn.runs.directory import open_run


def pytest_configure() -> None:
    """Prepare the process: signals as usual, and no wait for the disk.

    A shell that runs the tests in the background ignores SIGINT. What `fsync` guards, a loss of
    power, no test can show; its errors are. Garbage is collected as rarely as by the command.
    """
    gc.set_threshold(COLLECT_AFTER)
    os.fsync = lambda _: None
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator:
    """Leave out the campaign, and begin with what is marked `long`, which else would end alone."""
    _leave_out_campaign(config, items)  # before -m is looked at
    yield
    items.sort(key=lambda item: item.get_closest_marker("long") is None)  # else in random order


def _leave_out_campaign(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `campaign`, unless it is asked for: by -m, by name or by folder."""
    for item in items:
        if "campaign" in item.path.parts:
            item.add_marker("campaign")
    is_named = any("::" in argument for argument in config.args)
    if config.option.markexpr or is_named:
        return
    left_out = [
        item
        for item in items
        if item.get_closest_marker("campaign") and "campaign" not in item.path.parts
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that lacks PyTorch."""
    monkeypatch.delattr(engines, "torch_engine", raising=False)
    monkeypatch.delitem(sys.modules, "sinernn.engines.torch_engine", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture
def installed(here: Path) -> Callable[..., Outcome]:
    """The installed command, run as a process of its own in an empty folder."""

    def run(*arguments: object) -> Outcome:
        return commands.run(COMMAND, *arguments)

    return run


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
    """No colours, a known width and no settings of the user, whatever the tests run in."""
    for name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SINERNN_CONFIG_DIR", "/nowhere")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", os.environ.get("TERM", "dumb"))
