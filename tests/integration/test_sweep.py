"""A sweep trains ordinary runs, goes on where it stopped, and says what came out."""

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

import sinernn as library
from commands import COMMAND, Outcome, run
from examples import TINY
from sinernn.config import load_config
from sinernn.errors import UsageError
from sinernn.runs import Run
from sinernn.sweeps.driver import resume_sweep, sweep
from sinernn.sweeps.executor import LocalExecutor, Trained
from sinernn.sweeps.worker import Task
from sweeping import FEW, InProcess, contents

DIVERGING = ("signal.amplitude=1e6", "windows.normalize=false", "model.cell=rnn_relu",
             "training.gradient_clip=null", "training.steps=200")  # fmt: skip


def tiny_sweep(*overrides: str, runs_dir: str = "runs", **options):
    return sweep(
        TINY, [*FEW, *overrides], runs_dir=runs_dir, executor=InProcess, figures=False, **options
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


class Stopping(InProcess):
    """An executor that ends after so many runs, as a kill does."""

    count = 2

    def train(self, tasks: Iterable[Task]) -> Iterator[Trained]:
        for number, trained in enumerate(super().train(tasks)):
            if number == self.count:
                raise KeyboardInterrupt
            yield trained


def test_runs_have_the_bits_of_train(here: Path):
    """A run of a sweep differs from one of `train` in its place alone."""
    table = tiny_sweep("model.hidden_size=2,3", "seeds=2")
    alone = library.train(
        load_config(TINY, [*FEW, "model.hidden_size=3", "seed=1"]), figures=False, runs_dir="alone"
    )
    twin = Run(table.path / "hidden_size=3-1")
    for name in ("metrics.csv", "model.safetensors", "checkpoints/best.safetensors",
                 "checkpoints/last.safetensors", "evaluation.json", "config.yaml"):  # fmt: skip
        assert (twin.path / name).read_bytes() == (alone.run.path / name).read_bytes(), name


def test_run_of_a_sweep_is_an_ordinary_run(here: Path):
    table = tiny_sweep("seeds=1")
    path = table.path / "tiny-0"
    assert library.verify(path).agrees
    assert library.evaluate(path, ["evaluation.horizon=9"]).closed_loop_rmse[-1].horizon == 9
    assert not Path("runs/latest").exists()


def test_table_and_files(here: Path):
    table = tiny_sweep("model.hidden_size=2,3", "seeds=2")
    rows = read_csv(table.path / "results.csv")
    assert [row["run"] for row in rows] == [row["run"] for row in table] == [
        "hidden_size=2-0", "hidden_size=2-1", "hidden_size=3-0", "hidden_size=3-1"
    ]  # fmt: skip
    own = Run(table.path / rows[0]["run"]).read_scores()
    assert float(rows[0]["closed_loop_rmse"]) == own.closed_loop_rmse[-1].median
    points = read_csv(table.path / "points.csv")
    assert [point["model.hidden_size"] for point in points] == ["2", "3"]
    assert [point["n"] for point in points] == ["2", "2"]
    assert sorted(path.name for path in table.path.iterdir()) == [
        ".lock", "base.yaml", "hidden_size=2-0", "hidden_size=2-1", "hidden_size=3-0",
        "hidden_size=3-1", "points.csv", "results.csv", "sweep.json", "sweep.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize("keep", ["all", "best", "scores"])
def test_stopped_and_resumed(here: Path, keep: str):
    """It ends in the bytes of a sweep that nothing stopped, and keeps the same files."""
    words = ("model.hidden_size=2,3", "seeds=2", f"keep={keep}")
    whole = tiny_sweep(*words)
    with pytest.raises(KeyboardInterrupt):
        sweep(TINY, [*FEW, *words], runs_dir="other", executor=Stopping, figures=False)
    (stopped,) = Path("other").iterdir()
    table = resume_sweep(stopped, executor=InProcess, figures=False)
    assert contents(table.path) == contents(whole.path)
    files = [
        sorted(str(path.relative_to(each)) for path in each.rglob("*") if path.name != ".lock")
        for each in (table.path, whole.path)
    ]
    assert files[0] == files[1]


def test_resume_trains_only_what_is_missing(here: Path):
    """Also after a kill has left half a run, which has a hidden name."""
    table = tiny_sweep("seeds=3")
    shutil.rmtree(table.path / "tiny-1")
    shutil.copytree(table.path / "tiny-2", table.path / ".tiny-1.0123abcd/x")
    made: list[InProcess] = []
    resume_sweep(
        table.path, executor=lambda path: made.append(InProcess(path)) or made[0], figures=False
    )
    assert made[0].trained == ["tiny-1"]
    assert not list(table.path.glob(".*/"))


def test_resume_adds_seeds_and_trials(here: Path):
    """The longer sweep has the bytes of one that was as long from the start."""
    words = ("model.hidden_size={min: 2, max: 4}", "method=random")
    short = tiny_sweep(*words, "trials=1", "seeds=1")
    longer = resume_sweep(short.path, ["trials=2", "seeds=2"], executor=InProcess, figures=False)
    assert contents(longer.path) == contents(
        tiny_sweep(*words, "trials=2", "seeds=2", runs_dir="other").path
    )
    assert len(resume_sweep(short.path, executor=InProcess, figures=False)) == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hidden_size=9", "model.hidden_size=9: would make .* a different sweep"),
        ("seeds=1", "has runs of seeds that seeds would leave out, as 1"),
    ],
)
def test_resume_refuses_another_sweep(here: Path, override: str, message: str):
    table = tiny_sweep("seeds=2")
    with pytest.raises(UsageError, match=message):
        resume_sweep(table.path, [override], executor=InProcess, figures=False)


def test_only_the_best_keeps_its_network(here: Path):
    table = tiny_sweep("model.hidden_size=2,3", "seeds=3", "keep=best")
    kept = [path.parent.name for path in table.path.glob("*/model.safetensors")]
    best = [
        min((row for row in table if row["model.hidden_size"] == size),
            key=lambda row: row["validation_closed_loop_rmse"])["run"]
        for size in (2, 3)
    ]  # fmt: skip
    assert sorted(kept) == best
    assert {path.name for path in (table.path / "hidden_size=2-0").iterdir()} >= {
        "config.yaml", "run.json", "evaluation.json", "result.json"
    }  # fmt: skip


def test_half_of_the_points_diverge(sinernn: Callable[..., Outcome], monkeypatch):
    """They stay in the denominator, are listed with their reason, and make the exit code 1."""
    monkeypatch.setattr("sinernn.sweeps.driver.LocalExecutor", lambda path, jobs: InProcess(path))
    ended = sinernn(
        "sweep", TINY, *FEW[:1], *DIVERGING, "training.learning_rate=1e-3,10", "--seeds", 2
    )
    assert ended.code == 1
    assert (
        "learning_rate=10-1 diverged: training diverged at update 5: the loss is inf; repeat"
        in ended.out
    )
    assert "it with: sinernn train runs/" in ended.out
    assert "2 of 4 runs failed or diverged" in ended.out
    (folder,) = Path("runs").iterdir()
    again = sinernn("train", folder / "learning_rate=10-1/config.yaml", "--no-figures")
    assert again.code == 3
    rows = read_csv(folder / "results.csv")
    assert [row["status"] for row in rows] == ["finished"] * 2 + ["diverged"] * 2
    assert not any("seconds" in name for name in rows[0])


def test_failure_of_one_run_is_a_result(here: Path, monkeypatch: pytest.MonkeyPatch):
    """The others are trained; `resume` tries it again."""
    from sinernn.sweeps import worker

    train = worker.experiment.train

    def fail(config, **options):
        if config.seed == 1:
            raise MemoryError("no memory")
        return train(config, **options)

    with monkeypatch.context() as patch:
        patch.setattr(worker.experiment, "train", fail)
        table = tiny_sweep("seeds=3")
    assert [row["status"] for row in table] == ["finished", "failed", "finished"]
    assert table[1]["reason"] == "MemoryError: no memory"
    assert table.failed == 1
    again = resume_sweep(table.path, executor=InProcess, figures=False)
    assert contents(again.path) == contents(tiny_sweep("seeds=3", runs_dir="other").path)


def test_sweep_of_a_file(here: Path):
    """A sweep over a file's series; the file of the sweep says where it is."""
    (here / "wave.csv").write_text(
        "value\n" + "\n".join(f"{(number % 20) / 20}" for number in range(600)) + "\n"
    )
    tree = {
        "base": {**json.loads(json.dumps(load_config(TINY, FEW).model_dump(mode="json"))),
                 "signal": {"kind": "file", "path": "wave.csv"}},
        "parameters": {"model.hidden_size": [2, 3]},
    }  # fmt: skip
    table = sweep(tree, runs_dir="runs", executor=InProcess, figures=False)
    assert [row["status"] for row in table] == ["finished"] * 2


def test_command_with_workers(here: Path):
    """Two processes train a sweep; JSON for other programs; a file for each of the results."""
    done = run(COMMAND, "sweep", TINY, *FEW, "model.hidden_size=2,3", "--jobs", 2, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [each["run"] for each in found["runs"]] == ["hidden_size=2-0", "hidden_size=3-0"]
    assert "2 done, 0 failed, 0 left" in done.err


def test_killed_worker_costs_one_try(here: Path, monkeypatch: pytest.MonkeyPatch):
    """A run that ends every worker fails alone, with the reason."""
    asked: list[str] = []
    ask = LocalExecutor._train

    def killing(self, worker, task):
        asked.append(task.run)
        if task.run == "tiny-1":
            worker._started().kill()
        return ask(self, worker, task)

    monkeypatch.setattr(LocalExecutor, "_train", killing)
    table = sweep(TINY, [*FEW, "seeds=3"], jobs=1)
    assert [row["status"] for row in table] == ["finished"] * 3


TPE = ("model.hidden_size={min: 1, max: 8}", "training.learning_rate=0.1,0.01", "method=tpe",
       "trials=7", "batch=3")  # fmt: skip


@pytest.mark.parametrize("prune", [(), ("prune=true", "seeds=4")])
def test_tpe_is_repeatable(here: Path, prune: tuple[str, ...]):
    """Stopped and resumed, it proposes the same points; they differ from draws after a batch."""
    pytest.importorskip("optuna")
    whole = tiny_sweep(*TPE, *prune)
    with pytest.raises(KeyboardInterrupt):
        sweep(TINY, [*FEW, *TPE, *prune], runs_dir="other", executor=Stopping, figures=False)
    (stopped,) = Path("other").iterdir()
    table = resume_sweep(stopped, executor=InProcess, figures=False)
    assert contents(table.path) == contents(whole.path)
    assert (table.path / "optuna.journal").exists()
    assert len({row["run"].rpartition("-")[0] for row in table}) == 7
    if prune:
        assert 7 * 3 <= len(table) < 7 * 4  # no point stops before its third seed


def test_tpe_finds_better_points_than_random():
    """Of a smooth function, over five seeds: the best of 40 proposals is nearer the minimum."""
    pytest.importorskip("optuna")
    from sinernn.errors import Place
    from sinernn.sweeps.parameters import Parameter, Range, drawn
    from sinernn.sweeps.tpe import propose

    axis = Parameter(("x",), Place("x"), range=Range(min=0.0, max=1.0))
    best = []
    for seed in range(5):
        told: list[tuple[list, float]] = []
        while len(told) < 40:
            for proposal in propose([axis], told, 8, seed=seed):
                told.append((proposal, abs(proposal[0].overrides[0].value - 0.7)))
        best.append(min(loss for _, loss in told[16:]))
    assert drawn(axis, 0.123456).text == "0.1235"
    # Of 24 uniform draws the best is within 0.02 on average; proposals are nearer.
    assert sorted(best)[2] < 0.01
