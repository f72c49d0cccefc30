"""THE MAIN PATH: prepare an experiment, train it in a run directory, evaluate it, draw it.

Read this file first. With `preparation`, `checkpointing` and `evaluating` it unpacks the config;
most other modules take plain numbers and arrays.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sinernn import compilation, engines, evaluating, forecasting, plot_run, provenance
from sinernn.checkpointing import (
    Checkpointer,
    Position,
    find_position,
    now,
    place_in_training,
)
from sinernn.config import Config, load_config, to_yaml
from sinernn.data.files import File
from sinernn.data.frames import temporary_npz, to_columns, to_npz
from sinernn.engines import Engine, EngineChoice
from sinernn.engines.fused.linearization import orbit_kernels
from sinernn.errors import InterruptedRunError, UsageError, command_line
from sinernn.interrupts import Stopped, StopSignals
from sinernn.observers import Observer, Observers, Summary
from sinernn.plotting_import import preloading
from sinernn.preparation import Experiment, data_facts, prepare, with_data_path
from sinernn.progress import training_progress
from sinernn.refine.records import RefineRecord
from sinernn.resuming import resumed_config
from sinernn.runs import DATA, Run
from sinernn.runs.checkpoints import Checkpoint, checkpoint_bytes
from sinernn.runs.directory import create_run, open_run
from sinernn.runs.facts import DataFacts, Origin, Resumption, RunFacts
from sinernn.runs.files import to_json
from sinernn.training import Record, check_last_loss, learning_rates, run_updates

START = "start"
"""Name of the checkpoint that a run with another run's weights starts from."""


def train(
    config: Config | Path | str | Mapping[str, Any],
    *,
    data: Any = None,
    runs_dir: Path | str = "runs",
    start_from: Run | Path | str | Checkpoint | None = None,
    figures: bool = True,
    progress: bool | None = None,
    observers: Sequence[Observer] = (),
    publish_latest: bool = True,
) -> Summary:
    """Train a network in a new run directory, evaluate it and draw it.

    Args:
        config: The experiment, or what `load_config` reads one from.
        data: A series to train on, of which the run keeps a copy: a numpy array, a mapping of
            arrays, or a pandas or polars frame. `signal: {kind: file}` then describes it, without a
            path.
        runs_dir: Folder in which the run directory is made.
        start_from: A run whose best weights to start from, or its checkpoint; default: random
            initial weights.
        figures: Whether to draw the overview; `plot` draws the rest.
        progress: Whether to show progress; default: in notebooks alone.
        observers: Receive the events of the training.
        publish_latest: Whether to point `latest` in `runs_dir` to the run.

    Raises:
        SinernnError: The config is wrong, the device is absent, a file cannot be written, training
            diverged or was interrupted by a signal. Files saved before that are kept.

    Example:
        >>> summary = sinernn.train("tiny.yaml", figures=False)
        >>> summary.facts.status
        'finished'
    """
    config = (config if isinstance(config, Config) else load_config(config)).named()
    copy = None if data is None else to_npz(to_columns(data))
    with _data_file(config, copy) as config:
        experiment = prepare(config)
        config = experiment.config
        recorded = data_facts(config)
    start, origin = _starting_checkpoint(experiment, start_from, runs_dir)
    choice = experiment.choose_engine()
    engine = engines.build(choice, experiment.network, start.state, experiment.objective)
    config = config.model_copy(update=asdict(choice))
    resolved = config if copy is None else with_data_path(config, DATA)  # next to it
    facts = _facts(experiment, choice, origin, recorded, resolved)
    files = {
        **({} if copy is None else {DATA: copy}),
        "config.yaml": _content(resolved),
        "run.json": to_json(facts.model_dump()).encode(),
    }
    if origin is not None:
        files[f"checkpoints/{START}.safetensors"] = checkpoint_bytes(start)
    with training_progress(config, observers, progress) as observed, StopSignals() as stop:
        run = create_run(
            Path(runs_dir),
            config.name,
            now=datetime.now(UTC),
            files=files,
            publish_latest=publish_latest,
        )
        with run.held():
            if copy is not None:
                config = with_data_path(config, str(run.data_path))
            experiment = replace(experiment, config=config)
            checkpointer = Checkpointer(run, experiment, engine, Position(start, []), facts)
            return _run_to_the_end(checkpointer, observed, stop, figures=figures)


def resume(
    run: Run | Path | str,
    overrides: Sequence[str] = (),
    *,
    runs_dir: Path | str = "runs",
    figures: bool = True,
    progress: bool | None = None,
    observers: Sequence[Observer] = (),
) -> Summary:
    """Continue a run from its last checkpoint, with the same bits as an uninterrupted run.

    A finished run is evaluated and drawn again, as at the end of its training.

    Args:
        run: The run: itself, its folder, its name in `runs_dir`, or `latest`.
        overrides: `training.steps=N`, to train for more steps than the run's config has;
            `signal.path=FILE`, if its data file is elsewhere; `device=NAME`, if the one it began on
            is not there: the bits are then that device's.
        runs_dir: Folder of the run directories.
        figures: See `train`.
        progress: See `train`.
        observers: See `train`; they receive no events of a finished run.

    Raises:
        SinernnError: As in `train`; and if the run diverged, another process is training it, its
            files are damaged, or an override would make it a different run.

    Example:
        >>> sinernn.resume("latest", figures=False).facts.status
        'finished'
    """
    run = open_run(run, runs_dir=runs_dir)
    with StopSignals() as stop, run.held():
        facts = run.read_facts()
        config = resumed_config(run, facts, overrides)
        experiment = prepare(config)
        start, _ = _starting_checkpoint(experiment, recorded_start(run, facts), runs_dir)
        position = find_position(experiment, run, start)
        choice = experiment.choose_engine()
        state, device_before = position.checkpoint.state, facts.device
        copied = isinstance(config.signal, File) and config.signal.file == run.data_path
        resolved = with_data_path(config, DATA) if copied else config
        facts = facts.model_copy(
            update={
                **asdict(choice),
                "name": config.name,
                "settings": resolved.flat(),
                "steps": config.training.steps,
                "updates": state.updates,
                "refine_iterations": state.refine.step if state.refine else 0,
            }
        )
        if facts.status == "finished" and position.is_done(config):
            if overrides:  # its data file is elsewhere
                run.write("config.yaml", _content(resolved))
                run.write_facts(facts)
            return _evaluate_and_draw(run, facts, config, stop, figures=figures)
        if position.is_done(config):
            run.save_model(run.best_checkpoint()[1])  # a kill may have come before it
        engine = engines.build(choice, experiment.network, state, experiment.objective)
        run.remove_evaluations()
        plot_run.erase(run)
        run.write("config.yaml", _content(resolved))
        with training_progress(config, observers, progress) as observed:
            facts = _note_resumption(facts, device_before, observed)
            run.write_facts(facts)
            checkpointer = Checkpointer(run, experiment, engine, position, facts)
            return _run_to_the_end(checkpointer, observed, stop, figures=figures)


@contextmanager
def _data_file(config: Config, copy: bytes | None) -> Generator[Config]:
    """Yield the config, with the path of a temporary file if it describes data that was passed.

    Raises:
        UsageError: It describes another series.
    """
    if copy is None:
        yield config
        return
    signal = config.signal
    if not isinstance(signal, File) or signal.path:
        given = "a path" if isinstance(signal, File) else f"kind {signal.kind}"
        raise UsageError(
            f"data: the config's signal must be kind file without a path, got {given}; for example "
            "load_config(..., ['signal.kind=file'])"
        )
    with temporary_npz(copy) as path:
        yield with_data_path(config, str(path))


def _facts(
    experiment: Experiment,
    choice: EngineChoice,
    origin: Origin | None,
    data: DataFacts | None,
    resolved: Config,
) -> RunFacts:
    """Return the facts of a run before its first update."""
    return RunFacts(
        name=experiment.config.name,
        status="running",
        seed=experiment.config.seed,
        start=origin,
        data=data,
        settings=resolved.flat(),
        parameters=experiment.network.parameter_count,
        steps=experiment.config.training.steps,
        started=now(),
        **asdict(choice),
        **provenance.environment().model_dump(),
    )


def _note_resumption(
    facts: RunFacts, device_before: str, observers: Observers[Observer]
) -> RunFacts:
    """Record that a run is resumed, and report differences in the environment."""
    changed = provenance.differences(facts, provenance.environment())
    if facts.device != device_before:
        changed = {"device": (device_before, facts.device), **changed}
    for name, (then, found) in changed.items():
        observers.notify(
            Observer.remark, f"{name} was {then} and is {found}: the results may differ"
        )
    resumed = [*facts.resumed, Resumption(at=now(), changed=changed)]
    return facts.model_copy(update={"status": "running", "ended": None, "resumed": resumed})


def _starting_checkpoint(
    experiment: Experiment, given: Run | Path | str | Checkpoint | None, runs_dir: Path | str
) -> tuple[Checkpoint, Origin | None]:
    """Return the state before the first update, and the origin of its weights if not random."""
    network, config = experiment.network, experiment.config
    state = network.initial_state(config.seed, batch_size=config.windows.batch_size)
    start = Checkpoint(network, state, experiment.scale)
    if given is None:
        return start, None
    source, name = None, START
    if not isinstance(given, Checkpoint):
        run = open_run(given, runs_dir=runs_dir)
        name, given = run.best_checkpoint()
        source = str(run.path)
    if wrong := given.network.differences(network):
        differences = [
            f"{name} is {there} there and {here} here" for name, (there, here) in wrong.items()
        ]
        raise UsageError(
            f"{source or 'the checkpoint'}: contains a different network: "
            f"{', '.join(differences)}; change model and signal to match it"
        )
    params = {name: value.astype(network.dtype) for name, value in given.state.params.items()}
    origin = Origin(run=source, checkpoint=name, updates=given.state.updates)
    return replace(start, state=replace(state, params=params)), origin


def recorded_start(run: Run, facts: RunFacts) -> Checkpoint | None:
    """Return the checkpoint that a run started from; None if it started from random weights.

    Raises:
        RunFileError: It is missing or damaged.
    """
    return run.load_checkpoint(START) if facts.start else None


def _run_to_the_end(
    checkpointer: Checkpointer, observers: Observers[Observer], stop: StopSignals, *, figures: bool
) -> Summary:
    """Finish the training of a run that this process holds, evaluate it and draw it."""
    run, experiment, engine = checkpointer.run, checkpointer.experiment, checkpointer.engine
    importing = preloading() if figures else nullcontext()
    try:
        with checkpointer.closing(), importing:
            observers.notify(Observer.start, run, checkpointer.facts)
            _compile(experiment, engine, observers)
            for record in _records(checkpointer):
                is_stopping = stop.signal_number is not None  # read once: it may change at any time
                checkpointer.save(record, at_once=is_stopping)
                observers.notify(Observer.record, record, partial(checkpointer.weights, record))
                if is_stopping and (place := place_in_training(record, experiment.config)):
                    raise _interrupted(run, place, stop)
            check_last_loss(
                checkpointer.position.rows,
                of_zero=float(np.square(experiment.objective.samples, dtype=np.float64).mean()),
                of_first=partial(_first_loss, checkpointer),
            )
        facts, config = checkpointer.facts, checkpointer.experiment.config
        summary = _evaluate_and_draw(run, facts, config, stop, figures=figures)
        observers.notify(Observer.finish, summary)
    except BaseException as error:
        observers.notify(Observer.fail, error)
        raise
    return summary


def _first_loss(checkpointer: Checkpointer) -> float:
    """Return the loss of a run's first update, which is done again."""
    experiment, facts = checkpointer.experiment, checkpointer.facts
    start, _ = _starting_checkpoint(experiment, recorded_start(checkpointer.run, facts), "")
    choice = EngineChoice(facts.engine, facts.device)
    engine = engines.build(choice, experiment.network, start.state, experiment.objective)
    windows, rates = experiment.plan(0, 1), learning_rates(experiment.config.training, 0, 1)
    return float(engine.advance(windows.starts, windows.resets, rates)[0])


def _records(checkpointer: Checkpointer) -> Iterator[Record | RefineRecord]:
    """Run the remaining updates, then the refinement of the best network."""
    run, experiment, engine = checkpointer.run, checkpointer.experiment, checkpointer.engine
    config, network, series = experiment.config, experiment.network, experiment.series
    scale, last = experiment.scale, checkpointer.position.checkpoint
    yield from run_updates(
        engine,
        experiment.plan,
        config.training,
        evaluate=lambda: forecasting.validation_rmse(config, series, scale, engine),
        losses=last.losses,
        kept=checkpointer.snapshots.plan.updates,
    )
    if config.refine is None:
        return
    from sinernn.refine import loop

    training = series.cut(series.observed, experiment.parts.train)
    origins, steps = config.refine.origins, config.refine.climate_steps
    horizon = config.refine.forecast_steps
    selecting = (config, series, scale, network)
    yield from loop.refine(
        last.state.refine or loop.start(run.best_checkpoint()[1].state.params, network),
        [scale.apply(part) for part in training],
        network=network,
        stages=config.refine.stages,
        seed=config.seed,
        measure=forecasting.validation_measure(*selecting, origins=origins, horizon=horizon),
        keeps_climate=forecasting.climate_check(*selecting, origins=origins, steps=steps),
    )


def _compile(experiment: Experiment, engine: Engine, observers: Observers[Observer]) -> None:
    """Compile the kernels that are not compiled yet, before any time is measured."""
    calls = engine.kernel_calls()
    if experiment.config.refine is not None:
        from sinernn.refine.problem import kernel_calls

        calls += kernel_calls(experiment.network)
    calls += orbit_kernels(experiment.network)  # of the evaluation
    if missing := compilation.missing(calls):
        observers.notify(Observer.compiling)
        compilation.compile_kernels(experiment.network, missing)
        observers.notify(Observer.compiled)


def _evaluate_and_draw(
    run: Run, facts: RunFacts, config: Config, stop: StopSignals, *, figures: bool
) -> Summary:
    """Evaluate and draw a run that this process holds, so that no other trains it meanwhile."""
    try:
        with stop.obeyed_at_once():
            evaluation = evaluating.compute_evaluation(run, config=config)
            evaluation.write(run)
            drawn = plot_run.plot(run, names=["overview"], config=config) if figures else []
    except Stopped:
        raise _interrupted(run, "when training was done", stop) from None
    return Summary(run, facts, evaluation.scores, drawn)


def _interrupted(run: Run, place: str, stop: StopSignals) -> InterruptedRunError:
    """Return the error of a run that a signal ends, with the command to continue."""
    message = f"interrupted {place}; continue with: {command_line('resume', run.path)}"
    return InterruptedRunError(message, signal_number=stop.signal_number or 0)


def _content(resolved: Config) -> bytes:
    """Return the content of config.yaml."""
    return ("# Resolved: training it again gives the same bits.\n" + to_yaml(resolved)).encode()
