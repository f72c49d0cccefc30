"""Quality of the shipped configs in closed loop over several seeds, beside other methods.

Prints a Markdown table. All methods of a task have the same series, read the same warm-ups and are
scored over the same horizon against the clean series. A cell is the median over the seeds of the
RMSE over all forecasts, and the worst seed's: in signal units, for mackey_glass divided by the
standard deviation of the training part. Times are processor time of training, kernels warm.

    python benchmarks/quality.py --seeds 20 --first 6000
    python benchmarks/quality.py --peers            (with the extra: pip install '.[peers]')

Peers: an echo state network of reservoirpy with 500 units, the best of 8 settings by the validation
part, seeds as for ours; and linear autoregression by least squares, its order chosen alike.
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from sinernn import experiment, judging
from sinernn.config import Config, load_config
from sinernn.evaluation import Evidence
from sinernn.experiment import Watch
from sinernn.windows import Scale, fit_scale, spread_origins

CONFIGS = Path(__file__).parents[1] / "configs"
TASKS = ("default", "noisy", "two_tones", "mackey_glass")
RELATIVE = "mackey_glass"
ORDERS = (2, 4, 8, 16, 32, 50)
SETTINGS = tuple(itertools.product((0.9,), (0.1, 1.0), (1e-10, 1e-6, 1e-2, 1.0)))
"""Of the echo state network: spectral radius, scale of the input, ridge."""

Forecaster = Callable[[np.ndarray, int], np.ndarray]
"""(warm-ups [origin, W], steps) -> forecasts [origin, steps], in scaled units."""


@dataclass(frozen=True)
class Task:
    """What every method gets, in scaled units; one channel."""

    training: list[np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    """Warm-ups [origin, W] and what follows them [origin, steps], observed samples."""

    test: tuple[np.ndarray, np.ndarray]
    """The same of the test part, what follows without noise."""

    signal_unit: float
    """The table's unit, in signal units."""

    unit: float
    """A scaled unit, in the table's."""


def prepare(config: Config, *, relative: bool) -> Task:
    """Make the task of a config."""
    series, settings, parts = config.signal.samples(), config.evaluation, config.parts
    scale: Scale = fit_scale(series.observed[:, : parts.train])
    observed, clean = scale.apply(series.observed)[..., 0], scale.apply(series.clean)[..., 0]

    def stretches(part: str, truth: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        begin, end = parts.bounds(part)
        horizon = min(settings.horizon, end - begin - settings.warmup)
        origins = spread_origins(
            (begin, end),
            segments=len(observed),
            warmup=settings.warmup,
            horizon=horizon,
            count=count,
        )
        segments, samples = origins.segments[:, None], origins.samples[:, None]
        before, after = samples + np.arange(-settings.warmup, 0), samples + np.arange(horizon)
        return observed[segments, before], truth[segments, after]

    return Task(
        training=list(observed[:, : parts.train]),
        validation=stretches("validation", observed, 8),
        test=stretches("test", clean, settings.origins),
        signal_unit=float(scale.std[0]) if relative else 1.0,
        unit=1.0 if relative else float(scale.std[0]),
    )


def score(forecaster: Forecaster, stretches: tuple[np.ndarray, np.ndarray], horizon: int) -> float:
    """Return the RMSE of a forecaster up to a horizon; infinite where it diverges."""
    warmups, truth = stretches
    with np.errstate(all="ignore"):
        errors = forecaster(warmups, horizon) - truth[:, :horizon]
        value = float(np.sqrt(np.mean(errors**2)))
    return value if np.isfinite(value) else float("inf")


def autoregression(task: Task) -> Iterator[tuple[Forecaster, float]]:
    """Linear autoregression with a constant, of the order that validation likes best."""

    def fitted(order: int) -> Forecaster:
        rows = [np.lib.stride_tricks.sliding_window_view(x, order + 1) for x in task.training]
        table = np.concatenate(rows)
        inputs = np.column_stack([table[:, :-1], np.ones(len(table))])
        weights = np.linalg.lstsq(inputs, table[:, -1])[0]

        def run(warmups: np.ndarray, steps: int) -> np.ndarray:
            seen = list(warmups[:, -order:].T)
            for _ in range(steps):
                seen.append(np.stack(seen[-order:], axis=1) @ weights[:-1] + weights[-1])
            return np.stack(seen[-steps:], axis=1)

        return run

    began = time.process_time()
    horizon = task.validation[1].shape[1]
    best = min(map(fitted, ORDERS), key=lambda run: score(run, task.validation, horizon))
    yield best, (time.process_time() - began) / len(ORDERS)


def echo_state_network(task: Task, seeds: Iterable[int]) -> Iterator[tuple[Forecaster, float]]:
    """An echo state network, with the settings that validation likes best for one seed more."""
    from reservoirpy.nodes import Reservoir, Ridge

    def fitted(seed: int, radius: float, scaling: float, ridge: float) -> Forecaster:
        reservoir = Reservoir(units=500, lr=1.0, sr=radius, input_scaling=scaling, seed=seed)
        reservoir.run(task.training[0][:1, None])  # so that it has a state to reset
        states, targets = [], []
        for x in task.training:
            reservoir.reset()
            states.append(reservoir.run(x[:-1, None])[100:])
            targets.append(x[101:, None])
        readout = Ridge(ridge=ridge).fit(np.concatenate(states), np.concatenate(targets))

        def run(warmups: np.ndarray, steps: int) -> np.ndarray:
            # By hand, all origins side by side; the same as the reservoir's own to the bit.
            state, forecasts = np.zeros((500, len(warmups))), []
            for step in range(warmups.shape[1] + steps - 1):
                value = warmups[:, step] if step < warmups.shape[1] else forecasts[-1]
                drive = reservoir.W @ state + reservoir.Win @ value[None] + reservoir.bias
                state = np.tanh(drive)
                forecasts.append((readout.Wout.T @ state + readout.bias)[0])
            return np.stack(forecasts[-steps:], axis=1)

        return run

    horizon = min(500, task.validation[1].shape[1])
    best = min(SETTINGS, key=lambda setting: score(fitted(99, *setting), task.validation, horizon))
    print(f"echo state network: radius, input scale, ridge {best}", file=sys.stderr)
    for seed in seeds:
        began = time.process_time()
        forecaster = fitted(seed, *best)
        yield forecaster, time.process_time() - began


def ours(
    name: str, task: str, seed: int, folder: str, *, horizon: int, unit: float = 1.0
) -> tuple[float, float]:
    """Train a shipped config; return its RMSE on a task up to a horizon and the time it took."""
    config = load_config(CONFIGS / f"{name}.yaml", [f"seed={seed}", "device=cpu"])
    clock: list[float] = []

    def tick(*_: Any) -> None:
        clock.append(time.process_time())

    summary = experiment.train(
        config, runs_dir=folder, figures=False, watch=Watch(start=tick, record=tick)
    )
    if name != task:
        judging.evaluate(summary.run, data=CONFIGS / f"{task}.yaml")
    arrays = summary.run.read_arrays("evaluation.safetensors")
    forecasts = Evidence.from_arrays(arrays).closed_loop
    with np.errstate(over="ignore"):
        error = float(np.sqrt(np.mean(forecasts.errors[:, :horizon] ** 2))) / unit
    return error if np.isfinite(error) else float("inf"), clock[-1] - clock[0]


def row(task: str, method: str, steps: int, errors: list[float], seconds: list[float]) -> None:
    """Print a row of the table."""
    cell = f"{np.median(errors):.1e} / {max(errors):.1e}"
    print(f"| {task} | {method} | {steps} | {cell} | {np.median(seconds):.2g} |", flush=True)


def main(
    seeds: Annotated[int, typer.Option(help="How many seeds.", min=1)] = 20,
    first: Annotated[int, typer.Option(help="The first seed.", min=0)] = 6000,
    task: Annotated[list[str] | None, typer.Option(help="Only this config; repeatable.")] = None,
    peers: Annotated[bool, typer.Option(help="Run the peers as well.")] = False,
    steps: Annotated[
        int | None, typer.Option(help="Score only the first steps of every forecast.", min=1)
    ] = None,
) -> None:
    """Print the table."""
    print("| series | method | steps | RMSE, median / worst seed | s |")
    print("| --- | --- | --- | --- | --- |")
    which = range(first, first + seeds)
    with tempfile.TemporaryDirectory() as folder:
        for name in task or TASKS:
            config = load_config(CONFIGS / f"{name}.yaml", ["device=cpu"])
            prepared = prepare(config, relative=name == RELATIVE)
            horizon = min(steps or config.evaluation.horizon, config.evaluation.horizon)
            for recipe in (name, "tutorial") if name == "default" else (name,):
                other = first - 1 if first else seeds
                ours(recipe, name, other, folder, horizon=horizon)  # compiles
                results = [
                    ours(recipe, name, seed, folder, horizon=horizon, unit=prepared.signal_unit)
                    for seed in which
                ]
                errors, taken = zip(*results, strict=True)
                row(name, f"**{recipe}.yaml**", horizon, list(errors), list(taken))
            if not peers:
                continue
            for method, runs in (
                ("echo state network, 500 units", echo_state_network(prepared, which)),
                ("linear autoregression", autoregression(prepared)),
            ):
                results = [
                    (prepared.unit * score(run, prepared.test, horizon), taken)
                    for run, taken in runs
                ]
                errors, taken = zip(*results, strict=True)
                row(name, method, horizon, list(errors), list(taken))


if __name__ == "__main__":
    typer.run(main)
