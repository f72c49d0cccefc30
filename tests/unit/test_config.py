import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from campaign import times
from examples import CONFIGS
from sinernn.config import Config, check, json_schema, load_config, setting_names, to_yaml, validate
from sinernn.config.checks import find_conflicts
from sinernn.config.places import Places
from sinernn.config.sections import Limits
from sinernn.config.yaml import parse_yaml
from sinernn.data.synthetic import Sine
from sinernn.errors import ConfigError, KeyPath, Place
from sinernn.schema import Section, Whole, default_kind


@pytest.fixture
def write(here: Path):
    def write_config(text: str) -> str:
        Path("a.yaml").write_text(text, encoding="utf-8")
        return "a.yaml"

    return write_config


def test_defaults_are_valid():
    """The defaults are a valid config without contradictions."""
    assert find_conflicts(Config()) == []


def test_the_name_defaults_to_the_files_stem(write):
    assert load_config(write("seed: 1\n")).name == "a"
    assert load_config(write("name: b\n")).name == "b"
    undecodable = os.fsdecode(b"\xff" + b"x" * 240)
    Path(f"{undecodable}.yaml").write_text("seed: 1\n")
    assert load_config(f"{undecodable}.yaml").name == r"\udcff" + "x" * 191 + "..."


def test_whole_floats_serve_as_whole_numbers(write):
    assert load_config(write("training: {steps: 1e5}\n")).training.steps == 100_000


@pytest.mark.parametrize(
    "overrides",
    [
        ["signal.length=100", "windows.length=69", "evaluation.warmup=5", "evaluation.horizon=3"],
        ["windows.washout=48"],
        ["windows.batch_size=357"],
        ["windows.batch_size=1000", "windows.order=random"],
        ["evaluation.horizon=3700", "evaluation.origins=1"],
        ["split.validation=0", "training.evaluate_every=null"],
    ],
)
def test_the_bounds_of_contradictions_are_sharp(write, overrides: list[str]):
    check(load_config(write("seed: 1\n"), overrides))


class Square(Section):
    """A second kind, to see that a union works."""

    kind: Literal["square"]
    duty: float = Field(default=0.5, gt=0, lt=1)
    """Fraction of a period that is high."""


class WithKinds(Config):
    signal: Annotated[Sine | Square, Field(discriminator="kind"), default_kind("sine")] = Sine()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("signal: {kind: sinus}\n", "a.yaml:1:16: signal.kind: must be sine or square, got 'sinus'; did you mean sine?"),
        ("signal: {kind: 3}\n", "a.yaml:1:16: signal.kind: must be sine or square, got 3"),
        ("signal: {kind: null}\n", "a.yaml:1:16: signal.kind: must be sine or square, got null"),
        ("signal: {kind: [a]}\n", "a.yaml:1:16: signal.kind: must be sine or square, got a list"),
        ("signal: {kind: square, amplitude: 3}\n",
         "a.yaml:1:24: signal.amplitude: unknown key; it belongs to kind sine, not square; remove it, "
         "or set signal.kind=sine"),
        ("signal: {duty: 0.3}\n",
         "a.yaml:1:10: signal.duty: unknown key; it belongs to kind square, not sine; remove it, "
         "or set signal.kind=square"),
        ("signal: {kind: square, dutty: 0.3}\n", "a.yaml:1:24: signal.dutty: unknown key; did you mean duty?"),
        ("signal: {kind: square, colour: 3}\n", "a.yaml:1:24: signal.colour: unknown key; valid keys: kind, duty"),
        ("signal: {kind: square, duty: 2}\n", "a.yaml:1:30: signal.duty: must be less than 1, got 2"),
        ("signal: {starts: [x]}\n", "a.yaml:1:19: signal.starts.0: must be a number, got 'x'"),
        ("signal: 3\n",
         "a.yaml:1:9: signal: must be a section with keys such as kind, time_step, length, starts, got 3"),
        ("duty: 3\n", "a.yaml:1:1: duty: unknown key; did you mean signal.duty?"),
        ("windows: {amplitude: 3}\n", "a.yaml:1:11: windows.amplitude: unknown key; did you mean signal.amplitude?"),
    ],
)  # fmt: skip
def test_messages_about_kinds(text: str, message: str):
    """Settings of one of several kinds get messages in the same words."""
    with pytest.raises(ConfigError) as caught:
        validate(parse_yaml(text, source="a.yaml"), WithKinds)
    assert str(caught.value) == message


class Stage(Section):
    horizon: Whole = Field(ge=1, le=9)


class Refine(Section):
    stages: Annotated[tuple[Stage, ...], Field(strict=False)] = ()


class WithLists(Config):
    refine: Refine | None = None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{stages: [{horizon: 1}, {horizon: 0}]}", "43: refine.stages.1.horizon: must be at least 1, got 0"),
        ("{stages: [{horizn: 1, horizon: 2}]}", "20: refine.stages.0.horizn: unknown key; did you mean horizon?"),
        ("{stages: [{}]}", "19: refine.stages.0.horizon: is required"),
        ("{stages: [3]}", "19: refine.stages.0: must be a section with keys such as horizon, got 3"),
        ("{stage: []}", "10: refine.stage: unknown key; did you mean stages?"),
        ("3", "9: refine: must be a section with keys such as stages or null, got 3"),
    ],
)  # fmt: skip
def test_messages_about_lists(text: str, message: str):
    """Sections that may be null and lists of sections get messages in the same words."""
    with pytest.raises(ConfigError) as caught:
        validate(parse_yaml(f"refine: {text}\n", source="a.yaml"), WithLists)
    assert str(caught.value) == f"a.yaml:1:{message}"
    assert "refine.stages" in set(setting_names(WithLists))


def test_default_kind():
    """A section without a kind is of the default kind."""
    document = parse_yaml("signal: {amplitude: 3}\n", source="a.yaml")
    assert validate(document, WithKinds).signal == Sine(amplitude=3)
    schema = WithKinds.model_json_schema()
    jsonschema.validate(document.tree, schema)
    jsonschema.validate({"signal": {"kind": "square", "duty": 0.2}}, schema)
    with pytest.raises(jsonschema.ValidationError, match="is not valid under any"):
        jsonschema.validate({"signal": {"duty": 0.2}}, schema)


@pytest.mark.parametrize(
    ("overrides", "place"),
    [
        (["training.steps=1e9"], "training.steps=1e9"),
        (["signal.length=1e7", "signal.starts=[0,1,2,3,4,5,6,7,8,9,10,11,12]"], "signal.length"),
        (
            ["training.log_every=1", "training.steps=9e6"],
            "training.log_every=1: the run needs",
        ),
        (["model.hidden_size=4096", "model.num_layers=16"], "model.hidden_size"),
    ],
)
def test_limits(write, overrides, place: str):
    """A run beyond its limits is refused until they are raised."""
    path = write("seed: 1\n")
    with pytest.raises(ConfigError, match=place) as caught:
        check(load_config(path, overrides))
    check(load_config(path, overrides + re.findall(r"set (limits\.\w+=\S+)", str(caught.value))))


def test_config_from_a_mapping():
    """Of plain values and sections; messages name it `config`."""
    given = {"training": {"steps": 10}, "signal": Sine(length=600), "refine": {"stages": [{}]}}
    config = load_config(given, ["seed=3"])
    assert (config.name, config.seed, config.training.steps) == ("run", 3, 10)
    assert config.signal == Sine(length=600)
    assert to_yaml(config, sources=True).count("# config\n") > 2
    with pytest.raises(ConfigError, match=r"^config: training\.stepz: unknown key; did you mean"):
        load_config({"training": {"stepz": 10}})
    with pytest.raises(ConfigError, match=r"^config: training\.3: must have keys that are text"):
        load_config({"training": {3: 1}})
    assert given["training"] == {"steps": 10}


def test_removed_setting_in_a_run(write):
    """Elsewhere it is an error: see test_broken_configs.py."""
    Path("run").mkdir()
    old = Path("run/config.yaml")
    old.write_text("limits: {memory_gb: 2.0, hours: 24.0}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"limits\.hours: was removed"):
        load_config(old)
    Path("run/run.json").write_text("{}", encoding="utf-8")
    assert load_config(old).limits == Limits(memory_gb=2.0)
    with pytest.raises(ConfigError, match=r"^limits\.hours=5: was removed, .*; leave it out$"):
        load_config(old, ["limits.hours=5"])


def values(annotation: Any, metadata: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Every value that a type of the config and its bounds allow, as YAML gives it."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        fields = annotation.model_fields.items()
        return st.fixed_dictionaries(
            {name: values(field.annotation, tuple(field.metadata)) for name, field in fields}
        )
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return values(arguments[0], (*arguments[1:], *metadata))
    if get_origin(annotation) in (Union, UnionType):
        return st.one_of([values(argument) for argument in arguments])
    if get_origin(annotation) is Literal:
        return st.sampled_from(arguments)
    if get_origin(annotation) is tuple:
        return st.lists(values(arguments[0]), min_size=1, max_size=20)
    if get_origin(annotation) is dict:
        return st.dictionaries(*map(values, arguments), max_size=5)
    if annotation in (NoneType, bool):
        return st.from_type(annotation)
    if annotation is str:
        is_device = any(getattr(item, "pattern", None) for item in metadata)
        devices = st.sampled_from(["auto", "cpu", "cuda", "cuda:1", "mps"])
        longest = min([200, *(getattr(item, "max_length", None) or 200 for item in metadata)])
        return devices if is_device else st.text(min_size=1, max_size=longest)
    bounds: dict[str, Any] = {}
    for item in (inner for outer in metadata for inner in getattr(outer, "metadata", [outer])):
        match item:
            case annotated_types.Ge(bound):
                bounds["min_value"] = bound
            case annotated_types.Gt(bound):
                bounds["min_value"] = math.nextafter(bound, math.inf)
            case annotated_types.Le(bound):
                bounds["max_value"] = bound
            case annotated_types.Lt(bound):
                below = bound - 1 if annotation is int else math.nextafter(bound, -math.inf)
                bounds["max_value"] = below
            case _:
                pass
    return st.integers(**bounds) if annotation is int else st.floats(**bounds)


def own_paths(section: Section, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The path of every setting of this very config."""
    for name, value in section:
        if isinstance(value, Section):
            yield from own_paths(value, (*path, name))
        else:
            yield (*path, name)


@settings(deadline=None, max_examples=25)  # the machine may be busy
@given(values(Config), st.booleans())
def test_config_reads_back(tree: dict[str, Any], sources: bool):
    """Every config written out reads back as it was.

    Over every field, by its type and its bounds.
    """
    assert_reads_back(tree, sources)


@pytest.mark.campaign
@settings(deadline=None, max_examples=times(75))
@given(values(Config), st.booleans())
def test_many_configs_read_back(tree: dict[str, Any], sources: bool):
    """More of the same."""
    assert_reads_back(tree, sources)


def assert_reads_back(tree: dict[str, Any], sources: bool) -> None:
    config = Config.model_validate(tree)
    text = to_yaml(config, sources=sources)
    document = parse_yaml(text, source="a.yaml")
    again = Config.model_validate(document.tree)
    assert again == config
    assert to_yaml(again) == to_yaml(config)
    assert set(own_paths(config)) <= set(document.places.values)


def test_every_valid_config_shown_is_valid_again(here: Path):
    for path in CONFIGS:
        config = load_config(path)
        Path("shown.yaml").write_text(to_yaml(config), encoding="utf-8")
        assert load_config("shown.yaml") == config


def test_the_source_of_every_value_is_told(write):
    config = load_config(write("seed: 3\n"), ["model.hidden_size=8"])
    lines = to_yaml(config, sources=True).splitlines()
    assert {"name: a  # default", "seed: 3  # a.yaml:1:7"} <= set(lines)
    assert "  hidden_size: 8  # model.hidden_size=8" in lines


def test_equal_configs(write):
    """Where a config was written does not matter to equality."""
    assert load_config(write("seed: 3\nname: run\n")) == Config(seed=3)
    assert Config(seed=3).places == Places(Place("other"))


def test_the_json_schema_describes_every_setting():
    schema = json_schema()
    sections = [schema, *schema["$defs"].values()]
    fields = [field for section in sections for field in section["properties"].values()]
    assert len(fields) > 40
    assert all("description" in field or "$ref" in field for field in fields)
    numbers = [field for field in fields if field.get("type") in ("number", "integer")]
    assert all("minimum" in field or "exclusiveMinimum" in field for field in numbers)
    assert all("maximum" in field or "exclusiveMaximum" in field for field in numbers)


def test_the_shipped_json_schema_is_current():
    shipped = CONFIGS[0].with_name("schema.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == json_schema(), "run: sinernn config schema > configs/schema.json"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs(path: Path):
    """They fit the JSON schema that they name and open with what they show."""
    first, text = path.read_text(encoding="utf-8").split("\n", 1)
    schema = path.parent / first.removeprefix("# yaml-language-server: $schema=")
    jsonschema.validate(parse_yaml(text, source="").tree, json.loads(schema.read_text()))
    assert text.startswith("# ")
    assert f"#   sinernn train configs/{path.name}\n" in text
    opening = text[: re.search(r"^[^#]", text, flags=re.MULTILINE).start()]
    assert "\n# Expect " in opening
    assert load_config(path).name == path.stem


def test_stages_take_a_line_each():
    """Written out, a stage is one readable line, with its keys in the order of the schema."""
    config = load_config(CONFIGS[0].with_name("default.yaml"))
    text = to_yaml(config)
    assert "    - {loop: closed, sequences: 24, batches: 1, warmup: 50, horizon: 50," in text
    assert max(map(len, text.splitlines())) < 200
    assert parse_yaml(text, source="").tree == config.model_dump(mode="json")
