"""What a terminal sees: no control codes, and nothing that is cut or broken inside of a word."""

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from commands import wait_until
from examples import TINY, make_run, refining
from sinernn import cli
from sinernn.cli.terminal import print_scores
from sinernn.config import load_config
from sinernn.display import wrapped
from sinernn.errors import ConfigError
from sinernn.evaluation.parts import (
    ClimateScore,
    DynamicsScore,
    MedianAndWorst,
    ValidTime,
)
from sinernn.evaluation.results import Scores
from sinernn.progress import TrainingProgress
from sinernn.refine.records import RefineRecord
from sinernn.runs import Run
from sinernn.sweeps.observing import SweepState
from sinernn.sweeps.progress import SweepProgress
from sinernn.training import Record

RED = "\x1b[31m"
COLUMNS = [60, 80, 120]
STATE = refining(np.zeros(1)).state.refine


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", f"x{RED}"], [f"{RED}train"], ["train", f"{RED}.yaml"], ["train", TINY, f"--x{RED}"],
        ["train", TINY, f"x{RED}=3"], ["init", RED], ["config", RED], ["plot", "--format", RED],
        ["train", TINY, "--from", RED], ["init", "--to", f"no{RED}/x"], [f"--{RED}"],
        ["eval", "x", "--data", RED], ["train", TINY, f"device={RED}"], ["train", TINY, "--from", f"x{RED}"],
    ],
)  # fmt: skip
def test_no_message_holds_what_was_typed_raw(sinernn, arguments: list[object]):
    outcome = sinernn(*arguments)
    assert outcome.code == 2
    assert "\\x1b" in outcome.err or "x" in arguments
    assert "\x1b" not in outcome.err + outcome.out


def test_no_output_holds_a_folders_name_raw(sinernn):
    outcome = sinernn("train", TINY, "--runs-dir", f"runs{RED}", "training.steps=2", "refine=null")
    assert outcome.code == 0
    assert "\x1b" not in outcome.err + outcome.out
    assert "runs\\x1b[31m/" in outcome.out


def test_several_problems_stay_several_lines(here: Path):
    Path("a.yaml").write_text("sed: 1\nmodle: 2\n")
    with pytest.raises(ConfigError, match="sed") as caught:
        load_config("a.yaml")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["eval", "latest"], ["eval", "latest", "evaluation.horizon=5"], ["verify", "latest", "-q"],
        ["resume", "latest", "--no-figures"], ["resume", "latest", "model.hidden_size=8"], ["eval", "sine"],
        ["config", "show", TINY], ["config", "show", TINY, "--sources"], ["config", "export"],
        ["config", "validate", TINY, "no.yaml"], ["train", TINY, "model.hidden_size=99999999"],
        ["plot", "latest", "--figure", "sine"], ["plot", "latest", "--format", "sine"],
        ["plot", "--list"], ["train", "--epochs"], ["train"],
    ],
    ids=lambda words: "-".join(Path(word).name for word in words),
)  # fmt: skip
def test_output_on_a_terminal(
    sinernn, trained: Run, monkeypatch: pytest.MonkeyPatch, words: list[object]
):
    """It has the words that a pipe gets, in lines that fit or are one command, path or quote."""
    piped = sinernn(*words)
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    for columns in COLUMNS:
        monkeypatch.setenv("COLUMNS", str(columns))
        shown = sinernn(*words)
        plain = re.sub("\x1b\\[[?0-9;]*[a-zA-Z]", "", shown.out + shown.err)
        assert plain.split() == (piped.out + piped.err).split()
        long = [line for line in plain.splitlines() if len(line) > columns]
        assert all("\n" not in wrapped(line.strip(), 1) for line in long if " # " not in line)


def test_one_step(trained: Run, capsys: pytest.CaptureFixture[str]):
    """The unit of a single step is in the singular."""
    steps = MedianAndWorst(median=1.5, worst=1)
    valid = ValidTime(threshold=0.4, steps=steps, time_units=steps)
    print_scores(trained, trained.read_scores().model_copy(update={"valid_time": valid}))
    told = capsys.readouterr().out
    assert "median 1.5 steps (" in told
    assert "worst 1 step (" in told


@pytest.mark.parametrize(
    ("measure", "title"),
    [
        ("rmse", "closed loop: median RMSE up to a horizon"),
        ("nrmse", "closed loop: NRMSE of one step, over 3 origins"),
        ("smape", "closed loop: median sMAPE up to a horizon, 0 to 200"),
    ],
)
def test_table_of_a_measure(sinernn, trained: Run, measure: str, title: str):
    """`eval` shows the measure that is set, of network and baselines, and its JSON contains it."""
    words = ["eval", str(trained.path), f"evaluation.measure={measure}"]
    table = sinernn(*words).out.partition(title)[2]
    (last,) = [row for row in table.splitlines() if row.split()[:1] == ["60"]]
    found = json.loads(sinernn(*words, "--json").out)
    if measure == "rmse":
        errors = found["closed_loop_rmse"][-1]["median"], found["closed_loop_rmse"][-1]["worst"]
    else:
        score = found[f"closed_loop_{measure}"]
        errors = score["network"][-1]["value"], score["network"][-1]["worst"]
        others = [rows[-1]["value"] for rows in score["baselines"].values()]
        assert last.split()[3:] == [f"{error:.2e}" for error in others]
    assert last.split()[1:3] == [f"{error:.2e}" for error in errors]


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize(
    "command", ["", "config", *cli.COMMANDS, *(f"config {name}" for name in ("show", "validate", "schema"))]
)  # fmt: skip
def test_help_on_a_terminal(sinernn, monkeypatch: pytest.MonkeyPatch, command: str, columns: int):
    """Every word is whole in lines that fit; the command of the example is not broken."""
    monkeypatch.setenv("COLUMNS", "1000")
    wide = sinernn(*command.split(), "--help").out
    monkeypatch.setenv("COLUMNS", str(columns))
    narrow = sinernn(*command.split(), "--help").out
    assert narrow.split() == wide.split()
    examples = [line for line in narrow.splitlines() if line.startswith("  Example: sinernn ")]
    assert examples == [line for line in wide.splitlines() if "Example: " in line]
    assert all(len(line) <= columns for line in narrow.splitlines() if line not in examples)


@pytest.mark.parametrize("columns", COLUMNS)
def test_progress_on_a_terminal(columns: int):
    """Nothing is cut off, in the longest lines of a usual training."""
    console = Console(file=io.StringIO(), force_terminal=True, width=columns, color_system=None)
    with TrainingProgress(20000, [40, 90], console) as progress:
        progress.compiling()  # a thread draws it
        wait_until(lambda: "compiling" in console.file.getvalue())
        row = Record(12345, np.array([0.25]), 0.1, is_row=True, is_checkpoint=False)
        progress.record(row, dict)
        row = RefineRecord(1, 84, 125, 0.611, 1.0, False, None, False, STATE)
        progress.record(row, dict)
    drawn = console.file.getvalue()
    assert "…" not in drawn
    words = "compiling once 12345/20000 2.50e-01 125 iterations 130, stage 2, 6.11e-01"
    assert set(words.split()) <= set(drawn.split())


@pytest.mark.parametrize("columns", COLUMNS)
def test_wrapped(columns: int):
    """Commands, quotes and the path at the beginning keep their spaces; a pipe gets one line."""
    path, quote = "my runs/of a name that is long/x.yaml:3:1:", "'a value of some words'"
    command = f"sinernn eval {'x' * 50} --name 'a b'"
    line = (
        f"{path} the value {quote} does not fit here; continue (with more words: {command}), " * 2
    )
    found = wrapped(line.strip(), columns)
    for kept in (path, quote, f"{command}),"):
        assert kept in found
    assert " ".join(found.split()) == line.strip()
    assert wrapped(line, None) == wrapped(line, 0) == line


@pytest.mark.parametrize(
    ("true", "words"),
    [
        (None, "(nearby trajectories diverge)"),
        (0.0071, "(nearby trajectories diverge; the series' own is roughly +7e-03)"),
        (-1e-5, "(nearby trajectories diverge; the series' own is 0)"),
    ],
)
def test_exponent_of_the_series_is_printed(
    here: Path, capsys: pytest.CaptureFixture[str], true: float | None, words: str
):
    """Next to that of the free runs; one below the resolution is 0."""
    dynamics = DynamicsScore(
        settles={"irregular": 8},
        lyapunov_exponent_per_step=5.3e-3,
        lyapunov_resolution_per_step=2.5e-3,
        climate=ClimateScore(true_exponent_per_step=true),
    )
    print_scores(make_run(), Scores(dynamics=dynamics))
    assert f"largest Lyapunov exponent +5.3e-03 per step {words}\n" in capsys.readouterr().out


def test_bar_of_a_sweep_fits_80_columns():
    """With the time left, whatever the longest run is called."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    state = SweepState(total=9999, done=1234, failed=12, best=1.23e-7, best_run="x" * 60)
    with SweepProgress(console) as progress:
        progress.start(Path("runs/s"), state)
        progress.ended(state)
    shown = console.file.getvalue()
    assert "1234 done, 12 failed, 8765 to go, best so far 1.23e-07 " in shown
    assert "-:--:--" in shown
