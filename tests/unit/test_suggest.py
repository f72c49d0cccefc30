"""What a series is like, and the settings and stages that suit it."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from examples import REPOSITORY
from sinernn.config import Config, check, load_config
from sinernn.config.suggest import FEWEST, Choice, suggest_settings
from sinernn.data.delays import MackeyGlass
from sinernn.data.flows import Lorenz
from sinernn.data.series import Channel, Extent, Series
from sinernn.data.survey import Survey, survey_series
from sinernn.data.synthetic import Sine, SumOfSines, Tone
from sinernn.model.network import Network
from sinernn.preparation import prepare, with_stages
from sinernn.refine.stages import suit_stages


@dataclass(frozen=True)
class Recording:
    """A source of given samples."""

    segments: tuple[np.ndarray, ...]
    inputs: int = 0
    noise_std: float = 0.0

    def extent(self) -> Extent:
        channels = tuple(Channel(f"c{k}") for k in range(self.segments[0].shape[1]))
        outputs = len(channels) - self.inputs
        lengths = tuple(map(len, self.segments))
        return Extent(lengths, 1.0, channels[:outputs], channels[outputs:])

    def read(self) -> Series:
        samples = np.concatenate(self.segments)
        return Series(samples, samples, np.arange(float(len(samples))), self.extent())

    def conflicts(self) -> tuple[()]:
        return ()


def with_choices(source: Recording, choices: dict[str, Choice]) -> Config:
    overrides = [f"{name}={choice.value}" for name, choice in choices.items()]
    return load_config({}, overrides).model_copy(update={"signal": source})


def of_period(period: float, n: int = 3000, noise: float = 0.0, channels: int = 1) -> np.ndarray:
    phases = np.arange(channels)
    noises = np.random.default_rng(0).normal(size=(n, channels)) * noise
    return np.sin(2 * np.pi * np.arange(n)[:, None] / period + phases) + noises


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("period", [3.3, 11.0, 52.18, 300.0])
def test_period_of_an_oscillation(period: float, noise: float, channels: int):
    """Within a percent, also with much noise."""
    found = survey_series([of_period(period, noise=noise, channels=channels)]).period
    assert found == pytest.approx(period, rel=0.01)


def test_period_of_pulses():
    """Their harmonics are as strong, and the period is still the fundamental's."""
    pulses = (np.arange(3000) % 24 < 3).astype(float)
    assert survey_series([pulses[:, None]]).period == pytest.approx(24, rel=0.01)


def test_period_above_slow_motion():
    """Slow motion without a period has power at twice a year, too, but no peak there."""
    temperatures = load_config(REPOSITORY / "configs/elnino.yaml").signal.read().observed
    assert survey_series([temperatures[:512]]).period == pytest.approx(12, rel=0.01)


def test_period_beside_a_trend():
    """A straight line is not slow motion."""
    found = survey_series([of_period(30, noise=0.1) + np.linspace(0, 50, 3000)[:, None]])
    assert found.period == pytest.approx(30, rel=0.01)
    assert found.trend > 0.9


def test_series_without_a_period():
    """White noise and a random walk have none."""
    white = np.random.default_rng(0).normal(size=(2000, 1))
    assert survey_series([white]).period is None
    assert survey_series([white.cumsum(axis=0)]).period is None


@pytest.mark.parametrize("std", [0.02, 0.1, 0.5])
def test_noise_of_an_oscillation(std: float):
    """It is overestimated by a fifth at most: the predictors read noise, too."""
    found = survey_series([of_period(30, noise=std)]).noise
    assert std <= found * np.sqrt(0.5 + std**2) * 1.05 <= 1.25 * std


@pytest.mark.parametrize(
    ("series", "kind"),
    [
        (Sine().read().observed, "regular"),
        (SumOfSines(kind="sum_of_sines", tones=(Tone(period=7), Tone(period=9))).read().observed, "regular"),
        (MackeyGlass(kind="mackey_glass").read().observed, "irregular"),
        (Sine(noise_std=0.05).read().observed, "noisy"),
        (np.ones((100, 1)), "noisy"), (np.zeros((3, 2)), "noisy"),
    ],
)  # fmt: skip
def test_kind_of_a_series(series: np.ndarray, kind: str):
    assert survey_series([series]).kind == kind


def test_a_chaotic_map_is_irregular():
    """It has no period, and similar states predict it, a linear rule does not."""
    x = [0.3]
    for _ in range(2000):
        x.append(3.9 * x[-1] * (1 - x[-1]))
    found = survey_series([np.array(x)[:, None]])
    assert (found.period, found.kind) == (None, "irregular")


KINDS = {
    "regular": Survey(period=30.0, cycle=30.0, noise=1e-9, is_irregular=False, trend=0.0),
    "irregular": Survey(period=None, cycle=50.0, noise=1e-3, is_irregular=True, trend=0.0),
    "noisy": Survey(period=11.0, cycle=11.0, noise=0.5, is_irregular=False, trend=0.0),
    "slow": Survey(period=None, cycle=1e4, noise=0.1, is_irregular=False, trend=0.5),
    "fast": Survey(period=2.0, cycle=2.0, noise=1e-9, is_irregular=False, trend=0.0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "inputs"), [(1, 0), (2, 3), (10, 0)])
@pytest.mark.parametrize(
    "lengths",
    [(FEWEST,), (60,), (309,), (599, 3), (600,), (732, 41, 2), (2284,), (5000,) * 3, (1, 25000), (10**6,), (2000,) * 500],
)  # fmt: skip
def test_suggested_settings_fit(kind: str, channels: int, inputs: int, lengths: tuple[int, ...]):
    """They contradict neither each other nor the series, and neither do the stages."""
    rows = [np.broadcast_to(np.zeros(channels + inputs), (n, channels + inputs)) for n in lengths]
    source = Recording(tuple(rows), inputs)
    config = with_choices(source, suggest_settings(source.extent(), KINDS[kind]))
    check(config)
    evaluation, parts = config.evaluation, config.split.parts(lengths)
    stages = suit_stages(
        KINDS[kind],
        config.network(source.extent()),
        list(map(len, parts.train)),
        warmup=evaluation.warmup,
        horizon=evaluation.horizon,
    )
    assert config.refine is not None
    refine = config.refine.model_copy(update={"stages": stages})
    check(config.model_copy(update={"refine": refine}))


def test_suggested_settings_have_reasons():
    choices = suggest_settings(Recording((np.zeros((5000, 1)),)).extent(), KINDS["noisy"])
    assert [name for name, choice in choices.items() if not choice.reason] == []
    assert "sinernn config show CONFIG" in choices["refine.stages"].reason  # it requires one


def test_automatic_stages_suit_the_series():
    """Horizons are in periods; noise on warm-ups where the series is noisy."""
    for period in (20, 60):
        config = load_config({"refine": {"stages": "auto"}, "dtype": "float64"})
        sine = Sine(period=period, time_step=1)
        refine = with_stages(config.model_copy(update={"signal": sine})).refine
        assert refine is not None
        assert refine.stages[0].horizon == pytest.approx(1.6 * period, abs=1)
        assert [stage.loop for stage in refine.stages].count("open") == 1
        noisy = prepare(config.model_copy(update={"signal": Sine(noise_std=0.1)})).config.refine
        assert noisy is not None
        assert all(stage.warmup_noise and stage.redraw_every for stage in noisy.stages)


def test_horizons_of_a_chaotic_series():
    """They at most double, and end after 1.2 Lyapunov times, however far forecasts go."""
    stages = suit_stages(
        KINDS["irregular"],
        Network(outputs=3, cell="rnn_tanh", hidden_size=20, num_layers=1, dtype="float64"),
        [5000],
        warmup=50,
        horizon=1000,
        lyapunov_time=100.0,
    )
    opened, *closed = stages
    assert opened.loop == "open"
    assert (closed[0].horizon, closed[-1].horizon) == (5, 120)
    assert all(after.horizon <= 2 * one.horizon for one, after in itertools.pairwise(closed))


@pytest.mark.parametrize("kind", ["regular", "irregular", "noisy"])
def test_stages_of_large_networks(kind: str):
    """Only noise needs more residuals for more weights beyond 2000."""
    medium, large = (
        suit_stages(
            KINDS[kind],
            Network("rnn_tanh", 1, hidden_size=hidden_size, num_layers=1, dtype="float64"),
            [100_000],
            warmup=50,
            horizon=1000,
        )
        for hidden_size in (44, 88)
    )
    assert (medium == large) == (kind != "noisy")


def test_a_known_exponent_limits_the_horizon():
    """That of the equations, where the series has them."""
    lorenz = Lorenz(kind="lorenz", length=3000)
    config = load_config(
        {"refine": {"stages": "auto"}, "dtype": "float64", "evaluation": {"horizon": 300}}
    )
    refine = with_stages(config.model_copy(update={"signal": lorenz})).refine
    assert refine is not None
    assert refine.stages[-1].horizon == pytest.approx(1.2 / (0.906 * 0.02), rel=0.03)


def test_explicit_stages_are_kept():
    """`refine: {}` keeps its meaning."""
    config = load_config({"refine": {}, "dtype": "float64"})
    assert with_stages(config) is config
    assert prepare(config).config.refine == config.refine
