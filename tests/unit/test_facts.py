"""Facts and scores are typed: what is missing has a default, and what is new is kept."""

import json
from pathlib import Path

import pytest

from examples import make_checkpoint, make_run
from sinernn import provenance
from sinernn.errors import RunFileError
from sinernn.runs import Run
from sinernn.runs.checkpoints import checkpoint_bytes, load_checkpoint
from sinernn.runs.facts import RESULT, Origin, Resumption, RunFacts
from sinernn.sweeps.folders import read_result


def with_facts(facts: object) -> Run:
    run = make_run()
    (run.path / "run.json").write_text(json.dumps(facts))
    return run


def test_facts_are_read_as_written(here: Path):
    """Facts are read back as they were written."""
    facts = RunFacts(
        name="a", status="finished", seed=3, engine="fused", device="cpu", updates=7, seconds=0.25,
        start=Origin(run=None, checkpoint="start", updates=2),
        resumed=[Resumption(at="2026-11-24", changed={"versions.numpy": ("1", None)})],
        **provenance.environment().model_dump(),
    )  # fmt: skip
    run = make_run()
    run.write_facts(facts)
    assert run.read_facts() == facts
    assert run.read_json("run.json")["format"] == 1


def test_defaults_of_facts(here: Path):
    """A file without a fact has its default."""
    assert with_facts({}).read_facts() == RunFacts()
    assert with_facts({"name": "a"}).read_facts() == RunFacts(name="a")


def test_unknown_facts_are_kept(here: Path):
    """A key that this version does not know is written again as it was."""
    run = with_facts({"colour": ["red"], "start": {"checkpoint": "best", "host": "a"}})
    run.write_facts(run.read_facts())
    written = run.read_json("run.json")
    assert written["colour"] == ["red"]
    assert written["start"]["host"] == "a"


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_facts_of_another_format(here: Path, version: object):
    """Facts of a future version are refused with a way out."""
    with pytest.raises(RunFileError, match=r"run\.json: has format .*, this sinernn reads 1; upgr"):
        with_facts({"format": version}).read_facts()


@pytest.mark.parametrize(
    ("facts", "remedy"),
    [
        ({"versions": {"sinernn": "10.2.0"}}, "upgrade it to 10.2.0 or newer"),
        (
            {
                "versions": {"sinernn": "0.1.0"},
                "resumed": [{"changed": {"versions.sinernn": ["0.1.0", "9.0.0"]}}],
            },
            "upgrade it to 9.0.0 or newer",
        ),
        ({"versions": {"sinernn": "0.1.0"}}, "upgrade it$"),
        ({"versions": {"sinernn": "x; rm"}}, "upgrade it$"),
        ({}, "upgrade it$"),
    ],
)
def test_needed_version_is_named(here: Path, facts: dict[str, object], remedy: str):
    """For facts, scores, checkpoints and results of sweeps; from what trained or resumed the run."""
    run = with_facts({"format": 2, **facts})
    scores = "evaluations/far/evaluation.json"
    for name in ("evaluation.json", scores, RESULT):
        run.write_json(name, {"format": 2})
    message = f"has format 2, this sinernn reads 1; {remedy}"
    for name, read in {
        "run.json": run.read_facts,
        "evaluation.json": run.read_scores,
        scores: lambda: run.read_scores("far"),
        RESULT: lambda: read_result(run.path),
    }.items():
        with pytest.raises(RunFileError, match=f"{name}: {message}"):
            read()
    content = checkpoint_bytes(make_checkpoint()).replace(b'\\"format\\": 1', b'\\"format\\": 2')
    run.write("checkpoints/last.safetensors", content)
    with pytest.raises(RunFileError, match=f"last.safetensors: {message}"):
        load_checkpoint(run.path / "checkpoints/last.safetensors")


def test_defaults_of_scores(here: Path):
    """A file without a score has its default, and what is new is kept."""
    run = make_run()
    run.write_json("evaluation.json", {"updates": 3, "skill": {"words": "better", "new": [1]}})
    scores = run.read_scores()
    assert (scores.updates, scores.skill.words, scores.valid_time) == (3, "better", None)
    assert scores.model_dump()["skill"]["new"] == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"format": 2}, "has format 2, this sinernn reads 1; upgrade it"),
        ({"config": 3}, "is damaged: config: Input should be a valid string, got 3"),
        ({"origins": [{"sample": "x"}]}, r"is damaged: origins\.0\.sample: .*, got 'x'"),
    ],
)
def test_wrong_scores_get_one_message(here: Path, content: object, message: str):
    """Damage names its place."""
    run = make_run()
    run.write_json("evaluation.json", content)
    with pytest.raises(RunFileError, match=rf"evaluation\.json: {message}"):
        run.read_scores()


def test_facts_are_frozen():
    """Facts are values: a change makes new ones."""
    with pytest.raises(ValueError, match="frozen"):
        RunFacts().updates = 3  # type: ignore[misc]


def test_environment_differences():
    """What changes no bits, or is not known, is no difference."""
    then = provenance.Environment(versions={"numba": "1", "pydantic": "1"}, threads={"torch": 2})
    now = provenance.Environment(
        versions={"numba": "2", "pydantic": "2", "torch": "2"}, threads={"torch": 2}, processor="x"
    )
    assert provenance.differences(then, now) == {"versions.numba": ("1", "2")}


def test_a_worker_asks_git_once(monkeypatch: pytest.MonkeyPatch):
    """Its code is that of its start, whatever is committed later."""
    asked: list[object] = []
    monkeypatch.setattr(provenance, "_KEPT", [])
    monkeypatch.setattr(provenance, "_git", lambda words: asked.append(words) or "abc")
    provenance.keep_repository()
    provenance.keep_repository()
    assert provenance.environment().git_commit == "abc"
    assert len(asked) == 2  # the commit, and changes of files
