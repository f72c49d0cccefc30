"""Exported networks compute what sinernn's own engine does, in processes without sinernn."""

import re
import runpy
import shutil
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import commands
import pages
import sinernn as library
from driven import write_driven_series
from examples import tiny
from exported import (
    CASES,
    HOSTILE,
    ROWS,
    SAMPLES,
    STEPS,
    check_case,
    make_portable,
    run_without_sinernn,
    signals,
    write_cases,
)
from sinernn.errors import UsageError
from sinernn.exporters import EXPORTERS
from sinernn.exporters.formulas import read_formula
from sinernn.exporters.portable import read_portable, to_identifier
from sinernn.model.cells import CELLS, Cell
from sinernn.model.functions import sqrt
from sinernn.runs import Run

PAGE = pages.PAGES["export"].read_text(encoding="utf-8")
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


EXTENTS = pytest.mark.parametrize(
    "cases",
    [
        pytest.param([case for case in CASES if "_2_2_1_" in case], id="driven"),
        pytest.param(list(CASES), id="all", marks=pytest.mark.campaign),
    ],
)
"""Two layers, two outputs and an input of every cell and type; or everything."""


def run_cases(folder: Path, format: str, cases: list[str], code: str) -> None:
    """Export networks, run them in one process that has no sinernn, and check what they predict."""
    write_cases(folder, format, cases)
    run_without_sinernn(code, folder)
    for case in cases:
        check_case(case, dict(np.load(folder / f"{case}.found.npz")))


@EXTENTS
def test_numpy_export(here: Path, cases: list[str]):
    """Steps and free runs are those of the engine."""
    run_cases(here, "numpy", cases, NUMPY)


TORCH = """
from importlib import import_module
from pathlib import Path
import torch
import numpy as np
torch.set_num_threads(1)
folder = Path(sys.argv[1])
sys.path.append(str(folder))
for path in folder.glob("*.npz"):
    network = import_module(path.stem).load()
    assert network.metadata["run"].startswith("*/")
    dtype = network.mean.dtype
    samples, inputs = (torch.tensor(a, dtype=dtype).transpose(0, 1) for a in np.load(path).values())
    steps, state = [], None
    for t in range(samples.shape[1]):
        prediction, state = network(samples[:, t : t + 1], state)
        steps.append(prediction[:, 0])
    whole, last = network(samples)
    np.testing.assert_allclose(whole.detach(), torch.stack(steps, 1).detach(), rtol=1e-5)
    np.testing.assert_allclose(last.detach(), state.detach(), rtol=1e-4, atol=1e-6)
    free_run = network.free_run(samples, 12, *[inputs][: inputs.shape[2]])
    arrays = {"steps": torch.stack(steps).detach(), "free_run": free_run.transpose(0, 1)}
    np.savez(path.with_suffix(".found.npz"), **{name: a.numpy() for name, a in arrays.items()})
assert not {"safetensors", "sinernn"} & {name for name in sys.modules if sys.modules[name]}
"""


@pytest.mark.campaign
def test_torch_export(here: Path):
    """Steps and free runs are those of the engine, by torch alone."""
    run_cases(here, "torch", list(CASES), TORCH)


@pytest.mark.parametrize("cell", CELLS)
def test_torch_module(here: Path, cell: str):
    """A batch of sequences and free runs of it are those of the engine."""
    case = f"{cell}_2_2_1_float64"
    write_cases(here, "torch", [case])
    network = runpy.run_path(f"{case}.py")["load"]()
    samples, inputs = (torch.tensor(a).transpose(0, 1) for a in signals(make_portable(case)))
    found = {"steps": network(samples)[0], "free_run": network.free_run(samples, STEPS, inputs)}
    check_case(case, {name: run.transpose(0, 1).detach().numpy() for name, run in found.items()})


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore:The tensor attributes self.rnn._flat_weights")  # torch's layers
@pytest.mark.parametrize("cell", CELLS)
def test_torch_export_of_torch_export(here: Path, cell: str):
    """The module is one that torch.export can take, for any batch; torch fixes the time."""
    case = f"{cell}_2_2_1_float64"
    write_cases(here, "torch", [case])
    network = runpy.run_path(f"{case}.py")["load"]()
    samples = torch.randn(3, 7, 3, dtype=torch.float64)
    dynamic = {"samples": {0: torch.export.Dim("batch")}}
    program = torch.export.export(network, (samples,), dynamic_shapes=dynamic)
    other = torch.randn(2, 7, 3, dtype=torch.float64)
    for actual, expected in zip(program.module()(other), network(other), strict=True):
        torch.testing.assert_close(actual, expected)


ONNX = """
from pathlib import Path
import numpy as np
from onnxruntime import InferenceSession
for path in Path(sys.argv[1]).glob("*.npz"):
    samples, inputs = np.load(path).values()
    network = InferenceSession(path.with_suffix(".onnx"))
    metadata = network.get_modelmeta().custom_metadata_map
    assert metadata["run"].startswith("*/")
    states, layers, _, units = network.get_inputs()[1].shape
    start = np.zeros((states, layers, 2, units))
    if "start" in metadata:
        start = np.repeat(eval(metadata["start"]), 2, axis=2)
    steps, state, free_run = [], start, []
    for sample in samples:
        prediction, state = network.run(None, {"sample": sample, "state": state})
        steps.append(prediction)
    for given in inputs:
        free_run.append(prediction)
        sample = np.concatenate([prediction, given], axis=1)
        prediction, state = network.run(None, {"sample": sample, "state": state})
    np.savez(path.with_suffix(".found.npz"), steps=steps, free_run=free_run)

    network = InferenceSession(path.with_suffix(".sequence.onnx"))
    run, state = [], start.astype("float32")
    for part in np.split(samples, [5]):
        read = {"samples": part.swapaxes(0, 1).astype("float32"), "state": state}
        predictions, state = network.run(["predictions", "next_state"], read)
        run += [*predictions.swapaxes(0, 1)]
    np.savez(path.with_suffix(".sequence.npy"), steps=run)
assert not {"onnx", "sinernn"} & {name for name in sys.modules if sys.modules[name]}
"""


@EXTENTS
def test_onnx_export(here: Path, cases: list[str]):
    """Both graphs are valid, and compute in ONNX Runtime what the engine does, step by step."""
    run_cases(here, "onnx", cases, ONNX)
    for case in cases:
        check_case(case, dict(np.load(f"{case}.sequence.npy.npz")), single=True)
        for end in (".onnx", ".sequence.onnx"):
            onnx.checker.check_model(f"{case}{end}", full_check=True)


def test_onnx_step_of_float32(here: Path):
    """It computes in float64 with the float32 weights."""
    case = "gru_1_2_1_float64"
    double = make_portable(case)
    params = {name: each.astype(np.float32) for name, each in double.params.items()}
    single = replace(double, network=replace(double.network, dtype="float32"), params=params)
    exact = replace(double, params={name: each.astype(float) for name, each in params.items()})
    assert EXPORTERS["onnx"](single)[".onnx"] == EXPORTERS["onnx"](exact)[".onnx"]


def test_onnx_that_is_not_installed(sinernn, trained: Run, monkeypatch: pytest.MonkeyPatch):
    """The message says how to install it."""
    monkeypatch.setitem(sys.modules, "sinernn.exporters.graph", None)
    outcome = sinernn("export", "latest", "--format", "onnx")
    assert outcome.code == 2
    assert (
        "--format onnx needs an extra; install it with: pip install 'sinernn[onnx]'" in outcome.err
    )


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
    assert sinernn("export", "latest", "--format", "numpy").out == f"{NAME}_numpy.py\n"
    network, run = runpy.run_path(f"{NAME}_numpy.py"), trained.read_facts()
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


WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wdouble-promotion",
    "-Werror",
    "-std=c99",
    "-pedantic",
]

MAIN = """
static void run_{name}(void)
{{
    static const {name}_real samples[] = {{{samples}}}, inputs[] = {{{inputs}}};
    {name}_real predictions[12 * {NAME}_OUTPUTS];
    (void)inputs;
    for (size_t row = 0; row < 2; row++) {{
        const {name}_real *first = samples + 9 * row * {NAME}_CHANNELS;
        {name}_state state = {name}_start;
        for (size_t t = 0; t < 9; t++) {{
            {name}_step(&state, first + t * {NAME}_CHANNELS, predictions);
            for (size_t i = 0; i < {NAME}_OUTPUTS; i++) printf("%.17g\\n", (double)predictions[i]);
        }}
        state = {name}_start;
        {name}_free_run(&state, first, 9, {inputs_argument}12, predictions);
        for (size_t i = 0; i < 12 * {NAME}_OUTPUTS; i++) printf("%.17g\\n", (double)predictions[i]);
    }}
}}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize("real", ["double", "float"])
@EXTENTS
def test_c_export(here: Path, cases: list[str], real: str):
    """One program of all cases compiles without a warning, and steps and runs as the engine."""
    write_cases(here, "c", cases)
    text = "#include <stdio.h>\n" + "".join(f'#include "{case}.h"\n' for case in cases)
    for case in cases:
        samples, inputs = (each.swapaxes(0, 1).ravel() for each in signals(make_portable(case)))
        text += MAIN.format(
            name=case,
            NAME=case.upper(),
            samples=", ".join(map(repr, samples.tolist())),
            inputs=", ".join(map(repr, inputs.tolist())) or "0",
            inputs_argument="inputs + 12 * row, " if inputs.size else "",
        )
    text += f"int main(void) {{ {' '.join(f'run_{case}();' for case in cases)} return 0; }}\n"
    Path("main.c").write_text(text, encoding="utf-8")
    reals = [f"-D{case.upper()}_REAL={real}" for case in cases]
    compiled = commands.run("cc", *WARNINGS, *reals, "main.c", "-lm", "-o", "main")
    assert (compiled.code, compiled.err) == (0, "")
    numbers = np.array(commands.run("./main").out.split(), float)
    for case in cases:
        outputs = CASES[case][2]
        now, numbers = np.split(numbers, [ROWS * (SAMPLES + STEPS) * outputs])
        runs = now.reshape(ROWS, SAMPLES + STEPS, outputs).swapaxes(0, 1)
        found = {"steps": runs[:SAMPLES], "free_run": runs[SAMPLES:]}
        check_case(case, found, single=real == "float")
    assert not numbers.size


def test_bytes_of_c(here: Path):
    """The header states the bytes of state and weights that the compiler finds."""
    text = EXPORTERS["c"](make_portable("lstm_2_2_1_float32"))[".h"].decode()
    (here / "a.h").write_text(text, encoding="utf-8")
    main = '#include <stdio.h>\n#include "a.h"\nint main(void) {'
    main += 'printf("%zu", sizeof(lstm_2_2_1_float32_state)); return 0; }'
    (here / "main.c").write_text(main, encoding="utf-8")
    assert commands.run("cc", "main.c", "-lm", "-o", "main").code == 0
    assert commands.run("./main").out == "48"  # h and c, 2 layers, 3 units, 4 bytes
    assert "Bytes in float: 48 of state, " in text


@pytest.mark.parametrize("format", EXPORTERS)
def test_export_again(trained: Run, format: str):
    """Files of every format are replaced by the same bytes."""
    first = {path: path.read_bytes() for path in library.export(trained, format=format)}
    assert first
    again = {path: path.read_bytes() for path in library.export(trained, format=format)}
    assert again == first


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize("name", ["MY_NET_1", "net_", "int"])
def test_names_in_c(here: Path, name: str):
    """Those of the header begin with any name."""
    portable = replace(make_portable("lstm_1_2_1_float64"), name=name)
    (here / "a.h").write_bytes(EXPORTERS["c"](portable)[".h"])
    (here / "a.c").write_text(
        f'#include "a.h"\nint main(void) {{ {name}_state s = {name}_start; (void)s;'
        f" return {name.upper()}_UNITS; }}",
        encoding="utf-8",
    )
    assert commands.run("cc", *WARNINGS, "a.c", "-lm", "-o", "a").err == ""
    assert commands.run("./a").code == portable.network.hidden_size


def test_metadata_of_data(here: Path):
    """It states licence and hash; what only the data file tells is left out once it is gone."""
    signal, *settings = write_driven_series(here / "data.csv")
    signal = signal.removesuffix("}") + ", licence: CC BY 4.0, units: {speed: mm/s}}"
    run = library.train(tiny(signal, *settings), figures=False).run
    facts, metadata = run.read_facts().data, read_portable(run).metadata
    assert (metadata["data_licence"], metadata["data_sha256"]) == ("CC BY 4.0", facts.sha256)
    assert metadata["output_channels"] == ["position", "speed (mm/s)"]
    assert (metadata["input_channels"], metadata["time_step"]) == (["force"], 0.1)
    Path("data.csv").unlink()
    metadata = read_portable(run).metadata
    assert metadata["output_channels"] == ["position", "speed"]
    assert (metadata["input_channels"], metadata["time_step"]) == (["force"], None)


def test_export_of_an_interrupted_run(trained: Run):
    """A run without scores is exported without them."""
    (trained.path / "evaluation.json").unlink()
    assert read_portable(trained).metadata["scores"] is None


def test_carried_state(trained: Run):
    """An export starts from the state that forecasts start from."""
    text = trained.config_path.read_text(encoding="utf-8")
    carried = text.replace("initial_state: zero", "initial_state: carried")
    trained.config_path.write_text(carried, encoding="utf-8")
    _, checkpoint = trained.best_checkpoint()
    start = read_portable(trained).start
    np.testing.assert_array_equal(start, checkpoint.state.hidden[:, :, :1])
    assert start.any()


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("torch", "torch has no layer of the cell strange, only of rnn_tanh, rnn_relu, gru, lstm"),
        ("onnx", "onnx has no operator of the cell strange, only of rnn_tanh"),
        ("c", "forward of the cell strange has 'slots[0] ** 3', which is not written alike in C"),
        ("numpy", None),
    ],
)
def test_cell_that_a_format_lacks(
    monkeypatch: pytest.MonkeyPatch, format: str, message: str | None
):
    """It is refused by its name, with the reason and a way out."""

    class Strange(Cell):
        @staticmethod
        def forward(slots, h, c):
            return (), slots[0] ** 3, c

    monkeypatch.setitem(CELLS, "strange", Strange())
    portable = make_portable("rnn_tanh_1_1_0_float64")
    portable = replace(portable, network=replace(portable.network, cell="strange"))
    if message is None:
        assert b"return slots[0] ** 3, c" in EXPORTERS[format](portable)[".py"]
        return
    with pytest.raises(UsageError, match=re.escape(message)):
        EXPORTERS[format](portable)


def test_cell_that_swaps(monkeypatch: pytest.MonkeyPatch):
    """Values that are assigned at the same time are refused in C, which assigns one by one."""

    class Swap(Cell):
        @staticmethod
        def forward(slots, h, c):
            a, b = slots[0], h
            a, b = b, a
            return (), a + 2 * b, c

    monkeypatch.setitem(CELLS, "swap", Swap())
    portable = make_portable("rnn_tanh_1_1_0_float64")
    portable = replace(portable, network=replace(portable.network, cell="swap"))
    assert b"return a + 2 * b, c" in EXPORTERS["numpy"](portable)[".py"]
    with pytest.raises(UsageError, match=r"forward of the cell swap has '\(?a, b\)? = \(?b, a"):
        EXPORTERS["c"](portable)


def test_cell_with_other_functions(monkeypatch: pytest.MonkeyPatch):
    """A formula that calls what exported code lacks is refused."""

    class Other(Cell):
        @staticmethod
        def forward(slots, h, c):
            return (), sqrt(slots[0]), c

    monkeypatch.setitem(CELLS, "other", Other())
    with pytest.raises(UsageError, match="forward of the cell other uses sqrt, which exported"):
        read_formula("other")


@pytest.fixture
def forecast(trained: Run) -> np.ndarray:
    """What `predict` forecasts from the samples of docs/export.md, whose files are written."""
    files = {"numpy": "wave_numpy.py", "c": "wave.h", "torch": "wave_torch.py", "onnx": "wave.onnx"}
    for format, to in files.items():
        library.export(trained, format=format, to=to)
    samples = {"signal": np.sin(10 / 49 * np.arange(60))}
    return library.predict(trained, samples, steps=100).values[:, 0]


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL))
def test_examples_of_the_page(forecast: np.ndarray, monkeypatch: pytest.MonkeyPatch, example: str):
    """The Python of docs/export.md forecasts what `predict` does."""
    monkeypatch.syspath_prepend(".")
    names: dict[str, Any] = {}
    exec(example, names)
    np.testing.assert_allclose(np.ravel(names["forecast"]), forecast, atol=1e-5)  # float32


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_c_of_the_page(forecast: np.ndarray):
    """It compiles by the command of the page, and prints the end of that forecast."""
    (code,) = re.findall(r"```c\n(.*?)```", PAGE, flags=re.DOTALL)
    Path("main.c").write_text(code, encoding="utf-8")
    (line,) = re.findall(r"`(cc .*?)`", PAGE)
    assert commands.run(*line.split(), *WARNINGS) == commands.Outcome(0, "", "")
    assert float(commands.run("./a.out").out) == pytest.approx(forecast[-1], abs=1e-4)


def test_names_of_exported_code():
    """They are identifiers of Python and of C."""
    names = ["default, hidden_size=24", "3 tanks", "Größe", "", "a-b"]
    found = ["default_hidden_size_24", "n3_tanks", "Gr_e", "network", "a_b"]
    assert [to_identifier(name) for name in names] == found
