"""Base classes of config sections and of JSON files: strict types, frozen."""

import ast
import inspect
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from textwrap import dedent
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
        validate_default=True,
        defer_build=True,  # only the whole config's validator is used: building each takes time
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        """Describe the section and every setting in the JSON Schema."""
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        if "description" in schema:
            schema["description"] = schema["description"].partition("\n\nExample:")[0]
        for name, text in descriptions(cls).items():
            schema["properties"][name]["description"] = text
        return reference


class JsonModel(BaseModel):
    """A JSON file of a run, or a part of one: missing keys have defaults, unknown ones are kept."""

    model_config = ConfigDict(
        extra="allow", frozen=True, strict=True, allow_inf_nan=False, defer_build=True
    )


@cache
def descriptions(section: type[Section]) -> dict[str, str]:
    """Return the description of each setting: `Field(description=...)`, or the docstring below it.

    Docstrings are read from the source on the first call. (Pydantic's `use_attribute_docstrings`
    reads them when a class is created, which would delay the start of every command.)
    """
    found = {
        name: field.description for name, field in section.model_fields.items() if field.description
    }
    for kind in reversed(section.__mro__[: section.__mro__.index(Section)]):
        body = cast(ast.ClassDef, ast.parse(dedent(inspect.getsource(kind))).body[0]).body
        for statement, below in pairwise(body):
            if isinstance(statement, ast.AnnAssign) and isinstance(below, ast.Expr):
                text = ast.literal_eval(below.value)
                found[ast.unparse(statement.target)] = inspect.cleandoc(text)
    return {name: text for name, text in found.items() if name in section.model_fields}


def _whole_float_to_int(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


whole = BeforeValidator(_whole_float_to_int)  # accepts 1e5 for 100000
"""In an `Annotated`, put it after the bounds; otherwise the JSON Schema lacks them."""

Whole = Annotated[int, whole]


@dataclass(frozen=True)
class Conflict:
    """Settings that contradict each other."""

    settings: tuple[str, ...]
    """Dotted names; the message is about the first, the others are involved."""

    message: str


def sections_in(annotation: Any) -> list[type[Section]]:
    """Return the sections that a value of this type can be, except those in lists."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return sections_in(arguments[0])
    if get_origin(annotation) in (Union, UnionType):
        return [section for argument in arguments for section in sections_in(argument)]
    return []


def kinds_of(annotation: Any) -> dict[str, type[Section]]:
    """Return the sections of a union over `kind`, by kind; empty for any other type."""
    sections = sections_in(annotation)
    if len(sections) < 2:
        return {}
    return {get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in sections}


def default_kind(kind: str) -> BeforeValidator:
    """Return a validator that sets the `kind` of a section that has none.

    A union is written `Annotated[A | B, Field(discriminator="kind"), default_kind("a")]`; of its
    sections only the default has a default for `kind`.
    """

    def with_kind(value: Any) -> Any:
        return {"kind": kind} | cast(Any, value) if isinstance(value, dict) else value

    return BeforeValidator(with_kind)
