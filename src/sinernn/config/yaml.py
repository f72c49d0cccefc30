"""Read YAML into plain values and their places, and write it.

Scalars follow the core schema of YAML 1.2, not PyYAML's 1.1: `1e-3` is a number; `no`, `on` and
`1:30` are text. Anchors, aliases, tags and directives are not allowed.
"""

import codecs
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from textwrap import indent
from typing import Any, cast

import yaml

from sinernn.config.places import Document, Places
from sinernn.errors import ConfigError, KeyPath, Place, Problem, printable

MAX_BYTES = 500_000  # 10,000 numbers take half of it; PyYAML reads a megabyte a second
MAX_VALUES = 10_000  # keys and values; PyYAML reads about 30,000 a second
MAX_DEPTH = 20  # a config needs 4; PyYAML recurses
MAX_DIGITS = 300  # as many as a float has, and far below the limit of Python's int()

_TAG = "tag:yaml.org,2002:"
# YAML 1.2.2, section 10.3.2, table "Core schema": tag, regular expression, first characters.
_CORE_SCHEMA = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
)

_NO_CHARACTER = "invalid character escape; write the character itself"

PlaceAt = Callable[[yaml.Mark], Place]
"""PyYAML's mark, which counts from 0 -> the place to show in a message."""


def read_yaml(path: Path) -> Document:
    """Read a YAML file that contains one mapping.

    Raises:
        ConfigError: The file cannot be read, or is not one plain YAML mapping.
    """
    source = str(path)
    data = _read(path).removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        *before, last = data[: error.start].decode().split("\n")
        place = Place(source, len(before) + 1, len(last) + 1)
        message = f"invalid UTF-8 byte 0x{data[error.start]:02x}; save the file as UTF-8"
        raise _failure(place, message) from error
    return parse_yaml(text, source=source)


def _read(path: Path) -> bytes:
    place = Place(str(path))
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _failure(place, "is a directory, not a YAML file")
        if not stat.S_ISREG(mode):  # a pipe could block, a device could be endless
            raise _failure(place, "not a regular file; save the config as a file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _failure(place, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise _failure(place, f"is larger than {MAX_BYTES // 1000} kB; is this a config?")
    return data


def parse_yaml(text: str, *, source: str) -> Document:
    """Parse YAML text that contains one mapping; messages name it `source`.

    Raises:
        ConfigError: The text is not one plain YAML mapping.
    """
    lines = text.splitlines()  # splits at the same characters as PyYAML

    def place_at(mark: yaml.Mark) -> Place:
        line = lines[mark.line] if mark.line < len(lines) else ""
        return Place(source, mark.line + 1, mark.column + 1, line)

    places = Places(Place(source, 1, 1))
    value = parse_value(text, (), places, place_at)
    if isinstance(value, dict):
        return Document(cast(dict[str, Any], value), places)
    if value is None:
        message = "is empty; `sinernn init` writes a config to start from"
    else:
        message = f"must contain `key: value` lines, got {describe(value)}"
        if isinstance(value, str) and ":" in value:
            message += "; a space must follow the colon"
    raise _failure(places.values.get((), places.top), message)


def parse_value(text: str, path: KeyPath, places: Places, place_at: PlaceAt) -> Any:
    """Parse one YAML value and record the place of everything in it; None for no value.

    Args:
        text: YAML.
        path: Path of the value in the config.
        places: Receives the places.
        place_at: Maps a mark in the text to the place to show in a message.

    Raises:
        ConfigError: With every problem of the text, or its first syntax error.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        builder = _Builder(places, place_at, loader.problems)
        value = None if node is None else builder.build(node, path)
    except yaml.MarkedYAMLError as error:
        mark, message = _in_plain_english(error)
        raise _failure(place_at(mark), message) from error
    except yaml.reader.ReaderError as error:
        *before, last = text[: error.position].split("\n")
        mark = yaml.Mark("", error.position, len(before), len(last), None, 0)
        code = int(error.character)
        what = f"the control character U+{code:04X}" if code else "a NUL byte"
        raise _failure(place_at(mark), f"contains {what}; remove it") from error
    except ValueError as error:  # PyYAML does not check escapes such as "\U00110000"
        raise _failure(place_at(cast(Any, loader).get_mark()), _NO_CHARACTER) from error
    finally:
        if loader is not None:
            loader.dispose()
    if builder.problems:
        raise ConfigError(builder.problems)
    return value


def dump_yaml(tree: Mapping[str, Any], note: Callable[[KeyPath], str] | None = None) -> str:
    """Return the tree as YAML text that `parse_yaml` reads back to the same tree.

    Args:
        tree: What to write.
        note: Maps the path of a value to a comment for its line, or to no text.
    """
    return "".join(_dumped_lines(tree, (), note))


def _dumped_lines(
    tree: Mapping[str, Any], path: KeyPath, note: Callable[[KeyPath], str] | None
) -> Iterator[str]:
    for key, value in tree.items():
        here = (*path, key)
        if isinstance(value, dict) and value:
            text = f"{key}:\n" + "".join(_dumped_lines(cast(Any, value), here, note))
        else:
            words = "" if note is None else printable(note(here), 200)
            comment = f"  # {words}" if words else ""
            items = cast("list[Any]", value) if isinstance(value, list) else []
            if items and all(isinstance(item, dict) for item in items):
                lines = [f"  - {_dumped(item, flow=True)}\n" for item in items]
                text = f"{key}:{comment}\n{''.join(lines)}"
            else:
                text = f"{_dumped_entry(key, value)}{comment}\n"
        yield indent(text, "  ") if path else text


_NUMBERS = yaml.representer.SafeRepresenter()


def _dumped_entry(key: Any, value: Any) -> str:
    """Return a key and a value that is no section."""
    if isinstance(value, str):
        return _dumped_text(key, value)
    if value is None or isinstance(value, bool | int | float):  # needs no quotes
        number = cast(yaml.ScalarNode, _NUMBERS.represent_data(value)).value
        return _dumped_text(key, "").removesuffix("''") + number
    return _dumped({key: value})


@lru_cache(maxsize=1000, typed=True)  # of the configs of a sweep few texts differ
def _dumped_text(key: Any, text: str) -> str:
    return _dumped({key: text})


def _dumped(value: Any, *, flow: bool = False) -> str:
    """Return a value as YAML in one line."""
    options: Any = {"Dumper": _Dumper, "allow_unicode": True, "width": 10**9, "sort_keys": False}
    return cast(str, yaml.dump(value, default_flow_style=flow, **options)).rstrip()


def describe(value: Any) -> str:
    """Return a value as messages show it: as in YAML, and short."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    return printable(str(value).lower() if isinstance(value, bool) else repr(value), 60)


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with YAML 1.2 scalars and bounded work."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[tuple[yaml.Mark, str]] = []
        self._values = self._depth = 0

    def fetch_directive(self) -> None:
        mark = cast(Any, self).get_mark()
        raise _NotAllowed(
            problem="directives such as %YAML are not allowed; remove the line", problem_mark=mark
        )

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = cast(Any, self.peek_event())
        self._values += 1
        if self._values > MAX_VALUES:
            message = f"contains more than {MAX_VALUES} keys and values; is this a config?"
            raise _NotAllowed(problem=message, problem_mark=event.start_mark)
        if self._depth == MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels; is a bracket missing?"
            raise _NotAllowed(problem=message, problem_mark=event.start_mark)
        if getattr(event, "anchor", None) is not None:  # an alias has one, too
            is_alias = isinstance(event, yaml.AliasEvent)
            message = "anchors and aliases are not allowed; write the value out"
            self._report(event, f"{'*' if is_alias else '&'}{event.anchor}: {message}")
            if is_alias:
                self.get_event()
                mark = cast(Any, event.start_mark)
                return yaml.ScalarNode(_TAG + "str", "", mark, mark)
            event.anchor = None
        if getattr(event, "tag", None) is not None:
            self._report(event, f"{event.tag.replace(_TAG, '!!')}: tags are not allowed; remove it")
            event.tag = None
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.ScalarNode):
            try:  # JSON, which is YAML, may write a character as two surrogates
                node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                self._report(node, _NO_CHARACTER)
        return node

    def _report(self, found: Any, message: str) -> None:
        self.problems.append((found.start_mark, message))


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper, which quotes text that YAML 1.2 would read as another type."""


def _represent_list(dumper: _Dumper, items: list[Any]) -> yaml.Node:
    return dumper.represent_sequence(_TAG + "seq", items, flow_style=True)


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    # Line breaks other than \n do not survive PyYAML's single quotes; in double quotes all do.
    return dumper.represent_scalar(_TAG + "str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_text)
for _class in (_Loader, _Dumper):
    _class.yaml_implicit_resolvers = {}
    for _name, _pattern, _first in _CORE_SCHEMA:
        _class.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})\Z"), _first)


class _Builder:
    """Turns nodes into values, and collects places and problems."""

    def __init__(
        self, places: Places, place_at: PlaceAt, found: Sequence[tuple[yaml.Mark, str]]
    ) -> None:
        self.places, self.place_at = places, place_at
        self.problems = [Problem(place_at(mark), (), message) for mark, message in found]

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.places.values[path] = self.place_at(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._build_scalar(node, path)

    def _build_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self.place_at(key_node.start_mark)
            if key_node.tag != _TAG + "str":
                message = f"keys must be text, got {describe(self.build(key_node, path))}"
                if value_node.value == "":  # of `{starts: 0, 1}`, or of `{learning_rate: 0,01}`
                    message += "; write a list as [0, 1], a fraction as 0.1"
                self.problems.append(Problem(place, path, message))
                continue
            here = (*path, key_node.value)
            if key_node.value in mapping:
                first = self.places.keys[here].line
                message = f"duplicate key, first given in line {first}; remove one"
                self.problems.append(Problem(place, here, message))
                continue
            self.places.keys[here] = place
            mapping[key_node.value] = self.build(value_node, here)
        return mapping

    def _build_scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" if len(text) > MAX_DIGITS:
                message = f"must have at most {MAX_DIGITS} digits, got {len(text)}"
                self.problems.append(Problem(self.places.values[path], path, message))
            case "int":
                base = {"0o": 8, "0x": 16}.get(text[:2], 10)
                return int(text, base)
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            case _:
                pass
        return text


def _failure(place: Place, message: str) -> ConfigError:
    return ConfigError([Problem(place, (), message)])


_MESSAGES = (
    # Part of PyYAML's message, whether to show where the construct began, our message.
    ("character '\\t' that cannot start", False, "tabs are not allowed here; use spaces"),
    ("that cannot start any token", False,
     "plain text cannot start with this character; put it in quotes"),
    ("could not find expected ':'", True,
     "no `:` after this; write `key: value` with a space, or `key:` above indented lines"),
    ("mapping values are not allowed here", False,
     "unexpected `:`; check the indentation and the `:` of the line above, or quote text that "
     "contains one"),
    ("sequence entries are not allowed here", False,
     "a list cannot start here; write it as [1, 2]"),
    ("found another document", False, "a second document starts here; a file contains only one"),
    ("while scanning a quoted scalar", True, "this quote is never closed"),
    ("scanning a double-quoted scalar", False,
     "unknown escape sequence; double the \\, or use single quotes"),
    ("chomping or indentation indicators", False,
     "text after | or > starts on the next line; put it in quotes"),
    ("scanning a block scalar", False, "text after | or > is not indented correctly"),
    ("scanning an anchor", True, "text that starts with & needs quotes"),
    ("scanning an alias", True, "text that starts with * needs quotes"),
    ("scanning a tag", True, "text that starts with ! needs quotes"),
    ("undefined tag handle", False, "tags are not allowed; remove it"),
    ("while parsing a flow sequence", True, "this [ lacks a comma or its ] before <there>"),
    ("while parsing a flow mapping", True, "this { lacks a comma or its } before <there>"),
    ("expected '<document start>'", False, "text after the end of the config; remove it"),
    ("found '<block mapping start>'", False,
     "unexpected indentation; align this line with the other lines of its section"),
    ("found '<block sequence start>'", False,
     "unexpected indentation; align this list with the other lines of its section"),
    ("<block end>, but found '<scalar>'", False,
     "unexpected text after the value; put the whole value in quotes"),
    ("expected <block end>", False, "unexpected text; remove it"),
    ("content, but found '<stream end>'", False, "the text ends inside [ or {; close the bracket"),
    ("expected the node content", False,
     "a value is missing here; text with special characters needs quotes"),
)  # fmt: skip


class _NotAllowed(yaml.MarkedYAMLError):
    """YAML that configs do not allow; its message is shown unchanged."""


def _in_plain_english(error: yaml.MarkedYAMLError) -> tuple[yaml.Mark, str]:
    """Return the mark of an error, and a message for someone who edits YAML."""
    there = cast(yaml.Mark, error.problem_mark or error.context_mark)
    if isinstance(error, _NotAllowed):
        return there, str(error.problem)
    original = f"{error.context or ''}: {error.problem or ''}"
    for theirs, at_start, ours in _MESSAGES:
        if theirs in original:
            place = f"line {there.line + 1}, column {there.column + 1}"
            mark = error.context_mark if at_start and error.context_mark else there
            return mark, ours.replace("<there>", place)
    return there, f"invalid YAML: {error.problem}"
