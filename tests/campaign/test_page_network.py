"""The network in a page computes what the engine does, in a real browser."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

import browser
from driven import write_driven_series
from examples import tiny
from sinernn import evaluating, experiment
from sinernn.model.cells import CELLS
from sinernn.plot_run import read_evidence
from sinernn.reports.live import live_data
from sinernn.runs import Run

LONG = ("dtype=float64", "signal.length=4000", "evaluation.horizon=500", "training.steps=200")
"""Free runs of 500 steps of a network that has learned a little."""


def of(*overrides: str) -> Callable[[], Run]:
    return lambda: experiment.train(tiny(*overrides), figures=False).run


def driven() -> Run:
    settings = write_driven_series(Path("driven.csv"))
    return of(*settings, "dtype=float64", "evaluation.horizon=30", "model.cell=gru")()


def changed(run: Run, change: Callable[[np.ndarray], np.ndarray], *names: str) -> Run:
    """Change weights of a run's network, and evaluate it again."""
    which, checkpoint = run.best_checkpoint()
    params = dict(checkpoint.state.params)
    params |= {name: change(params[name]) for name in names}
    run.save_checkpoint(which, replace(checkpoint, state=replace(checkpoint.state, params=params)))
    evaluating.evaluate(run)
    return run


def diverged() -> Run:
    """Its outputs grow once they are read back."""
    run = of(*LONG, "model.cell=rnn_relu")()
    return changed(run, lambda value: 9 * np.abs(value), "readout.weight", "rnn.weight_ih_l0")


def chaotic() -> Run:
    run = of(*LONG, "model.hidden_size=32")()
    return changed(run, lambda value: 4 * value, "rnn.weight_hh_l0")


RUNS = {
    **{cell: (of(*LONG, f"model.cell={cell}"), 500, 1e-9) for cell in CELLS},
    "two layers": (of(*LONG, "model.cell=lstm", "model.num_layers=2"), 500, 1e-9),
    "three channels": (of("signal.kind=lorenz", "signal.length=3000", "dtype=float64"), 60, 1e-9),
    "noisy": (of("signal.noise_std=0.1", "dtype=float64"), 60, 1e-9),
    "carried": (of("evaluation.initial_state=carried", "dtype=float64"), 60, 1e-9),
    "float32": (of("model.cell=gru"), 60, 1e-5),
    "driven": (driven, 30, 1e-9),
    "diverged": (diverged, 500, 1e-9),
    # Differences of 1e-16 grow by a factor of 1e7 in some 125 steps, at an exponent of 0.13 a step.
    "chaotic": (chaotic, 49, 1e-9),
}
"""Of each run, the steps over which a free run is compared, and its largest relative difference."""


@pytest.mark.parametrize("name", RUNS)
def test_free_run_of_a_page(here: Path, chromium: Browser, name: str):
    """It is that of the evaluation, from every origin, and so are its errors."""
    train, steps, tolerance = RUNS[name]
    run = train()
    data, forecasts = live_data(run), read_evidence(run).closed_loop
    assert len(data["origins"]) == len(forecasts.prediction)
    with browser.opened(chromium, browser.write_live_page(Path("page.html"), data)) as page:
        found = [browser.free_run(page, each, steps) for each in range(len(data["origins"]))]
    predicted = np.array([each.predicted for each in found])
    predicted[np.abs(predicted) > 1e100] = np.nan  # as evaluations are read
    true = np.array(forecasts.prediction[:, :steps])
    np.testing.assert_allclose(predicted, true, rtol=tolerance, atol=tolerance)
    scores = run.read_scores()
    assert [each.diverged_at for each in found] == [each.diverged_at for each in scores.origins]
    assert (name == "diverged") is any(each.diverged_at for each in found)
    (score,) = (each for each in scores.closed_loop_rmse if each.horizon == steps)
    errors = np.array([each.rmse for each in found])
    if name != "diverged":
        assert np.median(errors) == pytest.approx(score.median, rel=1e-6)
        assert errors.max() == pytest.approx(score.worst, rel=1e-6)
