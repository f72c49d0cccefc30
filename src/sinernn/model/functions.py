# pyright: basic
# Formulas take numpy arrays, torch tensors or LLVM vectors, which have no common type.
"""Elementary functions on numpy arrays, torch tensors and LLVM vectors alike.

The cells of `cells.py` and Adam are written with them once. A numpy array makes a formula plain
Python that a test can call; an `engines.fused.simd.Lanes` appends the matching vector instruction
to the function that numba is compiling; a torch tensor makes autograd differentiate it.
"""

import operator
from typing import Any

import numpy as np


def _is_single(x: Any) -> bool:
    """Whether x is float32 of numpy or of an LLVM vector; torch has functions of its own."""
    return x.dtype == np.float32


def _library(x: Any, name: str) -> Any:
    """The library's function `name` of every element."""
    return getattr(np, name)(x) if isinstance(x, np.ndarray) else getattr(x, name)()


def _choose(x: Any, compare: str, limit: float, chosen: Any, otherwise: Any) -> Any:
    """`chosen` where `x <compare> limit`, else `otherwise`; so a NaN in `x` takes `otherwise`."""
    if not isinstance(x, np.ndarray):
        return x.choose(compare, limit, chosen, otherwise)
    test = {"<": operator.lt, ">": operator.gt, "<=": operator.le}[compare](x, limit)
    return np.where(test, chosen, otherwise).astype(x.dtype)


def _power_of_two(n: Any) -> Any:
    """2**n for float32 that holds whole numbers in -126..127 (a NaN gives garbage)."""
    if not isinstance(n, np.ndarray):
        return n.power_of_two()
    return np.ldexp(np.float32(1), np.nan_to_num(n).astype(np.int32))


def sqrt(x: Any) -> Any:
    """Square root."""
    return _library(x, "sqrt")


def tanh(x: Any) -> Any:
    """Hyperbolic tangent; float32 within 6 ulp everywhere (tested), else the library's.

    Source:
        float32: the clamped rational minimax approximation of Eigen 3,
        `generic_fast_tanh_float` in MathFunctionsImpl.h, with its coefficients.
    """
    if not _is_single(x):
        return _library(x, "tanh")
    x = _choose(x, ">", 7.90531110763549805, 7.90531110763549805, x)
    x = _choose(x, "<", -7.90531110763549805, -7.90531110763549805, x)
    z = x * x
    # numerator and denominator times 256, so that x * p does not underflow before x does
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
    """Exponential; float32 for -87 <= x <= 88 alone, float64 the library's.

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
    # a NaN's power of two is garbage, but its polynomial is NaN and so is the product
    return (r * r * p + r + 1.0) * _power_of_two(n)


def sigmoid(x: Any) -> Any:
    """Logistic function 1 / (1 + exp(-x)); float32 within 3 ulp where it is normal (tested)."""
    if _is_single(x):  # beyond, exp leaves the normal numbers
        x = _choose(x, "<", -87.0, -87.0, x)
        x = _choose(x, ">", 87.0, 87.0, x)
    return 1.0 / (1.0 + exp(0.0 - x))


def relu(x: Any) -> Any:
    """max(x, 0), a NaN passes."""
    if hasattr(x, "relu"):  # a torch tensor
        return x.relu()
    return _choose(x, "<=", 0.0, 0.0, x)


def where_positive(x: Any, value: Any) -> Any:
    """`value` where x > 0, else 0; where x is NaN, `value`, as torch does it."""
    return _choose(x, "<=", 0.0, 0.0, value)
