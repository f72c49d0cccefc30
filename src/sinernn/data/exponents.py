"""Largest Lyapunov exponents of equations: the growth of small changes along many orbits."""

from collections.abc import Callable

import numpy as np

from sinernn.arrays import Float

States = Float[np.ndarray, "variable n"]

_APART = 0.01  # standard deviations by which orbits begin beside the series: those of a time differ
_CHANGE = 1e-6  # of a state, in standard deviations
_LEAST_GROWTH = 5.0  # of the logarithm of a change


def growth_per_step(
    advance: Callable[[States, int], States],
    states: States,
    *,
    scale: Float[np.ndarray, "variable 1"],
    ignored: int,
    followed: int,
) -> float | None:
    """Return the mean logarithm by which a small change of the state grows in a step.

    A change is brought back to its length after every step, as in `dynamics.largest_exponent`; here
    it is the difference of two states nearby, which needs no derivative of the equations.

    Args:
        advance: Returns the states of all orbits, twice, a step later, given the steps before it.
        states: Of n orbits, all over the attractor.
        scale: Standard deviation of every variable.
        ignored: Steps in which orbits that began at one state move apart.
        followed: Steps after them.

    Returns:
        0 if changes do not grow; None if half of the orbits leave the attractor or nothing changes.
    """
    random, orbits = np.random.default_rng(0), states.shape[1]
    apart, change = random.normal(size=(2, *states.shape))
    states, growth = states + _APART * scale * apart, np.zeros(orbits)
    with np.errstate(all="ignore"):
        for step in range(ignored + followed):
            change *= _CHANGE / np.linalg.norm(change, axis=0)
            both = np.concatenate([states + change * scale, states - change * scale], axis=1)
            ahead, behind = np.split(advance(both, step), 2, axis=1)
            states, change = (ahead + behind) / 2, (ahead - behind) / (2 * scale)
            if step >= ignored:
                growth += np.log(np.linalg.norm(change, axis=0) / _CHANGE)
    growth = growth[np.isfinite(growth)]  # without orbits that were moved off the attractor
    if len(growth) < orbits / 2:
        return None
    # On a closed orbit the change only grows and shrinks with the speed, by a few units in all.
    mean = float(growth.mean())
    return mean / followed if mean > _LEAST_GROWTH else 0.0
