"""`key=value` texts of the command line, laid over a config's tree."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import takewhile
from typing import Any, cast

from sinernn.errors import ConfigError, KeyPath, Place, Problem
from sinernn.places import Places
from sinernn.yamlfile import Document, describe, parse_value


@dataclass(frozen=True)
class Override:
    """One setting given on the command line."""

    text: str
    path: KeyPath
    value: Any
    places: Places


def parse_overrides(texts: Sequence[str]) -> list[Override]:
    """Parse overrides such as `model.hidden_size=32`; the value is YAML.

    Raises:
        ConfigError: With every one that is malformed, given twice, or lies within another.
    """
    problems: list[Problem] = []
    parsed: dict[KeyPath, Override] = {}
    for text in texts:
        try:
            new = _parse(text)
        except ConfigError as error:
            problems += error.problems
            continue
        for path, other in parsed.items():
            shared = min(len(path), len(new.path))
            if path[:shared] == new.path[:shared]:
                how = "is given twice" if path == new.path else "overlaps"
                message = f"{how}, with {other.places.top} before; keep one"
                problems.append(Problem(Place(text), new.path, message))
        parsed[new.path] = new
    if problems:
        raise ConfigError(problems)
    return list(parsed.values())


def apply_overrides(
    document: Document, overrides: Sequence[Override], *, replaces_section: frozenset[KeyPath]
) -> None:
    """Lay overrides over a document, in place.

    Args:
        document: The tree to change.
        overrides: What to set; their order does not matter.
        replaces_section: Paths which, when overridden, empty the section they stand in first.

    Raises:
        ConfigError: An override reaches into a single value.
    """
    problems: list[Problem] = []
    # What empties a section comes first.
    for override in sorted(overrides, key=lambda override: override.path not in replaces_section):
        if override.path in replaces_section:
            _forget(document, override.path[:-1])
        try:
            _set(document, override)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def from_option(words: Sequence[str], known: Sequence[KeyPath]) -> str | None:
    """Return the override that someone means who wrote an option, or None if it is no setting.

    Args:
        words: The option as it was typed, such as `--model.hidden_size` or `--steps=3`, and what
            followed it.
        known: Paths of all settings.
    """
    name, equals, value = words[0].lstrip("-").partition("=")
    name = name.replace("-", "_")
    if not equals:
        value = words[1] if len(words) > 1 and "=" not in words[1] else "VALUE"
    named = [".".join(str(part) for part in path) for path in known if path[-1] == name]
    meant = [name] if "." in name else list(dict.fromkeys(named))
    return " or ".join(f"{key}={value}" for key in meant) or None


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that `word` is most likely a slip of, if any is close."""
    return next(iter(get_close_matches(word[:100].lower(), known, n=1, cutoff=0.6)), None)


def _parse(text: str) -> Override:
    place = Place(text)
    key, equals, value = text.partition("=")
    path = tuple(key.strip().split("."))
    if message := _malformed(text, path, equals):
        raise ConfigError([Problem(place, (), message)])
    places = Places(place)
    try:
        parsed = parse_value(value, path, places, lambda _line, _column: place)
    except ConfigError as error:
        hint = ""
        if value.count("[") > value.count("]") or value.count("{") > value.count("}"):
            hint = "; in a shell, quote an override that holds spaces"
        problems = [Problem(place, found.path, found.message + hint) for found in error.problems]
        raise ConfigError(problems) from error
    if path not in places.values:
        message = f"has no value; write {key}=VALUE, or {key}=null for none"
        message += "; a # needs quotes" if "#" in value else ""
        raise ConfigError([Problem(place, (), message)])
    places.keys[path] = place
    return Override(text, path, parsed, places)


def _malformed(text: str, path: tuple[str, ...], equals: str) -> str | None:
    """Return what is wrong with an override's form, if anything is."""
    key = ".".join(path)
    if any("\ud800" <= char <= "\udfff" for char in text):  # how Python keeps undecodable bytes
        return "is not UTF-8 text"
    if not equals and all(part.isidentifier() for part in path):
        return f"has no value; write {key}=VALUE"
    if not equals or not key:
        return "an override is written key=value, as in model.hidden_size=32"
    if not all(path):
        return "a key is missing beside a dot; write all of it, as in model.hidden_size=32"
    if any(part.isdecimal() for part in path):
        whole = ".".join(takewhile(lambda part: not part.isdecimal(), path))
        return f"a list is written whole, as in {whole}=[0, 1]"
    return None


def _set(document: Document, override: Override) -> None:
    section: Any = document.tree
    path = override.path
    for depth, part in enumerate(path[:-1], start=1):
        inner: Any = section.get(part)
        if inner is None:
            inner = section[part] = {}
            for places in (document.places.keys, document.places.values):
                places.setdefault(path[:depth], override.places.top)
        if not isinstance(inner, dict):
            key = ".".join(str(part) for part in path[:depth])
            message = f"{key} is {describe(inner)}, not a section; write {key}=VALUE"
            raise ConfigError([Problem(override.places.top, path, message)])
        section = cast(Any, inner)
    _forget(document, path)
    document.places.keys |= override.places.keys
    document.places.values |= override.places.values
    section[path[-1]] = override.value


def _forget(document: Document, path: KeyPath) -> None:
    """Remove the value at `path`, and every place in it."""
    for places in (document.places.keys, document.places.values):
        for known in [known for known in places if known[: len(path)] == path]:
            del places[known]
    section: Any = document.tree
    for part in path[:-1]:
        section = section.get(part, {})
    section.pop(path[-1], None)
