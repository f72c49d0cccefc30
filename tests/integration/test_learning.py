"""The figure `learning`: the free run from snapshot to snapshot, as a still and as an animation."""

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sinernn as library
from commands import Outcome
from driven import write_driven_series
from examples import make_evidence, make_learning, refined
from sinernn import experiment, plot_run, plotting
from sinernn.errors import UsageError
from sinernn.plotting import Story
from sinernn.plotting.learning import LearningFrames
from sinernn.runs import Run
from sinernn.runs.snapshots import SNAPSHOTS, read_snapshots


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last frame is held for one frame more."""
    monkeypatch.setattr("sinernn.plotting.animation.HELD", 1)


@pytest.fixture
def run(here: Path) -> Run:
    return experiment.train(refined("training.log_every=100"), figures=False).run


def story(**evidence: int) -> Story:
    found = make_evidence(lambda truth: 0.9 * truth, **evidence)
    return Story("a run", {}, found, {}, learning=make_learning(found))


def frames_of(content: bytes) -> list[np.ndarray]:
    """The frames of an animation, as pixels."""
    image = Image.open(io.BytesIO(content))
    found = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        found.append(np.asarray(image.convert("L")))
    return found


@pytest.mark.parametrize("series", ["sine", "driven"])
def test_last_snapshot_repeats_the_evaluation(here: Path, series: str):
    """With the weights that were evaluated the free run is that of the evaluation."""
    settings = write_driven_series(here / "driven.csv") if series == "driven" else ()
    run = experiment.train(refined(*settings), figures=False).run
    found = plot_run._with_requested(plot_run.read_story(run), ["learning"], run, None)
    forecasts = found.evaluated.closed_loop
    assert list(found.learning) == [each.label for each in read_snapshots(run)]
    evaluated = forecasts.prediction[forecasts.typical]
    np.testing.assert_allclose(found.learning["refinement, stage 2 of 2"], evaluated, atol=1e-5)
    assert np.abs(found.learning["initial weights"] - evaluated).max() > 0.01


def test_frames_change_with_snapshots():
    """Each frame draws its own free run and error, and says which snapshot it is."""
    frames = LearningFrames(story())
    figure = frames.draw()
    waves, _, errors, progress = figure.axes
    lines = {line.get_label(): line for line in waves.lines} | {
        line.get_label(): line for line in errors.lines
    }
    truth = lines["truth"].get_ydata()[-150:]
    for frame, (label, factor) in enumerate(
        {"initial weights": 0.0, "update 10": 0.45, "update 13": 0.9}.items()
    ):
        frames.show(frame)
        assert waves.get_title().startswith(f"{label}: RMSE ")
        np.testing.assert_allclose(lines["free run"].get_ydata(), factor * truth, atol=1e-12)
        assert progress.lines[-1].get_xdata() == [frame + 1]
        assert sum(line.get_visible() for line in errors.lines) == frame + 2  # and the limit


def test_gif_has_a_frame_for_each_snapshot():
    """Its last frame is held; the same story gives the same bytes."""
    told: list[tuple[int, int]] = []
    made = [
        plotting.animate("learning", story(), "gif", on_frame=lambda *n: told.append(n), dpi=30.0)
        for _ in range(2)
    ]
    assert made[0] == made[1]
    found = frames_of(made[0])
    assert len(found) == 3
    assert not any(np.array_equal(one, other) for one, other in pairwise(found))
    assert told[:4] == [(1, 3), (2, 3), (3, 3), (3, 3)]


@pytest.mark.parametrize("shape", [{"steps": 1}, {"channels": 3, "steps": 30, "origins": 1}])
def test_frames_of_all_sizes(shape: dict[str, int]):
    assert len(frames_of(plotting.animate("learning", story(**shape), "gif", dpi=30.0))) == 3


def test_frames_of_diverging_runs():
    """They say where, and the others are drawn as before."""
    found = story()
    run = found.learning["update 10"].copy()
    run[7:] = np.nan
    frames = LearningFrames(replace(found, learning=found.learning | {"update 10": run}))
    waves = frames.draw().axes[0]
    frames.show(1)
    assert waves.get_title() == "update 10: diverges at step 8 of 400"


@pytest.mark.campaign
def test_mp4(run: Run):
    """An mp4 is written where there is ffmpeg, and is the same again."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg here; install it, for example with: apt install ffmpeg")
    (path,) = library.plot(run, names=["learning"], format="mp4", dpi=30.0)
    content = path.read_bytes()
    assert content[4:8] == b"ftyp"
    assert library.plot(run, names=["learning"], format="mp4", dpi=30.0)[0].read_bytes() == content


def test_mp4_without_ffmpeg(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"an mp4 needs ffmpeg, .* or use --format gif$"):
        plotting.animate("learning", story(), "mp4", dpi=30.0)


def test_ffmpeg_that_fails(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Its last line is in the message."""
    fake = here / "ffmpeg"
    fake.write_text("#!/bin/sh\ncat > /dev/null\necho Unknown encoder >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}:/bin:/usr/bin")
    with pytest.raises(UsageError, match=r"mp4: cannot be written: Unknown encoder; use --format"):
        plotting.animate("learning", story(), "mp4", dpi=30.0)


def test_learning_only_on_request(sinernn: Callable[..., Outcome], run: Run):
    """It is listed, drawn if it is named, and removed like others when training continues."""
    assert "\nlearning     " in sinernn("plot", "--list").out
    assert "learning" not in sinernn("plot", run.path, "--figure", "loss").out
    drawn = sinernn("plot", "--figure", "learning", "--format", "gif", "--dpi", "30")
    assert drawn == Outcome(0, f"{run.path}/figures/learning.gif\n", "")
    assert sinernn("plot", "--figure", "learning", "--dpi", "40").code == 0
    plot_run.erase(run)
    assert list((run.path / "figures").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "gif"), "gif: is only for --figure learning; use one of png, svg, pdf for"),
        (("--format", "mp4", "--figure", "loss"), "mp4: is only for --figure learning; use one"),
    ],
)
def test_animation_of_other_figures(
    sinernn: Callable[..., Outcome], run: Run, words: tuple[str, ...], message: str
):
    outcome = sinernn("plot", *words)
    assert (outcome.code, outcome.err.startswith(message)) == (2, True)


def test_learning_without_snapshots(run: Run):
    """The message has the command that trains it with them."""
    run.remove(SNAPSHOTS)
    with pytest.raises(UsageError, match=r"has no snapshots, .*/config.yaml training.snapshots=60"):
        library.plot(run, names=["learning"])


def test_learning_of_another_evaluation(run: Run):
    """It is drawn beside its scores, over the same samples."""
    library.evaluate(run, ["evaluation.horizon=20"])
    (path,) = library.plot(run, names=["learning"], evaluation="horizon=20", dpi=30.0)
    assert path == run.path / "evaluations/horizon=20/figures/learning.png"
    assert library.figure(run, "learning").axes
