import numpy as np
import pytest
import torch

from examples import REPOSITORY
from reference_script import run
from sinernn import engines
from sinernn.config import load_config
from sinernn.data.windows import contiguous_planner
from sinernn.engines import EngineChoice, Objective, blank_after_divergence
from sinernn.engines.torch_engine import (
    CUBLAS_WORKSPACE,
    RecurrentNetwork,
    TorchEngine,
    present_device,
)
from sinernn.errors import DeviceError
from sinernn.experiment import prepare
from sinernn.model.cells import CELLS
from sinernn.model.network import Network

SAMPLES, LENGTH, ROWS = 60, 7, 2


def make_network(
    cell: str = "rnn_tanh", dtype: str = "float64", layers: int = 1, inputs: int = 0
) -> Network:
    return Network(cell, 2 - inputs, 5, num_layers=layers, dtype=dtype, inputs=inputs)


def make_engine(
    network: Network, *, washout: int = 0, gradient_clip: float | None = None
) -> TorchEngine:
    objective = Objective(stream_of(network), LENGTH, washout, gradient_clip)
    return TorchEngine(network, network.initial_state(0, batch_size=ROWS), objective, device="cpu")


def stream_of(network: Network) -> np.ndarray:
    time = np.arange(SAMPLES)[:, None]
    return np.sin(0.3 * time + [0, 1]).astype(network.dtype)  # [N, D]


def plan(first: int, n: int):
    return contiguous_planner([SAMPLES], length=LENGTH, batch_size=ROWS, carry_state=True)(first, n)


def advance(engine: TorchEngine, first: int, n: int) -> np.ndarray:
    windows = plan(first, n)
    return engine.advance(windows.starts, windows.resets, np.linspace(0.01, 0.02, 40)[first:][:n])


def assert_equal_states(one: TorchEngine, other: TorchEngine) -> None:
    for group in ("params", "first_moment", "second_moment"):
        for name, value in getattr(one.state, group).items():
            np.testing.assert_array_equal(value, getattr(other.state, group)[name], name)
    np.testing.assert_array_equal(one.state.hidden, other.state.hidden)
    assert one.state.updates == other.state.updates


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_script_is_equalled(dtype: str):
    """The tutorial config equals the straight-line script.

    Float32: equal bits. Float64: the script's linspace rounds its last sample differently.
    """
    config = load_config(REPOSITORY / "configs" / "tutorial.yaml", [f"dtype={dtype}"])
    experiment = prepare(config)
    state = experiment.network.initial_state(0, batch_size=1)
    windows = experiment.plan(0, 200)
    engine = TorchEngine(experiment.network, state, experiment.objective, device="cpu")

    actual = engine.advance(
        windows.starts, windows.resets, np.full(200, config.training.learning_rate)
    )
    losses, net, hidden = run(
        state.params, (windows.starts[:, 0] // 50).tolist(), getattr(torch, dtype)
    )

    assert np.ptp(windows.starts) == 100  # all three starts are drawn
    if dtype == "float32":
        np.testing.assert_array_equal(actual, losses)
        for name, value in net.state_dict().items():
            np.testing.assert_array_equal(engine.state.params[name], value.numpy())
        np.testing.assert_array_equal(engine.state.hidden[0], hidden.numpy())
    else:
        np.testing.assert_allclose(actual, losses, rtol=1e-10)


@pytest.mark.parametrize("inputs", [0, 1])
@pytest.mark.parametrize("cell", CELLS)
def test_advance_in_pieces(cell: str, inputs: int):
    """Advancing by 7 and then 13 equals 20, to the bit."""
    network = make_network(cell, dtype="float32", layers=2, inputs=inputs)
    whole, pieces = (make_engine(network, washout=2, gradient_clip=0.5) for _ in range(2))
    expected = advance(whole, 0, 20)
    actual = np.concatenate([advance(pieces, 0, 7), advance(pieces, 7, 13)])
    np.testing.assert_array_equal(actual, expected)
    assert_equal_states(pieces, whole)


@pytest.mark.parametrize("cell", CELLS)
def test_engine_from_a_state(cell: str):
    """An engine made from a state goes on with the same bits."""
    network = make_network(cell, dtype="float32")
    whole = make_engine(network)
    expected = advance(whole, 0, 20)[7:]
    first = make_engine(network)
    advance(first, 0, 7)
    second = TorchEngine(
        network, first.state, Objective(stream_of(network), LENGTH, 0, None), device="cpu"
    )
    np.testing.assert_array_equal(advance(second, 7, 13), expected)
    assert_equal_states(second, whole)


@pytest.mark.parametrize("threads", [1, 2])
def test_thread_count(threads: int):
    """It changes no bit and is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        losses = advance(make_engine(make_network()), 0, 10)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert not torch.are_deterministic_algorithms_enabled()
    np.testing.assert_array_equal(losses, advance(make_engine(make_network()), 0, 10))


def test_washout():
    """It counts after a reset only, and masks the loss."""
    network = make_network()
    engine, washout = make_engine(network, washout=3), 3
    module = RecurrentNetwork(network).double()
    module.load_state_dict({k: torch.tensor(v) for k, v in engine.state.params.items()})
    windows = plan(0, 6)
    hidden = torch.zeros(1, 1, ROWS, 5, dtype=torch.float64)
    # Learning rate 0 keeps the weights, so that each loss can be told from the module alone.
    losses = engine.advance(windows.starts, windows.resets, np.zeros(6))
    samples = torch.tensor(stream_of(network))
    for update in range(6):
        hidden[:, :, windows.resets[update]] = 0
        rows = torch.stack(
            [samples[start : start + LENGTH + 1] for start in windows.starts[update]]
        )
        outputs, hidden = module(rows[:, :-1], hidden.clone())
        hidden = hidden.detach()
        squares = ((outputs - rows[:, 1:]) ** 2).detach().numpy()
        counted = [
            squares[row, washout if windows.resets[update, row] else 0 :] for row in range(ROWS)
        ]
        assert losses[update] == pytest.approx(np.concatenate(counted).mean(), rel=1e-12)
    assert windows.resets[:, 1].tolist() == [True, False, False, False, True, False]


def test_gradient_clip():
    """The gradient is clipped to its global norm.

    Adam's first moment after one update is a tenth of the gradient.
    """

    def gradient(gradient_clip: float | None) -> np.ndarray:
        engine = make_engine(make_network(), gradient_clip=gradient_clip)
        advance(engine, 0, 1)
        return np.concatenate([g.ravel() for g in engine.state.first_moment.values()]) / 0.1

    free, clipped = gradient(None), gradient(0.01)
    assert np.linalg.norm(free) > 0.02
    # torch divides by the norm plus 1e-6.
    assert np.linalg.norm(clipped) == pytest.approx(0.01, rel=1e-3)
    np.testing.assert_allclose(clipped / 0.01, free / np.linalg.norm(free), rtol=1e-3)
    np.testing.assert_array_equal(gradient(1e6), free)


@pytest.mark.parametrize("cell", CELLS)
def test_closed_loop(cell: str):
    """It is open loop fed with its own outputs."""
    network = make_network(cell, layers=2)
    engine = make_engine(network)
    advance(engine, 0, 5)
    hidden = np.random.default_rng(0).normal(size=network.zero_hidden(3).shape)
    warmup = np.random.default_rng(1).normal(size=(3, 4, 2))
    free_run = engine.closed_loop(warmup, 6, hidden)
    fed = np.concatenate([warmup, free_run[:, :-1]], axis=1)
    # Step by step or in one call, torch sums in another order: rounding, no more.
    np.testing.assert_allclose(engine.open_loop(fed, hidden)[:, 3:], free_run, rtol=1e-9)


def sine_weights(angle_rad: float) -> dict[str, np.ndarray]:
    return {
        "rnn.weight_ih_l0": np.array([[1.0], [0.0]]),
        "rnn.weight_hh_l0": np.array([[0.0, 0.0], [1.0, 0.0]]),
        "rnn.bias_ih_l0": np.zeros(2),
        "rnn.bias_hh_l0": np.zeros(2),
        "readout.weight": np.array([[2 * np.cos(angle_rad), -1.0]]),
        "readout.bias": np.zeros(1),
    }


@pytest.mark.parametrize("angle_rad", [0.05, 0.3, 1.5])
def test_closed_loop_continues_an_exact_sine(angle_rad: float):
    """x[t+1] = 2 cos(a) x[t] - x[t-1]; at amplitude 1e-4 tanh is linear."""
    network = Network("rnn_tanh", outputs=1, hidden_size=2, num_layers=1, dtype="float64")
    state = network.initial_state(0, batch_size=1)
    state.params = sine_weights(angle_rad)
    signal = 1e-4 * np.sin(angle_rad * np.arange(300))[None, :, None]
    engine = TorchEngine(network, state, device="cpu")
    free_run = engine.closed_loop(signal[:, :100], 200, network.zero_hidden(1))
    np.testing.assert_allclose(free_run, signal[:, 100:], atol=1e-9)


def test_closed_loop_diverges():
    """A diverging free run is NaN from its first value that is not finite."""
    network = Network("rnn_relu", outputs=1, hidden_size=1, num_layers=1, dtype="float32")
    state = network.initial_state(0, batch_size=1)
    ones, zero = np.ones((1, 1), "float32"), np.zeros(1, "float32")
    state.params = {
        "rnn.weight_ih_l0": 1e10 * ones,
        "rnn.weight_hh_l0": 0 * ones,
        "rnn.bias_ih_l0": zero,
        "rnn.bias_hh_l0": zero,
        "readout.weight": ones,
        "readout.bias": zero,
    }
    engine = TorchEngine(network, state, device="cpu")
    free_run = engine.closed_loop(np.ones((1, 1, 1), "float32"), 6, network.zero_hidden(1))[0, :, 0]
    np.testing.assert_allclose(free_run[:3], [1e10, 1e20, 1e30], rtol=1e-6)
    assert np.isnan(free_run[3:]).all()


def test_blanking():
    """It keeps other rows and what came before."""
    outputs = np.array([[[1.0], [np.inf], [3.0]], [[4.0], [5.0], [6.0]]])
    np.testing.assert_array_equal(
        blank_after_divergence(outputs)[:, :, 0], [[1, np.nan, np.nan], [4, 5, 6]]
    )


def test_no_objective():
    """An engine without an objective does not train."""
    network = make_network()
    engine = TorchEngine(network, network.initial_state(0, batch_size=ROWS), device="cpu")
    with pytest.raises(ValueError, match="without an objective"):
        advance(engine, 0, 1)


@pytest.mark.parametrize(("warmup", "steps"), [(0, 5), (5, 0)])
def test_closed_loop_needs_a_warmup_and_a_step(warmup: int, steps: int):
    network = make_network()
    with pytest.raises(ValueError, match="needs a warm-up and a step"):
        make_engine(network).closed_loop(np.zeros((1, warmup, 2)), steps, network.zero_hidden(1))


def test_the_state_is_a_copy():
    engine = make_engine(make_network())
    before = engine.state
    before.params["readout.bias"] += 1
    advance(engine, 0, 3)
    assert before.updates == 0
    assert engine.state.updates == 3
    assert not before.first_moment["readout.bias"].any()


@pytest.fixture
def cuda_and_mps(monkeypatch: pytest.MonkeyPatch):
    """A machine with two CUDA devices and MPS, as far as torch's own questions tell."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


def test_auto_takes_the_best_device_present(cuda_and_mps: None, monkeypatch: pytest.MonkeyPatch):
    assert present_device("auto", "float32") == "cuda:0"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert present_device("auto", "float32") == "mps"
    assert present_device("auto", "float64") == "cpu"  # which mps cannot do
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert present_device("auto", "float32") == "cpu"


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps"])
def test_a_present_device_is_taken_as_asked(cuda_and_mps: None, device: str):
    assert present_device(device, "float32") == device


@pytest.mark.parametrize(
    ("device", "rows", "dtype", "expected"),
    [
        ("auto", 512, "float32", EngineChoice("torch", "cuda:0")),
        ("auto", 64, "float32", EngineChoice("fused", "cpu")),
        ("auto", 512, "float64", EngineChoice("fused", "cpu")),
        ("cpu", 512, "float32", EngineChoice("fused", "cpu")),
    ],
)
def test_auto_engine(
    cuda_and_mps: None, device: str, rows: int, dtype: str, expected: EngineChoice
):
    """CUDA computes large batches, as far as `auto` leaves the choice."""
    network = Network("rnn_tanh", 1, 64, 1, dtype)
    assert engines.choose("auto", device, network, rows=rows) == expected


def test_auto_engine_without_cuda(cuda_and_mps: None, monkeypatch: pytest.MonkeyPatch):
    """MPS was not measured: what is fast on the CPU stays there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    network = Network("rnn_tanh", 1, 64, 1, "float32")
    assert engines.choose("auto", "auto", network, rows=512) == EngineChoice("fused", "cpu")


def test_absent_device(cuda_and_mps: None):
    """The message names the devices that are present."""
    with pytest.raises(
        DeviceError, match=r"cuda:2 is not present; present: cuda:0, cuda:1, mps, cpu"
    ):
        present_device("cuda:2", "float32")


def test_float64_on_mps_is_refused(cuda_and_mps: None):
    with pytest.raises(DeviceError, match="mps cannot compute in float64"):
        present_device("mps", "float64")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_is_refused_where_it_is_not():
    with pytest.raises(DeviceError, match=r"cuda is not present; present: .*cpu"):
        engines.choose("torch", "cuda", make_network())


def test_cublas_workspace():
    """It is one that deterministic algorithms accept.

    The two values that torch's own check names, in `Context::checkCuBLASConfigDeterministic`.
    """
    assert CUBLAS_WORKSPACE in (":4096:8", ":16:8")


def test_a_full_device(monkeypatch: pytest.MonkeyPatch):
    """What does not fit into its memory is named, with ways out."""
    engine = make_engine(make_network())

    def fill(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(RecurrentNetwork, "forward", fill)
    with pytest.raises(DeviceError, match="has not enough free memory for batches of 2"):
        advance(engine, 0, 1)
