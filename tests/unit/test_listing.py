"""Tables of runs: rows, conditions, order, and what listing a run costs."""

import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from counting import counted
from examples import REPOSITORY, make_run, tiny
from sinernn.errors import ConfigError, RunBusyError, RunFileError, RunNotFoundError, UsageError
from sinernn.evaluation.parts import (
    ChannelScore,
    ForecastOrigin,
    HorizonScore,
    MedianAndWorst,
    ValidTime,
)
from sinernn.evaluation.results import Scores
from sinernn.runs import Run
from sinernn.runs.directory import open_run, remove_run
from sinernn.runs.facts import RunFacts
from sinernn.runs.listing import find_removable, find_runs, runs_in, runs_table, sweeps_in


def listed(name: str, *overrides: str, status: str = "finished", rmse: float | None = 0.5) -> Run:
    """A run of the smoke test's config with its two small files, and nothing else."""
    config = tiny(*overrides)
    run = make_run(name=name)
    facts = RunFacts(
        name=config.named().name, status=status, seed=config.seed, settings=config.flat()
    )
    run.write_facts(facts.model_copy(update={"seconds": 2.5, "started": "2026-11-24T12:00:05Z"}))
    if status == "finished":
        ladder = [HorizonScore(horizon=1, median=0.1), HorizonScore(horizon=60, median=rmse)]
        steps = MedianAndWorst(median=60, worst=3)
        scores = Scores(
            part="test", closed_loop_rmse=ladder, channels=[ChannelScore(unit="V")],
            valid_time=ValidTime(steps=steps, outlasted=2), origins=[ForecastOrigin()] * 3,
        )  # fmt: skip
        run.write_json("evaluation.json", scores.model_dump())
    return run


def names(**options: Any) -> list[str]:
    return [Path(row.run).name.split("-", 2)[2] for row in runs_table(**options)]


def test_a_row(here: Path):
    """It has what identifies a run, how it ended, and its main scores."""
    run = listed("a", "model.hidden_size=6", "seed=3", "model.num_layers=2")
    (row,) = runs_table()
    expected = {
        "run": str(run.path), "name": "tiny",
        "changed": "device=cpu, dtype=float32, hidden_size=6, num_layers=2, refine=null, seed=3",
        "cell": "rnn_tanh", "units": "2x6", "seed": 3, "status": "finished", "part": "test",
        "horizon": 60, "closed_loop_rmse": 0.5, "worst_rmse": None, "unit": "V",
        "valid_steps": 60, "outlasts_horizon": True, "valid_lyapunov_times": None, "seconds": 2.5,
        "started": "2026-11-24T12:00:05Z", "problem": "",
    }  # fmt: skip
    assert row.columns() == expected
    assert row.value("training.steps") == 20
    assert [each.horizon for each in row.ladder] == [1, 60]


def test_status(here: Path):
    """A run that says `running` is interrupted unless a process holds it."""
    for status in ("running", "finished", "diverged", "interrupted", "failed"):
        listed(status, status=status)
    busy = listed("held", status="running")
    (listed("unread").path / "run.json").write_text("{")
    (listed("unscored").path / "evaluation.json").unlink()
    with busy.held():
        found = dict(zip(names(), (row.status for row in runs_table()), strict=True))
    assert found == {
        "running": "interrupted", "finished": "finished", "diverged": "diverged",
        "interrupted": "interrupted", "failed": "failed", "held": "running", "unread": "broken",
        "unscored": "interrupted",
    }  # fmt: skip
    (broken,) = runs_table(where=["status=broken"])
    assert broken.problem.startswith(f"{broken.run}/run.json: is damaged: not JSON")


def test_listing_writes_nothing(here: Path):
    """Not even the file of a lock; and a link in its place is not followed."""
    run = listed("a", status="running")
    runs_table()
    assert list(run.path.iterdir()) == [run.path / "run.json"]
    Path("mine").write_text("mine")
    (run.path / ".lock").symlink_to("../../mine")
    runs_table()
    assert Path("mine").read_text() == "mine"


def test_run_without_settings_in_its_facts(here: Path):
    """Those of an older version are in config.yaml alone."""
    source = REPOSITORY / "tests" / "support" / "runs_0_1"
    for row in runs_table([source]):
        assert (row.cell, row.units, row.value("training.steps")) == ("rnn_tanh", "4", 20)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["model.hidden_size=6"], ["b", "c"]), (["model.hidden_size=6", "seed=1"], ["c"]),
        (["model.hidden_size=6.0"], ["b", "c"]), (["cell=gru"], ["d"]), (["model.cell=gru"], ["d"]),
        (["refine=null"], ["a", "b", "c", "d"]), (["signal.kind=lorenz", "signal.rho=28"], []),
        (["status=finished", "seed=1"], ["c"]), (["signal.kind=file", "signal.path=x.csv"], []),
    ],
)  # fmt: skip
def test_conditions(here: Path, where: list[str], expected: list[str]):
    """All must hold, of columns and of settings, whose values have the settings' types."""
    listed("a")
    listed("b", "model.hidden_size=6")
    listed("c", "model.hidden_size=6", "seed=1")
    listed("d", "model.cell=gru")
    assert names(where=where) == expected


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"where": ["model.hiden_size=6"]}, ConfigError, "unknown key; did you mean hidden_size?"),
        ({"where": ["model.hidden_size=x"]}, ConfigError, "must be a whole number, got 'x'"),
        ({"where": ["status"]}, ConfigError, "has no value; write status=VALUE"),
        ({"where": ["model={cell: gru}"]}, UsageError, "model: is a section; name a setting in it"),
        ({"sort": "hidden_size"}, UsageError, r"did you mean model\.hidden_size\?"),
        ({"sort": "rmse"}, UsageError, r"rmse: is neither a column nor a setting; did you mean closed_loop_rmse"),
        ({"runs": ["a*"]}, RunNotFoundError, r"a\*: matches no run, neither here nor in runs; see"),
        ({"runs": ["a"]}, RunNotFoundError, r"runs/a: no such run; there are none in runs"),
    ],
)  # fmt: skip
def test_wrong_requests(here: Path, options: Any, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        runs_table(**options)


def test_order(here: Path):
    """By any column or setting; runs without a value come last, whatever the direction."""
    listed("a", rmse=0.3)
    listed("b", "model.hidden_size=6", rmse=None)
    listed("c", "model.hidden_size=2", rmse=0.1)
    assert names() == ["a", "b", "c"]
    assert names(sort="closed_loop_rmse") == ["c", "a", "b"]
    assert names(sort="closed_loop_rmse", reverse=True) == ["a", "c", "b"]
    assert names(sort="model.hidden_size", reverse=True) == ["b", "a", "c"]
    assert names(sort="status", reverse=True) == ["a", "b", "c"]


def test_cost_of_a_row(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Two small files of a run are opened, once each; the rest takes few calls."""
    opened, calls, open_file = list[str](), list[int](), io.open

    def count_open(path: Any, *rest: Any, **options: Any) -> Any:
        opened.append(str(path))
        return open_file(path, *rest, **options)

    for count in (5, 10):
        for _ in range(5):
            listed("a")
        opened.clear()
        with counted() as cost, monkeypatch.context() as patch:
            patch.setattr("io.open", count_open)
            assert len(runs_table(where=["model.hidden_size=4"])) == count
        runs = [str(run.path) for run in runs_in(Path("runs"))]
        small = [f"{run}/{name}" for run in runs for name in ("run.json", "evaluation.json")]
        assert sorted(opened) == sorted(small)
        assert sum(Path(path).stat().st_size for path in opened) < 10_000 * count
        calls.append(cost.calls)
    assert calls[1] - calls[0] < 5 * 3000  # of which checks of types, in tests alone, are most


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["latest"], ["c"]), (["*-a", "latest"], ["a", "c"]), (["runs/*"], ["a", "b", "c", "p-0", "p-1"]),
        (["sweep"], ["p-0", "p-1"]), (["runs/sweep"], ["p-0", "p-1"]), (["runs/s*"], ["p-0", "p-1"]),
        (["runs"], ["a", "b", "c"]), (["sweep/p-1", "sweep"], ["p-1", "p-0"]), (["other"], ["z"]),
    ],
)  # fmt: skip
def test_find_runs(here: Path, words: list[str], expected: list[str]):
    """By name, folder, pattern, sweep and `latest`, each once."""
    for name in ("a", "b", "c"):
        listed(name)
    for folder in ("runs/sweep/p-0", "runs/sweep/p-1", "other/z", "runs/empty"):
        Path(folder).mkdir(parents=True)
        if folder != "runs/empty":
            (Path(folder) / "run.json").write_text("{}")
    Path("runs/notes.txt").write_text("mine")
    assert [run.path.name.removeprefix("20261124-120005-") for run in find_runs(words)] == expected
    assert sweeps_in(Path("runs")) == [Path("runs/sweep")]


def test_removal_moves_latest(here: Path):
    """To the newest run that is left; without one it is removed."""
    for name in ("a", "b", "c"):
        listed(name)
    remove_run(find_runs(["*-b"])[0])
    assert Path("runs/latest").readlink().name.endswith("-c")
    remove_run(open_run("latest"))
    assert Path("runs/latest").readlink().name.endswith("-a")
    remove_run(open_run("latest"))
    assert not list(Path("runs").iterdir())


def test_removal_moves_a_latest_that_is_text(here: Path):
    for name in ("a", "b"):
        listed(name)
    Path("runs/latest").unlink()
    Path("runs/latest").write_text("20261124-120005-b\n")
    remove_run(open_run("latest"))
    assert open_run("latest").path.name.endswith("-a")
    assert {path.name for path in Path("runs").iterdir()} == {"20261124-120005-a", "latest"}


def test_working_folder_is_removed(here: Path, monkeypatch: pytest.MonkeyPatch):
    """A run is also found by a path without a name."""
    for name in ("a", "b"):
        listed(name)
    monkeypatch.chdir(open_run("latest").path)
    remove_run(Run(Path()))
    monkeypatch.chdir(here)
    assert open_run("latest").path.name.endswith("-a")


def test_held_run_is_not_removed(here: Path):
    run = listed("a")
    with run.held(), pytest.raises(RunBusyError, match="another process is training this run"):
        remove_run(run)
    assert run.read_facts().name


def test_listing_beside_a_start(here: Path):
    """Asking whether a run is held takes its lock for an instant, for which a training waits."""
    run = listed("a")
    lock, is_taken = FileLock(run.path / ".lock"), threading.Event()

    def ask() -> None:
        with lock:
            is_taken.set()
            time.sleep(0.01)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(ask)
        is_taken.wait()
        with run.held():
            assert run.is_held()
    assert not run.is_held()


def test_link_is_not_removed(here: Path):
    """Neither it nor what it leads to; links in a run are removed, and their targets stay."""
    run = listed("a")
    Path("mine").mkdir()
    Path("mine/file").write_text("mine")
    (run.path / "figures").mkdir()
    (run.path / "figures" / "mine").symlink_to(here / "mine")
    Path("runs/link").symlink_to(run.path.name)
    with pytest.raises(RunFileError, match="runs/link: is a link; remove the link itself"):
        remove_run(Run(Path("runs/link")))
    remove_run(run)
    assert Path("mine/file").read_text() == "mine"
    assert not run.path.exists()


def test_removable(here: Path):
    """A sweep goes with its runs; of another folder, the runs alone."""
    for folder in ("runs/sweep/p-0", "other/z"):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "run.json").write_text("{}")
    Path("runs/sweep/sweep.yaml").write_text("base: a.yaml\n")
    found = [str(run.path) for run in find_removable(["sweep", "other", "sweep/p-0"])]
    assert found == ["runs/sweep/p-0", "runs/sweep", "other/z"]
    for run in find_removable(["sweep"]):
        remove_run(run)
    assert not list(Path("runs").iterdir())


def test_infinite_numbers_are_damage(here: Path):
    """In any value; the word in a text is none."""
    run = listed("Infinity", "signal.unit=Infinity")
    assert run.read_facts().settings["signal.unit"] == "Infinity"
    text = json.dumps(run.read_json("run.json")).replace('"Infinity"', "1e999")
    (run.path / "run.json").write_text(text)
    with pytest.raises(RunFileError, match=r"run\.json: is damaged: not JSON: Out of range"):
        run.read_facts()
