"""Build an experiment from a config: its series, windows and network."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sinernn import engines
from sinernn.arrays import Float
from sinernn.config import Config, check
from sinernn.data.files import File
from sinernn.data.series import Series
from sinernn.data.survey import survey_series
from sinernn.data.tables import shown
from sinernn.data.windows import (
    Parts,
    Planner,
    Scale,
    contiguous_planner,
    fit_scale,
    identity_scale,
    noisy_copies,
    random_planner,
    spread,
)
from sinernn.engines import EngineChoice, Objective
from sinernn.errors import ConfigError, UsageError, command_line
from sinernn.evaluation.climate import STRETCH, estimate_exponent, has_climate
from sinernn.evaluation.metrics import error_unit
from sinernn.model.network import Network
from sinernn.refine.stages import suit_stages
from sinernn.runs import Run
from sinernn.runs.facts import DataFacts
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

    def choose_engine(self) -> EngineChoice:
        """Return the engine and device that train it."""
        config, rows = self.config, self.config.windows.batch_size
        return engines.choose(config.engine, config.device, self.network, rows=rows)


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
            samples=noisy_copies(
                scale.apply(training), config.windows.noise_std, config.seed, config.windows.copies
            ).astype(config.dtype),
            length=config.windows.length,
            washout=config.windows.washout,
            gradient_clip=config.training.gradient_clip,
        ),
        plan=planner(
            [len(part) for part in parts.train] * config.windows.copies,
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
    training = series.cut(series.observed, parts.train)
    survey = survey_series(training, inputs=len(series.extent.inputs))
    stages = suit_stages(
        survey,
        config.network(series.extent),
        [len(part) for part in parts.train],
        warmup=config.evaluation.warmup,
        horizon=config.evaluation.horizon,
        lyapunov_time=_lyapunov_time(config, series, training) if survey.is_irregular else np.inf,
    )
    refine = config.refine.model_copy(update={"stages": stages})
    config = config.model_copy(update={"refine": refine})
    check(config)  # their memory
    return config


def _lyapunov_time(
    config: Config, series: Series, training: Sequence[Float[np.ndarray, "_ output"]]
) -> float:
    """Return the steps in which a small difference grows e-fold: infinite if it does not."""
    exponent = config.signal.lyapunov_exponent
    if exponent is None:
        per_step = estimate_exponent(max(training, key=len) / training_unit(config, series))
    else:
        per_step = exponent * series.extent.time_step
    return 1 / per_step if per_step > 0 else np.inf  # NaN: not known


def training_std(config: Config, series: Series) -> Float[np.ndarray, " output"]:
    """Return the standard deviation of each output in the training part, in signal units."""
    training = series.cut(series.observed, config.split.parts(series.extent.lengths).train)
    return spread(np.concatenate(training)[:, : len(series.extent.outputs)])


def training_unit(config: Config, series: Series) -> Float[np.ndarray, " output"]:
    """Return what errors of each output are divided by: see `metrics.error_unit`."""
    is_single = len(series.extent.outputs) == 1  # of which no standard deviation is needed
    return np.ones(1) if is_single else error_unit(training_std(config, series))


def data_facts(config: Config) -> DataFacts | None:
    """Return the facts of a config's data file; None for a generated signal."""
    if not isinstance(config.signal, File):
        return None
    sha256, size = config.signal.fingerprint()
    rows, columns = config.signal.rows(), config.signal.extent().names
    return DataFacts(sha256=sha256, bytes=size, rows=rows, columns=columns)


def with_data_path(config: Config, path: str) -> Config:
    """Return a config of a data file with another path."""
    return config.model_copy(update={"signal": config.signal.model_copy(update={"path": path})})


def require_data(run: Run, config: Config, command: str) -> None:
    """Check that the config's data file is the one that a run was trained on, wherever it is.

    Args:
        run: The run.
        config: Its config, perhaps with another path.
        command: The command that takes `signal.path=FILE`, with the options that it needs.

    Raises:
        UsageError: The file is missing or has changed.
    """
    recorded = run.read_facts().data
    if recorded is None or not isinstance(config.signal, File):
        return
    way_out = f"{command_line(command, run.path)} signal.path=FILE"
    name = f"{shown(config.signal.file)}: the data of {run.path}"
    try:
        sha256, size = config.signal.fingerprint()
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}; put the file back"
        raise UsageError(f"{name} {why}, or point to it with: {way_out}") from error
    if sha256 != recorded.sha256:
        found = f"SHA-256 {sha256[:12]}..., not {recorded.sha256[:12]}..."
        if size != recorded.bytes:
            found = f"{size} bytes, not {recorded.bytes} in {recorded.rows} rows"
        why = f"has changed since it was trained ({found}); restore the file"
        raise UsageError(f"{name} {why}, or point to a copy with: {way_out}")


def without_moved_data(run: Run, config: Config, overrides: Sequence[str]) -> list[str]:
    """Return overrides that change what is evaluated; a new path of the same data file does not.

    Raises:
        UsageError: The data file is missing or has changed; or another one has other columns.
    """
    others = [text for text in overrides if text.partition("=")[0].strip() != "signal.path"]
    recorded = run.read_facts().data
    if recorded is None or not isinstance(config.signal, File):
        return list(overrides)
    try:
        require_data(run, config, "eval")
    except UsageError:
        if len(others) == len(overrides) or not config.signal.file.is_file():
            raise
        found = config.signal.extent().names
        if found != recorded.columns:
            message = (
                f"{shown(config.signal.file)}: has the columns {', '.join(found)}, and the network "
                f"of {run.path} reads {', '.join(recorded.columns)}; describe the file in a config "
                "of its own, and use --data"
            )
            raise UsageError(message) from None
        return list(overrides)
    return others


def _require_climate(config: Config, series: Series, parts: Parts) -> None:
    """Check that the validation part has statistics that `refine.climate_steps` can compare."""
    if config.refine is None or config.refine.climate_steps is None:
        return
    if series.extent.inputs:
        message = "free runs need inputs, which are not known for so many steps; use null"
        raise ConfigError([config.problem(Conflict(("refine.climate_steps",), message))])
    unit = training_unit(config, series)
    if not has_climate([part / unit for part in series.cut(series.observed, parts.validation)]):
        message = (
            f"the validation part has no statistics to compare free runs with: it needs {STRETCH} "
            "samples in a row, and a standard deviation that hardly varies from one such stretch "
            "to the next; increase split.validation, use a longer series, or use null"
        )
        settings = ("refine.climate_steps", "split.validation", "signal.length")
        raise ConfigError([config.problem(Conflict(settings, message))])
