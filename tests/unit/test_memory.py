import pytest

from sinernn.config import Config, setting_paths
from sinernn.config.memory import estimate_memory_gb
from sinernn.model.network import Network
from sinernn.refine.stages import Refine

RUN = dict(
    samples=25_000, evaluated=3750, batch_size=1, length=49, steps=1000, rows=100,
    forecast_steps=2050, origins=8,
)  # fmt: skip


def network(hidden_size: int = 16) -> Network:
    return Network(
        cell="rnn_tanh", channels=1, hidden_size=hidden_size, num_layers=1, dtype="float64"
    )


def test_settings_that_memory_names():
    settings = {".".join(map(str, path)) for path in setting_paths(Config)}
    assert set(estimate_memory_gb(network(), **RUN)) <= settings


@pytest.mark.parametrize("name", [*RUN, "hidden_size"])
def test_more_of_anything_takes_more_memory(name: str):
    run, size = dict(RUN), {"hidden_size": 16}
    before = sum(estimate_memory_gb(network(**size), refine=Refine(), **run).values())
    target = run if name in run else size
    target[name] *= 2
    after = sum(estimate_memory_gb(network(**size), refine=Refine(), **run).values())
    assert before < after <= 5 * before
