"""Flows: systems of ordinary differential equations."""

import math
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from inspect import signature
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, StringConstraints

from sinernn.arrays import Float
from sinernn.data.synthetic import Times, TimeStep, Values
from sinernn.data.systems import Flow, Slope, State
from sinernn.errors import nearest
from sinernn.schema import Conflict, Whole

Amplitude = Annotated[float, Field(ge=0, le=1e6)]
Period = Annotated[float, Field(ge=1e-6, le=1e12)]


class Lorenz(Flow):
    """Convection, the best-known chaotic system; dx/dt = sigma (y - x).

    dy/dt = x (rho - z) - y, dz/dt = x y - beta z.

    Source:
        Lorenz (1963), "Deterministic nonperiodic flow", Journal of the Atmospheric Sciences 20,
        130-141.
    """

    kind: Literal["lorenz"]
    """Kind of signal."""

    time_step: TimeStep = 0.02

    sigma: float = Field(default=10.0, gt=0, le=1000)
    """Prandtl number; beyond the bound integration takes too long."""

    rho: float = Field(default=28.0, ge=0, le=1000)
    """Relative Rayleigh number; with the other defaults the series is chaotic above 24.74. Beyond
    the bound integration takes too long."""

    beta: float = Field(default=8 / 3, gt=0, le=1000)
    """Geometric factor; beyond the bound integration takes too long."""

    def slope(self, time: float, state: State) -> Slope:
        """Return the time derivative of every variable."""
        x, y, z = state
        return self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z


class Rossler(Flow):
    """A chaotic system with one nonlinear term; dx/dt = -y - z.

    dy/dt = x + a y, dz/dt = b + z (x - c).

    Source:
        Rössler (1976), "An equation for continuous chaos", Physics Letters A 57, 397-398.
    """

    kind: Literal["rossler"]
    """Kind of signal."""

    time_step: TimeStep = 0.1

    a: float = Field(default=0.2, ge=0, le=1)
    """Growth of the spiral, per time unit; beyond the bound it grows without limit."""

    b: float = Field(default=0.2, ge=0, le=100)
    """Constant inflow of z, per time unit; beyond the bound it hides the spiral."""

    c: float = Field(default=5.7, ge=0, le=100)
    """Value of x above which z grows; beyond the bound its peaks are too sharp."""

    def slope(self, time: float, state: State) -> Slope:
        """Return the time derivative of every variable."""
        x, y, z = state
        return -y - z, x + self.a * y, self.b + z * (x - self.c)


class Lorenz96(Flow):
    """Waves on a ring of equal variables; dx[i]/dt = (x[i+1] - x[i-2]) x[i-1] - x[i] + forcing.

    Source:
        Lorenz (1996), "Predictability: a problem partly solved", Proceedings of the Seminar on
        Predictability, ECMWF, volume 1, 1-18.
    """

    kind: Literal["lorenz96"]
    """Kind of signal."""

    time_step: TimeStep = 0.05

    size: Whole = Field(default=5, ge=4, le=100)
    """Number of variables; a small network cannot follow more."""

    forcing: float = Field(default=8.0, ge=-100, le=100)
    """Constant force on every variable; beyond the bound integration takes too long."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the channels that the network predicts."""
        return tuple(f"x{i}" for i in range(1, self.size + 1))

    @property
    def first_state(self) -> tuple[float, ...]:
        """State at the beginning of the transient: close to the unstable fixed point."""
        return self.initial_state or (self.forcing + 0.01, *[self.forcing] * (self.size - 1))

    def slope(self, time: float, state: State) -> Slope:
        """Return the time derivative of every variable."""
        x, n = state, len(state)
        return [(x[i + 1 - n] - x[i - 2]) * x[i - 1] - x[i] + self.forcing for i in range(n)]


class Driven(Flow):
    """A system under a periodic force, which is an input of the network.

    The force is force_amplitude cos(2 pi t / force_period); with an amplitude of 0 there is no
    input.
    """

    force_amplitude: Amplitude = 0.5
    """Height of the force, in signal units per squared time unit; beyond the bound integration
    takes too long."""

    force_period: Period = 2 * math.pi / 1.2
    """Length of an oscillation of the force, in time units; beyond the bounds integration takes too
    long, or the force looks constant."""

    time_step: TimeStep = 0.1

    variables: ClassVar[tuple[str, ...]] = ("x", "v")
    default_state: ClassVar[tuple[float, ...]] = (0.5, 0.0)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the channels that the network reads but does not predict."""
        return ("force",) if self.force_amplitude else ()

    def values(self, time: Times) -> Values:
        """Return position and velocity, and the force if there is one."""
        values = super().values(time)
        if not self.inputs:
            return values
        force = self.force_amplitude * np.cos(2 * np.pi / self.force_period * time)
        return np.dstack([values, force])

    def force(self, time: Any) -> Any:
        """Return the force at a time, or at several."""
        angle = 2 * math.pi / self.force_period * time
        # Of a number, math's is faster.
        return self.force_amplitude * (math if isinstance(time, float) else np).cos(angle)


class Duffing(Driven):
    """A driven oscillator with a cubic spring; dx/dt = v, dv/dt = -damping v - linear x - cubic x³.

    To dv/dt the force is added. With the defaults it is chaotic; x and v are outputs.

    Source:
        Guckenheimer and Holmes (1983), "Nonlinear oscillations, dynamical systems, and bifurcations
        of vector fields", Springer, section 2.2.
    """

    kind: Literal["duffing"]
    """Kind of signal."""

    damping: float = Field(default=0.3, ge=0, le=1000)
    """Friction, per time unit; beyond the bound it stops at once."""

    linear: float = Field(default=-1.0, ge=-1e6, le=1e6)
    """Linear stiffness, per squared time unit; negative: there are two wells. Beyond the bounds
    integration takes too long."""

    cubic: float = Field(default=1.0, ge=0, le=1e6)
    """Cubic stiffness; beyond the bound integration takes too long."""

    def slope(self, time: float, state: State) -> Slope:
        """Return the time derivative of every variable."""
        x, v = state
        return v, self.force(time) - self.damping * v - self.linear * x - self.cubic * x * x * x


class VanDerPol(Driven):
    """A driven self-sustained oscillator; dx/dt = v, dv/dt = damping (1 - x²) v - x.

    To dv/dt the force is added; x and v are outputs.

    Source:
        Van der Pol (1926), "On relaxation-oscillations", Philosophical Magazine 2, 978-992, without
        the force.
    """

    kind: Literal["van_der_pol"]
    """Kind of signal."""

    force_amplitude: Amplitude = 1.2

    force_period: Period = 10.0

    damping: float = Field(default=8.53, ge=0, le=1000)
    """Friction at large amplitudes, and gain at small ones, per time unit; beyond the bound the
    jumps are too sharp."""

    def slope(self, time: float, state: State) -> Slope:
        """Return the time derivative of every variable."""
        x, v = state
        return v, self.force(time) + self.damping * (1 - x * x) * v - x


class NamedSystem(Flow):
    """A system of the package `dysts`, by its name there; time is counted in its periods.

    Parameters, initial state and period are those of the package; variables that grow without
    limit, such as phases, are mapped to bounded ones as there. Delay equations are not supported.

    Source:
        Gilpin (2021), "Chaos as an interpretable benchmark for forecasting and data-driven
        modelling", NeurIPS Datasets and Benchmarks, arXiv 2110.05266.
    """

    kind: Literal["system"]
    """Kind of signal."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """Name of the system, as in `Thomas`."""

    time_step: TimeStep = 0.01

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the channels that the network predicts."""
        system = _load_system(self.name)
        names = tuple(signature(system._rhs).parameters)
        if len(names) <= system.dimension:  # a function of a vector
            names = tuple(f"x{i}" for i in range(1, system.dimension + 1))
        return names[: system.dimension]

    @property
    def first_state(self) -> tuple[float, ...]:
        """State at the beginning of the transient."""
        return self.initial_state or tuple(_load_system(self.name).ic.tolist())

    def slope(self, time: float, state: State) -> Slope:
        """Return the derivative of every variable, per period."""
        system = _load_system(self.name)
        return system.period * np.array(system.rhs(np.array(state), system.period * time))

    @property
    def lyapunov_exponent(self) -> float | None:
        """Largest Lyapunov exponent, per period, as the package states it."""
        system = _load_system(self.name)
        found = system.maximum_lyapunov_estimated
        return None if found is None else float(found) * system.period

    def states(self, times: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time variable"]:
        """Integrate from the initial state, and map unbounded variables to bounded ones."""
        states, system = super().states(times), _load_system(self.name)
        if hasattr(system, "_postprocessing"):
            states = np.column_stack(system._postprocessing(*states.T))
        return states

    def conflicts(self) -> Iterator[Conflict]:
        """Yield contradictions between the settings."""
        try:
            _load_system(self.name)
        except ValueError as error:
            yield Conflict(("name",), str(error))
        else:
            yield from super().conflicts()


@cache
def _load_system(name: str) -> Any:
    try:
        flows: Any = import_module("dysts.flows")
    except ImportError as error:
        how = "pip install 'sinernn[dysts]'"
        raise ValueError(f"systems by name need an extra; install it with: {how}") from error
    classes = {each for each in dir(flows) if hasattr(getattr(flows, each), "_rhs")}
    known = sorted(classes - {"DynSys", "DynSysDelay"})
    if name not in known:
        guess = nearest(name, known)
        advice = f"; did you mean {guess}?" if guess else ""
        raise ValueError(f"dysts has no system {name!r}{advice}")
    system = getattr(flows, name)()
    if system.delay:
        raise ValueError("delay equations are not supported; see signal.kind=mackey_glass")
    system._rhs = getattr(system._rhs, "py_func", system._rhs)  # to compile it takes longer
    return system
