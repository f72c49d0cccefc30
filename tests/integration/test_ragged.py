"""Segments of different lengths: everything that holds for equal ones."""

import numpy as np
import pytest

from examples import refined, tiny
from sinernn import engines, evaluating, experiment, plot_run
from sinernn.config import Config
from sinernn.data.series import Channel, Extent, Series
from sinernn.data.synthetic import Synthetic
from sinernn.preparation import prepare
from sinernn.verification import verify

SETTINGS = ["signal.starts=[0, 50, 300, 7]", "windows.length=20", "windows.batch_size=2"]
LENGTHS = (600, 340, 600, 30)


@pytest.fixture
def ragged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segment by segment, signals have these lengths."""
    read = Synthetic.read

    def extent(self: Synthetic) -> Extent:
        return Extent(LENGTHS[: len(self.starts)], self.time_step, (Channel("signal"),))

    def read_ragged(self: Synthetic) -> Series:
        with monkeypatch.context() as patch:
            patch.setattr(
                Synthetic,
                "extent",
                lambda self: Extent((self.length,), 0.2, (Channel("signal"),)),
            )
            parts = [
                read(self.model_copy(update={"starts": (start,), "length": length}))
                for start, length in zip(self.starts, LENGTHS, strict=False)
            ]
        observed, clean, time = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("observed", "clean", "time")
        )
        return Series(observed, clean, time, extent(self), 2 * np.pi)

    monkeypatch.setattr(Synthetic, "extent", extent)
    monkeypatch.setattr(Synthetic, "read", read_ragged)


@pytest.mark.parametrize("order", ["contiguous", "random"])
def test_ragged_run(here, ragged: None, order: str):
    """Segments of different lengths are trained on, evaluated, drawn and verified."""
    summary = experiment.train(
        refined(*SETTINGS, f"windows.order={order}", "evaluation.origins=8"), figures=False
    )
    origins = summary.scores.origins
    # The test part of 340 samples has 51, less than warm-up and horizon.
    assert [origin.segment for origin in origins] == [0] * 4 + [2] * 4
    assert np.isfinite(summary.scores.open_loop.rmse)
    assert np.isfinite(summary.scores.closed_loop_rmse[-1].worst)
    assert len(plot_run.plot(summary.run)) > 5
    assert verify(summary.run).agrees


def test_windows_of_ragged_segments(ragged: None):
    """Every window is a piece of the sine: x[n+1] + x[n-1] is a multiple of x[n]."""
    for order in ("contiguous", "random"):
        prepared = prepare(tiny(*SETTINGS, f"windows.order={order}", "windows.normalize=false"))
        samples = prepared.objective.samples[:, 0].astype(float)
        assert len(samples) == 420 + 238 + 420 + 21
        starts = prepared.plan(0, 300).starts.ravel()
        windows = samples[starts[:, None] + np.arange(21)]
        middle = 2 * np.cos(10 / 49) * windows[:, 1:-1]
        np.testing.assert_allclose(windows[:, 2:] + windows[:, :-2], middle, atol=1e-6)


def test_open_loop_of_ragged_segments(ragged: None):
    """Each segment's predictions are those of it alone."""
    config: Config = tiny(*SETTINGS)
    prepared = prepare(config)
    state = prepared.network.initial_state(0, batch_size=2)
    engine = engines.build(
        engines.choose("fused", "cpu", prepared.network), prepared.network, state
    )
    checkpoint = experiment.Checkpoint(prepared.network, state, prepared.scale, np.empty(0), None)
    found = evaluating.predict_one_step(config, engine, prepared.series, checkpoint)
    alone = [
        engine.open_loop(prepared.scale.apply(part[None, :-1]), prepared.network.zero_hidden(1))[
            0, 19:
        ]
        for part in prepared.series.cut(prepared.series.observed, prepared.parts.test)
        if len(part) > 20
    ]
    expected = [[alone[0], alone[2]], [alone[1]]]  # by length
    assert len(found) == 2
    for group, outputs in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            group.prediction, prepared.scale.invert(np.stack(outputs)), rtol=1e-5
        )
