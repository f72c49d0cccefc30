# pyright: basic
# Formulas take numpy arrays, torch tensors or LLVM vectors, which have no common type.
"""Elementary functions of numpy arrays, torch tensors and LLVM vectors.

The cells of `cells.py` and Adam are written once, with these functions. With a numpy array, a
formula is plain Python that a test can call; with an `engines.fused.simd.Lanes`, it appends vector
instructions to the function that numba is compiling; with a torch tensor, autograd differentiates
it.
"""

import operator
from typing import Any

import numpy as np


def _is_single(x: Any) -> bool:
    """Return whether x is a float32 numpy array or LLVM vector; torch has its own functions."""
    return x.dtype == np.float32


def _library(x: Any, name: str) -> Any:
    """Apply the library's function `name` to every element."""
    return getattr(np, name)(x) if isinstance(x, np.ndarray) else getattr(x, name)()


def _choose(x: Any, compare: str, limit: float, chosen: Any, otherwise: Any) -> Any:
    """Return `chosen` where `x <compare> limit`, else (and for a NaN in `x`) `otherwise`."""
    if not isinstance(x, np.ndarray):
        return x.choose(compare, limit, chosen, otherwise)
    test = {"<": operator.lt, ">": operator.gt, "<=": operator.le}[compare](x, limit)
    return np.where(test, chosen, otherwise).astype(x.dtype)


def _power_of_two(n: Any) -> Any:
    """Return 2**n for float32 integers in -126..127 (for a NaN, an arbitrary number)."""
    if not isinstance(n, np.ndarray):
        return n.power_of_two()
    return np.ldexp(np.float32(1), np.nan_to_num(n).astype(np.int32))


def sqrt(x: Any) -> Any:
    """Return the square root."""
    return _library(x, "sqrt")


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent; float32 within 6 ulp (tested), float64 from the library.

    Source:
        float32: the clamped rational minimax approximation of Eigen 3,
        `generic_fast_tanh_float` in MathFunctionsImpl.h, with its coefficients.
    """
    if not _is_single(x):
        return _library(x, "tanh")
    x = _choose(x, ">", 7.90531110763549805, 7.90531110763549805, x)
    x = _choose(x, "<", -7.90531110763549805, -7.90531110763549805, x)
    z = x * x
    # Numerator and denominator are multiplied by 256, so that x * p underflows no sooner than x.
    p = z * (256 * -2.76076847742355e-16) + 256 * 2.00018790482477e-13
    for coefficient in (
        -8.60467152213735e-11,
        5.12229709037114e-08,
        1.48572235717979e-05,
        6.37261928875436e-04,
        4.89352455891786e-03,
    ):
        p = z * p + 256 * coefficient
    q = z * (256 * 1.19825839466702e-06) + 256 * 1.18534705686654e-04
    q = z * q + 256 * 2.26843463243900e-03
    q = z * q + 256 * 4.89352518554385e-03
    return x * p / q


def exp(x: Any) -> Any:
    """Return the exponential; float32 only for -87 <= x <= 88, float64 from the library.

    float32: x = n ln 2 + r with |r| <= ln(2) / 2, then 2**n times a polynomial in r.

    Source:
        Cephes `expf` (Moshier, 1989): the polynomial and ln 2 in two parts.
    """
    if not _is_single(x):
        return _library(x, "exp")
    n = _library(x * 1.44269504088896341, "rint")
    r = x - n * 0.693359375
    r = r - n * -2.12194440e-4
    p = r * 1.9875691500e-4 + 1.3981999507e-3
    for coefficient in (8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = r * p + coefficient
    # For a NaN the power of two is arbitrary, but the polynomial is NaN, and so is the product.
    return (r * r * p + r + 1.0) * _power_of_two(n)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)); float32 within 3 ulp where the result is normal (tested)."""
    if _is_single(x):  # outside this range, the result of exp is not a normal number
        x = _choose(x, "<", -87.0, -87.0, x)
        x = _choose(x, ">", 87.0, 87.0, x)
    return 1.0 / (1.0 + exp(0.0 - x))


def relu(x: Any) -> Any:
    """Return max(x, 0); a NaN stays NaN."""
    if hasattr(x, "relu"):  # a torch tensor
        return x.relu()
    return _choose(x, "<=", 0.0, 0.0, x)


def where_positive(x: Any, value: Any) -> Any:
    """Return `value` where x > 0 or x is NaN (as torch does), else 0."""
    return _choose(x, "<=", 0.0, 0.0, value)
