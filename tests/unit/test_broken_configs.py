"""What is wrong with a config is told with its place, in these words, all of a stage at once."""

from pathlib import Path

import pytest

from sinernn.config import Config, load_config
from sinernn.errors import ConfigError
from sinernn.preparation import prepare
from sinernn.signals import Sine

FILES: list[tuple[str | bytes, str]] = [
    ('',
     'a.yaml:1:1: is empty; `sinernn config init` writes a config to start from'),
    ('# only a comment\n',
     'a.yaml:1:1: is empty; `sinernn config init` writes a config to start from'),
    ('- 1\n- 2\n',
     'a.yaml:1:1: must hold `key: value` lines, got a list'),
    ('seed\n',
     "a.yaml:1:1: must hold `key: value` lines, got 'seed'"),
    ('seed:3\n',
     "a.yaml:1:1: must hold `key: value` lines, got 'seed:3'; a space must follow the colon"),
    ('name: a\nseed:3\n',
     'a.yaml:2:1: no `:` after this; write `key: value` with a space, or `key:` above indented lines'),
    ('name: a\nseed 3\n',
     'a.yaml:2:1: no `:` after this; write `key: value` with a space, or `key:` above indented lines'),
    ('model\n  hidden_size: 3\n',
     'a.yaml:2:14: a `:` cannot stand here; mend the indent or the `:` of the line above, or put text that holds one in quotes'),
    ('model:\n  cell: gru\n hidden_size: 3\n',
     'a.yaml:3:2: this line is indented unlike the lines it belongs to; line them up'),
    ('model:\n  cell: gru\n    hidden_size: 3\n',
     'a.yaml:3:16: a `:` cannot stand here; mend the indent or the `:` of the line above, or put text that holds one in quotes'),
    ('model:\n\tcell: gru\n',
     'a.yaml:2:1: a tab cannot stand here; use spaces'),
    ('seed:\t1\n',
     'a.yaml:1:6: a tab cannot stand here; use spaces'),
    ("name: 'a\nseed: 1\n",
     'a.yaml:1:7: this quote is never closed'),
    ('signal:\n  starts: [0, 1\nseed: 1\n',
     'a.yaml:2:11: this [ lacks a comma or its ] before line 3, column 5'),
    ('model: {cell: gru\nseed: 1\n',
     'a.yaml:1:8: this { lacks a comma or its } before line 2, column 5'),
    ('model: {\n',
     'a.yaml:2:1: the text ends within a [ or {; close it'),
    ('signal: {starts: 0, 1}\n',
     'a.yaml:1:21: signal: a key must be a word, got 1; a list is written [0, 1], a fraction 0.1'),
    ('{\n  "seed": 1,\n  // a comment\n  "name": "a"\n}\n',
     'a.yaml:1:1: this { lacks a comma or its } before line 4, column 9'),
    ('training:\n  model: {cell: gru}\n',
     'a.yaml:2:3: training.model: unknown key; it belongs at the top, not in training'),
    ('seed: 1\n}\n',
     'a.yaml:2:1: this does not belong here; remove it'),
    ('name: @x\n',
     'a.yaml:1:7: no plain text begins with this; put it in quotes'),
    ('name: a: b\n',
     'a.yaml:1:8: a `:` cannot stand here; mend the indent or the `:` of the line above, or put text that holds one in quotes'),
    ("name: 'a' b\n",
     'a.yaml:1:11: the value has ended before this; put all of it in quotes'),
    ('name: &x a\nseed: *x\n',
     'a.yaml:1:7: &x: anchors and aliases are not allowed, so that every value stands where it is used; write it out\n'
     'a.yaml:2:7: *x: anchors and aliases are not allowed, so that every value stands where it is used; write it out'),
    ('<<: *base\n',
     'a.yaml:1:5: *base: anchors and aliases are not allowed, so that every value stands where it is used; write it out'),
    ('name: * a\n',
     'a.yaml:1:7: text that begins with * needs quotes'),
    ('name: !!str a\n',
     'a.yaml:1:7: !!str: tags are not allowed, a config is plain data; leave it out'),
    ('seed: !!int abc\n',
     'a.yaml:1:7: !!int: tags are not allowed, a config is plain data; leave it out'),
    ('name: !!python/object:os.system a\n',
     'a.yaml:1:7: !!python/object:os.system: tags are not allowed, a config is plain data; leave it out'),
    ('name: !e!x a\n',
     'a.yaml:1:7: tags are not allowed, a config is plain data; leave it out'),
    ('seed: 1\nseed: 2\nname: a\nname: b\n',
     'a.yaml:2:1: seed: is given twice, first in line 1; remove one\n'
     'a.yaml:4:1: name: is given twice, first in line 3; remove one'),
    ('model: {cell: gru, cell: lstm}\n',
     'a.yaml:1:20: model.cell: is given twice, first in line 1; remove one'),
    ('1: a\ntrue: b\n',
     'a.yaml:1:1: a key must be a word, got 1\n'
     'a.yaml:2:1: a key must be a word, got true'),
    ('[a]: 1\n',
     'a.yaml:1:1: a key must be a word, got a list'),
    ('seed: 1\n---\nseed: 2\n',
     'a.yaml:2:1: a second document begins here; keep one to a file'),
    ('seed: 1\n...\nname: b\n',
     'a.yaml:3:1: the config has ended before this; remove it'),
    ('%YAML 1.1\n---\nseed: 1\n',
     'a.yaml:1:1: directives such as %YAML are not allowed; remove the line'),
    ('name: "\\q"\n',
     'a.yaml:1:9: no escape begins like this; double the \\, or use single quotes'),
    ('name: >x\n',
     'a.yaml:1:8: text behind | or > begins in the next line; put it in quotes'),
    ('signal:\n  starts: - 1\n',
     'a.yaml:2:11: a list cannot begin here; write it as [1, 2]'),
    ('seed: 1\nname: \x00\n',
     'a.yaml:2:7: holds a NUL byte; remove it'),
    ('name: \x07\n',
     'a.yaml:1:7: holds the control character U+0007; remove it'),
    ('name: a,\nseed: ,\n',
     'a.yaml:2:7: a value is missing here; text with signs needs quotes'),
    ('a: ' + '[' * 25 + '\n',
     'a.yaml:1:23: is nested deeper than 20 levels; is a bracket missing?'),
    ('seed: ' + '9' * 400 + '\n',
     'a.yaml:1:7: seed: is a number of 400 digits; at most 300 can be read'),
    (b'\xff\xfes\x00e\x00',
     'a.yaml:1:1: byte 0xff is not UTF-8 text; save the file as UTF-8'),
    (b'seed: 1\nname: caf\xe9\n',
     'a.yaml:2:10: byte 0xe9 is not UTF-8 text; save the file as UTF-8'),
    ('seed: 1\n  \x1b: 2\n',
     'a.yaml:2:3: holds the control character U+001B; remove it'),
    ('model:\n  hiden_size: 3\n',
     'a.yaml:2:3: model.hiden_size: unknown key; did you mean hidden_size?'),
    ('colour: red\n',
     'a.yaml:1:1: colour: unknown key; known here: name, seed, device, engine, dtype, signal, windows, split, model, training, refine, evaluation, limits'),
    ('hidden_size: 3\n',
     'a.yaml:1:1: hidden_size: unknown key; did you mean model.hidden_size?'),
    ('length: 3\n',
     'a.yaml:1:1: length: unknown key; did you mean signal.length or windows.length?'),
    ('model.cell: gru\n',
     'a.yaml:1:1: model.cell: unknown key; in a file, sections are indented: write model: {cell: ...}'),
    ('model:\ntraining:\n  steps: 5\n',
     'a.yaml:1:7: model: must be a section with keys such as cell, hidden_size, num_layers, got null; leave it out for the defaults'),
    ('training:\n  evaluation:\n    horizon: 3\n',
     'a.yaml:2:3: training.evaluation: unknown key; it belongs at the top, not in training'),
    ('training: {learning_rate: -0.01}\n',
     'a.yaml:1:27: training.learning_rate: must be greater than 0, got -0.01'),
    ('training: {learning_rate: fast}\n',
     "a.yaml:1:27: training.learning_rate: must be a number, got 'fast'"),
    ("training: {learning_rate: '0.01'}\n",
     "a.yaml:1:27: training.learning_rate: must be a number, got '0.01'; remove the quotes"),
    ('training: {learning_rate: 0,01}\n',
     'a.yaml:1:29: training: a key must be a word, got 1; a list is written [0, 1], a fraction 0.1'),
    ('training: {learning_rate: true}\n',
     'a.yaml:1:27: training.learning_rate: must be a number, got true'),
    ('training: {gradient_clip: None}\n',
     "a.yaml:1:27: training.gradient_clip: must be a number or null, got 'None'; write null"),
    ('training: {steps: 1_000}\n',
     "a.yaml:1:19: training.steps: must be a whole number, got '1_000'; write 1000"),
    ('training: {steps: 0}\n',
     'a.yaml:1:19: training.steps: must be at least 1, got 0'),
    ('training: {steps: 1.5}\n',
     'a.yaml:1:19: training.steps: must be a whole number, got 1.5'),
    ('training: {steps: null}\n',
     'a.yaml:1:19: training.steps: must be a whole number, got null'),
    ('training: {steps: 1e12}\n',
     'a.yaml:1:19: training.steps: must be at most 1000000000 (Updates; a billion take an hour on the fused engine, months on torch), got 1000000000000'),
    ('seed: -1\n',
     'a.yaml:1:7: seed: must be at least 0, got -1'),
    ('seed: 1:30\n',
     "a.yaml:1:7: seed: must be a whole number, got '1:30'"),
    ('signal: {period: .nan}\n',
     'a.yaml:1:18: signal.period: must be finite, got nan'),
    ('signal: {period: 1e999}\n',
     'a.yaml:1:18: signal.period: must be finite, got inf'),
    ('signal: {period: 2*pi}\n',
     "a.yaml:1:18: signal.period: must be a number, got '2*pi'"),
    ('signal: {starts: 3}\n',
     'a.yaml:1:18: signal.starts: must be a list, such as [0, 1], got 3'),
    ('signal: {starts: []}\n',
     'a.yaml:1:18: signal.starts: must not be empty, got a list'),
    ('signal: {starts: [0, x, [1]]}\n',
     "a.yaml:1:22: signal.starts.1: must be a number, got 'x'\n"
     'a.yaml:1:25: signal.starts.2: must be a number, got a list'),
    ('signal: {kind: sinus}\n',
     "a.yaml:1:16: signal.kind: must be sine, sum_of_sines or mackey_glass, got 'sinus'; did you mean sine?"),
    ('signal: {length: 1}\n',
     'a.yaml:1:18: signal.length: must be at least 2, got 1'),
    ('windows: {carry_state: yes}\n',
     "a.yaml:1:24: windows.carry_state: must be true or false, got 'yes'; write true"),
    ('windows: {carry_state: 1}\n',
     'a.yaml:1:24: windows.carry_state: must be true or false, got 1; write true'),
    ("windows: {normalize: 'true'}\n",
     "a.yaml:1:22: windows.normalize: must be true or false, got 'true'; remove the quotes"),
    ('split: {validation: 1}\n',
     'a.yaml:1:21: split.validation: must be less than 1, got 1'),
    ('model: {cell: GRU}\n',
     "a.yaml:1:15: model.cell: must be rnn_tanh, rnn_relu, gru or lstm, got 'GRU'; did you mean gru?"),
    ('model: {cell: rnn}\n',
     "a.yaml:1:15: model.cell: must be rnn_tanh, rnn_relu, gru or lstm, got 'rnn'"),
    ('model: {hidden_size: 1e9}\n',
     'a.yaml:1:22: model.hidden_size: must be at most 4096 (Units in a layer; time and memory grow with the square), got 1000000000'),
    ('model: 3\n',
     'a.yaml:1:8: model: must be a section with keys such as cell, hidden_size, num_layers, got 3'),
    ('device: gpu\n',
     "a.yaml:1:9: device: must be auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
    ('dtype: 64\n',
     'a.yaml:1:8: dtype: must be float32 or float64, got 64'),
    ("name: ''\n",
     "a.yaml:1:7: name: must not be empty, got ''"),
    ('name: 3\n',
     'a.yaml:1:7: name: must be text, got 3; put it in quotes'),
    ('name: {a: b}\n',
     'a.yaml:1:7: name: must be text, got a section; put it in quotes'),
    ('name: ' + 'x' * 201 + '\n',
     "a.yaml:1:7: name: must be at most 200 characters, got 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."),
    ('sed: 1\nmodel: {cell: x, hidden_size: 0}\n',
     'a.yaml:1:1: sed: unknown key; did you mean seed?\n'
     "a.yaml:2:15: model.cell: must be rnn_tanh, rnn_relu, gru or lstm, got 'x'\n"
     'a.yaml:2:31: model.hidden_size: must be at least 1, got 0'),
]  # fmt: skip
"""Text of a.yaml, and what is told about it."""

OVERRIDES = [
    (['seed'],
     'seed: has no value; write seed=VALUE'),
    (['8'],
     '8: an override is written key=value, as in model.hidden_size=32'),
    (['=3'],
     '=3: an override is written key=value, as in model.hidden_size=32'),
    (['seed='],
     'seed=: has no value; write seed=VALUE, or seed=null for none'),
    (['name=#1'],
     'name=#1: has no value; write name=VALUE, or name=null for none; a # needs quotes'),
    (['seed=1', 'seed=2'],
     'seed=2: seed: is given twice, with seed=1 before; keep one'),
    (['model={cell: gru}', 'model.hidden_size=3'],
     'model.hidden_size=3: model.hidden_size: overlaps, with model={cell: gru} before; keep one'),
    (['model..cell=gru'],
     'model..cell=gru: a key is missing beside a dot; write all of it, as in model.hidden_size=32'),
    (['seed.x=1'],
     'seed.x=1: seed.x: seed is 0, not a section; write seed=VALUE'),
    (['model.cell.x=1'],
     'model.cell.x=1: model.cell: must be rnn_tanh, rnn_relu, gru or lstm, got a section'),
    (['model=3'],
     'model=3: model: must be a section with keys such as cell, hidden_size, num_layers, got 3'),
    (['model=null'],
     'model=null: model: must be a section with keys such as cell, hidden_size, num_layers, got null; leave it out for the defaults'),
    (['model={'],
     'model={: the text ends within a [ or {; close it; in a shell, quote an override that holds spaces'),
    (['signal.starts=[0,', '1]'],
     'signal.starts=[0,: the text ends within a [ or {; close it; in a shell, quote an override that holds spaces\n'
     '1]: an override is written key=value, as in model.hidden_size=32'),
    (['signal.starts.0=3'],
     'signal.starts.0=3: a list is written whole, as in signal.starts=[0, 1]'),
    (['seed=*x'],
     'seed=*x: *x: anchors and aliases are not allowed, so that every value stands where it is used; write it out'),
    (['seed=!!int 3'],
     'seed=!!int 3: !!int: tags are not allowed, a config is plain data; leave it out'),
    (['seed=1\nname: x'],
     'seed=1\\nname: x: a `:` cannot stand here; mend the indent or the `:` of the line above, or put text that holds one in quotes'),
    (['name=a: b'],
     'name=a: b: name: must be text, got a section; put it in quotes'),
    (["name='a"],
     "name='a: this quote is never closed"),
    (['x\x1b[31m=3'],
     'x\\x1b[31m=3: x\\x1b[31m: unknown key; known here: name, seed, device, engine, dtype, signal, windows, split, model, training, refine, evaluation, limits'),
    (['\udcff=3'],
     '\\udcff=3: is not UTF-8 text'),
    (['training.stepz=3'],
     'training.stepz=3: training.stepz: unknown key; did you mean steps?'),
    (['steps=3'],
     'steps=3: steps: unknown key; did you mean training.steps?'),
    (['Seed=3'],
     'Seed=3: Seed: unknown key; did you mean seed?'),
    (['dtype=half'],
     "dtype=half: dtype: must be float32 or float64, got 'half'"),
    (['seed==1'],
     "seed==1: seed: must be a whole number, got '=1'"),
    (['seed=x', 'model.cell=x', 'colour=red'],
     "seed=x: seed: must be a whole number, got 'x'\n"
     "model.cell=x: model.cell: must be rnn_tanh, rnn_relu, gru or lstm, got 'x'\n"
     'colour=red: colour: unknown key; known here: name, seed, device, engine, dtype, signal, windows, split, model, training, refine, evaluation, limits'),
    (['windows.length=17500'],
     'windows.length=17500: windows.length: a window is 17500 inputs and one target more, but the training part has 17500 samples a segment; at most 17499 here'),
    (['windows.washout=49'],
     'windows.washout=49: windows.washout: must be less than windows.length, 49, or no step counts; got 49'),
    (['windows.batch_size=1000'],
     'windows.batch_size=1000: windows.batch_size: the training part has 357 windows, got 1000; lower it, or set windows.order=random'),
    (['windows.order=random', 'windows.washout=3'],
     'windows.washout=3: windows.washout: would hold for the first update alone, since random windows that carry the state never reset it again; set windows.carry_state=false, or windows.washout=0'),
    (['split.train=0.9'],
     'split.train=0.9: split.validation: train and validation must not exceed 1, they sum to 1.05'),
    (['split.train=1e-9'],
     'split.train=1e-9: windows.length: a window is 49 inputs and one target more, but the training part has 0 samples a segment; at most 0 here'),
    (['split.validation=0'],
     'split.validation=0: split.validation: there is no validation part to evaluate on; enlarge it, or set training.evaluate_every=null'),
    (['split.validation=0.002'],
     'split.validation=0.002: split.validation: the validation part has 50 samples a segment, which leaves nothing after evaluation.warmup, 50; enlarge it, or set training.evaluate_every=null'),
    (['evaluation.horizon=3701'],
     'evaluation.horizon=3701: evaluation.horizon: the test part has 3750 samples a segment, which leaves 3700 after evaluation.warmup, 50; got 3701'),
    (['evaluation.horizon=3700'],
     'evaluation.horizon=3700: evaluation.origins: the test part has room for 1, got 8'),
    (['split.train=0.85'],
     'split.train=0.85: evaluation.part: there is no test part; lower split.train, or set evaluation.part=train'),
    (['engine=fused', 'device=cuda:1'],
     'device=cuda:1: device: the fused engine computes on the CPU; set device=cpu or engine=torch, got cuda:1'),
    (['device=mps', 'dtype=float64'],
     'dtype=float64: dtype: mps cannot compute in float64; set dtype=float32 or device=cpu'),
    (['signal.starts=[1e12]'],
     "signal.starts=[1e12]: signal.starts: at time 1e+12 a computer's numbers are 0.0002 apart, too coarse for signal.time_step, 0.204082; start nearer to 0"),
    (['windows.washout=49', 'evaluation.horizon=3701'],
     'windows.washout=49: windows.washout: must be less than windows.length, 49, or no step counts; got 49\n'
     'evaluation.horizon=3701: evaluation.horizon: the test part has 3750 samples a segment, which leaves 3700 after evaluation.warmup, 50; got 3701'),
    (['training.steps=1e9', 'training.evaluate_every=null', 'training.checkpoint_every=null', 'training.log_every=1e6', 'engine=torch'],
     'training.steps=1e9: training.steps: the run would take about 16 GB of memory, most of it here, and the limit is 8; choose less, or set limits.memory_gb=19\n'
     'training.steps=1e9: training.steps: the run would take about 830 hours on one core, most of it here, and the limit is 24; choose less, or set limits.hours=1000'),
    (['training.steps=1e9', 'training.checkpoint_every=1', 'limits.memory_gb=1e5'],
     'training.checkpoint_every=1: training.checkpoint_every: the run would take about 7e+08 hours on one core, most of it here, and the limit is 24; choose less'),
    (['windows.length=10000', 'windows.order=random', 'windows.batch_size=65536', 'limits.hours=1e5'],
     'windows.batch_size=65536: windows.batch_size: the run would take about 250 GB of memory, most of it here, and the limit is 8; choose less, or set limits.memory_gb=300'),
    (['signal.length=1e7', 'signal.starts=[0,1,2,3,4,5,6,7,8,9,10,11,12]'],
     'signal.length=1e7: signal.length: the run would take about 20 GB of memory, most of it here, and the limit is 8; choose less, or set limits.memory_gb=24'),
]  # fmt: skip
"""Overrides of a config that says `seed: 0`, and what is told about them."""


def told(text: str | bytes, *overrides: str) -> str:
    Path("a.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        prepare(load_config("a.yaml", overrides))
    return str(caught.value)


@pytest.mark.parametrize(("text", "message"), FILES)
def test_a_broken_file_is_told(here: Path, text: str | bytes, message: str):
    assert told(text) == message


@pytest.mark.parametrize(("overrides", "message"), OVERRIDES)
def test_a_broken_override_is_told(here: Path, overrides: list[str], message: str):
    assert told("seed: 0\n", *overrides) == message


def test_the_table_is_long():
    assert len(FILES) + len(OVERRIDES) >= 80


def test_broken_file_and_overrides(here: Path):
    """They are reported together."""
    assert told("seed: 1\nseed: 2\n", "seed", "x={").splitlines() == [
        "a.yaml:2:1: seed: is given twice, first in line 1; remove one",
        "seed: has no value; write seed=VALUE",
        "x={: the text ends within a [ or {; close it; in a shell, quote an override that holds spaces",
    ]


def test_settings_against_the_data(here: Path):
    """They are reported with their place."""
    text = (
        "signal: {period: 1, time_step: 1, phase: 0.5, length: 600}\nwindows:\n  normalize: true\n"
        "evaluation: {warmup: 20, horizon: 60, origins: 3}\n"
    )
    what = (
        "windows.normalize: the training part is constant, so it has no scale; "
        "set windows.normalize=false"
    )
    assert told(text) == f"a.yaml:3:14: {what}"
    assert told(text, "windows.normalize=true") == f"windows.normalize=true: {what}"
    with pytest.raises(ConfigError, match=r"^config: windows\.normalize: the training part"):
        prepare(Config(signal=Sine(period=1, time_step=1, phase=0.5, length=600)))


def test_what_has_no_end_of_problems_is_cut_short(here: Path):
    lines = told("".join(f"key_{i}: 1\n" for i in range(1000))).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "a.yaml:50:1: there is more; mend this first"
