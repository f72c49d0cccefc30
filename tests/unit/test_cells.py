"""A cell is defined once: what is true of it holds for all that is derived from it."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from sinernn import engines
from sinernn.engines import EngineChoice, Objective
from sinernn.engines.fused.linearization import StateMap
from sinernn.engines.torch_engine import CellLayers, RecurrentNetwork
from sinernn.model.cells import CELLS, Cell
from sinernn.model.functions import sigmoid, tanh
from sinernn.model.network import Network
from sinernn.refine.problem import Problem, flatten
from sinernn.refine.stages import Stage


class MinimalGated(Cell):
    """One gate f that forgets and resets, as in Zhou et al. (2016); torch has no such layer.

    The recurrent part of the candidate is multiplied by f after the matrix product, as in
    torch.nn.GRU. Its gates are in the order n f.
    """

    slots = 3
    input_order = (0, 1)
    hidden_order = (1, 0)

    @staticmethod
    def forward(slots, h, c):
        f, k = sigmoid(slots[1]), slots[2]
        n = tanh(slots[0] + f * k)
        return (n, f, k), h + f * (n - h), c

    @staticmethod
    def backward(slots, h, after, c, c_after, dh, dc):
        n, f, k = slots
        dn = dh * f * (1.0 - n * n)
        df = (dh * (n - h) + dn * k) * f * (1.0 - f)
        return (dn, df, dn * f), dh * (1.0 - f), dc


@pytest.fixture(autouse=True)
def minimal_gated() -> Iterator[None]:
    """One class and one line."""
    CELLS["minimal_gated"] = MinimalGated()
    yield
    del CELLS["minimal_gated"]


def network(cell: str, *, layers: int = 1, channels: int = 2) -> Network:
    return Network(cell, channels, hidden_size=4, num_layers=layers, dtype="float64")


@pytest.mark.parametrize("layers", [1, 2])
def test_new_cell_trains_alike(layers: int):
    """Both engines agree in losses, weights and free runs over updates with carried states."""
    net, samples = network("minimal_gated", layers=layers), np.sin(np.arange(400.0)).reshape(200, 2)
    plan = (
        np.array([[0, 50], [9, 100], [18, 120]]),
        np.array([[True] * 2, [False] * 2, [True, False]]),
    )
    found = {}
    for name in ("torch", "fused"):
        engine = engines.build(
            EngineChoice(name, "cpu"),
            net,
            net.initial_state(0, batch_size=2),
            Objective(samples, 9, 2, 1.0),
        )
        losses = engine.advance(*plan, np.full(3, 0.01))
        run = engine.closed_loop(samples[None, :5], 20, net.zero_hidden(1))
        found[name] = losses, run, *engine.state.params.values()
    for torchs, fuseds in zip(*found.values(), strict=True):
        np.testing.assert_allclose(fuseds, torchs, rtol=1e-9, atol=1e-12)  # two orders of summation


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_new_cell_is_refined(loop: str):
    """Its Jacobian is the derivative of its residuals, by central differences."""
    net = network("minimal_gated")
    samples = np.random.default_rng(0).normal(size=(2, 14, 2))
    problem = Problem(net, samples, Stage(loop=loop, warmup=4, horizon=10, stride=3))
    theta, step = flatten(net.initial_params(0), net), 1e-6
    errors, jacobian = problem.linearise(theta)
    for p, row in enumerate(jacobian[:, : errors.size]):
        change = step * (np.arange(theta.size) == p)
        slope = (problem.residuals(theta + change) - problem.residuals(theta - change)) / (2 * step)
        np.testing.assert_allclose(row, slope, atol=1e-8)  # step**2, and rounding / step


def test_new_cell_is_linearized():
    """The map of its hidden state is the torch module's, and its Jacobian autograd's."""
    net = network("minimal_gated", layers=2)
    model = StateMap(net, net.initial_params(3))
    module = RecurrentNetwork(net).double()
    module.load_state_dict({name: torch.tensor(value) for name, value in model.params.items()})
    hidden = np.random.default_rng(0).uniform(-0.9, 0.9, net.zero_hidden(1).shape)
    inputs = np.ones((1, 2))

    def after(flat: torch.Tensor) -> torch.Tensor:
        return module(torch.tensor(inputs)[:, None], flat.reshape(hidden.shape))[1].flatten()

    expected = torch.autograd.functional.jacobian(after, torch.tensor(hidden).flatten()).numpy()
    np.testing.assert_allclose(model.jacobians(hidden, inputs=inputs)[0], expected, atol=1e-13)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
def test_shipped_cells_are_torchs(cell: str):
    """`forward`, run on tensors, computes what torch's own layers compute."""
    net = network(cell, layers=2)
    params = {k: torch.tensor(v) for k, v in net.initial_params(0).items()}
    module = RecurrentNetwork(net).double()
    module.load_state_dict(params)
    expected = module.rnn
    module.rnn = CellLayers(net).double()
    module.load_state_dict(params)
    hidden = torch.tensor(np.random.default_rng(0).normal(size=net.zero_hidden(3).shape))
    inputs = torch.tensor(np.random.default_rng(1).normal(size=(3, 7, 2)))
    before = hidden[0] if len(hidden) == 1 else (hidden[0], hidden[1])
    outputs, after = module.rnn(inputs, before)
    wanted, wanted_after = expected(inputs, before)
    np.testing.assert_allclose(outputs.detach(), wanted.detach(), atol=1e-14)
    for part, wanted_part in zip(
        after if isinstance(after, tuple) else (after,),
        wanted_after if isinstance(wanted_after, tuple) else (wanted_after,),
        strict=True,
    ):
        np.testing.assert_allclose(part.detach(), wanted_part.detach(), atol=1e-14)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "gru", "lstm", "minimal_gated"])
def test_backward_is_linear(cell: str):
    """Two calls with unit gradients give every other one; all that is derived rests on it."""
    generator, kind = np.random.default_rng(0), CELLS[cell]
    h, c, dh, dc = generator.normal(size=(4, 5))
    slots, after, c_after = kind.forward(list(generator.normal(size=(kind.slots, 5))), h, c)
    one, zero = np.ones(5), np.zeros(5)

    def flat(*direction: np.ndarray) -> np.ndarray:
        gradients, *before = kind.backward(slots, h, after, c, c_after, *direction)
        return np.stack([zero + value for value in (*gradients, *before)])

    expected = flat(one, zero) * dh + flat(zero, one) * dc
    np.testing.assert_allclose(flat(dh, dc), expected, atol=1e-14)
