"""The data of a live view: what a page needs of a run, and no more than fits."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driven import write_driven_series
from examples import tiny
from sinernn import experiment
from sinernn.errors import UsageError
from sinernn.forecasting import place_origins
from sinernn.preparation import prepare
from sinernn.reports import live
from sinernn.reports.live import live_data
from sinernn.runs import Run
from sinernn.runs.snapshots import read_snapshots


def decoded(text: str, columns: int = 1, dtype: str = "<f8") -> np.ndarray:
    return np.frombuffer(b64decode(text), dtype).reshape(-1, columns)


def places(data: dict[str, Any], name: str) -> list[int]:
    return [origin[name] for origin in data["origins"]]


def test_live_data(trained: Run):
    """Of each snapshot all weights; the samples of every forecast; and the whole is JSON."""
    data = live_data(trained)
    assert json.loads(json.dumps(data, allow_nan=False))["id"] == trained.path.name
    snapshots, network = read_snapshots(trained), trained.best_checkpoint()[1].network
    assert data["weights"]["labels"] == [each.label for each in snapshots]
    for text, snapshot in zip(data["weights"]["values"], snapshots, strict=True):
        expected = np.concatenate([snapshot.params[name].ravel() for name in network.shapes])
        assert (decoded(text, dtype="<f4")[:, 0] == expected).all()
    experiment_ = prepare(tiny())
    rows = place_origins(experiment_.config, experiment_.series, "test")[1]
    samples = decoded(data["observed"])
    for row, expected in zip(places(data, "row"), rows, strict=True):
        actual = samples[row - 20 : row + 60]
        assert (actual == experiment_.series.observed[expected]).all()
    assert data["truth"] is None  # it is what was observed


def test_live_data_of_recordings(here: Path):
    """A warm-up can be longer, but never reaches into another recording."""
    settings = write_driven_series(Path("driven.csv"))
    run = experiment.train(tiny(*settings, "evaluation.horizon=20"), figures=False).run
    data, series = live_data(run), prepare(tiny(*settings)).series
    samples = decoded(data["observed"], 3)
    for begin, end, segment in zip(
        *(places(data, n) for n in ("begin", "end", "segment")), strict=True
    ):
        first = np.flatnonzero((series.observed == samples[begin]).all(axis=1))[0]
        stretch = slice(first, first + end - begin)
        assert (series.observed[stretch] == samples[begin:end]).all()
        bounds = np.cumsum([0, *series.extent.lengths])
        assert bounds[segment] <= first < first + end - begin <= bounds[segment + 1]
    assert places(data, "segment")[0] < places(data, "segment")[-1]
    assert [channel["name"] for channel in data["channels"]] == ["position", "speed", "force"]


@pytest.mark.parametrize(("most", "origins", "horizon"), [(200, 3, 60), (85, 1, 60), (50, 1, 30)])
def test_long_series(
    trained: Run, monkeypatch: pytest.MonkeyPatch, most: int, origins: int, horizon: int
):
    """Of a long one a page contains fewer forecasts, then a shorter one."""
    monkeypatch.setattr(live, "MAX_SAMPLES", most)
    data = live_data(trained)
    assert (len(data["origins"]), data["horizon"]) == (origins, horizon)
    assert len(decoded(data["observed"])) <= most


def test_warmup_too_long_for_a_page(trained: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "MAX_SAMPLES", 20)
    with pytest.raises(UsageError, match=r"evaluation.warmup: 20 samples are too long.*contain 19"):
        live_data(trained)


def test_many_snapshots(trained: Run, monkeypatch: pytest.MonkeyPatch):
    """Of those of a large network a page contains some, from the first to the best; or the best."""
    labels = live_data(trained)["weights"]["labels"]
    size = 4 * trained.best_checkpoint()[1].network.parameter_count
    for most, expected in ((3, [labels[0], labels[-1]]), (1, [labels[-1]]), (0, [labels[-1]])):
        monkeypatch.setattr(live, "MAX_SNAPSHOT_BYTES", most * size)
        found = live_data(trained)["weights"]["labels"]
        assert len(found) == max(most, 1)
        assert [found[0], found[-1]][-len(expected) :] == expected


def test_network_too_large_for_a_page(trained: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "MAX_NETWORK_BYTES", 100)
    with pytest.raises(
        UsageError, match=r"parameters, \d+ bytes, and in a page at most 100 can run"
    ):
        live_data(trained)


def test_files_of_the_script():
    """They are in the package, and the licence of the chart library is in every page."""
    folder = Path(live.__file__).parent
    script, _ = (
        "".join((folder / name).read_text(encoding="utf-8") for name in names)
        for names in (live.SCRIPTS, live.STYLES)
    )
    assert "uPlot 1.6.32: The MIT License (MIT)" in script
