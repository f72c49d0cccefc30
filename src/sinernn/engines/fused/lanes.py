# pyright: basic, reportAttributeAccessIssue=false, reportArgumentType=false
# Formulas take numpy arrays or LLVM vectors, for which there is no common type.
"""Arithmetic written once and run twice: on numpy arrays, and as LLVM vectors.

A formula below (`tanh`, `sigmoid`, the cells of `cells.py`, Adam) takes *lanes*: either a
numpy array, so that the formula is plain Python that a test can call, or a `Lanes`, which
appends the matching vector instruction to the function that numba is compiling. There is
no second text that could disagree with the first.

LLVM lowers a vector to whatever the processor has. Flags: `contract` alone (a product and
a sum may fuse), because `nnan` or `ninf` would let the compiler hide a NaN, and `reassoc`
would undo the two-part constant of `exp`.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

CONTRACT = ("contract",)


class Lanes:
    """One LLVM vector of floats, with the operators of a number.

    `builder` is where instructions go, `value` the LLVM vector.
    """

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    @property
    def type(self) -> ir.VectorType:
        """The LLVM type of the vector."""
        return self.value.type

    def lift(self, other: Any) -> ir.Value:
        """The LLVM vector of another `Lanes`, or of a Python number in every lane."""
        if isinstance(other, Lanes):
            return other.value
        return ir.Constant(self.type, [float(other)] * self.type.count)

    def _binary(self, instruction: str, left: Any, right: Any) -> "Lanes":
        emit = getattr(self.builder, instruction)
        return Lanes(self.builder, emit(self.lift(left), self.lift(right), flags=CONTRACT))

    def __add__(self, other):
        return self._binary("fadd", self, other)

    def __radd__(self, other):
        return self._binary("fadd", other, self)

    def __sub__(self, other):
        return self._binary("fsub", self, other)

    def __rsub__(self, other):
        return self._binary("fsub", other, self)

    def __mul__(self, other):
        return self._binary("fmul", self, other)

    def __rmul__(self, other):
        return self._binary("fmul", other, self)

    def __truediv__(self, other):
        return self._binary("fdiv", self, other)

    def __rtruediv__(self, other):
        return self._binary("fdiv", other, self)

    def call(self, name: str) -> "Lanes":
        """The LLVM intrinsic `llvm.<name>` of every lane."""
        suffix = f"v{self.type.count}{'f32' if self.type.element == ir.FloatType() else 'f64'}"
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(self.type, [self.type]), f"llvm.{name}.{suffix}"
        )
        return Lanes(self.builder, self.builder.call(function, [self.value]))


def _is_single(x: Any) -> bool:
    if isinstance(x, Lanes):
        return x.type.element == ir.FloatType()
    return x.dtype == np.float32


def _library(x: Any, name: str) -> Any:
    """The library's function `name` of every lane."""
    return x.call(name) if isinstance(x, Lanes) else getattr(np, name)(x)


def _choose(x: Any, compare: str, limit: float, chosen: Any, otherwise: Any) -> Any:
    """`chosen` where `x <compare> limit`, else `otherwise`; so a NaN in `x` takes `otherwise`."""
    if isinstance(x, Lanes):
        mask = x.builder.fcmp_ordered(compare, x.value, x.lift(limit))
        return Lanes(x.builder, x.builder.select(mask, x.lift(chosen), x.lift(otherwise)))
    test = {"<": operator.lt, ">": operator.gt, "<=": operator.le}[compare](x, limit)
    return np.where(test, chosen, otherwise).astype(x.dtype)


def _power_of_two(n: Any) -> Any:
    """2**n for float32 lanes that hold whole numbers in -126..127 (a NaN gives garbage)."""
    if isinstance(n, Lanes):
        builder = n.builder
        whole = ir.VectorType(ir.IntType(32), n.type.count)
        # saturating: the plain conversion of a NaN is undefined in LLVM
        convert = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(whole, [n.type]),
            f"llvm.fptosi.sat.v{n.type.count}i32.v{n.type.count}f32",
        )
        exponent = builder.add(
            builder.call(convert, [n.value]), ir.Constant(whole, [127] * n.type.count)
        )
        bits = builder.shl(exponent, ir.Constant(whole, [23] * n.type.count))
        return Lanes(builder, builder.bitcast(bits, n.type))
    return np.ldexp(np.float32(1), np.nan_to_num(n).astype(np.int32))


def sqrt(x: Any) -> Any:
    """Square root."""
    return _library(x, "sqrt")


def tanh(x: Any) -> Any:
    """Hyperbolic tangent; float32 within 6 ulp everywhere (tested), float64 the library's.

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
    return _choose(x, "<=", 0.0, 0.0, x)


def where_positive(x: Any, value: Any) -> Any:
    """`value` where x > 0, else 0; where x is NaN, `value`, as torch does it."""
    return _choose(x, "<=", 0.0, 0.0, value)
