import pytest

from sinernn.config import Config, load_config, setting_names
from sinernn.config.memory import estimate_memory_gb
from sinernn.refine.stages import Refine


def memory_gb(*overrides: str) -> dict[str, float]:
    config = load_config({"refine": Refine(), "dtype": "float64"}, overrides)
    return estimate_memory_gb(config, config.signal.extent())


def test_settings_that_memory_names():
    assert set(memory_gb()) <= set(setting_names(Config))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("signal.length=25000", "signal.length=50000"),
        ("split.train=0.7", "split.train=0.55"),  # twice the test part
        ("windows.batch_size=1", "windows.batch_size=2"),
        ("windows.noise_std=0", "windows.noise_std=0.1"),
        ("windows.length=49", "windows.length=98"),
        ("model.hidden_size=16", "model.hidden_size=32"),
        ("model.num_layers=1", "model.num_layers=2"),
        ("training.steps=20000", "training.steps=40000"),
        ("training.log_every=100", "training.log_every=50"),
        ("training.evaluate_every=100", "training.evaluate_every=10"),
        ("training.checkpoint_every=100", "training.checkpoint_every=10"),
        ("training.snapshots=60", "training.snapshots=600"),
        ("evaluation.warmup=50", "evaluation.warmup=2000"),
        (
            "refine.stages=[{sequences: 2000, horizon: 9, stride: 9, iterations: 40}]",
            "refine.stages=[{sequences: 2000, horizon: 9, stride: 9, iterations: 40, batches: 40}]",
        ),
        ("refine.origins=8", "refine.origins=100"),
        ("refine.climate_steps=500", "refine.climate_steps=50000"),
        ("evaluation.horizon=2000", "evaluation.horizon=4000"),
        ("evaluation.origins=8", "evaluation.origins=16"),
        ("evaluation.attractor_steps=2000", "evaluation.attractor_steps=4000"),
    ],
)
def test_more_of_anything_takes_more_memory(before: str, after: str):
    less, more = (sum(memory_gb(override).values()) for override in (before, after))
    assert less < more <= 5 * less


def test_memory_of_a_step_with_few_residuals():
    """It grows with residuals times parameters, not with the square of the parameters."""
    wide = "model.hidden_size=96"
    gigabytes = [
        memory_gb(wide, f"refine.stages=[{{loop: open, horizon: 10, sequences: {count}}}]")
        for count in (20, 40)
    ]
    few, twice = (each["refine.stages"] for each in gigabytes)
    parameters = 96 * (96 + 4) + 1  # one channel
    assert twice == pytest.approx(2 * few, rel=0.1)
    assert few < 8 * parameters**2 / 1e9
