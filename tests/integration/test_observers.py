"""Observers receive the events of a training, and one that fails changes nothing."""

import logging
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import sinernn
from examples import refined, tiny
from sinernn import experiment
from sinernn.errors import TrainingDivergedError
from sinernn.observers import Observer
from sinernn.runs import Run

FILES = (
    "metrics.csv", "model.safetensors", "evaluation.json", "checkpoints/best.safetensors",
    "checkpoints/last.safetensors",
)  # fmt: skip


def contents(run: Run) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in FILES]


class Noting(Observer):
    """Notes the names of events; at one of them it raises an error."""

    def __init__(self, raises_at: str = "", error: BaseException | None = None) -> None:
        self.events: list[str] = []
        self._raises_at, self._error = raises_at, error or ValueError("no more")

    def _note(self, event: str) -> None:
        self.events.append(event)
        if event == self._raises_at:
            raise self._error

    def start(self, *_: object) -> None:
        self._note("start")

    def record(self, *_: object) -> None:
        self._note("record")

    def finish(self, summary: experiment.Summary) -> None:
        assert summary.run.read_facts()
        self._note("finish")

    def fail(self, error: BaseException) -> None:
        self._note(type(error).__name__)


def test_events_of_a_training(here: Path):
    """Every observer receives the start, every record and the end, in this order."""
    observers = [Noting(), Noting()]
    experiment.train(refined(), figures=False, observers=observers)
    for each in observers:
        assert each.events[0] == "start"
        assert set(each.events[1:-1]) == {"record"}
        assert each.events[-1] == "finish"
    assert observers[0].events == observers[1].events


@pytest.mark.parametrize("event", ["start", "record", "finish"])
def test_failing_observer(here: Path, caplog: pytest.LogCaptureFixture, event: str):
    """It is reported once and dropped; the run's bytes and the other observers' events stay."""
    expected = contents(experiment.train(refined(), figures=False).run)
    failing, other = Noting(event), Noting()
    with caplog.at_level(logging.WARNING, "sinernn"):
        run = experiment.train(refined(), figures=False, observers=[failing, other]).run
    assert contents(run) == expected
    assert failing.events.count(event) == 1
    assert failing.events[-1] == event
    assert other.events[-1] == "finish"
    assert caplog.messages == [
        "observer Noting failed and receives no further events; the run continues: "
        "ValueError: no more"
    ]


def test_observer_interrupts(here: Path):
    """KeyboardInterrupt of an observer ends the run, which can be resumed to the same bytes."""
    expected = contents(experiment.train(tiny(), figures=False).run)
    observer = Noting("record", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        experiment.train(tiny(), figures=False, observers=[observer])
    assert observer.events[-1] == "KeyboardInterrupt"
    run = experiment.open_run("latest")
    assert run.read_json("run.json")["status"] == "interrupted"
    assert contents(experiment.resume(run, figures=False).run) == expected


def test_observer_of_a_diverging_run(here: Path):
    """It receives the error."""
    observer = Noting()
    config = tiny("signal.amplitude=1e6", "windows.normalize=false", "model.cell=rnn_relu",
                  "training.learning_rate=10", "training.gradient_clip=null")  # fmt: skip
    with pytest.raises(TrainingDivergedError, match="diverged at update"):
        experiment.train(config, figures=False, observers=[observer])
    assert observer.events[-1] == "TrainingDivergedError"


def test_finished_run_has_no_events(here: Path):
    """A finished run that is evaluated again trains nothing, so there is nothing to observe."""
    run, observer = experiment.train(tiny(), figures=False).run, Noting()
    experiment.resume(run, figures=False, observers=[observer])
    assert observer.events == []


class Spoiling(Observer):
    """Keeps the weights of the last record, and overwrites what it was given."""

    def record(self, record: object, weights) -> None:
        found = weights()
        self.weights = {name: value.copy() for name, value in found.items()}
        for value in found.values():
            value[...] = np.nan


@pytest.mark.parametrize("make", [tiny, refined])
@pytest.mark.parametrize("engine", ["fused", "torch"])
def test_weights_are_copies(here: Path, make, engine: str):
    """The weights at the last record are those of `last`, and changing them changes no bit."""
    config, observer = make(f"engine={engine}"), Spoiling()
    expected = contents(experiment.train(config, figures=False).run)
    run = sinernn.train(config, figures=False, observers=[observer]).run
    assert contents(run) == expected
    last = run.load_checkpoint("last").state.params
    assert last.keys() == load_file(run.path / "model.safetensors").keys()
    for name, value in last.items():
        np.testing.assert_array_equal(observer.weights[name], value)


def test_weights_only_when_asked(here: Path, monkeypatch: pytest.MonkeyPatch):
    """An observer that does not ask for weights causes no copy of them."""
    calls: list[object] = []
    monkeypatch.setattr("sinernn.checkpointing.Checkpointer.weights", lambda *_: calls.append(_))
    experiment.train(tiny(), figures=False, observers=[Noting()])
    assert calls == []


def test_latest_is_left_alone(here: Path):
    """`publish_latest=False` leaves `latest` as it is."""
    first = experiment.train(tiny(), figures=False).run
    second = experiment.train(tiny(), figures=False, publish_latest=False).run
    assert Path("runs/latest").resolve() == first.path.resolve() != second.path.resolve()
