"""Sweeps in this process, and what of them is compared."""

import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from sinernn.sweeps.executor import Trained
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


def contents(sweep: Path) -> dict[str, bytes]:
    """Return what two sweeps with equal results have in common: the tables, and files of runs."""
    names = ["results.csv", "points.csv"]
    names += [f"{run.name}/{name}" for run in sweep.glob("[!.]*/") for name in COMPARED]
    return {name: (sweep / name).read_bytes() for name in names if (sweep / name).exists()}
