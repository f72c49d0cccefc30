"""Measure sweeps: against the bare kernels, per run, and in memory.

Prints Markdown tables. The first compares 64 seeds of the tutorial, trained by two workers with
everything kept but figures, with the kernels alone for the same updates in two threads, whose
windows are drawn before. The second has the time of many points of tiny.yaml; the third the peak
memory of the driver for a config of one update.

    python benchmarks/sweeps.py --memory 100 --memory 10000
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from sinernn import engines, provenance
from sinernn.config import load_config
from sinernn.engines import Engine
from sinernn.preparation import prepare
from sinernn.sweeps.driver import sweep
from sinernn.sweeps.worker import Task, train_task
from sinernn.training import learning_rates

CONFIGS = Path(__file__).parents[1] / "configs"
ONE_UPDATE = (
    "refine=null", "training.steps=1", "training.log_every=1", "training.evaluate_every=null",
    "training.checkpoint_every=null", "evaluation.attractor_steps=10",
)  # fmt: skip

DRIVER = """
import json, resource, sys
from sinernn.sweeps.driver import sweep
table = sweep(sys.argv[1], json.loads(sys.argv[2]), runs_dir=sys.argv[3], figures=False)
print(len(table), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def bare_kernels(seeds: int) -> tuple[float, float]:
    """Return seconds and processor seconds of the kernels of so many trainings, in two threads."""
    jobs: list[tuple[Engine, tuple[object, ...]]] = []
    for seed in range(seeds):
        experiment = prepare(load_config(CONFIGS / "tutorial.yaml", [f"seed={seed}"]))
        config, network = experiment.config, experiment.network
        state = network.initial_state(seed, batch_size=config.windows.batch_size)
        choice = engines.choose(config.engine, config.device, network)
        engine = engines.build(choice, network, state, experiment.objective)
        for kernel, arguments in engine.kernel_calls():
            kernel.prepare(*arguments)
        steps = config.training.steps
        windows = experiment.plan(0, steps)
        rates = learning_rates(config.training, 0, steps)
        jobs.append((engine, (windows.starts, windows.resets, rates)))

    def work(share: list[tuple[Engine, tuple[object, ...]]]) -> None:
        for engine, arguments in share:
            engine.advance(*arguments)

    threads = [threading.Thread(target=work, args=(jobs[each::2],)) for each in range(2)]
    began, used = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, time.process_time() - used


def against_kernels(seeds: int, folder: Path) -> None:
    """Print the time of a sweep as a multiple of that of its kernels."""
    source, settings = CONFIGS / "tutorial.yaml", [f"seeds={seeds}"]
    sweep(source, ["seeds=2"], runs_dir=folder, jobs=2, figures=False)  # compiles kernels
    bare, bare_used = bare_kernels(seeds)
    began, before = time.perf_counter(), os.times()
    sweep(source, settings, runs_dir=folder, jobs=2, figures=False)
    seconds, after = time.perf_counter() - began, os.times()
    used = sum(after[:4]) - sum(before[:4])
    task = Task("x", "x", load_config(source).model_dump(mode="json"), {"part": "train"})
    each: list[float] = []
    for number in range(6):
        start = time.process_time()
        train_task(task, folder / f"one-{number}")
        each.append(time.process_time() - start)
    used_by_run = statistics.median(each[1:])  # the first loads kernels
    print(f"| {seeds} seeds of tutorial.yaml | s | processor s |\n| --- | --- | --- |")
    print(f"| bare kernels, two threads | {bare:.2f} | {bare_used:.2f} |")
    print(f"| sweep, two workers | {seconds:.2f} | {used:.2f} |")
    print(f"| ratio | {seconds / bare:.1f} | {used / bare_used:.1f} |")
    print(f"| of which a run, without the kernels | | {used_by_run - bare_used / seeds:.3f} |")
    print(f"| of which start, flush and publish, by run | | {used / seeds - used_by_run:.3f} |\n")


def many_points(points: int, folder: Path) -> None:
    """Print the time of so many points of tiny.yaml, on all cores."""
    rates = ",".join(f"{0.001 + 0.00001 * number:.5f}" for number in range(points))
    began = time.perf_counter()
    sweep(
        CONFIGS / "tiny.yaml", [f"training.learning_rate={rates}"], runs_dir=folder, figures=False
    )
    print(f"{points} points of tiny.yaml: {time.perf_counter() - began:.1f} s\n")


def driver_memory(points: int, folder: Path) -> None:
    """Print the peak memory of the driver of a sweep of so many points of one update."""
    words = [*ONE_UPDATE, f"seeds={points // 10}", "model.hidden_size=1,2,3,4,5,6,7,8,9,10"]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(CONFIGS / "tiny.yaml"), json.dumps(words), str(folder)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    runs, kib = map(int, done.stdout.split())
    print(f"| {runs} | {kib / 1024:.0f} |", flush=True)


def main(
    seeds: Annotated[int, typer.Option(help="Seeds of the tutorial.", min=2)] = 64,
    points: Annotated[int, typer.Option(help="Points of tiny.yaml.", min=1)] = 1000,
    memory: Annotated[
        list[int] | None, typer.Option(help="Runs whose driver's memory to measure; repeatable.")
    ] = None,
) -> None:
    """Print the tables."""
    print(f"{provenance.environment().processor}, {os.cpu_count()} processors\n")
    with tempfile.TemporaryDirectory() as folder:
        against_kernels(seeds, Path(folder))
        many_points(points, Path(folder))
        if memory:
            print("| runs of one update | MiB of the driver |\n| --- | --- |")
            for count in memory:
                driver_memory(count, Path(folder))


if __name__ == "__main__":
    typer.run(main)
