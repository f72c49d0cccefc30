"""YAML text to a plain tree that knows where each key and value stands; overrides on top of it.

Scalars follow the core schema of YAML 1.2, not PyYAML's 1.1: `1e-3` is a number, `no`, `on` and
`1:30` are text. Aliases, anchors and tags are refused: a config is data, read as it is written.
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import yaml

from sinernn.errors import ConfigError, KeyPath, Place, Problem

_TAG = "tag:yaml.org,2002:"
# YAML 1.2.2, section 10.3.2, table "Core schema": tag, regular expression, first characters.
_CORE_SCHEMA = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
)


@dataclass
class Document:
    """A tree of dicts, lists and scalars, and the places of its keys and values."""

    source: str
    tree: dict[str, Any] = field(default_factory=dict[str, Any])
    key_places: dict[KeyPath, Place] = field(default_factory=dict[KeyPath, Place])
    value_places: dict[KeyPath, Place] = field(default_factory=dict[KeyPath, Place])

    def place(self, path: KeyPath, *, of_key: bool = False) -> Place:
        """Return where `path` stands; for a key that is not there, where its section stands."""
        places = self.key_places if of_key else self.value_places
        for end in range(len(path), 0, -1):
            if path[:end] in places:
                return places[path[:end]]
            places = self.key_places  # what is missing is reported at its section's key
        return Place(self.source, 1, 1)


_PlaceAt = Callable[[int, int], Place]
"""(line, column), both from 1 -> the place to name in a message."""


class _Reader(yaml.SafeLoader):
    """PyYAML's scanner and parser with YAML 1.2 scalars, and without aliases and anchors."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = cast(Any, self.peek_event())
        if getattr(event, "anchor", None) is not None:  # an alias has one, too
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases (& and *) are not allowed; write the value out",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)


class _Writer(yaml.SafeDumper):
    """PyYAML's emitter, quoting text that YAML 1.2 would take for something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless  # lists under a key are indented like everything else
        super().increase_indent(flow, False)


for _class in (_Reader, _Writer):
    _class.yaml_implicit_resolvers = {}
    for _name, _pattern, _first in _CORE_SCHEMA:
        _class.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)


def read_yaml(path: Path) -> Document:
    """Read a YAML file whose top is a mapping.

    Raises:
        ConfigError: The file cannot be read, or is not one plain YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _failure(Place(str(path)), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _failure(
            Place(str(path)), f"is not UTF-8 text: byte {error.start} is damaged"
        ) from error
    return parse_yaml(text, source=str(path))


def parse_yaml(text: str, *, source: str) -> Document:
    """Parse YAML text whose top is a mapping; `source` is what messages call it.

    Raises:
        ConfigError: The text is not one plain YAML mapping.
    """

    def place_at(line: int, column: int) -> Place:
        return Place(source, line, column)

    node = _compose(text, place_at)
    document = Document(source)
    if node is None:
        message = "is empty; `sinernn config init` writes one to start from"
        raise _failure(place_at(1, 1), message)
    value = _Builder(document, place_at).build(node, ())
    if not isinstance(value, dict):
        raise _failure(place_at(1, 1), f"must hold `key: value` pairs, got {describe(value)}")
    document.tree = value
    return document


def apply_overrides(
    document: Document, overrides: Sequence[str], *, replaces_section: frozenset[KeyPath]
) -> None:
    """Lay `key=value` overrides over a document, in place.

    Args:
        document: The tree to change.
        overrides: Texts such as `model.hidden_size=32`; the value is YAML.
        replaces_section: Paths which, when overridden, empty the section they stand in first.

    Raises:
        ConfigError: An override is malformed, given twice, or reaches into a single value.
    """
    problems: list[Problem] = []
    parsed: dict[KeyPath, tuple[str, yaml.Node]] = {}
    for text in overrides:
        try:
            path, node = _parse_override(text)
        except ConfigError as error:
            problems += error.problems
            continue
        if path in parsed:
            problems.append(Problem(Place(text), path, f"given twice, as {parsed[path][0]} before"))
        parsed[path] = (text, node)
    # What empties a section comes first: the order of the words does not matter.
    for path in sorted(parsed, key=lambda path: path not in replaces_section):
        text, node = parsed[path]
        if path in replaces_section:
            _forget(document, path[:-1])
        try:
            _set(document, path, text, node)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def dump_yaml(tree: Mapping[str, Any]) -> str:
    """Return the tree as YAML text that `parse_yaml` reads back to the same tree."""
    return yaml.dump(tree, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=100)


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that `word` is most likely a slip of, if any is close."""
    return next(iter(get_close_matches(word, known, n=1, cutoff=0.6)), None)


def describe(value: Any) -> str:
    """Return a value as an error message shows it: as YAML would write it, and short."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Builder:
    """Turns nodes into values, noting the place of each key and value on the way."""

    def __init__(self, document: Document, place_at: _PlaceAt) -> None:
        self.document = document
        self.place_at = place_at

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.document.value_places[path] = self._place(node)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._build_mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag.startswith(_TAG):
            return self._build_scalar(node, path)
        raise self._failure(node, path, f"tags such as {node.tag} are not allowed; leave it out")

    def _build_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key: Hashable = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str) or key_node.tag != _TAG + "str":
                raise self._failure(key_node, path, "every key must be a plain word")
            here = (*path, key)
            if key in mapping:
                first = self.document.key_places[here]
                raise self._failure(key_node, here, f"given twice, first in line {first.line}")
            self.document.key_places[here] = self._place(key_node)
            mapping[key] = self.build(value_node, here)
        return mapping

    def _build_scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = node.value
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                digits = text.lstrip("+-")
                base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
                return int(text, base)
            case "float":
                return float(text.replace(".inf", "inf").replace(".nan", "nan").lower())
            case _:
                message = f"tags such as {node.tag} are not allowed; leave it out"
                raise self._failure(node, path, message)

    def _place(self, node: yaml.Node) -> Place:
        return _place(node.start_mark, self.place_at)

    def _failure(self, node: yaml.Node, path: KeyPath, message: str) -> ConfigError:
        return ConfigError([Problem(self._place(node), path, message)])


def _place(mark: Any, place_at: _PlaceAt) -> Place:
    return place_at(mark.line + 1, mark.column + 1)  # YAML counts from 0, editors from 1


def _place_of_override(text: str) -> _PlaceAt:
    return lambda _line, _column: Place(text)


def _compose(text: str, place_at: _PlaceAt) -> yaml.Node | None:
    reader = None
    try:
        reader = _Reader(text)
        return reader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"is not YAML here: {error.problem or error.context}"
        raise _failure(_place(mark, place_at), message) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        message = f"U+{int(error.character):04X} is not allowed in YAML; remove it"
        raise _failure(place_at(line, column), message) from error
    finally:
        if reader is not None:
            reader.dispose()


def _parse_override(text: str) -> tuple[KeyPath, yaml.Node]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise _failure(Place(text), "an override is written key=value, as in model.hidden_size=32")
    node = _compose(value, _place_of_override(text))
    if node is None:
        raise _failure(Place(text), f"has no value; write {key}=null for none")
    return tuple(key.split(".")), node


def _set(document: Document, path: KeyPath, text: str, node: yaml.Node) -> None:
    section: dict[str | int, Any] = cast(Any, document.tree)
    for depth, part in enumerate(path[:-1], start=1):
        inner = section.get(part)
        if inner is None:
            inner = section[part] = {}
        if not isinstance(inner, dict):
            key = ".".join(str(part) for part in path[:depth])
            message = f"{key} is {describe(inner)}, not a section; write {key}=value"
            raise ConfigError([Problem(Place(text), path, message)])
        section = cast(Any, inner)
    _forget(document, path)
    document.key_places[path] = Place(text)
    section[path[-1]] = _Builder(document, _place_of_override(text)).build(node, path)


def _forget(document: Document, path: KeyPath) -> None:
    """Remove the value at `path`, and every place in it."""
    for places in (document.key_places, document.value_places):
        for known in [known for known in places if known[: len(path)] == path]:
            del places[known]
    section: Any = document.tree
    for part in path[:-1]:
        section = section.get(part, {})
    section.pop(path[-1], None)


def _failure(place: Place, message: str) -> ConfigError:
    return ConfigError([Problem(place, (), message)])
