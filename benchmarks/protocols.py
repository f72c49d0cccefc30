"""Series and scores of published comparisons on chaotic series; see chaos.py.

Each protocol follows the code or the text of its paper; what differs is said in its docstring.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from sinernn.data.flows import Lorenz
from sinernn.evaluation.metrics import rmse, symmetric_errors, valid_steps

CONFIGS = Path(__file__).with_name("published")

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(forecasts, truth), both [origin, steps, channel] -> a number for each origin."""


@dataclass(frozen=True)
class Task:
    """A series to learn, and the forecasts to score."""

    name: str
    training: list[np.ndarray]
    """Samples of each segment, [time, channel]."""

    warmups: np.ndarray
    """True samples before each forecast, [origin, W, channel]."""

    truth: np.ndarray
    """Those after them, [origin, steps, channel]."""

    score: Score


@dataclass(frozen=True)
class Protocol:
    """A block of a table: methods that can be compared with each other."""

    name: str
    """What is learned, and what the score is."""

    config: Path
    """Our recipe, for every task."""

    tasks: list[Task]
    summary: Callable[[np.ndarray], float]
    """Of the scores of all forecasts of a seed."""

    published: dict[str, float]
    """Summaries by method and size, as published or computed from published forecasts."""

    members: int = 1
    """Our networks for each task, whose median is the forecast."""

    higher_is_better: bool = False
    peers: tuple[str, ...] = ()
    """Methods of `peers.py` to run."""

    peer_tasks: list[Task] | None = None
    """Theirs, if our networks read other samples of the same series."""

    @property
    def alone(self) -> "Protocol":
        """The protocol without its tasks."""
        return replace(self, tasks=[], peer_tasks=None)


def mandal(_: Path | None) -> Iterator[Protocol]:
    """Mandal and Gottwald (2025): Lorenz, 50 000 samples 0.01 apart, forecasts from 500 states.

    Scored by the first time at which the mean over the variables of (error / standard deviation)²
    exceeds 0.09, less a time step, in Lyapunov times of 1/0.91. Theirs are means over 500 pairs of
    a model and a state, ours over 500 states. Our networks read every second sample, in two
    recordings of 25 000, and 50 true ones before each forecast; theirs begin at a state. The series
    is integrated with an error of at most 1e-12 a step instead of scipy's 1.5e-8.

    Source:
        Mandal and Gottwald (2025), "Learning dynamical systems with hit-and-run random feature
        maps", Nature Communications, s41467-025-61195-1; protocol and scores from
        github.com/pinakm9/DeepRFM.
    """
    before, steps, runs = 100, 2200, 500
    series = Lorenz(kind="lorenz", time_step=0.01, length=50_000)
    later = series.model_copy(update={"time_step": 1.0, "length": runs, "starts": (600.0,)})
    states, training = later.read().clean.T, series.read().clean

    def slope(time: float, flat: np.ndarray) -> np.ndarray:
        return np.concatenate(series.slope(time, [*flat.reshape(states.shape)]))

    times = 0.01 * np.arange(before + steps)
    found: Any = solve_ivp(
        slope, times[[0, -1]], states.ravel(), "DOP853", times, rtol=1e-13, atol=1e-13
    )
    test = np.moveaxis(found.y.reshape(*states.shape, len(times)), 0, 2)
    score = partial(valid_time, std=training.std(axis=0))
    task = Task(
        "lorenz", [training], test[:, :before], test[:, before:], partial(score, time_step=0.01)
    )
    yield Protocol(
        "Lorenz, valid time in Lyapunov times (mean of 500 forecasts)",
        CONFIGS / "mandal.yaml",
        [
            replace(
                task,
                training=[training[::2], training[1::2]],
                warmups=test[:, 1:before:2],
                truth=test[:, before + 1 :: 2],
                score=partial(score, time_step=0.02),
            )
        ],
        summary=np.mean,
        published={
            "random features, 512": 9.84,
            "random features with skip connections, 1024": 10.54,
            "deep random features with skip connections, 32 x 1024": 12.00,
        },
        higher_is_better=True,
        peers=("next generation reservoir, ridge 1", "echo state network"),
        peer_tasks=[task],
    )


def valid_time(
    forecasts: np.ndarray, truth: np.ndarray, *, std: np.ndarray, time_step: float
) -> np.ndarray:
    """Return the time before the first error that is not valid, in Lyapunov times of 1/0.91."""
    with np.errstate(all="ignore"):  # of a diverging forecast
        errors = np.sqrt(np.mean(((forecasts - truth) / std) ** 2, axis=2))
    return 0.91 * time_step * (np.minimum(valid_steps(errors, limit=0.3), truth.shape[1]) - 1)


def gauthier(_: Path | None) -> Iterator[Protocol]:
    """Gauthier et al. (2021): Lorenz, 400 samples 0.025 apart, ten times, then 43 steps.

    Ten parts of one evolution, each a task of its own: learn 400 steps, and forecast what follows
    them, up to a Lyapunov time of 1.104. Scored by the root mean square error divided by that
    deviation of all variables and times together from their mean; the first of 44 samples is true.
    The series is that of the paper's code, with the errors of its integrator (RK23 of scipy).

    Source:
        Gauthier, Bollt, Griffith and Barbosa (2021), "Next generation reservoir computing", Nature
        Communications 12, 5564; protocol, initial state and settings from
        github.com/quantinfo/ng-rc-paper-code; the median is that of our own run of it.
    """
    step, counted, slope = 0.025, 44, Lorenz(kind="lorenz").slope
    tasks = list[Task]()
    for begin in range(5, 105, 10):
        until = begin + 10 + 1.104
        times = np.linspace(0, until, round(until / step) + 1)
        first = [17.67715816276679, 12.931379185960404, 43.91404334248268]
        found: Any = solve_ivp(slope, (0, until), first, t_eval=times, method="RK23")
        series = found.y.T
        end, std = round((begin + 10) / step), float(series.std())
        training = series[round(begin / step) - 2 : end]  # two samples before the first target

        score = partial(nrmse, std=std, samples=counted)
        truth = series[end : end + counted - 1]
        tasks.append(Task(f"from {begin}", [training], training[None], truth[None], score))
    yield Protocol(
        "Lorenz, NRMSE over a Lyapunov time (median of 10 parts)",
        CONFIGS / "gauthier.yaml",
        tasks,
        summary=np.median,
        members=3,
        published={"next generation reservoir, 28 products": 1.33e-3},
        peers=("next generation reservoir", "echo state network"),
    )


def nrmse(forecasts: np.ndarray, truth: np.ndarray, *, std: float, samples: int) -> np.ndarray:
    """Return errors in standard deviations, over all steps and the exact samples before them."""
    with np.errstate(all="ignore"):  # of a diverging forecast
        squares = np.sum((forecasts - truth) ** 2, axis=(1, 2)) / (samples * truth.shape[2])
    return finite_or_infinite(np.sqrt(squares) / std)


def jaeger(_: Path | None) -> Iterator[Protocol]:
    """Jaeger (2001): Mackey-Glass, delays 17 and 30, the error 84 steps ahead.

    Forecasts from 20 (delay 17) or 50 (delay 30) places after 1000 true samples, scored by the
    error of the 84th step alone: its root mean square divided by the standard deviation of the
    series, in original coordinates. The series has Euler steps of 0.1, of which every tenth is
    kept, and is squashed by tanh(y - 1).

    Source:
        Jaeger (2001), "The 'echo state' approach to analysing and training recurrent neural
        networks", GMD Report 148, section 6.
    """
    published = {(17, 3000): 2.8e-4, (17, 21_000): 1.2e-4, (30, 3000): 0.11, (30, 21_000): 0.032}
    for (delay, samples), theirs in published.items():
        places, length = {17: 20, 30: 50}[delay], 1084
        series = np.tanh(euler_mackey_glass(delay, 21_000 + places * length) - 1)[:, None]
        test = series[21_000:].reshape(places, length, 1)
        std = float((np.arctanh(series) + 1).std())
        score = partial(error_at_84, std=std)
        training = [series[21_000 - samples : 21_000]]
        yield Protocol(
            f"Mackey-Glass, delay {delay}, {samples} samples, NRMSE at step 84",
            CONFIGS / f"jaeger_{delay}.yaml",
            [Task(f"delay {delay}", training, test[:, :1000], test[:, 1000:], score)],
            summary=rmse,
            published={f"echo state network, {400 if samples == 3000 else 1000}": theirs},
            peers=("echo state network",),
        )


def error_at_84(forecasts: np.ndarray, truth: np.ndarray, *, std: float) -> np.ndarray:
    """Return errors of the 84th step in original coordinates, in standard deviations."""
    with np.errstate(all="ignore"):  # of a diverging forecast
        errors = np.arctanh(np.clip(forecasts[:, 83], -1, 1)) - np.arctanh(truth[:, 83])
    return finite_or_infinite(np.abs(errors[:, 0]) / std)


def euler_mackey_glass(delay: int, count: int, history: float = 1.2) -> np.ndarray:
    """Return samples a time unit apart, after 1000 time units from a constant history."""
    lag, kept = 10 * delay, 10
    x = np.empty(lag + kept * (1000 + count))
    x[: lag + 1] = history
    for at in range(lag, len(x) - 1):
        late = x[at - lag]
        x[at + 1] = x[at] + 0.1 * (0.2 * late / (1 + late**10) - 0.1 * x[at])
    return x[lag + kept * 1000 :: kept]


def finite_or_infinite(errors: np.ndarray) -> np.ndarray:
    """Return errors with infinity for what is not a number."""
    return np.where(np.isnan(errors), np.inf, errors)


def gilpin(data: Path | None) -> Iterator[Protocol]:
    """Gilpin (2021): 131 systems, 150 samples, 15 a period, then 29 steps; one variable of each.

    Scored by the symmetric mean absolute percentage error, from 0 to 200, over 29 of the
    30 steps that are forecast, as the published scores are. All
    systems have the same recipe; it was chosen on the train series, as those of the paper's models
    were. Published forecasts are scored here.

    Args:
        data: Folder of the series and of the published forecasts, from the folders `dysts/data` and
            `benchmarks/results` of github.com/williamgilpin/dysts, compressed by gzip.

    Source:
        Gilpin (2021), "Chaos as an interpretable benchmark for forecasting and data-driven
        modelling", NeurIPS Datasets and Benchmarks, arXiv 2110.05266.
    """
    if data is None:
        raise ValueError(
            "gilpin needs --data FOLDER, that of its series; --help says where it is from"
        )
    results = _read(data, "results_test")
    series = _read(data, "test")
    tasks = [_univariate(name, series[name]["values"]) for name in results]
    models = [model for model in next(iter(results.values())) if model != "values"]
    published = {
        model: [
            task.score(
                np.array(results[task.name][model]["prediction"][:29])[None, :, None], task.truth
            )
            for task in tasks
        ]
        for model in models
    }
    yield Protocol(
        "131 systems, sMAPE (median of the systems)",
        CONFIGS / "gilpin.yaml",
        tasks,
        summary=np.median,
        published={model: float(np.median(scores)) for model, scores in published.items()},
        members=3,
        peers=("analogue",),
    )


def _univariate(name: str, values: Sequence[float]) -> Task:
    """Return the task of a system: 150 samples, then 29."""
    series = np.array(values)[:, None]
    return Task(name, [series[:150]], series[None, :150], series[None, 150:179], smape)


def smape(forecasts: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the symmetric mean absolute percentage error of each forecast, from 0 to 200."""
    return symmetric_errors(forecasts, truth).mean(axis=(1, 2))


def _read(data: Path, name: str) -> Any:
    """Return the content of one of the files of the data.

    Raises:
        ValueError: It is not there, or is damaged.
    """
    path = data / f"{name}_univariate__pts_per_period_15__periods_12.json.gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{path}: cannot be read ({why}); --help says what it is") from error


TABLES: dict[str, Callable[[Path | None], Iterator[Protocol]]] = {
    "mandal": mandal,
    "gauthier": gauthier,
    "jaeger": jaeger,
    "gilpin": gilpin,
}
"""Every table, by its name on the command line."""
