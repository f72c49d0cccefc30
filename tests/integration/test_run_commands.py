"""`sinernn runs`, `rm` and `compare` as commands."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from examples import NOON
from sinernn.cli.run_table import print_runs
from sinernn.runs import Run
from sinernn.runs.directory import open_run
from sinernn.runs.listing import RunRow, runs_table

RED = "\x1b[31m"


@pytest.fixture
def two(trained: Run) -> list[Run]:
    """A finished run, and a copy of it that says it is being trained."""
    other = Run(trained.path.with_name(f"{trained.path.name}-2"))
    shutil.copytree(trained.path, other.path)
    facts = other.read_facts().model_copy(update={"status": "running", "seed": 3})
    other.write_facts(facts)
    return [trained, other]


def test_runs_prints_a_table(sinernn, two: list[Run]):
    done = sinernn("runs")
    heading, _, first, second, *notes = done.out.splitlines()
    assert heading.split() == (
        [
            "run",
            "changed",
            "cell",
            "units",
            "seed",
            "status",
            "RMSE",
            "horizon",
            "valid",
            "time",
            "took",
            "age",
        ]
    )
    assert first.split()[0] == two[0].path.name
    assert "rnn_tanh      4     0  finished" in first
    assert "rnn_tanh      4     3  interrupted" in second
    assert f"an interrupted run goes on with: sinernn resume {two[1].path}" in notes
    assert (done.code, done.err) == (0, "")


def test_runs_as_csv_and_json(sinernn, two: list[Run]):
    """Both have every column; JSON has the settings and the errors at all horizons, too."""
    rows = list(csv.DictReader(io.StringIO(sinernn("runs", "--csv").out)))
    told = json.loads(sinernn("runs", "--json").out)["runs"]
    scores = two[0].read_scores()
    for row, values in zip(rows, told, strict=True):
        assert float(row["closed_loop_rmse"]) == values["closed_loop_rmse"]
        assert list(row) == list(values)[: len(row)]
        assert values["settings"]["model.hidden_size"] == 4
        assert values["closed_loop"] == scores.model_dump()["closed_loop_rmse"]
    assert sinernn("runs", "--csv", "--json").err == "--csv and --json: choose one of them\n"


def test_runs_that_cannot_be_read(sinernn, two: list[Run]):
    """They are listed, and the reason is printed."""
    (two[1].path / "run.json").write_text("{")
    done = sinernn("runs", "--where", "status=broken")
    assert done.code == 0
    assert f"{two[1].path}/run.json: is damaged: not JSON" in done.err


def test_no_runs(sinernn):
    assert "there are no runs in runs; see: sinernn train -h" in sinernn("runs").err
    assert json.loads(sinernn("runs", "--json").out) == {"runs": []}
    assert "no run matches" in sinernn("runs", "--where", "seed=1").err


def test_sweeps_are_named(sinernn, trained: Run):
    """They are listed by a command of their own."""
    shutil.copytree(trained.path, "runs/a sweep/p-0")
    listed = sinernn("runs")
    assert "runs/a sweep: a folder of runs; list them with: sinernn runs 'runs/a sweep'" in (
        listed.out
    )
    assert not listed.err
    assert "runs/a sweep/p-0" in sinernn("runs", "a sweep").out


@pytest.mark.parametrize(("columns", "missing"), [(60, 7), (100, 3), (200, 0)])
def test_table_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, missing: int
):
    """Columns that do not fit are left out and named; control codes are escaped."""
    row = RunRow(
        "runs/20261124-120005-tiny-hidden_size=24", changed=f"hidden_size=24{RED}", cell="rnn_tanh",
        units="24", seed=10, status="finished", horizon=2000, closed_loop_rmse=1e-3, valid_steps=2e3,
        outlasts_horizon=True, seconds=200.0, started=NOON.isoformat(),
    )  # fmt: skip
    monkeypatch.setattr("sinernn.cli.run_table.terminal_width", lambda: columns)
    print_runs([row], Path("runs"))
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= columns for line in lines[:3])
    last = lines[-1].partition("narrow: ")[2].partition(";")[0].split(", ")
    assert len([name for name in last if name]) == missing
    assert ">2000" in lines[2] or columns == 60
    assert RED not in "".join(lines)


def test_rm_asks(sinernn, two: list[Run], monkeypatch: pytest.MonkeyPatch):
    """What is removed and how large it is; without a terminal it needs --yes."""
    refused = sinernn("rm", "latest")
    assert (refused.code, refused.err) == (
        2, "nothing is removed: there is no terminal to ask on; add --yes\n",
    )  # fmt: skip
    for answer, left in (("n\n", 2), ("y\n", 1)):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        asked = sinernn("rm", "latest")
        assert str(two[0].path) in asked.out
        assert "remove 1 folder, 0.0" in asked.out
        assert len(runs_table()) == left
    assert open_run("latest").path == two[1].path


def test_rm_removes(sinernn, two: list[Run]):
    done = sinernn("rm", "runs/*", "--yes")
    assert done.out.splitlines() == [f"removed {run.path}" for run in two]
    assert not list(Path("runs").iterdir())


def test_rm_of_a_held_run(sinernn, two: list[Run]):
    """Nothing is removed, of the others neither."""
    with two[1].held():
        done = sinernn("rm", "runs/*", "--yes")
    assert (done.code, len(runs_table())) == (1, 2)
    assert f"{two[1].path}: another process is training this run; wait" in done.err


def test_compare(sinernn, two: list[Run]):
    """A column for each line; the table and the figure are written where they are asked for."""
    done = sinernn("compare", "runs/*", "--to", "a.csv", "--figure", "a.svg")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "2 runs"
    assert lines[1:3] == [f"{number}: {run.path}" for number, run in enumerate(two, start=1)]
    error = f"{two[0].read_scores().closed_loop_rmse[-1].median:.2e}"
    assert f"60 steps      {error}  {error}" in done.out
    assert lines[-2:] == ["a.csv", "a.svg"]
    rows = list(csv.DictReader(Path("a.csv").read_text().splitlines()))
    assert [row["horizon"] for row in rows] == ["1", "2", "5", "10", "20", "49", "60"] * 2
    assert Path("a.svg").read_text().startswith("<?xml")


def test_compare_as_json(sinernn, two: list[Run]):
    told = json.loads(sinernn("compare", "runs/*", "--json").out)
    assert [line["runs"] for line in told["lines"]] == [[str(run.path)] for run in two]
    scores = two[0].read_scores().model_dump()
    assert told["lines"][0]["closed_loop_rmse"] == scores["closed_loop_rmse"]


def test_compare_fits_the_terminal(sinernn, two: list[Run], monkeypatch: pytest.MonkeyPatch):
    """Columns go on in a table below; many lines are rows instead."""
    for number in range(6):
        shutil.copytree(two[0].path, f"runs/a{number}")
    monkeypatch.setattr("sinernn.cli.compare.terminal_width", lambda: 45)
    done = sinernn("compare", "runs/*").out.splitlines()
    tables = [line.split() for line in done if line.split() and line.split()[0].isdigit()]
    assert [row for row in tables if all(map(str.isdigit, row))] == [
        ["1", "2", "3"], ["4", "5", "6"], ["7", "8"],
    ]  # fmt: skip
    shutil.copytree(two[0].path, "runs/b")
    lines = sinernn("compare", "runs/*").out.splitlines()
    rows = [line for line in lines if line.strip()[:1].isdigit() and ": " not in line]
    assert [row.split()[0] for row in rows if row.split()[-1] != "steps"][-9:] == list("123456789")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["latest"], "a comparison needs two runs or more, got 1"),
        ([], "Missing argument 'RUN...', as in sinernn compare latest '*-tiny-*'"),
        (["runs/*", "--figure", "a.jpg"], "--figure a.jpg: must end in .png or .svg or .pdf"),
        (["runs/*", "--to", "runs/latest/a.csv"], "is in the folder of a run; choose another"),
        (["x*", "latest"], "x*: matches no run, neither here nor in runs; see: sinernn runs"),
    ],
)
def test_wrong_comparisons(sinernn, two: list[Run], words: list[str], message: str):
    done = sinernn("compare", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
