"""One step of the Levenberg-Marquardt method with geodesic acceleration.

Our own and no library's: scipy's solvers took 4 to 9 times the time for errors 5 to 15 times larger
on the same residuals and Jacobians, and MINPACK's refuses fewer residuals than parameters
(docs/experiments.md).
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from sinernn.engines.fused.native import Kernel
from sinernn.model.network import Theta

substitute = Kernel("sinernn.refine.kernels", "substitute")

INITIAL_DAMPING = 1e-2
_DAMPING_DOWN = 3.0
_DAMPING_UP = 4.0
_MIN_DAMPING = 1e-16

_NEAR_TRIES = 10
"""So often the damping rises slowly, which finds long steps; then it was meant for another problem,
such as the stage before, and rises fast."""

_DAMPING_UP_FAR = 16.0

_ROUNDING = 2.0**-53
"""A step that is a smaller part of the parameters, or promises to lower the sum of squares by a
smaller part of it, is none."""

_SCALE_FLOOR = 1e-3
"""A parameter's scale is its entry on the diagonal of J^T J, but at least this part of the largest:
a parameter without influence must not be free to move without bound."""

_PROBE = 0.1
"""The acceleration is measured this far along the step."""

_MAX_ACCELERATION = 0.75
"""Where it is longer than this part of the step, the quadratic model is not to be trusted."""


@runtime_checkable  # so that the tests can check annotations while they run
class LeastSquares(Protocol):
    """Residuals as a function of the parameters."""

    def residuals(self, theta: Theta) -> Float[np.ndarray, " N"]:
        """Return what is to become small."""
        ...

    def linearise(
        self, theta: Theta
    ) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "P columns"]]:
        """Return the residuals and their transposed Jacobian; its columns past N are zero."""
        ...


@dataclass(frozen=True)
class Step:
    """What one iteration came to."""

    theta: Theta
    """The new parameters, or the given ones if none were better."""

    loss: float
    """Their sum of squares."""

    damping: float
    """Where the next iteration begins."""

    accepted_damping: float | None
    """With which the step was found; None if there was none."""


@np.errstate(over="ignore", invalid="ignore")  # of a step that goes too far, and is not taken
def levenberg_marquardt_step(theta: Theta, damping: float, problem: LeastSquares) -> Step:
    """Raise the damping until a step lowers the sum of squares, or is too short for that to show.

    Args:
        theta: Parameters.
        damping: Where to begin, relative to each parameter's scale.
        problem: What is to become small.

    Source:
        Transtrum and Sethna (2012), "Improvements to the Levenberg-Marquardt algorithm for
        nonlinear least-squares minimization", arXiv:1201.5885: scaling and damping, geodesic
        acceleration, the finite difference for it and the bound on its length.
    """
    errors, jacobian = problem.linearise(theta)
    loss = float(errors @ errors)
    if not np.isfinite(loss):
        return Step(theta, loss, damping, None)
    gradient = jacobian[:, : errors.size] @ errors
    matrix = jacobian @ jacobian.T  # Gauss and Newton's
    diagonal = np.diag(matrix)
    if not np.isfinite(diagonal).all():  # then nor need the rest of it be
        return Step(theta, loss, damping, None)
    scale = np.maximum(diagonal, _SCALE_FLOOR * diagonal.max())
    tries = 0
    while np.isfinite(damping):  # it overflows where no parameter has any influence
        factor = factorise(matrix, damping * scale)
        if factor is not None:
            velocity = -solve(factor, gradient)
            gain, length = -float(gradient @ velocity), _length(velocity, scale)
            if not (gain > _ROUNDING * loss and length > _ROUNDING * _length(theta, scale)):
                break  # NaN is no step either
            step = _accelerate(theta, velocity, errors, jacobian, factor, scale, problem)
            if step is not None:
                trial = problem.residuals(theta + step)
                trial_loss = float(trial @ trial)
                if trial_loss < loss:  # false for NaN
                    after = max(damping / _DAMPING_DOWN, _MIN_DAMPING)
                    return Step(theta + step, trial_loss, after, damping)
        tries += 1
        damping *= _DAMPING_UP if tries < _NEAR_TRIES else _DAMPING_UP_FAR
    return Step(theta, loss, damping, None)


def _accelerate(
    theta: Theta,
    velocity: Theta,
    errors: Float[np.ndarray, " N"],
    jacobian: Float[np.ndarray, "P columns"],
    factor: Any,
    scale: Theta,
    problem: LeastSquares,
) -> Theta | None:
    """Return velocity + acceleration / 2, or None where that series does not converge.

    The second derivative of the residuals along the velocity is a finite difference, which costs
    one more run of the network: next to nothing beside the Jacobian.
    """
    probed = problem.residuals(theta + _PROBE * velocity)
    slope = velocity @ jacobian[:, : errors.size]
    with np.errstate(over="ignore", invalid="ignore"):
        curvature = (2 / _PROBE) * ((probed - errors) / _PROBE - slope)
    if not np.isfinite(curvature).all():
        return None
    half_acceleration = -0.5 * solve(factor, jacobian[:, : errors.size] @ curvature)
    if 2 * _length(half_acceleration, scale) > _MAX_ACCELERATION * _length(velocity, scale):
        return None
    return velocity + half_acceleration


def _length(step: Theta, scale: Theta) -> float:
    return float(np.sqrt(np.sum(scale * step**2)))


def factorise(
    matrix: Float[np.ndarray, "P P"], damping: Float[np.ndarray, " P"]
) -> Float[np.ndarray, "P P"] | None:
    """Return the Cholesky factor of matrix + diag(damping); None if not positive definite."""
    damped = matrix.copy()
    damped.flat[:: damping.size + 1] += damping
    try:
        factor = np.linalg.cholesky(damped)
    except np.linalg.LinAlgError:
        return None
    return factor if np.isfinite(factor[-1, -1]) else None  # a NaN reaches the last of all


def solve(factor: Float[np.ndarray, "P P"], right: Float[np.ndarray, " P"]) -> Theta:
    """Solve factor factor^T solution = right for a lower triangular factor."""
    solution = right.copy()
    substitute(factor, solution)
    return solution
