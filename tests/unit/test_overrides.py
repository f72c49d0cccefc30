import pytest

from examples import refined
from sinernn.config.overrides import (
    add_to_name,
    apply_overrides,
    override_for_option,
    parse_overrides,
)
from sinernn.config.places import Document
from sinernn.config.yaml import parse_yaml
from sinernn.errors import ConfigError, Place, nearest


def override(text: str, *overrides: str) -> Document:
    document = parse_yaml(text, source="a.yaml")
    apply_overrides(document, parse_overrides(overrides))
    return document


def test_overrides():
    """They replace what is in the file and are their own place."""
    document = override("a: {b: 1}\n", "a.b=1e-3", "a.c=x=y", "d.e=[1, 2]")
    assert document.tree == {"a": {"b": 0.001, "c": "x=y"}, "d": {"e": [1, 2]}}
    assert document.places.find(("a", "b")) == Place("a.b=1e-3")
    assert document.places.find(("d", "e", 1)) == Place("d.e=[1, 2]")
    assert document.places.find(("d",), of_key=True) == Place("d.e=[1, 2]")


def test_empty_section():
    """A section that is empty in the file can be filled."""
    assert override("a:\n", "a.b=1").tree == {"a": {"b": 1}}


def test_replaced_section():
    """Overriding what replaces a section empties it, whatever the order."""
    text = "signal: {kind: sine, amplitude: 3}\n"
    document = override(text, "signal.x=1", "signal.kind=other")
    assert document.tree == {"signal": {"kind": "other", "x": 1}}
    assert ("signal", "amplitude") not in document.places.values


def test_value_is_not_a_section():
    """All of them are reported at once."""
    with pytest.raises(ConfigError, match=r"^a.x=1: a is 1.*\nb.x=1: b is a list"):
        override("a: 1\nb: [1]\n", "a.x=1", "b.x=1")


NAMES = list(refined().flat())
KNOWN = ["seed", "signal.length", "windows.length", "windows.batch_size"]


@pytest.mark.parametrize(
    ("name", "overrides", "expected"),
    [
        ("a", [], "a"),
        ("a", ["seed=3", "model.hidden_size = 24"], "a, hidden_size=24, seed=3"),
        ("a", ["signal.length=9"], "a, signal.length=9"),  # windows have a length, too
        ("a", ["signal.starts=[0, 100]"], "a, starts=0,100"),
        ("a, b, seed=3", ["seed=4"], "a, b, seed=4"),
        ("a", ["limits.memory_gb=2", "name=b"], "a"),
        ("", ["evaluation.horizon=9"], "horizon=9"),
        ("a", ["refine.stages=" + "x" * 40], "a, stages=" + "x" * 40),
        ("a", ["refine.stages=" + "x" * 41], "a, stages=" + "x" * 31 + "-3164596d"),
        ("a", ["refine.stages=" + "x" * 500], "a, stages=" + "x" * 31 + "-c38c2bf3"),
        ("a" * 195, ["seed=300"], "a" * 195),
    ],
)
def test_overrides_in_a_name(name: str, overrides: list[str], expected: str):
    """A name shows the settings that were changed, shortened, the latest value of each."""
    assert add_to_name(name, overrides, NAMES) == expected


def test_long_name_takes_more_steps():
    """Of many overrides those that fit are in the name: whole, so that one can still replace them."""
    many = [f"a.b{number}={'x' * 30}" for number in range(9)]
    name = add_to_name("tiny", [*many, "training.steps=20"], NAMES)
    assert name.startswith("tiny, a.b0=xxx")
    assert name.endswith(", steps=20")
    assert len(name) <= 200
    longer = add_to_name(name, ["training.steps=40"], NAMES)
    assert longer == add_to_name("tiny", [*many, "training.steps=40"], NAMES)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--seed", "3"], "seed=3"),
        (["--seed=3", "x"], "seed=3"),
        (["--seed"], "seed=VALUE"),
        (["--seed", "a=b"], "seed=VALUE"),
        (["--batch-size", "8"], "windows.batch_size=8"),
        (["--length", "8"], "signal.length=8 or windows.length=8"),
        (["--model.hidden-size", "8"], "model.hidden_size=8"),
        (["--epochs", "8"], None),
    ],
)
def test_the_setting_that_an_option_means(words: list[str], meant: str | None):
    assert override_for_option(words, KNOWN) == meant


@pytest.mark.parametrize(
    ("word", "guess"),
    [
        ("hiden_size", "hidden_size"),
        ("Seed", "seed"),
        ("zzz", None),
        ("HID", "hidden_size"),
        ("hi", None),
    ],
)
def test_the_nearest_known_word(word: str, guess: str | None):
    assert nearest(word, ["hidden_size", "seed", "steps"]) == guess
