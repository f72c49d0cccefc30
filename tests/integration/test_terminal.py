"""What a terminal sees: no control codes, and nothing that is cut or broken inside of a word."""

from pathlib import Path

import pytest

from examples import TINY
from sinernn import cli
from sinernn.config import load_config
from sinernn.errors import ConfigError

RED = "\x1b[31m"
COLUMNS = [60, 80, 120]


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", f"x{RED}"], [f"{RED}train"], ["train", f"{RED}.yaml"], ["train", TINY, f"--x{RED}"],
        ["train", TINY, f"x{RED}=3"], ["config", "init", RED], ["config", RED], ["plot", "--format", RED],
        ["train", TINY, "--from", RED], ["config", "init", "--to", f"no{RED}/x"], [f"--{RED}"],
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


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize(
    "command", ["", "config", *cli.COMMANDS, *(f"config {name}" for name in ("init", "show", "validate", "schema"))]
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
