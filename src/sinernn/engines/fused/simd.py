# pyright: basic, reportAttributeAccessIssue=false, reportArgumentType=false
# Formulas take numpy arrays or LLVM vectors, which have no common type.
"""LLVM vectors with the operators of a number, for formulas that also run on numpy arrays.

A formula (`model.functions`, `model.cells`, Adam) takes a numpy array, and is then plain Python
that a test can call; or it takes `Lanes`, and appends vector instructions to the function that
numba is compiling. Both uses share one definition, so they cannot disagree.

LLVM lowers a vector to the instructions of the processor. Flags: only `contract` (a product and a
sum may fuse), because `nnan` or `ninf` would let the compiler hide a NaN, and `reassoc` would undo
the two-part constant of `exp`.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

CONTRACT = ("contract",)


class Lanes:
    """One LLVM vector of floats, with the operators of a number.

    `builder` receives the instructions, `value` is the LLVM vector.
    """

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    @property
    def type(self) -> ir.VectorType:
        """The LLVM type of the vector."""
        return self.value.type

    def lift(self, other: Any) -> ir.Value:
        """Return the LLVM vector of another `Lanes`, or a vector of one Python number."""
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

    @property
    def dtype(self) -> Any:
        """The numpy type of a lane."""
        return np.dtype(np.float32 if self.type.element == ir.FloatType() else np.float64)

    def tanh(self) -> "Lanes":
        """Return the library's hyperbolic tangent."""
        return self._intrinsic("tanh")

    def exp(self) -> "Lanes":
        """Return the library's exponential."""
        return self._intrinsic("exp")

    def sqrt(self) -> "Lanes":
        """Return the square root."""
        return self._intrinsic("sqrt")

    def rint(self) -> "Lanes":
        """Return the nearest integer."""
        return self._intrinsic("rint")

    def choose(self, compare: str, limit: float, chosen: Any, otherwise: Any) -> "Lanes":
        """Return `chosen` where `self <compare> limit`, else (and for a NaN) `otherwise`."""
        mask = self.builder.fcmp_ordered(compare, self.value, self.lift(limit))
        selected = self.builder.select(mask, self.lift(chosen), self.lift(otherwise))
        return Lanes(self.builder, selected)

    def power_of_two(self) -> "Lanes":
        """Return 2**self for float32 integers in -126..127 (for a NaN, an arbitrary number)."""
        builder, lanes = self.builder, self.type.count
        whole = ir.VectorType(ir.IntType(32), lanes)
        # saturating: the plain conversion of a NaN is undefined in LLVM
        convert = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(whole, [self.type]),
            f"llvm.fptosi.sat.v{lanes}i32.v{lanes}f32",
        )
        exponent = builder.add(
            builder.call(convert, [self.value]), ir.Constant(whole, [127] * lanes)
        )
        bits = builder.shl(exponent, ir.Constant(whole, [23] * lanes))
        return Lanes(builder, builder.bitcast(bits, self.type))

    def _intrinsic(self, name: str) -> "Lanes":
        """Apply the LLVM intrinsic `llvm.<name>` to every lane."""
        suffix = f"v{self.type.count}{'f32' if self.type.element == ir.FloatType() else 'f64'}"
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(self.type, [self.type]), f"llvm.{name}.{suffix}"
        )
        return Lanes(self.builder, self.builder.call(function, [self.value]))
