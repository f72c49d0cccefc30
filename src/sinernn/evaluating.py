"""Evaluate a trained network: run it on a part of a series, score it, write the scores."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sinernn.arrays import Float
from sinernn.config import Config, check, load_config
from sinernn.config.overrides import add_to_name
from sinernn.data.series import Series
from sinernn.engines import Engine
from sinernn.engines.fused.linearization import StateMap, orbit_kernels
from sinernn.errors import ConfigError, RunFileError, UsageError
from sinernn.evaluation.baselines import History, forecast_baselines
from sinernn.evaluation.dynamics import follow
from sinernn.evaluation.forecasts import Evidence, OneStep
from sinernn.evaluation.hints import Setting
from sinernn.evaluation.metrics import counted
from sinernn.evaluation.parts import ForecastOrigin
from sinernn.evaluation.results import Scores
from sinernn.evaluation.scores import advise, score, score_channels
from sinernn.forecasting import Rows, forecast, hidden_before, place_origins, ready_engine
from sinernn.preparation import training_std, without_moved_data
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint
from sinernn.runs.directory import open_run
from sinernn.runs.files import safe_name

EVALUATED = ("signal", "evaluation")
"""Sections of a config that set what a network is evaluated on; of another config, also `split`."""

CHOOSING_ORIGINS = 50
"""Forecasts on which a baseline's order is chosen, at most: more take long and change little."""

WITHOUT_EFFECT = ("engine", "device", "limits")
"""What else an override may change: how an evaluation is computed, not its results."""


def evaluate(
    run: Run | Path | str,
    overrides: Sequence[str] = (),
    *,
    data: Path | str | None = None,
    name: str | None = None,
    runs_dir: Path | str = "runs",
) -> Scores:
    """Evaluate a run's best network and write the scores to its directory.

    With other settings or data it becomes another evaluation, in a folder `evaluations/NAME`, and
    the run's own evaluation stays. See `compute_evaluation`, which writes nothing.

    Args:
        run: The run: itself, its folder, its name in `runs_dir`, or `latest`.
        overrides: `key=value` changes to what the network is evaluated on.
        data: Another config to evaluate on.
        name: Name of the evaluation; default: made from what was changed, as in `horizon=30`.
        runs_dir: Folder of the run directories.

    Raises:
        SinernnError: The run or the data cannot be read, or do not go together; or the run cannot
            be written to.

    Example:
        >>> scores = sinernn.evaluate("latest", ["evaluation.horizon=30"])
        >>> scores.closed_loop_rmse[-1].horizon
        30
        >>> sinernn.plot("latest", names=["horizon"], evaluation="horizon=30")[0].name
        'horizon.png'
    """
    run = open_run(run, runs_dir=runs_dir)
    result = compute_evaluation(run, overrides, data=data, name=name)
    result.write(run)
    return result.scores


@dataclass(frozen=True)
class EvaluationResult:
    """The scores of a network, and the forecasts that they are computed from."""

    scores: Scores
    evidence: Evidence
    name: str | None
    """None for the run's own evaluation."""

    def write(self, run: Run) -> None:
        """Write evaluation.json, after the arrays that figures are drawn from."""
        folder = run.evaluation_folder(self.name)
        run.write_arrays(f"{folder}evaluation.safetensors", self.evidence.arrays())
        run.write_json(f"{folder}evaluation.json", self.scores.model_dump())


def compute_evaluation(
    run: Run,
    overrides: Sequence[str] = (),
    *,
    data: Path | str | None = None,
    name: str | None = None,
    config: Config | None = None,
    on_compile: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> EvaluationResult:
    """Evaluate a run's best network and baselines in open and closed loop; write nothing.

    Args:
        run: The run.
        overrides: `key=value` changes to what the network is evaluated on.
        data: Another config, whose signal, split, evaluation, engine and device to use; default:
            the run's own.
        name: Name of the evaluation; default: made from what was changed, none if nothing was.
        config: The run's own config, where it is known and nothing is changed; default: it is read.
        on_compile: Returns a context in which kernels are compiled, if they are not compiled yet.

    Raises:
        SinernnError: The run or the data cannot be read, or do not go together.
    """
    sections = EVALUATED if data is None else (*EVALUATED, "split")
    _require_evaluated(overrides, sections)
    if config is None:
        config = load_config(data or run.config_path, overrides)
    if data is None:
        overrides = without_moved_data(run, config, overrides)
    check(config, training=False)
    changed = add_to_name(config.name if data else "", overrides, config.flat())
    name = safe_name(changed) if changed and name is None else name
    run.evaluation_folder(name)  # reports a wrong name before anything is computed
    changes = [text for text in overrides if text.startswith(sections)]
    series = config.signal.read()
    checkpoint_name, checkpoint = run.best_checkpoint()
    network = checkpoint.network
    found = len(series.extent.outputs), len(series.extent.inputs)
    if found != (network.outputs, network.inputs):
        raise UsageError(
            f"{data}: signal: has {_channels(*found)}, the network of {run.path} "
            f"{_channels(network.outputs, network.inputs)}; choose a signal with as many"
        )
    origins, rows = place_origins(config, series, config.evaluation.part)
    engine = ready_engine(config, checkpoint, on_compile, orbit_kernels(network))
    evidence = _gather_evidence(config, engine, series, rows, checkpoint)
    own, own_series = config, series
    if overrides or data:
        own = load_config(run.config_path)
        with suppress(ConfigError):  # its data file is elsewhere: hints then see the other series
            own_series = own.signal.read()
    scores = Scores(
        run=own.name,
        seed=own.seed,
        cell=network.cell,
        hidden_size=network.hidden_size,
        num_layers=network.num_layers,
        parameters=network.parameter_count,
        config=config.name + (f" with {', '.join(changes)}" if changes else ""),
        judged=config.model_dump(mode="json", include={"signal", "split", "evaluation"}),
        checkpoint=checkpoint_name,
        updates=checkpoint.state.updates,
        refine_iterations=checkpoint.state.refine.step if checkpoint.state.refine else 0,
        part=config.evaluation.part,
        warmup=config.evaluation.warmup,
        initial_state=config.evaluation.initial_state,
        time_unit=series.extent.time_unit,
        channels=score_channels(evidence, series.extent),
        **score(evidence),
        hints=advise(evidence, _setting(run, own, own_series)),
        origins=[
            ForecastOrigin(segment=int(segment), sample=int(sample), diverged_at=diverged_at)
            for segment, sample, diverged_at in zip(
                origins.segments, origins.samples, evidence.closed_loop.diverged_at, strict=True
            )
        ],
    )
    return EvaluationResult(scores, evidence, name)


def _gather_evidence(
    config: Config, engine: Engine, series: Series, rows: Rows, checkpoint: Checkpoint
) -> Evidence:
    """Run the network in open and closed loop, run the baselines, and follow the hidden state."""
    settings, scale, state = config.evaluation, checkpoint.scale, checkpoint.state
    training = series.cut(series.observed, config.split.parts(series.extent.lengths).train)
    forecasts = forecast(config, series, scale, engine, rows)
    warmup, future = np.split(series.observed[rows], [settings.warmup], axis=1)
    outputs = len(series.extent.outputs)
    return Evidence(
        closed_loop=forecasts,
        open_loop=predict_one_step(config, engine, series, checkpoint),
        baselines=forecast_baselines(
            History(
                training=training,
                choosing=_choosing_samples(config, series),
                warmup=warmup,
                steps=forecasts.steps,
                season=series.period and series.period / series.extent.time_step,
                inputs=future[:, :, outputs:] if series.extent.inputs else None,
            )
        ),
        dynamics=follow(
            StateMap(checkpoint.network, state.params),
            warmup=scale.apply(warmup),
            future=scale.apply(future),
            hidden=hidden_before(settings.initial_state, state, len(warmup)),
            typical=forecasts.typical,
            transient_steps=settings.attractor_steps,
            measured_steps=settings.attractor_steps,
            to_signal=scale.first(outputs).invert,
        ),
        std=training_std(config, series),
        time_step=series.extent.time_step,
        period=series.period,
        exponent=config.signal.lyapunov_exponent,
        valid_threshold=settings.valid_threshold,
        measure=settings.measure,
    )


def predict_one_step(
    config: Config, engine: Engine, series: Series, checkpoint: Checkpoint
) -> tuple[OneStep, ...]:
    """Run a network in open loop over the evaluated part, segments of one length as one batch."""
    settings, scale = config.evaluation, checkpoint.scale
    stretches = config.split.parts(series.extent.lengths).named(settings.part)
    segments = series.cut(np.arange(len(series.time)), stretches)
    count = len(series.extent.outputs)
    groups: list[OneStep] = []
    # As in closed loop, the first evaluated sample is the one after the warm-up.
    for length in dict.fromkeys(len(rows) for rows in segments if len(rows) > settings.warmup):
        rows = np.stack([rows for rows in segments if len(rows) == length])
        inputs = scale.apply(series.observed[rows[:, :-1]])
        hidden = hidden_before(settings.initial_state, checkpoint.state, len(rows))
        outputs = engine.open_loop(inputs, hidden)[:, settings.warmup - 1 :]
        prediction = scale.first(count).invert(outputs.astype(np.float64))
        after = rows[:, settings.warmup :]
        observed, truth = (
            values[after][:, :, :count] for values in (series.observed, series.clean)
        )
        groups.append(OneStep(series.time[after], observed, truth, prediction))
    return tuple(groups)


def _choosing_samples(
    config: Config, series: Series
) -> Float[np.ndarray, "choice all channel"] | None:
    """Return samples on which a baseline's order is chosen, of the validation or training part."""
    warmup, parts = config.evaluation.warmup, config.split.parts(series.extent.lengths)
    for part in ("validation", "train"):
        if max(map(len, parts.named(part))) > warmup:
            count = min(config.evaluation.origins, CHOOSING_ORIGINS)
            return series.observed[place_origins(config, series, part, count=count)[1]]
    return None


def _channels(outputs: int, inputs: int) -> str:
    return counted(outputs, "output") + (f" and {counted(inputs, 'input')}" if inputs else "")


def _setting(run: Run, config: Config, series: Series) -> Setting:
    """Return the settings and series of a run's training that may explain a poor score."""
    training = series.cut(series.observed, config.split.parts(series.extent.lengths).train)
    try:
        losses = run.read_metrics()["loss"]
    except RunFileError:  # a run that ended before its first row can still be evaluated
        losses = np.empty(0)
    return Setting(
        order=config.windows.order,
        carry_state=config.windows.carry_state,
        length=config.windows.length,
        normalize=config.windows.normalize,
        schedule=config.training.schedule,
        gradient_clip=config.training.gradient_clip,
        period=series.period,
        time_step=series.extent.time_step,
        largest=max(float(np.abs(part).max()) for part in training if len(part)),
        losses=losses,
    )


def _require_evaluated(overrides: Sequence[str], sections: Sequence[str]) -> None:
    allowed = (*sections, *WITHOUT_EFFECT)
    wrong = [text for text in overrides if text.split("=", 1)[0].split(".", 1)[0] not in allowed]
    if wrong:
        raise UsageError(
            f"{' '.join(wrong)}: would not change how a trained network is evaluated; of its own "
            f"config only {', '.join(allowed)} can be changed, and with --data also the split"
        )
