"""A sweep trains ordinary runs, goes on where it stopped, and says what came out."""

import csv
import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import metadata
from pathlib import Path

import pytest

import sinernn as library
from commands import COMMAND, Outcome, next_commands, run, run_python, wait_until
from examples import TINY
from sinernn.cli.sweeping import print_sweep
from sinernn.config import load_config
from sinernn.errors import (
    ConfigError,
    InterruptedRunError,
    RunFileError,
    RunNotFoundError,
    UsageError,
)
from sinernn.runs import Run
from sinernn.runs.facts import RESULT
from sinernn.sweeps import executor, table
from sinernn.sweeps.driver import resume_sweep, sweep
from sinernn.sweeps.executor import LocalExecutor, Trained
from sinernn.sweeps.observing import SweepObserver
from sinernn.sweeps.results import RunResult
from sinernn.sweeps.table import SweepTable
from sinernn.sweeps.worker import Task
from sweeping import FEW, Failing, InProcess, Quick, Stopping, contents

DIVERGING = ("signal.amplitude=1e6", "windows.normalize=false", "model.cell=rnn_relu",
             "training.gradient_clip=null", "training.steps=50")  # fmt: skip

with_forks = pytest.mark.skipif(sys.platform != "linux", reason="no forks elsewhere")


def quick(*overrides: str, runs_dir: str = "runs", **options) -> SweepTable:
    options = {"executor": Quick, "figures": False, **options}
    return sweep(TINY, [*FEW, *overrides], runs_dir=runs_dir, **options)


def resumed(path: Path, *overrides: str, **options) -> SweepTable:
    return resume_sweep(path, overrides, **{"executor": Quick, "figures": False, **options})


def stopped(*overrides: str) -> Path:
    """Return the folder of a sweep that has ended early."""
    with pytest.raises(KeyboardInterrupt):
        quick(*overrides, runs_dir="other", executor=Stopping)
    (path,) = Path("other").iterdir()
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_runs_have_the_bits_of_train(here: Path):
    """A run of a sweep differs from one of `train` in its place alone, and works like it."""
    table = quick("model.hidden_size=2,3", "seeds=[1]", executor=InProcess)
    config = load_config(TINY, [*FEW, "model.hidden_size=3", "seed=1"])
    alone = library.train(config, figures=False, runs_dir="alone").run
    twin = Run(table.path / "hidden_size=3-1")
    for name in ("metrics.csv", "model.safetensors", "checkpoints/best.safetensors",
                 "checkpoints/last.safetensors", "snapshots.safetensors", "evaluation.json",
                 "config.yaml"):  # fmt: skip
        assert (twin.path / name).read_bytes() == (alone.path / name).read_bytes(), name
    assert library.verify(twin).agrees
    assert not Path("runs/latest").exists()
    own = twin.read_scores().closed_loop_rmse[-1].median
    rows = read_csv(table.path / "results.csv")
    assert [row["closed_loop_rmse"] for row in rows] == [
        str(table[0]["closed_loop_rmse"]),
        str(own),
    ]


def test_table_and_files(here: Path):
    table = quick("model.hidden_size=2,3", "seeds=2")
    rows = read_csv(table.path / "results.csv")
    assert [row["run"] for row in rows] == [row["run"] for row in table] == [
        "hidden_size=2-0", "hidden_size=2-1", "hidden_size=3-0", "hidden_size=3-1"
    ]  # fmt: skip
    points = read_csv(table.path / "points.csv")
    assert [(each["model.hidden_size"], each["n"]) for each in points] == [("2", "2"), ("3", "2")]
    assert sorted(path.name for path in table.path.iterdir()) == [
        ".lock", "base.yaml", "hidden_size=2-0", "hidden_size=2-1", "hidden_size=3-0",
        "hidden_size=3-1", "points.csv", "results.csv", "sweep.json", "sweep.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize("keep", ["all", "best", "scores"])
def test_stopped_and_resumed(here: Path, keep: str):
    """It ends in the bytes of a sweep that nothing stopped, and keeps the same files."""
    words = ("model.hidden_size=2,3", "seeds=2", f"keep={keep}")
    whole, again = quick(*words).path, resumed(stopped(*words)).path
    assert contents(again) == contents(whole)
    names = [
        sorted(str(each.relative_to(path)) for each in path.rglob("*")) for path in (whole, again)
    ]
    assert names[0] == names[1]


def test_resume_trains_only_what_is_missing(here: Path):
    """Also after a kill has left half a run, which has a hidden name."""
    path = quick("seeds=3").path
    shutil.rmtree(path / "tiny-1")
    shutil.copytree(path / "tiny-2", path / ".tiny-1.0123abcd/x")
    (path / ".git").mkdir()  # not of a worker
    made: list[Quick] = []
    resumed(path, executor=lambda path: made.append(Quick(path)) or made[0])
    assert made[0].trained == ["tiny-1"]
    assert list(path.glob(".*/")) == [path / ".git"]


def test_resume_adds_seeds_and_trials(here: Path):
    """The longer sweep has the bytes of one that was as long from the start."""
    words = ("model.hidden_size={min: 2, max: 4}", "method=random")
    short = quick(*words, "trials=1", "seeds=1").path
    longer = resumed(short, "trials=2", "seeds=2")
    whole = quick(*words, "trials=2", "seeds=2", runs_dir="other")
    assert contents(longer.path) == contents(whole.path)
    assert len(resumed(short)) == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hidden_size=9", "model.hidden_size=9: would make .* a different sweep"),
        ("seeds=1", "has runs of seeds that seeds would leave out, as 1"),
    ],
)
def test_resume_refuses_another_sweep(here: Path, override: str, message: str):
    path = quick("seeds=2").path
    with pytest.raises(UsageError, match=message):
        resumed(path, override)


def test_run_of_a_sweep_is_not_extended(here: Path):
    """Its result would no longer be that of its point; without a change it is trained further."""
    table = quick("seeds=1", "training.schedule=constant", executor=InProcess)
    path = table.path / "tiny-0"
    with pytest.raises(UsageError, match=r"its sweep compares .*train .*training.steps=8 --from"):
        library.resume(path, ["training.steps=8"], figures=False)
    assert (path / RESULT).exists()
    facts = Run(path).read_facts()
    Run(path).write_facts(facts.model_copy(update={"status": "interrupted"}))
    library.resume(path, figures=False)
    assert not (path / RESULT).exists()  # the sweep trains it again, to the same bytes
    assert contents(resumed(table.path, executor=InProcess).path) == contents(table.path)


def test_stale_figures_are_removed(here: Path):
    """Figures of older results, whether new ones are drawn or not; not what somebody else made."""
    path = quick("seeds=1").path
    (path / "figures").mkdir()
    for name in ("seeds.png", "seeds.pdf", "mine.png"):
        (path / "figures" / name).write_text("old")
    resumed(path)
    assert (path / "figures/seeds.png").exists()  # nothing was trained: it is up to date
    resumed(path, "seeds=2")
    assert [each.name for each in (path / "figures").iterdir()] == ["mine.png"]


def test_a_moved_data_file(here: Path):
    """A sweep goes on with the data file in another place, to the bytes of one that stayed."""
    rows = "\n".join(f"{(number % 20) / 20}" for number in range(600))
    Path("wave.csv").write_text(f"value\n{rows}\n")
    words = ("signal={kind: file, path: wave.csv}", "model.hidden_size=2,3")
    short = quick(*words, "seeds=1", executor=InProcess).path
    whole = quick(*words, "seeds=2", executor=InProcess, runs_dir="other").path
    Path("wave.csv").rename("moved.csv")
    with pytest.raises(ConfigError, match=r"no such file; set signal.path to the data file"):
        resumed(short, "seeds=2")
    resumed(short, "seeds=2", "signal.path=moved.csv", executor=InProcess)
    assert contents(short) == contents(whole)
    assert len(resumed(short)) == 4  # it has kept the place
    Path("moved.csv").write_text("value\n" + rows.replace("0.5", "0.6") + "\n")
    with pytest.raises(UsageError, match=r"moved.csv: has changed since"):
        resumed(short)


def test_tables_name_the_folder_of_a_trial(here: Path, capsys: pytest.CaptureFixture[str]):
    table = quick("model.hidden_size={min: 2, max: 9}", "method=random", "trials=2", "seeds=1")
    print_sweep(table, as_json=False)
    printed = capsys.readouterr().out
    for row, point in zip(table, read_csv(table.path / "points.csv"), strict=True):
        assert row["run"] == f"{point['point']}-0"
        assert f"{point['point']}: hidden_size={row['model.hidden_size']}" in printed


def test_table_shows_the_best_points(here: Path, monkeypatch: pytest.MonkeyPatch):
    """And counts the others; the files have all."""
    monkeypatch.setattr(table, "SHOWN", 1)
    shown = str(quick("model.hidden_size=3,2"))
    assert "hidden_size=2" in shown
    assert "hidden_size=3" not in shown
    assert "1 more point: see" in shown


@pytest.mark.parametrize("content", ["{", '{"status": "lost"}'])
def test_damaged_result(here: Path, content: str):
    path = quick("seeds=1").path
    (path / "tiny-0" / RESULT).write_text(content)
    message = r"tiny-0/result.json: is damaged: .*or remove .*tiny-0 and train it again with: .*res"
    with pytest.raises(RunFileError, match=message):
        resumed(path)
    shutil.rmtree(path / "tiny-0")
    assert len(resumed(path)) == 1


def test_resume_of_what_is_no_sweep(here: Path):
    with pytest.raises(
        RunNotFoundError, match=r"^x: is not the folder of a sweep, with sweep.yaml"
    ):
        resumed(Path("x"))


@pytest.mark.parametrize("other", ["hidden_size=3-0", "hidden_size=2-1"])
def test_another_run_in_a_folder_is_reported(here: Path, other: str):
    """Of another point, as where another version draws others, or of another seed."""
    path = quick("model.hidden_size=2,3", "seeds=2").path
    shutil.rmtree(path / "hidden_size=2-0")
    shutil.copytree(path / other, path / "hidden_size=2-0")
    point, seed = other.split("-")
    message = f"was trained with {point} and seed {seed}, not hidden_size=2 and seed 0; remove it"
    with pytest.raises(RunFileError, match=message):
        resumed(path)


def test_file_in_the_place_of_a_run(here: Path):
    """It is reported before a run is trained for nothing."""
    path = quick("seeds=2").path
    shutil.rmtree(path / "tiny-0")
    (path / "tiny-0").write_text("")
    with pytest.raises(RunFileError, match=r"tiny-0: is not a folder, but a run needs this name"):
        resumed(path)


def test_only_the_best_keeps_its_network(here: Path):
    table = quick("model.hidden_size=2,3", "seeds=3", "keep=best")
    kept = sorted(path.parent.name for path in table.path.glob("*/model.safetensors"))
    best = [
        min((row for row in table if row["model.hidden_size"] == size),
            key=lambda row: row["validation_closed_loop_rmse"])["run"]
        for size in (2, 3)
    ]  # fmt: skip
    assert kept == best
    for path in table.path.glob("*/run.json"):
        assert {each.name for each in path.parent.iterdir()} >= {
            "config.yaml", "run.json", "evaluation.json", "result.json"
        }  # fmt: skip


def test_half_of_the_points_diverge(sinernn: Callable[..., Outcome], monkeypatch):
    """They stay in the denominator, are listed with their reason, and make the exit code 1."""
    monkeypatch.setattr("sinernn.cli.sweeping.LocalExecutor", lambda path, jobs: InProcess(path))
    words = [*FEW[:1], FEW[5], *DIVERGING, "training.learning_rate=1e-3,10", "--no-figures"]
    ended = sinernn("sweep", TINY, *words)
    assert ended.code == 1
    assert (
        "learning_rate=10-0 diverged: training diverged at update 4: the loss is inf; " in ended.out
    )
    assert "repeat it with: sinernn train runs/" in ended.out
    assert "1 of 2 runs failed or diverged" in ended.out
    following = next_commands(ended.out)
    assert [words[0] for words in following] == ["report", "compare"]
    assert [sinernn(*words).code for words in following] == [0, 0]
    (folder,) = Path("runs").iterdir()
    again = sinernn("train", folder / "learning_rate=10-0/config.yaml", "--no-figures")
    assert again.code == 3
    assert [row["status"] for row in read_csv(folder / "results.csv")] == ["finished", "diverged"]


def test_sweep_stops_at_a_failure(sinernn: Callable[..., Outcome], monkeypatch):
    """With --no-keep-going; `resume` trains the others."""
    monkeypatch.setattr("sinernn.cli.sweeping.LocalExecutor", lambda path, jobs: InProcess(path))
    words = [*FEW[:1], FEW[5], *DIVERGING, "training.learning_rate=10,1e-3", "--no-figures"]
    stopped = sinernn("sweep", TINY, *words, "--no-keep-going", "--quiet")
    assert stopped.code == 1
    (folder,) = Path("runs").iterdir()
    assert [row["status"] for row in read_csv(folder / "results.csv")] == ["diverged"]
    said = "stopped, since a run failed or diverged; 1 of 2 runs are done; continue with: "
    assert f"{said}sinernn resume {folder}" in stopped.err
    assert sinernn("resume", folder, "--no-keep-going", "--no-figures").code == 1
    assert [row["status"] for row in read_csv(folder / "results.csv")] == ["diverged", "finished"]


def test_failure_of_the_last_run_stops_nothing(here: Path, capsys: pytest.CaptureFixture[str]):
    """All have been trained."""
    quick("seeds=2", executor=Failing, keep_going=False, progress=True)
    printed = capsys.readouterr().err
    assert "2 done, 1 failed, 0 to go" in printed
    assert "stopped" not in printed


def test_failed_runs_are_tried_again(here: Path):
    table = quick("seeds=3", executor=Failing)
    assert [row["status"] for row in table] == ["finished", "failed", "finished"]
    assert (table.failed, next(table.points()).failed) == (1, 1)
    assert contents(resumed(table.path).path) == contents(quick("seeds=3", runs_dir="other").path)


def test_failure_of_one_run_is_a_result(here: Path, monkeypatch: pytest.MonkeyPatch):
    """It has a run directory with its config, and the reason."""

    def fail(config, **_):
        raise MemoryError("no memory")

    monkeypatch.setattr("sinernn.sweeps.worker.experiment.train", fail)
    table = quick(executor=InProcess)
    assert table[0]["reason"] == "MemoryError: no memory"
    run_of_it = Run(table.path / "tiny-0")
    assert run_of_it.read_facts().status == "failed"
    assert load_config(run_of_it.config_path).model.hidden_size == 4


def test_sweep_of_a_file(here: Path):
    """The series of a data file, whose path is meant from the folder of the config."""
    (here / "deep").mkdir()
    rows = "\n".join(f"{(number % 20) / 20}" for number in range(600))
    (here / "deep/wave.csv").write_text(f"value\n{rows}\n")
    tree = load_config(TINY, FEW).model_dump(mode="json")
    tree["signal"] = {"kind": "file", "path": "wave.csv"}
    (here / "deep/wave.yaml").write_text(json.dumps(tree))
    (here / "s.yaml").write_text("base: deep/wave.yaml\nparameters: {model.hidden_size: [2]}\n")
    table = sweep("s.yaml", executor=InProcess, figures=False)
    assert [row["status"] for row in table] == ["finished"]
    with (here / "deep/wave.csv").open("a") as file:
        file.write("0.5\n")
    with pytest.raises(UsageError, match=r"wave.csv: has changed since .*/s-0 was trained on it"):
        resumed(table.path, "seeds=2")


@pytest.mark.parametrize("content", [None, "{}", '{"versions": 3}'])
def test_lost_environment_is_written_again(
    here: Path, sinernn: Callable[..., Outcome], content: str | None
):
    """A page names the command that does it, which also trains what the sweep lacks."""
    path = quick("seeds=1").path
    file = path / "sweep.json"
    before = file.read_text()
    file.write_text(content) if content else file.unlink()

    refused = sinernn("report", path)
    assert (refused.code, f"written again by: sinernn resume {path}" in refused.err) == (1, True)
    remarks: list[str] = []

    class Keeping(SweepObserver):
        def remark(self, text: str) -> None:
            remarks.append(text)

    assert len(resumed(path, "seeds=2", observers=[Keeping()])) == 2
    assert remarks == ["sweep.json is written again; whether versions differ is not known"]
    assert file.read_text() == before
    assert sinernn("report", path).code == 0


def test_interrupted_sweep_names_the_command(here: Path):
    """SIGINT ends it with the command that goes on; what has ended stays."""

    class Interrupting(Quick):
        def train(self, tasks):
            for trained in super().train(tasks):
                yield trained
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(
        InterruptedRunError, match=r"1 of 3 runs are done; continue with: sinernn"
    ) as e:
        quick("seeds=3", executor=Interrupting)
    assert e.value.exit_code == 130
    (path,) = Path("runs").iterdir()
    assert len(resumed(path)) == 3


def test_command_with_workers(here: Path):
    """A process trains a sweep; JSON for other programs, progress on stderr, one figure."""
    done = run(COMMAND, "sweep", TINY, *FEW, "model.hidden_size=2,3", "--jobs", 1, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [each["run"] for each in found["runs"]] == ["hidden_size=2-0", "hidden_size=3-0"]
    assert "2 done, 0 failed, 0 to go" in done.err
    assert (Path(found["sweep"]) / "figures/line.png").exists()


def test_run_that_ends_every_worker_has_failed(here: Path, monkeypatch: pytest.MonkeyPatch):
    """With the reason, after three tries; the sweep goes on."""
    code = "import os, sys; sys.stdin.readline(); print('out of luck', file=sys.stderr); os.abort()"
    monkeypatch.setattr(executor, "WORKER", (sys.executable, "-c", code))
    monkeypatch.setattr(executor, "can_fork", lambda: False)
    table = quick("seeds=2", executor=lambda path: LocalExecutor(path, jobs=1))
    assert [row["reason"] for row in table] == [
        "ended 3 worker processes: killed by signal 6: out of luck"
    ] * 2


@with_forks
def test_forked_workers_hold_no_file(here: Path):
    """Of the driver: neither its lock nor pipes, which would outlive it; and end with it."""
    code = (
        "import multiprocessing, os, time\n"
        "from pathlib import Path\n"
        "from sinernn.sweeps.executor import LocalExecutor\n"
        "lock = open('lock', 'w')\n"
        "def held(pid):\n"
        "    files = Path(f'/proc/{pid}/fd').iterdir()\n"
        "    return {os.path.basename(os.path.realpath(file)) for file in files} - {'null'}\n"
        "with LocalExecutor(Path(), jobs=2) as local:\n"
        "    local._fork(local._workers)\n"
        "    workers = [each.pid for each in multiprocessing.active_children()]\n"
        "    while any(len(held(pid)) > 3 for pid in workers): time.sleep(0.01)\n"
        "    one, other = map(held, workers)\n"
        "    print('lock' in one | other, one & other)\n"
        "print(len(multiprocessing.active_children()))"
    )
    assert run_python(code) == "False set()\n0\n"


@with_forks
def test_signal_while_workers_are_forked(here: Path):
    """It stops the sweep, although Python ignores what is raised while it forks."""
    code = (
        "import multiprocessing, os, signal\n"
        "from pathlib import Path\n"
        "from sinernn.interrupts import Stopped, StopSignals\n"
        "from sinernn.sweeps.executor import LocalExecutor\n"
        "os.register_at_fork(before=lambda: signal.raise_signal(signal.SIGINT))\n"
        "try:\n"
        "    with StopSignals() as stop, stop.obeyed_at_once():\n"
        "        with LocalExecutor(Path(), jobs=2) as local:\n"
        "            local._fork(local._workers)\n"
        "except Stopped:\n"
        "    print('stopped', multiprocessing.active_children())"
    )
    assert run_python(code) == "stopped []\n"


def test_workers_wait_for_a_slow_disk(here: Path, monkeypatch: pytest.MonkeyPatch):
    """However many runs have ended, few are held: one is taken, one waits, one is held back."""
    monkeypatch.setattr(executor, "MOST_WAITING", 1)
    train = lambda _self, _worker, task: Trained(task, RunResult(), here)  # noqa: E731
    monkeypatch.setattr(LocalExecutor, "_train", train)
    begun: list[str] = []

    def tasks() -> Iterator[Task]:
        for number in range(9):
            begun.append(str(number))
            yield Task(str(number), "", {}, {})

    with LocalExecutor(here, jobs=1) as local:
        next(local.train(tasks()))
        wait_until(lambda: len(begun) == 3)
    assert len(begun) == 3


def test_plot_draws_a_sweep_again(sinernn: Callable[..., Outcome]):
    path = quick("model.hidden_size=2,3", "seeds=2").path
    assert sinernn("plot", path, "--format", "svg").out == f"{path}/figures/line.svg\n"
    refused = sinernn("plot", path.name, "--figure", "loss")
    assert (refused.code, "leave out --figure" in refused.err) == (2, True)


TPE = ("model.hidden_size={min: 1, max: 40}", "training.learning_rate=0.1,0.01", "method=tpe",
       "trials=7", "batch=3")  # fmt: skip


@pytest.mark.parametrize("prune", [(), ("prune=true", "seeds=4")])
def test_tpe_is_repeatable(here: Path, prune: tuple[str, ...]):
    """Stopped and resumed, it proposes the same points."""
    pytest.importorskip("optuna")
    whole = quick(*TPE, *prune)
    table = resumed(stopped(*TPE, *prune))
    assert contents(table.path) == contents(whole.path)
    assert (table.path / "optuna.journal").exists()
    assert len({row["run"].rpartition("-")[0] for row in table}) == 7
    if prune:
        assert 7 * 3 <= len(table) < 7 * 4  # no point stops before its third seed


def test_tpe_finds_better_points_than_draws():
    """Of the distance to 0.7: of 24 draws the nearest is 0.02 away on average."""
    pytest.importorskip("optuna")
    from sinernn.errors import Place
    from sinernn.sweeps.parameters import Parameter, Range
    from sinernn.sweeps.tpe import propose

    axis = Parameter(("x",), Place("x"), range=Range(min=0.0, max=1.0))
    told: list[tuple[list, float]] = []
    while len(told) < 40:
        for proposal in propose([axis], told, 8, seed=0):
            told.append((proposal, abs(proposal[0].overrides[0].value - 0.7)))
    assert min(loss for _, loss in told[16:]) < 0.005


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep", TINY, "--executor", "ray"],
         "Ray needs an extra; install it with: pip install 'sinernn[ray]'\n"),
        (["sweep", TINY, "--ray-address", "10.0.0.1:6379"],
         "--ray-address 10.0.0.1:6379: needs --executor ray\n"),
    ],
)  # fmt: skip
def test_where_a_sweep_cannot_be_trained(
    sinernn: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, words: list, message: str
):
    """It is said before a folder is made."""
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    ended = sinernn(*words)
    assert (ended.code, ended.err) == (2, message)
    assert not Path("runs").exists()
    assert "ray" in metadata("sinernn").get_all("Provides-Extra")


def test_resume_of_a_run_has_no_workers(sinernn: Callable[..., Outcome]):
    run_path = quick().path / "tiny-0"
    ended = sinernn("resume", run_path, "--jobs", 2)
    options = "--jobs, --executor, --ray-address and --no-keep-going are for sweeps"
    message = f"is a run, and not a sweep's folder; {options}"
    assert (ended.code, ended.err) == (2, f"{run_path}: {message}\n")
