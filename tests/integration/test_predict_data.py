"""Forecasts of a run on a file: a dated series with an input, and other files in its place."""

import math
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from commands import Outcome
from examples import tiny
from sinernn import experiment
from sinernn.errors import ConfigError, UsageError
from sinernn.plotting import forecast_figure
from sinernn.predicting import Forecaster, predict
from sinernn.runs import Run

HOUR = timedelta(hours=1)
START = datetime(2024, 1, 1)


def lines(
    rows: int = 600, start: datetime = START, *, step: timedelta = HOUR, valve: int | None = None
) -> list[str]:
    """CSV of a level, and of a valve that moves every ten rows, or never."""
    cells = (
        (start + n * step, math.sin(n / 4), n // 10 % 3 if valve is None else valve)
        for n in range(rows)
    )
    return ["time,level,valve", *(f"{date:%Y-%m-%dT%H:%M},{x!r},{u}" for date, x, u in cells)]


def write(name: str, rows: list[str]) -> str:
    Path(name).write_text("\n".join(rows), encoding="utf-8")
    return name


@pytest.fixture(scope="session")
def plant_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on `plant.csv` beside it."""
    folder = tmp_path_factory.mktemp("plant")
    path = write(str(folder / "plant.csv"), lines())
    settings = ("kind=file", f"path={path}", "time_column=time", "inputs=[valve]")
    config = tiny(*(f"signal.{each}" for each in settings))
    experiment.train(config, runs_dir=folder / "runs", figures=False)
    return folder / "runs"


@pytest.fixture
def plant(here: Path, plant_runs: Path) -> Run:
    shutil.copytree(plant_runs, "runs", symlinks=True)
    return Run(Path("runs") / (Path("runs") / "latest").readlink())


def changed(run: Run, old: str, new: str) -> Run:
    """A copy of a run whose config differs."""
    other = Run(Path(shutil.copytree(run.path, f"{run.path}-changed")))
    text = other.config_path.read_text(encoding="utf-8")
    assert old in text
    other.config_path.write_text(text.replace(old, new), encoding="utf-8")
    return other


def test_dates_of_another_series(plant: Run):
    """They follow those of the file that is continued, not of the run's own."""
    later = write("later.csv", lines(104, datetime(2025, 3, 20)))
    future = {"valve": np.zeros(2)}
    table = predict(plant, later, steps=3, inputs=future).columns()
    assert table["time"] == [f"2025-03-24T{hour:02}:00:00" for hour in (8, 9, 10)]


def test_another_series_without_its_times(plant: Run):
    """They are counted, which is said; a column of another name is none."""
    later = write("later.csv", ["Time,level,valve", *lines(104)[1:]])
    prediction = predict(plant, later, steps=1)
    assert prediction.columns()["time"] == [104]
    note = "later.csv: has no column time, only Time, level, valve; times are counted in h from its"
    assert prediction.notes[0].startswith(note)
    future = write("future.csv", lines(4, START + 600 * HOUR))  # of what time is not known
    assert len(predict(plant, later, steps=5, inputs=future).values) == 5
    assert not any("no column" in note for note in predict(plant, steps=1).notes)


def test_another_series_with_another_step(plant: Run):
    """A step of a day is not one of an hour, though both are 1."""
    write("daily.csv", lines(90, step=timedelta(days=1)))
    message = r"^daily\.csv: its time step is 1 d, that of the run 1 h; resample it$"
    with pytest.raises(UsageError, match=message):
        predict(plant, "daily.csv", steps=1)


def test_runs_with_different_steps(plant: Run):
    other = changed(plant, "downsample: null", "downsample: {factor: 2, method: pick}")
    message = r"-changed: its time step is 2 h, but 1 h in .*; forecast them in two commands$"
    with pytest.raises(UsageError, match=message):
        predict([plant, other], steps=1)


def test_intervals_of_runs_with_other_units(plant: Run):
    """Settings that change no sample leave the intervals as they are."""
    other = changed(plant, "units: {}", "units: {level: m}")
    prediction = predict([plant, other], steps=1)
    assert np.isfinite(prediction.intervals[0.8].upper).all()


def test_constant_column_of_another_series(plant: Run):
    """Nothing is learned from it, so that a valve may stand still."""
    still = write("still.csv", lines(90, valve=1))
    assert np.isfinite(predict(plant, still, steps=1).values).all()


def test_missing_cells_at_the_end(plant: Run):
    """Refused as in training, or left out, which is said."""
    rows = lines(90)
    write("cut.csv", rows[:-3] + [f"{row.split(',')[0]},,0" for row in rows[-3:]])
    with pytest.raises(ConfigError, match=r"set signal\.missing to split or interpolate$"):
        predict(plant, "cut.csv", steps=1)
    with pytest.raises(UsageError, match=r"^signal.missing=split: is for reading another series; "):
        predict(plant, None, ["signal.missing=split"], steps=1)
    prediction = predict(plant, "cut.csv", ["signal.missing=split"], steps=1)
    assert prediction.columns()["time"] == ["2024-01-04T15:00:00"]
    said = (
        "the last 3 rows of the series have missing cells: the forecast follows the sample before"
    )
    assert prediction.notes[0] == f"{said}, of 2024-01-04T14:00:00"


def test_times_of_inputs(plant: Run):
    """They go on where the series ends; other ones are refused."""
    end = START + 600 * HOUR
    future = write("future.csv", lines(4, end))
    assert len(predict(plant, steps=5, inputs=future).values) == 5
    for start, step, message in (
        (
            end + HOUR,
            HOUR,
            r"row 2: time must be 2024-01-26T00:00:00, the first of the samples to come, ",
        ),
        (end, -HOUR, r"row 3: time must be 2024-01-26T01:00:00, one step after the row before, "),
        (end, 2 * HOUR, r"row 3: time must be 2024-01-26T01:00:00, one step after the row before"),
    ):
        write("future.csv", lines(4, start, step=step))
        with pytest.raises(UsageError, match=r"^future\.csv: " + message):
            predict(plant, steps=5, inputs=future)


@pytest.mark.parametrize(("method", "first"), [("mean", 0.5), ("pick", 0.0)])
def test_inputs_are_downsampled(plant: Run, method: str, first: float):
    """As the series is: their rows are those of the file, not samples."""
    run = changed(plant, "downsample: null", f"downsample: {{factor: 2, method: {method}}}")
    times = [START + (600 + n) * HOUR for n in range(4)]
    future = write("future.csv", ["time,valve", *(f"{time},{n}" for n, time in enumerate(times))])
    means = np.array([first, first + 2])
    found = predict(run, steps=3, inputs=future).values
    plain = Forecaster([run], 3)
    samples = plain.ensemble.series.observed
    expected = plain.ensemble.free_runs(samples[None], means[None, :, None], 3)[0, 0]
    np.testing.assert_allclose(found, expected)
    with pytest.raises(UsageError, match=r"holds the inputs of 2 of the 3 samples .* --steps 3$"):
        predict(run, steps=4, inputs=future)


def test_inputs_as_a_list(plant: Run):
    """As an array, which has no names."""
    found = [predict(plant, steps=3, inputs=given).values for given in ([1, 2], np.array([1, 2]))]
    np.testing.assert_array_equal(*found)


def test_figure_of_a_forecast(plant: Run):
    """Its line begins at the last sample; inputs have panels; of several runs the spread is shown."""
    prediction = predict([plant, plant], steps=3, inputs=[1, 2])
    level, valve = forecast_figure(prediction).axes
    lines = {str(line.get_label()): np.array(line.get_xydata()) for line in level.get_lines()}
    np.testing.assert_array_equal(lines["forecast"][0], [0, prediction.history[-1, 0]])
    np.testing.assert_array_equal(lines["forecast"][1:, 1], prediction.values[:, 0])
    assert lines["spread of the runs"].shape == (3, 2)
    assert np.array(valve.get_lines()[0].get_xydata())[-2:].tolist() == [[1, 1], [2, 2]]


def test_missing_file_of_inputs(plant: Run):
    message = r"^gone\.csv: no such file; give an existing one as --inputs FILE$"
    with pytest.raises(UsageError, match=message):
        predict(plant, steps=3, inputs="gone.csv")


def test_stream_with_inputs(plant: Run):
    """Only the next sample can be forecast; the times are those of the rows."""
    with pytest.raises(UsageError, match=r"^--data -: the inputs .*\(valve\) are not known .* 1, "):
        next(Forecaster([plant], 2).follow(iter([])))
    found = list(Forecaster([plant], 1).follow(lines(25)))
    assert found[-1].columns()["time"] == ["2024-01-02T01:00:00"]


def test_stream_without_its_times(plant: Run):
    remarks: list[str] = []
    rows = [line.partition(",")[2] for line in lines(25)]
    found = list(Forecaster([plant], 1).follow(rows, remark=remarks.append))
    assert found[-1].columns()["time"] == [25]
    assert remarks == ["standard input has no column time: times are counted from its first row"]


def test_stream_after_a_gap(plant: Run):
    """With `signal.gaps=split` the networks are warmed up anew, as if the stream began there."""
    rows = lines(60)
    del rows[31]
    found = list(Forecaster([plant], 1, overrides=["signal.gaps=split"]).follow(rows))
    alone = list(Forecaster([plant], 1).follow([rows[0], *rows[31:]]))
    np.testing.assert_allclose(found[-1].values, alone[-1].values)
    assert len(found) == 11 + len(alone) == 11 + 10


def test_stream_of_a_downsampled_run(plant: Run):
    """Its rows are no samples."""
    run = changed(plant, "downsample: null", "downsample: {factor: 2, method: mean}")
    with pytest.raises(
        UsageError, match=r"^--data -: a sample of this run is 2 rows .*--data FILE$"
    ):
        next(Forecaster([run], 1).follow(iter([])))


def test_output_over_the_data(plant: Run, sinernn: Callable[..., Outcome]):
    """The file that the run was trained on is not replaced."""
    data = Forecaster([plant], 1).data_files[0]
    before = data.read_bytes()
    outcome = sinernn("predict", plant.path, "--steps", 1, "--to", data)
    assert (outcome.code, data.read_bytes()) == (2, before)
    assert "plant.csv: is the file that is read; choose another name" in outcome.err


def test_output_through_a_link(plant: Run, sinernn: Callable[..., Outcome]):
    """The file that it names is written; the link stays."""
    Path("link.csv").symlink_to("file.csv")
    assert sinernn("predict", plant.path, "--steps", 1, "--to", "link.csv").code == 0
    assert Path("link.csv").is_symlink()
    assert Path("file.csv").read_text(encoding="utf-8").startswith("time,level,")


def test_output_to_a_pipe(plant: Run, sinernn: Callable[..., Outcome]):
    """It is refused: a file would take its place."""
    os.mkfifo("pipe")
    outcome = sinernn("predict", plant.path, "--steps", 1, "--to", "pipe")
    assert (outcome.code, Path("pipe").is_fifo()) == (2, True)
    assert outcome.err.startswith(
        "pipe: is not a regular file; leave out --to to print to standard"
    )
