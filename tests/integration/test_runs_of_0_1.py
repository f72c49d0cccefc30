"""Run directories that version 0.1 wrote (`tests/support/runs_0_1`) are opened and continued."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import sinernn
from examples import REPOSITORY
from sinernn.runs import Run
from sinernn.runs.snapshots import read_snapshots

RUNS = REPOSITORY / "tests" / "support" / "runs_0_1"


@pytest.fixture
def finished(here: Path) -> Run:
    return Run(Path(shutil.copytree(RUNS / "finished", "finished")))


def test_facts_of_0_1(finished: Run):
    """All its facts are read, and nothing is lost when they are written again."""
    before = finished.read_json("run.json")
    facts = finished.read_facts()
    assert (facts.status, facts.updates, facts.refine_iterations) == ("finished", 20, 4)
    finished.write_facts(facts)
    later = {"format": 1, "diverged_at": None, "data": None, "settings": {}}
    assert finished.read_json("run.json") == later | before


def test_scores_of_0_1(finished: Run):
    """All its scores are read, and nothing is lost; later ones have their defaults."""
    before = finished.read_json("evaluation.json")
    scores = finished.read_scores()
    assert scores.closed_loop_rmse[-1].median == before["closed_loop_rmse"][-1]["median"]
    assert json.loads(json.dumps(scores.model_dump(exclude_unset=True))) == before
    assert (scores.format, scores.run, scores.seed, scores.dynamics.climate) == (1, "", None, None)


def test_eval_and_plot_of_0_1(finished: Run):
    """It is evaluated and plotted."""
    scores = sinernn.evaluate(finished)
    assert scores == finished.read_scores()
    assert [path.name for path in sinernn.plot(finished, names=["overview"])] == ["overview.png"]


def test_uses_of_a_network_of_0_1(finished: Run):
    """It is listed, forecasts and is exported."""
    (row,) = sinernn.runs_table([finished])
    assert (row.status, row.problem) == ("finished", "")
    other = shutil.copytree(finished.path, "other")
    assert sinernn.compare_runs([finished, other]).differing == ()
    assert sinernn.predict(finished, steps=3).values.shape == (3, 1)
    assert sinernn.export(finished, format="numpy", to="wave.py") == [Path("wave.py")]


def test_verify_of_0_1(finished: Run):
    """It is trained again; versions and machine are compared. Both have no snapshots."""
    verification = sinernn.verify(finished)
    assert verification.files["snapshots.safetensors"]
    assert read_snapshots(finished) == []
    assert set(verification.files) >= {"metrics.csv", "model.safetensors"}
    assert finished.read_facts().versions["sinernn"] == "0.1.0"


def test_resume_of_0_1(here: Path):
    """A run that 0.1 was interrupted in goes on to its end."""
    run = Run(Path(shutil.copytree(RUNS / "stopped", "stopped")))
    assert run.read_facts().updates == 8
    before = run.read_metrics()
    facts = sinernn.resume(run, figures=False).facts
    assert (facts.status, facts.updates, facts.refine_iterations) == ("finished", 20, 4)
    assert len(facts.resumed) == 1
    np.testing.assert_array_equal(run.read_metrics()["loss"][:8], before["loss"][:8])
    assert read_snapshots(run) == []
