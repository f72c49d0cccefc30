"""Sweeps in this process, and what of them is compared."""

import json
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from sinernn.runs import Run
from sinernn.runs.facts import RESULT
from sinernn.runs.files import to_json
from sinernn.sweeps.executor import Trained
from sinernn.sweeps.results import RunResult
from sinernn.sweeps.worker import Task, train_task
from sinernn.verification import COMPARED

FEW = ("refine=null", "training.steps=4", "training.log_every=2", "training.evaluate_every=2",
       "training.checkpoint_every=4", "evaluation.attractor_steps=10", "dtype=float32")  # fmt: skip
"""Settings of tiny.yaml with which a run takes milliseconds."""


class InProcess:
    """An executor that trains one run after the other, here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trained: list[str] = []

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *_: object) -> None: ...

    def train(self, tasks: Iterable[Task]) -> Iterator[Trained]:
        for task in tasks:
            folder = self.folder / f".{task.run}.{secrets.token_hex(4)}"
            yield Trained(task, train_task(task, folder), folder)
            self.trained.append(task.run)


class Quick(InProcess):
    """An executor whose runs take no time: what they leave depends on their config alone."""

    def train(self, tasks: Iterable[Task]) -> Iterator[Trained]:
        for task in tasks:
            seed, units = task.config["seed"], task.config["model"]["hidden_size"]
            result = RunResult(
                run=task.run, point=task.point, seed=seed, status="finished",
                metric=units + 0.1 * ((3 * seed + 2) % 5),
            )  # fmt: skip
            if seed in self.failing:
                result = result.model_copy(update={"status": "failed", "metric": None})
            folder = self.folder / f".{task.run}.{secrets.token_hex(4)}"
            run = Run(folder / "made")
            run.path.mkdir(parents=True)
            for name in (*COMPARED, "config.yaml", "run.json", "evaluation.json"):
                run.write(name, json.dumps(task.config).encode())
            run.write(RESULT, to_json(result.model_dump()).encode())
            yield Trained(task, result, folder)
            self.trained.append(task.run)

    failing: frozenset[int] = frozenset()
    """Seeds whose runs fail."""


class Failing(Quick):
    """An executor whose runs of seed 1 fail, as without memory."""

    failing = frozenset({1})


class Stopping(Quick):
    """An executor that ends after so many runs, as a kill does."""

    count = 2

    def train(self, tasks: Iterable[Task]) -> Iterator[Trained]:
        for number, trained in enumerate(super().train(tasks)):
            if number == self.count:
                raise KeyboardInterrupt
            yield trained


def contents(sweep: Path) -> dict[str, bytes]:
    """Return what two sweeps with equal results have in common: the tables, and files of runs."""
    names = ["results.csv", "points.csv"]
    names += [f"{run.name}/{name}" for run in sweep.glob("[!.]*/") for name in COMPARED]
    return {name: (sweep / name).read_bytes() for name in names if (sweep / name).exists()}
