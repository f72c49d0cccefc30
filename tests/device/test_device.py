"""Training on an accelerator: `make test-device`, on a machine that has one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from examples import TINY, Watching, tiny
from sinernn import DeviceError, engines, experiment, verification
from sinernn.config import Config
from sinernn.data.windows import random_planner
from sinernn.engines import Engine, EngineChoice, Objective
from sinernn.engines.torch_engine import TorchEngine
from sinernn.model.cells import CELLS
from sinernn.model.network import Network
from sinernn.runs.directory import open_run

PRESENT = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
DEVICES = [
    pytest.param(name, marks=pytest.mark.skipif(not there, reason=f"this machine has no {name}"))
    for name, there in PRESENT.items()
]
TOLERANCES = {"float32": 2e-4, "float64": 1e-10}

pytestmark = pytest.mark.parametrize("device", DEVICES)


class Died(BaseException):
    """The end of a process."""


def dtypes_of(device: str) -> list[str]:
    return ["float32"] if device == "mps" else ["float32", "float64"]


def on(device: str, *overrides: str) -> Config:
    """A tiny config for a device, in a precision that it has."""
    return tiny(f"device={device}", "engine=torch", *overrides)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_parity_with_the_cpu(device: str, cell: str, layers: int):
    """Losses, weights and runs in open and closed loop agree to rounding, with an input, too."""
    for dtype in dtypes_of(device):
        network = Network(cell, 1, 16, layers, dtype, inputs=1)
        samples = np.sin(0.3 * np.arange(200)[:, None] + [0, 1]).astype(dtype)
        state = network.initial_state(0, batch_size=4)
        objective = Objective(samples, 20, 3, 0.5)
        made = [
            engines.build(EngineChoice("torch", name), network, state, objective)
            for name in (device, "cpu")
        ]
        windows = random_planner([200], length=20, batch_size=4, carry_state=False, seed=0)(0, 20)
        arguments = windows.starts, windows.resets, np.full(20, 0.01)
        tolerance = {"rtol": 0, "atol": TOLERANCES[dtype]}
        losses = [engine.advance(*arguments) for engine in made]
        np.testing.assert_allclose(*losses, **tolerance)
        for name, value in made[0].state.params.items():
            np.testing.assert_allclose(value, made[1].state.params[name], **tolerance)
        runs = [_runs(engine, network, samples) for engine in made]
        for ours, expected in zip(*runs, strict=True):
            np.testing.assert_allclose(ours, expected, **tolerance)


def _runs(engine: Engine, network: Network, samples: np.ndarray) -> tuple[np.ndarray, ...]:
    hidden, warmup = network.zero_hidden(2), np.stack([samples[:20], samples[50:70]])
    inputs = np.stack([samples[20:40, 1:], samples[70:90, 1:]])
    return engine.open_loop(warmup, hidden), engine.closed_loop(warmup, 20, hidden, inputs)


def test_run_on_a_device(here: Path, device: str):
    """A run is trained, evaluated, drawn, and reproduced to the bit, all on the device."""
    config = on(device)
    summary = experiment.train(config)
    assert summary.facts.device.startswith(device)
    assert summary.facts.status == "finished"
    assert verification.verify(summary.run).agrees


def test_evaluation_on_the_cpu(here: Path, device: str):
    """The weights are no property of the device."""
    run = experiment.train(on(device), figures=False).run
    there, here_ = (
        experiment.evaluating.compute_evaluation(run, [f"device={name}"]).scores
        for name in (device, "cpu")
    )
    assert here_.open_loop.rmse == pytest.approx(there.open_loop.rmse, rel=1e-3)


@pytest.mark.parametrize("direction", [("cpu", None), (None, "cpu")])
def test_resume_across_devices(here: Path, device: str, direction: tuple[str | None, str | None]):
    """A run that was interrupted goes on elsewhere, which is recorded and changes rounding only."""
    begun, continued = (name or device for name in direction)
    whole = experiment.train(on(begun), figures=False)

    def die(record: object) -> None:
        raise Died

    with pytest.raises(Died):
        experiment.train(on(begun), figures=False, observers=[Watching(record=die)])
    resumed = experiment.resume("latest", [f"device={continued}"], figures=False)
    assert resumed.facts.device.startswith(continued)
    assert resumed.facts.resumed[-1].changed["device"] == (whole.facts.device, resumed.facts.device)
    for name, value in whole.run.best_checkpoint()[1].state.params.items():
        found = resumed.run.best_checkpoint()[1].state.params[name]
        np.testing.assert_allclose(found, value, rtol=0, atol=2e-3)


def test_fused_engine_goes_on(device: str):
    """Both engines have the same state, whatever holds it."""
    network = Network("gru", 1, 16, 1, "float32")
    samples = np.sin(0.3 * np.arange(100))[:, None].astype("float32")
    objective, state = Objective(samples, 20, 0, None), network.initial_state(0, batch_size=2)
    plan = np.array([[3, 40]]), np.zeros((1, 2), bool), np.array([0.01])
    first = engines.build(EngineChoice("torch", device), network, state, objective)
    first.advance(*plan)
    states = []
    for choice in (EngineChoice("torch", device), EngineChoice("fused", "cpu")):
        engine = engines.build(choice, network, first.state, objective)
        engine.advance(*plan)
        states.append(engine.state)
    for name, value in states[0].params.items():
        np.testing.assert_allclose(value, states[1].params[name], rtol=0, atol=1e-5)


def test_memory_of_the_device(device: str):
    """A batch that the device cannot hold is one message, and a smaller one then fits."""
    if device == "mps":
        pytest.skip("a limit can be set for CUDA alone")
    network = Network("rnn_tanh", 1, 256, 1, "float32")
    samples = np.zeros((400, 1), "float32")
    free_now, _ = torch.cuda.mem_get_info()
    limit = 2**28 + torch.cuda.memory_reserved()
    torch.cuda.set_per_process_memory_fraction(limit / torch.cuda.mem_get_info()[1])
    assert limit < free_now
    try:
        state = network.initial_state(0, batch_size=1)
        huge = replace(state, hidden=network.zero_hidden(4096))
        objective = Objective(samples, 300, 0, None)
        plan = np.zeros((1, 4096), int), np.zeros((1, 4096), bool), np.array([0.01])
        with pytest.raises(DeviceError, match="has not enough free memory for batches of 4096"):
            TorchEngine(network, huge, objective, device=device).advance(*plan)
        small = TorchEngine(network, state, objective, device=device)
        assert np.isfinite(small.advance(*(part[..., :1] for part in plan))).all()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_command_on_a_device(sinernn, device: str):
    """The command line, too; `auto` leaves a small network to the fused engine on the CPU."""
    outcome = sinernn(
        "train", TINY, f"device={device}", "dtype=float32", "refine=null", "--no-figures"
    )
    assert outcome.code == 0, outcome.err
    assert open_run("latest").read_facts().device.startswith(device)
    assert sinernn("train", TINY, "--no-figures").code == 0
    assert open_run("latest").read_facts().device == "cpu"
    absent = sinernn("train", TINY, "device=cuda:99", "engine=torch")
    assert absent.code == 2
    assert "cuda:99 is not present" in absent.err
