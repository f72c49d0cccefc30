"""THE MAIN PATH: prepare an experiment once, train it in a run directory, judge it, draw it.

Read this file first. It and what it calls to prepare, save and judge, alone unpack a config; the
other modules take plain numbers and arrays.
"""

import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sinernn import compilation, drawing, engines, judging, provenance, saving
from sinernn.config import Config, to_yaml
from sinernn.engines import Engine, EngineChoice
from sinernn.errors import (
    RunFileError,
    UsageError,
    command_line,
)
from sinernn.interrupts import Stopped, StopRequest, noting_stop_signals
from sinernn.preparation import Experiment, prepare
from sinernn.refine.records import RefineRecord
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint, checkpoint_bytes
from sinernn.runs.directory import create_run, open_run
from sinernn.runs.files import is_there, to_json
from sinernn.saving import interrupted
from sinernn.standing import Standing, config_to_go_on, find_standing
from sinernn.training import Record

START = "start"
"""The checkpoint of a run that began with another run's weights."""


@dataclass(frozen=True)
class Summary:
    """What a finished training has to tell."""

    run: Run
    facts: dict[str, Any]
    """Content of run.json."""

    scores: dict[str, Any]
    """Content of evaluation.json."""

    figures: list[Path]


@dataclass(frozen=True)
class Watch:
    """Who is told what happens while a network is trained."""

    start: Callable[[Run, EngineChoice, int], None] = lambda _run, _choice, _updates: None
    """Called once the run directory is there, with the updates that are done already."""

    compiling: Callable[[], AbstractContextManager[object]] = nullcontext
    """What it returns is entered while kernels are compiled, if they have to be."""

    remark: Callable[[str], None] = lambda _text: None
    """Called with what may matter to whoever started it."""

    record: Callable[[Record | RefineRecord], None] = lambda _record: None
    """Called with every record of the updates, and of the refinement that follows."""


def train(
    config: Config,
    *,
    runs_dir: Path | str = "runs",
    start_from: Run | Path | str | Checkpoint | None = None,
    figures: bool = True,
    watch: Watch = Watch(),
) -> Summary:
    """Train a network, judge it and draw it, all in a new run directory.

    Args:
        config: The experiment.
        runs_dir: Folder in which the run directory is made.
        start_from: A run whose best network to begin with, or its checkpoint; default: a network
            drawn anew.
        figures: Whether to draw the overview; `plot` draws the rest.
        watch: Who is told of it.

    Raises:
        SinernnError: The device is absent, a file cannot be written, training diverged or was
            interrupted by a signal. What was saved before stays.
    """
    experiment = prepare(config)
    start, origin = _starting_checkpoint(experiment, start_from, runs_dir)
    choice = engines.choose(config.engine, config.device, experiment.network)
    engine = engines.build(choice, experiment.network, start.state, experiment.objective)
    facts = _facts(experiment, choice, origin)
    files = {
        "config.yaml": _resolved(config.model_copy(update=asdict(choice))),
        "run.json": to_json(facts).encode(),
    }
    if origin is not None:
        files[f"checkpoints/{START}.safetensors"] = checkpoint_bytes(start)
    with noting_stop_signals() as stop:
        run = create_run(Path(runs_dir), config.name, now=datetime.now(UTC), files=files)
        with run.held():
            with _importing_drawing(figures):
                _train_in(run, experiment, engine, Standing(start, []), facts, watch, stop)
            return _judge_and_draw(run, facts, figures, stop)


def resume(
    run: Run | Path | str,
    overrides: Sequence[str] = (),
    *,
    runs_dir: Path | str = "runs",
    figures: bool = True,
    watch: Watch = Watch(),
) -> Summary:
    """Go on with a run from its last checkpoint, to the bits of a run that nothing stopped.

    A run that has finished is judged and drawn again, as at the end of its training.

    Args:
        run: The run: itself, its folder, its name in `runs_dir`, or `latest`.
        overrides: `training.steps=N`, to train for longer than the run was meant to.
        runs_dir: Folder of the run directories.
        figures: See `train`.
        watch: See `train`.

    Raises:
        SinernnError: As in `train`; and if the run diverged, another process is training it, its
            files are damaged, or an override would make another run of it.
    """
    run = run if isinstance(run, Run) else open_run(run, runs_dir=runs_dir)
    with noting_stop_signals() as stop, run.held():
        recorded = run.read_facts()
        config = config_to_go_on(run, recorded, overrides)
        experiment = prepare(config)
        start, _ = _starting_checkpoint(experiment, recorded_start(run, recorded), runs_dir)
        standing = find_standing(experiment, run, start)
        choice = engines.choose(config.engine, config.device, experiment.network)
        facts = recorded | asdict(choice) | {"steps": config.training.steps} | standing.counts
        if recorded["status"] != "finished" or not standing.is_done(config):
            state = standing.checkpoint.state
            engine = engines.build(choice, experiment.network, state, experiment.objective)
            run.forget_judgement()
            drawing.erase(run)
            run.write("config.yaml", _resolved(config))
            _note_resumption(facts, watch)
            run.write_json("run.json", facts | {"status": "running", "ended": None})
            with _importing_drawing(figures):
                _train_in(run, experiment, engine, standing, facts, watch, stop)
        return _judge_and_draw(run, facts, figures, stop)


def _facts(
    experiment: Experiment, choice: EngineChoice, origin: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the content of run.json before the first update."""
    return {
        "name": experiment.config.name,
        "status": "running",
        "seed": experiment.config.seed,
        **asdict(choice),
        "start": origin,
        "parameters": experiment.network.parameter_count,
        "steps": experiment.config.training.steps,
        "updates": 0,
        "refine_iterations": 0,
        "started": _now(),
        "resumed": [],
        "ended": None,
        "seconds": None,
        **provenance.environment(),
    }


def _note_resumption(facts: dict[str, Any], watch: Watch) -> None:
    """Write down that a run goes on, and tell what of the environment may change its bits."""
    changed = provenance.differences(facts, facts | provenance.environment())
    for name, (then, now) in changed.items():
        watch.remark(f"{name} was {then} and is {now}: the bits may come out otherwise")
    facts["resumed"] = [*facts["resumed"], {"at": _now(), "changed": changed}]


def _starting_checkpoint(
    experiment: Experiment, given: Run | Path | str | Checkpoint | None, runs_dir: Path | str
) -> tuple[Checkpoint, dict[str, Any] | None]:
    """Return the state before the first update, and where its weights come from if not drawn."""
    network, config = experiment.network, experiment.config
    state = network.initial_state(config.seed, batch_size=config.windows.batch_size)
    start = Checkpoint(network, state, experiment.scale, np.empty(0), None)
    if given is None:
        return start, None
    origin: dict[str, Any] = {"run": None, "checkpoint": START}
    if not isinstance(given, Checkpoint):
        run = given if isinstance(given, Run) else open_run(given, runs_dir=runs_dir)
        name, given = run.best_checkpoint()
        origin = {"run": str(run.path), "checkpoint": name}
    there, here = asdict(given.network), asdict(network)
    if wrong := [name for name in here if name != "dtype" and there[name] != here[name]]:
        source = origin["run"] or "the checkpoint"
        differences = [f"{name} is {there[name]} there and {here[name]} here" for name in wrong]
        raise UsageError(
            f"{source}: holds another network: {', '.join(differences)}; "
            "set model and signal to fit it"
        )
    params = {name: value.astype(network.dtype) for name, value in given.state.params.items()}
    return replace(start, state=replace(state, params=params)), {
        **origin,
        "updates": given.state.updates,
    }


def recorded_start(run: Run, facts: Mapping[str, Any]) -> Checkpoint | None:
    """Return what a run started from that began with another run's weights, by its run.json.

    Raises:
        RunFileError: It is missing or damaged.
    """
    return run.load_checkpoint(START) if facts.get("start") else None


def _train_in(
    run: Run,
    experiment: Experiment,
    engine: Engine,
    standing: Standing,
    facts: dict[str, Any],
    watch: Watch,
    stop: StopRequest,
) -> None:
    """Train what is left to train in a run that this process holds, and write down how it went."""
    clock, before = time.perf_counter(), facts["seconds"] or 0.0  # None: it was killed

    def close(status: str) -> None:
        facts["seconds"] = round(before + time.perf_counter() - clock, 3)
        facts["status"], facts["ended"] = status, _now()
        run.write_json("run.json", facts)

    try:
        watch.start(run, EngineChoice(facts["engine"], facts["device"]), facts["updates"])
        _compile(experiment, engine, watch)
        for record in saving.train(experiment, engine, run, standing, stop):
            facts["updates"] = record.step
            watch.record(record)
        for record in saving.refine(experiment, run, standing, engine.state, stop):
            facts["refine_iterations"] = record.step
            watch.record(record)
        run.save_model(run.best_checkpoint()[1])  # a kill may have come before it
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(RunFileError):  # what went wrong first is what matters
            close(getattr(error, "run_status", status))
        if isinstance(error, RunFileError) and is_there(run.path):
            way_out = f"then go on with: {command_line('resume', run.path)}"
            raise RunFileError(f"{error}; mend that, {way_out}") from error
        raise
    close("finished")


@contextmanager
def _importing_drawing(figures: bool) -> Generator[None]:
    """Import what drawing needs while kernels compute, which leave Python's lock to others."""
    interval = sys.getswitchinterval()
    thread = threading.Thread(target=drawing.preload_quietly, name="preload", daemon=True)
    if figures:
        sys.setswitchinterval(1e-4)  # seconds: a kernel returns before the usual 5 ms are over
        thread.start()
    try:
        yield
    finally:
        if figures:
            thread.join()
            sys.setswitchinterval(interval)


def _compile(experiment: Experiment, engine: Engine, watch: Watch) -> None:
    """Compile what is not compiled yet, before any clock runs."""
    calls = engine.kernel_calls()
    if experiment.config.refine is not None:
        from sinernn.refine.problem import kernel_calls

        calls += kernel_calls(experiment.network)
    if missing := compilation.missing(calls):
        with watch.compiling():
            compilation.compile_kernels(experiment.network, missing)


def _judge_and_draw(run: Run, facts: dict[str, Any], figures: bool, stop: StopRequest) -> Summary:
    """Judge and draw a run that this process holds: nobody trains it further meanwhile."""
    try:
        with stop.obeyed_at_once():
            scores = judging.evaluate(run)
            drawn = drawing.plot(run, names=["overview"]) if figures else []
    except Stopped:
        raise interrupted(run, "interrupted when training was done", stop) from None
    return Summary(run, facts, scores, drawn)


def _resolved(config: Config) -> bytes:
    """Return the content of config.yaml."""
    return ("# Resolved: training it again gives the same bits.\n" + to_yaml(config)).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
