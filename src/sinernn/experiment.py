"""THE MAIN PATH: prepare an experiment once, then train, evaluate and plot it.

Read this file first. It and `judging`, which it calls, alone unpack a config; the other modules
take plain numbers and arrays.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sinernn import engines, evaluation, judging, provenance, runs, training, windows
from sinernn.config import Config, to_yaml
from sinernn.engines import Compiled, Engine, EngineChoice, Objective
from sinernn.errors import (
    ConfigError,
    InterruptedRunError,
    RunFileError,
    TrainingDivergedError,
    UsageError,
    printable,
)
from sinernn.evaluation import Evidence
from sinernn.interrupts import StopRequest, noting_stop_signals
from sinernn.network import Network, RefineState, Theta, TrainState
from sinernn.refine.records import RefineRecord
from sinernn.runs import Checkpoint, Run, open_run
from sinernn.signals import Series
from sinernn.training import Record
from sinernn.windows import Planner, Scale


@dataclass(frozen=True)
class Experiment:
    """A config made concrete: its series, its windows and its network."""

    config: Config
    series: Series
    scale: Scale
    network: Network
    objective: Objective
    plan: Planner


def prepare(config: Config) -> Experiment:
    """Make all that training needs; a pure function of the config.

    Raises:
        ConfigError: The training part is constant and cannot be normalised.
    """
    series = config.signal.samples()
    training_part = series.observed[:, : config.parts.train]
    segments, samples, channels = training_part.shape
    scale = windows.identity_scale(channels)
    if config.windows.normalize:
        try:
            scale = windows.fit_scale(training_part)
        except ValueError as error:
            message = f"{error}; set windows.normalize=false"
            raise ConfigError([config.problem("windows.normalize", message=message)]) from error
    planner: dict[str, Any] = {
        "segments": segments,
        "samples": samples,
        "length": config.windows.length,
        "batch_size": config.windows.batch_size,
        "carry_state": config.windows.carry_state,
    }
    return Experiment(
        config=config,
        series=series,
        scale=scale,
        network=Network(
            cell=config.model.cell,
            channels=channels,
            hidden_size=config.model.hidden_size,
            num_layers=config.model.num_layers,
            dtype=config.dtype,
        ),
        objective=Objective(
            samples=scale.apply(training_part).reshape(-1, channels).astype(config.dtype),
            length=config.windows.length,
            washout=config.windows.washout,
            gradient_clip=config.training.gradient_clip,
        ),
        plan=windows.random_planner(**planner, seed=config.seed)
        if config.windows.order == "random"
        else windows.contiguous_planner(**planner),
    )


@dataclass(frozen=True)
class Summary:
    """What a finished training has to tell."""

    run: Run
    facts: dict[str, Any]
    """Content of run.json."""

    scores: dict[str, Any]
    """Content of evaluation.json."""

    figures: list[Path]


def train(
    config: Config,
    *,
    runs_dir: Path | str = "runs",
    figures: bool = True,
    on_start: Callable[[Run, EngineChoice], None] = lambda _run, _choice: None,
    on_compile: Callable[[], AbstractContextManager[object]] = nullcontext,
    on_record: Callable[[Record | RefineRecord], None] = lambda _record: None,
) -> Summary:
    """Train a network, judge it and draw it, all in a new run directory.

    Args:
        config: The experiment.
        runs_dir: Folder in which the run directory is made.
        figures: Whether to draw the overview; `plot` draws the rest.
        on_start: Called once the run directory is there.
        on_compile: What it returns is entered while kernels are compiled, if they have to be.
        on_record: Called with every record of the updates, and of the refinement that follows.

    Raises:
        SinernnError: The device is absent, a file cannot be written, training diverged or was
            interrupted by a signal. What was saved before stays.
    """
    experiment = prepare(config)
    choice = engines.choose(config.engine, config.device, experiment.network)
    state = experiment.network.initial_state(config.seed, batch_size=config.windows.batch_size)
    engine = engines.build(choice, experiment.network, state, experiment.objective)
    began, clock = datetime.now(UTC), time.perf_counter()
    facts = {
        "name": config.name,
        "status": "running",
        "seed": config.seed,
        **asdict(choice),
        "parameters": experiment.network.parameter_count,
        "steps": config.training.steps,
        "updates": 0,
        "refine_iterations": 0,
        "started": began.isoformat(timespec="seconds"),
        "ended": None,
        "seconds": None,
        **provenance.environment(),
    }
    resolved = config.model_copy(update=asdict(choice))
    header = "# Resolved: training it again gives the same bits.\n"
    with noting_stop_signals() as stop:
        run = runs.create_run(
            Path(runs_dir),
            config.name,
            now=began,
            files={
                "config.yaml": header + to_yaml(resolved),
                "run.json": runs.to_json(facts),
            },
        )
        facts["status"] = "failed"
        try:
            on_start(run, choice)
            _compile(experiment, engine, on_compile)
            rows: list[dict[str, Any]] = []
            for record in _train_and_save(experiment, engine, run, rows, stop):
                facts["updates"] = record.step
                on_record(record)
            for record in _refine_and_save(experiment, engine.state, run, rows, stop):
                facts["refine_iterations"] = record.step
                on_record(record)
            facts["status"] = "finished"
        except (TrainingDivergedError, InterruptedRunError) as error:
            facts["status"] = error.run_status
            raise
        finally:
            facts["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
            facts["seconds"] = round(time.perf_counter() - clock, 3)
            run.write_json("run.json", facts)
        if stop.signal_number is not None:
            raise InterruptedRunError(
                f"interrupted when training was done; judge the run with: sinernn eval {run.path}",
                signal_number=stop.signal_number,
            )
    return Summary(
        run, facts, judging.evaluate(run), plot(run, names=["overview"]) if figures else []
    )


def _compile(
    experiment: Experiment,
    engine: Engine,
    on_compile: Callable[[], AbstractContextManager[object]],
) -> None:
    """Compile what is not compiled yet, before any clock runs."""
    compiled: list[Compiled] = [engine]
    if experiment.config.refine is not None:
        from sinernn.refine.problem import Kernels

        compiled.append(Kernels(experiment.network))
    if any(each.needs_compiling for each in compiled):
        with on_compile():
            for each in compiled:
                each.compile()


def _train_and_save(
    experiment: Experiment,
    engine: Engine,
    run: Run,
    rows: list[dict[str, Any]],
    stop: StopRequest,
) -> Iterator[Record]:
    """Run the training loop, and keep its metrics and states in the run directory."""
    settings, is_all = experiment.config.training, experiment.config.refine is None
    records = training.train(
        engine,
        plan=experiment.plan,
        learning_rates=training.schedule(
            settings.schedule, peak=settings.learning_rate, steps=settings.steps
        ),
        first=0,
        steps=settings.steps,
        log_every=settings.log_every,
        evaluate_every=settings.evaluate_every,
        checkpoint_every=settings.checkpoint_every,
        evaluate=lambda: _validation_rmse(experiment, engine),
    )
    best_rmse = float("inf")

    def save(name: str, losses: Float[np.ndarray, " n"], rmse: float | None = None) -> None:
        checkpoint = Checkpoint(experiment.network, engine.state, experiment.scale, losses, rmse)
        run.save_checkpoint(name, checkpoint)

    try:
        for record in records:
            signal_number = stop.signal_number  # asked once: it may come at any instant
            if record.is_row:
                rows.append(record.metrics)
            if record.closed_loop_rmse is not None and record.closed_loop_rmse < best_rmse:
                best_rmse = record.closed_loop_rmse
                save("best", np.empty(0), best_rmse)
            if record.is_checkpoint or signal_number is not None:
                save("last", np.empty(0) if record.is_row else record.losses)
                run.save_model(run.best_checkpoint()[1])
                run.write_metrics(rows)
            yield record
            if signal_number is not None and not (is_all and record.step == settings.steps):
                raise InterruptedRunError(
                    f"interrupted at update {record.step} of {settings.steps}; saved in {run.path}",
                    signal_number=signal_number,
                )
    except TrainingDivergedError:
        run.write_metrics(rows)  # how it came about is worth seeing
        raise


def _refine_and_save(
    experiment: Experiment,
    trained: TrainState,
    run: Run,
    rows: list[dict[str, Any]],
    stop: StopRequest,
) -> Iterator[RefineRecord]:
    """Refine the best network of the updates, and keep metrics and states in the run directory."""
    config, network, scale = experiment.config, experiment.network, experiment.scale
    if config.refine is None:
        return
    from sinernn.refine import loop, problem

    stages, training_part = config.refine.stages, slice(config.parts.train)

    def save(name: str, theta: Theta, state: RefineState, rmse: float | None) -> None:
        params = problem.unflatten(theta, network)
        refined = replace(trained, params=params, refine=state)
        run.save_checkpoint(name, Checkpoint(network, refined, scale, np.empty(0), rmse))

    for record in loop.refine(
        loop.start(run.best_checkpoint()[1].state.params, network),
        scale.apply(experiment.series.observed[:, training_part]),
        network=network,
        stages=stages,
        seed=config.seed,
        measure=_validation_measure(experiment, origins=config.refine.origins),
    ):
        signal_number, state = stop.signal_number, record.state
        is_done = state.stage == len(stages)
        rows.append(record.metrics)
        if record.is_best:
            save("best", state.best_theta, state, evaluation.finite(state.best_error))
        # The start as well: from then on `best` is no longer what refinement began with.
        if record.is_stage_end or record.iteration < 0 or signal_number is not None:
            save("last", state.theta, state, None)
            run.save_model(run.best_checkpoint()[1])
            run.write_metrics(rows)
        yield record
        if signal_number is not None and not is_done:
            raise InterruptedRunError(
                f"interrupted in stage {record.stage + 1} of {len(stages)} of refine; "
                f"saved in {run.path}",
                signal_number=signal_number,
            )


def _validation_measure(experiment: Experiment, *, origins: int | None) -> Callable[[Theta], float]:
    """Return what tells the closed-loop RMSE of parameters, as `_validation_rmse` does."""
    from sinernn.refine.problem import free_run

    config, series, scale = experiment.config, experiment.series, experiment.scale
    warmup = config.evaluation.warmup
    spread, horizon = judging.place_origins(config, series, "validation", count=origins)
    observed = series.observed[judging.stretches(spread, warmup=warmup, horizon=horizon)]
    warmups = scale.apply(observed[:, :warmup])

    def measure(theta: Theta) -> float:
        forecasts = free_run(theta, experiment.network, warmups, steps=horizon)
        return evaluation.rmse(scale.invert(forecasts) - observed[:, warmup:])

    return measure


def _validation_rmse(experiment: Experiment, engine: Engine) -> float:
    """Closed-loop RMSE on observed samples of the validation part, over the horizon that fits."""
    settings = experiment.config.evaluation
    origins, horizon = judging.place_origins(experiment.config, experiment.series, "validation")
    forecasts = judging.forecast(
        engine,
        experiment.scale,
        experiment.series,
        origins,
        warmup=settings.warmup,
        horizon=horizon,
        hidden=judging.hidden_before(settings.initial_state, engine.state, len(origins.samples)),
    )
    return evaluation.rmse(forecasts.prediction - forecasts.observed[:, settings.warmup :])


def plot(
    run: Run | Path | str, *, format: str = "png", names: Sequence[str] | None = None
) -> list[Path]:
    """Draw a run from its files alone; before any evaluation, only what shows the training.

    Args:
        run: The run: itself, its folder, its name, or `latest`.
        format: png, svg or pdf.
        names: Which figures; default: all there are.

    Returns:
        The files written.

    Raises:
        SinernnError: The run cannot be read, or a figure cannot be drawn from it.
    """
    from sinernn import plotting

    run = run if isinstance(run, Run) else open_run(run)
    name, evidence = str(run.read_json("run.json").get("name", run.path.name)), None
    title = printable(name, 40)
    if (run.path / "evaluation.json").exists():
        judged = str(run.read_json("evaluation.json").get("config", name))
        title = title if judged == name else f"{title} on {printable(judged, 60)}"
        evidence = _read_evidence(run)
    story = plotting.Story(
        title=title.replace("$", r"\$"), metrics=run.read_metrics(), evidence=evidence
    )
    drawable = [
        name
        for name in plotting.FIGURES
        if evidence is not None or name in plotting.WITHOUT_EVIDENCE
    ]
    wanted = drawable if names is None else list(names)
    for name in wanted:
        if name not in plotting.FIGURES:
            raise UsageError(f"no figure is called {name}; there are {', '.join(plotting.FIGURES)}")
        if name not in drawable:
            raise UsageError(
                f"{name} shows an evaluation, and there is none; run sinernn eval {run.path}"
            )
    return [
        run.write(f"figures/{name}.{format}", plotting.draw(name, story, format)) for name in wanted
    ]


def _read_evidence(run: Run) -> Evidence:
    try:
        return Evidence.from_arrays(run.read_arrays("evaluation.safetensors"))
    except (KeyError, TypeError, ValueError) as error:
        path = run.path / "evaluation.safetensors"
        message = f"{path}: is damaged or of another version; run sinernn eval {run.path}"
        raise RunFileError(message) from error
