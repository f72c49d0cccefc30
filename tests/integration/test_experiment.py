import json
import os
import re
import signal
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import reference_script
import sinernn
from commands import COMMAND, run_python
from commands import run as run_command
from examples import CONFIGS, TINY, Watching, refined, tiny
from sinernn import compilation, engines, evaluating, experiment, plot_run
from sinernn.config import Config, load_config
from sinernn.config.sections import Evaluation, Signal, Windows
from sinernn.engines import EngineChoice
from sinernn.engines.fused.linearization import StateMap
from sinernn.engines.fused.native import Kernel
from sinernn.errors import (
    ConfigError,
    InterruptedRunError,
    RunFileError,
    TrainingDivergedError,
    UsageError,
)
from sinernn.evaluation.forecasts import Evidence
from sinernn.model.network import Network
from sinernn.plotting import FIGURES, ON_REQUEST
from sinernn.preparation import prepare
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint, checkpoint_bytes
from sinernn.schema import kinds_of
from sinernn.training import Record

DRAWN = [name for name in FIGURES if name not in ON_REQUEST]
"""Figures that `plot` draws without being asked for one."""


def contents(run: Run, *names: str) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in names]


WEIGHTS_AND_SCORES = (
    "checkpoints/best.safetensors",
    "checkpoints/last.safetensors",
    "evaluation.json",
    "evaluation.safetensors",
    "metrics.csv",
    "model.safetensors",
    "snapshots.safetensors",
)

DIVERGING = (
    "engine=torch",
    "signal.amplitude=1e6", "windows.normalize=false", "model.cell=rnn_relu",
    "training.learning_rate=10", "training.gradient_clip=null", "training.steps=2000",
)  # fmt: skip


def test_overrides_show_in_the_run(here: Path):
    """Its directory, facts, scores and config show them; the command line finds it by its name."""
    run = experiment.train(load_config(TINY, ["seed=3", "model.hidden_size=3"]), figures=False).run
    name = "tiny, hidden_size=3, seed=3"
    assert run.path.name.endswith("-tiny-hidden_size=3-seed=3")
    assert run.read_facts().name == run.read_scores().config == name
    again = experiment.train(load_config(run.config_path, ["seed=4"]), figures=False).run
    assert again.read_facts().name == "tiny, hidden_size=3, seed=4"
    assert sinernn.verify(run.path.name).agrees
    outcome = run_command(COMMAND, "resume", run.path.name, "--no-figures")
    assert outcome.out.endswith(f"{run.path}\n")


def test_files_of_a_run(here: Path):
    """A run directory holds these files and facts."""
    run = experiment.train(tiny()).run
    files = {str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.is_file()}
    assert files == {
        ".lock", "config.yaml", "run.json", *WEIGHTS_AND_SCORES, "figures/overview.png",
    }  # fmt: skip
    facts = run.read_json("run.json")
    assert facts["status"] == "finished"
    assert (facts["engine"], facts["device"], facts["seed"]) == ("fused", "cpu", 0)
    assert facts["updates"] == facts["steps"] == 20
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["started"] <= facts["ended"]


def test_same_config_same_bytes(here: Path):
    """The same config gives the same bytes, another seed gives others."""
    one, two, other = (experiment.train(tiny(f"seed={s}"), figures=False).run for s in (1, 1, 2))
    assert contents(one, *WEIGHTS_AND_SCORES) == contents(two, *WEIGHTS_AND_SCORES)
    assert contents(one, "model.safetensors") != contents(other, "model.safetensors")


def test_resolved_config_same_bytes(here: Path):
    """Training the resolved config again gives the same bytes."""
    one = experiment.train(tiny("windows.order=random", "signal.noise_std=0.1"), figures=False).run
    two = experiment.train(load_config(one.path / "config.yaml"), figures=False).run
    assert contents(one, "config.yaml", *WEIGHTS_AND_SCORES) == contents(
        two, "config.yaml", *WEIGHTS_AND_SCORES
    )


def test_the_length_of_pieces_changes_no_bit(here: Path, monkeypatch: pytest.MonkeyPatch):
    one = experiment.train(tiny(), figures=False).run
    monkeypatch.setattr("sinernn.training.PIECE_SECONDS", 0)
    two = experiment.train(tiny(), figures=False).run
    assert contents(one, *WEIGHTS_AND_SCORES) == contents(two, *WEIGHTS_AND_SCORES)


def test_runs_elsewhere(here: Path):
    """`evaluate` and `plot` find a run by its name in any folder of runs."""
    run = experiment.train(tiny(), runs_dir="elsewhere", figures=False).run
    assert sinernn.evaluate("latest", runs_dir="elsewhere") == run.read_scores()
    drawn = sinernn.plot(run.path.name, names=["loss"], runs_dir="elsewhere")
    assert drawn == [run.path / "figures" / "loss.png"]


def test_blas_has_one_thread():
    """Whoever imports the library, and whatever the environment says."""
    code = (
        "import os; os.environ['OPENBLAS_NUM_THREADS'] = '2'\n"
        "import numpy, sinernn, threadpoolctl\n"
        "sinernn.train\n"
        "pools = threadpoolctl.threadpool_info()\n"
        "print(*(pool['num_threads'] for pool in pools if pool['user_api'] == 'blas'))\n"
    )
    assert set(run_python(code).split()) == {"1"}


def test_no_kernel_is_compiled_twice(monkeypatch: pytest.MonkeyPatch):
    """Two processes share the kernels, although refinement runs networks as the updates do."""
    here: list[str] = []
    elsewhere: list[str] = []
    short = ["substitute", "push_changes"]

    @contextmanager
    def compiled_elsewhere(_: Network, names: list[str]) -> Generator[None]:
        yield
        elsewhere.extend(names)
        assert here == ["advance", *short]

    class Recorded(Kernel):
        def prepare(self, *arguments: Any) -> Any:
            here.append(self.name)

    network = Network("rnn_tanh", 1, 1, 1, "float64")
    calls = [
        (Recorded(kernel.module, kernel.name), arguments)
        for kernel, arguments in compilation.all_calls(network)
    ]
    monkeypatch.setattr(compilation, "_compiled_elsewhere", compiled_elsewhere)
    compilation.compile_kernels(network, calls)
    assert {*elsewhere} == {"run", "differentiate"}
    assert here == ["advance", *short, *elsewhere]  # loaded afterwards


def test_second_compiler_and_working_folder(here: Path):
    """The process that compiles beside this one runs no code from where the user works."""
    Path("threadpoolctl.py").write_text("open('executed', 'w')")
    network = Network("rnn_tanh", 1, 1, 1, "float64")
    with compilation._compiled_elsewhere(network, ["no kernel of this name"]):
        pass
    assert not Path("executed").exists()


def test_matplotlib_without_its_backend(here: Path):
    """One message, from the thread that imports it early too."""
    environment = os.environ | {"MPLBACKEND": "nonsense"}
    outcome = run_command(COMMAND, "train", TINY, "--quiet", env=environment)
    assert outcome.code == 2
    assert outcome.err.startswith("matplotlib cannot be imported: ")
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize("engine", ["fused", "torch"])
def test_two_trainings_at_once(here: Path, engine: str):
    """In two threads of one process they have the bits of trainings one after the other."""
    configs = [refined(f"engine={engine}", f"seed={seed}") for seed in (0, 1)]

    def train(config: Config, folder: str) -> list[bytes]:
        run = experiment.train(config, runs_dir=f"{folder}{config.seed}", figures=False).run
        return contents(run, *WEIGHTS_AND_SCORES)

    alone = [train(config, "alone") for config in configs]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(train, configs, ["together"] * 2))
    assert together == alone


def shortened(config: Config) -> Config:
    """The same with one iteration in every stage, on few sequences, and without long free runs."""
    if config.refine is None:
        return config
    few = {
        "iterations": 1,
        "sequences": 4,
        "batches": 1,
        "measure_every": None,
        "redraw_every": None,
    }
    stages = tuple(stage.model_copy(update=few) for stage in config.refine.stages)
    refine = config.refine.model_copy(update={"stages": stages, "climate_steps": None})
    return config.model_copy(update={"refine": refine})


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_train(here: Path, path: Path):
    """Every shipped config trains a few updates.

    With few units, so that few kernels are compiled.
    """
    small = ["model.hidden_size=4", "evaluation.attractor_steps=100"]
    config = load_config(path, ["device=cpu", "training.steps=4", *small])
    assert experiment.train(shortened(config), figures=False).facts.updates == 4


@pytest.mark.campaign
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_is_drawn(here: Path, path: Path):
    """With all its units, few updates, and short free runs after the transient."""
    few = ["device=cpu", "training.steps=4", "evaluation.attractor_steps=200"]
    summary = experiment.train(shortened(load_config(path, few)))
    assert summary.facts.updates == 4
    assert all(figure.stat().st_size > 1000 for figure in summary.figures)


@pytest.mark.parametrize("kind", sorted(kinds_of(Signal).keys() - {"file", "system"}))
def test_every_signal_trains(here: Path, kind: str):
    """With its defaults and a few samples, in a network with as many channels."""
    transient = "transient: 10, " if "transient" in kinds_of(Signal)[kind].model_fields else ""
    config = tiny(f"signal={{kind: {kind}, {transient}length: 600}}", "engine=torch")
    assert list(config.signal.conflicts()) == []
    summary = experiment.train(config, figures=False)
    assert np.isfinite(summary.scores.closed_loop_rmse[-1].worst)


@pytest.mark.parametrize("cell", ["rnn_relu", "gru", "lstm"])
def test_every_cell_trains_is_evaluated_and_drawn(here: Path, cell: str):
    summary = experiment.train(
        tiny(f"model.cell={cell}", "dtype=float64", "model.num_layers=2", "windows.batch_size=2",
             "windows.length=20", "windows.washout=3", "evaluation.initial_state=carried")
    )  # fmt: skip
    assert np.isfinite(summary.scores.open_loop.rmse)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"windows": Windows(washout=49)}, r"^config: windows\.washout: must be less than"),
        (
            {"evaluation": Evaluation(horizon=100_000)},
            r"^config: evaluation\.horizon: the test part",
        ),
    ],
)
def test_library_checks_before_training(here: Path, settings, message: str):
    """A config made in Python is checked as one from a file is, before anything is written."""
    with pytest.raises(ConfigError, match=message):
        experiment.train(Config(**settings))
    assert not Path("runs").exists()


def test_scale_of_the_training_part(here: Path):
    """The scale is fitted on the training part alone."""
    config = tiny("signal.period=1200", "signal.length=600")  # every part has a mean of its own
    prepared = prepare(config)
    training_part = prepared.series.observed[:420]
    np.testing.assert_array_equal(prepared.scale.mean, training_part.mean(axis=0))
    assert abs(prepared.scale.mean - prepared.series.observed.mean()) > 0.01
    assert len(prepared.objective.samples) == 420


def test_constant_training_part():
    """It cannot be normalised, and the message says what to set."""
    config = tiny(
        "signal.period=1", "signal.time_step=1", "signal.phase=0.5"
    )  # the same phase at every sample
    with pytest.raises(
        UsageError, match=r"windows.normalize: .* constant, so it has no scale; use false"
    ):
        prepare(config)


def test_best_checkpoint(here: Path):
    """It has the lowest validation error and is the one that is evaluated."""
    config = tiny("training.steps=60", "training.evaluate_every=5", "training.learning_rate=0.05")
    run = experiment.train(config, figures=False).run
    metrics = run.read_metrics()
    best = run.load_checkpoint("best")
    assert best.closed_loop_rmse == np.nanmin(metrics["closed_loop_rmse"])
    assert best.state.updates == metrics["step"][np.nanargmin(metrics["closed_loop_rmse"])]
    assert best.state.updates < 60  # so that best and last differ in what follows
    scores = run.read_scores()
    assert (scores.checkpoint, scores.updates) == ("best", best.state.updates)
    weights = load_file(run.path / "model.safetensors")
    np.testing.assert_array_equal(weights["readout.bias"], best.state.params["readout.bias"])


def test_no_validation_part(here: Path):
    """Without one the last checkpoint is evaluated."""
    config = tiny("split.validation=0", "training.evaluate_every=null")
    run = experiment.train(config, figures=False).run
    assert not (run.path / "checkpoints" / "best.safetensors").exists()
    assert run.read_scores().checkpoint == "last"


def test_scores_by_hand_in_torch(here: Path):
    """Scores are those of the plain torch network, in signal units.

    The README's three lines, and the free run by hand.
    """
    config = tiny(
        "signal.amplitude=5", "signal.offset=2", "evaluation.origins=1", "signal.noise_std=0.1"
    )
    run = experiment.train(config, figures=False).run
    model = nn.ModuleDict({"rnn": nn.RNN(1, 4, batch_first=True), "readout": nn.Linear(4, 1)})
    model.load_state_dict(load_file(run.path / "model.safetensors"))

    prepared = prepare(config)
    mean, std = prepared.scale.mean[0], prepared.scale.std[0]
    begin = 600 - 90  # the test part
    observed = torch.tensor((prepared.series.observed[begin:] - mean) / std, dtype=torch.float32)
    clean = prepared.series.clean[begin:, 0]
    with torch.no_grad():
        states, hidden = model["rnn"](observed[None, :20])
        outputs = [model["readout"](states[:, -1:])]
        for _ in range(59):
            states, hidden = model["rnn"](outputs[-1], hidden)
            outputs.append(model["readout"](states))
        one_step = model["readout"](model["rnn"](observed[None, :-1])[0])[0, 19:, 0].numpy()
    free_run = torch.cat(outputs).numpy().ravel()

    scores = run.read_scores()
    last = scores.closed_loop_rmse[-1]
    assert last.horizon == 60
    error = free_run * std + mean - clean[20:80]
    # float32 in another order of summation, over 60 steps.
    assert last.median == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)
    error = one_step * std + mean - clean[20:]
    assert scores.open_loop.rmse == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)


def test_carried_initial_state(here: Path):
    """Forecasts start from the state that training left."""
    carried = tiny("evaluation.initial_state=carried", "evaluation.warmup=1")
    run = experiment.train(carried, figures=False).run
    carried_scores = run.read_scores()
    scores = evaluating.evaluate(run, ["evaluation.initial_state=zero"])
    assert carried_scores.open_loop.rmse != scores.open_loop.rmse
    assert carried_scores.closed_loop_rmse[0] != scores.closed_loop_rmse[0]


def test_a_run_can_be_evaluated_on_another_config(trained: Run):
    Path("slow.yaml").write_text(
        TINY.read_text().replace("kind: sine", "kind: sine, period: 20"),
        encoding="utf-8",
    )
    scores = evaluating.evaluate(trained, data="slow.yaml")
    assert scores.config == "slow"
    arrays = trained.read_arrays("evaluations/slow/evaluation.safetensors")
    np.testing.assert_allclose(
        arrays["closed_loop.truth"][:, :, 0],
        np.sin(2 * np.pi / 20 * arrays["closed_loop.time"]),
        atol=1e-9,
    )
    plot_run.plot(trained, evaluation="slow")


def test_own_evaluation_stays(trained: Run):
    """Other evaluations and their figures are kept beside it, each under a name."""
    own = ("evaluation.json", "evaluation.safetensors")
    before = contents(
        trained, *own, str(plot_run.plot(trained, names=["overview"])[0].relative_to(trained.path))
    )
    scores = [
        evaluating.evaluate(trained, ["evaluation.horizon=30"]),
        evaluating.evaluate(trained, ["engine=torch"]),
        evaluating.evaluate(trained, ["evaluation.horizon=9"], data=TINY),
        evaluating.evaluate(trained, ["evaluation.horizon=8"], name="short"),
        evaluating.evaluate(trained, name="again"),
    ]
    names = ["horizon=30", "engine=torch", "tiny-horizon=9", "short", "again"]
    assert trained.evaluations() == sorted(names)
    assert [trained.read_scores(name) for name in names] == scores
    for name in names:
        (figure,) = plot_run.plot(trained, names=["overview"], evaluation=name)
        assert figure == trained.path / "evaluations" / name / "figures" / "overview.png"
    assert contents(trained, *own, "figures/overview.png") == before
    evaluating.evaluate(trained, ["limits.memory_gb=4"])  # changes no result
    assert contents(trained, *own, "figures/overview.png") == before
    assert trained.evaluations() == sorted(names)


@pytest.mark.parametrize("name", ["", ".x", "../x", "a/b", "a b", "-x", "x" * 81, "\x1b[31m"])
def test_wrong_name_of_an_evaluation(trained: Run, name: str):
    """It is refused before anything is computed, and the message lists what there is."""
    evaluating.evaluate(trained, name="some")
    for call in (
        lambda: evaluating.evaluate(trained, name=name),
        lambda: plot_run.plot(trained, evaluation=name),
    ):
        with pytest.raises(
            UsageError, match=r"name of an evaluation; use|has no evaluation"
        ) as caught:
            call()
        assert str(caught.value).endswith("; there are some")
        assert str(caught.value).isprintable()
    assert trained.evaluations() == ["some"]


def test_damaged_named_evaluation(trained: Run):
    """A damaged file of it is named, with a command that writes it again."""
    evaluating.evaluate(trained, name="some")
    trained.write_arrays("evaluations/some/evaluation.safetensors", {"time": np.zeros(3)})
    with pytest.raises(RunFileError, match=r"some/evaluation\.safetensors: .*") as caught:
        plot_run.plot(trained, evaluation="some")
    command = str(caught.value).partition("; with the settings it had, run sinernn ")[2]
    assert run_command(COMMAND, *command.split()).code == 0
    assert len(plot_run.plot(trained, evaluation="some", names=["overview"])) == 1
    trained.write("evaluations/some/evaluation.json", b"{")
    with pytest.raises(RunFileError, match=r"evaluations/some/evaluation\.json: is damaged"):
        plot_run.plot(trained, evaluation="some")


def test_overrides_of_training_in_eval(trained: Run):
    """Overrides that do not change the evaluation are refused."""
    with pytest.raises(
        UsageError, match=r"training\.steps=9 split\.train=0\.2: would not change how"
    ):
        evaluating.evaluate(trained, ["training.steps=9", "split.train=0.2"])


def test_evaluated_settings_are_written(trained: Run):
    """What a run was evaluated on is written beside its scores."""
    scores = evaluating.evaluate(trained, ["signal.period=20", "engine=torch"])
    assert scores.config.endswith("refine=null with signal.period=20")
    assert scores.judged["signal"]["period"] == 20
    assert scores.judged["evaluation"]["horizon"] == 60
    own = trained.read_scores()
    assert (own.run, own.seed, own.parameters) == (own.config, 0, 33)
    assert (own.cell, own.num_layers, own.hidden_size) == ("rnn_tanh", 1, 4)
    assert scores.run == own.run
    assert trained.read_scores("engine=torch-period=20") == scores
    other = evaluating.evaluate(trained, ["split.train=0.2"], data=TINY)
    assert other.judged["split"]["train"] == 0.2


def test_eval_ignores_training_checks(trained: Run):
    """Settings that only training needs may contradict those of the evaluation."""
    evaluating.evaluate(trained, ["evaluation.warmup=95", "evaluation.part=train"])
    with pytest.raises(
        ConfigError, match=r"evaluation\.horizon=90: the test part \(90 samples\) leaves 70"
    ):
        evaluating.evaluate(trained, ["evaluation.horizon=90"])


def test_unknown_figure(trained: Run):
    """No figure is drawn if one of the names is unknown."""
    with pytest.raises(UsageError, match="no figure is called nope"):
        plot_run.plot(trained, names=["loss", "nope"])
    assert not (trained.path / "figures").exists()


def test_title_and_small_print(trained: Run):
    """A figure names run, network, seed and score, unless told not to."""
    (path,) = plot_run.plot(trained, names=["horizon"], format="svg")
    error = trained.read_scores().closed_loop_rmse[-1].median
    words = (
        "rnn_tanh, 1 layer of 4 units, 33 parameters, seed 0, "
        f"RMSE {error:.2g} over 60 steps, median of 3 free runs"
    )
    assert words in path.read_text(encoding="utf-8")
    (path,) = plot_run.plot(trained, names=["horizon"], format="svg", title=False)
    assert not re.search("rnn_tanh|>tiny", path.read_text(encoding="utf-8"))


def test_units_of_a_figure(here: Path):
    """They are those of the signal that was evaluated."""
    volts = tiny("signal.unit=V", "signal.time_unit=s")
    run = experiment.train(volts, figures=False).run
    millivolts = Path("millivolts.yaml")
    millivolts.write_text(TINY.read_text().replace("kind: sine", "kind: sine, unit: mV"))
    evaluating.evaluate(run, data=millivolts)
    for evaluation, unit in ((None, "V"), ("millivolts", "mV")):
        (path,) = plot_run.plot(run, names=["overview"], format="svg", evaluation=evaluation)
        assert f">signal ({unit})<" in path.read_text(encoding="utf-8")
    (run.path / "evaluation.json").unlink()
    (path,) = plot_run.plot(run, names=["loss"], format="svg")
    assert ">RMSE (V)<" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"width": 0.5}, "width: must be from 1 to 20 inches, got 0.5"),
        ({"height": float("nan")}, "height: must be from 1 to 20 inches, got nan"),
        ({"dpi": 1e9}, r"dpi: must be from 20 to 600 per inch, got 1e\+09"),
    ],
)
def test_wrong_size_of_a_figure(trained: Run, size: dict[str, float], message: str):
    with pytest.raises(UsageError, match=message):
        plot_run.plot(trained, **size)


def test_plot_reads_files_alone(here: Path):
    run = experiment.train(tiny()).run
    for name in ("checkpoints/best.safetensors", "checkpoints/last.safetensors", "config.yaml"):
        (run.path / name).unlink()
    assert [path.name for path in plot_run.plot(run, format="svg")] == [
        f"{name}.svg" for name in DRAWN
    ]  # fmt: skip


def test_arrays_of_another_version_are_told(trained: Run):
    trained.write_arrays("evaluation.safetensors", {"time": np.zeros(3)})
    with pytest.raises(RunFileError, match=r"of another version: array .*; run sinernn eval runs/"):
        plot_run.plot(trained)


def test_missing_arrays(trained: Run):
    """The message says how to make them, as after a copy without its largest file."""
    (trained.path / "evaluation.safetensors").unlink()
    with pytest.raises(RunFileError, match=r"safetensors: is missing; run sinernn eval \S+$"):
        plot_run.plot(trained)


def test_plot_before_eval(trained: Run):
    """Only the training is drawn, and other figures say what to run."""
    (trained.path / "evaluation.json").unlink()
    assert [path.name for path in plot_run.plot(trained)] == ["loss.png"]
    with pytest.raises(UsageError, match=r"closed_loop shows an evaluation.*run sinernn eval"):
        plot_run.plot(trained, names=["closed_loop"])
    with pytest.raises(UsageError, match="no figure is called lost; there are overview, loss"):
        plot_run.plot(trained, names=["lost"])


def test_diverging_training(here: Path):
    """The message names a way out, and what was saved is kept."""
    runs: list[Run] = []
    config = tiny(*DIVERGING, "training.checkpoint_every=1")
    with pytest.raises(
        TrainingDivergedError, match=r"update 1 is kept in runs.*; try training\.learning_rate=1 or"
    ):
        experiment.train(config, observers=[Watching(start=lambda run: runs.append(run))])
    assert runs[0].read_json("run.json")["status"] == "diverged"
    assert runs[0].read_metrics()["step"].tolist() == [1]
    last = runs[0].load_checkpoint("last")
    assert last.state.is_finite()
    assert last.state.updates == runs[0].read_json("run.json")["updates"] > 0


def test_best_by_hand_in_torch(here: Path):
    """Best is chosen by the free run on observed validation samples.

    By hand in plain torch: part, warm-up, horizon, noise and carried state all have to fit.
    """
    config = tiny("signal.noise_std=0.3", "signal.length=200", "split.validation=0.2",
                  "split.train=0.4", "evaluation.horizon=30", "evaluation.origins=1", "evaluation.warmup=15",
                  "evaluation.initial_state=carried", "training.evaluate_every=20")  # fmt: skip
    run = experiment.train(config, figures=False).run
    best = run.load_checkpoint("best")
    prepared = prepare(config)
    mean, std = prepared.scale.mean[0], prepared.scale.std[0]
    observed = torch.tensor((prepared.series.observed[80:120] - mean) / std).float()
    model = nn.ModuleDict({"rnn": nn.RNN(1, 4, batch_first=True), "readout": nn.Linear(4, 1)})
    model.load_state_dict(load_file(run.path / "model.safetensors"))
    with torch.no_grad():
        states, hidden = model["rnn"](observed[None, :15], torch.tensor(best.state.hidden[0]))
        outputs = [model["readout"](states[:, -1:])]
        for _ in range(24):  # of 40 samples, 25 are left after the warm-up
            states, hidden = model["rnn"](outputs[-1], hidden)
            outputs.append(model["readout"](states))
    error = (torch.cat(outputs).ravel() - observed[15:].ravel()).numpy() * std
    assert best.closed_loop_rmse == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)


def test_schedule_washout_and_clip(here: Path):
    """The config's schedule, washout and gradient clip are used."""
    run = experiment.train(tiny("training.log_every=1"), figures=False).run
    updates = np.arange(20)
    np.testing.assert_allclose(
        run.read_metrics()["learning_rate"], 0.003 * (1 + np.cos(np.pi * updates / 20)) / 2
    )
    assert prepare(tiny("windows.washout=7")).objective.washout == 7
    assert prepare(tiny("training.gradient_clip=2.5")).objective.gradient_clip == 2.5


def test_tutorial_equals_the_script(here: Path):
    """The tutorial config trains to the bits of a straight-line script."""
    tutorial = CONFIGS[[path.stem for path in CONFIGS].index("tutorial")]
    config = load_config(tutorial, ["device=cpu", "engine=torch", "training.steps=200"])
    trained = experiment.train(config, figures=False).run.load_checkpoint("last")
    prepared = prepare(config)
    starts = prepared.plan(0, 200).starts[:, 0] // 50
    state = prepared.network.initial_state(config.seed, batch_size=1)
    _, net, hidden = reference_script.run(state.params, starts.tolist(), torch.float32)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(trained.state.params[name], value.numpy())
    np.testing.assert_array_equal(trained.state.hidden[0], hidden.numpy())


@pytest.mark.parametrize(("when", "status"), [("start", "interrupted"), ("end", "finished")])
def test_signal_at_start_or_end(here: Path, when: str, status: str):
    """A stop signal at the start or the end loses nothing."""
    runs: list[Run] = []

    def stop_now() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def start(run: Run, *_: object) -> None:
        runs.append(run)
        if when == "start":
            stop_now()

    def show(record: Record) -> None:
        if when == "end" and record.step == 20:
            stop_now()

    with pytest.raises(InterruptedRunError, match="interrupted") as caught:
        experiment.train(tiny(), observers=[Watching(start=start, record=show)])
    assert caught.value.exit_code == 130
    facts = runs[0].read_json("run.json")
    assert facts["status"] == status
    assert facts["ended"] is not None
    assert runs[0].load_checkpoint("last").state.updates == facts["updates"] > 0
    assert "continue with: sinernn resume runs/" in str(caught.value)
    evaluating.evaluate(runs[0])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_the_run(here: Path, number: int, code: int):
    """A stop signal saves, marks the run and gives the shell's exit code."""
    runs: list[Run] = []

    def stop_at_7(record: Record) -> None:
        if record.step == 7:
            os.kill(os.getpid(), number)

    with pytest.raises(InterruptedRunError, match="interrupted at update 8 of 20") as caught:
        experiment.train(
            tiny("training.log_every=1"),
            observers=[Watching(start=lambda run: runs.append(run), record=stop_at_7)],
        )
    assert caught.value.exit_code == code
    assert runs[0].read_json("run.json")["status"] == "interrupted"
    assert runs[0].load_checkpoint("last").state.updates == 8
    assert runs[0].read_metrics()["step"][-1] == 8
    assert [path.name for path in plot_run.plot(runs[0])] == ["loss.png"]


@pytest.mark.parametrize("name", ["fused", "torch"])
def test_saved_state_goes_on(here: Path, name: str):
    """A state saved half-way goes on to the same bits.

    Through the file: the state after 10 updates, advanced by 10 more.
    """
    config = tiny("training.schedule=constant", f"engine={name}")
    half = experiment.train(
        config.model_copy(update={"training": config.training.model_copy(update={"steps": 10})}),
        figures=False,
    ).run.load_checkpoint("last")
    whole = experiment.train(config, figures=False).run.load_checkpoint("last")
    prepared = prepare(config)
    engine = engines.build(EngineChoice(name, "cpu"), half.network, half.state, prepared.objective)
    windows = prepared.plan(10, 10)
    engine.advance(windows.starts, windows.resets, np.full(10, config.training.learning_rate))
    resumed = Checkpoint(half.network, engine.state, half.scale, np.empty(0), None)
    assert checkpoint_bytes(resumed) == checkpoint_bytes(whole)


def test_the_library_is_the_command_line(here: Path):
    summary = sinernn.train(sinernn.load_config(TINY, ["seed=3"]), figures=False)
    assert sinernn.evaluate("latest") == summary.scores
    assert sinernn.plot("latest")[0].exists()
    assert json.loads((summary.run.path / "run.json").read_text())["seed"] == 3
    with pytest.raises(AttributeError, match="has no attribute 'tune'"):
        sinernn.tune  # noqa: B018


def shipped(name: str) -> Path:
    return next(path for path in CONFIGS if path.stem == name)


@pytest.mark.long
@pytest.mark.campaign
def test_tutorial_scores_and_hints(here: Path):
    """The tutorial is as good as it was and no better, and the hints say why.

    Five seeds of the reference experiment: its loss, how its free run drifts, and the hints.
    """
    errors = []
    for seed in range(5):
        config = load_config(shipped("tutorial"), [f"seed={seed}", "device=cpu"])
        summary = experiment.train(config, figures=False)
        assert 1e-4 < summary.run.read_metrics()["loss"][-1] < 5e-4  # mean of the last 100
        errors.append(summary.scores.closed_loop_rmse[-1].median)
        evaluated = evaluating.evaluate(summary.run, ["device=cpu"], data=shipped("default"))
        for scores in (summary.scores, evaluated):
            told = [hint.override for hint in scores.hints]
            assert told == ["windows.order=contiguous", "training.schedule=cosine"]
    assert 0.1 < np.median(errors) < 1


def test_linear_model_is_exact(here: Path):
    """On the default signal the words say that a linear model is exact."""
    config = load_config(
        shipped("default"),
        ["device=cpu", "training.steps=4", "model.hidden_size=4", "refine=null",
         "evaluation.attractor_steps=100"],
    )  # fmt: skip
    scores = experiment.train(config, figures=False).scores
    assert scores.skill.best_baseline == "AR(2)"
    assert "AR(2) is exact on this signal, which needs no network" in scores.skill.words


def test_noise_makes_it_a_fair_contest(here: Path):
    scores = experiment.train(tiny("signal.noise_std=0.2"), figures=False).scores
    assert "exact" not in scores.skill.words


def test_followed_free_run_is_the_engines(here: Path):
    """A free run whose hidden state is followed step by step is the one that was evaluated."""
    run = experiment.train(tiny("dtype=float64", "evaluation.horizon=50"), figures=False).run
    evidence = Evidence.from_arrays(run.read_arrays("evaluation.safetensors"))
    checkpoint = run.best_checkpoint()[1]
    model = StateMap(checkpoint.network, checkpoint.state.params)
    forecasts, hidden = evidence.closed_loop, checkpoint.network.zero_hidden(3)
    for sample in range(forecasts.warmup):
        hidden = model.step(checkpoint.scale.apply(forecasts.observed[:, sample]), hidden)
    for step in range(forecasts.steps):
        expected = checkpoint.scale.invert(model.output(hidden))
        np.testing.assert_allclose(forecasts.prediction[:, step], expected, atol=1e-12)
        hidden = model.step(None, hidden)


def test_a_short_and_odd_run_has_scores_too(here: Path):
    config = tiny("evaluation.warmup=1", "evaluation.horizon=1", "evaluation.origins=1",
                  "split.validation=0", "training.evaluate_every=null", "signal.length=60",
                  "model.cell=lstm", "windows.length=5", "dtype=float64")  # fmt: skip
    summary = experiment.train(config)
    assert summary.scores.oscillation is None
    assert len(plot_run.plot(summary.run)) == len(DRAWN)


def test_a_constant_series_has_scores_too(here: Path):
    config = tiny(
        "signal.period=1", "signal.time_step=1", "signal.phase=0.5", "windows.normalize=false"
    )  # the same phase at every sample
    summary = experiment.train(config)
    assert summary.scores.valid_time is None
    assert "exact on this signal" in summary.scores.skill.words
    assert len(plot_run.plot(summary.run)) == len(DRAWN)
