# pyright: basic
# Code generation for numba: its types and llvmlite's are unknown to a type checker.
"""Matrices for the kernels: numpy arrays in Python, pointers and vectors when compiled.

The functions of this module, of `gemm` and of `elementwise` are defined in numpy, and this
definition runs when the JIT is off. `@emitted` registers the same function with numba: its result
type, and how to write it as LLVM vector instructions. Numba's own loops are not vectorised here,
because LLVM unrolls short loops of a known length before its loop vectoriser runs.

A matrix is a view of a flat array, without ownership, so creating one costs nothing: no allocation
and no reference count. Its width (number of columns) is known at compile time if it comes from a
`Shape`. Vector loads and stores need a known width.
"""

import math
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import CallableTemplate, infer, infer_global
from numba.extending import lower_builtin, models, register_model

from sinernn.engines.fused.simd import Lanes

_FEATURES = llvmlite.binding.get_host_cpu_features()
# Bytes in a vector, and the number of sums that fit into registers together with the operands.
VECTOR_BYTES, SUMS = (64, 24) if _FEATURES.get("avx512f") else (32, 12)


class MatrixType(types.Type):
    """The compiled type of a matrix.

    Args:
        dtype: float32 or float64.
        width: Number of columns; None if only known at run time.
        by_columns: Whether storage is column-major (a transposed view), not row-major.
    """

    def __init__(self, dtype: types.Float, width: int | None, by_columns: bool = False):
        self.dtype, self.width, self.by_columns = dtype, width, by_columns
        super().__init__(name=f"Matrix({dtype}, {width}, {by_columns})")


@register_model(MatrixType)
class _MatrixModel(models.StructModel):
    def __init__(self, manager, kind):
        members = [("data", types.CPointer(kind.dtype))]
        # step: distance between rows (between columns if by_columns)
        members += [(name, types.intp) for name in ("rows", "columns", "step")]
        super().__init__(manager, kind, members)


def emitted(result: Callable[..., Any], emit: Callable[..., Any]) -> Callable[..., Any]:
    """Register a Python function with numba, with LLVM code written by `emit`.

    Args:
        result: Maps the numba types of the arguments to the result type.
        emit: (context, builder, signature, LLVM arguments) -> LLVM value.
    """

    def register(function):
        class Template(CallableTemplate):
            key = function
            prefer_literal = True  # so that a constant width stays a literal

            def generic(self):
                return result

        infer(Template)
        infer_global(function, types.Function(Template))
        lower_builtin(function, types.VarArg(types.Any))(emit)
        return function

    return register


class View:
    """A matrix during code generation; `parts` are data, rows, columns and step."""

    def __init__(self, builder, kind: MatrixType, parts):
        self.builder, self.kind, self.parts = builder, kind, tuple(parts)
        self.width: Any = kind.width  # None if only known at run time
        self.data, self.rows, self.columns, self.step = self.parts
        self.element = self.data.type.pointee
        self.item_bytes = kind.dtype.bitwidth // 8

    def part(self, row, rows, column: int = 0, width: int | None = None) -> "View":
        """Return a view of some rows, and of some columns if a width is given."""
        kind, columns = self.kind, self.columns
        if width is not None:
            kind, columns = MatrixType(kind.dtype, width, kind.by_columns), integer(width)
        return View(
            self.builder, kind, (self.address(row, integer(column)), rows, columns, self.step)
        )

    def lanes(self) -> int:
        """Return the largest number of lanes for which whole vectors fill a row."""
        return math.gcd(self.width, VECTOR_BYTES // self.item_bytes)

    def address(self, row, column):
        """Return the address of one number."""
        b = self.builder
        far, near = (column, row) if self.kind.by_columns else (row, column)
        offset = b.add(b.mul(far, self.step), near)
        return b.gep(self.data, [offset], inbounds=True)

    def scalar(self, row, column):
        """Load one number."""
        return self.builder.load(self.address(row, column), align=self.item_bytes)

    def _vector_pointer(self, row, column, lanes):
        kind = ir.VectorType(self.element, lanes)
        return self.builder.bitcast(self.address(row, column), kind.as_pointer())

    def load(self, row, column, lanes) -> Lanes:
        """Load `lanes` numbers of a row, starting at a column."""
        pointer = self._vector_pointer(row, column, lanes)
        return Lanes(self.builder, self.builder.load(pointer, align=self.item_bytes))

    def store(self, row, column, vector: Any, lanes: int):
        """Store `lanes` numbers in a row, starting at a column."""
        kind = ir.VectorType(self.element, lanes)
        if not isinstance(vector, Lanes):
            vector = Lanes(self.builder, ir.Constant(kind, [float(vector)] * lanes))
        pointer = self._vector_pointer(row, column, lanes)
        self.builder.store(vector.value, pointer, align=self.item_bytes)


def integer(value: int) -> ir.Constant:
    """Return a constant index."""
    return ir.Constant(ir.IntType(64), value)


def views_of(context, builder, sig, args) -> list[View]:
    """Return views of the matrices among the arguments."""
    return [
        View(builder, kind, cgutils.unpack_tuple(builder, value, 4))
        for kind, value in zip(sig.args, args, strict=True)
        if isinstance(kind, MatrixType)
    ]


def outlined(builder, name: str, views: list[View], emit: Callable[..., None]):
    """Call a function written by `emit(builder, *views)`, once per module and never inlined.

    One copy compiles faster than many, and its loops can use all registers.
    """
    arguments = [part for view in views for part in view.parts]
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, f"sinernn.{name}")
    if not function.blocks:
        function.linkage = "internal"
        function.attributes.add("noinline")
        inner = ir.IRBuilder(function.append_basic_block())
        parts = iter(function.args)
        emit(inner, *(View(inner, v.kind, [next(parts) for _ in v.parts]) for v in views))
        inner.ret_void()
    builder.call(function, arguments)


def choose(condition, one: View, other: View) -> View:
    """Return a view that is one of two, selected at run time by `condition`."""
    pairs = zip(one.parts, other.parts, strict=True)
    return View(one.builder, one.kind, [one.builder.select(condition, *pair) for pair in pairs])


def loop(builder, start, stop, step: int):
    """Write a loop; the context manager yields the index."""
    return cgutils.for_range_slice(builder, start, stop, integer(step), ir.IntType(64))


def splat(builder, scalar, lanes: int) -> Lanes:
    """Return one number in every lane."""
    kind = ir.VectorType(scalar.type, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return Lanes(builder, builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask))


def _matrix_result(array, at, rows, columns, step):
    return MatrixType(array.dtype, getattr(columns, "literal_value", None))


def _emit_matrix(context, builder, sig, args):
    array, at, rows, columns, step = args
    data = context.make_array(sig.args[0])(context, builder, array).data
    integers = [
        context.cast(builder, value, kind, types.intp)
        for value, kind in zip((at, rows, columns, step), sig.args[1:], strict=True)
    ]
    result = cgutils.create_struct_proxy(sig.return_type)(context, builder)
    result.data = builder.gep(data, [integers[0]], inbounds=True)
    result.rows, result.columns, result.step = integers[1:]
    return result._getvalue()


@emitted(_matrix_result, _emit_matrix)
def matrix(array, at, rows, columns, step):
    """Return a view [rows, columns] of an array's elements from `at` on, with rows `step` apart."""
    if at + (rows - 1) * step + columns > array.size:
        raise ValueError(f"a matrix ends beyond its buffer of {array.size} numbers")
    steps = (step * array.itemsize, array.itemsize)
    return np.lib.stride_tricks.as_strided(array.reshape(-1)[at:], (rows, columns), steps)


def _emit_transposed(context, builder, sig, args):
    a = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    result = cgutils.create_struct_proxy(sig.return_type)(context, builder)
    result.data, result.step = a.data, a.step
    result.rows, result.columns = a.columns, a.rows
    return result._getvalue()


@emitted(lambda a: MatrixType(a.dtype, None, by_columns=True), _emit_transposed)
def transposed(a):
    """Return the transposed view, for use as the first factor of `product`."""
    return a.T
