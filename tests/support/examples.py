"""Configs, runs, checkpoints and evaluations that tests of several files start from."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sinernn.config import Config, load_config
from sinernn.data.windows import Scale
from sinernn.evaluation.baselines import History, mean, persistence
from sinernn.evaluation.dynamics import Dynamics
from sinernn.evaluation.forecasts import Evidence, Forecasts, OneStep
from sinernn.model.network import Network, RefineState
from sinernn.observers import Observer
from sinernn.runs import Run
from sinernn.runs.checkpoints import METADATA_KEY, Checkpoint
from sinernn.runs.directory import create_run

REPOSITORY = Path(__file__).parents[2]
CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))
TINY = REPOSITORY / "configs" / "tiny.yaml"
NOON = datetime(2026, 11, 24, 12, 0, 5, tzinfo=UTC)


def tiny(*overrides: str) -> Config:
    """The smoke test's config with changes, in float32 and without refinement."""
    given = {text.split("=")[0] for text in overrides}
    plain = ["device=cpu", "dtype=float32", "refine=null"]
    return load_config(TINY, [*(p for p in plain if p.split("=")[0] not in given), *overrides])


def refined(*overrides: str) -> Config:
    """The smoke test's config with changes, refinement and all."""
    return load_config(TINY, ["device=cpu", *overrides])


def copy_configs(folder: Path) -> None:
    """Copy the shipped configs, with trainings of a hundred updates."""
    shutil.copytree(REPOSITORY / "configs", folder)
    for path in folder.rglob("*.yaml"):
        text = re.sub(r"(?<=\bsteps: )\d+", "100", path.read_text(encoding="utf-8"))
        text = re.sub(r"(?<=\bseeds: )\d+", "1", text)
        path.write_text(
            re.sub(r"\b(iterations|measure_every): \d+", r"\1: 5", text), encoding="utf-8"
        )


def make_run(runs_dir: Path = Path("runs"), name: str = "a", now: datetime = NOON) -> Run:
    return create_run(runs_dir, name, now=now, files={"run.json": b"{}\n"})


class Watching(Observer):
    """An observer made of functions: of the run, of a record, of a remark."""

    def __init__(
        self,
        *,
        start: Callable[[Run], object] = lambda _: None,
        record: Callable[[Any], object] = lambda _: None,
        remark: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._start, self._record, self.remark = start, record, remark

    def start(self, run: Run, *_: object) -> None:
        self._start(run)

    def record(self, record: object, weights: object = None) -> None:
        self._record(record)


def make_checkpoint(cell: str = "lstm", seed: int = 0, inputs: int = 0) -> Checkpoint:
    network = Network(cell, 2 - inputs, 3, num_layers=2, dtype="float32", inputs=inputs)
    state = network.initial_state(seed, batch_size=2)
    state.first_moment["readout.bias"] += 0.5
    state.hidden += 0.25
    state.updates = 17
    scale = Scale(np.array([1.0, 2.0]), np.array([0.1, 1 / 3]))
    return Checkpoint(network, state, scale, np.array([1.0, 0.1]), 0.125)


def refining(theta: np.ndarray, best_error: float = 0.25):
    checkpoint = make_checkpoint()
    state = RefineState(
        theta=theta, stage=1, iteration=2, step=7, damping=1e-3, best_theta=2 * theta,
        best_error=best_error,
    )  # fmt: skip
    return replace(checkpoint, state=replace(checkpoint.state, refine=state))


def checkpoint_metadata(content: bytes) -> str:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"][METADATA_KEY]


def make_learning(evidence: Evidence) -> dict[str, np.ndarray]:
    """Free runs of three snapshots: at rest, of half the size, and the one that was evaluated."""
    forecasts = evidence.closed_loop
    last = forecasts.prediction[forecasts.typical]
    return {"initial weights": 0 * last, "update 10": last / 2, "update 13": last}


REFINEMENT = {
    "step": np.arange(5.0),
    "loss": np.array([np.nan, 1e-2, 1e-4, 1e-6, 1e-8]),
    "stage": np.array([0.0, 0, 0, 1, 1]),
    "closed_loop_rmse": np.array([0.4, np.nan, 0.1, np.nan, 1e-3]),
    "damping": np.array([np.nan, 1e-2, 1e-3, 1e-3, 1e-4]),
}
"""Metrics of a refinement of two stages."""


def make_evidence(
    prediction: Callable[[np.ndarray], np.ndarray] = lambda truth: truth,
    *,
    wave: Callable[[np.ndarray], np.ndarray] = np.sin,
    steps: int = 400,
    origins: int = 3,
    channels: int = 1,
    warmup: int = 50,
    noise: float = 0.0,
    period: float | None = 2 * np.pi,
) -> Evidence:
    """What an evaluation of a wave, sampled every 0.2 time units, would find.

    `prediction` makes forecasts [origin, steps, channel] from the truth; the hidden state goes
    round a circle when driven, and spirals into its centre when free.
    """
    time = 0.2 * np.arange(warmup + steps) + 100.0 * np.arange(origins)[:, None]
    truth = np.repeat(wave(time)[:, :, None], channels, axis=2)
    observed = truth + noise * np.random.default_rng(0).normal(size=truth.shape)
    forecasts = Forecasts(time, observed, truth, prediction(truth[:, warmup:]))
    angle = 0.2 * np.arange(min(steps, 1000))
    circle = np.stack([np.cos(angle), np.sin(angle), 0.1 * np.cos(2 * angle)], axis=1)
    training = np.repeat(wave(0.2 * np.arange(3142))[None, :, None], channels, axis=2)
    history = History(list(training), None, observed[:, :warmup], steps, None)
    return Evidence(
        closed_loop=forecasts,
        open_loop=(OneStep(time, observed, truth, truth + 0.01 * np.cos(3 * time)[:, :, None]),),
        baselines=mean(history) | persistence(history),
        dynamics=Dynamics(
            exponents=np.zeros(origins),
            outputs=np.tile(wave(0.2 * np.arange(2000))[None, :, None], (origins, 1, channels)),
            driven=circle,
            free=circle * np.exp(-angle / 10)[:, None],
            explained=np.array([0.6, 0.3, 0.05]),
            driven_eigenvalues=np.full((5, 4, 2), 0.5),
            free_eigenvalues=np.full((5, 4, 2), 0.7),
        ),
        std=training.std(axis=(0, 1)),
        time_step=0.2,
        period=period,
    )
