"""The fused engine against torch, and against identities of its own.

The file also runs with the JIT off (the last test starts that), where the kernels are plain Python
on numpy arrays; then with fewer and smaller shapes.
"""

import functools
import inspect
import os
import sys
import threading
from _ctypes import FUNCFLAG_PYTHONAPI
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba.core import config

import commands
from campaign import times
from examples import REPOSITORY
from sinernn.engines import Engine, Objective, require_plan
from sinernn.engines.fused.engine import FusedEngine, advance
from sinernn.engines.fused.layout import Layout
from sinernn.engines.fused.runs import empty_run, run
from sinernn.engines.torch_engine import TorchEngine
from sinernn.model.cells import CELLS
from sinernn.model.network import Network, TrainState

IS_PLAIN = bool(config.DISABLE_JIT)
compiled_only = pytest.mark.skipif(IS_PLAIN, reason="about compiled code")


def random_state(network: Network, *, batch: int, seed: int = 0) -> TrainState:
    """Initial weights, and a hidden state that is not at rest."""
    state = network.initial_state(seed, batch_size=batch)
    state.hidden += 0.5 * np.random.default_rng(seed).normal(size=state.hidden.shape)
    return state


def task(
    network: Network,
    *,
    batch: int = 1,
    length: int = 9,
    washout: int = 0,
    clip: float | None = None,
    updates: int = 3,
    seed: int = 0,
    reset: float = 0.3,
):
    """A state, an objective, and a plan: starts, resets, learning rates."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(length + 40, network.channels)).astype(network.dtype)
    starts = rng.integers(0, len(samples) - length, (updates, batch))
    resets = rng.random((updates, batch)) < reset
    plan = (starts, resets, rng.uniform(1e-3, 1e-2, updates))
    return (
        random_state(network, batch=batch, seed=seed),
        Objective(samples, length, washout, clip),
        plan,
    )


def both(network: Network, state: TrainState, objective: Objective | None = None):
    return FusedEngine(network, state, objective), TorchEngine(
        network, state, objective, device="cpu"
    )


def assert_states_agree(actual: Engine, desired: Engine, **tolerances: float) -> None:
    for group in ("params", "first_moment", "second_moment"):
        one, other = getattr(actual.state, group), getattr(desired.state, group)
        assert one.keys() == other.keys()
        for name in other:
            np.testing.assert_allclose(one[name], other[name], err_msg=name, **tolerances)
    np.testing.assert_allclose(actual.state.hidden, desired.state.hidden, **tolerances)
    assert actual.state.updates == desired.state.updates


def networks(*hidden_sizes: int) -> st.SearchStrategy[Network]:
    return st.builds(
        Network,
        cell=st.sampled_from(sorted(CELLS)),
        outputs=st.integers(1, 3),
        inputs=st.integers(0, 2),
        hidden_size=st.sampled_from(hidden_sizes),
        num_layers=st.integers(1, 3),
        dtype=st.just("float64"),
    )


TASKS = dict(
    batch=st.sampled_from([1, 2, 3, 8, 9]),
    length=st.integers(1, 12),
    beyond=st.integers(-12, 2),
    clip=st.sampled_from([None, 0.05, 100.0]),
    reset=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)


# Widths that are padded to one, so that few kernels are compiled.
@settings(deadline=None, max_examples=15 if IS_PLAIN else 30)
@given(network=networks(*([1, 3] if IS_PLAIN else [1, 3, 4])), **TASKS)
@example(Network("gru", 2, 3, 2, "float64"), 3, 5, -3, 0.05, 0.5, 0)
@example(Network("lstm", 2, 3, 2, "float64", inputs=1), 3, 5, -3, 0.05, 0.5, 0)
@example(Network("rnn_tanh", 1, 3, 1, "float64"), 3, 5, 2, None, 0.5, 0)
@example(Network("rnn_tanh", 1, 3, 1, "float64"), 1, 5, 2, 0.05, 1.0, 0)
def test_updates_agree_with_torch(network, batch, length, beyond, clip, reset, seed):
    """Losses, gradients (in Adam's first moment), weights and carried states, to rounding.

    `beyond` is how much longer the washout is than the window: where nothing counts, NaN.
    """
    assert_updates_agree(network, batch, length, beyond, clip, reset, seed)


@pytest.mark.long
@pytest.mark.campaign
@settings(deadline=None, max_examples=times(40))
@given(network=networks(13, 16), **TASKS)
def test_updates_agree_at_larger_widths(network, batch, length, beyond, clip, reset, seed):
    """The same where a row of the weights has several vectors."""
    assert_updates_agree(network, batch, length, beyond, clip, reset, seed)


def assert_updates_agree(network, batch, length, beyond, clip, reset, seed) -> None:
    state, objective, plan = task(
        network, batch=batch, length=length, washout=max(0, length + beyond), clip=clip, seed=seed,
        reset=reset,
    )  # fmt: skip
    fused, torch = both(network, state, objective)

    np.testing.assert_allclose(fused.advance(*plan), torch.advance(*plan), rtol=1e-11)

    # 1e-9: Adam divides a gradient by its own size, however small, and so by its rounding.
    assert_states_agree(fused, torch, rtol=1e-9, atol=1e-9)
    # 1e-13: gradients are sums of terms near 1 that may cancel.
    for name, gradient in torch.state.first_moment.items():
        np.testing.assert_allclose(
            fused.state.first_moment[name], gradient, rtol=1e-9, atol=1e-13, err_msg=name
        )


@pytest.mark.parametrize("cell", CELLS)
def test_weights_agree_after_500_updates(cell: str):
    """Rounding differences do not grow beyond 1e-8."""
    network = Network(cell, 1, 4, 2, "float64")
    state, objective, plan = task(network, batch=2, updates=20 if IS_PLAIN else 500, clip=1.0)
    fused, torch = both(network, state, objective)
    fused.advance(*plan)
    torch.advance(*plan)
    assert_states_agree(fused, torch, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("cell", "hidden_size"),
    [("rnn_tanh", 3)]
    if IS_PLAIN
    else [
        ("rnn_tanh", 4),
        *(
            pytest.param(*each, marks=pytest.mark.campaign)
            for each in (("gru", 16), ("lstm", 40), ("rnn_tanh", 256))
        ),
    ],
)
def test_float32_agrees_with_torch(cell: str, hidden_size: int):
    """A width of each kind: narrow, one vector, odd, and longer than a block of a product."""
    network = Network(cell, 2, hidden_size, 2, "float32")
    state, objective, plan = task(network, batch=11, updates=1)
    fused, torch = both(network, state, objective)
    # float32 rounds at 6e-8, and a sum of many terms loses a digit or two.
    np.testing.assert_allclose(fused.advance(*plan), torch.advance(*plan), rtol=1e-5)
    for name, gradient in torch.state.first_moment.items():
        actual = fused.state.first_moment[name]
        np.testing.assert_allclose(actual, gradient, rtol=1e-3, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("inputs", [0, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_runs_agree_with_torch(cell: str, inputs: int):
    """In open loop, and in closed loop with true inputs."""
    network = Network(cell, 2, 3, 2, "float64", inputs=inputs)
    state = random_state(network, batch=3)
    samples = np.random.default_rng(1).normal(size=(3, 9, 2 + inputs))
    given = samples[:, 4:, 2:] if inputs else None
    fused, torch = both(network, state)
    np.testing.assert_allclose(
        fused.open_loop(samples, state.hidden), torch.open_loop(samples, state.hidden), rtol=1e-11
    )
    free_runs = [
        each.closed_loop(samples[:, :4], 6, state.hidden, given) for each in (fused, torch)
    ]
    np.testing.assert_allclose(*free_runs, rtol=1e-11)


@pytest.mark.parametrize("inputs", [0, 1])
@pytest.mark.parametrize("cell", CELLS)
def test_closed_loop_bits(cell: str, inputs: int):
    """Closed loop is open loop fed with its own outputs and the true inputs, to the bit."""
    network = Network(cell, 2, 3, 2, "float64", inputs=inputs)
    state = random_state(network, batch=3)
    warmup, given = np.split(np.random.default_rng(1).normal(size=(3, 11, 2 + inputs)), [5], axis=1)
    engine = FusedEngine(network, state)
    free_run = engine.closed_loop(warmup, 7, state.hidden, given[:, :, 2:] if inputs else None)
    fed = np.concatenate([free_run[:, :-1], given[:, :, 2:]], axis=2)
    outputs = engine.open_loop(np.concatenate([warmup, fed], axis=1), state.hidden)
    np.testing.assert_array_equal(outputs[:, 4:], free_run)


@pytest.mark.parametrize("engine", [0, 1], ids=["fused", "torch"])
def test_inputs_of_a_free_run(engine: int):
    """They are refused unless there are as many as the network reads."""
    network = Network("gru", 1, 3, 1, "float64", inputs=2)
    made = both(network, random_state(network, batch=2))[engine]
    warmup, hidden = np.zeros((2, 4, 3)), network.zero_hidden(2)
    made.closed_loop(warmup, 5, hidden, np.zeros((2, 4, 2)))
    for wrong in ((2, 3, 2), (2, 4, 1)):
        with pytest.raises(ValueError, match=r"need inputs of the shape \(2, 4, 2\), got"):
            made.closed_loop(warmup, 5, hidden, np.zeros(wrong))
    with pytest.raises(ValueError, match=r"\(2, 4, 2\), got \(2, 0, 0\)"):
        made.closed_loop(warmup, 5, hidden)


def test_closed_loop_diverges():
    """It is NaN from the first value that is not finite.

    A relu network that doubles its output overflows; the other row goes on.
    """
    network = Network("rnn_relu", 1, 1, 1, "float64")
    state = network.initial_state(0, batch_size=2)
    for name, value in state.params.items():
        value[...] = {"rnn.weight_ih_l0": 2.0, "readout.weight": 1.0}.get(name, 0.0)
    warmup = np.array([[[1.0]], [[0.0]]])
    with np.errstate(over="ignore", invalid="ignore"):  # the plain form tells
        free_run = FusedEngine(network, state).closed_loop(warmup, 1100, network.zero_hidden(2))
    np.testing.assert_array_equal(free_run[0, :1023, 0], 2.0 ** np.arange(1, 1024))
    assert np.isnan(free_run[0, 1023:]).all()
    assert (free_run[1] == 0).all()


@pytest.mark.parametrize("inputs", [0, 1])
@pytest.mark.parametrize("cell", CELLS)
def test_advance_in_pieces(cell: str, inputs: int):
    """Advancing by 7 and then 13 equals 20, to the bit."""
    network = Network(cell, 1 + inputs, 3, 2, "float64", inputs=inputs)
    state, objective, plan = task(network, batch=2, washout=2, clip=0.1, updates=20)
    whole, pieces = FusedEngine(network, state, objective), FusedEngine(network, state, objective)
    losses = whole.advance(*plan)
    parts = [pieces.advance(*(a[:7] for a in plan)), pieces.advance(*(a[7:] for a in plan))]
    np.testing.assert_array_equal(np.concatenate(parts), losses)
    assert_states_agree(pieces, whole, rtol=0, atol=0)


def test_engine_from_a_state():
    """An engine made from a state goes on with the same bits."""
    network = Network("lstm", 2, 3, 2, "float64")
    state, objective, plan = task(network, batch=2, updates=6)
    whole, first = FusedEngine(network, state, objective), FusedEngine(network, state, objective)
    losses = whole.advance(*plan)
    first.advance(*(a[:2] for a in plan))
    second = FusedEngine(network, first.state, objective)
    np.testing.assert_array_equal(second.advance(*(a[2:] for a in plan)), losses[2:])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("hidden_size", [1, 3])
def test_padding_is_not_seen_from_outside(cell: str, hidden_size: int):
    network = Network(cell, 3, hidden_size, 2, "float32")
    state = random_state(network, batch=2)
    back = FusedEngine(network, state).state
    for name, shape in network.shapes.items():
        assert back.params[name].shape == shape
        np.testing.assert_array_equal(back.params[name], state.params[name])
    np.testing.assert_array_equal(back.hidden, state.hidden)


def test_a_state_is_a_copy():
    network = Network("rnn_tanh", 1, 3, 2, "float64")
    state, objective, plan = task(network)
    engine = FusedEngine(network, state, objective)
    before = engine.state.params["rnn.weight_hh_l0"].copy()
    taken = engine.state
    engine.advance(*plan)
    np.testing.assert_array_equal(taken.params["rnn.weight_hh_l0"], before)
    np.testing.assert_array_equal(state.params["rnn.weight_hh_l0"], before)


@pytest.mark.parametrize("engine", [0, 1], ids=["fused", "torch"])
def test_a_wrong_call_is_told(engine: int):
    network = Network("rnn_tanh", 1, 3, 1, "float64")
    state, objective, (starts, resets, rates) = task(network)
    made = both(network, state, objective)[engine]
    with pytest.raises(ValueError, match=r"starts \(3, 2\) .* must both be \(3, 1\)"):
        made.advance(starts.repeat(2, axis=1), resets.repeat(2, axis=1), rates)
    with pytest.raises(ValueError, match=r"windows start in 0\.\.39, got -1"):
        made.advance(starts * 0 - 1, resets, rates)
    with pytest.raises(ValueError, match="needs a warm-up and a step, got 2 and 0"):
        made.closed_loop(np.zeros((1, 2, 1)), 0, state.hidden)
    with pytest.raises(ValueError, match="without an objective"):
        both(network, state)[engine].advance(starts, resets, rates)


def test_wrong_shapes():
    """A shape that does not fit is refused, since kernels check no bounds."""
    network = Network("rnn_tanh", 2, 3, 1, "float64")
    state = random_state(network, batch=1)
    with pytest.raises(ValueError, match=r"samples must have the shape \(9, 2\), got \(9, 1\)"):
        FusedEngine(network, state, Objective(np.zeros((9, 1)), 5, 0, None))
    engine = FusedEngine(network, state)
    with pytest.raises(
        ValueError, match=r"samples must have the shape \(4, 5, 2\), got \(4, 5, 1\)"
    ):
        engine.open_loop(np.zeros((4, 5, 1)), network.zero_hidden(4))
    with pytest.raises(ValueError, match=r"hidden must have the shape \(1, 1, 4, 3\), got"):
        engine.open_loop(np.zeros((4, 5, 2)), np.zeros((1, 2, 4, 3)))


@pytest.mark.parametrize("group", ["params", "first_moment", "second_moment"])
def test_wrong_state(group: str):
    """A state whose shapes are not the network's is refused.

    Numpy would spread one value over a whole bias.
    """
    network = Network("gru", 1, 3, 1, "float64")
    state = random_state(network, batch=2)
    name = "rnn.bias_ih_l0"
    wrong = replace(state, **{group: getattr(state, group) | {name: np.zeros(1)}})
    with pytest.raises(ValueError, match=rf"{group}: {name} must have the shape \(9,\), got \(1,"):
        FusedEngine(network, wrong)
    wrong = replace(state, hidden=np.zeros((1, 2, 2, 3)))
    with pytest.raises(ValueError, match=r"hidden must have the shape \(1, 1, 2, 3\), got"):
        FusedEngine(network, wrong)


def test_a_plan_of_the_wrong_kind_is_refused():
    _, objective, (starts, resets, rates) = task(Network("rnn_tanh", 1, 3, 1, "float64"))
    require = functools.partial(inspect.unwrap(require_plan), rows=1)  # without its type checker
    require(objective, starts, resets, rates)
    with pytest.raises(ValueError, match="got float64 and bool"):
        require(objective, starts + 0.5, resets, rates)
    with pytest.raises(ValueError, match="got int64 and int64"):
        require(objective, starts, resets.astype(np.int64), rates)
    with pytest.raises(ValueError, match="got the length 0"):
        require(replace(objective, length=0), starts, resets, rates)


@compiled_only
def test_arrays_of_any_kind(monkeypatch: pytest.MonkeyPatch):
    """They are met by the same kernels.

    Read-only, strided, of another integer type or byte order: numba would compile for each.
    """
    network = Network("rnn_tanh", 2, 3, 1, "float64")
    state, objective, (starts, resets, rates) = task(network, batch=2)
    plain = FusedEngine(network, state, objective)
    losses = plain.advance(starts, resets, rates)
    outputs = plain.open_loop(np.ones((2, 4, 2)), state.hidden)
    before = len(advance._loaded), len(run._loaded)

    samples = np.asfortranarray(objective.samples).astype(">f8")
    odd = starts.astype(np.int32), np.asfortranarray(resets), rates.view(np.ma.MaskedArray)
    for array in (samples, *odd):
        array.flags.writeable = False
    engine = FusedEngine(network, state, replace(objective, samples=samples))
    monkeypatch.setattr(engine, "_updates", np.int32(0))
    np.testing.assert_array_equal(inspect.unwrap(FusedEngine.advance)(engine, *odd), losses)
    inputs = np.broadcast_to(np.ones(2), (2, 4, 2))
    np.testing.assert_array_equal(engine.open_loop(inputs, state.hidden), outputs)
    assert (len(advance._loaded), len(run._loaded)) == before


@compiled_only
def test_other_threads_go_on_while_a_kernel_runs():
    """A function of ctypes gives up Python's lock, unless it is flagged as one of Python's own."""
    kernel, arguments = empty_run(Layout(Network("gru", 1, 3, 1, "float64")))
    assert not type(kernel.prepare(*arguments))._flags_ & FUNCFLAG_PYTHONAPI  # pyright: ignore


@compiled_only
def test_kernels_take_plain_arrays_alone():
    kernel, arguments = empty_run(Layout(Network("gru", 1, 3, 1, "float64")))
    with pytest.raises(ValueError, match="contiguous, aligned and writeable"):
        kernel(*arguments[:-1], np.empty((4, 4, 4))[::2])


@compiled_only
def test_threads_compile_in_turn(tmp_path: Path):
    """Threads that meet a kernel that is not compiled yet get it, each the same."""
    code = (
        "import numpy as np\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from sinernn.engines.fused.layout import Layout\n"
        "from sinernn.engines.fused.runs import empty_run\n"
        "from sinernn.model.network import Network\n"
        "calls = [empty_run(Layout(Network('gru', 1, h, 1, 'float64'))) for h in (2, 20, 2, 20)]\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    ready = list(pool.map(lambda call: call[0].prepare(*call[1]), calls))\n"
        "print(ready[0] is ready[2], ready[1] is ready[3], ready[0] is ready[1])"
    )
    environment = os.environ | {"SINERNN_CACHE_DIR": str(tmp_path)}
    assert commands.run_python(code, env=environment) == "True True False\n"


@compiled_only
def test_stored_kernels_need_no_numba(tmp_path: Path):
    """Importing it takes longer than many a run."""
    code = (
        "import sys, numpy as np\n"
        "from sinernn import engines\n"
        "from sinernn.model.network import Network\n"
        "net = Network('rnn_tanh', 1, 2, 1, 'float64')\n"
        "state = net.initial_state(0, batch_size=1)\n"
        "engine = engines.build(engines.EngineChoice('fused', 'cpu'), net, state)\n"
        "print(engine.open_loop(np.ones((1, 3, 1)), state.hidden).tolist(), 'numba' in sys.modules)"
    )
    environment = os.environ | {"SINERNN_CACHE_DIR": str(tmp_path)}
    first, second = (commands.run_python(code, env=environment).split("] ") for _ in range(2))
    assert first[0] == second[0]
    assert (first[1].strip(), second[1].strip()) == ("True", "False")


@compiled_only
def test_threads_do_not_change_the_bits():
    network = Network("gru", 1, 3, 1, "float64")
    state, objective, plan = task(network, updates=300)
    engines = [FusedEngine(network, state, objective) for _ in range(4)]
    losses: dict[int, np.ndarray] = {}

    def train(k: int) -> None:
        losses[k] = engines[k].advance(*plan)

    threads = [threading.Thread(target=train, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(1, 4):
        np.testing.assert_array_equal(losses[k], losses[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "where", ["samples", "rnn.weight_hh_l0", "rnn.bias_ih_l1", "readout.weight"]
)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.campaign)])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # the plain form tells
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_what_is_not_finite_surfaces_in_the_loss(cell: str, where: str, bad: float, dtype: str):
    """No fast-math flag hides it; at the latest in the next update, since tanh(inf) is 1."""
    network = Network(cell, 1, 4, 2, dtype)
    state, objective, plan = task(network, updates=3, clip=1.0, reset=0.0)
    if where == "samples":
        objective.samples[...] = bad
    else:
        state.params[where].flat[0] = bad
    fused, torch = both(network, state, objective)
    losses = fused.advance(*plan)
    np.testing.assert_array_equal(np.isfinite(losses), np.isfinite(torch.advance(*plan)))
    if np.isnan(bad):
        assert np.isnan(losses).all()


PART = "updates or open_loop or closed_loop or not_finite and nan and float64 and samples or numpy"
"""Names of the tests that together reach all that the kernels do."""


@pytest.mark.long
def test_plain_kernels():
    """The kernels as plain Python pass these tests, too."""
    if IS_PLAIN:
        pytest.skip("this is it")
    files = ["tests/unit/test_fused_engine.py", "tests/unit/test_fused_simd.py"]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    words = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", PART, *files)
    done = commands.run(*words, cwd=REPOSITORY, env=environment)
    assert done.code == 0, done.out
    assert " passed" in done.out


def test_empty_run_of_a_large_network():
    """What compiles `run` reads no parameters that are not there."""
    network = Network("rnn_tanh", 1, hidden_size=512, num_layers=16, dtype="float32")
    kernel, arguments = empty_run(Layout(network))
    kernel(*arguments)
    assert arguments[-1].size == 0
