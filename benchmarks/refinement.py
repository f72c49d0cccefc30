"""Time the refinement of the shipped configs on one thread and on two.

Prints a Markdown table: wall times of the refinement alone, with the forecasts that choose a
result and without the files of its checkpoints, as medians of rounds in turn; their ratio; and
whether both gave the same bits.

    python benchmarks/refinement.py
    python benchmarks/refinement.py --rounds 5 --config default
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from sinernn import cores, experiment, forecasting
from sinernn.config import Config, load_config
from sinernn.model.network import Theta
from sinernn.preparation import Experiment, prepare
from sinernn.refine import loop
from sinernn.refine.problem import flatten

CONFIGS = Path(__file__).parents[1] / "configs"
SHARES = {"default": 1, "noisy": 0.25, "two_tones": 0.25, "mackey_glass": 0.1, "lorenz": 0.1}
"""Shares of the iterations of each stage; those until a draw or measurement are run anyway, and one
of each batch."""


def shortened(config: Config, share: float) -> Config:
    """Return the config with a share of each stage's iterations."""
    settings = config.model_dump(mode="json")
    for stage in settings["refine"]["stages"]:
        least = max(stage["redraw_every"] or 1, stage["measure_every"] or 1, stage["batches"])
        stage["iterations"] = max(least, round(share * stage["iterations"]))
    return Config.model_validate(settings)


def trained(config: Config) -> tuple[Experiment, Theta]:
    """Return what a refinement starts from."""
    with tempfile.TemporaryDirectory() as folder:
        updates = config.model_copy(update={"refine": None})
        run = experiment.train(updates, runs_dir=folder, figures=False).run
        params = run.best_checkpoint()[1].state.params
    prepared = prepare(config)
    return prepared, flatten(params, prepared.network)


def refined(prepared: Experiment, theta: Theta, threads: int) -> tuple[float, Theta]:
    """Refine with so many threads, and return the seconds and the parameters."""
    cores.use_at_most(threads)
    config, network, refine = prepared.config, prepared.network, prepared.config.refine
    assert refine is not None
    series, scale = prepared.series, prepared.scale
    selecting = config, series, scale, network
    training = series.cut(series.observed, prepared.parts.train)
    began, end = time.perf_counter(), theta
    for record in loop.refine(
        loop.start(network.split(theta), network),
        [scale.apply(part) for part in training],
        network=network,
        stages=refine.stages,
        seed=config.seed,
        measure=forecasting.validation_measure(
            *selecting, origins=refine.origins, horizon=refine.forecast_steps
        ),
        keeps_climate=forecasting.climate_check(
            *selecting, origins=refine.origins, steps=refine.climate_steps
        ),
    ):
        end = record.state.theta
    return time.perf_counter() - began, end


def main(
    config: Annotated[list[str] | None, typer.Option(help="Configs; default: five.")] = None,
    rounds: Annotated[int, typer.Option(help="Repetitions.", min=1)] = 3,
    seed: Annotated[int, typer.Option(help="Seed.", min=0)] = 0,
) -> None:
    """Print the table."""
    print("| config | one thread, s | two threads, s | ratio | same bits |")
    print("| --- | --- | --- | --- | --- |")
    for name in config or SHARES:
        loaded = load_config(CONFIGS / f"{name}.yaml", [f"seed={seed}", "device=cpu"])
        start = trained(shortened(loaded, SHARES.get(name, 1)))
        refined(*start, 2)  # compiles kernels
        found: dict[int, list[tuple[float, Theta]]] = {1: [], 2: []}
        for _ in range(rounds):
            for threads, results in found.items():
                results.append(refined(*start, threads))
        one, two = (statistics.median(each[0] for each in results) for results in found.values())
        same = all(np.array_equal(each[1], found[1][0][1]) for each in found[2])
        row = name, f"{one:.2f}", f"{two:.2f}", f"{two / one:.2f}", "yes" if same else "no"
        print("|", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    typer.run(main)
