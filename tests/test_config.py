import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conftest import CONFIGS, tiny
from sinernn.config import Config, contradictions, load_config, to_yaml
from sinernn.errors import ConfigError


@pytest.fixture
def write(here: Path):
    def write_config(text: str) -> str:
        Path("a.yaml").write_text(text, encoding="utf-8")
        return "a.yaml"

    return write_config


def problems(path: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value).splitlines()


def test_the_defaults_are_a_valid_config_without_contradictions():
    assert contradictions(Config()) == []


def test_the_name_defaults_to_the_files_stem(write):
    assert load_config(write("seed: 1\n")).name == "a"
    assert load_config(write("name: b\n")).name == "b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model:\n  hiden_size: 3\n", "a.yaml:2:3: model.hiden_size: unknown key; did you mean hidden_size?"),
        ("colour: red\n", "a.yaml:1:1: colour: unknown key; known here: name, seed, device, engine, dtype, "
         "signal, windows, split, model, training, evaluation"),
        ("training:\n  learning_rate: -0.01\n",
         "a.yaml:2:18: training.learning_rate: must be greater than 0, got -0.01"),
        ("training: {learning_rate: fast}\n",
         "a.yaml:1:27: training.learning_rate: must be a number, got 'fast'"),
        ("seed: true\n", "a.yaml:1:7: seed: must be a whole number, got true"),
        ("seed: '12'\n", "a.yaml:1:7: seed: must be a whole number, got '12'"),
        ("seed: 1.5\n", "a.yaml:1:7: seed: must be a whole number, got 1.5"),
        ("seed: -1\n", "a.yaml:1:7: seed: must be at least 0, got -1"),
        ("training: {steps: 0}\n", "a.yaml:1:19: training.steps: must be at least 1, got 0"),
        ("training: {steps: null}\n", "a.yaml:1:19: training.steps: must be a whole number, got null"),
        ("signal: {period: .nan}\n", "a.yaml:1:18: signal.period: must be finite, got nan"),
        ("split: {validation: 1}\n", "a.yaml:1:21: split.validation: must be less than 1, got 1"),
        ("windows: {carry_state: 1}\n",
         "a.yaml:1:24: windows.carry_state: must be true or false, got 1"),
        ("model: {cell: rnn}\n",
         "a.yaml:1:15: model.cell: must be rnn_tanh, rnn_relu, gru or lstm, got 'rnn'"),
        ("device: gpu\n", "a.yaml:1:9: device: must be auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        ("name: ''\n", "a.yaml:1:7: name: must not be empty, got ''"),
        ("name: 3\n", "a.yaml:1:7: name: must be text, got 3"),
        ("model: 3\n", "a.yaml:1:8: model: must be a section with the keys cell, hidden_size, num_layers, got 3"),
        ("signal: {starts: 3}\n", "a.yaml:1:18: signal.starts: must be a list, such as [0, 1], got 3"),
        ("signal: {starts: []}\n", "a.yaml:1:18: signal.starts: must not be empty, got a list"),
        ("signal: {starts: [0, x]}\n", "a.yaml:1:22: signal.starts.1: must be a number, got 'x'"),
        ("model: {hidden_size: 1e9}\n", "a.yaml:1:22: model.hidden_size: must be at most 4096, got 1000000000"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_place_and_the_way_out(write, text: str, message: str):
    assert problems(write(text)) == [message]


def test_whole_floats_serve_as_whole_numbers(write):
    assert load_config(write("training: {steps: 1e5}\n")).training.steps == 100_000


def test_every_wrong_value_is_told_at_once_whatever_it_came_from(write):
    text = "sed: 1\nmodel: {cell: x, hidden_size: 0}\n"
    assert [line.split(": ")[0] for line in problems(write(text), "dtype=half")] == [
        "dtype=half", "a.yaml:2:15", "a.yaml:2:31", "a.yaml:1:1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["windows.length=17500"],
         "windows.length=17500: windows.length: a window is 17500 inputs and one target more, but the training "
         "part has 17500 samples a segment; at most 17499 here"),
        (["windows.washout=49"],
         "windows.washout=49: windows.washout: must be less than windows.length, 49, or no step counts; got 49"),
        (["windows.batch_size=1000"],
         "windows.batch_size=1000: windows.batch_size: the training part has 357 windows, got 1000; lower it, "
         "or set windows.order=random"),
        (["split.train=0.9"],
         "a.yaml:1:1: split.validation: train and validation must not exceed 1, they sum to 1.05"),
        (["split.validation=0"],
         "a.yaml:1:1: training.evaluate_every: there is no validation part to evaluate on; "
         "set training.evaluate_every=null"),
        (["split.validation=0.002"],
         "split.validation=0.002: split.validation: the validation part has 50 samples a segment, which leaves "
         "nothing after evaluation.warmup, 50; enlarge it, or set training.evaluate_every=null"),
        (["evaluation.horizon=3701"],
         "evaluation.horizon=3701: evaluation.horizon: the test part has 3750 samples a segment, which leaves "
         "3700 after evaluation.warmup, 50; got 3701"),
        (["evaluation.horizon=3700"],
         "a.yaml:1:1: evaluation.origins: the test part has room for 1, got 8"),
        (["split.train=0.85"],
         "a.yaml:1:1: evaluation.part: there is no test part; lower split.train, or set evaluation.part=train"),
        (["engine=fused", "device=cuda:1"],
         "device=cuda:1: device: the fused engine computes on the CPU, got cuda:1; set engine=torch, "
         "or device=cpu"),
        (["device=mps", "dtype=float64"],
         "dtype=float64: dtype: mps cannot compute in float64; set dtype=float32 or device=cpu"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_told(write, overrides: list[str], message: str):
    assert problems(write("seed: 1\n"), *overrides) == [message]


def test_the_bounds_of_contradictions_are_sharp(write):
    path = write("seed: 1\n")
    load_config(
        path,
        ["signal.length=100", "windows.length=69", "evaluation.warmup=5", "evaluation.horizon=3"],
    )
    load_config(path, ["windows.washout=48"])
    load_config(path, ["windows.batch_size=357"])
    load_config(path, ["windows.batch_size=1000", "windows.order=random"])
    load_config(path, ["evaluation.horizon=3700", "evaluation.origins=1"])
    load_config(path, ["split.validation=0", "training.evaluate_every=null"])


@given(
    seed=st.integers(0, 2**63 - 1),
    rate=st.floats(1e-300, 10),
    name=st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30
    ),
    clip=st.none() | st.floats(1e-9, 1e9),
)
def test_a_config_written_out_reads_back_as_it_was(tmp_path_factory, seed, rate, name, clip):
    config = tiny().model_copy(update={"seed": seed, "name": name})
    config = config.model_copy(
        update={
            "training": config.training.model_copy(
                update={"learning_rate": rate, "gradient_clip": clip}
            )
        }
    )
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(to_yaml(config), encoding="utf-8")
    assert load_config(path) == config


def test_the_json_schema_describes_every_setting():
    schema = Config.model_json_schema()
    sections = [schema, *schema["$defs"].values()]
    fields = [field for section in sections for field in section["properties"].values()]
    assert len(fields) > 40
    assert all("description" in field or "$ref" in field for field in fields)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_fit_the_json_schema_and_open_with_what_they_show(path: Path):
    text = path.read_text(encoding="utf-8")
    jsonschema.validate(yaml.safe_load(text), json.loads(json.dumps(Config.model_json_schema())))
    assert text.startswith("# ")
    assert f"#   sinernn train configs/{path.name}\n" in text
    opening = text[: re.search(r"^[^#]", text, flags=re.MULTILINE).start()]
    assert "\n# Expect " in opening
    assert load_config(path).name == path.stem
