"""Quality of the shipped recipes over several seeds, all judged on the default config's signal.

Prints a Markdown table: one-step loss at the end, the free run as each recipe judges itself, and
closed-loop RMSE on the default's test part after its warm-up. Median over the seeds of the median
origin, and the worst origin of the worst seed. The last line gives the recipes' ratio.

    python benchmarks/quality.py --seeds 10
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from sinernn import experiment
from sinernn.config import load_config

CONFIGS = Path(__file__).parents[1] / "configs"
HORIZONS = (49, 2000)


def at(scores: dict, horizon: int) -> tuple[float, float]:
    """Return (median, worst) over the origins at one horizon; a diverged one is infinite."""
    row = next(row for row in scores["closed_loop_rmse"] if row["horizon"] == horizon)
    return tuple(np.inf if row[key] is None else row[key] for key in ("median", "worst"))


def measure(name: str, seed: int, runs_dir: str) -> dict[str, float]:
    """Train one recipe with one seed, and return everything the table shows."""
    config = load_config(CONFIGS / f"{name}.yaml", [f"seed={seed}", "device=cpu"])
    summary = experiment.train(config, runs_dir=runs_dir, figures=False)
    own = summary.scores["closed_loop_rmse"][-1]["median"]
    scores = experiment.evaluate(summary.run, data=CONFIGS / "default.yaml")
    measured = {
        "loss": summary.run.read_metrics()["loss"][-1],
        "own": np.inf if own is None else own,
        "seconds": summary.facts["seconds"],
    }
    for horizon in HORIZONS:
        measured[f"median {horizon}"], measured[f"worst {horizon}"] = at(scores, horizon)
    return measured


def main(
    seeds: Annotated[int, typer.Option(help="How many seeds.", min=1)] = 10,
    first: Annotated[int, typer.Option(help="The first seed.", min=0)] = 0,
) -> None:
    """Print the table."""
    print("| config | one-step loss | own free run | 49 steps | 2000 steps | s |")
    print("| --- | --- | --- | --- | --- | --- |")
    medians = {}
    with tempfile.TemporaryDirectory() as runs_dir:
        for name in ("tutorial", "default"):
            rows = [measure(name, seed, runs_dir) for seed in range(first, first + seeds)]
            columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
            cells = [f"{np.median(columns['loss']):.1e}", f"{np.median(columns['own']):.1e}"]
            for horizon in HORIZONS:
                median, worst = np.median(columns[f"median {horizon}"]), columns[f"worst {horizon}"]
                cells.append(f"{median:.1e} / {worst.max():.1e}")
            medians[name] = np.median(columns[f"median {HORIZONS[0]}"])
            print(
                f"| {name} | {' | '.join(cells)} | {np.median(columns['seconds']):.1f} |",
                flush=True,
            )
    ratio = medians["tutorial"] / medians["default"]
    print(
        f"\nAt 49 steps the default is {ratio:.0f} times closer than the tutorial ({seeds} seeds)."
    )


if __name__ == "__main__":
    typer.run(main)
