# pyright: basic
# An extension of numba, whose types are unknown to a type checker.
"""The numba type of `Shape`: each value is its own type, so a kernel is compiled for each value.

In compiled code its attributes are constants.
"""

from numba.core import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
)

from sinernn.engines.fused.shape import Shape


class ConstantType(types.Type):
    """The type of one particular value, stored as `value`."""

    def __init__(self, value):
        self.value = value
        super().__init__(name=repr(value))


register_model(ConstantType)(models.OpaqueModel)


@typeof_impl.register(Shape)
def _typeof(value, _context):
    return ConstantType(value)


@infer_getattr
class _Attributes(AttributeTemplate):
    key = ConstantType

    def generic_resolve(self, kind, name):
        return types.literal(getattr(kind.value, name))


@lower_getattr_generic(ConstantType)
def _attribute(context, builder, kind, _value, name):
    return context.get_constant(types.intp, getattr(kind.value, name))
