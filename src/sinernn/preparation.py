"""A config made concrete: its series, its windows and its network; a pure function of it."""

from dataclasses import dataclass
from typing import Any

from sinernn import windows
from sinernn.config import Config, check
from sinernn.engines import Objective
from sinernn.errors import ConfigError
from sinernn.network import Network
from sinernn.signals import Series
from sinernn.windows import Planner, Scale


@dataclass(frozen=True)
class Experiment:
    """A config made concrete: its series, its windows and its network."""

    config: Config
    series: Series
    scale: Scale
    network: Network
    objective: Objective
    plan: Planner


def prepare(config: Config) -> Experiment:
    """Make all that training needs; a pure function of the config.

    Raises:
        ConfigError: Settings contradict each other, or the training part is constant and cannot be
            normalized.
    """
    check(config)
    series = config.signal.samples()
    training_part = series.observed[:, : config.parts.train]
    segments, samples, channels = training_part.shape
    scale = windows.identity_scale(channels)
    if config.windows.normalize:
        try:
            scale = windows.fit_scale(training_part)
        except ValueError as error:
            message = f"{error}; set windows.normalize=false"
            raise ConfigError([config.problem("windows.normalize", message=message)]) from error
    planner: dict[str, Any] = {
        "segments": segments,
        "samples": samples,
        "length": config.windows.length,
        "batch_size": config.windows.batch_size,
        "carry_state": config.windows.carry_state,
    }
    return Experiment(
        config=config,
        series=series,
        scale=scale,
        network=Network(
            cell=config.model.cell,
            channels=channels,
            hidden_size=config.model.hidden_size,
            num_layers=config.model.num_layers,
            dtype=config.dtype,
        ),
        objective=Objective(
            samples=scale.apply(training_part).reshape(-1, channels).astype(config.dtype),
            length=config.windows.length,
            washout=config.windows.washout,
            gradient_clip=config.training.gradient_clip,
        ),
        plan=windows.random_planner(**planner, seed=config.seed)
        if config.windows.order == "random"
        else windows.contiguous_planner(**planner),
    )
