"""Runs on data of one's own: from a file, or passed to the library."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import sinernn as package
from examples import tiny
from sinernn.config import Config
from sinernn.errors import UsageError
from sinernn.runs import Run


def series(rows: int = 600) -> np.ndarray:
    return np.sin(0.2 * np.arange(rows)) + 0.01 * np.cos(1.3 * np.arange(rows))


def write(path: str, values: np.ndarray) -> None:
    rows = [f"{0.5 * at!r},{value!r}" for at, value in enumerate(values.tolist())]
    Path(path).write_text("\n".join(["time,x", *rows]), encoding="utf-8")


def of_file(*overrides: str) -> Config:
    given = ["signal.kind=file", "signal.path=a.csv", "signal.time_column=time"]
    return tiny(*given, *overrides)


@pytest.fixture
def run(here: Path) -> Run:
    """A run on `a.csv`, which is still there."""
    write("a.csv", series())
    return package.train(of_file(), figures=False).run


def test_facts_of_the_data(run: Run):
    data = run.read_facts().data
    assert (data.rows, data.columns, data.bytes) == (600, ("x",), Path("a.csv").stat().st_size)


def test_commands_from_another_folder(run: Run, monkeypatch: pytest.MonkeyPatch):
    """The config of a run holds the absolute path of its data."""
    path = run.path.resolve()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert package.evaluate(path).checkpoint == "best"
    assert package.resume(path, figures=False).facts.status == "finished"
    assert package.verify(path).agrees


CALLS = {"eval": package.evaluate, "resume": package.resume, "verify": package.verify}


@pytest.mark.parametrize("command", CALLS)
def test_data_that_moved(run: Run, command: str):
    """A missing file is reported with the command that points to it, which then works."""
    Path("a.csv").rename("b.csv")
    way_out = (
        rf"; put the file back, or point to it with: sinernn {command} {run.path} signal.path=FILE$"
    )
    with pytest.raises(
        UsageError, match=r"^a\.csv: the data of runs/.* cannot be read: .*" + way_out
    ):
        CALLS[command](run)
    CALLS[command](run, ["signal.path=b.csv"])
    assert not run.evaluations()


def test_longer_run_with_data_that_moved(run: Run):
    """The way out is reported also where the run could not be made longer."""
    Path("a.csv").unlink()
    with pytest.raises(
        UsageError, match=r"or point to it with: sinernn resume .* signal.path=FILE"
    ):
        package.resume(run, ["training.steps=30", "training.schedule=cosine"])


@pytest.mark.parametrize("command", CALLS)
def test_data_that_changed(run: Run, command: str):
    shutil.copy("a.csv", "intact.csv")
    write("a.csv", series(601))
    with pytest.raises(
        UsageError,
        match=r"has changed since it was trained \(\d+ bytes, not \d+ in 600 rows\); restore",
    ):
        CALLS[command](run)
    CALLS[command](run, ["signal.path=intact.csv"])
    text = Path("intact.csv").read_text(encoding="utf-8")
    Path("a.csv").write_text(text.replace("0", "1", 1), encoding="utf-8")
    with pytest.raises(UsageError, match=r"\(SHA-256 \w{12}\.\.\., not \w{12}\.\.\.\)"):
        CALLS[command](run, ["signal.path=a.csv"] if command != "eval" else [])


def test_predict_with_data_that_moved(run: Run):
    """The proposed command has the option that predict cannot do without."""
    Path("a.csv").rename("b.csv")
    proposed = rf"with: sinernn predict --steps 3 {run.path} signal.path=FILE$"
    with pytest.raises(UsageError, match=proposed):
        package.predict(run, steps=3)
    assert len(package.predict(run, None, ["signal.path=b.csv"], steps=3).values) == 3


def test_evaluation_on_other_data(run: Run):
    """It is another evaluation, and the run's own stays."""
    own = run.read_scores()
    write("b.csv", 2 * series())
    scores = package.evaluate(run, ["signal.path=b.csv"])
    assert run.evaluations() == ["path=b.csv"]
    assert scores.open_loop.rmse != own.open_loop.rmse
    assert run.read_scores() == own


def test_evaluation_on_other_columns(run: Run):
    text = Path("a.csv").read_text(encoding="utf-8")
    Path("b.csv").write_text(text.replace("x", "y", 1), encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"^b\.csv: has the columns y, and the network of .* reads x; .* --data$"
    ):
        package.evaluate(run, ["signal.path=b.csv"])


def test_verify_takes_no_other_setting(run: Run):
    with pytest.raises(
        UsageError, match=r"^seed=1: would train a different run; only signal\.path"
    ):
        package.verify(run, ["seed=1"])


def test_data_file_is_read_once(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Training, evaluation and hints share what was read."""
    from sinernn.data.text_files import CsvReader

    write("a.csv", series())
    reads: list[object] = []
    original = CsvReader.read_good_rows
    monkeypatch.setattr(
        CsvReader, "read_good_rows", lambda *given: reads.append(0) or original(*given)
    )
    package.train(of_file(), figures=False)
    assert len(reads) == 1


def test_problems_of_data_passed_to_train(here: Path):
    """They name the data, not a temporary file; rows count from 1."""
    config = tiny("signal.kind=file", "signal.columns=[x]")
    with pytest.raises(UsageError, match=r"^data:301: x: is missing; "):
        package.train(config, data={"x": np.where(np.arange(600) == 300, np.nan, series())})
    with pytest.raises(UsageError, match=r"^signal\.columns=\[x\]: data has no column 'x'; "):
        package.train(config, data=series())


class Frame:
    """As pandas' and polars' frames: columns by name."""

    columns = ("time", "x")

    def __getitem__(self, name: str) -> np.ndarray:
        return {"time": np.arange(600) / 2, "x": series()}[name]


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (series(), []),
        (series()[:, None], ["signal.time_step=0.5"]),
        (
            {"t": np.datetime64("2024-01-01") + np.arange(600), "x": series()},
            ["signal.time_column=t"],
        ),
        (Frame(), ["signal.time_column=time"]),
    ],
)
def test_data_passed_to_train(here: Path, data: object, settings: list[str]):
    """The run keeps a copy, so it can be moved, resumed, evaluated and verified."""
    run = package.train(tiny("signal.kind=file", *settings), data=data, figures=False).run
    moved = Run(run.path.rename("moved"))
    assert package.evaluate(moved, ["evaluation.horizon=30"]).closed_loop_rmse[-1].horizon == 30
    assert package.resume(moved, figures=False).facts.status == "finished"
    assert package.verify(moved).agrees
    assert "path: data.npz\n" in moved.config_path.read_text(encoding="utf-8")


def test_data_beside_another_signal(here: Path):
    with pytest.raises(
        UsageError,
        match=r"^data: the config's signal must be kind file without a path, got kind sine; ",
    ):
        package.train(tiny(), data=series())
    with pytest.raises(UsageError, match=r"got a path; "):
        package.train(of_file(), data=series())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            np.zeros((2, 3, 4)),
            r"^data: must have one or two dimensions \(rows, columns\), got an array of shape \(2, 3, 4\)$",
        ),
        (
            {"x": [1j, 2]},
            r"^data: column 'x' must hold numbers, dates or text, got complex128 of shape \(2,\)$",
        ),
        (
            {"x": [[1, 2]]},
            r"^data: column 'x' must hold numbers, dates or text, got .* of shape \(1, 2\)$",
        ),
    ],
)
def test_data_that_is_no_series(here: Path, data: object, message: str):
    with pytest.raises(UsageError, match=message):
        package.train(tiny("signal.kind=file"), data=data)
