"""Base class of config sections: strict types, frozen, no unknown keys."""

from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    """A section of the config."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,  # "12" is not a number, and true is not 1
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )


def _whole_float_to_int(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


whole = BeforeValidator(_whole_float_to_int)  # 1e5 is a fine way to write 100000
"""In an `Annotated`, put it after the bounds, or they are missing in the JSON Schema."""

Whole = Annotated[int, whole]


@dataclass(frozen=True)
class Conflict:
    """Settings that do not go together."""

    settings: tuple[str, ...]
    """Dotted names; the message is about the first, and the others have a part in it."""

    message: str


def sections_in(annotation: Any) -> list[type[Section]]:
    """Return the sections that a value of this type can be, without those in lists."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return sections_in(arguments[0])
    if get_origin(annotation) in (Union, UnionType):
        return [section for argument in arguments for section in sections_in(argument)]
    return []


def kinds_of(annotation: Any) -> dict[str, type[Section]]:
    """Return the sections of a union over `kind`, by kind; nothing for any other type."""
    sections = sections_in(annotation)
    if len(sections) < 2:
        return {}
    return {get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in sections}


def default_kind(kind: str) -> BeforeValidator:
    """Return a validator that gives a section without a `kind` this one.

    A union is written `Annotated[A | B, Field(discriminator="kind"), default_kind("a")]`; of its
    sections only the default has a default for `kind`.
    """

    def with_kind(value: Any) -> Any:
        return {"kind": kind} | cast(Any, value) if isinstance(value, dict) else value

    return BeforeValidator(with_kind)
