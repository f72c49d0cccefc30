"""`sinernn doctor` describes an installation, and no person."""

import json
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from examples import make_run
from sinernn import diagnosis, engines
from sinernn.diagnosis import anonymous, diagnose
from sinernn.engines.fused import cache


@pytest.fixture
def kernels(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of kernels below the home directory, for this test alone."""
    folder = here / "kernels"
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("SINERNN_CACHE_DIR", str(folder))
    monkeypatch.setattr(diagnosis, "getuser", lambda: "alice")
    monkeypatch.setattr(cache, "cache_folder", cache.cache_folder.__wrapped__)
    return folder


def test_doctor_describes_the_installation(sinernn, kernels: Path):
    """The JSON has what the text has: versions, machine, kernels, runs."""
    kernels.mkdir(mode=0o700)
    for name in ("a.kernel", "b.kernel", "other"):
        (kernels / name).write_bytes(bytes(100_000))
    make_run()
    text, found = sinernn("doctor").out, json.loads(sinernn("doctor", "--json").out)
    assert found["kernels"] == {"folder": "~/kernels", "count": 2, "megabytes": 0.2}
    assert (found["runs"]["count"], found["runs"]["folder"]) == (1, "runs")
    assert (found["devices"], found["problems"]) == (None, [])
    assert found["variables"]["SINERNN_CACHE_DIR"] == "~/kernels"
    assert found["versions"]["numpy"] == version("numpy")
    assert {"sinernn", "python", "torch"} < set(found["versions"])
    assert "pytest" not in found["versions"]
    for value in (*found["versions"].values(), found["system"], found["processor"]):
        assert f"  {value}" in text
    assert "2 in ~/kernels, 0.2 MB" in text
    assert text.splitlines()[-1] == "no problem found"


def test_doctor_tells_nothing_personal(sinernn, kernels: Path):
    """Neither the home directory nor the name of the account, wherever a path contains them."""
    runs = kernels.parent / "alice" / "runs"
    for words in ((), ("--json",)):
        out = sinernn("doctor", "--runs-dir", runs, *words).out
        assert "~/USER/runs" in out
        assert not {"alice", str(kernels.parent)} & set(out.replace("/", " ").split())
        assert str(kernels.parent) not in out
    assert anonymous(f"/scratch/alice/x: {kernels.parent}") == "/scratch/USER/x: ~"
    assert anonymous(f"/alices/malice {kernels.parent}2") == f"/alices/malice {kernels.parent}2"


def test_doctor_states_problems(
    sinernn, kernels: Path, without_torch: None, monkeypatch: pytest.MonkeyPatch
):
    """Each with a remedy; the command itself succeeds."""
    Path("file").touch()
    Path("kernels").touch()

    def none_of_it(name: str) -> str:
        if name in ("torch", "rich"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(diagnosis, "version", none_of_it)
    done = sinernn("doctor", "--devices", "--runs-dir", "file")
    problems = [line for line in done.out.splitlines() if line.startswith("problem: ")]
    assert done.code == 0
    assert [line.split(";")[0] for line in problems] == [
        "problem: not installed: rich",
        "problem: engine: torch needs PyTorch, which is not installed",
        "problem: the folder of compiled kernels is not writable, or others can write to it: every "
        "run compiles for seconds",
        "problem: file: runs cannot be written there",
    ]
    assert "problem: not installed: torch, which" in sinernn("doctor").out
    assert re.search("^torch +not installed$", done.out, re.MULTILINE)


def test_doctor_lists_devices_when_asked(kernels: Path, monkeypatch: pytest.MonkeyPatch):
    """With the names of GPUs."""
    torch_engine = engines.load_torch_engine()
    monkeypatch.setattr(torch_engine, "present_devices", lambda: ["cuda:0", "mps", "cpu"])
    monkeypatch.setattr("torch.cuda.get_device_name", lambda name: f"a GPU at {name}")
    assert diagnose(devices=True).devices == ["cuda:0 (a GPU at cuda:0)", "mps", "cpu"]
