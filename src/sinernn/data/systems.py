"""What dynamical systems share: the integration of flows, the iteration of maps."""

import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from importlib import import_module
from inspect import unwrap
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sinernn.arrays import Float
from sinernn.data.exponents import States, growth_per_step
from sinernn.data.synthetic import (
    MAX_INTEGRATION_STEPS,
    Evolving,
    Start,
    Times,
    TimeStep,
    Values,
    off_grid,
)
from sinernn.errors import UsageError
from sinernn.schema import Conflict

State = Sequence[Any]
"""A number for each variable, or an array of several states' numbers."""

Slope = State | np.ndarray

TOLERANCE = 1e-12
"""Estimated error of an integration step, relative and absolute. With a tenth of it a series takes
five times as long, because rounding errors limit the steps."""

MAX_EVALUATIONS = 5_000_000
"""Of a right-hand side, for one series: ten seconds or so."""

MAX_STATE = 1e6  # far from every attractor; on the way to infinity, steps become ever shorter


class System(Evolving):
    """A system of several variables, each of which is an output.

    A kind of system is a subclass of `Flow` or `Map`.
    """

    initial_state: (
        Annotated[tuple[Start, ...], Field(strict=False, min_length=1, max_length=1000)] | None
    ) = None
    """State at the beginning of the transient, a number for each output; null: one that leads to
    the attractor."""

    variables: ClassVar[tuple[str, ...]] = ("x", "y", "z")
    default_state: ClassVar[tuple[float, ...]] = (1.0, 1.0, 1.0)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the channels that the network predicts."""
        return self.variables

    @property
    def first_state(self) -> tuple[float, ...]:
        """State at the beginning of the transient."""
        return self.initial_state or self.default_state

    def states(self, times: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time variable"]:
        """Return the states at increasing times; not finite where they exceed all bounds."""
        raise NotImplementedError

    def values(self, time: Times) -> Values:
        """Compute the states of one evolution, and take every segment from it.

        Raises:
            UsageError: The state grows beyond all bounds, or changes too fast.
        """
        return _states_of(self)  # pyright: ignore[reportArgumentType] # frozen, so hashable

    def advance(self, states: States, times: Float[np.ndarray, " n"], substeps: int) -> States:
        """Return the states of several times a time step later, taken in so many substeps."""
        raise NotImplementedError

    @property
    def lyapunov_exponent(self) -> float | None:
        """Largest Lyapunov exponent, per time unit; 0 of a periodic one, None if not known."""
        return _exponent_of(self)  # pyright: ignore[reportArgumentType]

    def conflicts(self) -> Iterator[Conflict]:
        """Yield contradictions between the settings."""
        if len(self.first_state) != len(self.outputs):
            message = f"must have {len(self.outputs)} numbers, one for each output"
            yield Conflict(("initial_state",), f"{message}, got {len(self.first_state)}")
        else:
            yield from super().conflicts()


@lru_cache(maxsize=2)  # a training reads its series twice
def _states_of(system: System) -> Values:
    time = system.times
    # Segments that overlap have the same values; times differ by rounding.
    ticks = np.rint(time / system.time_step * 1e9)
    _, first, place = np.unique(ticks, return_index=True, return_inverse=True)
    with np.errstate(all="ignore"):
        states = system.states(time.ravel()[first])
    if not (np.abs(states) < MAX_STATE).all():
        raise UsageError(
            f"signal: the state of this {system.kind} grows beyond {MAX_STATE:g}; begin closer to "
            f"its attractor than {list(system.first_state)} (signal.initial_state), or change the "
            "parameters"
        )
    return states[place.reshape(time.shape)]


_ORBITS = 1000  # from states all over the series
_IGNORED, _FOLLOWED = 500, 1000  # time steps
_MAX_SUBSTEPS = 64  # of a time step: more take too long
_SUBSTEP_ERROR = 1e-4  # of a time step, in standard deviations


@lru_cache(maxsize=2)
def _exponent_of(system: System) -> float | None:
    """Return the largest Lyapunov exponent, None if the time step is too long for the equations."""
    count = len(system.outputs)
    series = system.values(system.times)[:, :, :count].reshape(-1, count)
    places = np.linspace(0, len(series) - 1, min(_ORBITS, len(series))).astype(int)
    times, scale = system.times.ravel()[places], series.std(axis=0)[:, None]
    states, advance = series[places].T, partial(unwrap(type(system).advance), system)
    substeps = 1
    with np.errstate(all="ignore"):  # of substeps that are too long
        found, finer = advance(states, times, 1), advance(states, times, 2)
        while not (np.abs((finer - found) / scale) < _SUBSTEP_ERROR).all():
            if substeps == _MAX_SUBSTEPS:
                return None
            substeps *= 2
            found, finer = finer, advance(states, times, 2 * substeps)
    twice = np.concatenate([times, times])
    growth = growth_per_step(
        lambda states, step: advance(states, twice + step * system.time_step, substeps),
        states,
        scale=scale,
        ignored=_IGNORED,
        followed=_FOLLOWED,
    )
    return None if growth is None else growth / system.time_step


class Flow(System):
    """A system of ordinary differential equations: a subclass has a `slope`.

    Integrated by LSODA, a multistep method whose order and step vary, in float64. The error of
    `lorenz` is 1e-10 after one time unit; as every error of a chaotic system it then grows
    exponentially, to 1e-6 after 20 units and to the size of the attractor after 35.

    Source:
        Petzold (1983), "Automatic selection of methods for solving stiff and nonstiff systems of
        ordinary differential equations", SIAM Journal on Scientific and Statistical Computing 4,
        136-148; as scipy.integrate.odeint.
    """

    def slope(self, time: float, state: State) -> Slope:
        """Return the time derivative of every variable."""
        raise NotImplementedError

    def states(self, times: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time variable"]:
        """Integrate from the initial state.

        Raises:
            UsageError: The state changes too fast.
        """
        integrate: Any = import_module("scipy.integrate")  # slow: only where it is used
        equations, evaluations = unwrap(type(self).slope), 0  # without the tests' slow checks

        def slope(time: float, state: np.ndarray) -> Slope:
            nonlocal evaluations
            evaluations += 1
            if evaluations > MAX_EVALUATIONS:
                raise UsageError(
                    f"signal: up to time {time:.6g} the integration of this {self.kind} evaluates "
                    f"its equations {MAX_EVALUATIONS:,} times, which is the limit; decrease "
                    "signal.length, signal.time_step, signal.transient or the largest of "
                    "signal.starts, or begin closer to the attractor"
                )
            values: list[float] = state.tolist()
            if not max(map(abs, values)) < MAX_STATE:
                raise OverflowError
            return equations(self, time, values)

        with warnings.catch_warnings():
            warnings.simplefilter("error", integrate.ODEintWarning)
            try:
                states = integrate.odeint(
                    unwrap(slope),
                    self.first_state,
                    [-self.transient, *times],
                    tfirst=True,
                    rtol=TOLERANCE,
                    atol=TOLERANCE,
                    mxstep=MAX_EVALUATIONS,
                )
            except (integrate.ODEintWarning, ArithmeticError):  # a step has length 0
                return np.full((len(times), len(self.first_state)), np.inf)
        return states[1:]

    def advance(self, states: States, times: Float[np.ndarray, " n"], substeps: int) -> States:
        """Return the states a time step later: by the classical Runge-Kutta method."""
        equations, step = unwrap(type(self).slope), self.time_step / substeps
        for begin in range(substeps):
            time = times + begin * step
            first = np.array(equations(self, time, [*states]))
            second = np.array(equations(self, time + step / 2, [*states + step / 2 * first]))
            third = np.array(equations(self, time + step / 2, [*states + step / 2 * second]))
            fourth = np.array(equations(self, time + step, [*states + step * third]))
            states = states + step / 6 * (first + 2 * second + 2 * third + fourth)
        return states


class Map(System):
    """A system in discrete time, one iteration a time unit: a subclass has a `step`."""

    time_step: TimeStep = 1.0

    def step(self, state: State) -> State:
        """Return the state after an iteration."""
        raise NotImplementedError

    def states(self, times: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time variable"]:
        """Iterate from the initial state."""
        iterations = np.rint(times + self.transient).astype(int)
        states = np.empty((iterations[-1] + 1, len(self.first_state)))
        state: State = self.first_state
        for row in range(len(states)):
            states[row] = state
            state = self.step(state)
        return states[iterations]

    def advance(self, states: States, times: Float[np.ndarray, " n"], substeps: int) -> States:
        """Return several states a time step later, whatever their times."""
        following: State = [*states]
        for _ in range(round(self.time_step)):
            following = self.step(following)
        return np.array(following)

    def conflicts(self) -> Iterator[Conflict]:
        """Yield contradictions between the settings."""
        times = [("time_step", self.time_step), ("transient", self.transient)]
        times += [("starts", start) for start in self.starts]
        count = self.transient + max(self.starts) + self.length * self.time_step
        if fractional := list(off_grid(times, 1.0, "a whole number of iterations")):
            yield from fractional
        elif count > MAX_INTEGRATION_STEPS:
            message = (
                f"the series needs {count:.3g} iterations, at most {MAX_INTEGRATION_STEPS:,} are "
                "allowed; shorten it"
            )
            yield Conflict(("length", "time_step", "starts", "transient"), message)
        else:
            yield from super().conflicts()
