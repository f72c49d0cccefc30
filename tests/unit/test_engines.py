"""The choice of an engine, and what holds between the two."""

import sys
from pathlib import Path

import numpy as np
import pytest

from commands import run_python
from examples import TINY, tiny
from sinernn import compilation, engines, evaluating, experiment
from sinernn.engines import Engine, EngineChoice
from sinernn.errors import DeviceError
from sinernn.evaluation.results import Scores
from sinernn.model.network import Network
from sinernn.preparation import prepare

NAMES = ("fused", "torch")


def network(cell: str = "rnn_tanh", hidden_size: int = 16) -> Network:
    return Network(cell, outputs=1, hidden_size=hidden_size, num_layers=1, dtype="float32")


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_auto_engine(device: str):
    """`auto` is fused where that is faster, and torch elsewhere."""
    assert engines.choose("auto", device, network()) == EngineChoice("fused", "cpu")
    large = engines.choose("auto", device, network("lstm", 512))
    assert large.engine == "torch"
    assert device in ("auto", large.device)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("large", [False, True])
def test_named_engine(name: str, large: bool):
    """A named engine is taken whatever the size."""
    choice = engines.choose(name, "cpu", network("lstm", 512 if large else 16))
    assert choice == EngineChoice(name, "cpu")


def test_an_accelerator_means_torch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "sinernn.engines.torch_engine.present_device", lambda device, _dtype: device
    )
    assert engines.choose("auto", "cuda:1", network()) == EngineChoice("torch", "cuda:1")
    with pytest.raises(ValueError, match="computes on the CPU, not on cuda:1"):
        engines.choose("fused", "cuda:1", network())


def test_engine_torch_without_torch(without_torch: None, sinernn):
    """One message, and the way out works; no other engine or device asks for it."""
    for setting in ("engine=torch", "device=cuda"):
        refused = sinernn("train", TINY, setting, "--no-figures")
        assert refused.code == 2
        assert refused.err == (
            "engine: torch needs PyTorch, which is not installed; install it with: pip install "
            "torch; or use engine=fused device=cpu\n"
        )
    settings = ("engine=fused", "device=cpu", "training.steps=2", "refine=null")
    assert sinernn("train", TINY, *settings, "--no-figures").code == 0


def test_auto_engine_without_torch(without_torch: None):
    """The fused engine computes what torch would compute faster."""
    for device, rows, size in (("auto", 512, 64), ("cpu", 1, 512), ("auto", 1, 512)):
        choice = engines.choose("auto", device, network("lstm", size), rows=rows)
        assert choice == EngineChoice("fused", "cpu")


def test_torch_that_cannot_be_loaded(without_torch: None, monkeypatch: pytest.MonkeyPatch):
    """The message passes on what its import reported, such as a library that is missing."""

    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "torch":
                raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(DeviceError, match=r"cannot be loaded \(libcudart.so.12: .*\); reinstall"):
        engines.choose("torch", "cpu", network())
    assert engines.choose("auto", "auto", network()).engine == "fused"


@pytest.mark.parametrize("name", NAMES)
def test_both_engines_have_what_the_protocol_says(name: str):
    made = engines.build(
        EngineChoice(name, "cpu"), network(), network().initial_state(0, batch_size=1)
    )
    assert isinstance(made, Engine)
    calls = made.kernel_calls()
    for kernel, arguments in calls:
        kernel(*arguments)
    assert compilation.missing(calls) == []


@pytest.mark.parametrize(("first", "second"), [NAMES, NAMES[::-1]])
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_other_engine_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str, cell: str
):
    """A run that began on one engine goes on with the other.

    Through the checkpoint's file, in float64, against the whole run on the second engine.
    """
    monkeypatch.setattr(evaluating, "evaluate", lambda _: Scores())  # not asked for, and slow
    common = ("dtype=float64", f"model.cell={cell}", "model.num_layers=2", "windows.washout=3",
              "training.schedule=constant")  # fmt: skip
    half = experiment.train(tiny(*common, f"engine={first}", "training.steps=10"), figures=False)
    whole = experiment.train(tiny(*common, f"engine={second}"), figures=False)
    begun, expected = half.run.load_checkpoint("last"), whole.run.load_checkpoint("last").state

    prepared = prepare(tiny(*common))
    engine = engines.build(
        EngineChoice(second, "cpu"), begun.network, begun.state, prepared.objective
    )
    windows = prepared.plan(10, 10)
    engine.advance(windows.starts, windows.resets, np.full(10, 0.003))

    # 1e-10: each update divides the gradient by its own size, and so its rounding error.
    np.testing.assert_allclose(engine.state.hidden, expected.hidden, atol=1e-10)
    for group in ("params", "first_moment", "second_moment"):
        for name, value in getattr(expected, group).items():
            np.testing.assert_allclose(getattr(engine.state, group)[name], value, atol=1e-10)
    assert engine.state.updates == expected.updates == 20


def test_a_run_is_evaluated_alike_by_both_engines(here: Path):
    run = experiment.train(tiny("dtype=float64"), figures=False).run
    scores = [evaluating.evaluate(run, [f"engine={name}"]) for name in NAMES]
    for one, other in zip(*(score.closed_loop_rmse for score in scores), strict=True):
        assert one.median == pytest.approx(other.median, rel=1e-9)
    assert scores[0].open_loop.rmse == pytest.approx(scores[1].open_loop.rmse, rel=1e-9)


def test_choosing_fused_loads_neither_engine():
    code = (
        "import sys; from sinernn import compilation, engines; from sinernn.model.network import Network\n"
        "engines.choose('auto', 'auto', Network('gru', 1, 16, 1, 'float32'))\n"
        "assert not {'torch', 'numba'} & set(sys.modules)"
    )
    run_python(code)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("group", ["params", "first_moment", "second_moment"])
def test_engine_knows_what_is_not_finite(name: str, group: str):
    """As its state does, of which it makes no copy for that."""
    state = network().initial_state(0, batch_size=1)
    choice = EngineChoice(name, "cpu")
    assert engines.build(choice, network(), state).is_finite()
    getattr(state, group)["readout.bias"][0] = np.inf
    assert not engines.build(choice, network(), state).is_finite()
