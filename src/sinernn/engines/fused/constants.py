# pyright: basic
# An extension of numba, whose own types are unknown to a type checker.
"""Values that numba sees as types, so that a kernel is compiled for each of them."""

from typing import TypeVar

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


class ConstantType(types.Type):
    """The type of one particular value, which is its `value`."""

    def __init__(self, value):
        self.value = value
        super().__init__(name=repr(value))


register_model(ConstantType)(models.OpaqueModel)


Kind = TypeVar("Kind", bound=type)


def compile_time(kind: Kind) -> Kind:
    """Make each value of a class a type of its own, told from others by how it prints.

    In compiled code its attributes are constants: integers, or functions to call.
    """
    typeof_impl.register(kind)(lambda value, context: ConstantType(value))
    return kind


@unbox(ConstantType)
def _unbox(kind, value, context):
    return NativeValue(context.context.get_dummy_value())


@infer_getattr
class _Attributes(AttributeTemplate):
    key = ConstantType

    def generic_resolve(self, kind, name):
        value = getattr(kind.value, name)
        if isinstance(value, int):
            return types.literal(value)
        return self.context.resolve_value_type(value)


@lower_getattr_generic(ConstantType)
def _attribute(context, builder, kind, _value, name):
    value = getattr(kind.value, name)
    if isinstance(value, int):
        return context.get_constant(types.intp, value)
    return context.get_dummy_value()
