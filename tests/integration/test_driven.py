"""A ragged series of two outputs and an input: everything that holds for one channel."""

import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from driven import SETTINGS, read_driven_series
from examples import refined, tiny
from sinernn import evaluating, experiment, forecasting, plot_run
from sinernn.cli.terminal import print_scores
from sinernn.data.series import Series
from sinernn.errors import ConfigError, UsageError
from sinernn.preparation import prepare
from sinernn.runs import Run
from sinernn.verification import verify


@pytest.fixture
def driven(monkeypatch: pytest.MonkeyPatch) -> Series:
    return read_driven_series(monkeypatch)


def test_run_with_inputs(here, driven: Series):
    """It is trained, refined, evaluated, drawn and verified."""
    summary = experiment.train(refined(*SETTINGS), figures=False)
    scores = summary.scores
    assert np.isfinite(scores.closed_loop_rmse[-1].worst)
    assert scores.baselines[-1].name == "VARX(1)"
    assert scores.baselines[-1].closed_loop_rmse[-1].worst < 1e-9  # the system is linear
    assert scores.dynamics.settles == {"response to the inputs": 8}
    assert scores.dynamics.lyapunov_exponent_per_step < 0
    assert [(each.name, each.unit, each.is_input) for each in scores.channels] == [
        ("position", "mm", False), ("speed", "mm/s", False), ("force", "N", True),
    ]  # fmt: skip
    assert len(plot_run.plot(summary.run)) > 5
    assert verify(summary.run).agrees


def test_scores_of_each_output(here, driven: Series, capsys: pytest.CaptureFixture[str]):
    """Errors of an output are in its unit; together, they are in standard deviations."""
    config = refined(*SETTINGS)
    summary = experiment.train(config, figures=False)
    run, scores = summary.run, summary.scores
    evidence = plot_run.read_evidence(run)
    errors = evidence.closed_loop.prediction - evidence.closed_loop.truth[:, 20:]
    by_origin = np.sqrt(np.mean(errors**2, axis=1))  # [origin, output]
    for channel, error in zip(scores.channels, by_origin.T, strict=False):
        assert channel.closed_loop_rmse[-1].worst == pytest.approx(error.max())
        assert channel.open_loop.nrmse == pytest.approx(
            channel.open_loop.rmse / evidence.std[scores.channels.index(channel)]
        )
        assert [each.name for each in channel.baselines][-1] == "VARX(1)"
    relative = np.sqrt(np.mean((by_origin / evidence.std) ** 2, axis=1))
    assert scores.closed_loop_rmse[-1].worst == pytest.approx(relative.max())
    print_scores(run, scores)
    printed = capsys.readouterr().out
    assert "errors in standard deviations of each output" in printed
    assert re.search(r"valid time .* median \d+ steps? \([\d.]+ s[,)]", printed)
    assert re.search(r"\n *speed \(mm/s\) .* VARX\(1\)\n", printed)


def test_refinement_with_inputs(here, driven: Series):
    """Free runs of a refined network follow the force: its input is used."""
    stages = "[{sequences: 8, warmup: 20, horizon: 40, iterations: 20}]"
    config = refined(*SETTINGS, f"refine.stages={stages}", "training.steps=500")
    last = experiment.train(config, figures=False).scores.closed_loop_rmse[-1]
    assert last.worst < 0.3  # in standard deviations; without the force it is near 1


def test_climate_steps_with_inputs(driven: Series):
    """They are refused: a free run has no inputs beyond the series."""
    with pytest.raises(ConfigError, match=r"refine.climate_steps=500: free runs need inputs"):
        prepare(refined(*SETTINGS, "refine.climate_steps=500"))


def test_engines_agree_with_inputs(here, driven: Series):
    """Scores of both engines differ by rounding."""
    run = experiment.train(tiny("dtype=float64", *SETTINGS), figures=False).run
    fused, other = (
        evaluating.compute_evaluation(run, [f"engine={engine}", "device=cpu"], name="x").scores
        for engine in ("fused", "torch")
    )
    errors = [[each.worst for each in scores.closed_loop_rmse] for scores in (fused, other)]
    np.testing.assert_allclose(*errors, rtol=1e-9)
    assert fused.open_loop.rmse == pytest.approx(other.open_loop.rmse, rel=1e-9)


def test_plain_torch_with_inputs(here, driven: Series):
    """Torch's own layers load the weights, and make the same forecasts."""
    config = refined(*SETTINGS)
    run: Run = experiment.train(config, figures=False).run
    model = nn.ModuleDict({"rnn": nn.RNN(3, 4, batch_first=True), "readout": nn.Linear(4, 2)})
    model.double().load_state_dict(load_file(run.path / "model.safetensors"))
    forecasts = plot_run.read_evidence(run).closed_loop
    _, rows = forecasting.place_origins(config, driven, "test")
    scale = prepare(config).scale
    samples = torch.tensor(scale.apply(driven.observed[rows]))
    with torch.no_grad():
        states, hidden = model["rnn"](samples[:, :20])
        outputs = [model["readout"](states[:, -1:])]
        for step in range(20, samples.shape[1] - 1):
            given = torch.cat([outputs[-1], samples[:, step : step + 1, 2:]], 2)
            states, hidden = model["rnn"](given, hidden)
            outputs.append(model["readout"](states))
    expected = torch.cat(outputs, 1).numpy() * scale.std[:2] + scale.mean[:2]
    np.testing.assert_allclose(forecasts.prediction, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(forecasts.inputs, driven.observed[rows][:, :, 2:])


def test_a_network_of_other_channels(here, driven: Series, monkeypatch: pytest.MonkeyPatch):
    """It is refused by a series with as many channels, of which none is an input."""
    run = experiment.train(tiny(*SETTINGS), figures=False).run
    extent = driven.extent
    other = type(extent)(extent.lengths, 0.1, (*extent.outputs, *extent.inputs))
    monkeypatch.setattr(
        "sinernn.data.synthetic.Synthetic.read",
        lambda _: Series(driven.observed, driven.clean, driven.time, other),
    )
    with pytest.raises(UsageError, match=r"has 3 outputs, the network of .* 2 outputs and 1 input"):
        evaluating.compute_evaluation(run, data=run.config_path)
