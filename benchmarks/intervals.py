"""Measure how many held-out samples lie inside the intervals of `sinernn predict`.

Trains each config and prints a Markdown table: the share of samples of the test part inside the
intervals at steps 1, 10 and the last promised, with the 95 % interval of Wilson (1927), Journal of
the American Statistical Association 22, 209-212. It takes forecasts from different origins as
independent. They overlap, so the true uncertainty is larger; channels count together, as one.

    python benchmarks/intervals.py configs/sunspots.yaml configs/elnino.yaml
    python benchmarks/intervals.py configs/noisy.yaml --steps 500 --set signal.length=50000
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from sinernn import experiment
from sinernn.config import load_config
from sinernn.ensemble import Ensemble
from sinernn.evaluation.predictions import half_widths

Z = 1.96  # of a normal distribution, two-sided 95 %


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return a 95 % interval for a probability from the share found in `count` trials."""
    centre, denominator = share + Z**2 / (2 * count), 1 + Z**2 / count
    half = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return (centre - half) / denominator, (centre + half) / denominator


def main(
    configs: Annotated[list[Path], typer.Argument(help="Configs to train.")],
    steps: Annotated[int | None, typer.Option(help="Steps; default: the config's horizon.")] = None,
    level: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.9,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting; repeatable.")
    ] = None,
) -> None:
    """Print the table."""
    print("| config | made from | step | inside | 95 % interval | origins |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path in configs:
        config = load_config(path, overrides or [])
        with tempfile.TemporaryDirectory() as folder:
            run = experiment.train(config, runs_dir=folder, figures=False).run
            ensemble, ahead = Ensemble([run]), steps or config.evaluation.horizon
            calibration, errors = (ensemble.errors(part, ahead) for part in ("validation", "test"))
        widths = half_widths(calibration, level)
        promised = int(np.isfinite(widths).all(axis=1).sum())
        for step in sorted(
            {step for step in (1, 10, promised) if 1 <= step <= min(promised, errors.shape[1])}
        ):
            known = errors[:, step - 1][~np.isnan(errors[:, step - 1]).any(axis=1)]
            share = float(np.mean(known <= widths[step - 1]))
            low, high = wilson(share, len(known))
            cells = [path.stem, len(calibration), step, f"{share:.3f}", f"{low:.2f} to {high:.2f}"]
            print("|", " | ".join(map(str, [*cells, len(known)])), "|", flush=True)


if __name__ == "__main__":
    typer.run(main)
