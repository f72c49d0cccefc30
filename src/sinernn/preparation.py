"""Build an experiment from a config: its series, windows and network."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from sinernn.arrays import Float
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
    spread,
)
from sinernn.engines import Objective
from sinernn.errors import ConfigError
from sinernn.evaluation.climate import STRETCH, has_climate
from sinernn.evaluation.metrics import error_unit
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
    parts = config.split.parts(series.extent.lengths)
    training = np.concatenate(series.cut(series.observed, parts.train))
    scale = identity_scale(training.shape[1])
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
        network=config.network(series.extent),
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


def training_std(config: Config, series: Series) -> Float[np.ndarray, " output"]:
    """Return the standard deviation of each output in the training part, in signal units."""
    training = series.cut(series.observed, config.split.parts(series.extent.lengths).train)
    return spread(np.concatenate(training)[:, : len(series.extent.outputs)])


def _require_climate(config: Config, series: Series, parts: Parts) -> None:
    """Check that the validation part has statistics that `refine.climate_steps` can compare."""
    if config.refine is None or config.refine.climate_steps is None:
        return
    if series.extent.inputs:
        message = "free runs need inputs, which are not known for so many steps; use null"
        raise ConfigError([config.problem(Conflict(("refine.climate_steps",), message))])
    unit = error_unit(training_std(config, series))
    if not has_climate([part / unit for part in series.cut(series.observed, parts.validation)]):
        message = (
            f"the validation part has no statistics to compare free runs with: it needs {STRETCH} "
            "samples in a row, and a standard deviation that hardly varies from one such stretch "
            "to the next; increase split.validation or signal.length, or use null"
        )
        settings = ("refine.climate_steps", "split.validation", "signal.length")
        raise ConfigError([config.problem(Conflict(settings, message))])
