"""Dynamical systems: closed-form answers, conserved quantities and symmetries."""

import math
import sys
from types import ModuleType

import numpy as np
import pytest

from sinernn.data import systems
from sinernn.data.flows import Duffing, Lorenz, Lorenz96, NamedSystem, Rossler, VanDerPol
from sinernn.data.maps import Henon, Logistic
from sinernn.data.synthetic import Synthetic
from sinernn.errors import UsageError


def clean(kind: type[Synthetic], **settings) -> np.ndarray:
    name = kind.model_fields["kind"].annotation.__args__[0]
    return kind(kind=name, **settings).read().clean


def derivative(samples: np.ndarray, step: float) -> np.ndarray:
    """Of order 8 at samples[4:-4]."""
    weights = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
    return sum(w * samples[i : len(samples) - 8 + i] for i, w in enumerate(weights)) / step


FREE = {"force_amplitude": 0.0, "transient": 0.0}


def test_lorenz_on_its_axis():
    """With x = y = 0, z decays as exp(-beta t)."""
    x, y, z = clean(Lorenz, initial_state=(0.0, 0.0, 2.0), transient=0.0, length=500).T
    assert not x.any()
    assert not y.any()
    np.testing.assert_allclose(z, 2 * np.exp(-8 / 3 * 0.02 * np.arange(500)), atol=1e-11)


def test_lorenz_is_symmetric():
    """(-x, -y, z) is a solution if (x, y, z) is, bit for bit."""
    settings = {"transient": 0.0, "length": 300}
    one = clean(Lorenz, initial_state=(1.0, 2.0, 3.0), **settings)
    other = clean(Lorenz, initial_state=(-1.0, -2.0, 3.0), **settings)
    np.testing.assert_array_equal(one * [-1, -1, 1], other)


def test_lorenz_contracts_volumes():
    """The determinant of the flow's derivative is exp(-(sigma + 1 + beta) t).

    The derivative is a central difference over 1e-4, whose error is 1e-8 times the third derivative.
    """
    start, time, step = np.array([1.0, 2.0, 20.0]), 0.2, 1e-4

    def flow(state: np.ndarray) -> np.ndarray:
        state = tuple(state.tolist())
        return clean(Lorenz, initial_state=state, transient=0.0, time_step=time, length=2)[1]

    jacobian = [(flow(start + d) - flow(start - d)) / (2 * step) for d in step * np.eye(3)]
    assert np.linalg.det(jacobian) == pytest.approx(np.exp(-(10 + 1 + 8 / 3) * time), rel=1e-5)


@pytest.mark.parametrize("kind", [Lorenz, Rossler, Lorenz96, Duffing, VanDerPol])
def test_flow_obeys_its_equation(kind: type[systems.Flow]):
    """The numerical derivative of the samples is the right-hand side."""
    name = kind.model_fields["kind"].annotation.__args__[0]
    flow = kind(kind=name, time_step=1e-3, length=1000, transient=5.0)
    series = flow.read()
    states = series.clean[:, : len(flow.outputs)]
    slopes = derivative(states, 1e-3)
    expected = [flow.slope(t, x.tolist()) for t, x in zip(series.time, states, strict=True)]
    # Rounding and integration errors of 1e-12 or so, divided by the step.
    np.testing.assert_allclose(slopes, expected[4:-4], atol=1e-8 * np.abs(slopes).max())


def test_integration_error():
    """It falls with the tolerance, and is 1e-10 or so after a time unit of Lorenz."""
    lorenz = Lorenz(kind="lorenz", transient=0.0)

    def end(tolerance: float = systems.TOLERANCE) -> np.ndarray:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(systems, "TOLERANCE", tolerance)
            return lorenz.states(np.array([0.0, 1.0]))[1]

    best = end(1e-13)
    errors = [np.abs(end(tolerance) - best).max() for tolerance in (1e-4, 1e-6, 1e-8, 1e-10)]
    assert np.abs(end() - best).max() < 3e-10
    # Proportional to the tolerance, within a factor of 10 for every two decades.
    ratios = np.divide(errors[:-1], errors[1:])
    assert ((ratios > 10) & (ratios < 1000)).all()


def test_rossler_spirals_out():
    """With b = 0 and z = 0, x and y are a growing linear oscillation."""
    settings = {"b": 0.0, "initial_state": (1.0, 0.0, 0.0), "transient": 0.0, "length": 100}
    _, y, z = clean(Rossler, **settings).T
    time, rate = 0.1 * np.arange(100), math.sqrt(1 - 0.01)
    # y'' - a y' + y = 0 with y(0) = 0 and y'(0) = 1
    np.testing.assert_allclose(y, np.exp(0.1 * time) * np.sin(rate * time) / rate, atol=1e-10)
    assert not z.any()


def test_lorenz96_conserves_energy():
    """Its nonlinear term does: d/dt sum x² / 2 = forcing sum x - sum x²."""
    x = clean(Lorenz96, size=6, time_step=2e-3, length=1000, transient=5.0)
    energy = np.square(x).sum(axis=1) / 2
    expected = (8 * x - x**2).sum(axis=1)[4:-4]
    np.testing.assert_allclose(derivative(energy, 2e-3), expected, atol=1e-7 * energy.max())


def test_lorenz96_fixed_point():
    """Variables equal to the force stay so."""
    x = clean(Lorenz96, initial_state=(8.0,) * 5, length=20)
    np.testing.assert_allclose(x, 8, atol=1e-6)  # which is unstable


def test_duffing_without_friction():
    """Its energy is constant; without the cubic term it is a sine wave."""
    settings = {**FREE, "damping": 0.0, "initial_state": (1.0, 1.0), "length": 3000}
    x, v = clean(Duffing, **settings).T
    energy = v**2 / 2 - x**2 / 2 + x**4 / 4
    np.testing.assert_allclose(energy, energy[0], atol=1e-8)  # in 300 time units
    x, v = clean(Duffing, **settings | {"linear": 4.0, "cubic": 0.0, "length": 300}).T
    time = 0.1 * np.arange(300)
    np.testing.assert_allclose(x, np.cos(2 * time) + np.sin(2 * time) / 2, atol=1e-9)


def test_duffing_loses_energy_by_friction():
    """What it loses is the integral of damping v²."""
    settings = {**FREE, "damping": 0.2, "initial_state": (1.0, 1.0), "time_step": 0.01}
    x, v = clean(Duffing, **settings, length=1001).T
    energy = v**2 / 2 - x**2 / 2 + x**4 / 4
    simpson = 0.01 / 3 * np.array([1, *([4, 2] * 499), 4, 1])
    assert energy[0] - energy[-1] == pytest.approx(simpson @ (0.2 * v**2), abs=1e-8)


def test_van_der_pol_without_friction():
    """A driven harmonic oscillator has a closed-form answer."""
    x, _, force = clean(
        VanDerPol, damping=0.0, force_amplitude=3.0, force_period=math.pi,
        initial_state=(-1.0, 0.0), transient=0.0, length=300,
    ).T  # fmt: skip
    time = 0.1 * np.arange(300)
    np.testing.assert_allclose(force, 3 * np.cos(2 * time), atol=1e-12)
    np.testing.assert_allclose(x, -np.cos(2 * time), atol=1e-9)  # x'' + x = 3 cos 2 t


def test_weak_van_der_pol_has_amplitude_two():
    """For weak damping it oscillates with amplitude 2, up to the square of the damping / 96."""
    settings = {"force_amplitude": 0.0, "damping": 0.1, "transient": 100.0, "length": 100}
    x, _ = clean(VanDerPol, **settings).T
    assert np.abs(x).max() == pytest.approx(2, abs=3e-3)  # samples miss the top by 1 - cos(0.05)


def test_force_is_an_input():
    """Noise and offset apply to the outputs alone; without a force there is no input."""
    quiet = Duffing(kind="duffing", length=200, offset=3.0)
    noisy = quiet.model_copy(update={"noise_std": 0.1}).read()
    assert [channel.name for channel in noisy.extent.outputs] == ["x", "v"]
    assert [channel.name for channel in noisy.extent.inputs] == ["force"]
    differs = (noisy.observed != noisy.clean).all(axis=0)
    np.testing.assert_array_equal(differs, [True, True, False])
    shift = quiet.read().clean - clean(Duffing, length=200)
    np.testing.assert_allclose(shift, np.broadcast_to([3.0, 3.0, 0.0], shift.shape), atol=1e-12)
    assert Duffing(kind="duffing", force_amplitude=0.0).extent().inputs == ()


def test_henon_determinant():
    """An iteration multiplies areas by -b, wherever it is."""
    henon, step = Henon(kind="henon", b=0.3), 1e-6
    for x, y in clean(Henon, length=20):
        columns = [
            np.subtract(henon.step((x + dx, y + dy)), henon.step((x - dx, y - dy))) / (2 * step)
            for dx, dy in ((step, 0), (0, step))
        ]
        assert np.linalg.det(columns) == pytest.approx(-0.3, abs=1e-9)


def test_henon_recurrence():
    """x[n + 1] = 1 - a x[n]² + b x[n - 1], and y[n + 1] = b x[n]."""
    x, y = clean(Henon, a=1.2, b=0.2, length=100).T
    np.testing.assert_allclose(x[2:], 1 - 1.2 * x[1:-1] ** 2 + 0.2 * x[:-2], atol=1e-15)
    np.testing.assert_array_equal(y[1:], 0.2 * x[:-1])


def test_logistic_map_at_rate_4():
    """x[n] = sin²(2^n theta), where a rounding error doubles in every iteration."""
    x = clean(Logistic, rate=4.0, initial_state=(math.sin(0.4) ** 2,), transient=0.0, length=30)
    n = np.arange(30)
    error = np.abs(x[:, 0] - np.sin(2.0**n * 0.4) ** 2)
    assert (error < 2e-15 * 2.0**n).all()


def test_logistic_fixed_point():
    """Below a rate of 3 the map converges to 1 - 1 / rate."""
    np.testing.assert_allclose(clean(Logistic, rate=2.8, length=10), 1 - 1 / 2.8, atol=1e-9)


def test_time_step_of_a_map():
    """Every n-th iterate is a sample."""
    every = clean(Henon, length=100)
    np.testing.assert_array_equal(clean(Henon, time_step=3.0, length=30), every[:88:3])


@pytest.mark.parametrize("kind", [Lorenz, Duffing, Henon])
def test_segments_of_a_system(kind: type[Synthetic]):
    """They are parts of one evolution, whatever their order."""
    step = kind.model_fields["time_step"].default
    one = clean(kind, length=60, transient=2.0)
    two = clean(kind, length=50, transient=2.0, starts=(10 * step, 0.0))
    # Times that are equal but for rounding have the same state.
    np.testing.assert_allclose(two, [*one[10:], *one[:50]], atol=1e-9)
    overlap = two[:40] - two[60:]
    np.testing.assert_allclose(overlap, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (Henon(kind="henon", a=2.0), r"signal: the state of this henon grows .* than \[0.0, 0.0\]"),
        (Logistic(kind="logistic", initial_state=(2.0,)), r"begin closer to its attractor than \[2.0\]"),
        (Duffing(kind="duffing", cubic=0.0), "the state of this duffing grows beyond 1e"),
    ],
    ids=lambda value: getattr(value, "kind", None),
)  # fmt: skip
def test_divergence(signal: systems.System, message: str):
    """A state that grows without limit is refused."""
    with pytest.raises(UsageError, match=message):
        signal.read()


def test_limit_of_evaluations(monkeypatch: pytest.MonkeyPatch):
    """A series that takes too long is refused."""
    monkeypatch.setattr(systems, "MAX_EVALUATIONS", 1000)
    with pytest.raises(
        UsageError, match=r"evaluates its equations 1,000 times, .*; decrease signal"
    ):
        Lorenz(kind="lorenz", length=200, sigma=9.0).read()


class Circle:
    """A system as dysts has them, which goes round in two time units."""

    delay, dimension, period, param_list = False, 3, 2.0, (math.pi,)
    ic = np.array([1.0, 0.0, 0.0])

    @staticmethod
    def _rhs(x, y, angle, t, rate):
        return -rate * y, rate * x, rate

    def rhs(self, state, t):
        return self._rhs(*state, t, *self.param_list)

    @staticmethod
    def _postprocessing(x, y, angle):
        return x, y, np.cos(angle)


class Late(Circle):
    delay = True


@pytest.fixture
def dysts(monkeypatch: pytest.MonkeyPatch):
    """A package in place of the extra, which the tests do without."""
    from sinernn.data.flows import _load_system

    package = ModuleType("dysts.flows")
    package.Circle, package.Late = Circle, Late
    monkeypatch.setitem(sys.modules, "dysts", ModuleType("dysts"))
    monkeypatch.setitem(sys.modules, "dysts.flows", package)
    _load_system.cache_clear()
    yield
    _load_system.cache_clear()


def test_named_system(dysts):
    """Time counts in periods, and unbounded variables are mapped to bounded ones."""
    signal = NamedSystem(kind="system", name="Circle", time_step=0.1, length=40)
    series = signal.read()
    assert list(signal.conflicts()) == []
    assert [channel.name for channel in series.extent.outputs] == ["x", "y", "angle"]
    angle = 2 * np.pi * series.time
    expected = np.stack([np.cos(angle), np.sin(angle), np.cos(angle)], axis=1)
    np.testing.assert_allclose(series.clean, expected, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Cirkle", "dysts has no system 'Cirkle'; did you mean Circle?"),
        ("Late", "delay equations are not supported; see signal.kind=mackey_glass"),
    ],
)
def test_unknown_named_systems(dysts, name: str, message: str):
    (conflict,) = NamedSystem(kind="system", name=name).conflicts()
    assert (conflict.settings, conflict.message) == (("name",), message)


def test_named_system_without_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dysts.flows", None)
    (conflict,) = NamedSystem(kind="system", name="Thomas").conflicts()
    assert "install it with: pip install 'sinernn[dysts]'" in conflict.message


def test_systems_of_dysts():
    """The package's Lorenz system is ours, in periods of its own."""
    pytest.importorskip("dysts")
    named = NamedSystem(kind="system", name="Lorenz", length=100, transient=0.0).read()
    period = 1.5008
    ours = clean(
        Lorenz, beta=2.667, initial_state=tuple(named.clean[0].tolist()), transient=0.0,
        time_step=0.01 * period, length=100,
    )  # fmt: skip
    np.testing.assert_allclose(named.clean, ours, atol=1e-8)


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        (Henon, {}, 0.41922),
        (Logistic, {"rate": 4.0}, math.log(2)),
        (Lorenz, {}, 0.9056),
        pytest.param(Rossler, {}, 0.0714, marks=pytest.mark.campaign),
        (Rossler, {"c": 2.5, "length": 500}, 0.0),
        (Duffing, {"damping": 0.25, "force_amplitude": 0.4, "force_period": 2 * math.pi}, 0.1572),
        pytest.param(
            Duffing,
            {"damping": 0.05, "linear": 0, "force_amplitude": 7.5, "force_period": 2 * math.pi},
            0.1034,
            marks=pytest.mark.campaign,
        ),
        pytest.param(
            VanDerPol,
            {"damping": 3.0, "force_amplitude": 5.0, "force_period": 2 * math.pi / 1.788},
            0.1932,
            marks=pytest.mark.campaign,
        ),
        (VanDerPol, {"damping": 1.0, "force_amplitude": 0.0, "length": 500}, 0.0),
    ],
)
def test_largest_exponents(kind: type[Synthetic], settings: dict, expected: float):
    """Within 1 % of the published values; 0 on a limit cycle.

    Source: Sprott (2003), "Chaos and Time-Series Analysis", Oxford University Press, appendix A:
    of the driven ones, Duffing's two-well, Ueda's and van der Pol's oscillators.
    """
    name = kind.model_fields["kind"].annotation.__args__[0]
    found = kind(kind=name, **settings).lyapunov_exponent
    assert found == pytest.approx(expected, rel=0.01)


def test_exponent_of_a_driven_linear_oscillator():
    """Its changes die out, whatever the force; without friction they neither grow nor shrink."""
    for damping in (0.5, 0.0):
        driven = Duffing(kind="duffing", linear=1.0, cubic=0.0, damping=damping, length=300)
        assert driven.lyapunov_exponent == 0


def test_time_steps_too_long_for_an_exponent(monkeypatch: pytest.MonkeyPatch):
    """It is then not known."""
    monkeypatch.setattr(systems, "_MAX_SUBSTEPS", 2)
    assert VanDerPol(kind="van_der_pol", length=200).lyapunov_exponent is None
