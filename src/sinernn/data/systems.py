"""What dynamical systems share: the integration of flows, the iteration of maps."""

import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from inspect import unwrap
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from sinernn.arrays import Float
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

Slope = Sequence[float] | np.ndarray

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

    def slope(self, time: float, state: list[float]) -> Slope:
        """Return the time derivative of every variable."""
        raise NotImplementedError

    def states(self, times: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time variable"]:
        """Integrate from the initial state.

        Raises:
            UsageError: The state changes too fast.
        """
        integrate: Any = import_module("scipy.integrate")  # slow: only where it is used
        # Without the tests' checks of every call, which take 50 times as long as the call.
        equations, evaluations = unwrap(type(self).slope), 0

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


class Map(System):
    """A system in discrete time, one iteration a time unit: a subclass has a `step`."""

    time_step: TimeStep = 1.0

    def step(self, state: Sequence[float]) -> Sequence[float]:
        """Return the state after an iteration."""
        raise NotImplementedError

    def states(self, times: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time variable"]:
        """Iterate from the initial state."""
        iterations = np.rint(times + self.transient).astype(int)
        states = np.empty((iterations[-1] + 1, len(self.first_state)))
        state: Sequence[float] = self.first_state
        for row in range(len(states)):
            states[row] = state
            state = self.step(state)
        return states[iterations]

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
