"""The closed loop as a dynamical system: its attractor, Lyapunov exponent and orbit.

Free runs have a length of their own here, independent of the forecasts' horizon: where they settle
is a property of the network.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sinernn.arrays import Float
from sinernn.engines.fused.linearization import Orbit, StateMap
from sinernn.evaluation.metrics import evenly_spaced
from sinernn.evaluation.periodic import fit_sinusoid, least_squares
from sinernn.model.network import Hidden

RUNS = 8  # origins followed at most; they are evenly spread and differ only in phase
ORBIT_STEPS = 1000  # hidden states that a figure can show

_RUNAWAY = 1000.0  # standard deviations that a bounded run covers at most
_RUNAWAY_STATE = 1e100  # beyond it sums of squares overflow
_NORMALIZED_EVERY = 8  # steps: a saturated tanh shrinks a change by 1e-16 at most, or to 0
_STILL = 1e-6  # of the standard deviation: a smaller oscillation counts as a fixed point
_HARMONICS = 20
_LINES = 10  # of a quasi-periodic orbit: frequencies, harmonics and combinations
_BINS = 4  # of the spectrum that a line fills behind a Hann window
_AT_ONCE = 2**14  # numbers of the hidden state in a part: few calls, and arrays that stay in cache
_PLACES = 32  # of an orbit, whose eigenvalues are drawn
_COMPONENTS_FROM = 250  # states of an orbit, enough for its principal components


class Settled(StrEnum):
    """Where a free run settles."""

    fixed_point = "fixed point"
    limit_cycle = "limit cycle"
    divergence = "divergence"
    several_frequencies = "several frequencies"
    response = "response to the inputs"
    irregular = "irregular"


@dataclass(frozen=True)
class Dynamics:
    """Free runs after their transient, and orbits of the hidden state."""

    exponents: Float[np.ndarray, " run"]
    """Largest Lyapunov exponent of each free run, per step; NaN where it diverged. With inputs it
    is conditional: that of the response to these inputs."""

    outputs: Float[np.ndarray, "run measured channel"]
    """The free runs after their transient, in the series' own units; of a network with inputs, no
    longer than its forecasts, since further inputs are not known."""

    driven: Float[np.ndarray, "orbit 3"]
    """Principal components of the hidden state driven by true samples; 0 beyond its size."""

    free: Float[np.ndarray, "orbit 3"]
    """The same components of a free run from the same start."""

    explained: Float[np.ndarray, " 3"]
    """Share of the driven state's variance in each component."""

    driven_eigenvalues: Float[np.ndarray, "driven_place n 2"]
    """Real and imaginary parts, of the Jacobian with inputs held fixed, along the driven orbit."""

    free_eigenvalues: Float[np.ndarray, "free_place n 2"]
    """The same with the output fed back, along the free orbit."""


def exponent_resolution(steps: int) -> float:
    """Return the magnitude up to which an exponent measured over `steps` may be 0.

    On a closed curve the change of state grows and shrinks with the speed of the orbit: its
    logarithm ends within a few units of its initial value.
    """
    return 5 / steps


def settled(
    outputs: Float[np.ndarray, "measured channel"],
    exponent: float,
    *,
    std: float,
    has_inputs: bool = False,
) -> Settled:
    """Classify where a free run has settled, from its outputs after the transient.

    - fixed point: the oscillation has died out, or is dying out;
    - limit cycle: nearby trajectories converge (exponent < 0: a period is a whole number of steps),
      or keep their distance (exponent 0) on a closed curve, which has one frequency and its
      harmonics;
    - several frequencies: they keep their distance, and a few spectral lines are all there is (a
      quasi-periodic orbit);
    - irregular: nearby trajectories diverge (exponent > 0), or the spectrum is broad;
    - divergence: the run is unbounded;
    - response to the inputs: nearby trajectories with the same inputs do not diverge. Inputs keep a
      run moving, so that it is this, irregular or divergence.

    Args:
        outputs: In the series' own units.
        exponent: Largest Lyapunov exponent, per step; NaN of a run that diverged.
        std: Standard deviation of the series; 0 for a constant.
        has_inputs: Whether the network has inputs.

    Source:
        Strogatz (2015), Nonlinear Dynamics and Chaos, 2nd ed.: chapters 5, 7 and 10.
    """
    scale = std or float(np.nanmax(np.abs(outputs), initial=0)) or 1.0
    if np.isnan(exponent) or not np.ptp(outputs, axis=0).max() <= _RUNAWAY * scale:
        return Settled.divergence
    resolution = exponent_resolution(len(outputs))
    if has_inputs:
        return Settled.irregular if exponent > resolution else Settled.response
    early, late = (np.ptp(half, axis=0).max() for half in np.array_split(outputs, 2))
    if late <= _STILL * scale or (exponent < 0 and late < 0.9 * early):
        return Settled.fixed_point
    if exponent > resolution:
        return Settled.irregular
    if exponent < -resolution or _has_one_frequency(outputs):
        return Settled.limit_cycle
    return Settled.several_frequencies if _has_lines(outputs) else Settled.irregular


def _has_one_frequency(outputs: Float[np.ndarray, "measured channel"]) -> bool:
    """Whether a fundamental and its harmonics leave less than 5% of every channel's variance."""
    fits = [(channel, fit_sinusoid(channel)) for channel in outputs.T]
    return all(
        fit is None  # a constant
        or fit.explained > 0.95  # and harmonics explain no less
        # The strongest line may itself be the second or third harmonic. Higher ones are left out:
        # so many harmonics of a low fundamental would fit any two frequencies.
        or any(_is_periodic(channel, fit.frequency / line) for line in (1, 2, 3))
        for channel, fit in fits
    )


def _has_lines(outputs: Float[np.ndarray, "measured channel"]) -> bool:
    """Whether the strongest spectral lines contain over 95% of every channel's variance."""
    window = np.hanning(len(outputs))[:, None]
    power = np.abs(np.fft.rfft(window * (outputs - outputs.mean(axis=0)), axis=0)) ** 2
    lines = np.sort(power, axis=0)[-_LINES * _BINS :]
    return bool((lines.sum(axis=0) >= 0.95 * power.sum(axis=0)).all())


def _is_periodic(samples: Float[np.ndarray, " measured"], frequency: float) -> bool:
    """Whether a fundamental (rad per sample) and harmonics explain over 95% of the variance."""
    angle = np.arange(len(samples))[:, None] * frequency * np.arange(1, _HARMONICS + 1)
    design = np.concatenate([np.ones((len(samples), 1)), np.cos(angle), np.sin(angle)], axis=1)
    return bool(np.var(samples - design @ least_squares(design, samples)) < 0.05 * np.var(samples))


def follow(
    model: StateMap,
    *,
    warmup: Float[np.ndarray, "origin W channel"],
    future: Float[np.ndarray, "origin steps channel"],
    hidden: Hidden,
    typical: int,
    transient_steps: int,
    measured_steps: int,
    to_signal: Callable[[Float[np.ndarray, "..."]], Float[np.ndarray, "..."]],
) -> Dynamics:
    """Follow the network's hidden state: freely from several origins, and driven from one.

    Args:
        model: The network.
        warmup: Samples W read before each origin, in scaled units.
        future: Samples that follow, which drive one orbit, in scaled units; free runs read the
            inputs among them, and are no longer.
        hidden: State before the warm-up.
        typical: The origin whose orbits are kept.
        transient_steps: Steps of a free run that are left out: the way to where it settles.
        measured_steps: Steps that follow, over which it is measured; at least 2.
        to_signal: From scaled to the series' own units.
    """
    with np.errstate(all="ignore"):  # a diverging run ends in NaN, and is reported as such
        hidden = model.advance(hidden, warmup.shape[1], warmup.swapaxes(0, 1))
        start = hidden[:, :, typical : typical + 1]
        samples = future[typical, :ORBIT_STEPS]
        inputs = future[:, :, model.network.outputs :]
        driven = model.run(start, len(samples) - 1, samples[:, None]).states
        free = model.run(start, len(samples) - 1, inputs[typical, : len(samples), None]).states
        driven, free = (states.reshape(len(samples), -1) for states in (driven, free))
        chosen = evenly_spaced(len(warmup), RUNS)
        hidden = hidden[:, :, chosen]
        inputs = inputs[chosen].swapaxes(0, 1)
        if model.network.inputs:
            transient_steps = min(transient_steps, len(inputs) // 2)
            measured_steps = min(measured_steps, len(inputs) - transient_steps)
        else:
            inputs = np.empty((transient_steps + measured_steps, len(chosen), 0))
        hidden = model.advance(hidden, transient_steps, inputs[:transient_steps])
        inputs = inputs[transient_steps : transient_steps + measured_steps]
        outputs = list[Float[np.ndarray, "steps run channel"]]()

        def measured() -> Iterator[Orbit]:
            for orbit in _orbits(model, hidden, inputs):
                outputs.append(model.output(orbit.states[:-1]))
                yield orbit

        exponents = largest_exponents(model, measured(), runs=len(chosen))
        components, explained = principal_components(driven)
        center = driven.mean(axis=0)
        return Dynamics(
            exponents=exponents,
            outputs=to_signal(np.concatenate(outputs).swapaxes(0, 1)),
            driven=(driven - center) @ components,
            free=(free - center) @ components,
            explained=explained,
            driven_eigenvalues=_eigenvalues(model, driven, samples),
            free_eigenvalues=_eigenvalues(model, free, samples[:, model.network.outputs :]),
        )


def _orbits(
    model: StateMap, hidden: Hidden, inputs: Float[np.ndarray, "steps B _"]
) -> Iterator[Orbit]:
    """Run a network in parts that follow each other."""
    steps = _NORMALIZED_EVERY * max(1, _AT_ONCE // (_NORMALIZED_EVERY * hidden.size))
    for begin in range(0, len(inputs), steps):
        given = inputs[begin : begin + steps]
        orbit = model.run(hidden, len(given), given)
        yield orbit
        hidden = orbit.states[-1]


def largest_exponents(
    model: StateMap, orbits: Iterable[Orbit], *, runs: int
) -> Float[np.ndarray, " run"]:
    """Return the largest Lyapunov exponent of a network's runs, per step.

    A change of the hidden state is pushed along the orbit by the tangent map, and brought back to
    length 1 after every 8 steps; the exponent is the mean logarithm of what it had grown by.

    Args:
        model: The network.
        orbits: Of all runs, on the attractor already, in parts that follow each other.
        runs: Their number.

    Returns:
        Exponents: minus infinity where every change dies out at once, NaN where an orbit diverges.

    Source:
        Benettin, Galgani, Giorgilli and Strelcyn (1980), Meccanica 15, 9-20, as surveyed in Skokos
        (2010), Lecture Notes in Physics 790, 63-135 (arXiv:0811.0882); for recurrent networks
        Vogt, Puelma Touzel, Shlizerman and Lajoie (2020), arXiv:2006.14123.
    """
    # Any direction but one of measure zero will do; a fixed one is reproducible.
    change = np.random.default_rng(0).normal(size=model.network.zero_hidden(runs).shape)
    change /= np.sqrt(np.square(change).sum(axis=(0, 1, 3), keepdims=True))
    growth, steps, is_finite = np.zeros(runs), 0, np.ones(runs, bool)
    for orbit in orbits:
        last, taken = orbit.states[-1], len(orbit.states) - 1
        times = taken // math.gcd(taken, _NORMALIZED_EVERY)
        change, squares = model.grow(orbit, change, times=times)
        with np.errstate(divide="ignore", invalid="ignore"):  # died out, or diverged
            growth = growth + np.log(squares).sum(axis=0) / 2
        steps, is_finite = steps + taken, np.isfinite(last).all(axis=(0, 1, 3))
    return np.where(is_finite, growth / steps, np.nan)


def principal_components(
    states: Float[np.ndarray, "steps n"],
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " 3"]]:
    """Return the three directions of largest variance, and the share of each in it."""
    size = states.shape[1]
    components, explained = np.zeros((size, 3)), np.zeros(3)
    if not np.abs(states).max() < _RUNAWAY_STATE:
        return components, explained
    sample = states[:: -(-len(states) // _COMPONENTS_FROM)]
    _, lengths, directions = np.linalg.svd(sample - states.mean(axis=0), full_matrices=False)
    kept = min(3, len(lengths))
    components[:, :kept] = directions[:kept].T
    # The sign of a component is arbitrary: a positive largest weight makes it reproducible.
    largest = np.abs(components).argmax(axis=0)
    components *= np.where(components[largest, range(3)] < 0, -1, 1)
    explained[:kept] = lengths[:kept] ** 2 / max(float(np.sum(lengths**2)), 1e-300)
    return components, explained


def _eigenvalues(
    model: StateMap,
    states: Float[np.ndarray, "steps n"],
    inputs: Float[np.ndarray, "steps _"],
) -> Float[np.ndarray, "place n 2"]:
    """Return the eigenvalues of the Jacobian at states spread over an orbit."""
    finite = np.flatnonzero(np.isfinite(states).all(axis=1))
    size = states.shape[1]
    # The work grows with n cubed: a large state has fewer places, and a huge one none.
    places = finite[evenly_spaced(len(finite), min(_PLACES, 5 * 10**7 // size**3))]
    if not len(places):
        return np.empty((0, size, 2))
    network = model.network
    hidden = states[places].T.reshape(-1, network.num_layers, network.hidden_size, len(places))
    jacobians = model.jacobians(
        np.ascontiguousarray(hidden.swapaxes(2, 3)),
        inputs=inputs[places],
    )
    jacobians = jacobians[np.isfinite(jacobians).all(axis=(1, 2))]
    values = np.linalg.eigvals(jacobians)
    return np.stack([values.real, values.imag], axis=2)
