"""Parse `key=value` overrides and apply them to a config."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import takewhile
from typing import Any, cast

from sinernn.config.places import Document, Places
from sinernn.config.yaml import describe, parse_value
from sinernn.errors import ConfigError, KeyPath, Place, Problem, collect_problems, printable

REPLACES_SECTION: KeyPath = ("signal", "kind")
"""Path whose override first removes the section that contains it."""

MAX_NAME = 200  # characters of a run's name
MAX_VALUE = 40  # characters of a setting in a name
NOT_IN_NAMES = r"[\s\[\]{}'\"]"  # a list is as clear without its brackets


@dataclass(frozen=True, slots=True)
class Override:
    """One setting changed on the command line."""

    path: KeyPath
    value: Any
    places: Places


def parse_overrides(texts: Sequence[str]) -> list[Override]:
    """Parse overrides such as `model.hidden_size=32`; the value is YAML.

    Raises:
        ConfigError: With every override that is malformed or conflicts with another.
    """
    problems: list[Problem] = []
    parsed: dict[KeyPath, Override] = {}
    for text in texts:
        with collect_problems(problems):
            new = _parse(text)
            for path, other in parsed.items():
                shared = min(len(path), len(new.path))
                if path[:shared] == new.path[:shared]:
                    message = f"conflicts with {other.places.top}; keep one"
                    problems.append(Problem(Place(text), new.path, message))
            parsed[new.path] = new
    if problems:
        raise ConfigError(problems)
    return list(parsed.values())


def apply_overrides(document: Document, overrides: Sequence[Override]) -> None:
    """Apply overrides to a document, in place.

    Args:
        document: The tree to change.
        overrides: What to set; their order does not matter.

    Raises:
        ConfigError: An override sets a key of something that is not a section.
    """
    problems: list[Problem] = []
    for override in sorted(overrides, key=lambda override: override.path != REPLACES_SECTION):
        if override.path == REPLACES_SECTION:
            document.remove(override.path[:-1])
        with collect_problems(problems):
            _set(document, override)
    if problems:
        raise ConfigError(problems)


def split_values(text: str) -> list[str]:
    """Split a text at its commas outside brackets and quotes, as in `8,16` but not in `[0, 1]`."""
    parts, depth, quote = [""], 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[{":
            depth += 1
        elif char in "]}":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += char
    return parts


def short_names(known: Iterable[str]) -> dict[str, str]:
    """Return each setting's last part, or its whole name where another setting has the same.

    Names that come from a run's files may be of any kind: what is returned can be printed.
    """
    lasts = {key: key.split(".")[-1] for key in known}
    counts = Counter(lasts.values())
    return {key: printable(last if counts[last] == 1 else key, 60) for key, last in lasts.items()}


def add_to_name(name: str, overrides: Sequence[str], known: Iterable[str]) -> str:
    """Return a name with overrides in it, as in `default, hidden_size=24, seed=3`.

    An override replaces an earlier one of the same setting, the order is alphabetical, and a long
    value ends in a checksum. Limits are left out: they change no result.

    Args:
        name: A name, which may contain overrides.
        overrides: `key=value` texts.
        known: Dotted names of all settings; a key is shortened to its last part if no other
            setting has it.
    """
    parts, short_of = name.split(", "), short_names(known)
    settings = {part.split("=")[0]: part for part in parts if "=" in part}
    for text in overrides:
        key, _, value = text.partition("=")
        key = key.strip()
        if key.split(".")[0] not in ("limits", "name"):
            short = short_of.get(key, key)
            value = printable(re.sub(NOT_IN_NAMES, "", value), len(value) * 10)
            if len(value) > MAX_VALUE:
                value = f"{value[: MAX_VALUE - 9]}-{sha256(value.encode()).hexdigest()[:8]}"
            settings[short] = f"{short}={value}"
    kept = [part for part in parts if part and "=" not in part]
    for part in sorted(settings.values()):
        if len(", ".join([*kept, part])) <= MAX_NAME:  # a part that is cut would be another setting
            kept.append(part)
    return ", ".join(kept)


def override_for_option(words: Sequence[str], known: Iterable[str]) -> str | None:
    """Return the override for a setting typed as an option, or None if there is no such setting.

    Args:
        words: The option, such as `--model.hidden_size` or `--steps=3`, and the arguments after
            it.
        known: Dotted names of all settings.
    """
    name, equals, value = words[0].lstrip("-").partition("=")
    name = name.replace("-", "_")
    if not equals:
        value = words[1] if len(words) > 1 and "=" not in words[1] else "VALUE"
    named = [each for each in known if each.split(".")[-1] == name]
    keys = [name] if "." in name else list(dict.fromkeys(named))
    return " or ".join(f"{key}={value}" for key in keys) or None


def _parse(text: str) -> Override:
    place = Place(text)
    key, equals, value = text.partition("=")
    path = tuple(key.strip().split("."))
    if message := _malformed(text, path, equals):
        raise ConfigError([Problem(place, (), message)])
    places = Places(place)
    try:
        parsed = parse_value(value, path, places, lambda _mark: place)
    except ConfigError as error:
        hint = ""
        if value.count("[") > value.count("]") or value.count("{") > value.count("}"):
            hint = "; in a shell, quote an override that contains spaces"
        problems = [Problem(place, found.path, found.message + hint) for found in error.problems]
        raise ConfigError(problems) from error
    if path not in places.values:
        message = f"has no value; write {key}=VALUE, or {key}=null for none"
        message += "; a # needs quotes" if "#" in value else ""
        raise ConfigError([Problem(place, (), message)])
    places.keys[path] = place
    return Override(path, parsed, places)


def _malformed(text: str, path: tuple[str, ...], equals: str) -> str | None:
    """Return what is wrong with the form of an override, or None."""
    key = ".".join(path)
    if any("\ud800" <= char <= "\udfff" for char in text):  # undecodable bytes
        return "is not UTF-8 text"
    if not equals and all(part.isidentifier() for part in path):
        return f"has no value; write {key}=VALUE"
    if not equals or not key:
        return "an override must be key=value, for example model.hidden_size=32"
    if not all(path):
        return "a key is missing next to a dot; an example is model.hidden_size=32"
    if any(part.isdecimal() for part in path):
        whole = ".".join(takewhile(lambda part: not part.isdecimal(), path))
        return f"list items cannot be set one by one; set the whole list, as in {whole}=[0, 1]"
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
    document.remove(path)
    document.places.keys |= override.places.keys
    document.places.values |= override.places.values
    section[path[-1]] = override.value
