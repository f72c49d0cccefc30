"""Checks of every annotation while the tests run: shapes by jaxtyping, all else by beartype alone.

jaxtyping binds the arguments of each call, to compare dimensions between them. Most functions have
no array, and many take less time than that.
"""

from collections.abc import Callable
from typing import Any, get_args

import jaxtyping

with_shapes = jaxtyping.jaxtyped


def has_array(hint: object) -> bool:
    """Return whether an annotation may contain an array type; a string may."""
    if isinstance(hint, list):  # the arguments of a Callable
        return any(map(has_array, hint))
    is_array = isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)
    return is_array or isinstance(hint, str) or any(map(has_array, get_args(hint)))


def checked(*, typechecker: Callable[..., Any]) -> Callable[..., Any]:
    """Return a decorator of functions and classes, in place of `jaxtyping.jaxtyped`."""

    def decorate(decorated: Any) -> Any:
        hints = list(getattr(decorated, "__annotations__", {}).values())
        if isinstance(decorated, type) or has_array(hints):
            return with_shapes(typechecker=typechecker)(decorated)
        return typechecker(decorated)

    return decorate


jaxtyping.jaxtyped = checked
jaxtyping.install_import_hook("sinernn", "beartype.beartype")
