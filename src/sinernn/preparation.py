"""Build an experiment from a config: its series, windows and network."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from sinernn.config import Config, check
from sinernn.data.series import Series
from sinernn.data.windows import (
    Parts,
    Planner,
    Scale,
    contiguous_planner,
    fit_scale,
    identity_scale,
    random_planner,
)
from sinernn.engines import Objective
from sinernn.errors import ConfigError
from sinernn.model.network import Network
from sinernn.schema import Conflict


@dataclass(frozen=True)
class Experiment:
    """A config with its series, windows and network."""

    config: Config
    series: Series
    parts: Parts
    scale: Scale
    network: Network
    objective: Objective
    plan: Planner


def prepare(config: Config) -> Experiment:
    """Build what training needs; a pure function of the config.

    Raises:
        ConfigError: Settings contradict each other, or the training part is constant and cannot be
            normalized.
    """
    check(config)
    series = config.signal.read()
    parts = config.split.parts(series.lengths)
    training = np.concatenate(series.cut(series.observed, parts.train))
    channels = training.shape[1]
    scale = identity_scale(channels)
    if config.windows.normalize:
        try:
            scale = fit_scale(training)
        except ValueError as error:
            conflict = Conflict(("windows.normalize",), f"{error}; use false")
            raise ConfigError([config.problem(conflict)]) from error
    planner = contiguous_planner
    if config.windows.order == "random":
        planner = partial(random_planner, seed=config.seed)
    return Experiment(
        config=config,
        series=series,
        parts=parts,
        scale=scale,
        network=config.network(channels),
        objective=Objective(
            samples=scale.apply(training).astype(config.dtype),
            length=config.windows.length,
            washout=config.windows.washout,
            gradient_clip=config.training.gradient_clip,
        ),
        plan=planner(
            [len(part) for part in parts.train],
            length=config.windows.length,
            batch_size=config.windows.batch_size,
            carry_state=config.windows.carry_state,
        ),
    )
