"""Forecasts beyond the end of a series, as a function and as a command."""

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import commands
from commands import COMMAND, Outcome
from examples import tiny
from sinernn import experiment
from sinernn.engines.fused.linearization import StateMap
from sinernn.errors import UsageError
from sinernn.forecasting import place_origins
from sinernn.predicting import Forecaster, predict
from sinernn.runs import Run


def free_run(run: Run, samples: np.ndarray, steps: int) -> np.ndarray:
    """A free run after samples, step by step in float64."""
    checkpoint = run.best_checkpoint()[1]
    network = StateMap(checkpoint.network, checkpoint.state.params)
    hidden, outputs = checkpoint.network.zero_hidden(1).astype(float), list[np.ndarray]()
    for sample in checkpoint.scale.apply(samples):
        hidden = network.step(sample[None], hidden)
    for _ in range(steps):
        outputs.append(network.output(hidden)[0])
        hidden = network.step(None, hidden)
    return checkpoint.scale.invert(np.array(outputs))


def wave(samples: int, first: int = 0) -> str:
    """Lines of CSV with the tiny config's sine."""
    rows = (f"{n * 10 / 49!r},{math.sin(n * 10 / 49)!r}" for n in range(first, first + samples))
    return "\n".join(["time,signal", *rows, ""])


def test_own_series_is_continued(trained: Run):
    """The network reads the whole series, and time goes on."""
    prediction, series = predict(trained, steps=7), tiny().signal.read()
    expected = free_run(trained, series.observed, 7)
    np.testing.assert_allclose(prediction.values, expected, rtol=1e-4, atol=1e-5)
    step = series.extent.time_step
    np.testing.assert_allclose(prediction.time, series.time[-1] + step * np.arange(1, 8))


def test_only_the_last_samples_are_read(trained: Run):
    prediction = predict(trained, steps=3, warmup=25)
    expected = free_run(trained, tiny().signal.read().observed[-25:], 3)
    np.testing.assert_allclose(prediction.values, expected, rtol=1e-4, atol=1e-5)
    assert len(prediction.history) == 25


def test_intervals_follow_the_validation_part(trained: Run):
    """An interval holds the asked share of errors from origins that chose no checkpoint."""
    forecaster = Forecaster([trained], 5, levels=[0.5])
    config, series = tiny(), tiny().signal.read()
    _, rows = place_origins(config, series, "validation")
    part = config.split.parts(series.extent.lengths).validation[0]
    errors = forecaster._errors  # pyright: ignore[reportPrivateUsage]
    assert len(errors) == len(part) - config.evaluation.warmup - len(rows)
    interval = forecaster.predict(None).intervals[0.5]
    widths = (interval.upper - interval.lower) / 2
    shares = np.nanmean(np.where(np.isnan(errors), np.nan, errors <= widths), axis=0)
    assert np.all((shares >= 0.5) & (shares < 0.5 + 1.5 / len(errors) + 0.05))


def test_what_no_interval_promises(trained: Run):
    """Beyond half of the validation part there are none, which is said."""
    prediction = predict(trained, steps=400, levels=[0.8])
    reached = int(np.isfinite(prediction.intervals[0.8].upper).all(axis=1).sum())
    assert 0 < reached < 400
    assert any(f"no 80 % interval beyond {reached} steps" in note for note in prediction.notes)
    several = predict(trained, steps=400, levels=[0.8, 0.7]).notes
    assert len(several) == len(prediction.notes)  # one sentence for all levels
    assert np.isfinite(prediction.values).all()


def test_mean_of_several_runs(trained: Run):
    other = experiment.train(tiny("seed=1"), figures=False).run
    both, alone = (
        predict([trained, other], steps=4),
        [predict(r, steps=4) for r in (trained, other)],
    )
    values = np.stack([each.values for each in alone])
    np.testing.assert_allclose(both.values, values.mean(axis=0))
    np.testing.assert_allclose(both.spread, values.std(axis=0))
    assert np.isfinite(both.intervals[0.8].upper).all()


def test_runs_of_two_series_have_no_intervals(trained: Run):
    other = experiment.train(tiny("signal.phase=1"), figures=False).run
    prediction = predict([trained, other], steps=4)
    assert np.isnan(prediction.intervals[0.8].upper).all()
    assert any("the series or splits of the runs differ" in note for note in prediction.notes)


def test_an_end_unlike_the_training(trained: Run):
    """A series of another amplitude is reported, the run's own is not."""
    notes = [predict(trained, data, steps=2).notes for data in (None, wave_file())]
    assert not any("looks like nothing" in note for each in notes for note in each)
    rows = [f"{5 * math.sin(n * 10 / 49)}" for n in range(300)]
    Path("large.csv").write_text("\n".join(["signal", *rows]))
    prediction = predict(trained, "large.csv", steps=2)
    assert any("the end of signal looks like nothing" in note for note in prediction.notes)


def test_stream_unlike_the_training(trained: Run):
    """It is reported once."""
    for size, count in ((1, 0), (5, 1)):
        remarks: list[str] = []
        lines = [f"{size * math.sin(n * 10 / 49)}" for n in range(50)]
        list(Forecaster([trained], 1).follow(["signal", *lines], remark=remarks.append))
        assert len(remarks) == count
        assert all("the end of signal looks like nothing" in remark for remark in remarks)


def test_too_few_samples(trained: Run):
    """Fewer than the warm-up: a forecast with a warning that says so, a stream with none."""
    notes = predict(trained, steps=2, warmup=3).notes
    assert notes[0].startswith("warning: 3 samples read, fewer than the 20 (evaluation.warmup)")
    assert not any("looks like nothing" in note for note in notes)
    stream = Forecaster([trained], 2).follow(["signal", "0"])
    with pytest.raises(UsageError, match=r"1 sample came .* needs 20 \(evaluation.warmup\)"):
        list(stream)


def wave_file() -> str:
    Path("wave.csv").write_text(wave(300, first=40))
    return "wave.csv"


def test_another_series_is_continued(trained: Run):
    """A file with the same column; its own times go on."""
    prediction = predict(trained, wave_file(), steps=2)
    samples = np.sin(np.arange(40, 340) * 10 / 49)[:, None]
    np.testing.assert_allclose(
        prediction.values, free_run(trained, samples, 2), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(prediction.time, np.arange(340, 342) * 10 / 49)


def test_stream_agrees_with_files(trained: Run):
    """After every row the forecast is that of a file which ends there."""
    forecaster, samples = Forecaster([trained], 3), np.sin(np.arange(40) * 10 / 49)[:, None]
    found = list(forecaster.follow(wave(40).splitlines()))
    assert len(found) == 40 - forecaster.ensemble.warmup + 1
    for end, prediction in enumerate(found, start=forecaster.ensemble.warmup):
        expected = free_run(trained, samples[:end], 3)
        np.testing.assert_allclose(prediction.values, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": [1.0]}, "interval: must be between 0 and 1, got 1"),
        ({"warmup": 10**6}, "warmup: must be at most"),
        ({"inputs": "x.csv"}, "inputs: the network has none; leave them out"),
        ({"steps": 0}, "steps: must be a whole number of at least 1, got 0"),
        ({"steps": 10**9}, "steps: must be at most 1000000, got 1000000000"),
        ({"warmup": -5}, "warmup: must be a whole number of at least 1, got -5"),
        ({"runs": []}, "runs: name at least one"),
        ({"data": np.zeros((90, 2))}, "data: has 2 columns, and the network reads signal; give"),
        ({"overrides": ["seed=1"]}, "seed=1: would not change a forecast; only signal.path can"),
    ],
)
def test_wrong_arguments(trained: Run, arguments: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message):
        predict(**{"runs": trained, "steps": 2, **arguments})


def test_arguments_of_wrong_types(trained: Run):
    """In a process whose functions do not check them."""
    code = """
import sinernn
for wrong in {"steps": 2.5}, {"steps": 2, "levels": 0.9}:
    try:
        sinernn.predict("latest", **wrong)
    except sinernn.UsageError as error:
        print(error)
"""
    assert commands.run_python(code).splitlines() == [
        "steps: must be a whole number of at least 1, got 2.5",
        "levels: must be several probabilities, as in [0.8, 0.95], got 0.9",
    ]


def test_channels_that_differ(trained: Run):
    Path("two.csv").write_text("a,b\n" + "".join(f"{n},{n * n}\n" for n in range(90)))
    with pytest.raises(UsageError, match=r"two\.csv: has no column signal; needed are signal"):
        predict(trained, "two.csv", steps=2)


def test_the_last_of_several_recordings(trained: Run):
    """It is the one that is continued, which is said."""
    forecaster = Forecaster([trained], 2)
    series = forecaster.ensemble.series
    extent = replace(series.extent, lengths=(len(series.time) - 60, 60))
    forecaster.ensemble.series, forecaster.extent = replace(series, extent=extent), extent
    prediction = forecaster.predict(None)
    assert len(prediction.history) == 60
    assert prediction.notes[0].startswith("continues the last of 2 recordings; to continue another")


def test_predict_command(trained: Run, installed: Callable[..., Outcome]):
    """A table and a figure in files; the same table on standard output and as JSON."""
    written = installed("predict", trained.path, "--steps", 5, "--to", "f.csv", "--figure", "f.png")
    assert written.code == 0, written.err
    assert written.out.splitlines()[-2:] == ["f.csv", "f.png"]
    assert "on the test part" in written.out
    table = Path("f.csv").read_text()
    header = "time,signal,signal lower 0.8,signal upper 0.8,signal lower 0.95,signal upper 0.95"
    assert table.splitlines()[0] == header
    assert len(table.splitlines()) == 6
    assert Path("f.png").read_bytes().startswith(b"\x89PNG")
    printed = installed("predict", trained.path, "--steps", 5, "--to", "-")
    assert printed.out == table
    assert "on the test part" in printed.err
    assert not Path("-").exists()
    columns = json.loads(installed("predict", trained.path, "--steps", 5, "--json").out)["columns"]
    assert [columns["signal"][0], columns["time"][0]] == [
        float(cell) for cell in reversed(table.splitlines()[1].split(",")[:2])
    ]


def test_predict_command_on_a_stream(trained: Run):
    """Rows from a pipe: a table that grows, or a line of JSON after each."""

    def piped(*options: str) -> str:
        words = [COMMAND, "predict", trained.path, "--steps", "2", "--data", "-", *options]
        done = commands.run(*words, input=wave(30))
        assert done.code == 0, done.err
        return done.out

    warmup = tiny().evaluation.warmup
    lines = piped().splitlines()
    assert lines[0].startswith("origin,time,signal,")
    assert len(lines) == 1 + 2 * (30 - warmup + 1)
    objects = [json.loads(line) for line in piped("--json").splitlines()]
    assert len(objects) == 30 - warmup + 1
    assert objects[-1]["columns"]["time"][0] == pytest.approx(30 * 10 / 49)


def test_stream_of_other_bytes(trained: Run):
    """What is not UTF-8 is no number, whatever the locale."""
    words = [COMMAND, "predict", trained.path, "--steps", "2", "--data", "-"]
    given = {"encoding": "latin-1", "env": os.environ | {"PYTHONIOENCODING": "utf-8:strict"}}
    outcome = commands.run(*words, input="signal\n\xff\n", **given)
    assert outcome.code == 2
    assert outcome.err.startswith("standard input:2: signal: must be a number, got ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--warmup"], "Option '--warmup' requires an argument; see sinernn predict -h"),
        (["--interval", "x"], "--interval x: must be numbers between 0 and 1, as in 0.8,0.95"),
        (["--figure", "f.gif"], "--figure f.gif: must end in .png or .svg or .pdf"),
        (["--data", "wave.csv", "--to", "wave.csv"], "wave.csv: is the file that is read"),
        (["--data", "-", "--to", "f.csv"], "--to: cannot be used with --data -; leave it out"),
        (["--data", "gone.csv"], "gone.csv: no such file; give an existing one as --data FILE"),
        (["--data", "."], "is not a regular file; read standard input with --data -, or save"),
        (["--to", "runs/latest/run.json"], "run.json: is in the folder of a run; choose another"),
        (["--to", "runs"], "runs: is not a regular file; leave out --to to print to standard"),
        (["--to", "a.png", "--figure", "a.png"], "a.png: is both --to and --figure; choose"),
        (
            ["wave.csv"],
            "wave.csv: is a file, not a run; to continue its series use sinernn predict",
        ),
        (["--to", "no/f.csv"], "no/f.csv: there is no folder no; create it first"),
        (["--figure", "no/f.png"], "no/f.png: there is no folder no; create it first"),
    ],
)
def test_wrong_options(
    trained: Run, sinernn: Callable[..., Outcome], words: list[str], message: str
):
    wave_file()
    outcome = sinernn("predict", trained.path, "--steps", "2", *words)
    assert outcome.code == 2
    assert message in outcome.err
