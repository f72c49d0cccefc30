"""End to end, through the command line; what needs a process of its own uses the installed command."""

import errno
import io
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import commands
from commands import COMMAND, next_commands, started, wait_until
from examples import REPOSITORY, TINY
from sinernn.cli.stderr import ClosedPipe, print_problems
from sinernn.errors import Place, Problem
from sinernn.interrupts import StopSignals
from sinernn.progress import TrainingProgress
from sinernn.runs import Run
from sinernn.training import Record

GROUPS = [[], ["config"]]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
ENTRY = PROJECT["scripts"]["sinernn"].split(":")
COMMANDS = [
    ["train"], ["eval"], ["plot"], ["init"], ["config", "show"], ["config", "validate"],
    ["config", "schema"],
]  # fmt: skip

EXPLODING = (
    "model.cell=rnn_relu", "model.hidden_size=16", "training.learning_rate=3", "training.steps=100",
    "training.gradient_clip=null", "refine=null", "--quiet",
)  # fmt: skip


def test_the_main_job_from_config_to_figures(installed):
    trained = installed("train", TINY, "device=cpu")
    assert trained.code == 0
    assert "update 20/20: " in trained.err
    assert "closed-loop RMSE" in trained.err
    run = Path(trained.out.splitlines()[-1])
    assert run.parent == Path("runs")
    assert f"{run}/figures/overview.png" in trained.out.splitlines()
    assert "one step ahead: RMSE" in trained.out
    assert "skill: " in trained.out
    assert "3 origins" in trained.out

    evaluated = installed("eval", "runs/latest")
    assert evaluated.code == 0
    assert evaluated.err == ""
    *scores, following = evaluated.out.splitlines()
    assert scores == trained.out.splitlines()[: len(scores)]
    assert following in trained.out.splitlines()

    drawn = installed("plot", "runs/latest", "--format", "pdf")
    assert [Path(line).name for line in drawn.out.splitlines()] == [
        "overview.pdf", "loss.pdf", "open_loop.pdf", "closed_loop.pdf", "tutorial.pdf",
        "horizon.pdf", "orbit.pdf", "spectra.pdf", "eigenvalues.pdf", "valid_time.pdf",
        "attractor.pdf",
    ]  # fmt: skip
    assert all(Path(line).exists() for line in drawn.out.splitlines())


def test_next_commands_run(sinernn):
    """Training names them with the path of the run, quoted for a shell; so does evaluation."""
    trained = sinernn("train", TINY, "training.steps=3", "--no-figures", "--runs-dir", "my runs")
    named = next_commands(trained.out)
    assert [words[0] for words in named] == ["plot", "predict"]
    assert next_commands(sinernn("eval", trained.out.splitlines()[-1]).out) == named
    for words in named:
        assert sinernn(*words).code == 0


def test_overrides_change_settings(sinernn):
    trained = sinernn("train", TINY, "training.steps=3", "seed=5", "--json", "--no-figures")
    told = json.loads(trained.out)
    assert (told["updates"], told["seed"], told["figures"]) == (3, 5, [])
    assert told["status"] == "finished"
    assert told["scores"] == json.loads(Path(told["run"], "evaluation.json").read_text())


def test_quiet_shows_no_progress(sinernn):
    assert sinernn("train", TINY, "--quiet", "--no-figures").err == ""


def test_json_is_all_there_is_on_stdout(sinernn, trained: Run):
    scores = json.loads(sinernn("eval", "latest", "--json").out)
    assert [row["horizon"] for row in scores["closed_loop_rmse"]] == [1, 2, 5, 10, 20, 49, 60]
    drawn = json.loads(sinernn("plot", "latest", "--figure", "loss", "--json").out)["figures"]
    assert [Path(path).name for path in drawn] == ["loss.png"]


def test_eval_of_a_read_only_run(sinernn, trained: Run, monkeypatch: pytest.MonkeyPatch):
    """The scores are printed although they cannot be written."""

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("sinernn.runs.files.os.fsync", refuse)
    evaluated = sinernn("eval", "latest")
    assert evaluated.code == 1
    assert "one step ahead: RMSE" in evaluated.out
    assert "evaluation.safetensors: cannot be written: Read-only file system" in evaluated.err


def test_one_figure(sinernn, trained: Run):
    """Only the figure that was asked for is drawn."""
    drawn = sinernn("plot", "latest", "--figure", "loss").out.splitlines()
    assert [Path(line).name for line in drawn] == ["loss.png"]


def test_the_figures_are_listed_without_a_run(sinernn):
    listed = sinernn("plot", "--list").out.splitlines()
    assert len(listed) == 11
    assert listed[0].startswith("overview     The whole story")
    told = json.loads(sinernn("plot", "--list", "--json").out)["figures"]
    assert list(told)[:2] == ["overview", "loss"]


def test_show_opens_the_viewer(sinernn, trained: Run, monkeypatch):
    """`--show` opens the written file in the system's viewer."""
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", lambda path: opened.append(path) or 0)
    drawn = sinernn("plot", "latest", "--figure", "loss", "--show")
    assert drawn.code == 0
    assert [str(Path(line).resolve()) for line in drawn.out.splitlines()] == opened
    assert Path(opened[0]).exists()
    monkeypatch.setattr("typer.launch", lambda _: 1)
    failed = sinernn("plot", "latest", "--figure", "loss", "--show")
    assert (failed.code, "no viewer to open it with" in failed.err) == (2, True)


def test_text_latest_and_moved_run(sinernn):
    """`eval` and `plot` work when `latest` is a text file, and on a run that was moved."""
    sinernn("train", TINY, "--no-figures", "--runs-dir", "my runs")
    run = next(path for path in Path("my runs").iterdir() if path.name != "latest")
    Path("my runs/latest").unlink()
    Path("my runs/latest").write_text(f"{run.name}\n")
    for arguments in (["my runs/latest"], ["latest", "--runs-dir", "my runs"]):
        assert sinernn("eval", *arguments, "--json").code == 0
        assert sinernn("plot", *arguments, "--figure", "loss").code == 0
    shutil.move(run, "moved")
    assert sinernn("eval", "moved", "--json").code == 0
    assert sinernn("plot", "moved", "--figure", "loss").code == 0


def test_evaluation_on_another_configs_data(sinernn, trained: Run):
    data = REPOSITORY / "configs" / "default.yaml"
    scores = json.loads(sinernn("eval", "latest", "--data", data, "--json").out)
    assert scores["config"] == "default"
    assert scores["closed_loop_rmse"][-1]["horizon"] == 2000
    evaluated = sinernn("eval", "latest", "--data", data, "evaluation.horizon=70")
    assert Path(evaluated.out.splitlines()[-1], "evaluation.json").exists()
    (drawing,) = next_commands(evaluated.out)
    network = ": rnn_tanh, 1 layer of 4 units, 33 parameters, seed 0"
    assert evaluated.out.splitlines()[0] == f"{trained.path}{network}"
    assert "evaluated on default with evaluation.horizon=70, test part: " in evaluated.out
    title = "tiny, device=cpu, dtype=float32, refine=null on default with evaluation.horizon=70"
    assert title in drawn_text(sinernn, *drawing)
    assert title not in drawn_text(sinernn, "plot", "latest")


def drawn_text(sinernn, *words: str, figure: str = "closed_loop") -> str:
    """The text of a figure."""
    path = sinernn(*words, "--figure", figure, "--format", "svg").out.strip()
    lines = re.findall(r"<text[^>]*>([^<]+)</text>", Path(path).read_text(encoding="utf-8"))
    return " ".join(lines)  # a long title has several


def test_a_config_that_is_not_there(sinernn, here: Path):
    """The command that the message proposes writes it; a file with the other ending is named."""
    for name in ("tiny.yaml", "configs of mine/tiny.yaml"):
        Path(name).parent.mkdir(exist_ok=True)
        missing = sinernn("train", name)
        assert missing.code == 2
        command = shlex.split(missing.err.replace("\n", " ").split("write it with: ")[1])
        assert sinernn(*command[1:]).code == 0
        assert Path(name).exists()
    Path("tiny.yaml").rename("tiny.yml")
    assert "did you mean tiny.yml?" in sinernn("train", "tiny.yaml").err
    assert (
        "did you mean configs of mine/tiny.yaml?"
        in sinernn("train", "configs of mine/tiny.yml").err
    )
    Path("tiny.yml").rename("tiny.yaml")
    assert "did you mean tiny.yaml?" in sinernn("train", "configs/tiny.yaml").err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "no.yaml"], 2, "no.yaml: no such file; write one to start from with: sinernn init\n"),
        (["train", "noisy.yaml"], 2, "noisy.yaml: no such file; write it with: sinernn init noisy\n"),
        (["train", "no/noisy.yaml"], 2,
         "no/noisy.yaml: no such file; to use noisy.yaml instead, write it with: sinernn init noisy\n"),
        (["train", "noisy"], 2,
         "noisy: no such file; to use noisy.yaml instead, write it with: sinernn init noisy\n"),
        (["train", TINY, "training.stepz=3"], 2,
         "training.stepz=3: unknown key; did you mean steps?\n"),
        (["train", TINY, "device=cuda:99"], 2, "device: cuda:99 is not present; present: "),
        (["eval", "latest"], 2, "runs/latest: no such run; there are none in runs\n"),
        (["plot", "x"], 2, "runs/x: no such run; there are none in runs\n"),
        (["init", "defualt"], 2,
         "defualt: not a shipped config; choose one of co2, default, elnino, lorenz, mackey_glass, mackey_glass_30, noisy, "
         "rossler, seattle_temperatures, sunspots, tiny, tutorial, two_tones, or a data file\n"),
        (["init", "no.csv"], 2, "no.csv: no such file; choose one of co2, default, "),
        (["init", "default", "signal.gaps=split"], 2, "signal.gaps=split: applies to data files, not to the shipped default\n"),
        (["init", "--to", "no/a.yaml"], 2, "no/a.yaml: there is no folder no; create it first\n"),
        (["init", "default", "--inputs", "a"], 2, "--inputs: applies to data files, not to the shipped default\n"),
        (["config", "validate", TINY, "no.yaml"], 2, "no.yaml: no such file"),
    ],
)  # fmt: skip
def test_user_errors(sinernn, arguments: list[object], code: int, message: str):
    """What a user can cause is one message and an exit code."""
    outcome = sinernn(*arguments)
    assert (outcome.code, outcome.err[: len(message)]) == (code, message)
    assert not Path("runs").exists()


def test_a_wrong_option_is_wrong_usage(sinernn):
    """It is one line, which names the command that lists the options."""
    for words, name in ((["--epochs", "3"], "--epochs"), (["-x3"], "-x")):
        outcome = sinernn("train", TINY, *words)
        assert outcome.code == 2
        assert outcome.err.startswith(f"No such option: {name}")
        assert outcome.err.partition("; see ")[2] == "sinernn train -h\n"
    assert sinernn("-q", "train", TINY).err == "No such option: -q; see sinernn -h\n"
    assert sinernn("config", "--x").err == "No such option: --x; see sinernn config -h\n"


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("upload", "there are init, train, sweep, resume, verify, eval, plot, predict, export, track, runs, compare, rm, doctor, config"),
        ("polt", "did you mean sinernn plot?"), ("evaluate", "did you mean sinernn eval?"),
        ("forecast", "did you mean sinernn predict?"), ("check", "did you mean sinernn verify?"),
        ("conf", "did you mean sinernn config?"),
        ("config shwo", "did you mean sinernn config show?"),
        ("config check", "did you mean sinernn config validate?"),
        ("config export", "there are show, validate, schema"),
    ],
)  # fmt: skip
def test_a_command_that_is_not_there(sinernn, words: str, advice: str):
    """A synonym's or a typo's command is suggested, none that merely has similar letters."""
    outcome = sinernn(*words.split())
    assert (outcome.code, outcome.err) == (2, f"sinernn {words}: no such command; {advice}\n")


@pytest.mark.parametrize("module", ["sinernn.cli", "typer", "sinernn.errors", "typing"])
def test_ctrl_c_while_modules_are_imported(module: str):
    """It ends without a traceback, from the entry point on, which imports nothing before."""
    code = (
        "import importlib.abc, signal, sys\n"
        "class Interrupting(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, *_):\n"
        f"        name == {module!r} and signal.raise_signal(signal.SIGINT)\n"
        f"sys.modules.pop({module!r}, None)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        f"from {ENTRY[0]} import {ENTRY[1]}\n"
        f"{ENTRY[1]}()\n"
    )
    outcome = commands.run(sys.executable, "-c", code)
    assert (outcome.code, outcome.err) == (130, "interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", TINY, "--model.hidden_size", "8"],
         "--model.hidden_size: not an option; write settings without dashes: model.hidden_size=8\n"),
        (["train", "--batch-size=8", TINY],
         "--batch-size=8: not an option; write settings without dashes: windows.batch_size=8\n"),
        (["eval", "latest", "--horizon", "8"],
         "--horizon: not an option; write settings without dashes: evaluation.horizon=8\n"),
        (["config", "show", TINY, "--seed", "8"],
         "--seed: not an option; write settings without dashes: seed=8\n"),
    ],
)  # fmt: skip
def test_setting_typed_as_an_option(sinernn, arguments: list[object], message: str):
    """The message gives the setting in the right form."""
    outcome = sinernn(*arguments)
    assert (outcome.code, outcome.err) == (2, message)


def test_exit_code_of_divergence(sinernn):
    """Diverging training has an exit code of its own."""
    outcome = sinernn(
        "train", TINY, "training.learning_rate=10", "model.cell=rnn_relu", "signal.amplitude=1e6",
        "windows.normalize=false", "training.gradient_clip=null", "training.steps=2000",
        "dtype=float32", "refine=null", "engine=torch", "--quiet",
    )  # fmt: skip
    assert outcome.code == 3
    assert outcome.err.startswith("training diverged at update ")


def test_exit_code_of_a_loss_that_exploded(sinernn):
    """Its network stays finite; what was saved is kept, and the figure names the same update."""
    outcome = sinernn("train", TINY, *EXPLODING)
    assert outcome.code == 3
    assert outcome.err.startswith("training diverged at update 5: from there on its loss was ")
    assert "the state of update 100 is kept in runs/" in outcome.err
    assert Run(Path("runs/latest")).read_facts().diverged_at == 5
    assert "diverged at update 5" in drawn_text(sinernn, "plot", "latest", figure="loss")
    assert sinernn("eval", "latest").code == 0


def test_plot_of_a_run_without_rows(sinernn):
    """The message says why there is none; the command that it proposes makes a run with rows."""
    assert sinernn("train", TINY, *EXPLODING, "seed=1").code == 3
    failed = sinernn("plot", "latest")
    assert failed.code == 1
    assert "has no rows, since the run diverged at update 4 before its first; for" in failed.err
    words = shlex.split(failed.err.split("every update: ")[1])
    assert "training diverged at update " in sinernn(*words[1:]).err
    assert sinernn("plot", "latest").out.endswith("loss.png\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_process_has_saved_what_it_had(here: Path, number: int, code: int):
    words = ("training.steps=1000000", "training.checkpoint_every=null", "training.log_every=1")
    with started(COMMAND, "train", TINY, *words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # where the run is kept
        process.stderr.readline()  # training has begun
        process.send_signal(number)
        err = process.stderr.read()
    assert process.returncode == code
    assert "interrupted at update " in err.splitlines()[-1]
    run = Path("runs/latest")
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert (run / "checkpoints" / "last.safetensors").exists()
    assert (run / "model.safetensors").exists()


def test_config_commands(sinernn):
    """Configs are written, shown, validated and described."""
    assert sinernn("init", "tutorial").out == "tutorial.yaml\nsinernn.schema.json\n"
    shipped = (REPOSITORY / "configs/tutorial.yaml").read_text()
    assert Path("tutorial.yaml").read_text().split("\n", 1)[1] == shipped.split("\n", 1)[1]
    assert sinernn("init", "tutorial").err.startswith("tutorial.yaml: already exists")
    assert sinernn("config", "init", "--to", "mine.yaml").out.startswith("mine.yaml\n")
    assert "init" not in sinernn("config", "--help").out
    assert sinernn("init", "--to", "no/mine.yaml").code == 2
    assert sinernn("config", "validate", "tutorial.yaml", "mine.yaml").out == (
        "tutorial.yaml: valid\nmine.yaml: valid\n"
    )
    shown = sinernn("config", "show", "tutorial.yaml", "seed=3").out
    Path("shown.yaml").write_text(shown)
    assert sinernn("config", "show", "shown.yaml").out == shown
    assert "seed: 3\n" in shown
    told = sinernn("config", "show", "tutorial.yaml", "seed=3", "--sources").out
    assert "seed: 3  # seed=3\n" in told
    assert "engine: auto  # default\n" in told
    assert "properties" in json.loads(sinernn("config", "schema").out)


def test_init_of_a_config_with_data(sinernn):
    """The series is written next to the config; all files or none; another file is not replaced."""
    shipped = (REPOSITORY / "configs/data/sunspots.csv").read_bytes()
    Path("sunspots.csv").write_text("mine")
    assert sinernn("init", "sunspots").err.startswith("sunspots.csv: already exists")
    assert [path.name for path in Path().iterdir()] == ["sunspots.csv"]
    Path("there").mkdir()
    outcome = sinernn("init", "sunspots", "--to", "there/a.yaml")
    assert outcome.out == "there/a.yaml\nthere/sunspots.csv\nthere/sinernn.schema.json\n"
    assert Path("there/sunspots.csv").read_bytes() == shipped
    assert sinernn("config", "validate", "there/a.yaml").out == "there/a.yaml: valid\n"
    assert sinernn("init", "sunspots", "--to", "there/b.yaml").out == "there/b.yaml\n"


def test_init_of_a_data_file(sinernn):
    """It reports what it found, writes a config, and ends with the command that trains on it."""
    rows = (f"{row},{math.sin(row / 2):.3f},{math.cos(row / 2):.3f}" for row in range(80))
    Path("my data.csv").write_text("\n".join(["t,x,y", *rows]))
    outcome = sinernn("init", "my data.csv", "--inputs", "y")
    lines = outcome.out.splitlines()
    assert lines[0] == "my data.csv: 80 samples of x, driven by y, one every 1"
    assert lines[2:] == [
        "cells are separated by comma",
        "my data.yaml",
        "sinernn.schema.json",
        "next: sinernn train 'my data.yaml'",
    ]
    assert sinernn("init", "my data.csv").err.startswith("my data.yaml: already exists")
    assert sinernn("init", "my data.csv", "signal.period=12.5", "--to", "other.yaml").code == 0
    assert "  period: 12.5  # as given\n" in Path("other.yaml").read_text()
    assert sinernn("train", "other.yaml", "--no-figures", "--quiet").code == 0
    stages = [
        line for line in Path("runs/latest/config.yaml").read_text().splitlines() if "- {" in line
    ]
    assert len(stages) > 1


@pytest.mark.parametrize("to", ["mine.yaml", "configs of mine/mine.yaml"])
def test_schema_of_a_new_config(sinernn, here: Path, to: str):
    """It is next to the config, so that both can be moved to another machine."""
    Path(to).parent.mkdir(exist_ok=True)
    outcome = sinernn("init", "--to", to)
    first = Path(to).read_text().splitlines()[0]
    schema = Path(to).with_name(first.removeprefix("# yaml-language-server: $schema="))
    assert outcome.out.splitlines() == [to, str(schema)]
    assert json.loads(schema.read_text()) == json.loads(sinernn("config", "schema").out)
    assert sinernn("init", "--to", f"{to}.yaml").code == 0


@pytest.mark.parametrize("folder", ["", "configs of mine/"])
def test_schema_of_another_version(sinernn, here: Path, folder: str):
    """It is kept; the command in the remark replaces it."""
    schema = Path(folder, "sinernn.schema.json")
    schema.parent.mkdir(exist_ok=True)
    for content in ("", "{}"):
        schema.write_text(content)
        outcome = sinernn("init", "--to", f"{folder}of{content}.yaml")
        assert (outcome.code, outcome.out) == (0, f"{folder}of{content}.yaml\n")
        assert schema.read_text() == content
    command = outcome.err.split("replace it with: ")[1]
    commands.run_shell(f"PATH={COMMAND.parent}:$PATH; {command}")
    assert sinernn("init", "--to", f"{folder}a.yaml").err == ""


@pytest.mark.parametrize("to", ["mine.yaml", "sinernn.schema.json"])
def test_init_writes_both_or_none(sinernn, here: Path, to: str):
    """If the schema cannot be written, the config is not either."""
    if to == "mine.yaml":
        Path("sinernn.schema.json").symlink_to("nowhere")
    outcome = sinernn("init", "--to", to)
    message = "sinernn.schema.json: already exists; choose another file with --to\n"
    assert (outcome.code, outcome.err) == (2, message)
    assert not Path(to).exists()


def test_init_on_a_full_disk(sinernn, here: Path, monkeypatch: pytest.MonkeyPatch):
    """The message names the folder, and no half of a file is left."""

    class Full(io.FileIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", lambda path, mode: Full(path, mode.rstrip("b")))
    outcome = sinernn("init", "--to", "mine.yaml")
    assert (outcome.code, outcome.err) == (2, ".: cannot be written: No space left on device\n")
    assert not list(here.iterdir())


def test_validate_several_files(sinernn):
    """All problems of all files are reported, also those of the data."""
    Path("a.yaml").write_text("sed: 1\n")
    Path("b.yaml").write_text(
        "signal: {period: 1, time_step: 1, phase: 0.5, length: 600}\n"
        "evaluation: {warmup: 20, horizon: 60, origins: 3}\n"
    )
    outcome = sinernn("config", "validate", "a.yaml", "b.yaml", TINY)
    assert (outcome.code, outcome.out) == (2, f"{TINY}: valid\n")
    assert outcome.err.splitlines() == [
        "a.yaml:1:1: sed: unknown key; did you mean seed?",
        "b.yaml:1:1: windows.normalize: the training part is constant, so it has no scale; use false",
    ]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_caret_under_a_problem(is_terminal: bool):
    """The line and a caret are shown on a terminal, and nowhere else."""
    place = Place("a.yaml", 3, 12, "  cell: 日本 GRU  # " + "x" * 100)
    problems = [Problem(place, ("model", "cell"), "is wrong, got 'GRU'; so")]
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=60, color_system=None)
    print_problems(problems, console)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "a.yaml:3:12: model.cell: is wrong, got 'GRU'; so"
    assert lines[1:] == ([
        "     3 |   cell: 日本 GRU  # xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…",
        "                      ^",
    ] if is_terminal else [])  # fmt: skip


def test_the_place_stays_in_sight_in_a_long_line():
    place = Place("a.yaml", 1, 501, "x" * 500 + "\x1b[0m" + "y" * 500)
    console = Console(file=io.StringIO(), force_terminal=True, width=60, color_system=None)
    print_problems([Problem(place, (), "is wrong")], console)
    _, line, caret = console.file.getvalue().splitlines()
    assert max(len(line), len(caret)) <= 60
    assert line[caret.index("^") :].startswith("\\x1b[0myyy")


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("script") is None, reason="needs script of util-linux"
)
def test_a_terminal_sees_the_caret(here: Path):
    Path("a.yaml").write_text("model:\n  hiden_size: 3\n")
    words = ("script", "-qec", f"{COMMAND} config show a.yaml", "/dev/null")
    shown = commands.run(*words, env=os.environ | {"TERM": "dumb"})
    assert shown.code == 2
    assert shown.out.splitlines()[1:] == ["     2 |   hiden_size: 3", "           ^"]


def test_the_version_is_told(sinernn):
    assert sinernn("--version").out == f"sinernn {version('sinernn')}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(sinernn, command: list[str]):
    """Every command explains itself with an example."""
    outcome = sinernn(*command, "-h")
    assert outcome.out == sinernn(*command, "--help").out
    assert outcome.code == 0
    assert f"Usage: sinernn {' '.join(command)}" in outcome.out
    assert f"Example: sinernn {' '.join(command)}" in outcome.out


@pytest.mark.parametrize("group", GROUPS, ids=" ".join)
def test_every_group_lists_its_commands(sinernn, group: list[str]):
    told = sinernn(*group, "--help").out
    named = [command[-1] for command in COMMANDS if command[:-1] == group]
    assert named
    assert all(f" {name} " in told for name in named)


@pytest.mark.parametrize("words", [("--quiet",), ()])
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_reader_leaves_during_training(here: Path, closed: str, words: tuple[str, ...]):
    """It ends as with Ctrl-C: saved, and with its exit code and message."""
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    words = ("training.steps=1000000", "training.checkpoint_every=null", *words)
    with started(COMMAND, "train", TINY, *words, **pipes, text=True) as process:
        other = process.stderr if closed == "stdout" else process.stdout
        getattr(process, closed).close()
        printed = other.read().splitlines()
    assert process.returncode == 130
    if closed == "stdout":
        assert printed[-1].startswith("interrupted at update ")
        assert "continue with: sinernn resume runs/" in printed[-1]
    run = Run(Path("runs/latest"))
    assert run.read_facts().status == "interrupted"
    assert run.load_checkpoint("last").state.updates == run.read_facts().updates > 0


def signal_after_records(stderr: int, *before: signal.Signals) -> int | None:
    """The signal that ends a training of two records whose progress goes to a descriptor."""
    with os.fdopen(stderr, "w") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        patch.setattr(sys, "stdout", None)  # as of a daemon
        watching = ClosedPipe()
        with StopSignals() as stop:
            for number in before:
                signal.raise_signal(number)
            for step in (1, 2):
                row = Record(step, np.array([0.25]), 0.1, is_row=True, is_checkpoint=False)
                watching.record(row, dict)
    return stop.signal_number


def without_reader(ends: tuple[int, int]) -> int:
    """The end that is written to, when the other one is closed."""
    os.close(ends[0])
    return ends[1]


@pytest.mark.parametrize("before", [(), (signal.SIGINT,), (signal.SIGTERM,)])
def test_reader_leaves_with_a_signal(before: tuple[signal.Signals, ...]):
    """Ctrl-C reaches `tee` too: the run then ends by the first signal, not unsaved by a second."""
    found = signal_after_records(without_reader(os.pipe()), *before)
    assert found == (*before, signal.SIGINT)[0]


def test_no_poll(monkeypatch: pytest.MonkeyPatch):
    """Training goes on where a system cannot ask for the state of a pipe, as Windows."""
    monkeypatch.delattr("select.poll")
    assert signal_after_records(without_reader(os.pipe())) is None


def test_terminal_closes():
    """Training goes on, as `nohup` and `disown` ask for."""
    assert signal_after_records(without_reader(os.openpty())) is None


def test_the_module_is_the_command_line(here: Path):
    told = commands.run(sys.executable, "-m", "sinernn", "--version")
    assert told.out == f"sinernn {version('sinernn')}\n"


@pytest.mark.campaign
def test_compiling_is_told_while_it_lasts(installed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SINERNN_CACHE_DIR", str(Path("kernels").absolute()))
    first = installed("train", TINY, "refine=null", "--no-figures").err.splitlines()
    assert first[1] == "compiling kernels for this network; takes some seconds, once"
    assert first[2].startswith("update ")
    again = installed("train", TINY, "refine=null", "--no-figures").err.splitlines()
    assert again[1].startswith("update ")
    shutil.rmtree("kernels")
    told = "compiling kernels for this network; takes some seconds, once\n"
    assert [installed("eval", "latest").err for _ in range(2)] == [told, ""]


def test_progress_lines_are_about_ten():
    """Where no bar can be drawn, however many rows the metrics have; the engine's rate in each."""
    console = Console(file=io.StringIO(), force_terminal=False, width=100)
    with TrainingProgress(1000, console=console) as progress:
        for step in range(1, 1001):
            row = Record(
                step,
                np.array([0.25]),
                0.1,
                is_row=True,
                is_checkpoint=False,
                updates_per_second=123.0,
            )
            progress.record(row, dict)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0] == "update 1/1000: 123/s, loss 2.50e-01"
    assert lines[-1].startswith("update 1000/1000: ")


def test_a_bar_is_drawn_on_a_terminal():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with TrainingProgress(20, console=console) as progress:
        progress.compiling()  # a thread draws the bar ten times a second
        wait_until(lambda: "compiling kernels" in console.file.getvalue())
        progress.record(Record(5, np.array([0.25]), 0.1, is_row=True, is_checkpoint=False), dict)
    drawn = console.file.getvalue()
    assert "5/20 updates" in drawn
    assert "loss 2.50e-01" in drawn


def test_scores_reader_leaves(sinernn, trained: Run):
    """Scores are written although nobody reads what is printed, which the exit code reports."""
    run = Path("runs/latest").resolve()
    (run / "evaluation.json").unlink()
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    with started(COMMAND, "eval", "runs/latest", **pipes, text=True) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert err == "the output: Broken pipe; everything saved so far is kept\n"
    assert process.returncode == 130
    assert (run / "evaluation.json").exists()


@pytest.mark.parametrize("name", [r"x$1^$", r"a$\foo$b", "a\x1b[31mred\nsecond", "波", "y" * 200])
def test_any_name_is_drawn_and_printed_harmlessly(sinernn, name: str):
    trained = sinernn("train", TINY, f"name={json.dumps(name)}", "training.steps=2", "--no-figures")
    assert trained.code == 0
    assert "\x1b" not in trained.out
    drawn = sinernn("plot", "latest", "--figure", "loss")
    assert (drawn.code, "Glyph" in drawn.err) == (0, False)


@pytest.mark.parametrize("file", ["run.json", "evaluation.json"])
def test_plot_without_a_key(sinernn, trained: Run, file: str):
    """A run is drawn although its files lack a key."""
    Path("runs/latest", file).write_text("{}")
    assert sinernn("plot", "latest", "--figure", "overview").code == 0


def test_eval_warns_of_free_runs_that_collapse(sinernn):
    """After one update the free run stands still: a warning says that it left the attractor."""
    long_enough = ["signal.length=4000", "evaluation.attractor_steps=500"]
    sinernn("train", TINY, *long_enough, "training.steps=1", "refine=null", "--no-figures")
    assert (
        "\nwarning: 3 of 3 free runs left the attractor: fixed point (3); standard deviation "
    ) in sinernn("eval", "latest").out


def test_missing_option_has_an_example(sinernn):
    """It is the one of the help."""
    message = (
        "Missing option '--steps', as in sinernn predict latest --steps 100 --to forecast.csv; "
    )
    assert sinernn("predict", "latest").err == f"{message}see sinernn predict -h\n"
