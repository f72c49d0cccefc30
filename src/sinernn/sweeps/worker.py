"""Train runs of a sweep, one after the other, in a process that has everything loaded.

It reads a task from each line of standard input and answers with a line on standard output; when
the input ends, as when the driver is killed, it ends at once.
"""

import json
import os
import queue
import signal
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from sinernn import cores, evaluating, experiment, provenance
from sinernn.checkpointing import now
from sinernn.config import Config, load_config, to_yaml
from sinernn.errors import (
    InterruptedRunError,
    SinernnError,
    TrainingDivergedError,
    printable,
)
from sinernn.evaluation.metrics import errors_by_horizon, finite, rmse, valid_steps
from sinernn.forecasting import forecast, place_origins, ready_engine
from sinernn.interrupts import STOP_SIGNALS
from sinernn.preparation import training_std, training_unit
from sinernn.runs import Run
from sinernn.runs.facts import RESULT, RunFacts
from sinernn.runs.files import to_json, unflushed
from sinernn.sweeps.results import RunResult, reported
from sinernn.sweeps.settings import Metric


@dataclass(frozen=True)
class Task:
    """A run to train."""

    run: str
    """Name of its folder in the sweep's."""

    point: str
    """What its point differs in from others."""

    config: dict[str, Any]
    metric: dict[str, Any]


def train_task(task: Task, folder: Path) -> RunResult:
    """Train a run in a folder that is made for it, and leave its result in its run directory.

    Nothing is flushed to the disk, and figures are left to `sinernn plot`.

    Args:
        task: The run.
        folder: Where its run directory is made, with any name.
    """
    config, metric = load_config(task.config), Metric.model_validate(task.metric)
    result = RunResult(run=task.run, point=task.point, seed=config.seed)
    update: dict[str, Any] = {}
    with unflushed():
        try:
            summary = experiment.train(
                config, runs_dir=folder, figures=False, progress=False, publish_latest=False
            )
            scores = summary.scores
            update = {
                "status": "finished",
                "metric": measure(summary.run, config, metric),
                "part": scores.part,
                "scores": reported(scores),
            }
        except TrainingDivergedError as error:
            cause = error.__cause__ or error  # without the folder's name
            update = {"status": "diverged", "reason": str(cause)}
        except InterruptedRunError:  # somebody ends this process: the run is tried again
            raise
        except Exception as error:  # of one run, which must not end the others
            cause = error if isinstance(error, SinernnError) else f"{type(error).__name__}: {error}"
            update = {"status": "failed", "reason": printable(str(cause), 1000)}
        result = result.model_copy(update=update)
        write_result(folder, config, result)
    return result


def write_result(folder: Path, config: Config, result: RunResult) -> None:
    """Write a result to the run directory in a folder, which is made for a run that began none."""
    made = next((path for path in folder.glob("[!.]*") if (path / "run.json").exists()), None)
    run = Run(made or folder / result.run)
    if made is None:
        run.path.mkdir(parents=True, exist_ok=True)
        facts = RunFacts(
            name=config.name,
            status=result.status,
            seed=config.seed,
            steps=config.training.steps,
            started=now(),
            ended=now(),
            **provenance.environment().model_dump(),
        )
        run.write("config.yaml", to_yaml(config).encode())
        run.write_facts(facts)
    run.write(RESULT, to_json(result.model_dump()).encode())


def measure(run: Run, config: Config, metric: Metric) -> float | None:
    """Return the metric of a run's best network, on observed samples; None if it is not finite."""
    part, series = metric.part or "validation", config.signal.read()
    checkpoint = run.best_checkpoint()[1]
    engine = ready_engine(config, checkpoint)
    limits = {} if metric.horizon is None else {"horizon": metric.horizon}
    # The part of an evaluation is that of its report, which never is the validation part.
    settings = config.evaluation.model_copy(update={"part": part, **limits})
    config = config.model_copy(update={"evaluation": settings})
    if metric.name == "open_loop_rmse":
        steps = evaluating.predict_one_step(config, engine, series, checkpoint)
        unit = training_unit(config, series)
        errors = [((each.prediction - each.observed) / unit).ravel() for each in steps]
        return finite(rmse(np.concatenate(errors)))
    _, rows = place_origins(config, series, part)
    forecasts = forecast(config, series, checkpoint.scale, engine, rows)
    forecasts = replace(forecasts, truth=forecasts.observed)
    if metric.name == "closed_loop_rmse":
        return finite(errors_by_horizon(forecasts.errors)[-1].median)
    spread = rmse(training_std(config, series) / forecasts.unit)
    limit = config.evaluation.valid_threshold * spread
    steps = np.minimum(valid_steps(forecasts.errors, limit=limit), forecasts.steps)
    return float(np.sort(steps)[(len(steps) - 1) // 2])


def serve_in_fork(requests: int, answers: int, errors: int) -> None:
    """Serve in a fork of the driver, with these files as the standard ones."""
    os.setsid()  # Ctrl-C reaches only the driver
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    for standard, file in enumerate((requests, answers, errors)):
        os.dup2(file, standard)
    # The driver's lock and its pipes would stay open after its death. Their numbers stay in use:
    # the objects that they belong to here may still close them.
    nothing = os.open(os.devnull, os.O_RDWR)
    for file in {int(each.name) for each in Path("/proc/self/fd").iterdir()} - {0, 1, 2}:
        os.dup2(nothing, file)
    serve()


def serve() -> None:
    """Train the tasks on standard input."""
    requests = os.fdopen(os.dup(0))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    settings = json.loads(requests.readline())
    cores.use_at_most(settings["cores"])
    provenance.keep_repository()
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, tasks), daemon=True).start()
    while True:
        request = json.loads(tasks.get())
        result = train_task(Task(**request["task"]), Path(request["folder"]))
        print(json.dumps(result.model_dump()), file=answers)


def _read(requests: TextIO, tasks: "queue.SimpleQueue[str]") -> None:
    """Pass on lines; without a driver nobody waits for what is trained."""
    for line in requests:
        tasks.put(line)
    os._exit(0)


if __name__ == "__main__":
    serve()
