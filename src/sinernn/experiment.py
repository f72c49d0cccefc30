"""THE MAIN PATH: prepare an experiment once, then train, evaluate and plot it.

Read this file first. It alone unpacks a config; the modules it calls take plain numbers and arrays.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sinernn import engines, evaluation, provenance, runs, training, windows
from sinernn.config import Config, load_config, to_yaml
from sinernn.engines import Engine, EngineChoice, Objective
from sinernn.errors import (
    ConfigError,
    InterruptedRunError,
    RunFileError,
    TrainingDivergedError,
    UsageError,
)
from sinernn.evaluation import Evidence, Forecasts, OneStep, Setting
from sinernn.evaluation.baselines import baselines
from sinernn.evaluation.dynamics import follow
from sinernn.interrupts import StopRequest, noting_stop_signals
from sinernn.network import Hidden, Network, TrainState
from sinernn.recurrence import Recurrence
from sinernn.runs import Checkpoint, Run, open_run
from sinernn.signals import Series
from sinernn.training import Record
from sinernn.windows import Origins, Planner, Scale

JUDGING_SECTIONS = ("signal", "split", "evaluation", "engine", "device", "limits")
"""What an override of `evaluate` may change; the rest of a run's config is history."""


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
    on_record: Callable[[Record], None] = lambda _record: None,
) -> Summary:
    """Train a network, judge it and draw it, all in a new run directory.

    Args:
        config: The experiment.
        runs_dir: Folder in which the run directory is made.
        figures: Whether to draw the overview; `plot` draws the rest.
        on_start: Called once the run directory is there.
        on_compile: What it returns is entered while the engine compiles, if it has to.
        on_record: Called with every record of the training.

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
            if engine.needs_compiling:
                with on_compile():
                    engine.compile()
            for record in _train_and_save(experiment, engine, run, stop):
                facts["updates"] = record.step
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
                f"interrupted after the last update; judge the run with: sinernn eval {run.path}",
                signal_number=stop.signal_number,
            )
    return Summary(run, facts, evaluate(run), plot(run, names=["overview"]) if figures else [])


def _train_and_save(
    experiment: Experiment, engine: Engine, run: Run, stop: StopRequest
) -> Iterator[Record]:
    """Run the training loop, and keep its metrics and states in the run directory."""
    settings = experiment.config.training
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
    rows: list[Record] = []
    best_rmse = float("inf")

    def save(name: str, losses: Float[np.ndarray, " n"], rmse: float | None = None) -> None:
        checkpoint = Checkpoint(experiment.network, engine.state, experiment.scale, losses, rmse)
        run.save_checkpoint(name, checkpoint)

    try:
        for record in records:
            signal_number = stop.signal_number  # asked once: it may come at any instant
            if record.is_row:
                rows.append(record)
            if record.closed_loop_rmse is not None and record.closed_loop_rmse < best_rmse:
                best_rmse = record.closed_loop_rmse
                save("best", np.empty(0), best_rmse)
            if record.is_checkpoint or signal_number is not None:
                save("last", np.empty(0) if record.is_row else record.losses)
                run.save_model(run.best_checkpoint()[1])
                run.write_metrics(rows)
            yield record
            if signal_number is not None and record.step < settings.steps:
                raise InterruptedRunError(
                    f"interrupted at update {record.step} of {settings.steps}; saved in {run.path}",
                    signal_number=signal_number,
                )
    except TrainingDivergedError:
        run.write_metrics(rows)  # how it came about is worth seeing
        raise


def _validation_rmse(experiment: Experiment, engine: Engine) -> float:
    """Closed-loop RMSE on observed samples of the validation part, over the horizon that fits."""
    settings = experiment.config.evaluation
    origins, horizon = _origins(experiment.config, experiment.series, "validation")
    forecasts = _forecasts(
        engine,
        experiment.scale,
        experiment.series,
        origins,
        warmup=settings.warmup,
        horizon=horizon,
        hidden=_hidden_before(settings.initial_state, engine.state, len(origins.samples)),
    )
    return evaluation.rmse(forecasts.prediction - forecasts.observed[:, settings.warmup :])


def _origins(config: Config, series: Series, part: str) -> tuple[Origins, int]:
    """Spread forecasts over a part, as many and as long as asked for or as fit; and their steps."""
    settings, segments = config.evaluation, len(series.observed)
    begin, end = config.parts.bounds(part)
    horizon = min(settings.horizon, end - begin - settings.warmup)
    room = windows.room_for_origins((begin, end), warmup=settings.warmup, horizon=horizon)
    origins = windows.spread_origins(
        (begin, end),
        segments=segments,
        warmup=settings.warmup,
        horizon=horizon,
        count=min(settings.origins, room * segments),
    )
    return origins, horizon


def _stretches(
    origins: Origins, *, warmup: int, horizon: int
) -> tuple[Int[np.ndarray, "origin 1"], Int[np.ndarray, "origin all"]]:
    """Return the place in a series of W + steps samples around every origin."""
    return origins.segments[:, None], origins.samples[:, None] + np.arange(-warmup, horizon)


def _forecasts(
    engine: Engine,
    scale: Scale,
    series: Series,
    origins: Origins,
    *,
    warmup: int,
    horizon: int,
    hidden: Hidden,
) -> Forecasts:
    """Run the network freely from every origin, after `warmup` true samples, in signal units."""
    place = _stretches(origins, warmup=warmup, horizon=horizon)
    observed = series.observed[place]
    scaled = engine.closed_loop(scale.apply(observed[:, :warmup]), horizon, hidden)
    return Forecasts(
        time=series.time[place],
        observed=observed,
        truth=series.clean[place],
        prediction=scale.invert(scaled.astype(np.float64)),
    )


def _hidden_before(initial_state: str, state: TrainState, rows: int) -> Hidden:
    """Return the hidden state that forecasts start from, before their warm-up."""
    carried = np.repeat(state.hidden[:, :, :1], rows, axis=2)
    return carried if initial_state == "carried" else np.zeros_like(carried)


def evaluate(
    run: Run | Path | str, overrides: Sequence[str] = (), *, data: Path | str | None = None
) -> dict[str, Any]:
    """Judge a run's best network in open and closed loop; write evaluation.json and its arrays.

    Args:
        run: The run: itself, its folder, its name, or `latest`.
        overrides: `key=value` changes to what the network is judged on.
        data: Another config, on whose signal, split and evaluation it is judged, by that config's
            engine and device; default: the run's own.

    Returns:
        The content of evaluation.json; errors in the series' own units.

    Raises:
        SinernnError: The run or the data cannot be read, or do not go together.
    """
    run = run if isinstance(run, Run) else open_run(run)
    _require_judging(overrides)
    config = load_config(data or run.config_path, overrides)
    series = config.signal.samples()
    name, checkpoint = run.best_checkpoint()
    if series.observed.shape[2] != checkpoint.network.channels:
        channels = (
            f"{series.observed.shape[2]} channels, the network of {run.path} "
            f"{checkpoint.network.channels}"
        )
        raise UsageError(f"{data}: signal: has {channels}; choose a signal with as many")
    origins, _ = _origins(config, series, config.evaluation.part)
    evidence = _gather_evidence(config, series, origins, checkpoint)
    scores = {
        "config": config.name,
        "checkpoint": name,
        "updates": checkpoint.state.updates,
        "part": config.evaluation.part,
        "warmup": config.evaluation.warmup,
        "initial_state": config.evaluation.initial_state,
        **evaluation.judge(evidence),
        "hints": evaluation.advise(evidence, _setting(run)),
        "origins": [
            {"segment": int(segment), "sample": int(sample), "diverged_at": diverged_at}
            for segment, sample, diverged_at in zip(
                origins.segments, origins.samples, evidence.closed_loop.diverged_at, strict=True
            )
        ],
    }
    run.write_arrays("evaluation.safetensors", evidence.arrays())
    run.write_json("evaluation.json", scores)
    return scores


def _gather_evidence(
    config: Config, series: Series, origins: Origins, checkpoint: Checkpoint
) -> Evidence:
    """Run a network in open and closed loop, the baselines beside it, and look into its state."""
    settings, network, scale = config.evaluation, checkpoint.network, checkpoint.scale
    choice = engines.choose(config.engine, config.device, network)
    engine = engines.build(choice, network, checkpoint.state)
    warmup, begin, end = settings.warmup, *config.parts.bounds(settings.part)
    training = series.observed[:, : config.parts.train]
    state, start = checkpoint.state, settings.initial_state
    hidden = _hidden_before(start, state, len(origins.samples))
    forecasts = _forecasts(
        engine,
        scale,
        series,
        origins,
        warmup=warmup,
        horizon=settings.horizon,
        hidden=hidden,
    )
    inputs = scale.apply(series.observed[:, begin : end - 1])
    outputs = engine.open_loop(inputs, _hidden_before(start, state, len(inputs)))
    # As in closed loop, the first judged sample is the one after the warm-up.
    judged = slice(begin + warmup, end)
    return Evidence(
        closed_loop=forecasts,
        open_loop=OneStep(
            time=series.time[:, judged],
            observed=series.observed[:, judged],
            truth=series.clean[:, judged],
            prediction=scale.invert(outputs[:, warmup - 1 :].astype(np.float64)),
        ),
        baselines=baselines(
            training=training,
            choosing=_choosing_samples(config, series),
            warmup=forecasts.observed[:, :warmup],
            steps=settings.horizon,
            season=series.period and series.period / series.time_step,
        ),
        dynamics=follow(
            Recurrence(network, checkpoint.state.params),
            warmup=scale.apply(forecasts.observed[:, :warmup]),
            future=scale.apply(forecasts.observed[:, warmup:]),
            hidden=hidden,
            typical=forecasts.typical,
            to_signal=scale.invert,
        ),
        std=windows.spread(training),
        time_step=series.time_step,
        period=series.period,
    )


def _choosing_samples(
    config: Config, series: Series
) -> Float[np.ndarray, "choice all channel"] | None:
    """Return what a baseline's order is chosen on: the validation part, else the training part."""
    warmup = config.evaluation.warmup
    for part in ("validation", "train"):
        if getattr(config.parts, part) > warmup:
            origins, horizon = _origins(config, series, part)
            return series.observed[_stretches(origins, warmup=warmup, horizon=horizon)]
    return None


def _setting(run: Run) -> Setting:
    """Return what a run was trained with, as far as it can explain a poor score."""
    config = load_config(run.config_path)
    series = config.signal.samples()
    try:
        losses = run.read_metrics()["loss"]
    except RunFileError:  # a run that ended before its first row can be judged all the same
        losses = np.empty(0)
    return Setting(
        order=config.windows.order,
        carry_state=config.windows.carry_state,
        length=config.windows.length,
        normalize=config.windows.normalize,
        schedule=config.training.schedule,
        gradient_clip=config.training.gradient_clip,
        period=series.period,
        time_step=series.time_step,
        largest=float(np.abs(series.observed[:, : config.parts.train]).max()),
        losses=losses,
    )


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
    title, evidence = run.read_json("run.json")["name"], None
    if (run.path / "evaluation.json").exists():
        judged = run.read_json("evaluation.json")["config"]
        title = title if judged == title else f"{title} on {judged}"
        evidence = _read_evidence(run)
    story = plotting.Story(title=title, metrics=run.read_metrics(), evidence=evidence)
    drawable = [
        name
        for name in plotting.FIGURES
        if evidence is not None or name in plotting.WITHOUT_EVIDENCE
    ]
    paths: list[Path] = []
    for name in drawable if names is None else names:
        if name not in plotting.FIGURES:
            raise UsageError(f"no figure is called {name}; there are {', '.join(plotting.FIGURES)}")
        if name not in drawable:
            raise UsageError(
                f"{name} shows an evaluation, and there is none; run sinernn eval {run.path}"
            )
        paths.append(run.write(f"figures/{name}.{format}", plotting.draw(name, story, format)))
    return paths


def _read_evidence(run: Run) -> Evidence:
    try:
        return Evidence.from_arrays(run.read_arrays("evaluation.safetensors"))
    except (KeyError, TypeError, ValueError) as error:
        path = run.path / "evaluation.safetensors"
        message = f"{path}: is damaged or of another version; run sinernn eval {run.path}"
        raise RunFileError(message) from error


def _require_judging(overrides: Sequence[str]) -> None:
    for text in overrides:
        if text.split("=", 1)[0].split(".", 1)[0] not in JUDGING_SECTIONS:
            sections = ", ".join(JUDGING_SECTIONS)
            raise UsageError(
                f"{text}: does not change how a trained network is judged; only {sections} do"
            )
