import re

import pytest

from examples import REPOSITORY
from sinernn.config import Config, setting_paths
from sinernn.config.cost import RATES, gigabytes, seconds
from sinernn.network import Network


def network(
    cell: str = "rnn_tanh", hidden_size: int = 16, num_layers: int = 1, dtype: str = "float32"
) -> Network:
    return Network(
        cell=cell, channels=1, hidden_size=hidden_size, num_layers=num_layers, dtype=dtype
    )


RUN = dict(
    steps=1000, batch_size=1, length=49, evaluations=10, checkpoints=10, rows=100, free_steps=2050,
    origins=8,
)  # fmt: skip
MEMORY = dict(
    samples=25_000, judged=3750, batch_size=1, length=49, steps=1000, rows=100, free_steps=2050, origins=8
)  # fmt: skip


def test_costs_are_told_by_settings_that_exist():
    settings = {".".join(map(str, path)) for path in setting_paths(Config)}
    assert set(seconds(network(), RATES["torch"], **RUN)) <= settings
    assert set(gigabytes(network(), **MEMORY)) <= settings


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*RUN, "hidden_size", "num_layers"])
def test_more_of_anything_takes_no_less_time(name: str, dtype: str):
    size = {"hidden_size": 64, "num_layers": 2, "dtype": dtype}
    run = dict(RUN)
    before = sum(seconds(network(**size), RATES["torch"], **run).values())
    target = run if name in run else size
    target[name] *= 2
    after = sum(seconds(network(**size), RATES["torch"], **run).values())
    assert before < after <= 4 * before


def test_twice_the_updates_take_twice_the_time():
    one, two = (
        seconds(network(), RATES["torch"], **{**RUN, "steps": steps})["training.steps"]
        for steps in (1000, 2000)
    )
    assert two == pytest.approx(2 * one)


MEASURED = [
    # cell, H, L, T, B, dtype, seconds of an update, of a step of a free run from 8 origins
    ("rnn_tanh", 16, 1, 10, 1, "float32", 1.00e-3, 1.06e-4),
    ("rnn_tanh", 16, 1, 49, 1, "float32", 1.77e-3, 1.00e-4),
    ("rnn_tanh", 16, 1, 1000, 1, "float32", 5.84e-2, 1.11e-4),
    ("rnn_tanh", 16, 4, 49, 1, "float32", 1.32e-2, 2.59e-4),
    ("rnn_tanh", 16, 1, 49, 4096, "float32", 7.77e-2, 0.75e-4),
    ("rnn_tanh", 512, 1, 49, 32, "float32", 7.71e-2, 2.93e-4),
    ("rnn_tanh", 512, 1, 49, 32, "float64", 1.69e-1, 7.95e-4),
    ("rnn_relu", 4096, 1, 10, 1, "float32", 1.42, 3.41e-2),
    ("gru", 16, 1, 49, 1, "float32", 6.65e-3, 1.25e-4),
    ("gru", 128, 2, 49, 64, "float32", 9.23e-2, 2.72e-4),
    ("gru", 2048, 1, 10, 4, "float32", 8.00e-1, 1.95e-2),
    ("lstm", 16, 1, 49, 1, "float32", 1.01e-3, 1.76e-4),
    ("lstm", 128, 2, 49, 64, "float32", 7.83e-2, 8.38e-4),
    ("lstm", 2048, 1, 10, 4, "float32", 1.13, 1.08e-1),
]


@pytest.mark.parametrize(
    ("cell", "hidden_size", "layers", "length", "rows", "dtype", "update", "free"), MEASURED
)
def test_the_time_is_near_what_was_measured(
    cell, hidden_size, layers, length, rows, dtype, update, free
):
    """Within a factor of 3: enough to tell an hour from a month."""
    run = {**RUN, "steps": 1, "length": length, "batch_size": rows, "free_steps": 1}
    told = seconds(network(cell, hidden_size, layers, dtype), RATES["torch"], **run)
    assert 1 / 3 < told["training.steps"] / update < 3
    assert 1 / 3 < told["evaluation.horizon"] / free < 3


def test_fused_time_near_table():
    """The estimate is near the table of benchmarks/engines.md.

    The columns are window and batch, the numbers in brackets microseconds.
    """
    text = (REPOSITORY / "benchmarks" / "engines.md").read_text(encoding="utf-8")
    shapes = [tuple(map(int, shape)) for shape in re.findall(r"T=(\d+) B=(\d+)", text)]
    timings = 0
    for cell, hidden_size, row in re.findall(r"\| (\w+) \| (\d+) \|(.*)", text):
        for (length, rows), told in zip(shapes, re.findall(r"\((\d+)\)", row), strict=True):
            run = {**RUN, "steps": 1, "length": length, "batch_size": rows}
            update = seconds(network(cell, int(hidden_size)), RATES["fused"], **run)
            assert 1 / 4 < update["training.steps"] / (float(told) * 1e-6) < 4, (cell, hidden_size)
            timings += 1
    assert timings == 112


@pytest.mark.parametrize(
    ("cell", "hidden_size", "update", "free"),
    [
        ("rnn_tanh", 16, 1.14e-5, 5.1e-7),
        ("gru", 64, 1.81e-4, 3.8e-6),
        ("lstm", 16, 4.68e-5, 1.28e-6),
    ],
)
def test_fused_time_near_measured(cell, hidden_size, update, free):
    """The estimate is near what was measured.

    An update in float64, a step of a free run from 8 origins in float32.
    """
    run = {**RUN, "steps": 1, "free_steps": 1}
    told = seconds(network(cell, hidden_size, dtype="float64"), RATES["fused"], **run)
    assert 1 / 3 < told["training.steps"] / update < 3
    told = seconds(network(cell, hidden_size), RATES["fused"], **run)
    assert 1 / 3 < told["evaluation.horizon"] / free < 3
