"""Messages about broken configs: their places and words, all of a stage at once."""

import re
from pathlib import Path

import pytest

from sinernn.config import Config, check, load_config
from sinernn.config.sections import Evaluation
from sinernn.data.synthetic import Sine
from sinernn.errors import ConfigError
from sinernn.preparation import prepare

FILES: list[tuple[str | bytes, str]] = [
    ('',
     'a.yaml:1:1: is empty; `sinernn init` writes a config to start from'),
    ('# only a comment\n',
     'a.yaml:1:1: is empty; `sinernn init` writes a config to start from'),
    ('- 1\n- 2\n',
     'a.yaml:1:1: must contain `key: value` lines, got a list'),
    ('seed\n',
     "a.yaml:1:1: must contain `key: value` lines, got 'seed'"),
    ('seed:3\n',
     "a.yaml:1:1: must contain `key: value` lines, got 'seed:3'; a space must follow the colon"),
    ('name: a\nseed:3\n',
     'a.yaml:2:1: no `:` after this; write `key: value` with a space, or `key:` above indented lines'),
    ('name: a\nseed 3\n',
     'a.yaml:2:1: no `:` after this; write `key: value` with a space, or `key:` above indented lines'),
    ('model\n  hidden_size: 3\n',
     'a.yaml:2:14: unexpected `:`; check the indentation and the `:` of the line above, or quote text that contains one'),
    ('model:\n  cell: gru\n hidden_size: 3\n',
     'a.yaml:3:2: unexpected indentation; align this line with the other lines of its section'),
    ('model:\n  cell: gru\n    hidden_size: 3\n',
     'a.yaml:3:16: unexpected `:`; check the indentation and the `:` of the line above, or quote text that contains one'),
    ('model:\n\tcell: gru\n',
     'a.yaml:2:1: tabs are not allowed here; use spaces'),
    ('seed:\t1\n',
     'a.yaml:1:6: tabs are not allowed here; use spaces'),
    ("name: 'a\nseed: 1\n",
     'a.yaml:1:7: this quote is never closed'),
    ('signal:\n  starts: [0, 1\nseed: 1\n',
     'a.yaml:2:11: this [ lacks a comma or its ] before line 3, column 5'),
    ('model: {cell: gru\nseed: 1\n',
     'a.yaml:1:8: this { lacks a comma or its } before line 2, column 5'),
    ('model: {\n',
     'a.yaml:2:1: the text ends inside [ or {; close the bracket'),
    ('signal: {starts: 0, 1}\n',
     'a.yaml:1:21: signal: keys must be text, got 1; write a list as [0, 1], a fraction as 0.1'),
    ('{\n  "seed": 1,\n  // a comment\n  "name": "a"\n}\n',
     'a.yaml:1:1: this { lacks a comma or its } before line 4, column 9'),
    ('training:\n  model: {cell: gru}\n',
     'a.yaml:2:3: training.model: unknown key; it belongs to the top level, not to training'),
    ('seed: 1\n}\n',
     'a.yaml:2:1: unexpected text; remove it'),
    ('name: @x\n',
     'a.yaml:1:7: plain text cannot start with this character; put it in quotes'),
    ('name: a: b\n',
     'a.yaml:1:8: unexpected `:`; check the indentation and the `:` of the line above, or quote text that contains one'),
    ("name: 'a' b\n",
     'a.yaml:1:11: unexpected text after the value; put the whole value in quotes'),
    ('name: &x a\nseed: *x\n',
     'a.yaml:1:7: &x: anchors and aliases are not allowed; write the value out\n'
     'a.yaml:2:7: *x: anchors and aliases are not allowed; write the value out'),
    ('<<: *base\n',
     'a.yaml:1:5: *base: anchors and aliases are not allowed; write the value out'),
    ('name: * a\n',
     'a.yaml:1:7: text that starts with * needs quotes'),
    ('name: !!str a\n',
     'a.yaml:1:7: !!str: tags are not allowed; remove it'),
    ('seed: !!int abc\n',
     'a.yaml:1:7: !!int: tags are not allowed; remove it'),
    ('name: !!python/object:os.system a\n',
     'a.yaml:1:7: !!python/object:os.system: tags are not allowed; remove it'),
    ('name: !e!x a\n',
     'a.yaml:1:7: tags are not allowed; remove it'),
    ('seed: 1\nseed: 2\nname: a\nname: b\n',
     'a.yaml:2:1: seed: duplicate key, first given in line 1; remove one\n'
     'a.yaml:4:1: name: duplicate key, first given in line 3; remove one'),
    ('model: {cell: gru, cell: lstm}\n',
     'a.yaml:1:20: model.cell: duplicate key, first given in line 1; remove one'),
    ('1: a\ntrue: b\n',
     'a.yaml:1:1: keys must be text, got 1\n'
     'a.yaml:2:1: keys must be text, got true'),
    ('[a]: 1\n',
     'a.yaml:1:1: keys must be text, got a list'),
    ('seed: 1\n---\nseed: 2\n',
     'a.yaml:2:1: a second document starts here; a file contains only one'),
    ('seed: 1\n...\nname: b\n',
     'a.yaml:3:1: text after the end of the config; remove it'),
    ('%YAML 1.1\n---\nseed: 1\n',
     'a.yaml:1:1: directives such as %YAML are not allowed; remove the line'),
    ('name: "\\q"\n',
     'a.yaml:1:9: unknown escape sequence; double the \\, or use single quotes'),
    ('name: >x\n',
     'a.yaml:1:8: text after | or > starts on the next line; put it in quotes'),
    ('signal:\n  starts: - 1\n',
     'a.yaml:2:11: a list cannot start here; write it as [1, 2]'),
    ('seed: 1\nname: \x00\n',
     'a.yaml:2:7: contains a NUL byte; remove it'),
    ('name: \x07\n',
     'a.yaml:1:7: contains the control character U+0007; remove it'),
    ('name: a,\nseed: ,\n',
     'a.yaml:2:7: a value is missing here; text with special characters needs quotes'),
    ('a: ' + '[' * 25 + '\n',
     'a.yaml:1:23: nested deeper than 20 levels; is a bracket missing?'),
    ('seed: ' + '9' * 400 + '\n',
     'a.yaml:1:7: seed: must have at most 300 digits, got 400'),
    ('limits: {memory_gb: 1, hours: 24.0}\n',
     'a.yaml:1:24: limits.hours: was removed, since run time is no longer estimated; delete the line'),
    (b'\xff\xfes\x00e\x00',
     'a.yaml:1:1: invalid UTF-8 byte 0xff; save the file as UTF-8'),
    (b'seed: 1\nname: caf\xe9\n',
     'a.yaml:2:10: invalid UTF-8 byte 0xe9; save the file as UTF-8'),
    ('seed: 1\n  \x1b: 2\n',
     'a.yaml:2:3: contains the control character U+001B; remove it'),
    ('model:\n  hiden_size: 3\n',
     'a.yaml:2:3: model.hiden_size: unknown key; did you mean hidden_size?'),
    ('colour: red\n',
     'a.yaml:1:1: colour: unknown key; valid keys: name, seed, device, engine, dtype, signal, windows, split, model, training, refine, evaluation, limits'),
    ('hidden_size: 3\n',
     'a.yaml:1:1: hidden_size: unknown key; did you mean model.hidden_size?'),
    ('length: 3\n',
     'a.yaml:1:1: length: unknown key; did you mean signal.length or windows.length?'),
    ('model.cell: gru\n',
     'a.yaml:1:1: model.cell: unknown key; in a file, write model: {cell: ...}'),
    ('model:\ntraining:\n  steps: 5\n',
     'a.yaml:1:7: model: must be a section with keys such as cell, hidden_size, num_layers, got null; remove it to use the defaults'),
    ('training:\n  evaluation:\n    horizon: 3\n',
     'a.yaml:2:3: training.evaluation: unknown key; it belongs to the top level, not to training'),
    ('training: {learning_rate: -0.01}\n',
     'a.yaml:1:27: training.learning_rate: must be greater than 0, got -0.01'),
    ('training: {learning_rate: fast}\n',
     "a.yaml:1:27: training.learning_rate: must be a number, got 'fast'"),
    ("training: {learning_rate: '0.01'}\n",
     "a.yaml:1:27: training.learning_rate: must be a number, got '0.01'; remove the quotes"),
    ('training: {learning_rate: 0,01}\n',
     'a.yaml:1:29: training: keys must be text, got 1; write a list as [0, 1], a fraction as 0.1'),
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
     "a.yaml:1:16: signal.kind: must be sine, sum_of_sines, square, triangle, sawtooth, impulse_train, chirp, am, damped, mackey_glass, lorenz, rossler, lorenz96, duffing, van_der_pol, henon, logistic, system or file, got 'sinus'; did you mean sine?"),
    ('signal: {kind: file, columns: a}\n',
     "a.yaml:1:31: signal.columns: must be a list, such as [a, b], got 'a'"),
    ('signal: {kind: file, units: V}\n',
     "a.yaml:1:29: signal.units: must be a section, such as {name: value}, got 'V'"),
    ('signal: {kind: file, units: {a: 1}}\n',
     'a.yaml:1:33: signal.units.a: must be text, got 1; put it in quotes'),
    ('signal: {kind: file, decimal: ","}\n',
     "a.yaml:1:31: signal.decimal: must be point or comma, got ','"),
    ('signal: {kind: file, downsample: 4}\n',
     'a.yaml:1:34: signal.downsample: must be a section with keys such as factor, method or null, got 4'),
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
     "a.yaml:1:15: model.cell: must be rnn_tanh, rnn_relu, gru or lstm, got 'rnn'; did you mean rnn_tanh?"),
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
"""Text of a.yaml, and the message."""

OVERRIDES = [
    (['seed'],
     'seed: has no value; write seed=VALUE'),
    (['8'],
     '8: an override must be key=value, for example model.hidden_size=32'),
    (['=3'],
     '=3: an override must be key=value, for example model.hidden_size=32'),
    (['seed='],
     'seed=: has no value; write seed=VALUE, or seed=null for none'),
    (['name=#1'],
     'name=#1: has no value; write name=VALUE, or name=null for none; a # needs quotes'),
    (['seed=1', 'seed=2'],
     'seed=2: conflicts with seed=1; keep one'),
    (['model={cell: gru}', 'model.hidden_size=3'],
     'model.hidden_size=3: conflicts with model={cell: gru}; keep one'),
    (['model..cell=gru'],
     'model..cell=gru: a key is missing next to a dot; an example is model.hidden_size=32'),
    (['seed.x=1'],
     'seed.x=1: seed is 0, not a section; write seed=VALUE'),
    (['model.cell.x=1'],
     'model.cell.x=1: model.cell: must be rnn_tanh, rnn_relu, gru or lstm, got a section'),
    (['model=3'],
     'model=3: must be a section with keys such as cell, hidden_size, num_layers, got 3'),
    (['model=null'],
     'model=null: must be a section with keys such as cell, hidden_size, num_layers, got null; remove it to use the defaults'),
    (['model={'],
     'model={: the text ends inside [ or {; close the bracket; in a shell, quote an override that contains spaces'),
    (['signal.starts=[0,', '1]'],
     'signal.starts=[0,: the text ends inside [ or {; close the bracket; in a shell, quote an override that contains spaces\n'
     '1]: an override must be key=value, for example model.hidden_size=32'),
    (['signal.starts.0=3'],
     'signal.starts.0=3: list items cannot be set one by one; set the whole list, as in signal.starts=[0, 1]'),
    (['seed=*x'],
     'seed=*x: *x: anchors and aliases are not allowed; write the value out'),
    (['seed=!!int 3'],
     'seed=!!int 3: !!int: tags are not allowed; remove it'),
    (['seed=1\nname: x'],
     'seed=1\\nname: x: unexpected `:`; check the indentation and the `:` of the line above, or quote text that contains one'),
    (['name=a: b'],
     'name=a: b: must be text, got a section; put it in quotes'),
    (["name='a"],
     "name='a: this quote is never closed"),
    (['x\x1b[31m=3'],
     'x\\x1b[31m=3: unknown key; valid keys: name, seed, device, engine, dtype, signal, windows, split, model, training, refine, evaluation, limits'),
    (['\udcff=3'],
     '\\udcff=3: is not UTF-8 text'),
    (['training.stepz=3'],
     'training.stepz=3: unknown key; did you mean steps?'),
    (['steps=3'],
     'steps=3: unknown key; did you mean training.steps?'),
    (['Seed=3'],
     'Seed=3: unknown key; did you mean seed?'),
    (['dtype=half'],
     "dtype=half: must be float32 or float64, got 'half'"),
    (['seed==1'],
     "seed==1: must be a whole number, got '=1'"),
    (['seed=x', 'model.cell=x', 'colour=red'],
     "seed=x: must be a whole number, got 'x'\n"
     "model.cell=x: must be rnn_tanh, rnn_relu, gru or lstm, got 'x'\n"
     'colour=red: unknown key; valid keys: name, seed, device, engine, dtype, signal, windows, split, model, training, refine, evaluation, limits'),
    (['windows.length=17500'],
     'windows.length=17500: a window of 17500 inputs and one more target exceeds the training part (17500 samples); use at most 17499'),
    (['windows.washout=49'],
     'windows.washout=49: must be less than windows.length (49), otherwise no step counts, got 49'),
    (['windows.batch_size=1000'],
     'windows.batch_size=1000: must be at most 357, the number of windows in the training part, got 1000; decrease it, or set windows.order=random'),
    (['windows.order=random', 'windows.washout=3'],
     'windows.washout=3: applies to the first update only, since random windows with a carried state never reset it; set windows.carry_state=false, or use 0'),
    (['split.train=0.9'],
     'split.train=0.9: split.validation: the sum with split.train must be at most 1, got 1.05'),
    (['split.train=1e-9'],
     'split.train=1e-9: windows.length: a window of 49 inputs and one more target exceeds the training part (0 samples); increase split.train'),
    (['split.validation=0'],
     'split.validation=0: the validation part is empty; increase it, or set training.evaluate_every=null'),
    (['split.validation=0.002'],
     'split.validation=0.002: the validation part (50 samples) is not longer than evaluation.warmup (50); increase it, or set training.evaluate_every=null'),
    (['evaluation.horizon=3701'],
     'evaluation.horizon=3701: the test part (3750 samples) leaves 3700 after evaluation.warmup (50), got 3701; use at most 3700'),
    (['evaluation.horizon=3700'],
     'evaluation.horizon=3700: evaluation.origins: must be at most 1, as many as fit into the test part, got 8'),
    (['split.train=0.85'],
     'split.train=0.85: evaluation.part: the test part is empty; decrease split.train, or use train'),
    (['engine=fused', 'device=cuda:1'],
     'device=cuda:1: the fused engine runs on the CPU, got cuda:1; use cpu, or set engine=torch'),
    (['device=mps', 'dtype=float64'],
     'dtype=float64: mps does not support float64; use float32, or set device=cpu'),
    (['signal.starts=[1e12]'],
     'signal.starts=[1e12]: floating-point times near 1e+12 have a spacing of 0.0002, too coarse for signal.time_step (0.204082); start closer to 0'),
    (['windows.washout=49', 'evaluation.horizon=3701'],
     'windows.washout=49: must be less than windows.length (49), otherwise no step counts, got 49\n'
     'evaluation.horizon=3701: the test part (3750 samples) leaves 3700 after evaluation.warmup (50), got 3701; use at most 3700'),
    (['training.steps=1e9', 'training.evaluate_every=null', 'training.checkpoint_every=null', 'training.log_every=1e6'],
     'training.steps=1e9: the run needs about 16 GB of memory, most of it for this, and the limit is 8 GB; decrease it, or set limits.memory_gb=19'),
    (['windows.length=10000', 'windows.order=random', 'windows.batch_size=65536'],
     'windows.batch_size=65536: the run needs about 250 GB of memory, most of it for this, and the limit is 8 GB; decrease it, or set limits.memory_gb=300'),
    (['windows.length=1e5', 'windows.order=random', 'windows.batch_size=65536', 'model.hidden_size=4096', 'signal.length=1e6'],
     'windows.batch_size=65536: the run needs about 640000 GB of memory, most of it for this, and the limit is 8 GB; decrease it'),
    (['limits.hours=5'],
     'limits.hours=5: was removed, since run time is no longer estimated; leave it out'),
    (['refine=none'],
     "refine=none: must be a section with keys such as stages, origins, forecast_steps, climate_steps or null, got 'none'; write null"),
    (['refine=3'],
     'refine=3: must be a section with keys such as stages, origins, forecast_steps, climate_steps or null, got 3'),
    (['refine.stages=aut', 'dtype=float64'],
     "refine.stages=aut: must be auto or a list of stages, got 'aut'"),
    (['refine.stages=[]', 'dtype=float64'],
     'refine.stages=[]: must not be empty, got a list'),
    (['training.gradient_clip=false'],
     'training.gradient_clip=false: must be a number or null, got false; write null'),
    (['model.cell=RNN'],
     "model.cell=RNN: must be rnn_tanh, rnn_relu, gru or lstm, got 'RNN'; did you mean rnn_tanh?"),
    (['signal.length=1e7', 'signal.starts=[0,1,2,3,4,5,6,7,8,9,10,11,12]'],
     'signal.length=1e7: the run needs about 20 GB of memory, most of it for this, and the limit is 8 GB; decrease it, or set limits.memory_gb=24'),
]  # fmt: skip
"""Overrides of a config with `seed: 0`, and the message."""


def message_about(text: str | bytes, *overrides: str) -> str:
    Path("a.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        prepare(load_config("a.yaml", overrides))
    for problem in caught.value.problems:
        key = re.escape(".".join(map(str, problem.path)))
        # The place names the key already.
        assert not key or not re.search(rf"(?<![\w.]){key}(?![\w.=])|set {key}=", problem.message)
    return str(caught.value)


@pytest.mark.parametrize(("text", "message"), FILES)
def test_broken_file(here: Path, text: str | bytes, message: str):
    assert message_about(text) == message


@pytest.mark.parametrize(("overrides", "message"), OVERRIDES)
def test_broken_override(here: Path, overrides: list[str], message: str):
    assert message_about("seed: 0\n", *overrides) == message


def test_file_and_overrides_are_reported_together(here: Path):
    assert message_about("seed: 1\nseed: 2\n", "seed", "x={").splitlines() == [
        "a.yaml:2:1: seed: duplicate key, first given in line 1; remove one",
        "seed: has no value; write seed=VALUE",
        "x={: the text ends inside [ or {; close the bracket; in a shell, quote an override that "
        "contains spaces",
    ]


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        ("kind: lorenz, initial_state: [1, 2]", "initial_state: must have 3 numbers, one for each output, got 2"),
        ("kind: lorenz96, size: 4, initial_state: [1, 2, 3]", "initial_state: must have 4 numbers, one for each output, got 3"),
        ("kind: rossler, starts: [0, -101]", "starts: must be at least -100, the start of signal.transient, got -101"),
        ("kind: henon, time_step: 0.5", "time_step: must be a whole number of iterations, got 0.5"),
        ("kind: logistic, starts: [0.1]", "starts: must be a whole number of iterations, got 0.1"),
        ("kind: logistic, length: 1e7",
         "length: the series needs 1e+07 iterations, at most 3,000,000 are allowed; shorten it"),
        ("kind: impulse_train, period: 3, time_step: 2", "period: must be at least twice signal.time_step (2), got 3"),
        ("kind: damped, starts: [-1]",
         "starts: must be at least 0, where the oscillation has its amplitude, got -1"),
    ],
)  # fmt: skip
def test_conflicts_of_signals(here: Path, signal: str, message: str):
    Path("a.yaml").write_text(f"signal: {{{signal}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        check(load_config("a.yaml"))
    assert str(caught.value).partition(" signal.")[2] == message


def test_settings_against_the_data(here: Path):
    """They are reported with their place."""
    text = (
        "signal: {period: 1, time_step: 1, phase: 0.5, length: 600}\nwindows:\n  normalize: true\n"
        "evaluation: {warmup: 20, horizon: 60, origins: 3}\n"
    )
    what = "the training part is constant, so it has no scale; use false"
    assert message_about(text) == f"a.yaml:3:14: windows.normalize: {what}"
    assert message_about(text, "windows.normalize=true") == f"windows.normalize=true: {what}"
    with pytest.raises(ConfigError, match=r"^config: windows\.normalize: the training part"):
        prepare(
            Config(
                signal=Sine(period=1, time_step=1, phase=0.5, length=600),
                evaluation=Evaluation(warmup=20, horizon=60, origins=3),
            )
        )


def test_at_most_50_problems_are_reported(here: Path):
    lines = message_about("".join(f"key_{i}: 1\n" for i in range(1000))).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "a.yaml:50:1: there are more problems; fix these first"
