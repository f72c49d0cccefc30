import numpy as np
import pytest
import torch

from sinernn.engines.torch_engine import RecurrentNetwork
from sinernn.model.cells import CELLS
from sinernn.model.network import Network


def make(cell: str = "rnn_tanh", layers: int = 2, dtype: str = "float32") -> Network:
    return Network(cell=cell, outputs=3, hidden_size=5, num_layers=layers, dtype=dtype)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_parameters_are_torchs(cell: str, layers: int):
    """Names, shapes and order are those of torch."""
    network = make(cell, layers)
    expected = {
        name: tuple(value.shape) for name, value in RecurrentNetwork(network).state_dict().items()
    }
    assert list(network.shapes.items()) == list(expected.items())
    assert network.parameter_count == sum(int(np.prod(shape)) for shape in expected.values())


def test_shapes_with_inputs():
    """Inputs are read with the outputs, and are not predicted."""
    network = Network("rnn_tanh", outputs=2, hidden_size=4, num_layers=1, dtype="float32", inputs=3)
    assert network.shapes["rnn.weight_ih_l0"] == (4, 5)
    assert network.shapes["readout.weight"] == (2, 4)


def test_initial_weights():
    """They are uniform within torch's bound."""
    network = Network(cell="gru", outputs=1, hidden_size=100, num_layers=1, dtype="float64")
    values = np.concatenate([value.ravel() for value in network.initial_params(0).values()])
    bound = 0.1  # 1 / sqrt(H)
    assert np.abs(values).max() <= bound
    assert np.abs(values).max() > 0.999 * bound
    # A uniform density has the standard deviation bound / sqrt(3); 31 000 draws tell it to 0.4 %.
    assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.015)


def test_bound_of_initial_weights():
    """The bound is that of the layers that torch makes."""
    torch.manual_seed(0)
    module = RecurrentNetwork(
        Network(cell="lstm", outputs=1, hidden_size=64, num_layers=2, dtype="float32")
    )
    for value in module.state_dict().values():
        assert value.abs().max() <= 1 / 8
    assert module.rnn.weight_hh_l0.abs().max() > 0.999 / 8
    assert module.readout.weight.abs().max() > 0.9 / 8


def test_seed_in_both_precisions():
    """A seed is the same network in both."""
    single, double = make(dtype="float32"), make(dtype="float64")
    for name, value in double.initial_params(3).items():
        np.testing.assert_array_equal(single.initial_params(3)[name], value.astype("float32"))
    assert not np.array_equal(
        single.initial_params(3)["readout.bias"], single.initial_params(4)["readout.bias"]
    )


@pytest.mark.parametrize(("cell", "states"), [("rnn_relu", 1), ("lstm", 2)])
def test_hidden_state_at_rest(cell: str, states: int):
    hidden = make(cell).zero_hidden(4)
    assert hidden.shape == (states, 2, 4, 5)
    assert hidden.dtype == np.float32
    assert not hidden.any()


def test_state_that_is_not_finite():
    """One number that is not finite is enough."""
    state = make().initial_state(0, batch_size=2)
    assert state.is_finite()
    state.second_moment["rnn.bias_hh_l1"][2] = np.inf
    assert not state.is_finite()
