"""Measure the closed-loop error of the shipped configs over several seeds, and of other methods.

Prints a Markdown table. All methods of a task use the same series, read the same warm-ups and are
scored over the same horizon against the clean series. Errors are in signal units; for mackey_glass
they are divided by the standard deviation of the training part. Two errors are printed: the RMSE
over all forecasts of a seed, as median and worst over the seeds; and the RMSE of a single forecast,
as median and worst over all seeds and origins. Times are processor times of training, with compiled
kernels. Free runs of a seed that leave the attractor of the series are reported on stderr.

    python benchmarks/quality.py --seeds 20 --first 9000
    python benchmarks/quality.py --task default --set signal.amplitude=250 --set signal.offset=1000
    python benchmarks/quality.py --peers            (with the extra: pip install '.[peers]')

Peers: an echo state network of reservoirpy with 500 units, with the best of 8 settings on the
validation part (the median of three additional seeds), run with the same seeds as our networks; and
linear autoregression by least squares, its order also chosen on the validation part.
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from sinernn import evaluating, experiment, forecasting
from sinernn.config import Config, load_config
from sinernn.data.windows import Scale, fit_scale
from sinernn.observers import Observer
from sinernn.plot_run import read_evidence

CONFIGS = Path(__file__).parents[1] / "configs"
TASKS = ("default", "noisy", "two_tones", "mackey_glass")
RELATIVE = "mackey_glass"
ORDERS = (2, 4, 8, 16, 32, 50)
SETTINGS = tuple(itertools.product((0.9,), (0.1, 1.0), (1e-10, 1e-6, 1e-2, 1.0)))
"""Settings of the echo state network: spectral radius, scale of the input, ridge."""

CHOOSING_SEEDS = (97, 98, 99)
"""Seeds for choosing its settings: with one seed, the choice would depend on chance."""

Forecaster = Callable[[np.ndarray, int], np.ndarray]
"""(warm-ups [origin, W], steps) -> forecasts [origin, steps], in scaled units."""


@dataclass(frozen=True)
class Task:
    """The data of every method, in scaled units; one channel."""

    training: list[np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    """Warm-ups [origin, W] and the samples that follow them [origin, steps]; observed samples."""

    test: tuple[np.ndarray, np.ndarray]
    """The same for the test part, but the samples that follow are without noise."""

    signal_unit: float
    """The unit of the table, in signal units."""

    unit: float
    """One scaled unit, in units of the table."""


def prepare(config: Config, *, relative: bool) -> Task:
    """Build the task of a config."""
    series, settings = config.signal.read(), config.evaluation
    training = series.cut(series.observed, config.split.parts(series.extent.lengths).train)
    scale: Scale = fit_scale(np.concatenate(training))
    observed, clean = scale.apply(series.observed)[:, 0], scale.apply(series.clean)[:, 0]

    def stretches(part: str, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, rows = forecasting.place_origins(config, series, part)
        return observed[rows][:, : settings.warmup], truth[rows][:, settings.warmup :]

    return Task(
        training=[scale.apply(part)[:, 0] for part in training],
        validation=stretches("validation", observed),
        test=stretches("test", clean),
        signal_unit=float(scale.std[0]) if relative else 1.0,
        unit=1.0 if relative else float(scale.std[0]),
    )


def rms(errors: np.ndarray) -> np.ndarray:
    """Return the root mean square of each row; infinite where it diverges."""
    with np.errstate(all="ignore"):
        values = np.sqrt(np.mean(errors**2, axis=-1))
    return np.where(np.isfinite(values), values, np.inf)


def score(
    forecaster: Forecaster, stretches: tuple[np.ndarray, np.ndarray], horizon: int
) -> np.ndarray:
    """Return the RMSE of each forecast up to a horizon."""
    warmups, truth = stretches
    with np.errstate(all="ignore"):
        errors = forecaster(warmups, horizon) - truth[:, :horizon]
    return rms(errors)


def total(errors: np.ndarray) -> float:
    """Return the RMSE over several forecasts of equal length from the RMSE of each."""
    return float(rms(errors))


def autoregression(task: Task) -> Iterator[tuple[Forecaster, float]]:
    """Yield linear autoregression with a constant, of the order with least validation error."""

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
    best = min(map(fitted, ORDERS), key=lambda run: total(score(run, task.validation, horizon)))
    yield best, (time.process_time() - began) / len(ORDERS)


def echo_state_network(task: Task, seeds: Iterable[int]) -> Iterator[tuple[Forecaster, float]]:
    """Yield an echo state network for each seed, with the settings of lowest validation error."""
    from reservoirpy.nodes import Reservoir, Ridge

    def fitted(seed: int, radius: float, scaling: float, ridge: float) -> Forecaster:
        reservoir = Reservoir(units=500, lr=1.0, sr=radius, input_scaling=scaling, seed=seed)
        reservoir.run(task.training[0][:1, None])  # creates the state that is reset below
        states, targets = [], []
        for x in task.training:
            reservoir.reset()
            states.append(reservoir.run(x[:-1, None])[100:])
            targets.append(x[101:, None])
        readout = Ridge(ridge=ridge).fit(np.concatenate(states), np.concatenate(targets))

        def run(warmups: np.ndarray, steps: int) -> np.ndarray:
            # All origins in one batch; the bits equal those of the reservoir's own run.
            state, forecasts = np.zeros((500, len(warmups))), []
            for step in range(warmups.shape[1] + steps - 1):
                value = warmups[:, step] if step < warmups.shape[1] else forecasts[-1]
                drive = reservoir.W @ state + reservoir.Win @ value[None] + reservoir.bias
                state = np.tanh(drive)
                forecasts.append((readout.Wout.T @ state + readout.bias)[0])
            return np.stack(forecasts[-steps:], axis=1)

        return run

    horizon = min(500, task.validation[1].shape[1])

    def on_validation(setting: tuple[float, float, float]) -> float:
        runs = [fitted(seed, *setting) for seed in CHOOSING_SEEDS]
        return float(np.median([total(score(run, task.validation, horizon)) for run in runs]))

    best = min(SETTINGS, key=on_validation)
    print(f"echo state network: radius, input scale, ridge {best}", file=sys.stderr)
    for seed in seeds:
        began = time.process_time()
        forecaster = fitted(seed, *best)
        yield forecaster, time.process_time() - began


class Clock(Observer):
    """Processor time at the start of training and at its latest record."""

    def start(self, *_: Any) -> None:
        """Store the time of the start."""
        self.began = self.now = time.process_time()

    def record(self, *_: Any) -> None:
        """Store the time of the latest record."""
        self.now = time.process_time()


def ours(
    name: str, task: str, seed: int, folder: str, *, horizon: int, overrides: Sequence[str] = ()
) -> tuple[np.ndarray, float]:
    """Train a shipped config; return the RMSE of each forecast on a task, and the training time."""
    changes = [*overrides, f"seed={seed}", "device=cpu"]
    config = load_config(CONFIGS / f"{name}.yaml", changes)
    clock = Clock()
    summary = experiment.train(config, runs_dir=folder, figures=False, observers=[clock])
    if summary.scores.dynamics.warning:
        print(f"{name}, seed {seed}: {summary.scores.dynamics.warning}", file=sys.stderr)
    evaluation = None if name == task else task
    if name != task:
        settings = [text for text in overrides if text.startswith((*evaluating.EVALUATED, "split"))]
        evaluating.evaluate(summary.run, settings, data=CONFIGS / f"{task}.yaml", name=task)
    with np.errstate(all="ignore"):
        errors = read_evidence(summary.run, evaluation).closed_loop.errors[:, :horizon]
    return rms(errors), clock.now - clock.began


def row(
    task: str, method: str, steps: int, results: Iterable[tuple[np.ndarray, float]], unit: float
) -> None:
    """Print a row of the table from each seed's errors, multiplied by `unit`, and its time."""
    errors, seconds = zip(*results, strict=True)
    forecasts = np.stack(errors) * unit
    cells = [
        f"{np.median(values):.1e} / {np.max(values):.1e}" for values in (rms(forecasts), forecasts)
    ]
    time_taken = f"{np.median(seconds):.2g}"
    print("|", " | ".join([task, method, str(steps), *cells, time_taken]), "|", flush=True)


def main(
    seeds: Annotated[int, typer.Option(help="How many seeds.", min=1)] = 20,
    first: Annotated[int, typer.Option(help="The first seed.", min=0)] = 9000,
    task: Annotated[list[str] | None, typer.Option(help="Only this config; repeatable.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting, as in signal.amplitude=250; repeatable."),
    ] = None,
    peers: Annotated[bool, typer.Option(help="Run the peers as well.")] = False,
    steps: Annotated[
        int | None, typer.Option(help="Score only the first steps of every forecast.", min=1)
    ] = None,
) -> None:
    """Print the table."""
    print("| series | method | steps | a seed, median / worst | a forecast, median / worst | s |")
    print("| --- | --- | --- | --- | --- | --- |")
    which, changes = range(first, first + seeds), overrides or []
    with tempfile.TemporaryDirectory() as folder:
        for name in task or TASKS:
            config = load_config(CONFIGS / f"{name}.yaml", [*changes, "device=cpu"])
            prepared = prepare(config, relative=name == RELATIVE)
            horizon = min(steps or config.evaluation.horizon, config.evaluation.horizon)
            label = ", ".join([name, *changes])
            for recipe in (name, "tutorial") if name == "default" else (name,):
                settings: dict[str, Any] = {"horizon": horizon, "overrides": changes}
                other = first - 1 if first else seeds
                ours(recipe, name, other, folder, **settings)  # warm up: compile the kernels
                results = [ours(recipe, name, seed, folder, **settings) for seed in which]
                row(label, f"**{recipe}.yaml**", horizon, results, 1 / prepared.signal_unit)
            if not peers:
                continue
            for method, runs in (
                ("echo state network, 500 units", echo_state_network(prepared, which)),
                ("linear autoregression", autoregression(prepared)),
            ):
                scored = [(score(run, prepared.test, horizon), taken) for run, taken in runs]
                row(label, method, horizon, scored, prepared.unit)


if __name__ == "__main__":
    typer.run(main)
