"""Time the refinement of the shipped configs on one thread and on two.

Prints a Markdown table: wall times of the refinement alone, with the forecasts that choose a
result, as medians of rounds in turn; their ratio; and whether both gave the same bits.

    python benchmarks/refinement.py
    python benchmarks/refinement.py --rounds 5 --config default
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from sinernn import cores, experiment
from sinernn.config import Config, load_config
from sinernn.model.network import Params
from sinernn.observers import Observer
from sinernn.refine.records import RefineRecord
from sinernn.training import Record

CONFIGS = Path(__file__).parents[1] / "configs"
SHARES = {"default": 1, "noisy": 0.25, "two_tones": 0.25, "mackey_glass": 0.1, "lorenz": 0.1}
"""How many of the iterations of each stage are run: at least one."""


class Clock(Observer):
    """Measures the refinement, and keeps the parameters that it ends with."""

    began = ended = 0.0
    theta = np.empty(0)

    def record(self, record: Record | RefineRecord, weights: Callable[[], Params]) -> None:
        """Take the time of the first record and of the last so far."""
        if isinstance(record, RefineRecord):
            self.ended = time.perf_counter()
            if record.iteration < 0:
                self.began = self.ended
            self.theta = record.state.theta


def shortened(config: Config, share: float) -> Config:
    """Return the config with a share of each stage's iterations."""
    settings = config.model_dump(mode="json")
    for stage in settings["refine"]["stages"]:
        least = max(stage["redraw_every"] or 1, stage["measure_every"] or 1)
        stage["iterations"] = max(least, round(share * stage["iterations"]))
    return Config.model_validate(settings)


def refined(config: Config, threads: int, folder: str) -> Clock:
    """Train with so many threads."""
    clock = Clock()
    cores.use_at_most(threads)
    experiment.train(config, runs_dir=folder, figures=False, observers=[clock])
    return clock


def main(
    config: Annotated[list[str] | None, typer.Option(help="Configs; default: five.")] = None,
    rounds: Annotated[int, typer.Option(help="Repetitions.", min=1)] = 3,
    seed: Annotated[int, typer.Option(help="Seed.", min=0)] = 0,
) -> None:
    """Print the table."""
    print(
        "| config | one thread, s | two, s | ratio | same bits |\n| --- | --- | --- | --- | --- |"
    )
    for name in config or SHARES:
        loaded = load_config(CONFIGS / f"{name}.yaml", [f"seed={seed}", "device=cpu"])
        short = shortened(loaded, SHARES.get(name, 1))
        clocks: dict[int, list[Clock]] = {1: [], 2: []}
        with tempfile.TemporaryDirectory() as folder:
            refined(short, 2, folder)  # compiles kernels
            for _ in range(rounds):
                for threads, measured in clocks.items():
                    measured.append(refined(short, threads, folder))
        one, two = (
            statistics.median(each.ended - each.began for each in measured)
            for measured in clocks.values()
        )
        same = all(np.array_equal(each.theta, clocks[1][0].theta) for each in clocks[2])
        row = name, f"{one:.2f}", f"{two:.2f}", f"{two / one:.2f}", "yes" if same else "no"
        print("|", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    typer.run(main)
