"""What varies in a sweep: lists of values, and ranges to draw from."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import ValidationError

from sinernn.config.messages import to_problem
from sinernn.config.overrides import Override, parse_overrides
from sinernn.config.places import Places
from sinernn.config.yaml import describe, dump_yaml
from sinernn.errors import ConfigError, KeyPath, Place, Problem, collect_problems
from sinernn.schema import Section

DIGITS = 4  # of a drawn value


class Range(Section):
    """Bounds between which random draws a setting: a whole number if both bounds are."""

    min: float
    max: float
    scale: Literal["linear", "log"] = "linear"
    """log: every decade is as likely."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a parameter: the settings that it changes, and their text."""

    overrides: tuple[Override, ...]
    text: str
    """As in `16`, or `length=49, washout=30` of a mapping."""

    is_mapping: bool = False


@dataclass(frozen=True)
class Parameter:
    """A setting that varies, or several that change together."""

    path: tuple[str, ...]
    place: Place
    choices: tuple[Choice, ...] = ()
    range: Range | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether a list has only one value, which all points have in common."""
        return self.range is None and len(self.choices) == 1

    @property
    def key(self) -> str:
        """The dotted name."""
        return ".".join(self.path)


def is_range(text: str) -> bool:
    """Whether an override gives bounds, as in `key={min: 1, max: 9}`."""
    try:
        (parsed,) = parse_overrides([text])
    except ConfigError:
        return False  # reported where it is applied
    return isinstance(parsed.value, dict) and "min" in parsed.value


def read_parameters(
    given: Mapping[str, Any],
    places: Places,
    varied: Sequence[Sequence[Override]],
    fixed: Sequence[str],
    folder: Path,
) -> tuple[Parameter, ...]:
    """Return the parameters of a file, then those of the command line, which replace them.

    Args:
        given: Those of the file, by dotted name.
        places: Where they are written.
        varied: Values of settings on the command line.
        fixed: `key=value` texts of settings that no longer vary.
        folder: Of the file, from which paths in it are meant.

    Raises:
        ConfigError: One has no values, or two overlap.
    """
    problems: list[Problem] = []
    settled = parse_overrides(fixed)
    replaced = {each.path for each in settled} | {each[0].path for each in varied}
    found: list[Parameter] = []
    for key in given:
        path = tuple(key.split("."))
        if path not in replaced:
            with collect_problems(problems):
                found.append(_from_file(given[key], places, key, folder))
    for overrides in varied:
        place, path = overrides[0].places.top, tuple(map(str, overrides[0].path))
        if len(overrides) == 1:
            bounds = _bounds(overrides[0].value, overrides[0].places, path)
            found.append(Parameter(path, place, range=bounds))
        else:
            choices = tuple(_choice(each, folder=Path()) for each in overrides)
            found.append(Parameter(path, place, choices))
    for index, each in enumerate(found):
        listed: dict[tuple[tuple[KeyPath, str], ...], str] = {}
        for choice in each.choices:
            text, same = choice.text, listed.get(_meaning(choice))
            if same is not None:
                what = f"{text} twice" if text == same else f"{same} and {text}, which are equal"
                problems.append(Problem(each.place, each.path, f"lists {what}; remove one"))
            listed[_meaning(choice)] = text
        for other in found[:index]:
            if _overlap(each.path, other.path):
                message = f"overlaps with {other.key}; vary both in one list of mappings"
                problems.append(Problem(each.place, each.path, message))
        own = {leaf.path for choice in each.choices for leaf in choice.overrides} or {each.path}
        for other in settled:
            if any(_overlap(path, other.path) for path in own):
                message = f"conflicts with {other.places.top}; keep one"
                problems.append(Problem(each.place, each.path, message))
        if each.path[0] in ("name", "limits"):
            message = "changes no result; leave it out of the parameters"
            problems.append(Problem(each.place, each.path, message))
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def _meaning(choice: Choice) -> tuple[tuple[KeyPath, str], ...]:
    """Return the same for choices of equal settings, as `8` and `8.0`, in any order."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in cast("list[Any]", value)]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    settings = [(each.path, text_of(plain(each.value))) for each in choice.overrides]
    return tuple(sorted(settings, key=str))  # keys that are wrong may be numbers


def _overlap(path: KeyPath, other: KeyPath) -> bool:
    shared = min(len(path), len(other))
    return path[:shared] == other[:shared]


def _from_file(given: Any, places: Places, key: str, folder: Path) -> Parameter:
    """Return a parameter of a sweep's file."""
    path, here = tuple(key.split(".")), ("parameters", key)
    place = places.find(here)
    if isinstance(given, dict) and "min" in given:
        return Parameter(path, place, range=_bounds(given, _rerooted(places, here, ()), path))
    if not isinstance(given, list) or not given:
        example = f"{key}: [8, 16], or {key}: {{min: 1, max: 9}}"
        message = f"must be a list of values or a range, as in {example}, got {describe(given)}"
        raise ConfigError([Problem(place, here, message)])
    choices: list[Choice] = []
    for index, value in enumerate(cast("list[Any]", given)):
        of_value = _rerooted(places, (*here, index), path)
        of_value.keys[path] = places.find(here, of_key=True)
        choices.append(_choice(Override(path, value, of_value), folder=folder))
    return Parameter(path, place, tuple(choices))


def _rerooted(places: Places, source: KeyPath, target: KeyPath) -> Places:
    """Return the places of a value as if it stood elsewhere."""
    moved = Places(places.find(source))
    for old, new in ((places.keys, moved.keys), (places.values, moved.values)):
        for path, place in old.items():
            if path[: len(source)] == source:
                new[target + path[len(source) :]] = place
    for own in (moved.keys, moved.values):
        own.setdefault(target, moved.top)
    return moved


def _bounds(value: Any, places: Places, path: KeyPath) -> Range:
    """Return a range.

    Raises:
        ConfigError: It is empty, or has a logarithmic scale and a bound that is not positive.
    """
    try:
        bounds = Range.model_validate(value)
    except ValidationError as error:
        problems = [to_problem(each, places, Range) for each in error.errors()]
        raise ConfigError([replace(p, path=(*path, *p.path)) for p in problems]) from None
    if bounds.min >= bounds.max:
        message = f"must be greater than min ({bounds.min:g}), got {bounds.max:g}"
        raise ConfigError([Problem(places.find(("max",)), (*path, "max"), message)])
    if bounds.scale == "log" and bounds.min <= 0:
        message = f"must be greater than 0 on a log scale, got {bounds.min:g}; use scale: linear"
        raise ConfigError([Problem(places.find(("min",)), (*path, "min"), message)])
    if all(isinstance(value[name], int) for name in ("min", "max")):
        return bounds.model_copy(update={name: value[name] for name in ("min", "max")})
    return bounds


def _choice(override: Override, *, folder: Path) -> Choice:
    """Return a value of a parameter; a mapping merges into its section."""
    located: list[Override] = []
    for leaf in _leaves(override):
        value = leaf.value
        if leaf.path == ("signal", "path") and isinstance(value, str) and value:
            leaf = replace(leaf, value=os.path.abspath(folder / value))  # noqa: PTH100
        located.append(leaf)
    if not isinstance(override.value, dict):
        return Choice(tuple(located), text_of(override.value))
    depth = len(override.path)
    texts = [f"{'.'.join(map(str, o.path[depth:]))}={text_of(o.value)}" for o in located]
    if not texts:  # {}: the base's own section
        return Choice((), "unchanged")
    return Choice(tuple(located), ", ".join(texts), is_mapping=True)


def _leaves(override: Override) -> Iterator[Override]:
    """Yield the settings of a value, each with its places."""
    if not isinstance(override.value, dict):
        yield override
        return
    for key, inner in cast("dict[str, Any]", override.value).items():
        path = (*override.path, key)
        yield from _leaves(Override(path, inner, _rerooted(override.places, path, path)))


def text_of(value: Any) -> str:
    """Return a value as on the command line."""
    return " ".join(dump_yaml({"value": value}).partition(":")[2].split())


def drawn(parameter: Parameter, value: float | int) -> Choice:
    """Return a value of a range, rounded if it is no whole number: names and files stay short."""
    bounds = parameter.range
    if bounds is not None and not isinstance(value, int):
        value = min(max(float(f"{value:.{DIGITS}g}"), bounds.min), bounds.max)
    places = Places(parameter.place)
    places.keys[parameter.path] = places.values[parameter.path] = parameter.place
    return Choice((Override(parameter.path, value, places),), text_of(value))


def plain_values(parameter: Parameter) -> Any:
    """Return a parameter as the file of a sweep has it."""
    if parameter.range is not None:
        return parameter.range.model_dump()
    depth = len(parameter.path)
    values: list[Any] = []
    for choice in parameter.choices:
        if [each.path for each in choice.overrides] == [parameter.path]:
            values.append(choice.overrides[0].value)
            continue
        tree: dict[Any, Any] = {}
        for each in choice.overrides:
            section: dict[Any, Any] = tree
            for part in each.path[depth:-1]:
                section = section.setdefault(part, {})
            section[each.path[-1]] = each.value
        values.append(tree)
    return values
