"""Quality of the shipped recipes over several seeds, all judged on the default config's test part.

Prints a Markdown table of RMSE in signal units: one step ahead, and in closed loop over 49 and
2000 steps after the default's warm-up. Each cell: the median over the seeds (of the median
origin), and the worst origin of the worst seed.

    python benchmarks/quality.py --seeds 10
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from sinernn import experiment
from sinernn.config import load_config

CONFIGS = Path(__file__).parents[1] / "configs"
RECIPES = ("tutorial", "default")
HORIZONS = (49, 2000)


def measure(name: str, seed: int, runs_dir: str) -> dict[str, Any]:
    """Train one recipe with one seed, and judge it on the default's signal."""
    config = load_config(CONFIGS / f"{name}.yaml", [f"seed={seed}", "device=cpu"])
    summary = experiment.train(config, runs_dir=runs_dir, figures=False)
    return experiment.evaluate(summary.run, data=CONFIGS / "default.yaml")


def cells(scores: list[dict[str, Any]]) -> list[str]:
    """Return the row of a recipe from its scores with every seed; a free run may diverge."""
    one_step = [row["open_loop"]["rmse"] for row in scores]
    row = [f"{np.median(one_step):.1e} / {max(one_step):.1e}"]
    for horizon in HORIZONS:
        median, worst = at(scores, horizon, "median"), at(scores, horizon, "worst")
        row.append(f"{np.median(median):.1e} / {worst.max():.1e}")
    return row


def at(scores: list[dict[str, Any]], horizon: int, which: str) -> np.ndarray:
    """Return the closed-loop RMSE of every seed up to a horizon."""
    ladders = [{row["horizon"]: row for row in one["closed_loop_rmse"]} for one in scores]
    values = [ladder[horizon][which] for ladder in ladders]
    return np.array([np.inf if value is None else value for value in values])


def main(
    seeds: Annotated[int, typer.Option(help="How many seeds.", min=1)] = 10,
    first: Annotated[int, typer.Option(help="The first seed.", min=0)] = 0,
) -> None:
    """Print the table."""
    print("| config | one step | 49 steps | 2000 steps |")
    print("| --- | --- | --- | --- |")
    medians: list[float] = []
    with tempfile.TemporaryDirectory() as runs_dir:
        for name in RECIPES:
            scores = [measure(name, seed, runs_dir) for seed in range(first, first + seeds)]
            medians.append(float(np.median(at(scores, HORIZONS[0], "median"))))
            print(f"| {name} | {' | '.join(cells(scores))} |", flush=True)
    print(f"\nAt 49 steps the default is {medians[0] / medians[1]:.0f} times closer.")


if __name__ == "__main__":
    typer.run(main)
