import numpy as np
import pytest

from sinernn.engines.fused.linearization import StateMap
from sinernn.evaluation.dynamics import (
    Settled,
    exponent_resolution,
    follow,
    largest_exponents,
    settled,
)
from sinernn.model.network import Network

MEASURED_STEPS = 2000
STEPS = np.arange(MEASURED_STEPS)
SINE = np.sin(10 / 49 * STEPS)[:, None]
NOISE = np.random.default_rng(0).normal(size=(MEASURED_STEPS, 1))
HALF = np.sin(5 / 49 * STEPS)[:, None]  # at half the frequency


def rotation(angle_rad: float) -> np.ndarray:
    return np.array(
        [[np.cos(angle_rad), -np.sin(angle_rad)], [np.sin(angle_rad), np.cos(angle_rad)]]
    )


def linear_network(matrix: np.ndarray, *, inputs: int = 0) -> StateMap:
    """A network whose free run multiplies its state by a matrix: linear while it is small."""
    params = {
        "rnn.weight_ih_l0": np.concatenate([np.zeros((2, 1)), np.full((2, inputs), 1e-4)], axis=1),
        "rnn.weight_hh_l0": matrix,
        "rnn.bias_ih_l0": np.zeros(2),
        "rnn.bias_hh_l0": np.zeros(2),
        "readout.weight": np.array([[1.0, 0.0]]),
        "readout.bias": np.zeros(1),
    }
    return StateMap(Network("rnn_tanh", 1, 2, 1, "float64", inputs=inputs), params)


def sine_network(angle_rad: float, *, radius: float, inputs: int = 0) -> StateMap:
    """A network whose free run turns by an angle a step."""
    return linear_network(radius * rotation(angle_rad), inputs=inputs)


def tent_network(slope: float) -> StateMap:
    """A network whose output is the tent map of the one before: slope times min(y, 1 - y)."""
    params = {
        "rnn.weight_ih_l0": np.ones((2, 1)),
        "rnn.weight_hh_l0": np.zeros((2, 2)),
        "rnn.bias_ih_l0": np.array([0.0, -0.5]),
        "rnn.bias_hh_l0": np.zeros(2),
        "readout.weight": np.array([[slope, -2 * slope]]),
        "readout.bias": np.zeros(1),
    }
    return StateMap(Network("rnn_relu", 1, 2, 1, "float64"), params)


def exponents_at_rest(model: StateMap, *, steps: int) -> np.ndarray:
    """Exponents of a network that stays at zero, where tanh is linear."""
    orbit = model.run(model.network.zero_hidden(2), steps)
    return largest_exponents(model, [orbit], runs=2)


@pytest.mark.parametrize("stretch", [0.5, 0.999, 1.0, 1.01])
def test_exponent_of_a_rotation(stretch: float):
    """A stretched rotation has the logarithm of its stretch."""
    model = linear_network(stretch * rotation(0.3))
    np.testing.assert_allclose(exponents_at_rest(model, steps=500), np.log(stretch), atol=1e-12)


def test_exponent_of_a_linear_map():
    """It is the logarithm of the largest eigenvalue."""
    exponents = exponents_at_rest(linear_network(np.array([[0.9, 5.0], [0.0, 0.3]])), steps=4000)
    # The first steps turn the change into the eigenvector: a constant by 4000.
    np.testing.assert_allclose(exponents, np.log(0.9), atol=2e-3)


def test_exponent_of_the_tent_map():
    """Its slope is 1.9 or -1.9 everywhere, so that its exponent is ln 1.9."""
    states = np.zeros((1, 1, 8, 2))
    states[..., 0] = np.random.default_rng(0).uniform(0.1, 0.5, size=8)
    model = tent_network(1.9)
    exponents = largest_exponents(model, [model.run(states, 2000)], runs=8)
    # The first steps turn the change into the direction of the map: a constant by 2000.
    np.testing.assert_allclose(exponents, np.log(1.9), atol=2e-3)


def test_exponents_in_parts():
    """They do not depend on the parts in which a run is followed."""
    model = tent_network(1.9)
    first = model.run(np.array([[[[0.3, 0.0]]]]), 16)
    second = model.run(first.states[-1], 30)  # not a multiple of 8
    together = model.run(first.states[0], 46)
    found = largest_exponents(model, iter([first, second]), runs=1)
    np.testing.assert_allclose(found, largest_exponents(model, [together], runs=1), rtol=1e-12)


def test_orbits_are_independent():
    """The exponent of one does not change with the state of another."""
    hidden = np.random.default_rng(0).uniform(-0.9, 0.9, size=(1, 1, 5, 2))
    model = linear_network(1.5 * rotation(0.3))
    together = largest_exponents(model, [model.run(hidden, 48)], runs=5)
    hidden[:, :, 3] += 0.01
    again = largest_exponents(model, [model.run(hidden, 48)], runs=5)
    assert (np.delete(again, 3) == np.delete(together, 3)).all()
    assert again[3] != together[3]


def test_exponent_minus_infinity():
    """Where every change dies out at once."""
    assert (exponents_at_rest(linear_network(np.zeros((2, 2))), steps=5) == -np.inf).all()


def test_an_orbit_that_diverges_has_no_exponent():
    model = tent_network(1.9)
    orbit = model.run(np.array([[[[0.5, 0], [1e300, 0]]]]), 1200)
    exponents = largest_exponents(model, [orbit], runs=2)
    assert np.isfinite(exponents).tolist() == [True, False]


@pytest.mark.parametrize(
    ("outputs", "exponent", "place"),
    [
        pytest.param(np.full((2000, 1), 0.7), -0.5, "fixed point", id="stands still"),
        pytest.param(SINE * 0.999 ** STEPS[:, None], -1e-3, "fixed point", id="spirals in"),
        pytest.param(SINE, 0.0, "limit cycle", id="sine"),
        pytest.param(np.sign(SINE), 0.0, "limit cycle", id="square wave"),
        pytest.param((-1.0) ** STEPS[:, None], -0.1, "limit cycle", id="two steps a period"),
        pytest.param(np.hstack([SINE, 0 * SINE]), 0.0, "limit cycle", id="one channel still"),
        pytest.param(
            SINE + np.sin(np.sqrt(2) * 10 / 49 * STEPS)[:, None],
            0.0,
            "several frequencies",
            id="two tones",
        ),
        pytest.param(HALF + 2 * SINE, 0.0, "limit cycle", id="a harmonic is the stronger"),
        pytest.param(NOISE, 0.0, "irregular", id="broad spectrum"),
        pytest.param(SINE, 0.1, "irregular", id="trajectories diverge"),
        pytest.param(SINE + np.nan, np.nan, "divergence", id="not finite"),
        pytest.param(STEPS[:, None] * 1.0, 0.0, "divergence", id="grows and grows"),
        pytest.param(1e6 + SINE, 0.0, "limit cycle", id="a large offset"),
    ],
)
def test_where_a_free_run_settles(outputs: np.ndarray, exponent: float, place: str):
    assert settled(outputs, exponent, std=0.7) == Settled(place)


@pytest.mark.parametrize(("value", "place"), [(0.0, "fixed point"), (5.0, "fixed point")])
def test_settled_without_spread(value: float, place: str):
    """A series without spread can be settled, too."""
    assert settled(np.full((2000, 1), value), -0.1, std=0.0) == Settled(place)


def follow_sine(
    model: StateMap, *, steps: int = 300, origins: int = 3, measured: int = MEASURED_STEPS
):
    hidden = np.random.default_rng(0).uniform(-0.5, 0.5, size=(1, 1, origins, 2))
    return follow(
        model,
        warmup=np.zeros((origins, 4, 1)),
        future=np.zeros((origins, steps, 1)),
        hidden=hidden,
        typical=1,
        transient_steps=measured,
        measured_steps=measured,
        to_signal=lambda scaled: 10 * scaled,
    )


@pytest.mark.parametrize(
    ("radius", "place"),
    [
        (0.9, "fixed point"),
        (1.5, "limit cycle"),
        pytest.param(1.05, "limit cycle", marks=pytest.mark.campaign),
    ],
)
def test_settled_by_radius(radius: float, place: str):
    """A rotating network settles as its radius says.

    Below 1 its origin attracts; above, tanh bends the spiral into a cycle: Hopf's bifurcation.
    """
    found = follow_sine(sine_network(0.21, radius=radius), measured=1030)
    assert found.outputs.shape == (3, 1030, 1)
    for outputs, exponent in zip(found.outputs, found.exponents, strict=True):
        assert settled(outputs, float(exponent), std=1.0) == Settled(place)
    if radius < 1:
        np.testing.assert_allclose(found.exponents, np.log(radius), atol=1e-3)
    else:
        assert np.abs(found.exponents).max() < exponent_resolution(1030)


def test_response_to_inputs():
    """It is followed as long as there are inputs; its exponent is that with these inputs."""
    model = sine_network(0.21, radius=0.9, inputs=1)
    samples = np.random.default_rng(0).normal(size=(3, 304, 2))
    found = follow(
        model,
        warmup=samples[:, :4],
        future=samples[:, 4:],
        hidden=np.zeros((1, 1, 3, 2)),
        typical=1,
        transient_steps=1000,
        measured_steps=1000,
        to_signal=lambda scaled: scaled,
    )
    assert found.outputs.shape == (3, 150, 1)
    assert found.free.shape == (300, 3)
    np.testing.assert_allclose(found.exponents, np.log(0.9), atol=1e-3)
    for outputs, exponent in zip(found.outputs, found.exponents, strict=True):
        place = settled(outputs, float(exponent), std=1.0, has_inputs=True)
        assert place == Settled.response
    # After 150 steps the start is forgotten: what is left is a linear response to all inputs.
    weights = [
        (np.linalg.matrix_power(0.9 * rotation(0.21), k) @ np.full(2, 1e-4))[0] for k in range(154)
    ]
    expected = [np.dot(weights, row[154 - 1 :: -1, 1]) for row in samples]
    np.testing.assert_allclose(found.outputs[:, 0, 0], expected, rtol=1e-4)


def test_orbits_without_input_weights():
    """The driven and the free orbit are the same."""
    found = follow_sine(sine_network(0.21, radius=1.05), measured=10)
    np.testing.assert_allclose(found.driven, found.free, atol=1e-12)
    np.testing.assert_allclose(found.driven[:, 2], 0)  # two numbers have two components
    assert found.explained.sum() == pytest.approx(1)


def test_eigenvalues_at_rest():
    """They are those of the recurrent weights."""
    model = sine_network(0.21, radius=0.5)  # after a few steps the state is at rest
    found = follow_sine(model, steps=300, measured=10)
    assert found.driven_eigenvalues.shape == (32, 2, 2)
    last = found.free_eigenvalues[-1]
    expected = 0.5 * np.array([[np.cos(0.21), -np.sin(0.21)], [np.cos(0.21), np.sin(0.21)]])
    np.testing.assert_allclose(last[last[:, 1].argsort()], expected, atol=1e-12)


def test_network_that_runs_away():
    """It is followed to where it diverges."""
    model = sine_network(0.0, radius=2.0)
    relu = StateMap(Network("rnn_relu", 1, 2, 1, "float64"), model.params)
    found = follow(
        relu,
        warmup=np.zeros((1, 4, 1)),
        future=np.zeros((1, 1200, 1)),
        hidden=np.ones((1, 1, 1, 2)),
        typical=0,
        transient_steps=600,
        measured_steps=600,
        to_signal=lambda scaled: scaled,
    )
    assert np.isnan(found.exponents).all()
    assert settled(found.outputs[0], float(found.exponents[0]), std=1.0) == Settled.divergence
    assert np.isfinite(found.free_eigenvalues).all()


def test_few_steps_many_origins():
    """At most eight origins are followed, and one step is enough."""
    found = follow_sine(sine_network(0.21, radius=1.05), steps=1, origins=20, measured=10)
    assert found.driven.shape == (1, 3)
    assert found.exponents.shape == (8,)
