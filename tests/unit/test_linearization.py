import numpy as np
import pytest
import torch

from sinernn.engines.fused.linearization import StateMap
from sinernn.engines.torch_engine import RecurrentNetwork, TorchEngine
from sinernn.model.cells import CELLS
from sinernn.model.network import Network

SHAPES = [(cell, layers) for cell in CELLS for layers in (1, 3)]
with_inputs = pytest.mark.parametrize("inputs", [0, 1])


def random_network(cell: str, num_layers: int, *, outputs: int = 2, inputs: int = 0) -> StateMap:
    network = Network(cell, outputs, 3, num_layers=num_layers, dtype="float64", inputs=inputs)
    params = {name: 2 * value for name, value in network.initial_params(seed=1).items()}
    return StateMap(network, params)


def random_hidden(model: StateMap, rows: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, model.network.zero_hidden(rows).shape)


@pytest.mark.parametrize(("cell", "num_layers"), SHAPES)
def test_a_step_is_torchs(cell: str, num_layers: int):
    model = random_network(cell, num_layers)
    hidden, inputs = random_hidden(model), np.random.default_rng(1).normal(size=(2, 2))
    module = RecurrentNetwork(model.network).double()
    module.load_state_dict({name: torch.tensor(value) for name, value in model.params.items()})
    with torch.no_grad():
        output, after = module(torch.tensor(inputs)[:, None], torch.tensor(hidden))
    new = model.step(inputs, hidden)
    # Two orders of summation in float64.
    np.testing.assert_allclose(new, after.numpy(), atol=1e-14)
    np.testing.assert_allclose(model.output(new), output[:, 0].numpy(), atol=1e-14)


@with_inputs
@pytest.mark.parametrize(("cell", "num_layers"), SHAPES)
def test_free_steps_are_the_engines_closed_loop(cell: str, num_layers: int, inputs: int):
    model = random_network(cell, num_layers, inputs=inputs)
    state = model.network.initial_state(seed=1, batch_size=1)
    state.params = model.params
    engine = TorchEngine(model.network, state, device="cpu")
    samples = np.random.default_rng(1).normal(size=(2, 21, 2 + inputs))
    warmup, given = samples[:, :1], samples[:, 1:, 2:]
    expected = engine.closed_loop(warmup, 20, random_hidden(model), given if inputs else None)
    hidden = model.step(warmup[:, 0], random_hidden(model))
    for step in range(20):
        np.testing.assert_allclose(model.output(hidden), expected[:, step], atol=1e-12)
        hidden = model.step(given[:, step], hidden)


def test_a_free_run_needs_its_inputs():
    model = random_network("gru", 1, inputs=1)
    with pytest.raises(
        ValueError, match="a step reads 3 channels, or 1 inputs in a free run, got 0"
    ):
        model.step(None, random_hidden(model))


@pytest.mark.parametrize(
    ("layers", "given", "message"),
    [
        (1, 4, r"a hidden state has the shape \(1, 3, 2, 3\), got \(1, 1, 2, 3\)"),
        (3, 1, r"4 steps of 2 rows need as many inputs, got \(1, 2\)"),
    ],
)
def test_what_a_run_cannot_start_from(layers: int, given: int, message: str):
    """It is refused: the kernel would read and write other memory, or repeat an input."""
    model = random_network("gru", 3, inputs=1)
    with pytest.raises(ValueError, match=message):
        model.run(np.zeros((1, layers, 2, 3)), 4, np.zeros((given, 2, 1)))


@with_inputs
@pytest.mark.parametrize("is_free", [True, False])
@pytest.mark.parametrize(("cell", "num_layers"), SHAPES)
def test_jacobians_are_torchs_by_autograd(cell: str, num_layers: int, is_free: bool, inputs: int):
    model = random_network(cell, num_layers, inputs=inputs)
    hidden, samples = random_hidden(model), np.random.default_rng(1).normal(size=(2, 2 + inputs))
    module = RecurrentNetwork(model.network).double()
    module.load_state_dict({name: torch.tensor(value) for name, value in model.params.items()})
    actual = model.jacobians(hidden, inputs=samples[:, 2:] if is_free else samples)
    for row in range(2):
        start = torch.tensor(hidden[:, :, row : row + 1])

        def after(flat: torch.Tensor, row: int = row, start: torch.Tensor = start) -> torch.Tensor:
            state = flat.reshape(start.shape)
            given = torch.tensor(samples[row])[None]
            if is_free:
                given = torch.cat([module.readout(state[0, -1]), given[:, 2:]], 1)
            return module(given[:, None], state)[1].flatten()

        expected = torch.autograd.functional.jacobian(after, start.flatten()).numpy()
        np.testing.assert_allclose(actual[row], expected, atol=1e-13)


@pytest.mark.parametrize(("cell", "num_layers"), SHAPES)
def test_tangent_map(cell: str, num_layers: int):
    """It is the limit of finite differences."""
    model = random_network(cell, num_layers)
    hidden = random_hidden(model)
    direction = np.random.default_rng(2).normal(size=hidden.shape)
    step = 1e-6  # central differences err by step**2, rounding by 1e-16 / step
    difference = model.step(None, hidden + step * direction) - model.step(
        None, hidden - step * direction
    )
    pushed = model.push(model.run(hidden, 1), direction)
    np.testing.assert_allclose(pushed, difference / (2 * step), atol=1e-8)


@with_inputs
@pytest.mark.parametrize(("cell", "num_layers"), SHAPES)
def test_change_along_a_run(cell: str, num_layers: int, inputs: int):
    """All at once, it is that of one step after the other."""
    model = random_network(cell, num_layers, inputs=inputs)
    given = np.random.default_rng(1).normal(size=(4, 2, inputs))
    orbit = model.run(random_hidden(model), 4, given)
    start = np.random.default_rng(2).normal(size=model.network.zero_hidden(2).shape)
    change, halfway = start, start
    for step in range(4):
        one = model.run(orbit.states[step], 1, given[step, None])
        np.testing.assert_allclose(orbit.states[step + 1], one.states[1], atol=1e-14)
        change = model.push(one, change)
        halfway = change if step == 1 else halfway
    np.testing.assert_allclose(model.push(orbit, start), change, atol=1e-14)
    unit, squares = model.grow(orbit, start, times=2)
    np.testing.assert_allclose(squares[0], np.square(halfway).sum(axis=(0, 1, 3)), rtol=1e-12)
    growth = np.sqrt(squares.prod(axis=0))[:, None]
    np.testing.assert_allclose(growth * unit, change, atol=1e-14)


def test_changes_that_do_not_fit():
    """They are refused: the kernel checks no bounds."""
    model = random_network("gru", 1)
    orbit = model.run(random_hidden(model), 4)
    with pytest.raises(ValueError, match=r"changes \(1, 1, 3, 3\) are not those of states"):
        model.push(orbit, np.ones((1, 1, 3, 3)))
    with pytest.raises(ValueError, match="4 steps cannot be divided by 3"):
        model.grow(orbit, np.ones((1, 1, 2, 3)), times=3)
