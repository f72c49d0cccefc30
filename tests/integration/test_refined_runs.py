"""Refinement as a part of a run: its metrics, its checkpoints, its end, and what contradicts it."""

import io
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from commands import run_python
from examples import CONFIGS, TINY, Watching, refined
from sinernn import experiment, forecasting
from sinernn.cli.terminal import print_scores
from sinernn.config import check, load_config
from sinernn.errors import ConfigError, InterruptedRunError
from sinernn.model.network import RefineState
from sinernn.preparation import prepare
from sinernn.progress import TrainingProgress
from sinernn.refine import loop, problem
from sinernn.refine.records import RefineRecord
from sinernn.runs import Run
from sinernn.runs.checkpoints import checkpoint_bytes
from sinernn.runs.directory import open_run
from sinernn.training import Record

ONE_STAGE = "refine.stages=[{loop: open, sequences: 4, warmup: 20, horizon: 30, iterations: 2}]"


def test_refinement_is_a_phase_of_the_metrics(here: Path):
    summary = experiment.train(refined(), figures=False)
    metrics = summary.run.read_metrics("refine")
    assert metrics["step"].tolist() == [0, 1, 2, 3, 4]
    assert metrics["stage"].tolist() == [0, 0, 0, 1, 1]
    assert np.isfinite(metrics["closed_loop_rmse"]).tolist() == [True, False, True, False, True]
    assert summary.facts.refine_iterations == 4
    assert summary.run.read_metrics()["step"].tolist() == [5, 10, 15, 20]


def test_the_best_of_refinement_is_evaluated(here: Path):
    run = experiment.train(refined(), figures=False).run
    best, metrics = run.load_checkpoint("best"), run.read_metrics("refine")
    assert best.closed_loop_rmse == np.nanmin(metrics["closed_loop_rmse"])
    assert best.closed_loop_rmse <= np.nanmin(run.read_metrics()["closed_loop_rmse"]) * (1 + 1e-9)
    flat = problem.flatten(best.state.params, best.network)
    np.testing.assert_array_equal(flat, best.state.refine.best_theta)


def test_a_network_of_thousands_of_weights(here: Path):
    """Steps with fewer residuals than weights lower their loss."""
    run = experiment.train(refined(ONE_STAGE, "model.hidden_size=48"), figures=False).run
    losses = run.read_metrics("refine")["loss"][1:]
    assert run.read_facts().parameters == 2497
    assert losses[-1] < losses[0] < run.read_metrics()["loss"][-1]


def test_automatic_stages_in_the_config_of_a_run(here: Path, sinernn):
    """It contains the stages that `config show` prints, and the progress counts them."""
    shown = sinernn("config", "show", TINY, "refine.stages=auto").out
    assert "stages: auto" not in shown
    outcome = sinernn("train", TINY, "refine.stages=auto", "--no-figures")
    assert "iterations of at most 99, stage 5 of 5" in outcome.err
    stages = [line for line in shown.splitlines() if "- {loop" in line]
    assert [
        line for line in open_run("latest").config_path.read_text().splitlines() if "- {" in line
    ] == stages


def test_what_a_stage_came_to_is_kept_at_its_end(here: Path):
    """The checkpoint to go on from, the metrics, and the weights to use."""
    runs: list[Run] = []

    def look(record: object) -> None:
        if isinstance(record, RefineRecord) and (record.is_stage_end or record.iteration < 0):
            run = runs[0]
            assert run.load_checkpoint("last").state.refine.step == record.step
            assert run.read_metrics("refine")["step"][-1] == record.step
            weights, network = (
                load_file(run.path / "model.safetensors"),
                run.best_checkpoint()[1].network,
            )
            np.testing.assert_array_equal(
                problem.flatten(weights, network), record.state.best_theta
            )
            seen.append(record.step)

    seen: list[int] = []
    experiment.train(
        refined(),
        figures=False,
        observers=[Watching(start=lambda run: runs.append(run), record=look)],
    )
    assert seen == [0, 2, 4]


def test_error_during_refinement(here: Path, monkeypatch: pytest.MonkeyPatch):
    """The rows before the error are kept.

    Of the second iteration of the second stage; the checkpoint is of the first stage's end.
    """
    step, calls = loop.levenberg_marquardt_step, iter(range(4))

    def fourth_time_unlucky(*arguments):
        if next(calls) == 3:
            raise MemoryError
        return step(*arguments)

    monkeypatch.setattr(loop, "levenberg_marquardt_step", fourth_time_unlucky)
    with pytest.raises(MemoryError):
        experiment.train(refined(), figures=False)
    run = open_run("latest")
    assert run.read_metrics("refine")["step"].tolist() == [0, 1, 2, 3]
    assert run.load_checkpoint("last").state.refine.step == 2
    monkeypatch.setattr(loop, "levenberg_marquardt_step", step)
    assert experiment.resume(run, figures=False).facts.refine_iterations == 4


def test_scores_name_the_iterations(here: Path, capsys: pytest.CaptureFixture[str]):
    """Scores say how many iterations are behind the network."""
    summary = experiment.train(refined(), figures=False)
    iterations = summary.run.best_checkpoint()[1].state.refine.step
    assert summary.scores.refine_iterations == iterations > 0
    print_scores(summary.run, summary.scores)
    told = f"best checkpoint, after 20 updates and {iterations} iterations of refinement; errors"
    assert told in capsys.readouterr().out


def test_refinement_begins_with_best(here: Path):
    """Refinement begins with the best network of the updates.

    With so large a learning rate the last network is not the best.
    """
    run = experiment.train(
        refined(
            "training.learning_rate=0.3", "training.schedule=constant", "training.evaluate_every=5"
        ),
        figures=False,
    ).run
    errors = run.read_metrics()["closed_loop_rmse"]
    assert np.nanmin(errors) < 0.99 * errors[-1]
    assert run.read_metrics("refine")["closed_loop_rmse"][0] == pytest.approx(np.nanmin(errors))


@pytest.mark.parametrize(
    ("setting", "given"),
    [
        ("refine.origins=2", {"origins": 2, "horizon": None}),
        ("refine.forecast_steps=9", {"origins": None, "horizon": 9}),
    ],
)
def test_forecasts_that_select_a_refinement(here: Path, setting: str, given: dict[str, int | None]):
    """Refinement is measured on as many and as long forecasts as `refine` sets."""
    config = refined(setting)
    run = experiment.train(config, figures=False).run
    prepared = prepare(config)
    errors = [
        forecasting.validation_measure(
            config, prepared.series, prepared.scale, prepared.network, **settings
        )(run.load_checkpoint("best").state.refine.best_theta)
        for settings in (given, {"origins": None})
    ]
    assert errors[0] != errors[1]
    assert run.load_checkpoint("best").closed_loop_rmse == errors[0]


@pytest.mark.parametrize("engine", ["fused", "torch"])
def test_refinement_measures_as_the_engine_does(here: Path, engine: str):
    """Its first record is the best network of the updates, on the same forecasts."""
    run = experiment.train(refined(f"engine={engine}", "signal.noise_std=0.1"), figures=False).run
    best = np.nanmin(run.read_metrics()["closed_loop_rmse"])
    assert run.read_metrics("refine")["closed_loop_rmse"][0] == pytest.approx(best, rel=1e-9)


def go_on(config, half):
    """The records of what is left of a refinement, from a checkpoint."""
    prepared = prepare(config)
    return list(
        loop.refine(
            half.state.refine,
            [prepared.scale.apply(prepared.series.observed[:420])],
            network=half.network,
            stages=config.refine.stages,
            seed=config.seed,
            measure=forecasting.validation_measure(
                config,
                prepared.series,
                prepared.scale,
                prepared.network,
                origins=config.refine.origins,
            ),
        )
    )


def test_refinement_goes_on_after_stage(here: Path):
    """A refinement saved at a stage's end goes on to the same bits."""
    config = refined()
    half = experiment.train(refined(ONE_STAGE), figures=False).run.load_checkpoint("last")
    whole = experiment.train(config, figures=False).run.load_checkpoint("last")
    state = go_on(config, half)[-1].state
    params = problem.unflatten(state.theta, half.network)
    resumed = replace(half, state=replace(half.state, params=params, refine=state))
    assert checkpoint_bytes(resumed) == checkpoint_bytes(whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_during_refinement(here: Path, number: int, code: int):
    """A stop signal saves the iteration that it met."""
    runs: list[Run] = []

    def stop_in_stage_2(record: object) -> None:
        if isinstance(record, RefineRecord) and record.is_stage_end and record.stage == 0:
            os.kill(os.getpid(), number)

    with pytest.raises(
        InterruptedRunError, match="interrupted in stage 2 of 2 of refine"
    ) as caught:
        experiment.train(
            refined(),
            observers=[Watching(start=lambda run: runs.append(run), record=stop_in_stage_2)],
        )
    assert caught.value.exit_code == code
    assert runs[0].read_json("run.json")["status"] == "interrupted"
    assert runs[0].read_json("run.json")["refine_iterations"] == 3
    half = runs[0].load_checkpoint("last")
    assert runs[0].read_metrics("refine")["step"][-1] == half.state.refine.step == 3
    whole = experiment.train(refined(), figures=False).run.load_checkpoint("last")
    np.testing.assert_array_equal(go_on(refined(), half)[-1].state.theta, whole.state.refine.theta)


def test_signal_at_the_last_update(here: Path):
    """The run stops before refinement begins."""

    def stop_at_the_end(record: object) -> None:
        if isinstance(record, Record) and record.step == 19:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="interrupted at update 20 of 20"):
        experiment.train(
            refined("training.log_every=1", "refine.origins=2"),
            observers=[Watching(record=stop_at_the_end)],
        )


def test_a_refinement_that_is_lost_costs_nothing(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Every network but the first diverges on the validation part."""
    errors = iter([0.5])
    monkeypatch.setattr(
        forecasting, "validation_measure", lambda *_, **__: lambda _: next(errors, float("inf"))
    )
    run = experiment.train(refined(), figures=False).run
    best, last = run.load_checkpoint("best"), run.load_checkpoint("last")
    assert best.closed_loop_rmse == last.state.refine.best_error == 0.5
    assert (best.state.params["readout.bias"] != last.state.params["readout.bias"]).all()


SINE = ["signal.length=4000", "refine.climate_steps=500"]


def test_climate_steps_select_the_network(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Here only the network of the updates keeps the climate, although its error is higher."""
    lowest = experiment.train(refined(*SINE), figures=False).run.load_checkpoint("best")
    starts: list[np.ndarray] = []

    def is_start(theta: np.ndarray) -> bool:
        starts.append(theta)
        return np.array_equal(theta, starts[0])

    begin, keeps = loop.start, {"steps": 500, "origins": None}

    def started(*arguments):
        starts[:] = [begin(*arguments).theta]
        return begin(*arguments)

    monkeypatch.setattr(loop, "start", started)
    monkeypatch.setattr(
        forecasting, "climate_check", lambda *_, **given: is_start if given == keeps else None
    )
    best = experiment.train(refined(*SINE), figures=False).run.load_checkpoint("best")
    np.testing.assert_array_equal(best.state.refine.best_theta, starts[0])
    assert best.closed_loop_rmse > lowest.closed_loop_rmse


@pytest.mark.parametrize(("factor", "kept"), [(1.0, True), (0.99, False), (1.01, False)])
def test_climate_of_free_runs(factor: float, kept: bool):
    """x[t+1] = 2 cos(a) x[t] - x[t-1] keeps it, by two linear units; a spiral does not."""
    sine, lift = load_config(TINY).signal, 10.0
    read = np.array([[2 * np.cos(2 * np.pi * sine.time_step / sine.period), -1.0]]) * factor
    params = {
        "rnn.weight_ih_l0": np.array([[1.0], [0.0]]),
        "rnn.weight_hh_l0": np.array([[0.0, 0.0], [factor, 0.0]]),
        "rnn.bias_ih_l0": np.array([lift, lift * (1 - factor)]),
        "rnn.bias_hh_l0": np.zeros(2),
        "readout.weight": read,
        "readout.bias": -lift * read.sum(axis=1),
    }
    prepared = prepare(refined("model.hidden_size=2", "model.cell=rnn_relu", *SINE))
    evaluated = prepared.config, prepared.series, prepared.scale, prepared.network
    for steps, keeps in ((500, kept), (None, True)):
        check_of = forecasting.climate_check(*evaluated, origins=2, steps=steps)
        assert check_of(problem.flatten(params, prepared.network)) == keeps


@pytest.mark.parametrize("too_short", [["signal.length=3320"], [SINE[0], "signal.period=500"]])
def test_no_climate_to_keep(too_short: list[str]):
    """The validation part has 498 samples, or its stretches differ."""
    with pytest.raises(
        ConfigError, match=r"refine.climate_steps=500: the validation part has no statistics"
    ):
        prepare(refined(*too_short, SINE[1]))


@pytest.mark.long
@pytest.mark.campaign
def test_mackey_glass_keeps_its_climate(here: Path):
    """With seed 0 its free runs left the attractor, for a cycle of two samples."""
    config = load_config(CONFIGS[[path.stem for path in CONFIGS].index("mackey_glass")])
    scores = experiment.train(config, figures=False).scores
    assert scores.dynamics.warning is None
    assert scores.dynamics.settles == {"irregular": 8}
    assert scores.closed_loop_rmse[-1].worst < 1e-3


@pytest.mark.campaign
def test_default_recipe(here: Path):
    """The default recipe follows a sine over 65 periods.

    Measured over 20 seeds: 1e-6, the worst forecast 4e-6 (benchmarks/quality.py).
    """
    config = load_config(CONFIGS[[path.stem for path in CONFIGS].index("default")], ["device=cpu"])
    scores = experiment.train(config, figures=False).scores
    assert scores.closed_loop_rmse[-1].horizon == 2000
    assert scores.closed_loop_rmse[-1].worst < 1e-4


@pytest.mark.campaign
@pytest.mark.parametrize(
    "overrides",
    [
        ["signal.amplitude=250", "signal.offset=1000"],
        ["signal.period=0.02", "signal.time_step=0.0005"],
        ["signal.time_step=0.5235987755982988"],
        ["signal.starts=[0, 1000, 2000]", "signal.length=4000"],
    ],
    ids=["amplitude 250 around 1000", "40 samples a period", "12 a period", "three segments"],
)
def test_the_default_recipe_follows_other_sines(here: Path, overrides: list[str]):
    """With half its units and a sixth of its updates; of all of it benchmarks/quality.py tells."""
    plain = [
        "device=cpu", "training.steps=1000", "model.hidden_size=8",
        "evaluation.horizon=500", "evaluation.origins=2",
    ]  # fmt: skip
    config = load_config(
        CONFIGS[[path.stem for path in CONFIGS].index("default")], plain + overrides
    )
    scores = experiment.train(config, figures=False).scores
    assert scores.closed_loop_rmse[-1].worst < 1e-4 * config.signal.amplitude


@pytest.mark.campaign
def test_refinement_and_threads(here: Path):
    """Refinement has the same bits whatever the number of threads.

    As large as the default's network, where a library would share the work.
    """
    code = (
        "import hashlib, pathlib, sys\n"
        "from sinernn import experiment\n"
        "from sinernn.config import load_config\n"
        "config = load_config(sys.argv[1], ['device=cpu', 'model.hidden_size=16'])\n"
        "run = experiment.train(config, runs_dir=sys.argv[2], figures=False).run\n"
        "files = [run.checkpoint_path('last'), run.path / 'metrics.csv']\n"
        "print(*[hashlib.sha256(path.read_bytes()).hexdigest() for path in files])\n"
    )
    hashes = [
        run_python(
            code,
            TINY,
            f"runs{threads}",
            env=os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
        )
        for threads in ("1", "2")
    ]
    assert hashes[0] == hashes[1]


STATE = RefineState(
    theta=np.zeros(1), stage=1, iteration=3, step=5, damping=0.01, best_theta=np.zeros(1),
    best_error=0.5,
)  # fmt: skip
RECORD = RefineRecord(
    stage=1, iteration=2, step=5, loss=0.25, damping=0.01, is_stage_end=False,
    closed_loop_rmse=0.5, is_best=True, state=STATE,
)  # fmt: skip


def shown(is_terminal: bool, **changes) -> str:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=120)
    with TrainingProgress(20, [4, 6], console) as progress:
        progress.record(replace(RECORD, **changes), dict)
    return console.file.getvalue()


def test_progress_lines_of_refinement():
    """A line is printed wherever the error is measured."""
    line = (
        "refine: 5 iterations of at most 10, stage 2 of 2, loss 2.50e-01, "
        "closed-loop RMSE 5.00e-01 (validation)\n"
    )
    assert shown(False) == line
    assert shown(False, closed_loop_rmse=None) == ""
    assert shown(False, is_stage_end=True) == line
    start = shown(False, stage=0, iteration=-1, step=0)
    assert start.startswith("refine: 0 iterations of at most 10, stage 1 of 2, closed-loop")


def test_progress_bar_of_refinement():
    """On a terminal a bar shows the iterations."""
    assert "5 iterations of at most 10" in shown(True)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.num_layers=2"],
         "model.num_layers=2: refine supports one layer, got 2; use 1, or set refine=null"),
        (["model.hidden_size=99"],
         "model.hidden_size=99: the network has 10198 parameters, and refine supports at most 10000, since its "
         "time and memory grow with their square; decrease it, or set refine=null"),
        (["dtype=float32"],
         "dtype=float32: refine needs the precision of float64; use it, or set refine=null"),
        (["evaluation.initial_state=carried"],
         "evaluation.initial_state=carried: refine starts its sequences from a zero state, and a carried "
         "state does not fit the refined network; use zero, or set refine=null"),
        (["split.validation=0", "training.evaluate_every=null"],
         "split.validation=0: refine needs forecasts on the validation part, and its 0 samples leave nothing "
         "after evaluation.warmup (20); increase it, or set refine=null"),
        (["refine.stages=[{sequences: 2, warmup: 20, horizon: 401}]"],
         "refine.stages=[{sequences: 2, warmup: 20, horizon: 401}]: refine.stages.0.horizon: the training "
         "part (420 samples) leaves 400 after the stage's warm-up (20), got 401"),
        (["refine={}"],
         "refine={}: refine.stages.4.horizon: the training part (420 samples) leaves 370 after the stage's "
         "warm-up (50), got 1000"),
        (["refine.stages=[{horizon: 9, lift: 1}]"],
         "refine.stages=[{horizon: 9, lift: 1}]: refine.stages.0.lift: only rnn_relu has a kink to lift units "
         "from, got rnn_tanh; use 0"),
        (["refine.stages=[{horizon: 9, redraw_every: 1}]"],
         "refine.stages=[{horizon: 9, redraw_every: 1}]: refine.stages.0.redraw_every: there is no noise to "
         "redraw; use null, or set warmup_noise above 0"),
        (["refine.stages=[{horizon: 9, stride: 10}]"],
         "refine.stages=[{horizon: 9, stride: 10}]: refine.stages.0.stride: must be at most the stage's "
         "horizon (9), where it already counts only the last step, got 10"),
        (["refine.stages=[{horizon: 9, iterations: 4, measure_every: 5}]"],
         "refine.stages=[{horizon: 9, iterations: 4, measure_every: 5}]: refine.stages.0.measure_every: must "
         "be at most the stage's iterations (4), got 5; decrease it, or use null"),
        (["refine.stages=[{horizon: 9, iterations: 4, redraw_every: 5, warmup_noise: 1}]"],
         "refine.stages=[{horizon: 9, iterations: 4, redraw_every: 5, warmup_noise: 1}]: "
         "refine.stages.0.redraw_every: must be at most the stage's iterations (4), got 5; decrease it, or "
         "use null"),
        (["refine.stages=[{horizon: 9, iterations: 4, batches: 5}]"],
         "refine.stages=[{horizon: 9, iterations: 4, batches: 5}]: refine.stages.0.batches: must be at most "
         "the stage's iterations (4), got 5; decrease it, or use 1"),
        (["refine.origins=12"],
         "refine.origins=12: must be at most 11, as many as fit into the validation part, got 12"),
        (["refine.climate_steps=499"],
         "refine.climate_steps=499: must be at least 500, got 499"),
        (["refine.stages=3"],
         "refine.stages=3: must be a list of sections with keys such as loop, sequences, batches, warmup, got "
         "3"),
        (["refine.stages=[{horizon: 0}]"],
         "refine.stages=[{horizon: 0}]: refine.stages.0.horizon: must be at least 1, got 0"),
        (["refine.stages=[{sequences: 1e5, horizon: 100, warmup: 50}]"],
         "refine.stages=[{sequences: 1e5, horizon: 100, warmup: 50}]: the run needs about 2.9 GB of memory, "
         "most of it for this, and the limit is 1 GB; decrease it, or set limits.memory_gb=3.5"),
    ],
)  # fmt: skip
def test_contradictions_of_refinement(overrides: list[str], message: str):
    """What contradicts refinement is reported with its place."""
    limits = ["limits.memory_gb=1"] if "1e5" in overrides[0] else []
    with pytest.raises(ConfigError) as caught:
        check(load_config(TINY, overrides + limits))
    assert str(caught.value) == message


def test_memory_of_refine_origins():
    """Memory grows with the origins that refinement asks for."""
    data = ["signal.length=1e6", "evaluation.horizon=1000", "limits.memory_gb=0.5"]
    with pytest.raises(ConfigError, match=r"^refine.origins=10000: the run needs about 0.8 GB"):
        check(load_config(TINY, [*data, "refine.origins=10000"]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "delay: 17.05",
            r"signal.delay: must be a multiple of signal.integration_step \(0.1\), got 17.05",
        ),
        ("starts: [0.03]", r"signal.starts: must be a multiple"),
        ("time_step: 0.05", r"signal.time_step: must be a multiple"),
        ("delay: 0.3", r"signal.delay: must be at least 4 times"),
        (
            "starts: [-1001]",
            r"signal.starts: must be at least -1000, the start of signal.transient, got -1001",
        ),
        ("length: 1e6", r"needs 1e\+07 integration steps, at most 3,000,000"),
        (
            "delay: 0.4, transient: 0",
            r"signal.delay: only 2 integration steps can be taken at once with so short a delay, "
            r"and the series needs 1.25e\+05 such stretches, at most 100,000",
        ),
    ],
)
def test_conflicts_of_mackey_glass(here: Path, settings: str, message: str):
    Path("a.yaml").write_text(f"signal: {{kind: mackey_glass, {settings}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        check(load_config("a.yaml"))
