"""Exported networks compute what sinernn's own engine does, in processes without sinernn."""

import re
import runpy
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import sinernn as library
from exported import (
    CASES,
    HOSTILE,
    check_case,
    make_portable,
    run_without_sinernn,
    write_cases,
)
from sinernn.exporters import EXPORTERS
from sinernn.runs import Run

NAME = "tiny_device_cpu_dtype_float32_refine_null"

NUMPY = """
from importlib import import_module
from pathlib import Path
import numpy as np
folder = Path(sys.argv[1])
sys.path.append(str(folder))
for path in folder.glob("*.npz"):
    given, network, state = np.load(path), import_module(path.stem), ()
    samples, inputs = given["samples"], [given["inputs"]][: given["inputs"].shape[2]]
    steps = []
    for sample in samples:
        prediction, *state = network.step(sample, *state)
        steps.append(prediction)
    np.savez(path.with_suffix(".found.npz"), steps=steps, free_run=network.free_run(samples, 12, *inputs))
"""


def found(folder: Path, case: str) -> dict[str, np.ndarray]:
    return dict(np.load(folder / f"{case}.found.npz"))


@pytest.fixture(scope="module")
def in_numpy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All networks, run by one process."""
    folder = tmp_path_factory.mktemp("numpy")
    write_cases(folder, "numpy", list(CASES))
    run_without_sinernn(NUMPY, folder)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_numpy_export(in_numpy: Path, case: str):
    """Steps and free runs are those of the engine."""
    check_case(case, found(in_numpy, case))


def test_numpy_file_is_short():
    """Even for 16 layers it has fewer than 60 lines, and it imports numpy alone."""
    network = replace(make_portable("lstm_1_2_1_float64").network, num_layers=16)
    portable = replace(
        make_portable("lstm_1_2_1_float64"),
        network=network,
        params=network.initial_params(0),
        start=network.zero_hidden(1),
    )
    text = EXPORTERS["numpy"](portable)[".py"].decode()
    assert len(text.splitlines()) < 60
    assert re.findall(r"^import .*|^from .*", text, flags=re.MULTILINE) == ["import numpy as np"]


def test_wrong_sample_of_numpy(here: Path):
    """A sample of another length is refused, where numpy would repeat its values."""
    (here / "wave.py").write_bytes(EXPORTERS["numpy"](make_portable("gru_1_2_1_float64"))[".py"])
    network = runpy.run_path("wave.py")
    with pytest.raises(ValueError, match="a sample must have length 3, got 1"):
        network["step"]([0.5])


def test_metadata_of_numpy(here: Path):
    """Names in it are text and no code."""
    portable = make_portable("gru_1_2_1_float64")
    (here / "wave.py").write_bytes(EXPORTERS["numpy"](portable)[".py"])
    assert runpy.run_path("wave.py")["METADATA"] == {"run": HOSTILE}


def test_export_of_a_run(sinernn, trained: Run):
    """The file continues the series as `predict` does, and states what it was made from."""
    assert sinernn("export", "latest", "--format", "numpy").out == f"{NAME}.py\n"
    network, run = runpy.run_path(f"{NAME}.py"), trained.read_facts()
    forecast = library.predict(trained, steps=20, warmup=30)
    actual = network["free_run"](forecast.history, 20)
    np.testing.assert_allclose(actual, forecast.values, atol=1e-5)  # float32
    metadata, scores = network["METADATA"], trained.read_scores()
    assert metadata["run"] == run.name
    assert metadata["config_sha256"] == sha256(trained.config_path.read_bytes()).hexdigest()
    assert metadata["scores"]["closed_loop_rmse"][-1]["median"] == (
        scores.closed_loop_rmse[-1].median
    )
    extent = library.load_config(trained.config_path).signal.extent()
    assert metadata["output_channels"] == list(extent.names)
    assert metadata["time_step"] == extent.time_step


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "nunpy"], "nunpy: no such format; did you mean numpy?"),
        (["--format", "numpy", "--to", "a.txt"], "a.txt: the name of this file must end in .py"),
        (["--format", "numpy", "--to", "no/a.py"], "no/a.py: there is no folder no; create it"),
        (["--format", "numpy", "--to", "runs/a.py"], None),
        (["--format", "numpy", "--to", "runs/latest/a.py"], "a.py: is in the folder of a run"),
        (["--format", "numpy", "--to", "mine.py"], "mine.py: exists and is not an export"),
        ([], "Missing option '--format', as in sinernn export latest --format c --to wave.h"),
    ],
)
def test_where_an_export_goes(sinernn, trained: Run, arguments: list[str], message: str | None):
    """Wrong places are refused by name; an earlier export is replaced, nothing else is."""
    Path("mine.py").write_text("print('mine')\n", encoding="utf-8")
    for _ in range(2):
        outcome = sinernn("export", "latest", *arguments)
        assert outcome.code == (2 if message else 0)
        assert (message or "") in outcome.err
    assert Path("mine.py").read_text(encoding="utf-8") == "print('mine')\n"
