"""Trackers show runs, and one that fails, hangs or is slow changes nothing of them."""

import logging
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL.Image import new as new_image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import sinernn as library
from commands import no_hang
from examples import TINY, Watching, refined, tiny
from sinernn import trackers
from sinernn.errors import SinernnError, UsageError
from sinernn.runs import Run
from sinernn.trackers.background import Background, RunTracking
from sinernn.trackers.mlflow import MLflow
from sinernn.trackers.tensorboard import TensorBoard
from sinernn.trackers.tracker import Scalars, TrackedRun, Tracker
from sinernn.verification import COMPARED
from sweeping import FEW, InProcess


def bits(run: Run) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in COMPARED]


class Noting(Tracker):
    """Records the events it receives; at one of its methods it does something else."""

    def __init__(self, at: str = "", act=lambda: None) -> None:
        self.started: list[TrackedRun] = []
        self.noted: list[Scalars] = []
        self.finished: list[TrackedRun] = []
        self.sweeps: list[Path] = []
        self._at, self._act = at, act

    def _note(self, method: str) -> None:
        if method == self._at:
            self._act()

    def start(self, run: TrackedRun) -> None:
        self.started.append(run)
        self._note("start")

    def record(self, scalars: Scalars, time: float) -> None:
        self.noted.append(scalars)
        self._note("record")

    def finish(self, run: TrackedRun) -> None:
        self.finished.append(run)
        self._note("finish")

    def finish_sweep(self, sweep: Path) -> None:
        self.sweeps.append(sweep)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch):
    """Make a tracker the only one, by the name `own`."""

    def register(tracker: Tracker) -> None:
        monkeypatch.setattr(trackers, "make_tracker", lambda name: tracker)

    return register


def events(folder: Path) -> EventAccumulator:
    """What TensorBoard's own reader finds."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def folder_of(run: Run) -> Path:
    return run.path.parent / "tensorboard" / run.path.name


def test_tensorboard_finds_the_metrics(here: Path):
    """Every number of metrics.csv is a scalar, at its step."""
    with library.tracking(["tensorboard"]) as observers:
        run = library.train(refined(), figures=False, observers=observers).run
    found = events(folder_of(run))
    for phase in ("training", "refine"):
        metrics = run.read_metrics(phase)
        for name in ("loss", "closed_loop_rmse"):
            there = np.isfinite(metrics[name])
            scalars = found.Scalars(f"{phase}/{name}")
            assert [each.step for each in scalars] == metrics["step"][there].tolist()
            np.testing.assert_allclose(
                [each.value for each in scalars], metrics[name][there], rtol=1e-6
            )
    median = run.read_scores().closed_loop_rmse[-1].median
    assert found.Scalars("scores/closed_loop_rmse")[0].value == pytest.approx(median, rel=1e-6)


def test_tensorboard_finds_settings_and_figure(trained: Run):
    """Settings are hyperparameters with the scores as metrics; a figure is an image."""
    path = trained.path / "figures" / "loss.png"
    path.parent.mkdir()
    new_image("RGB", (4, 3)).save(path)
    library.track(trained, "tensorboard")
    found = events(folder_of(trained))
    (image,) = found.Images("figures/loss")
    assert image.encoded_image_string == path.read_bytes()
    assert (image.width, image.height) == (4, 3)
    data = found.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    settings = HParamsPluginData.FromString(data).session_start_info.hparams
    assert settings["model.hidden_size"].number_value == tiny().model.hidden_size
    assert settings["model.cell"].string_value == "rnn_tanh"


def test_tracking_twice_changes_nothing(sinernn, trained: Run):
    """`track` replaces what is there, so that every scalar is there once."""
    for _ in range(2):
        assert sinernn("track", "latest", "--with", "tensorboard").out == f"{trained.path}\n"
    (folder_of(trained) / "events.out.tfevents.1.other").touch()  # of another program: it stays
    sinernn("track", "latest", "--with", "tensorboard")
    assert len(list(folder_of(trained).iterdir())) == 2
    steps = [each.step for each in events(folder_of(trained)).Scalars("training/loss")]
    assert steps == trained.read_metrics()["step"].tolist()


def test_folder_from_the_environment(trained: Run, monkeypatch: pytest.MonkeyPatch, here: Path):
    """TENSORBOARD_LOGGING_DIR is where event files are."""
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(here / "elsewhere"))
    library.track(trained, "tensorboard")
    assert list((here / "elsewhere" / trained.path.name).glob("events.*.sinernn"))


def test_live_and_replayed_are_equal(here: Path, use):
    """A tracker receives the same numbers from a training and from its files."""
    live, replayed = Noting(), Noting()
    use(live)
    with library.tracking(["own"]) as observers:
        run = library.train(refined(), figures=False, observers=observers).run
    use(replayed)
    library.track(run, "own")
    assert live.noted == replayed.noted != []
    assert live.finished[0].scores() == replayed.finished[0].scores() != {}
    assert live.started[0].key == replayed.started[0].key


def test_resumed_run_is_tracked_whole(here: Path, use):
    """The tracker of a resumed run receives the steps before the interruption, too, once each."""
    trained, tracker = (
        library.train(tiny("training.schedule=constant"), figures=False).run,
        Noting(),
    )
    use(tracker)
    with library.tracking(["own"]) as observers:
        library.resume(trained, ["training.steps=30"], figures=False, observers=observers)
    steps = [each.step for each in tracker.noted if "training/loss" in each.values]
    assert steps == trained.read_metrics()["step"].tolist()
    assert steps[-1] == 30


@pytest.mark.parametrize("at", ["start", "record", "finish"])
def test_failing_tracker(here: Path, use, caplog: pytest.LogCaptureFixture, at: str):
    """It is warned of once, with the command that sends the rest; the run keeps its bits."""
    expected = bits(library.train(tiny(), figures=False).run)

    def fail() -> None:
        raise OSError("https://me:secret@server is down")

    tracker = Noting(at, fail)
    use(tracker)
    with caplog.at_level(logging.WARNING, "sinernn"), library.tracking(["own"]) as observers:
        run = library.train(tiny(), figures=False, observers=observers).run
    assert bits(run) == expected
    assert caplog.messages == [
        "tracker own failed: OSError: https://server is down; training is not affected; send "
        f"what is missing later with: sinernn track {run.path} --with own"
    ]


@pytest.mark.parametrize("at", ["start", "record", "finish"])
def test_hanging_tracker(here: Path, use, caplog: pytest.LogCaptureFixture, at: str):
    """One that waits for ever holds up neither the run nor the end of the process."""
    expected, free = bits(library.train(tiny(), figures=False).run), threading.Event()
    use(Noting(at, free.wait))
    with no_hang(), caplog.at_level(logging.WARNING, "sinernn"):
        with library.tracking(["own"], patience=0.01) as observers:
            run = library.train(tiny(), figures=False, observers=observers).run
        assert bits(run) == expected
    assert len(caplog.messages) == 1
    assert "tracker own has not finished 0.01 s after the training" in caplog.messages[0]
    free.set()


def test_slow_tracker(here: Path, caplog: pytest.LogCaptureFixture):
    """So many events wait for it and no more; it is then given up, and called no more."""
    free, reached = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        free.wait()

    tracker = Noting("start", wait)
    background = Background("own", tracker, most_waiting=3)
    # Else the run may be over before the tracker's thread has taken the first event.
    observers = [RunTracking(background), Watching(record=lambda _: reached.wait())]
    with no_hang(), caplog.at_level(logging.WARNING, "sinernn"):
        run = library.train(tiny(), figures=False, observers=observers).run
        free.set()
        background.close()
    assert len(caplog.messages) == 1
    assert "tracker own is too slow: 3 events wait for it" in caplog.messages[0]
    assert run.read_facts().status == "finished"
    assert tracker.finished == []


def test_tracker_of_a_diverging_run(here: Path, use):
    """It is finished, with the status of the run."""
    tracker = Noting()
    use(tracker)
    config = tiny("signal.amplitude=1e6", "windows.normalize=false", "model.cell=rnn_relu",
                  "training.learning_rate=10", "training.gradient_clip=null")  # fmt: skip
    with pytest.raises(SinernnError, match="diverged"), library.tracking(["own"]) as observers:
        library.train(config, figures=False, observers=observers)
    assert tracker.finished[0].facts.status == "diverged"
    assert tracker.finished[0].scores() == {}


def test_sweep_is_tracked(here: Path, use):
    """Every run is shown with its scores, then the steps of those that keep them, then the whole."""
    tracker = Noting()
    use(tracker)
    with library.sweep_tracking(["own"]) as observers:
        table = library.sweep(TINY, ["model.hidden_size=2,3", "seeds=2", *FEW], figures=False,
                              executor=InProcess, observers=observers)  # fmt: skip
    rows = {row["run"]: row["closed_loop_rmse"] for row in table}
    shown = {each.name: each.scores()["scores/closed_loop_rmse"] for each in tracker.finished}
    assert shown == rows
    assert {each.sweep for each in tracker.started} == {table.path.absolute()}
    kept = [name for name in rows if (table.path / name / "metrics.csv").exists()]
    assert [each.name for each in tracker.started[4:]] == sorted(kept) != []
    assert tracker.sweeps == [table.path]
    library.track(table.path, "own")
    assert tracker.sweeps == [table.path] * 2


def test_tracking_a_sweep_in_tensorboard(here: Path):
    """Its runs are beside each other, each with settings and scores."""
    with library.sweep_tracking(["tensorboard"]) as observers:
        table = library.sweep(TINY, ["seeds=2", *FEW], figures=False, executor=InProcess,
                              observers=observers)  # fmt: skip
    for row in table:
        found = events(table.path / "tensorboard" / row["run"])
        assert found.Scalars("scores/updates")[0].value == row["updates"]
        assert "_hparams_/session_start_info" in found.summary_metadata


def write_settings(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SINERNN_CONFIG_DIR", str(folder))
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_trackers_of_the_settings(sinernn, here: Path, monkeypatch: pytest.MonkeyPatch):
    """`train` uses them unless told otherwise; `resume` and `verify` never do."""
    write_settings(here, "tracking: [tensorboard]\n", monkeypatch)
    quick = (TINY, *FEW, "training.schedule=constant", "--no-figures", "--quiet")
    sinernn("train", *quick, "--track", "none")
    sinernn("resume", "latest", "training.steps=6", "--no-figures", "--quiet")
    sinernn("verify", "latest", "--quiet")
    assert not Path("runs/tensorboard").exists()
    sinernn("resume", "latest", "training.steps=8", "--no-figures", "-q", "--track", "tensorboard")
    assert len(list(Path("runs/tensorboard").iterdir())) == 1
    sinernn("train", *quick)
    assert len(list(Path("runs/tensorboard").iterdir())) == 2


def test_wrong_settings(sinernn, here: Path, monkeypatch: pytest.MonkeyPatch):
    """Mistakes are reported with their place, before anything is trained."""
    path = write_settings(here, "tracker: [mlflow]\n", monkeypatch)
    outcome = sinernn("train", TINY)
    assert outcome.code == 2
    assert f"{path}:1:1: tracker: unknown key; did you mean tracking?" in outcome.err
    assert not Path("runs").exists()


def test_trackers_are_never_in_a_config(sinernn, here: Path):
    """A stranger's config cannot contact a server."""
    outcome = sinernn("train", TINY, "tracking=[tensorboard]")
    assert outcome.code == 2
    assert "unknown key" in outcome.err


def test_unknown_tracker(sinernn, here: Path):
    """The message names those that there are; nothing is trained."""
    outcome = sinernn("train", TINY, "--track", "tensorbord")
    assert (outcome.code, outcome.err) == (
        2,
        "tensorbord: no such tracker; did you mean tensorboard?\n",
    )
    assert not Path("runs").exists()


def test_missing_extra(monkeypatch: pytest.MonkeyPatch):
    """The message says how to install it."""
    monkeypatch.setattr(TensorBoard, "package", "no_such_package")
    with pytest.raises(UsageError, match=re.escape("pip install 'sinernn[tensorboard]'")):
        trackers.make_tracker("tensorboard")


def test_failing_replay(sinernn, trained: Run, monkeypatch: pytest.MonkeyPatch):
    """`track` fails with one message."""
    Path("file").touch()
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "file")
    outcome = sinernn("track", "--with", "tensorboard")
    assert outcome.code == 1
    assert "tracker tensorboard failed: NotADirectoryError" in outcome.err


def test_mlflow_without_an_address(sinernn, here: Path, monkeypatch: pytest.MonkeyPatch):
    """It says which variable to set, and neither trains nor guesses a server."""
    monkeypatch.setattr(MLflow, "package", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    outcome = sinernn("train", TINY, "--track", "mlflow")
    assert outcome.code == 2
    assert (
        "MLFLOW_TRACKING_URI is not set; set it, as in export MLFLOW_TRACKING_URI=" in outcome.err
    )
    assert not Path("runs").exists()


def test_new_tracker(sinernn, trained: Run, monkeypatch: pytest.MonkeyPatch):
    """An entry point of any installed package is a tracker."""
    package = Path("site/own-1.0.dist-info")
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[sinernn.trackers]\nown = own_tracker:Own\n")
    Path("site/own_tracker.py").write_text(
        "from sinernn.trackers.tracker import Tracker\n"
        "class Own(Tracker):\n"
        "    def start(self, run): self.steps = []\n"
        "    def record(self, scalars, time): self.steps.append(scalars.step)\n"
        "    def finish(self, run): print(run.name, self.steps)\n"
    )
    monkeypatch.syspath_prepend(str(Path("site").resolve()))
    steps = [int(step) for step in trained.read_metrics()["step"]]
    assert f"{trained.path.name} {steps}\n" in sinernn("track", "latest", "--with", "own").out


def test_page_is_tracked(trained: Run):
    """A page that was written is among the files that trackers keep."""
    assert "report.html" not in {path.name for path in TrackedRun(trained).files()}
    (trained.path / "report.html").write_text("a page", encoding="utf-8")
    assert "report.html" in {path.name for path in TrackedRun(trained).files()}
