"""What a shell offers at a press of the tab key."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from commands import Outcome
from examples import CONFIGS, TINY, make_run
from sinernn.cli.completion import DATA_FILES, known_settings
from sinernn.cli.plot import PlotFormat
from sinernn.config import Config, load_config, setting_names
from sinernn.data.files import ARRAYS
from sinernn.errors import ConfigError
from sinernn.exporters import EXPORTERS
from sinernn.plotting import FIGURES
from sinernn.sweeps.settings import Sweep


@pytest.fixture
def offered(sinernn: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch):
    """What bash is given for words, of which the last is completed."""

    def complete(*words: str) -> list[str]:
        monkeypatch.setenv("_SINERNN_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(["sinernn", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        return sinernn().out.splitlines()

    return complete


def test_runs_are_offered(offered):
    """Their names, newest first, in the folder of the option; or folders at a path."""
    names = [make_run(name=name).path.name for name in ("a", "b")]
    for command in ("plot", "resume", "rm", "compare", "runs", "predict"):
        assert offered(command, "2026") == names[::-1]
    assert offered("train", "x.yaml", "--from", "la") == ["latest"]
    assert offered("plot", f"runs/{names[0][:-1]}") == [f"runs/{name}/" for name in names]
    assert offered("plot", "--runs-dir", "other", "2026") == [""]


def test_configs_are_offered(offered):
    """YAML files, and folders that may hold some."""
    Path("configs").mkdir()
    for name in ("mine.yaml", "mine.csv", "configs/my.yml", ".my.yaml"):
        Path(name).touch()
    assert offered("train", "m") == ["mine.yaml"]
    assert offered("config", "show", "c") == ["configs/"]
    assert offered("train", "configs/") == ["configs/my.yml"]


def test_settings_are_offered(offered):
    """With the equals sign; of one setting its values, too, or else its default."""
    names = ["steps", "schedule", "snapshots"]
    assert offered("train", "a.yaml", "training.s") == [f"training.{name}=" for name in names]
    cells = ["rnn_tanh", "rnn_relu", "gru", "lstm"]
    expected = ["model.cell=", *(f"model.cell={cell}" for cell in cells)]
    assert offered("eval", "latest", "model.ce") == expected
    assert offered("train", "a.yaml", "model.hidden") == [
        "model.hidden_size=",
        "model.hidden_size=16",
    ]
    assert offered("train", "a.yaml", "model.nothing") == [""]
    assert offered("runs", "--where", "windows.o") == [
        "windows.order=", "windows.order=contiguous", "windows.order=random",
    ]  # fmt: skip


def test_values_are_offered(offered):
    """Bash splits words at the equals sign, other shells do not."""
    assert offered("train", "a.yaml", "model.cell=g") == ["model.cell=gru"]
    assert offered("train", "a.yaml", "model.cell", "=", "g") == ["gru"]
    assert offered("train", "a.yaml", "windows.normalize", "=") == ["true", "false"]
    assert offered("train", "a.yaml", "refine", "=", "n") == ["null"]


def test_offered_settings_are_all():
    """None is missing, and none is made up."""
    nullable = {"refine", "signal.downsample"}
    assert set(known_settings()) == set(setting_names(Config)) | nullable


@pytest.mark.parametrize("section", ["model", "windows", "training", "evaluation"])
def test_offered_values_are_valid(section: str):
    for name, values in known_settings().items():
        for value in values if name.startswith(f"{section}.") else ():
            try:
                load_config(TINY, [f"{name}={value}"])
            except ConfigError as error:
                pytest.fail(str(error))


def test_names_in_lists_are_offered(offered):
    """All of them, and no other."""
    keep = get_args(Sweep.model_fields["keep"].annotation)
    for words, names in (
        (("export", "latest", "--format"), EXPORTERS),
        (("plot", "latest", "--figure"), FIGURES),
        (("plot", "latest", "--format"), PlotFormat),
        (("sweep", "a.yaml", "--keep"), keep),
        (("init",), [path.stem for path in CONFIGS]),
    ):
        assert offered(*words, "''") == list(names)
    assert offered("export", "--format", "o") == ["onnx"]


def test_files_of_init_and_sweep_are_offered(offered):
    """Data for the first, YAML for the second."""
    assert set(ARRAYS) < set(DATA_FILES)
    for name in ("sensor.csv", "sensor.yaml"):
        Path(name).touch()
    assert offered("init", "se") == ["seattle_temperatures", "sensor.csv"]
    assert offered("sweep", "se") == offered("eval", "latest", "--data", "se") == ["sensor.yaml"]


def test_evaluations_are_offered(offered):
    """Those of the run that is named before."""
    run = make_run().path
    (run / "evaluations" / "horizon=500").mkdir(parents=True)
    assert offered("plot", run.name, "--evaluation", "h") == ["horizon=500"]
    assert offered("plot", f"{run}/", "--evaluation", "h") == ["horizon=500"]
    assert offered("plot", "other", "--evaluation", "h") == [""]
