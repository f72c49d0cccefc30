"""Networks to export, what sinernn's own engine computes, and a process that has no sinernn."""

import sys
import sysconfig
from itertools import product
from pathlib import Path

import numpy as np

from commands import run
from sinernn import engines
from sinernn.data.windows import Scale
from sinernn.engines import EngineChoice
from sinernn.exporters import EXPORTERS
from sinernn.exporters.portable import Portable
from sinernn.forecasting import run_freely
from sinernn.model.cells import CELLS
from sinernn.model.network import Network

SAMPLES, STEPS, ROWS = 9, 12, 2
CASES = {
    "_".join(map(str, case)): case
    for case in product(CELLS, (1, 2), ((1, 0), (2, 1)), ("float64", "float32"))
    for case in [(case[0], case[1], *case[2], case[3])]
}
"""Cell, layers, outputs, inputs and type of each network, by its name."""

HOSTILE = "*/ /* \"\"\" '''\n\\ ??/ {x} °C\n#error"
"""Name of a run or channel that must not end a comment or a text."""


def make_portable(case: str, seed: int = 0, *, units: int = 3) -> Portable:
    """A network with random weights, in units far from 0 and 1, with a state to start from."""
    cell, layers, outputs, inputs, dtype = CASES[case]
    network = Network(cell, outputs, units, layers, dtype, inputs)
    draw = np.random.default_rng(seed)
    start = network.zero_hidden(1)
    if inputs:
        start = draw.uniform(-0.5, 0.5, start.shape).astype(dtype)
    mean, std = np.array([300.0, -2.0, 0.5]), np.array([20.0, 0.5, 0.01])
    scale = Scale(mean, std).first(network.channels)
    params = network.initial_params(seed)
    return Portable(case, network, params, scale, start, {"run": HOSTILE})


def signals(portable: Portable) -> tuple[np.ndarray, np.ndarray]:
    """Samples [time, row, channel] that are read, and those whose inputs follow."""
    size = (SAMPLES + STEPS, ROWS, portable.network.channels)
    values = portable.scale.invert(np.random.default_rng(1).normal(size=size))
    return values[:SAMPLES], values[SAMPLES:, :, portable.network.outputs :]


def expected(portable: Portable) -> dict[str, np.ndarray]:
    """What the reference engine computes: every step [time, row, output], and a free run."""
    network, scale = portable.network, portable.scale
    state = network.initial_state(0, batch_size=1)
    state.params = portable.params
    engine = engines.build(EngineChoice("torch", "cpu"), network, state)
    before, inputs = (each.swapaxes(0, 1) for each in signals(portable))
    hidden = np.repeat(portable.start, ROWS, axis=2)
    steps = engine.open_loop(scale.apply(before), hidden).astype(float)
    return {
        "steps": scale.first(network.outputs).invert(steps).swapaxes(0, 1),
        "free_run": run_freely(engine, scale, before, inputs, STEPS, hidden).swapaxes(0, 1),
    }


def write_cases(folder: Path, format: str, cases: list[str]) -> None:
    """Write the files of each network, and what it is to read."""
    for case in cases:
        portable = make_portable(case)
        for end, content in EXPORTERS[format](portable).items():
            (folder / f"{case}{end}").write_bytes(content)
        samples, inputs = signals(portable)
        np.savez(folder / f"{case}.npz", samples=samples, inputs=inputs)


def run_without_sinernn(code: str, *arguments: object) -> str:
    """Run Python code in a process that has the packages of this one, but no sinernn."""
    packages = sysconfig.get_paths()["purelib"]
    absent = "sys.modules['sinernn'] = None"  # to import it fails as if it were not installed
    prelude = f"import sys; {absent}; sys.path.append({packages!r})\n"
    outcome = run(sys.executable, "-I", "-S", "-c", prelude + code, *arguments)
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    return outcome.out


def check_case(case: str, found: dict[str, np.ndarray], *, single: bool = False) -> None:
    """Compare predictions in standard deviations: 1e-12 a step, or by the rounding of float32."""
    portable = make_portable(case)
    is_single = single or portable.network.dtype == "float32"
    std, true = portable.scale.std[: portable.network.outputs], expected(portable)
    assert found
    for name, values in found.items():
        worst = (np.abs(values - true[name]) / std).max()
        assert worst < (5e-6 if is_single else 1e-12), f"{case}: {name} differs by {worst}"
