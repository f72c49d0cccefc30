"""Measure the closed-loop error of the shipped configs over several seeds, and of other methods.

Prints a Markdown table. All methods of a task use the same series, read the same warm-ups and are
scored over the same horizon against the clean series. Errors are in signal units; for mackey_glass
they are divided by the standard deviation of the training part, and with several channels those of
each by its own. Two errors are printed: the RMSE
over all forecasts of a seed, as median and worst over the seeds; and the RMSE of a single forecast,
as median and worst over all seeds and origins. Times are processor times of training, with compiled
kernels. Free runs of a seed that leave the attractor of the series are reported on stderr.

    python benchmarks/quality.py --seeds 20 --first 9000
    python benchmarks/quality.py --task default --set signal.amplitude=250 --set signal.offset=1000
    python benchmarks/quality.py --peers            (with the extra: pip install '.[peers]')
    python benchmarks/quality.py --task sunspots --steps 1 --steps 11 --peers

Peers: the baselines that `sinernn eval` prints; an echo state network of reservoirpy with 500
units, with the best of 10 settings on the validation part (the median of three additional seeds),
run with the same seeds as our networks; and for a real series AutoARIMA of statsforecast, fitted to
the training part, then applied to each warm-up.
"""

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from peers import Forecaster, echo_state_network, errors_of, rms
from sinernn import evaluating, experiment, forecasting
from sinernn.config import Config, load_config
from sinernn.data.files import File
from sinernn.data.windows import Scale, fit_scale
from sinernn.evaluation.forecasts import Forecasts
from sinernn.observers import Observer
from sinernn.plot_run import read_evidence

CONFIGS = Path(__file__).parents[1] / "configs"
TASKS = ("default", "noisy", "two_tones", "mackey_glass")
"""Tasks unless others are named; the others are real series: shipped ones, and the laser."""

LASER_SAMPLES = 5000
RELATIVE = "mackey_glass"


@dataclass(frozen=True)
class Task:
    """The data of every peer, in scaled units."""

    training: list[np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    """Warm-ups [origin, W, channel] and the samples that follow them [origin, steps, channel];
    observed samples."""

    test: tuple[np.ndarray, np.ndarray]
    """The same for the test part, but the samples that follow are without noise."""

    signal_unit: float
    """The unit of the table, in signal units."""

    unit: float
    """One scaled unit, in units of the table."""

    season: float | None
    """Samples in a period."""


def prepare(config: Config, *, relative: bool) -> Task:
    """Build the task of a config."""
    series, settings = config.signal.read(), config.evaluation
    training = series.cut(series.observed, config.split.parts(series.extent.lengths).train)
    scale: Scale = fit_scale(np.concatenate(training))
    observed, clean = scale.apply(series.observed), scale.apply(series.clean)
    relative = relative or len(scale.std) > 1

    def stretches(part: str, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, rows = forecasting.place_origins(config, series, part)
        return observed[rows][:, : settings.warmup], truth[rows][:, settings.warmup :]

    return Task(
        training=[scale.apply(part) for part in training],
        validation=stretches("validation", observed),
        test=stretches("test", clean),
        signal_unit=float(scale.std[0]) if relative and len(scale.std) == 1 else 1.0,
        unit=1.0 if relative else float(scale.std[0]),
        season=series.period and series.period / series.extent.time_step,
    )


def auto_arima(task: Task) -> Iterator[tuple[Forecaster, float]]:
    """Yield AutoARIMA of each channel, with a season if it is a whole number of at most 24."""
    from statsforecast.models import AutoARIMA

    season = task.season if task.season in range(2, 25) else 1
    began = time.process_time()
    models = [AutoARIMA(season_length=int(season)).fit(y) for y in task.training[-1].T.copy()]

    def run(warmups: np.ndarray, steps: int) -> np.ndarray:
        channels = [
            [model.forward(y, steps)["mean"] for y in warmups[:, :, index].copy()]
            for index, model in enumerate(models)
        ]
        return np.stack(channels, axis=2)

    yield run, time.process_time() - began


class Clock(Observer):
    """Processor time at the start of training and at its latest record."""

    def start(self, *_: Any) -> None:
        """Store the time of the start."""
        self.began = self.now = time.process_time()

    def record(self, *_: Any) -> None:
        """Store the time of the latest record."""
        self.now = time.process_time()


def ours(
    name: str, task: str, seed: int, folder: str, overrides: Sequence[str]
) -> tuple[Forecasts, dict[str, np.ndarray], float]:
    """Train a config; return forecasts of a task, those of the baselines, and the time."""
    config = load_config(find_config(name), [*overrides, f"seed={seed}", "device=cpu"])
    clock = Clock()
    summary = experiment.train(config, runs_dir=folder, figures=False, observers=[clock])
    if summary.scores.dynamics.warning:
        print(f"{name}, seed {seed}: {summary.scores.dynamics.warning}", file=sys.stderr)
    evaluation = None if name == task else task
    if name != task:
        settings = [text for text in overrides if text.startswith((*evaluating.EVALUATED, "split"))]
        evaluating.evaluate(summary.run, settings, data=find_config(task), name=task)
    evidence = read_evidence(summary.run, evaluation)
    return evidence.closed_loop, evidence.baselines, clock.now - clock.began


def find_config(name: str) -> Path:
    """Return the config of a task: a shipped one, or the laser's next to this file."""
    return (Path(__file__).parent if name == "laser" else CONFIGS) / f"{name}.yaml"


def write_laser(folder: str) -> str:
    """Write the Santa Fe laser of reservoirpy's package, and return its path."""
    import reservoirpy.datasets

    shipped = Path(reservoirpy.datasets.__file__).with_name("santafe_laser.npy")
    path = Path(folder) / "laser.npy"
    np.save(path, np.load(shipped)[:LASER_SAMPLES].astype(float))
    return str(path)


def print_rows(
    task: str,
    method: str,
    horizons: Iterable[int],
    results: Iterable[tuple[np.ndarray, float]],
    unit: float,
) -> None:
    """Print a row for each horizon from each seed's errors [origin, steps], in `unit`, and time."""
    errors, seconds = zip(*results, strict=True)
    for horizon in horizons:
        forecasts = np.stack([rms(each[:, :horizon]) for each in errors]) * unit
        cells = [
            f"{np.median(values):.3g} / {np.max(values):.3g}"
            for values in (rms(forecasts), forecasts)
        ]
        cells = [task, method, str(horizon), *cells, f"{np.median(seconds):.2g}"]
        print("|", " | ".join(cells), "|", flush=True)


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
        list[int] | None, typer.Option(help="Score the first steps only; repeatable.", min=1)
    ] = None,
) -> None:
    """Print the table."""
    print("| series | method | steps | a seed, median / worst | a forecast, median / worst | s |")
    print("| --- | --- | --- | --- | --- | --- |")
    which = range(first, first + seeds)
    with tempfile.TemporaryDirectory() as folder:
        for name in task or TASKS:
            changes = list(overrides or [])
            label = ", ".join([name, *changes])
            if name == "laser":
                changes.append(f"signal.path={write_laser(folder)}")
            config = load_config(find_config(name), [*changes, "device=cpu"])
            prepared = prepare(config, relative=name == RELATIVE)
            whole = config.evaluation.horizon
            horizons = sorted({min(each, whole) for each in steps or [whole]})

            unit = 1 / prepared.signal_unit
            baselines = dict[str, np.ndarray]()
            for recipe in (name, "tutorial") if name == "default" else (name,):
                other = first - 1 if first else seeds
                ours(recipe, name, other, folder, changes)  # warm up: compile the kernels
                results = list[tuple[np.ndarray, float]]()
                for seed in which:
                    found, forecasts, taken = ours(recipe, name, seed, folder, changes)
                    results.append((found.errors, taken))
                    baselines = {key: found.errors_of(each) for key, each in forecasts.items()}
                print_rows(label, f"**{recipe}.yaml**", horizons, results, unit)
            if not peers:
                continue
            for method, errors in baselines.items():
                print_rows(label, method, horizons, [(errors, 0.0)], unit)
            methods = {
                "echo state network, 500 units": echo_state_network(
                    prepared.training, prepared.validation, which
                )
            }
            if isinstance(config.signal, File):
                methods["AutoARIMA"] = auto_arima(prepared)
            for method, runs in methods.items():
                found = [(errors_of(run, prepared.test, whole), taken) for run, taken in runs]
                print_rows(label, method, horizons, found, prepared.unit)


if __name__ == "__main__":
    typer.run(main)
