"""A run is reproduced by training it again."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import sinernn
from commands import Outcome
from examples import refined, tiny
from sinernn import experiment
from sinernn.config import to_yaml
from sinernn.errors import UsageError
from sinernn.runs import Run


@pytest.fixture
def finished(here: Path) -> Run:
    return experiment.train(refined(), figures=False).run


def spoil(run: Run, *, seed: int = 1) -> None:
    """Put the network of another seed in its place."""
    other = experiment.train(refined(f"seed={seed}"), figures=False).run
    for name in ("last", "best"):
        run.save_checkpoint(name, other.load_checkpoint(name))


@pytest.mark.parametrize(
    "overrides", [(), ("engine=torch", "refine=null"), ("dtype=float32", "refine=null")]
)
def test_verify_agrees(here: Path, overrides: tuple[str, ...]):
    """A run is reproduced to the bit, and nothing is left behind."""
    run = experiment.train(refined(*overrides), figures=False).run
    before = sorted(path.name for path in here.rglob("*"))
    verification = sinernn.verify("latest")
    assert verification.agrees
    assert set(verification.files.values()) == {True}
    assert (verification.scores, verification.environment) == ({}, {})
    assert verification.run == str(run.path)
    assert sorted(path.name for path in here.rglob("*")) == before


def test_verify_a_longer_run(here: Path):
    """A run that was resumed with more steps is reproduced to the bit."""
    run = experiment.train(tiny("training.schedule=constant"), figures=False).run
    experiment.resume(run, ["training.steps=27"], figures=False)
    assert sinernn.verify(run).agrees


def test_verify_other_bits(finished: Run):
    """Different bits are reported with what they do to the scores."""
    spoil(finished)
    verification = sinernn.verify(finished)
    assert not verification.agrees
    assert verification.files == {
        "metrics.csv": True,
        "model.safetensors": True,
        "checkpoints/best.safetensors": False,
        "checkpoints/last.safetensors": False,
        "snapshots.safetensors": True,
    }
    then, now = verification.scores["closed_loop_rmse"]
    assert then != now
    assert sinernn.evaluate(finished).closed_loop_rmse[-1].median == then


def test_a_file_that_is_lost_is_no_agreement(finished: Run):
    (finished.path / "metrics.csv").unlink()
    assert not sinernn.verify(finished).files["metrics.csv"]


def test_what_else_is_otherwise_is_told(finished: Run):
    facts = finished.read_json("run.json")
    facts["versions"]["numba"] = "0.1"
    facts["processor"] = "abacus"
    facts["threads"]["OMP_NUM_THREADS"] = "64"
    finished.write_json("run.json", facts)
    assert set(sinernn.verify(finished).environment) == {
        "versions.numba", "processor", "threads.OMP_NUM_THREADS",
    }  # fmt: skip


def test_verify_an_unfinished_run(finished: Run):
    """Only a run that has finished can be verified."""
    finished.write_json("run.json", finished.read_json("run.json") | {"status": "interrupted"})
    with pytest.raises(
        UsageError, match=r"its status is interrupted; finish it with: sinernn resu"
    ):
        sinernn.verify(finished)


def test_verify_command(sinernn: Callable[..., Outcome]):
    """The command prints what it found and ends with an exit code."""
    Path("a.yaml").write_text(to_yaml(refined()), encoding="utf-8")
    assert sinernn("train", "a.yaml", "--quiet", "--no-figures").code == 0
    same = sinernn("verify", "--quiet")
    assert (same.code, same.err) == (0, "")
    assert same.out.endswith("-tiny: reproduced bit for bit\n")
    assert json.loads(sinernn("verify", "--json").out)["agrees"] is True
    spoiled = Path("runs/latest").resolve()
    spoil(Run(spoiled))
    other = sinernn("verify", spoiled.name, "--quiet")
    assert other.code == 1
    lines = other.out.splitlines()
    assert lines[0].endswith("best.safetensors, checkpoints/last.safetensors")
    assert lines[1].startswith("open_loop.rmse: was ")
    assert lines[3] == "the environment is unchanged; were files of the run or this package edited?"
    assert json.loads(sinernn("verify", spoiled.name, "--json").out)["agrees"] is False
