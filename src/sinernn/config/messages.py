"""Turn pydantic's errors into messages: the place, what is wrong, what was found, what to do."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sinernn.config.overrides import split_values
from sinernn.config.places import Places
from sinernn.config.sections import REMOVED, Config
from sinernn.config.yaml import describe
from sinernn.errors import MAX_PROBLEMS, ConfigError, KeyPath, Place, Problem, nearest
from sinernn.schema import Section, descriptions, kinds_of, sections_in


@dataclass(frozen=True)
class _Location:
    """A key in the schema."""

    path: KeyPath
    """Keys and list positions, as a user writes them."""

    section: type[Section]
    """The section that holds the last key."""

    kinds: Mapping[str, type[Section]]
    """All kinds of that section by name, if there are several."""

    annotation: Any
    """Type of the value; None for an unknown key."""

    description: str = ""
    """Docstring of the setting."""


def to_problem(details: Any, places: Places, config: type[Section]) -> Problem:
    """Turn one of pydantic's errors into a problem with its place.

    Args:
        details: An item of `ValidationError.errors()`.
        places: Where everything was written.
        config: Model of the whole config.
    """
    location = _locate(config, details["loc"])
    path, given = location.path, details["input"]
    match details["type"]:
        case "extra_forbidden":
            place = places.find(path, of_key=True)
            if path in REMOVED:
                advice = "leave it out" if place.line is None else "delete the line"
                return Problem(place, path, f"was removed, since {REMOVED[path]}; {advice}")
            message = _about_unknown_key(location, config)
            return Problem(place, path, f"unknown key; {message}")
        case "missing":
            return Problem(places.find(path), path, "is required")
        case "union_tag_invalid":
            kinds = kinds_of(location.annotation)
            path, given = (*path, "kind"), given["kind"]
            expected, advice = f"must be {_one_of(list(kinds))}", _guess(given, list(kinds))
        case "model_type" | "model_attributes_type":
            expected, advice = _about_section(location, given)
        case _:
            expected, advice = _about_value(details, location)
            if config is Config:
                advice += _about_several(given, places.find(path))
    return Problem(places.find(path), path, f"{expected}, got {describe(given)}{advice}")


def to_error(problems: Sequence[Problem]) -> ConfigError:
    """Return an error with the problems of a file from top to bottom, then those of overrides."""

    def reading_order(problem: Problem) -> tuple[int, int, int]:
        place = problem.place
        return (place.line is None, place.line or 0, place.column or 0)

    found = sorted(dict.fromkeys(problems), key=reading_order)  # each once
    shown = found[:MAX_PROBLEMS]
    if len(found) > MAX_PROBLEMS:
        shown.append(Problem(shown[-1].place, (), "there are more problems; fix these first"))
    return ConfigError(shown)


def setting_names(section: type[Section], prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every setting, of every kind."""
    for name, field in section.model_fields.items():
        inner = sections_in(field.annotation)
        for kind in inner:
            yield from setting_names(kind, f"{prefix}{name}.")
        if not inner:
            yield f"{prefix}{name}"


def _locate(config: type[Section], loc: tuple[str | int, ...]) -> _Location:
    """Find pydantic's location in the schema; it holds names of kinds, which are not keys."""
    location = _Location((), config, {}, config)
    for part in loc:
        path = (*location.path, part)
        if kinds := kinds_of(location.annotation):
            location = _Location(location.path, location.section, kinds, kinds[str(part)])
        elif inner := sections_in(location.annotation):
            field = inner[0].model_fields.get(str(part))
            if field is None:
                location = _Location(path, inner[0], location.kinds, None)
            else:
                about = descriptions(inner[0]).get(str(part), "")
                location = _Location(path, inner[0], {}, field.annotation, about)
        else:  # a position in a list
            item = next(iter(get_args(location.annotation)), None)
            location = _Location(path, location.section, {}, item, location.description)
    return location


def _about_unknown_key(location: _Location, config: type[Section]) -> str:
    key, known = str(location.path[-1]), list(location.section.model_fields)
    parents = ".".join(str(part) for part in location.path[:-1])
    if owners := [name for name, kind in location.kinds.items() if key in kind.model_fields]:
        current = next(name for name, kind in location.kinds.items() if kind is location.section)
        return (
            f"it belongs to kind {_one_of(owners)}, not {current}; remove it, or set "
            f"{parents}.kind={owners[0]}"
        )
    if "." in key:
        return f"in a file, write {key.replace('.', ': {')}: ...}}"
    if key in config.model_fields:
        return f"it belongs to the top level, not to {parents}"
    elsewhere = [name for name in setting_names(config) if name.split(".")[-1] == key]
    if elsewhere:
        return f"did you mean {_one_of(list(dict.fromkeys(elsewhere)))}?"
    guess = nearest(key, known)
    return f"did you mean {guess}?" if guess else f"valid keys: {', '.join(known)}"


def _about_section(location: _Location, given: Any) -> tuple[str, str]:
    sections = sections_in(location.annotation)
    keys = list(dict.fromkeys(key for section in sections for key in section.model_fields))
    or_null, advice = _null_of(location), ""
    if given is None:
        advice = "; remove it to use the defaults"
    elif or_null and _means_null(given):
        advice = "; write null"
    return f"must be a section with keys such as {', '.join(keys[:4])}{or_null}", advice


def _about_value(details: Any, location: _Location) -> tuple[str, str]:
    """Return what a value must be, and what to write instead."""
    given, kind = details["input"], details["type"]
    advice = ""
    or_null = _null_of(location)
    match kind:
        case "literal_error":
            options: tuple[Any, ...] = get_args(location.annotation)
            if or_null:  # a union of a literal and None
                options = (*get_args(options[0]), "null")
            allowed = [str(option) for option in options]
            expected, advice = f"must be {_one_of(allowed)}", _guess(given, allowed)
        case "int_type":
            expected = f"must be a whole number{or_null}"
            advice = _about_number(given, or_null, is_decimal=False)
        case "float_type":
            expected = f"must be a number{or_null}"
            advice = _about_number(given, or_null, is_decimal=True)
        case "bool_type":
            expected, advice = "must be true or false", _about_bool(given)
        case "string_type":
            expected = "must be text"
            advice = "; put it in quotes" if isinstance(given, int | float | dict) else ""
        case "string_pattern_mismatch" if location.path == ("device",):
            expected = "must be auto, cpu, cuda, cuda:N or mps"
        case "tuple_type":
            items = sections_in(next(iter(get_args(location.annotation)), None))
            keys = ", ".join(key for section in items for key in list(section.model_fields)[:4])
            example = "[a, b]" if "str" in str(location.annotation) else "[0, 1]"
            expected = "must be a list"
            expected += f" of sections with keys such as {keys}" if keys else f", such as {example}"
        case "dict_type":
            expected = "must be a section, such as {name: value}"
        case _:
            why = f" ({' '.join(location.description.split()).rstrip('.')})"
            bounds = {name: _number(bound) for name, bound in details.get("ctx", {}).items()}
            template = _EXPECTED.get(kind, "{msg}")
            expected = template.format(msg=details["msg"], why=why, **bounds)
    return expected, advice


_EXPECTED = {
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}{why}",
    "finite_number": "must be finite",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters",
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length} entries{why}",
    "invalid_key": "must have keys that are text",
}
"""Messages by pydantic's type of error, for those that need only the bound that was exceeded."""


def _null_of(location: _Location) -> str:
    return " or null" if type(None) in get_args(location.annotation) else ""


def _means_null(given: Any) -> bool:
    return str(given).lower() in ("none", "nil", "off", "never", "no", "false")


def _about_number(given: Any, or_null: str, *, is_decimal: bool) -> str:
    if or_null and _means_null(given):
        return "; write null"
    if not isinstance(given, str):
        return ""
    if is_decimal and re.fullmatch(r"[-+]?\d+,\d+", given):
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


def _about_several(given: Any, place: Place) -> str:
    if place.line is None and isinstance(given, str) and len(split_values(given)) > 1:
        return f"; to train a run for each value: sinernn sweep CONFIG {place}"
    return ""


def _guess(given: Any, known: list[str]) -> str:
    guess = nearest(given, known) if isinstance(given, str) else None
    return f"; did you mean {guess}?" if guess and len(known) > 1 else ""


def _one_of(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
