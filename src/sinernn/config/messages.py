"""Pydantic's errors in our words: the place, what is wrong, what was given, and the way out."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from sinernn.errors import KeyPath, Problem
from sinernn.overrides import nearest
from sinernn.places import Places
from sinernn.schema import Section, kinds_of, sections_in
from sinernn.yamlfile import describe


@dataclass(frozen=True)
class _Spot:
    """A place in the schema."""

    path: KeyPath
    """Keys and list positions, as a user writes them."""

    section: type[Section]
    """The section that holds the last key."""

    kinds: Mapping[str, type[Section]]
    """All kinds of that section, by name, if it is one of several."""

    annotation: Any
    """Type of the value; None for an unknown key."""

    description: str = ""
    """What the setting is."""


def to_problem(details: Any, places: Places, config: type[Section]) -> Problem:
    """Turn one of pydantic's errors into our words, with its place.

    Args:
        details: An item of `ValidationError.errors()`.
        places: Where everything was written.
        config: Model of the whole config.
    """
    spot = _find(config, details["loc"])
    path, given = spot.path, details["input"]
    match details["type"]:
        case "extra_forbidden":
            message = _about_unknown_key(spot, config)
            return Problem(places.find(path, of_key=True), path, f"unknown key; {message}")
        case "missing":
            return Problem(places.find(path), path, "is missing")
        case "union_tag_invalid":
            kinds = kinds_of(spot.annotation)
            path, given = (*path, "kind"), given["kind"]
            expected, way_out = f"must be {_one_of(list(kinds))}", _guess(given, list(kinds))
        case "model_type" | "model_attributes_type":
            expected, way_out = _about_section(spot, given)
        case _:
            expected, way_out = _about_value(details, spot)
    return Problem(places.find(path), path, f"{expected}, got {describe(given)}{way_out}")


def setting_paths(section: type[Section], path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every setting, of every kind."""
    for name, field in section.model_fields.items():
        inner = sections_in(field.annotation)
        for kind in inner:
            yield from setting_paths(kind, (*path, name))
        if not inner:
            yield (*path, name)


def _find(config: type[Section], location: tuple[str | int, ...]) -> _Spot:
    """Walk pydantic's location through the schema; the name of a kind in it is no key."""
    spot = _Spot((), config, {}, config)
    for part in location:
        path = (*spot.path, part)
        if kinds := kinds_of(spot.annotation):
            spot = _Spot(spot.path, spot.section, kinds, kinds[str(part)])
        elif inner := sections_in(spot.annotation):
            field = inner[0].model_fields.get(str(part))
            if field is None:
                spot = _Spot(path, inner[0], spot.kinds, None)
            else:
                spot = _Spot(path, inner[0], {}, field.annotation, field.description or "")
        else:  # a position in a list
            item = next(iter(get_args(spot.annotation)), None)
            spot = _Spot(path, spot.section, {}, item, spot.description)
    return spot


def _about_unknown_key(spot: _Spot, config: type[Section]) -> str:
    key, known = str(spot.path[-1]), list(spot.section.model_fields)
    parents = ".".join(str(part) for part in spot.path[:-1])
    if owners := [name for name, kind in spot.kinds.items() if key in kind.model_fields]:
        mine = next(name for name, kind in spot.kinds.items() if kind is spot.section)
        return (
            f"it belongs to kind {_one_of(owners)}, and this is {mine}; remove it, or set "
            f"{parents}.kind={owners[0]}"
        )
    if "." in key:
        return f"in a file, sections are indented: write {key.replace('.', ': {')}: ...}}"
    if key in config.model_fields:
        return f"it belongs at the top, not in {parents}"
    elsewhere = dict.fromkeys(path for path in setting_paths(config) if path[-1] == key)
    if elsewhere:
        names = _one_of([".".join(str(part) for part in path) for path in elsewhere])
        return f"did you mean {names}?"
    guess = nearest(key, known)
    return f"did you mean {guess}?" if guess else f"known here: {', '.join(known)}"


def _about_section(spot: _Spot, given: Any) -> tuple[str, str]:
    sections = sections_in(spot.annotation)
    keys = list(dict.fromkeys(key for section in sections for key in section.model_fields))
    way_out = "; leave it out for the defaults" if given is None else ""
    return f"must be a section with keys such as {', '.join(keys[:4])}", way_out


def _about_value(details: Any, spot: _Spot) -> tuple[str, str]:
    """Return what a value must be, and the way out."""
    given, context = details["input"], details.get("ctx", {})
    way_out = ""
    or_null = " or null" if type(None) in get_args(spot.annotation) else ""
    why = f" ({' '.join(spot.description.split()).rstrip('.')})"
    match details["type"]:
        case "greater_than":
            expected = f"must be greater than {_number(context['gt'])}"
        case "greater_than_equal":
            expected = f"must be at least {_number(context['ge'])}"
        case "less_than":
            expected = f"must be less than {_number(context['lt'])}"
        case "less_than_equal":
            expected = f"must be at most {_number(context['le'])}{why}"
        case "literal_error":
            allowed = [str(value) for value in get_args(spot.annotation)]
            expected, way_out = f"must be {_one_of(allowed)}", _guess(given, allowed)
        case "int_type" | "int_from_float" | "int_parsing":
            expected, way_out = f"must be a whole number{or_null}", _about_number(given, or_null)
        case "float_type" | "float_parsing":
            expected, way_out = f"must be a number{or_null}", _about_number(given, or_null)
        case "finite_number":
            expected = "must be finite"
        case "bool_type":
            expected, way_out = "must be true or false", _about_bool(given)
        case "string_type":
            expected = "must be text"
            way_out = "; put it in quotes" if isinstance(given, int | float | dict) else ""
        case "string_pattern_mismatch" if spot.path == ("device",):
            expected = "must be auto, cpu, cuda, cuda:N or mps"
        case "string_too_short" | "too_short":
            expected = "must not be empty"
        case "string_too_long":
            expected = f"must be at most {context['max_length']} characters"
        case "too_long":
            expected = f"must have at most {context['max_length']} entries{why}"
        case "tuple_type":
            items = sections_in(next(iter(get_args(spot.annotation)), None))
            keys = ", ".join(key for section in items for key in list(section.model_fields)[:4])
            expected = "must be a list"
            expected += f" of sections with keys such as {keys}" if keys else ", such as [0, 1]"
        case _:
            expected = details["msg"]
    return expected, way_out


def _about_number(given: Any, or_null: str) -> str:
    if not isinstance(given, str):
        return ""
    if or_null and given.lower() in ("none", "nil", "off", "never"):
        return "; write null"
    if re.fullmatch(r"[-+]?\d+,\d+", given):
        return f"; write {given.replace(',', '.')}"
    if not re.fullmatch(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?", given):
        return ""
    return f"; write {given.replace('_', '')}" if "_" in given else "; remove the quotes"


def _about_bool(given: Any) -> str:
    words = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
    word = str(given).lower()
    if isinstance(given, str) and word in ("true", "false"):
        return "; remove the quotes"
    return f"; write {words[word]}" if word in words else ""


def _guess(given: Any, known: list[str]) -> str:
    guess = nearest(given, known) if isinstance(given, str) else None
    return f"; did you mean {guess}?" if guess and len(known) > 1 else ""


def _one_of(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _number(value: float | int) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
