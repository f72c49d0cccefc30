"""Snapshots of a training: what they contain, and that they change nothing."""

from pathlib import Path

import numpy as np
import pytest

import sinernn
from examples import Watching, refined, tiny
from sinernn import experiment
from sinernn.errors import TrainingDivergedError
from sinernn.runs import TRAINED, Run
from sinernn.runs.snapshots import SNAPSHOTS, read_snapshots


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_snapshot_is_a_shorter_training(here: Path):
    """At an update it has the weights of a run that ends there."""
    constant = ("training.schedule=constant", "training.log_every=100")
    run = experiment.train(tiny(*constant), figures=False).run
    by_label = {each.label: each.params for each in read_snapshots(run)}
    assert list(by_label) == [
        "initial weights", "update 10", "update 13", "update 16", "update 20",
    ]  # fmt: skip
    shorter = tiny(*constant, "training.steps=13")
    last = experiment.train(shorter, figures=False).run.load_checkpoint("last")
    assert same(by_label["update 13"], last.state.params)


def test_snapshots_of_a_refinement(here: Path):
    """The last one is the best network of the last stage, which is evaluated."""
    run = experiment.train(refined(), figures=False).run
    snapshots = read_snapshots(run)
    assert [each.label for each in snapshots[-3:]] == [
        "before refinement", "refinement, stage 1 of 2", "refinement, stage 2 of 2",
    ]  # fmt: skip
    assert same(snapshots[-1].params, run.best_checkpoint()[1].state.params)


def test_initial_weights_of_another_run(here: Path):
    """The first snapshot of a run that starts from another one's weights is of these."""
    first = experiment.train(tiny(), figures=False).run
    second = experiment.train(tiny(), start_from=first, figures=False).run
    before = read_snapshots(second)[0]
    assert before.label == "initial weights"
    assert same(before.params, first.best_checkpoint()[1].state.params)


def test_snapshots_change_nothing(here: Path):
    """All other files of a run have the same bytes without them."""
    with_some, without = (
        experiment.train(tiny(f"training.snapshots={count}"), figures=False).run
        for count in (60, 0)
    )
    assert not (without.path / SNAPSHOTS).exists()
    named = {"config.yaml", "run.json", SNAPSHOTS}  # the settings are in these
    for name in (name for name in TRAINED if name not in named):
        paths = [run.path / name for run in (with_some, without)]
        assert paths[0].exists() == paths[1].exists(), name
        if paths[0].exists():
            assert paths[0].read_bytes() == paths[1].read_bytes(), name


def test_snapshots_until_it_diverges(here: Path):
    """They are written although no checkpoint was due."""
    runs: list[Run] = []
    config = tiny(
        "engine=torch", "signal.amplitude=1e6", "windows.normalize=false", "model.cell=rnn_relu",
        "training.learning_rate=10", "training.gradient_clip=null", "training.steps=2000",
    )  # fmt: skip
    with pytest.raises(TrainingDivergedError):
        experiment.train(
            config, figures=False, observers=[Watching(start=lambda run: runs.append(run))]
        )
    assert read_snapshots(runs[0])[0].label == "initial weights"


def test_run_of_before_snapshots(here: Path):
    """A run whose config does not know them goes on, is verified and extended without."""
    run = experiment.train(
        tiny("training.snapshots=0", "training.schedule=constant"), figures=False
    ).run
    text = run.config_path.read_text(encoding="utf-8")
    assert "\n  snapshots: 0" in text
    run.config_path.write_text(text.replace("\n  snapshots: 0", ""), encoding="utf-8")
    assert experiment.resume(run, ["training.steps=25"], figures=False).facts.updates == 25
    assert sinernn.verify(run).agrees
    assert read_snapshots(run) == []
