import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinernn.errors import ConfigError, Place
from sinernn.yamlfile import apply_overrides, dump_yaml, nearest, parse_yaml, read_yaml


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
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object):
    read = parse(f"key: {text}\n").tree["key"]
    assert read == value
    assert type(read) is type(value)


def test_every_key_and_value_knows_its_place():
    document = parse("a: 1\nb:\n  c: [x, y]\n")
    assert document.place(("b",), of_key=True) == Place("a.yaml", 2, 1)
    assert document.place(("b", "c"), of_key=True) == Place("a.yaml", 3, 3)
    assert document.place(("b", "c")) == Place("a.yaml", 3, 6)
    assert document.place(("b", "c", 1)) == Place("a.yaml", 3, 10)
    assert document.place(("b", "missing")) == Place("a.yaml", 2, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.yaml:1:1: is empty; `sinernn config init` writes one to start from"),
        ("# only a comment\n", "a.yaml:1:1: is empty; `sinernn config init` writes one to start from"),
        ("- 1\n", "a.yaml:1:1: must hold `key: value` pairs, got a list"),
        ("a: 1\na: 2\n", "a.yaml:2:1: a: given twice, first in line 1"),
        ("a: [1, 2\n", "a.yaml:2:1: is not YAML here: expected ',' or ']', but got '<stream end>'"),
        ("a: &x 1\n", "a.yaml:1:4: is not YAML here: anchors and aliases (& and *) are not allowed; "
         "write the value out"),
        ("a: !!python/name:os.system\n", "a.yaml:1:4: a: tags such as "
         "tag:yaml.org,2002:python/name:os.system are not allowed; leave it out"),
        ("1: a\n", "a.yaml:1:1: every key must be a plain word"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: is not YAML here: but found another document"),
        ("a: \x07\n", "a.yaml:1:4: U+0007 is not allowed in YAML; remove it"),
    ],
)  # fmt: skip
def test_what_is_not_one_plain_mapping_is_told_with_its_place(text: str, message: str):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"no.yaml: cannot be read: No such file"):
        read_yaml(tmp_path / "no.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigError, match=r"latin.yaml: is not UTF-8 text: byte 3 is damaged"):
        read_yaml(tmp_path / "latin.yaml")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_yaml(tmp_path / "a.yaml").tree == {"a": 1, "b": 2}


def override(text: str, *overrides: str):
    document = parse(text)
    apply_overrides(document, overrides, replaces_section=frozenset({("signal", "kind")}))
    return document


def test_overrides_lie_over_the_file_and_are_their_own_place():
    document = override("a: {b: 1}\n", "a.b=1e-3", "a.c=x=y", "d.e=[1, 2]")
    assert document.tree == {"a": {"b": 0.001, "c": "x=y"}, "d": {"e": [1, 2]}}
    assert document.place(("a", "b")) == Place("a.b=1e-3")
    assert document.place(("d", "e", 1)) == Place("d.e=[1, 2]")


def test_overriding_what_replaces_a_section_empties_it_whatever_the_order():
    text = "signal: {kind: sine, amplitude: 3}\n"
    assert override(text, "signal.x=1", "signal.kind=other").tree == {
        "signal": {"kind": "other", "x": 1}
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed"], "seed: an override is written key=value, as in model.hidden_size=32"),
        (["=3"], "=3: an override is written key=value, as in model.hidden_size=32"),
        (["seed="], "seed=: has no value; write seed=null for none"),
        (["seed=1", "seed=2"], "seed=2: seed: given twice, as seed=1 before"),
        (["a.b.c=1"], "a.b.c=1: a.b.c: a.b is 1, not a section; write a.b=value"),
        (["x={"], "x={: is not YAML here: expected the node content, but found '<stream end>'"),
    ],
)
def test_a_malformed_override_is_told(overrides: list[str], message: str):
    with pytest.raises(ConfigError) as caught:
        override("a: {b: 1}\n", *overrides)
    assert str(caught.value) == message


def test_all_malformed_overrides_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        override("a: {b: 1}\n", "x", "y=", "a.b.c=1")
    assert len(caught.value.problems) == 3


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(
        st.characters(
            codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\ufffe\uffff"
        )
    ),
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


@pytest.mark.parametrize(
    ("word", "guess"), [("hiden_size", "hidden_size"), ("Seed", "seed"), ("zzz", None)]
)
def test_the_nearest_known_word(word: str, guess: str | None):
    assert nearest(word, ["hidden_size", "seed", "steps"]) == guess
