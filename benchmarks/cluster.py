"""Measure what the driver of a sweep on a Ray cluster does for each run.

Prints a Markdown table. Nodes of a cluster on this machine answer each task at once, with files of
a run that was trained before, so the driver is all that is measured: it makes a task, submits it,
takes the files, writes them, flushes them to the disk and renames their folder.

    python benchmarks/cluster.py
"""

import pickle
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import typer

from sinernn import provenance
from sinernn.config import load_config
from sinernn.runs.files import read_tree
from sinernn.sweeps import ray_executor
from sinernn.sweeps.driver import sweep
from sinernn.sweeps.ray_executor import connected_to_ray
from sinernn.sweeps.results import RunResult
from sinernn.sweeps.worker import Task, train_task

CONFIGS = Path(__file__).parents[1] / "configs"


def replaying(result: RunResult, files: dict[str, bytes]) -> Callable[..., Any]:
    """Return a task that answers with a run that was trained before."""

    def replay(task: Task, *_: object) -> tuple[RunResult, dict[str, bytes]]:
        update = {"run": task.run, "point": task.point}
        return result.model_copy(update=update), files

    return replay


def measure(name: str, runs: int, address: str, folder: Path) -> None:
    """Print the row of a config."""
    source = CONFIGS / f"{name}.yaml"
    task = Task(f"{name}-0", "", load_config(source).model_dump(mode="json"), {})
    result = train_task(task, folder / name)
    files = read_tree(folder / name)
    sent = len(pickle.dumps((task, ray_executor._versions())))
    received = sum(map(len, files.values()))
    with (
        connected_to_ray(address) as connected,
        patch.object(ray_executor, "_train_on_node", replaying(result, files)),
    ):
        run_all = partial(sweep, source, runs_dir=folder / f"{name}-sweeps", figures=False)
        run_all(["seeds=20"], executor=connected)  # starts processes
        began, used = time.perf_counter(), time.process_time()
        run_all([f"seeds={runs}"], executor=connected)
        seconds, used = time.perf_counter() - began, time.process_time() - used
        executor, own = connected(folder), time.process_time()
        with executor:
            for _ in executor.train(
                Task(f"{name}-{run}", "", task.config, {}) for run in range(runs)
            ):
                pass
        own = time.process_time() - own
    print(
        f"| {name}.yaml | {sent / 1000:.1f} | {received / 1000:.0f} | {1000 * used / runs:.1f} "
        f"| {1000 * own / runs:.1f} | {1000 * seconds / runs:.1f} |",
        flush=True,
    )


def main(
    runs: Annotated[int, typer.Option(help="Runs of each config.", min=1)] = 500,
    configs: Annotated[str, typer.Option(help="Shipped configs.")] = "tiny,default",
) -> None:
    """Print the table."""
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 200_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **memory})
    print(f"{provenance.environment().processor}\n")
    print("| config | kB out | kB back | processor ms | of which Ray and files | ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in configs.split(","):
                measure(name, runs, cluster.address, Path(folder))
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    typer.run(main)
