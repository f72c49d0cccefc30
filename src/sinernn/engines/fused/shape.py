# pyright: basic
# An extension of numba, whose own types are unknown to a type checker.
"""What a kernel is compiled for: a cell and a width, as a value that numba sees as a type."""

from dataclasses import dataclass

import numpy as np
from numba.core import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)

from sinernn.engines.fused.cells import CELLS

PADDED_BYTES = 64  # rows are padded to this: the widest vector in use


def _step(columns: int) -> int:
    """Row step of a matrix: rows a power of two apart would crowd into a few cache sets."""
    return columns + (PADDED_BYTES // 4 if columns % 256 == 0 else 0)


@dataclass(frozen=True)
class Shape:
    """A cell and its width; each attribute is a constant in compiled code.

    Sizes that are not here (channels, layers, batch, steps) are plain numbers, so that one
    compiled kernel serves them all.

    """

    cell: str
    """Name in `CELLS`."""

    hidden: int
    """Hidden units, padded to whole vectors."""

    @classmethod
    def of(cls, cell: str, hidden_size: int, dtype: str) -> "Shape":
        """The shape that holds `hidden_size` units."""
        lanes = PADDED_BYTES // np.dtype(dtype).itemsize
        # a narrow network takes a narrow vector: the power of two above it, at least 4
        multiple = min(lanes, max(4, 1 << (hidden_size - 1).bit_length()))
        return cls(cell, -(-hidden_size // multiple) * multiple)

    @property
    def gates(self) -> int:
        """Columns of a weight matrix."""
        return CELLS[self.cell].gates * self.hidden

    @property
    def gates_step(self) -> int:
        """From one row of a weight matrix to the next."""
        return _step(self.gates)

    @property
    def hidden_step(self) -> int:
        """From one row of a transposed weight matrix to the next."""
        return _step(self.hidden)

    @property
    def slots(self) -> int:
        """Columns of a step's pre-activations."""
        return CELLS[self.cell].slots * self.hidden

    @property
    def recurrent(self) -> int:
        """First of the slots' columns that the recurrent weights feed."""
        return self.slots - self.gates

    @property
    def states(self) -> int:
        """1 (h) or 2 (h and c)."""
        return CELLS[self.cell].states


class ShapeType(types.Type):
    """The type of one particular `Shape`."""

    def __init__(self, cell: str, hidden: int):
        self.cell, self.hidden = cell, hidden
        super().__init__(name=f"Shape({cell}, {hidden})")


register_model(ShapeType)(models.OpaqueModel)


@typeof_impl.register(Shape)
def _typeof_shape(shape, context):
    return ShapeType(shape.cell, shape.hidden)


@unbox(ShapeType)
def _unbox_shape(kind, value, context):
    return NativeValue(context.context.get_dummy_value())


@infer_getattr
class _ShapeAttributes(AttributeTemplate):
    key = ShapeType

    def generic_resolve(self, kind, name):
        return types.literal(getattr(Shape(kind.cell, kind.hidden), name))


@lower_getattr_generic(ShapeType)
def _shape_attribute(context, builder, kind, value, name):
    return context.get_constant(types.intp, getattr(Shape(kind.cell, kind.hidden), name))
