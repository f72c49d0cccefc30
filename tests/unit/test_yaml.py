import contextlib
import itertools
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counting import counted
from sinernn.config.yaml import MAX_BYTES, MAX_VALUES, _Loader, dump_yaml, parse_yaml, read_yaml
from sinernn.errors import ConfigError, Place


def parse(text: str):
    return parse_yaml(text, source="a.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        (".5", 0.5),
        ("-1.", -1.0),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("no", "no"),
        ("on", "on"),
        ("True", True),
        ("~", None),
        ("", None),
        ("null", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("2024-01-01", "2024-01-01"),
        ("[1, 2.5, a]", [1, 2.5, "a"]),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        (".INF", math.inf),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object):
    read = parse(f"key: {text}\n").tree["key"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number_is_read_as_one(text: str):
    assert math.isnan(parse(f"key: {text}\n").tree["key"])


def test_every_key_and_value_knows_its_place():
    places = parse("a: 1\nb:\n  c: [x, y]\n").places
    assert places.find(("b",), of_key=True) == Place("a.yaml", 2, 1)
    assert places.find(("b", "c"), of_key=True) == Place("a.yaml", 3, 3)
    assert places.find(("b", "c")) == Place("a.yaml", 3, 6)
    assert places.find(("b", "c", 1)) == Place("a.yaml", 3, 10)
    assert places.find(("b", "missing")) == Place("a.yaml", 2, 1)
    assert places.find(("missing",)) == Place("a.yaml", 1, 1)
    assert places.find(("b", "c")).text == "  c: [x, y]"


def test_most_telling_place():
    """It is an override, then a line, then the section."""
    document = parse("a: {b: 1}\n")
    paths = [("a", "c"), ("a", "b"), ("a", "d")]
    assert document.places.find_first(paths[:1]) == Place("a.yaml", 1, 1)
    assert document.places.find_first(paths) == Place("a.yaml", 1, 8)
    document.places.values["a", "d"] = Place("a.d=1")
    assert document.places.find_first(paths) == Place("a.d=1")


@pytest.mark.parametrize("name", ["folder", "pipe", "/dev/zero", "no.yaml", "large.yaml"])
def test_not_a_file_to_read(here: Path, name: str):
    """A pipe, a folder or a device is refused at once."""
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError) as caught:
        read_yaml(Path(name))
    assert str(caught.value) == f"{name}: " + {
        "folder": "is a directory, not a YAML file",
        "pipe": "not a regular file; save the config as a file",
        "/dev/zero": "not a regular file; save the config as a file",
        "no.yaml": "cannot be read: No such file or directory",
        "large.yaml": "is larger than 500 kB; is this a config?",
    }[name]  # fmt: skip


LARGE = [
    ("", "#"), ("", "# a\n"), ("", "\n"), ("a: ", "x"), ("a: ", "x "), ("a: x", "\n  x"), ('a: "', "\\x41"),
    ("a: |\n", "  x\n"), ("a: [", "1,"), ("a: [", "[],"), ("", "- 1\n"), ("a: ", "["), ("", "- "), ("", "? "),
    ("", "%A\n"), ("a: ", "x:"), ("", "k{}: 1\n"), ("a: !", "x"), ("", "'"), ("", "a: &b b\n"),
]  # fmt: skip
"""Beginning, and what follows again and again."""


def large(begin: str, again: str, size: int) -> str:
    """Return so many bytes of a text."""
    return begin + "".join(again.format(i) for i in range(size // len(again.format(10_000))))


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens, indents and open brackets the scanner keeps whenever it looks for more."""
    sizes = [0]
    fetch = _Loader.fetch_more_tokens

    def look(reader: Any) -> None:
        fetch(reader)
        parts = (reader.tokens, reader.indents, reader.possible_simple_keys, reader.states)
        sizes.append(sum(map(len, parts)))

    monkeypatch.setattr(_Loader, "fetch_more_tokens", look)
    return sizes


@pytest.mark.parametrize(("begin", "again"), LARGE)
def test_large_file_costs_little(begin: str, again: str, kept: list[int]):
    """Whatever is in it, its cost is in proportion to its size.

    PyYAML alone would take a minute: what it does is in proportion to the size, which has a limit.

    Files of so few bytes stand for those of the limit, which take seconds.
    """
    calls = []
    for size in (5_000, 10_000):
        with counted() as cost, contextlib.suppress(ConfigError):
            parse(large(begin, again, size))
        calls.append(cost.calls)
    assert calls[1] < 2.2 * calls[0] + 1000
    assert calls[1] < 300 * 10_000
    assert max(kept) < 2500  # a simple key has 1024 characters at most


@pytest.mark.parametrize("again", ["1,", "[],", "{{a: 1}},"])
def test_values_composed(again: str, monkeypatch: pytest.MonkeyPatch):
    """No more values are composed than a config may hold."""
    composed = itertools.count()
    compose = _Loader.compose_node
    monkeypatch.setattr(
        _Loader, "compose_node", lambda *arguments: (next(composed), compose(*arguments))[1]
    )
    with pytest.raises(ConfigError, match="contains more than"):
        parse(large("a: [", again, MAX_BYTES))
    assert next(composed) <= MAX_VALUES + 1


def test_number_of_values_is_bounded():
    with pytest.raises(ConfigError, match=rf"a\.yaml:1:\d+: contains more than {MAX_VALUES} keys"):
        parse("a: [" + "1," * MAX_VALUES + "]")
    parse("a: [" + "1," * (MAX_VALUES - 10) + "]")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"\xef\xbb\xbfa: \xff\n",
            "a.yaml:1:4: invalid UTF-8 byte 0xff; save the file as UTF-8",
        ),
        (
            b'a: "\\U00110000"\n',
            "invalid character escape; write the character itself",
        ),
    ],
)
def test_not_a_character(here, content: bytes, message: str):
    """Bytes and escapes that are not characters are reported."""
    (here / "a.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_yaml(Path("a.yaml"))
    assert message in str(caught.value)


def test_byte_order_mark_and_crlf(tmp_path):
    """They do no harm."""
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_yaml(tmp_path / "a.yaml").tree == {"a": 1, "b": 2}


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from(["1e3", "no", "0x1F", "~", "1:30", ".5", "true", "- a", "a: b", "#"]),
)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.one_of(scalars, st.lists(scalars))
    )
)
def test_what_is_written_reads_back_as_it_was(tree: dict[str, object]):
    if tree:
        assert parse(dump_yaml(tree)).tree == tree


def test_notes_in_yaml():
    """They stand behind the values and change nothing."""
    tree = {"a": {"b": [1, 2], "c": "x\n y"}, "d": None}
    text = dump_yaml(tree, lambda path: ".".join(map(str, path)))
    assert text.splitlines()[:2] == ["a:", "  b: [1, 2]  # a.b"]
    assert text.endswith("d: null  # d\n")
    assert parse(text).tree == tree
