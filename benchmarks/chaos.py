"""Compare forecasts of chaotic series with published ones, by the protocols of their papers.

    python benchmarks/chaos.py gauthier
    python benchmarks/chaos.py mandal jaeger --jobs 8 --peers      (with the extra: '.[peers]')
    python benchmarks/chaos.py gilpin --data FOLDER

Prints a Markdown table for each series. Our recipes are in benchmarks/published, the protocols with
their sources in protocols.py:

mandal    Lorenz, from 50 000 samples: how long forecasts are valid
gauthier  Lorenz, from 400 samples: the error over a Lyapunov time
jaeger    Mackey-Glass, delays 17 and 30: the error 84 steps ahead
gilpin    131 systems, from 150 samples: the error over 29 steps. FOLDER contains three files of
          github.com/williamgilpin/dysts, compressed by gzip: train_ and
          test_univariate__pts_per_period_15__periods_12.json of dysts/data, and results_test_... of
          benchmarks/results

A method's score of a seed summarises all of its forecasts as the paper does; the table has median,
mean and worst of these over the seeds, and the worst single forecast. Times are processor times of
the training for all tasks of a seed, with compiled kernels, on one core. --peers runs other methods
as well: the next generation reservoir of Gauthier et al., the most similar stretch of the series
(analogue), and an echo state network of reservoirpy with 500 units and the best of 24 settings on
the last fifth of the training samples.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from peers import NOISE_FREE_SETTINGS, WITHOUT_SEEDS, echo_state_network
from protocols import TABLES, Protocol, Task
from quality import Clock
from sinernn import experiment
from sinernn.config import load_config
from sinernn.cores import usable_cores
from sinernn.data.files import File
from sinernn.data.windows import fit_scale
from sinernn.ensemble import Ensemble

OURS = "**ours**"


@dataclass(frozen=True)
class Result:
    """The scores of a method's forecasts of a task."""

    protocol: str
    method: str
    task: str
    seed: int
    scores: list[float]
    parameters: int
    """Fitted numbers."""

    seconds: float
    """Processor time of the training."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What was computed."""
        return self.protocol, self.method, self.task, self.seed

    @property
    def line(self) -> str:
        """The result as a line of a file."""
        return json.dumps(asdict(self)) + "\n"


def ours(protocol: Protocol, task: Task, seed: int) -> Iterator[Result]:
    """Train the networks of a seed, and yield the scores of the median of their forecasts."""
    clock, seconds, runs = Clock(), 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        for member in range(protocol.members):
            settings = [f"seed={seed * protocol.members + member}", "device=cpu"]
            config = load_config(protocol.config, settings)
            data = task.training[0] if isinstance(config.signal, File) else None
            summary = experiment.train(
                config, data=data, runs_dir=folder, figures=False, observers=[clock]
            )
            runs.append(summary.run)
            seconds += clock.now - clock.began
        origins, steps, _ = task.truth.shape
        found = Ensemble(runs).free_runs(task.warmups, np.empty((origins, steps, 0)), steps)
    parameters = protocol.members * summary.facts.parameters
    scores = task.score(np.median(found, axis=0), task.truth).tolist()
    yield Result(protocol.name, OURS, task.name, seed, scores, parameters, seconds)


def peer(protocol: Protocol, task: Task, method: str, seeds: int) -> Iterator[Result]:
    """Yield the scores of another method, for each seed if it draws random numbers."""
    channels, steps = task.truth.shape[1:][::-1]
    if method in WITHOUT_SEEDS:
        (training,), clock = task.training, Clock()
        clock.start()
        forecast, parameters = WITHOUT_SEEDS[method](training)
        clock.record()
        scores = task.score(forecast(task.warmups, steps), task.truth).tolist()
        taken = clock.now - clock.began
        yield Result(protocol.name, method, task.name, 0, scores, parameters, taken)
        return
    scale = fit_scale(task.training[0])
    series = scale.apply(task.training[0])
    begin = round(0.8 * len(series))
    washout, ahead = min(100, begin // 4), min(steps, (len(series) - begin) // 2)
    origins = np.linspace(begin, len(series) - ahead, 20).astype(int)
    rows = series[origins[:, None] + np.arange(-washout, ahead)]
    networks = echo_state_network(
        [series[:begin]], (rows[:, :washout], rows[:, washout:]), range(seeds), washout=washout,
        settings=NOISE_FREE_SETTINGS, bias=0.2, input_connectivity=1.0, refitted=[series],
    )  # fmt: skip
    for seed, (forecaster, seconds) in enumerate(networks):
        with np.errstate(all="ignore"):  # of a diverging forecast
            found = scale.invert(forecaster(scale.apply(task.warmups), steps))
            scores = task.score(found, task.truth).tolist()
        yield Result(protocol.name, method, task.name, seed, scores, 501 * channels, seconds)


def print_table(protocol: Protocol, results: list[Result]) -> None:
    """Print the rows of a protocol: published scores, then those of our runs of each method."""
    print(f"\n{protocol.name}\n")
    print("| method | parameters | published | median | mean | worst | worst forecast | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, score in protocol.published.items():
        print(f"| {name} | | {score:.3g} | | | | | |")
    worst = min if protocol.higher_is_better else max
    for method in dict.fromkeys(result.method for result in results):
        found = [result for result in results if result.method == method]
        by_seed = [
            [result for result in found if result.seed == seed]
            for seed in sorted({result.seed for result in found})
        ]
        summaries = [
            protocol.summary(np.concatenate([each.scores for each in seed])) for seed in by_seed
        ]
        seconds = np.median([sum(each.seconds for each in seed) for seed in by_seed])
        single = worst(score for each in found for score in each.scores)
        numbers = [np.median(summaries), np.mean(summaries), worst(summaries), single, seconds]
        cells = [method, found[0].parameters, "", *(f"{number:.3g}" for number in numbers)]
        print("|", " | ".join(map(str, cells)), "|", flush=True)


def pin(cores: Any) -> None:
    """Restrict this process to a core of its own."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {cores.get()})


def compute(function: Callable[..., Iterator[Result]], *arguments: Any) -> list[Result]:
    """Return what a function yields."""
    return list(function(*arguments))


def main(
    tables: Annotated[list[str], typer.Argument(help=f"Any of {', '.join(TABLES)}.")],
    seeds: Annotated[int, typer.Option(help="How many seeds.", min=1)] = 5,
    first: Annotated[int, typer.Option(help="The first seed.", min=0)] = 0,
    data: Annotated[Path | None, typer.Option(help="Folder of the series of gilpin.")] = None,
    peers: Annotated[bool, typer.Option(help="Run other methods as well.")] = False,
    jobs: Annotated[
        int | None, typer.Option(help="Processes; default: one for each core.", min=1)
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="File to which results are added; those in it are not computed again."),
    ] = None,
) -> None:
    """Print the tables."""
    if unknown := set(tables) - set(TABLES):
        raise typer.BadParameter(f"no table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    try:
        protocols = [protocol for table in tables for protocol in TABLES[table](data)]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    found = read_results(results)
    if found and results:  # without a last line that was cut
        results.write_text("".join(each.line for each in found.values()), encoding="utf-8")
    units: list[tuple[Any, ...]] = []
    for protocol in protocols:
        for task in protocol.tasks:
            for seed in range(first, first + seeds):
                if (protocol.name, OURS, task.name, seed) not in found:
                    units.append((ours, protocol.alone, task, seed))
        for method in protocol.peers if peers else ():
            for task in protocol.peer_tasks or protocol.tasks:
                if (protocol.name, method, task.name, 0) not in found:
                    units.append((peer, protocol.alone, task, method, seeds))
    context = get_context("spawn")
    cores, jobs = context.Queue(), jobs or usable_cores()
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    for job in range(jobs):
        cores.put(usable[job % len(usable)])
    with ProcessPoolExecutor(jobs, context, pin, (cores,)) as pool:
        futures = [pool.submit(compute, *unit) for unit in units]
        for done, future in enumerate(as_completed(futures), start=1):
            for result in future.result():
                found[result.key] = result
                if results:
                    with results.open("a", encoding="utf-8") as file:
                        file.write(result.line)
            print(f"{done} of {len(units)} done", file=sys.stderr, flush=True)
    for protocol in protocols:
        print_table(protocol, [each for each in found.values() if each.protocol == protocol.name])


def read_results(path: Path | None) -> dict[tuple[str, str, str, int], Result]:
    """Return the results that a file contains; none if it is not there yet."""
    if path is None or not path.exists():
        return {}
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    results = [Result(**json.loads(line)) for line in whole]
    return {result.key: result for result in results}


if __name__ == "__main__":
    typer.run(main)
