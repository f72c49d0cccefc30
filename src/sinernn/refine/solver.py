"""One step of the Levenberg-Marquardt method with geodesic acceleration.

Not a library's solver: with the same residuals and Jacobians, scipy's solvers took 4 to 9 times as
long and gave errors 5 to 15 times larger, and MINPACK's does not accept fewer residuals than
parameters (docs/experiments.md).
"""

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import count, islice
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sinernn import blas
from sinernn.arrays import Float
from sinernn.cores import share, usable_cores
from sinernn.engines.fused.native import Kernel, address
from sinernn.model.network import Theta

substitute = Kernel("sinernn.refine.kernels", "substitute")

INITIAL_DAMPING = 1e-2
_DAMPING_DOWN = 3.0
_DAMPING_UP = 4.0
_MIN_DAMPING = 1e-16

_NEAR_TRIES = 10
"""Number of tries in which the damping rises slowly, which finds long steps. If they fail, the
initial damping did not suit this problem (it may come from the previous stage), and rises fast."""

_DAMPING_UP_FAR = 16.0

_ROUNDING = 2.0**-53
"""The search stops at a step that is smaller than this fraction of the parameters, or that is
predicted to lower the sum of squares by less than this fraction."""

_SCALE_FLOOR = 1e-3
"""A parameter's scale is its entry on the diagonal of J^T J, but at least this fraction of the
largest entry: a parameter without influence must not move without bound."""

_PROBE = 0.1
"""The acceleration is measured at this fraction of the step."""

_MAX_ACCELERATION = 0.75
"""If the acceleration is longer than this fraction of the step, the step is rejected, because the
quadratic model is not reliable."""


_BLOCKS = 2
"""Blocks of rows of the Gram matrix: one product takes half the time, two symmetric ones the other
half. With four, one thread would take a fifth longer."""


_LARGE = 600
"""From so many parameters on, scipy factorises: numpy takes twice as long, since it copies the
matrix, but the import of scipy takes as long as 400 factors for 321 parameters."""


@runtime_checkable  # so that the tests can check annotations while they run
class LeastSquares(Protocol):
    """Residuals as a function of the parameters."""

    def residuals(self, theta: Theta) -> Float[np.ndarray, " N"]:
        """Return the residuals, whose sum of squares is minimised."""
        ...

    def linearise(
        self, theta: Theta
    ) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "P columns"]]:
        """Return the residuals and their transposed Jacobian; its columns past N are zero."""
        ...


@dataclass(frozen=True)
class Step:
    """The result of one iteration."""

    theta: Theta
    """The new parameters, or the given ones if no better ones were found."""

    loss: float
    """Sum of squares at `theta`."""

    damping: float
    """Initial damping for the next iteration."""

    accepted_damping: float | None
    """Damping of the accepted step; None if no step was accepted."""


@np.errstate(over="ignore", invalid="ignore")  # of a step that is too long, and is rejected
def levenberg_marquardt_step(theta: Theta, damping: float, problem: LeastSquares) -> Step:
    """Raise the damping until a step lowers the sum of squares, or is below rounding error.

    Args:
        theta: Parameters.
        damping: Initial damping, relative to each parameter's scale.
        problem: The least-squares problem.

    Source:
        Transtrum and Sethna (2012), "Improvements to the Levenberg-Marquardt algorithm for
        nonlinear least-squares minimization", arXiv:1201.5885: scaling and damping, geodesic
        acceleration, the finite difference for it and the bound on its length.
    """
    errors, jacobian = problem.linearise(theta)
    loss = float(errors @ errors)
    if not np.isfinite(loss):
        return Step(theta, loss, damping, None)
    normal = NormalEquations.of(jacobian, errors.size)
    if normal is None:
        return Step(theta, loss, damping, None)
    right, scale = normal.project(errors), normal.scale
    tries = _factors(normal, _rising(damping))
    for damping, factor in tries:
        if factor is not None:
            velocity = -normal.solve(factor, right)
            slope = velocity @ normal.jacobian
            gain, length = -float(errors @ slope), _length(velocity, scale)
            if not (gain > _ROUNDING * loss and length > _ROUNDING * _length(theta, scale)):
                break  # also if either is NaN
            step = _accelerate(theta, velocity, errors, slope, normal, factor, problem)
            if step is not None:
                trial = problem.residuals(theta + step)
                trial_loss = float(trial @ trial)
                if trial_loss < loss:  # false for NaN
                    after = max(damping / _DAMPING_DOWN, _MIN_DAMPING)
                    return Step(theta + step, trial_loss, after, damping)
    return Step(theta, loss, damping, None)


def _rising(damping: float) -> Iterator[float]:
    """Yield the damping of every try; it overflows if no parameter has any influence."""
    for tries in count(1):
        if not np.isfinite(damping):
            return
        yield damping
        damping *= _DAMPING_UP if tries < _NEAR_TRIES else _DAMPING_UP_FAR


def _factors(
    normal: "NormalEquations", dampings: Iterator[float]
) -> Iterator[tuple[float, Float[np.ndarray, "M M"] | None]]:
    """Yield every damping and the factor of the damped matrix.

    That of the next try is computed beside the first in a second thread: it is needed in half of
    the iterations, and the thread has nothing else to do.
    """
    threads = min(usable_cores(), 2)
    while ahead := list(islice(dampings, threads)):
        factors = dict[float, Float[np.ndarray, "M M"] | None]()

        @np.errstate(over="ignore", invalid="ignore")  # of a thread are its own
        def fill(chosen: Iterator[float], into: dict[float, Any] = factors) -> None:
            into.update((damping, normal.factorise(damping)) for damping in chosen)

        share(ahead, fill)
        yield from ((damping, factors[damping]) for damping in ahead)


def _accelerate(
    theta: Theta,
    velocity: Theta,
    errors: Float[np.ndarray, " N"],
    slope: Float[np.ndarray, " N"],
    normal: "NormalEquations",
    factor: Float[np.ndarray, "M M"],
    problem: LeastSquares,
) -> Theta | None:
    """Return velocity + acceleration / 2, or None if the acceleration is too large.

    The second derivative of the residuals along the velocity is a finite difference. It takes one
    more run of the network, which is cheap compared with the Jacobian.
    """
    probed = problem.residuals(theta + _PROBE * velocity)
    with np.errstate(over="ignore", invalid="ignore"):
        curvature = (2 / _PROBE) * ((probed - errors) / _PROBE - slope)
    if not np.isfinite(curvature).all():
        return None
    half_acceleration = -0.5 * normal.solve(factor, normal.project(curvature))
    bound = _MAX_ACCELERATION * _length(velocity, normal.scale)
    if 2 * _length(half_acceleration, normal.scale) > bound:
        return None
    return velocity + half_acceleration


def _length(step: Theta, scale: Theta) -> float:
    return float(np.sqrt(np.sum(scale * step**2)))


@dataclass(frozen=True)
class NormalEquations:
    """Solve for the step x that minimises |J^T x - v|^2 + damping |x|^2.

    J is the transposed Jacobian, and |x|^2 weights every parameter with its scale. With the scales
    on the diagonal of D, x is both (J J^T + damping D)^-1 J v and
    D^-1 J (J^T D^-1 J + damping I)^-1 v: the smaller of these matrices is factorised, P by P or,
    with fewer residuals than parameters, N by N. M is its size.
    """

    jacobian: Float[np.ndarray, "P N"]
    scale: Theta

    matrix: Float[np.ndarray, "M M"]
    """J J^T or J^T D^-1 J."""

    @classmethod
    def of(cls, jacobian: Float[np.ndarray, "P columns"], count: int) -> "NormalEquations | None":
        """Return them; None if no parameter has an influence, or one that is not finite.

        Args:
            jacobian: Transposed Jacobian; its columns past `count` are zero.
            count: Number of residuals N.
        """
        short = jacobian[:, :count]
        is_dual = count < len(jacobian)
        matrix = None if is_dual else gram_matrix(jacobian)
        diagonal = np.einsum("ij,ij->i", short, short) if matrix is None else np.diag(matrix)
        largest = diagonal.max()
        if not 0 < largest < np.inf:  # by Cauchy-Schwarz, a finite diagonal bounds the rest
            return None
        scale = np.maximum(diagonal, _SCALE_FLOOR * largest)
        if matrix is None:
            matrix = gram_matrix((short / np.sqrt(scale)[:, None]).T)
        return cls(short, scale, matrix)

    @property
    def _is_dual(self) -> bool:
        return len(self.matrix) < len(self.scale)

    def factorise(self, damping: float) -> Float[np.ndarray, "M M"] | None:
        """Return the Cholesky factor of the damped matrix; None if not positive definite."""
        return factorise(self.matrix, damping if self._is_dual else damping * self.scale)

    def project(self, residuals: Float[np.ndarray, " N"]) -> Float[np.ndarray, " M"]:
        """Return the right side of the equations for v = `residuals`, whatever the damping."""
        return residuals if self._is_dual else self.jacobian @ residuals

    def solve(self, factor: Float[np.ndarray, "M M"], right: Float[np.ndarray, " M"]) -> Theta:
        """Return x for the right side and the damping of a factor."""
        solution = solve(factor, right)
        return self.jacobian @ solution / self.scale if self._is_dual else solution


def gram_matrix(rows: Float[np.ndarray, "M columns"]) -> Float[np.ndarray, "M M"]:
    """Return rows rows^T.

    Block by block, in several threads; the blocks do not depend on their number, so neither do the
    bits.
    """
    size = len(rows)
    matrix, step = np.empty((size, size)), max(1, -(-size // _BLOCKS))
    begins = range(0, size, step)

    @np.errstate(over="ignore", invalid="ignore")  # of a diverging run
    def multiply(blocks: Iterator[tuple[int, int]]) -> None:
        for i, j in blocks:
            one, other = slice(i, i + step), slice(j, j + step)
            np.matmul(rows[one], rows[other].T, out=matrix[one, other])
            if i != j:
                matrix[other, one] = matrix[one, other].T

    # Those on the diagonal are symmetric and take half the time: one thread computes both.
    share(sorted(((i, j) for i in begins for j in begins if j <= i), key=_is_diagonal), multiply)
    return matrix


def _is_diagonal(block: tuple[int, int]) -> bool:
    return block[0] == block[1]


def factorise(
    matrix: Float[np.ndarray, "M M"], damping: Float[np.ndarray, " M"] | float
) -> Float[np.ndarray, "M M"] | None:
    """Return the Cholesky factor of matrix + diag(damping); None if not positive definite."""
    damped = matrix.copy()
    damped.flat[:: len(matrix) + 1] += damping
    if len(matrix) < _LARGE:
        try:
            factor = np.linalg.cholesky(damped.T)  # symmetric; numpy reads it by columns
        except np.linalg.LinAlgError:
            return None
    else:  # in place; the entries above the diagonal are not set to 0, and never read
        size, failed = ctypes.c_int(len(damped)), ctypes.c_int()
        at = ctypes.byref(size)
        _dpotrf()(b"U", at, address(damped), at, ctypes.byref(failed))  # of LAPACK's columns
        if failed.value:
            return None
        factor = damped
    return factor if np.isfinite(factor[-1, -1]) else None  # a NaN propagates to the last entry


@cache
def _dpotrf() -> Callable[..., None]:
    """Return LAPACK's Cholesky factorisation, limited to one thread.

    As scipy passes it to Cython: its function for Python holds the interpreter's lock.
    """
    capsule = import_module("scipy.linalg.cython_lapack").__pyx_capi__["dpotrf"]
    blas.limit_threads()
    api = ctypes.pythonapi
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", api)
    )
    address = pointer_of(capsule, name_of(capsule))
    integer = ctypes.POINTER(ctypes.c_int)
    kinds = ctypes.c_char_p, integer, ctypes.c_void_p, integer, integer
    return ctypes.CFUNCTYPE(None, *kinds)(address)


def solve(
    factor: Float[np.ndarray, "M M"], right: Float[np.ndarray, " M"]
) -> Float[np.ndarray, " M"]:
    """Return the solution of factor factor^T solution = right for a lower triangular factor."""
    solution = right.copy()
    substitute(factor, solution)
    return solution
