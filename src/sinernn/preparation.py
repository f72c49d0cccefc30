"""Build an experiment from a config: its series, windows and network."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from sinernn.config import Config, check
from sinernn.data.series import Series
from sinernn.data.survey import survey_series
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
from sinernn.evaluation.climate import STRETCH, has_climate
from sinernn.model.network import Network
from sinernn.refine.stages import suit_stages
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
    config = with_stages(config)
    series = config.signal.read()
    parts = config.split.parts(series.extent.lengths)
    training = np.concatenate(series.cut(series.observed, parts.train))
    channels = training.shape[1]
    scale = identity_scale(channels)
    if config.windows.normalize:
        try:
            scale = fit_scale(training)
        except ValueError as error:
            conflict = Conflict(("windows.normalize",), f"{error}; use false")
            raise ConfigError([config.problem(conflict)]) from error
    _require_climate(config, series, parts)
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


def with_stages(config: Config) -> Config:
    """Check a config, and return it with stages that suit its series in place of `auto`.

    Raises:
        ConfigError: Settings contradict each other.
    """
    check(config)
    if config.refine is None or config.refine.stages:
        return config
    series = config.signal.read()
    parts = config.split.parts(series.extent.lengths)
    outputs = series.observed[:, : len(series.extent.outputs)]
    stages = suit_stages(
        survey_series(series.cut(outputs, parts.train)),
        config.network(series.extent.channels),
        [len(part) for part in parts.train],
        warmup=config.evaluation.warmup,
        horizon=config.evaluation.horizon,
    )
    refine = config.refine.model_copy(update={"stages": stages})
    config = config.model_copy(update={"refine": refine})
    check(config)  # their memory
    return config


def _require_climate(config: Config, series: Series, parts: Parts) -> None:
    """Check that the validation part has statistics that `refine.climate_steps` can compare."""
    if config.refine is None or config.refine.climate_steps is None:
        return
    if not has_climate(series.cut(series.observed, parts.validation)):
        message = (
            f"the validation part has no statistics to compare free runs with: it needs {STRETCH} "
            "samples in a row, and a standard deviation that hardly varies from one such stretch "
            "to the next; increase split.validation or signal.length, or use null"
        )
        settings = ("refine.climate_steps", "split.validation", "signal.length")
        raise ConfigError([config.problem(Conflict(settings, message))])
