"""A run that was cut short goes on to the bytes of one that was not, and to no others."""

import contextlib
import itertools
import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import sinernn
from commands import Outcome
from driven import write_driven_series
from examples import Watching, refined, tiny
from sinernn import checkpointing, evaluating, experiment, provenance
from sinernn.config import Config, load_config, to_yaml
from sinernn.errors import (
    InterruptedRunError,
    RunBusyError,
    RunFileError,
    TrainingDivergedError,
    UsageError,
)
from sinernn.evaluating import EvaluationResult
from sinernn.runs import Run
from sinernn.runs.directory import open_run
from sinernn.runs.snapshots import SNAPSHOTS

COMPARED = (
    "metrics.csv", "model.safetensors", "evaluation.json", "evaluation.safetensors",
    "checkpoints/last.safetensors", "checkpoints/best.safetensors",
    "checkpoints/best_before_end.safetensors", "snapshots.safetensors",
)  # fmt: skip


class Died(BaseException):
    """The process ends here, and saves nothing."""


def contents(run: Run) -> dict[str, bytes]:
    return {name: (run.path / name).read_bytes() for name in COMPARED if (run.path / name).exists()}


def dies_at(record: int) -> Watching:
    """Let training die when this many records have been told."""
    left = [record]

    def count(_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Died

    return Watching(record=count)


def begun(config: Config, watch: Watching) -> Run:
    """Train until the watch puts an end to it."""
    runs: list[Run] = []
    with pytest.raises((Died, InterruptedRunError)):
        experiment.train(
            config,
            figures=False,
            observers=[Watching(start=lambda run: runs.append(run), record=watch.record)],
        )
    return runs[0]


def resumed(run: Run, *overrides: str) -> dict[str, bytes]:
    return contents(experiment.resume(run, overrides, figures=False).run)


def resume_is_refused(run: Run, message: str) -> None:
    before = contents(run)
    with pytest.raises(RunFileError, match=message):
        experiment.resume(run)
    assert contents(run) == before


def trained(config: Config) -> dict[str, bytes]:
    return contents(experiment.train(config, figures=False).run)


@pytest.fixture(params=["sine", "driven"])
def series(here: Path, request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Settings of a series: a sine, or a file of recordings with two outputs and an input."""
    return write_driven_series(here / "driven.csv") if request.param == "driven" else ()


@pytest.mark.parametrize(
    "intervals", [(3, 6, 5), pytest.param((7, "null", 9), marks=pytest.mark.campaign)]
)
def test_run_dies_at_any_record(series: tuple[str, ...], intervals: tuple):
    """Wherever a run dies, it goes on to the same bytes.

    At every record in turn, updates and refinement, or at every third of a driven series; and
    again at the next one.
    """
    log, evaluate, checkpoint = intervals
    config = refined(f"training.log_every={log}", f"training.evaluate_every={evaluate}",
                     f"training.checkpoint_every={checkpoint}", *series)  # fmt: skip
    whole, records = trained(config), []
    experiment.train(config, figures=False, observers=[Watching(record=records.append)])
    for number in range(0, len(records), 3 if series else 1):
        run = begun(config, dies_at(number))
        with contextlib.suppress(Died):  # at the last record all is saved
            experiment.resume(run, figures=False, observers=[dies_at(0)])
        assert resumed(run) == whole, number
    assert len(records) > 8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("engine", ["fused", "torch"])
def test_interrupted_run_goes_on(series: tuple[str, ...], engine: str, number: signal.Signals):
    """An interrupted run goes on by the command that its message names."""

    def stop_at_7(record: object) -> None:
        if record.step == 7:  # in the middle of a row, whose losses have to be kept
            os.kill(os.getpid(), number)

    config = tiny(f"engine={engine}", "training.log_every=10", "windows.order=random", *series)
    runs: list[Run] = []
    # the first piece is one update; by then the rate is known, and the rest of the row is one piece
    with pytest.raises(InterruptedRunError) as caught:
        experiment.train(
            config,
            figures=False,
            observers=[
                Watching(
                    start=lambda run: (runs.append(run), os.kill(os.getpid(), number)),
                    record=stop_at_7,
                )
            ],
        )
    assert runs[0].load_checkpoint("last").losses.size == 1
    command = str(caught.value).split("continue with: ")[1]
    assert command == f"sinernn resume {runs[0].path}"
    assert resumed(Run(Path(shlex.split(command)[2]))) == trained(config)


@pytest.mark.parametrize(
    ("steps", "more", "intervals"),
    [
        (20, 40, (10, 20, 20)),  # all of a longer run is there
        (20, 40, (7, 7, None)),  # a row, an evaluation and losses that only the end has brought
        (20, 29, (7, 50, None)),  # the one evaluation comes at the end, of either
        (3, 40, (10, 15, 4)),
        (20, 40, (30, None, 9)),
    ],
)
def test_finished_run_takes_more_steps(
    series: tuple[str, ...], steps: int, more: int, intervals: tuple[int | None, ...]
):
    """With a constant learning rate, to the bytes of a run that long."""
    log, evaluate, checkpoint = ("null" if n is None else n for n in intervals)
    settings = ("training.schedule=constant", f"training.log_every={log}",
                f"training.evaluate_every={evaluate}", f"training.checkpoint_every={checkpoint}",
                *series)  # fmt: skip
    longer = tiny(*settings, f"training.steps={more}")
    run = experiment.train(tiny(*settings, f"training.steps={steps}"), figures=False).run
    assert resumed(run, f"training.steps={more}") == trained(longer)
    assert run.read_json("run.json")["steps"] == run.read_json("run.json")["updates"] == more
    assert f"  steps: {more}\n" in run.config_path.read_text(encoding="utf-8")


def test_more_steps_that_are_cut_short_go_on_too(series: tuple[str, ...]):
    """However often, and at whatever record."""
    settings = ("training.schedule=constant", "training.log_every=4", "training.evaluate_every=7",
                *series)  # fmt: skip
    whole = trained(tiny(*settings, "training.steps=33"))
    begun_with = experiment.train(tiny(*settings), figures=False).run
    for number in range(0, 6, 3 if series else 1):
        run = Run(Path(shutil.copytree(begun_with.path, f"{begun_with.path}-{number}")))
        with pytest.raises(Died):
            experiment.resume(
                run, ["training.steps=33"], figures=False, observers=[dies_at(number)]
            )
        assert resumed(run) == whole


@pytest.mark.parametrize(
    ("make", "overrides", "message"),
    [
        (
            tiny,
            ["training.steps=40"],
            "its schedule ends at the last update, and every learning rate",
        ),
        (refined, ["training.steps=40"], "refinement follows the last update"),
        (tiny, ["training.steps=10"], "training.steps is already 20, more than requested"),
        (tiny, ["seed=3", "dtype=float64"], "seed is 0, not 3; dtype is float32, not float64"),
        (tiny, ["engine=torch"], "engine is fused, not torch"),
    ],
)
def test_resume_as_another_run(
    here: Path, make: Callable[..., Config], overrides: list[str], message: str
):
    """What would make another run of it is refused with a way out."""
    run = experiment.train(make(), figures=False).run
    before = contents(run)
    with pytest.raises(UsageError, match=f"would become a different run: {message}") as caught:
        experiment.resume(run, overrides)
    words = shlex.split(str(caught.value).split("with: ")[1])
    assert words[:3] == ["sinernn", "train", str(run.config_path)]
    assert words[3:] == [*overrides, "--from", str(run.path)]
    assert contents(run) == before


def test_resume_with_another_evaluation(here: Path, sinernn):
    """The command that evaluates with these settings is proposed, and works."""
    run = experiment.train(tiny(), figures=False).run
    with pytest.raises(UsageError, match="would become a different run") as caught:
        experiment.resume(run, ["evaluation.horizon=20"])
    words = shlex.split(str(caught.value).split("; evaluate it with: ")[1])
    assert words == ["sinernn", "eval", str(run.path), "evaluation.horizon=20"]
    assert sinernn(*words[1:]).code == 0


def test_override_without_effect(here: Path):
    """An override that changes nothing does not make another run."""
    run = experiment.train(tiny(), figures=False).run
    assert resumed(run, "training.steps=20", "limits.memory_gb=5") == contents(run)


def test_resume_a_diverged_run(here: Path):
    """A run that diverged is not resumed, since it would again."""
    runs: list[Run] = []
    config = tiny("engine=torch", "signal.amplitude=1e6", "windows.normalize=false", "model.cell=rnn_relu",
                  "training.learning_rate=10", "training.gradient_clip=null")  # fmt: skip
    with pytest.raises(TrainingDivergedError, match="diverged at update 2: the loss is nan"):
        experiment.train(config, observers=[Watching(start=lambda run: runs.append(run))])
    with pytest.raises(UsageError, match=r"diverged, and would diverge again.*learning_rate=1$"):
        experiment.resume(runs[0])


@pytest.mark.parametrize("record", [1, 15])
def test_resume_a_run_that_explodes(here: Path, record: int):
    """It diverges at the same update as without the interruption, and with the same files."""
    config = tiny("dtype=float64", "model.cell=rnn_relu", "model.hidden_size=16",
                  "training.learning_rate=3", "training.gradient_clip=null", "training.steps=100")  # fmt: skip
    runs: list[Run] = []
    message = r"update 5: from there on .* first update's \(2\.22e\+00\)"
    with pytest.raises(TrainingDivergedError, match=message):
        experiment.train(config, observers=[Watching(start=runs.append)])
    run = begun(config, dies_at(record))
    with pytest.raises(TrainingDivergedError, match=message):
        experiment.resume(run)
    assert contents(run) == contents(runs[0])
    assert run.read_facts().diverged_at == 5


def test_plot_of_a_run_stopped_before_a_row(sinernn: Callable[..., Outcome]):
    """The message proposes to continue it, which writes rows."""
    stop = Watching(start=lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError, match="at update 1 of"):
        experiment.train(tiny(), figures=False, observers=[stop])
    message = "has no rows, since the run ended before its first; continue with: sinernn "
    command = sinernn("plot", "latest").err.partition(message)[2]
    assert sinernn(*shlex.split(command)).code == 0
    assert sinernn("plot", "latest").code == 0


def test_resume_a_finished_run(here: Path):
    """It is evaluated and drawn again."""
    run = experiment.train(tiny()).run
    before, figure = contents(run), run.path / "figures/overview.png"
    (run.path / "evaluation.json").unlink()
    figure.unlink()
    experiment.resume(run)
    assert contents(run) == before
    assert figure.exists()


def test_old_figures_are_removed(here: Path):
    """Figures and scores of a network that is trained further are removed."""
    run = experiment.train(tiny("training.schedule=constant")).run
    evaluating.evaluate(run, ["evaluation.horizon=30"])
    sinernn.plot(run, names=["overview"], evaluation="horizon=30")
    with pytest.raises(Died):
        experiment.resume(run, ["training.steps=40"], observers=[dies_at(0)])
    assert not list(run.path.rglob("evaluation.*"))
    assert not list(run.path.rglob("*.png"))
    assert run.evaluations() == []


def test_more_steps_show_in_the_name(here: Path):
    """A run that takes more steps has the name of one that had them from its start."""
    run = experiment.train(tiny("training.steps=10", "training.schedule=constant")).run
    for overrides, steps in ((["training.steps=10"], 10), (["training.steps=20"], 20)):
        facts = experiment.resume(run, overrides, figures=False).facts
        assert facts.name.endswith(f", schedule=constant, steps={steps}")
        assert run.read_facts().name == run.read_scores().config == facts.name


def test_settings_in_run_json(here: Path):
    """They are those of config.yaml, after the training and after it was continued."""
    run = experiment.train(tiny("training.schedule=constant"), figures=False).run
    for steps in (20, 30):
        experiment.resume(run, [f"training.steps={steps}"], figures=False)
        settings = run.read_facts().settings
        assert settings == load_config(run.config_path).flat()
        assert settings["training.steps"] == steps


def test_run_held_by_another_process(here: Path):
    """A run that another process trains is left alone."""
    run = experiment.train(tiny(), figures=False).run
    with (
        run.held(),
        pytest.raises(RunBusyError, match=r": another process is training this run; wait"),
    ):
        experiment.resume(run)
    assert resumed(run) == contents(run)


def test_leftovers_of_a_killed_write(here: Path):
    """What a killed write left behind is removed, and nothing else."""
    run = begun(tiny(), dies_at(3))
    names = (".metrics.csv.0123abcd", ".run.json.0123abcd")
    for name in names:
        (run.path / name).write_text("half")
    (run.path / ".mine").write_text("whole")
    resumed(run)
    assert not any((run.path / name).exists() for name in names)
    assert (run.path / ".mine").exists()


def test_times_and_counts_are_those_of_all_parts(here: Path, monkeypatch: pytest.MonkeyPatch):
    ticks = SimpleNamespace(perf_counter=itertools.count(1.0).__next__)
    monkeypatch.setattr(checkpointing, "time", ticks)  # every look is a second later
    run = begun(tiny("training.checkpoint_every=5"), dies_at(2))
    first = run.read_facts()
    assert first.status == "failed"
    facts = experiment.resume(run, figures=False).facts
    assert facts.seconds > first.seconds > 0
    assert facts.started == first.started <= facts.resumed[0].at
    assert (facts.status, facts.updates) == ("finished", 20)
    assert facts == run.read_facts()


def test_another_environment(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Another environment is reported and recorded."""
    run = begun(tiny(), dies_at(3))
    told: list[str] = []
    now = provenance.environment()
    monkeypatch.setattr(
        provenance, "environment", lambda: now.model_copy(update={"processor": "abacus"})
    )
    facts = experiment.resume(run, figures=False, observers=[Watching(remark=told.append)]).facts
    assert told == [f"processor was {now.processor} and is abacus: the results may differ"]
    assert facts.resumed[0].changed == {"processor": (now.processor, "abacus")}


def cut_metrics(run: Run) -> None:
    text = (run.path / "metrics.csv").read_text(encoding="utf-8")
    (run.path / "metrics.csv").write_text("\n".join(text.splitlines()[:-1]) + "\n")


def lose_metrics(run: Run) -> None:
    (run.path / "metrics.csv").unlink()


def blur_metrics(run: Run) -> None:
    text = (run.path / "metrics.csv").read_text(encoding="utf-8")
    (run.path / "metrics.csv").write_text(text.replace("training,10", "training,ten"))


def swap_network(run: Run) -> None:
    other = experiment.train(tiny("model.hidden_size=3"), figures=False).run
    run.save_checkpoint("last", other.load_checkpoint("last"))


def swap_batch(run: Run) -> None:
    other = experiment.train(tiny("windows.batch_size=2"), figures=False).run
    run.save_checkpoint("last", other.load_checkpoint("last"))


def swap_longer(run: Run) -> None:
    other = experiment.train(tiny("training.steps=30"), figures=False).run
    run.save_checkpoint("last", other.load_checkpoint("last"))


def lose_snapshots(run: Run) -> None:
    run.remove(SNAPSHOTS)


def swap_snapshots(run: Run) -> None:
    other = experiment.train(tiny("training.snapshots=3"), figures=False).run
    run.write(SNAPSHOTS, (other.path / SNAPSHOTS).read_bytes())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_metrics, r"metrics.csv: its rows of training end at 15, but the last checkpoint's"),
        (lose_metrics, r"metrics.csv: is missing"),
        (blur_metrics, r"metrics.csv: is damaged: invalid literal"),
        (swap_network, r"last.safetensors: is of another network, and does not belong to"),
        (swap_batch, r"last.safetensors: holds 2 rows in a batch, and does not belong to"),
        (swap_longer, r"last.safetensors: is at update 30 of 20, and does not belong to"),
        (lose_snapshots, r"snapshots.safetensors: is missing, but was written before; restore it"),
        (swap_snapshots, r"snapshots.safetensors: is damaged: its snapshots are not those of"),
    ],
)
def test_files_that_do_not_fit(here: Path, damage: Callable[[Run], None], message: str):
    """Files that do not go together are reported and left as they are."""
    run = experiment.train(tiny(), figures=False).run
    run.write_json("run.json", run.read_json("run.json") | {"status": "interrupted"})
    damage(run)
    resume_is_refused(run, message)


def test_train_from_another_run(here: Path):
    """A new run begins with the other's best weights."""
    first = experiment.train(tiny("dtype=float64"), figures=False).run
    second = experiment.train(tiny("training.steps=1"), start_from=first, figures=False).run
    start, best = second.load_checkpoint("start"), first.best_checkpoint()[1]
    for name, value in best.state.params.items():
        np.testing.assert_array_equal(start.state.params[name], value.astype("float32"))
    assert start.state.updates == 0
    assert not any(moment.any() for moment in start.state.first_moment.values())
    assert second.read_json("run.json")["start"] == {
        "run": str(first.path), "checkpoint": "best", "updates": best.state.updates,
    }  # fmt: skip
    assert trained(tiny("training.steps=1")) != contents(second)


def test_source_run_is_gone(here: Path):
    """A run that began from another can be resumed and verified when that one is gone."""
    first = experiment.train(tiny("seed=3"), figures=False).run
    whole = experiment.train(tiny(), start_from=first, figures=False)
    runs: list[Run] = []
    with pytest.raises(Died):
        experiment.train(
            tiny(),
            start_from=first.path.name,
            observers=[Watching(start=lambda run: runs.append(run), record=dies_at(0).record)],
        )
    first.path.rename("elsewhere")
    assert resumed(runs[0]) == contents(whole.run)
    assert sinernn.verify(whole.run).agrees


def test_another_network_is_not_begun_with(here: Path):
    first = experiment.train(tiny(), figures=False).run
    with pytest.raises(
        UsageError,
        match=r"contains a different network: cell is rnn_tanh there and gru here, hidden_size",
    ):
        experiment.train(tiny("model.cell=gru", "model.hidden_size=5"), start_from=first)
    assert len(list(Path("runs").glob("[!.]*"))) == 2  # it, and latest


def test_the_commands_resume_and_begin_from(sinernn: Callable[..., Outcome], here: Path):
    Path("a.yaml").write_text(to_yaml(tiny("training.schedule=constant")), encoding="utf-8")
    assert sinernn("train", "a.yaml", "--quiet", "--no-figures").code == 0
    more = sinernn("resume", "latest", "training.steps=30", "--no-figures", "--json")
    assert json.loads(more.out)["updates"] == 30
    assert ", continues at update 20 of 30" in more.err
    refused = sinernn("resume", "latest", "model.hidden_size=5")
    assert refused.code == 2
    assert "would become a different run: model.hidden_size is 4, not 5" in refused.err
    begun = sinernn("train", "a.yaml", "--from", "latest", "--quiet", "--no-figures", "--json")
    assert json.loads(begun.out)["start"]["updates"] == 30
    lost = sinernn("train", "a.yaml", "--from", "nowhere")
    assert (lost.code, "runs/nowhere: no such run" in lost.err) == (2, True)


@pytest.mark.parametrize("override", ["seed=3", "model.hidden_size=5", "dtype=float64"])
def test_the_command_that_a_refusal_proposes(
    sinernn: Callable[..., Outcome], trained: Run, override: str
):
    """It trains what was asked for: from the run's weights, if they fit the network."""
    refused = sinernn("resume", "latest", override)
    assert refused.code == 2
    proposed = shlex.split(refused.err.replace("\n", "").split("with: ")[1])
    begun = sinernn(*proposed[1:], "--quiet", "--no-figures", "--json")
    assert begun.code == 0, begun.err
    name, _, value = override.partition("=")
    assert str(load_config(open_run("latest").config_path).flat()[name]) == value
    assert (json.loads(begun.out)["start"] is None) == (name == "model.hidden_size")


def test_a_best_that_cannot_be_put_back(here: Path, monkeypatch: pytest.MonkeyPatch):
    """The run has failed, and says how to continue, as for any other error of its training."""
    config = tiny("training.schedule=constant", "training.evaluate_every=15")
    run = experiment.train(config, figures=False).run

    def put_back(run: Run, aside: str, name: str) -> None:
        raise RunFileError(f"{name}: cannot be replaced")

    monkeypatch.setattr(Run, "put_back", put_back)
    failures = []
    observer = sinernn.Observer()
    observer.fail = failures.append
    with pytest.raises(
        RunFileError, match=r"best: cannot be replaced; .* sinernn resume"
    ) as caught:
        experiment.resume(run, ["training.steps=40"], figures=False, observers=[observer])
    assert run.read_facts().status == "failed"
    assert failures == [caught.value]


def lose_last(run: Run) -> None:
    (run.path / "checkpoints/last.safetensors").unlink()


def lose_best(run: Run) -> None:
    (run.path / "checkpoints/best.safetensors").unlink()


@pytest.mark.parametrize(
    ("lose", "message"),
    [
        (
            lose_last,
            r"last.safetensors: is missing, but was written before; restore it, or start again",
        ),
        (lose_best, r"best.safetensors: is missing"),
    ],
)
def test_a_checkpoint_that_was_there_is_missed(
    here: Path, lose: Callable[[Run], None], message: str
):
    run = begun(refined(), dies_at(5))
    lose(run)
    resume_is_refused(run, message)


def test_what_a_run_started_from_is_missed(here: Path):
    first = experiment.train(tiny(), figures=False).run
    run = experiment.train(tiny(), start_from=first, figures=False).run
    run.checkpoint_path("start").unlink()
    for again in (experiment.resume, sinernn.verify):
        with pytest.raises(RunFileError, match=r"start.safetensors: is missing"):
            again(run)


def test_other_files_among_figures(here: Path):
    """Only figures are removed from their folder."""
    run = experiment.train(tiny("training.schedule=constant")).run
    mine = run.path / "figures/notes.txt"
    mine.write_text("mine")
    (run.path / "figures/sub").mkdir()
    experiment.resume(run, ["training.steps=30"], figures=False)
    assert sorted(path.name for path in mine.parent.iterdir()) == ["notes.txt", "sub"]


def test_run_is_held_while_evaluated(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Nobody trains a run further while it is evaluated."""
    compute, held = evaluating.compute_evaluation, list[Path]()

    def compute_while_held(run: Run, **options: Any) -> EvaluationResult:
        with pytest.raises(RunBusyError, match="another process is training this run"):
            experiment.resume(run)
        held.append(run.path)
        return compute(run, **options)

    monkeypatch.setattr(evaluating, "compute_evaluation", compute_while_held)
    run = experiment.train(tiny(), figures=False).run
    experiment.resume(run, figures=False)
    assert held == [run.path, run.path]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_while_evaluating(
    here: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
):
    """A stop signal ends the evaluation at once, and the message says how to go on."""

    def stopped(*_: object, **_options: object) -> EvaluationResult:
        os.kill(os.getpid(), number)
        raise AssertionError("the evaluation continued")

    runs: list[Run] = []
    with monkeypatch.context() as patch:
        patch.setattr(evaluating, "compute_evaluation", stopped)
        with pytest.raises(InterruptedRunError, match="when training was done; continue") as caught:
            experiment.train(tiny(), observers=[Watching(start=lambda run: runs.append(run))])
    assert caught.value.exit_code == code
    assert runs[0].read_json("run.json")["status"] == "finished"
    assert resumed(runs[0]) == trained(tiny())


def test_signal_during_verify(here: Path):
    """The message names the run and not its copy."""
    run = experiment.train(tiny(), figures=False).run
    stop = Watching(start=lambda _: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(InterruptedRunError) as caught:
        sinernn.verify(run, observers=[stop])
    assert str(caught.value) == f"interrupted; start again with: sinernn verify {run.path}"
    assert caught.value.exit_code == 130


def test_huge_errors(here: Path):
    """A network that errs without bound is evaluated and drawn."""
    config = tiny("windows.normalize=false", "model.cell=rnn_relu", "training.learning_rate=10",
                  "training.gradient_clip=null", "training.evaluate_every=null",
                  "training.log_every=1", "training.steps=1", "dtype=float64",
                  "signal.amplitude=1000")  # fmt: skip
    summary = experiment.train(config)
    assert summary.scores.open_loop.rmse > 1e100
    assert len(sinernn.plot(summary.run)) > 5
