"""Check settings against each other and against the extent of the data."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sinernn.config.memory import estimate_memory_gb, estimate_reading_gb
from sinernn.config.messages import to_error
from sinernn.config.sections import MAX_MEMORY_GB, Config
from sinernn.data.files import File
from sinernn.data.series import Extent
from sinernn.data.tables import shown
from sinernn.data.windows import Parts, count_origins, whole_windows
from sinernn.errors import command_line
from sinernn.refine.stages import Refine
from sinernn.schema import Conflict

MAX_REFINED_PARAMETERS = 10_000
"""An iteration takes some seconds if residuals are fewer; its memory grows with their square."""


def check(config: Config, *, training: bool = True) -> None:
    """Check that the settings are consistent.

    Args:
        config: From a file or a program.
        training: Also check what only training needs.

    Raises:
        ConfigError: With every conflict between settings, and its place.
    """
    if conflicts := find_conflicts(config, training=training):
        raise to_error([config.problem(conflict) for conflict in conflicts])


def find_conflicts(config: Config, *, training: bool = True) -> list[Conflict]:
    """Return every conflict between settings; see `check`."""
    total = config.split.train + config.split.validation
    if total > 1 + 1e-12:
        message = f"the sum with split.train must be at most 1, got {total:g}"
        return [Conflict(("split.validation", "split.train"), message)]
    found = [
        Conflict(tuple(f"signal.{name}" for name in conflict.settings), conflict.message)
        for conflict in config.signal.conflicts()
    ]
    found = found or list(_reading(config))
    if found:
        return found
    extent = config.signal.extent()
    parts = config.split.parts(extent.lengths)
    if training:
        found += [
            *_windows(config, parts),
            *_validation(config, parts),
            *_refine(config, extent, parts),
        ]
    found += [*_evaluation(config, parts), *_device(config)]
    found += _too_short(config, extent, found)
    return found or list(_memory(config, extent))


_SIZES = ("split.train", "signal.length")


def _reading(config: Config) -> Iterator[Conflict]:
    """Yield a data file that is too large to read."""
    limit = config.limits.memory_gb
    if isinstance(config.signal, File) and (size := estimate_reading_gb(config.signal)) > limit:
        message = (
            f"reading the file needs about {_rounded(size)} GB of memory, and the limit is "
            f"{limit:g} GB; use fewer columns or a shorter file"
        )
        if 1.2 * size < MAX_MEMORY_GB:
            message += f", or set limits.memory_gb={_rounded(1.2 * size)}"
        yield Conflict(("signal.path",), message)


def _too_short(config: Config, extent: Extent, found: Sequence[Conflict]) -> Iterator[Conflict]:
    """Yield a data file that is too short for the settings, after what to lower."""
    if isinstance(config.signal, File) and any("signal.length" in each.settings for each in found):
        way_out = command_line("init", Path(shown(config.signal.file)))
        size = f"its longest recording has {max(extent.lengths)} samples"
        message = f"{size}; for settings that fit: {way_out}"
        yield Conflict(("signal.path",), message)


def _windows(config: Config, parts: Parts) -> Iterator[Conflict]:
    windows = config.windows
    longest = max(map(len, parts.train))
    if windows.length >= longest:
        message = (
            f"a window of {windows.length} inputs and one more target exceeds the training part "
            f"({_samples(parts.train)}); "
        )
        message += f"use at most {longest - 1}" if longest > 1 else "increase split.train"
        yield Conflict(("windows.length", *_SIZES), message)
    elif windows.order == "contiguous":
        count = sum(whole_windows(len(part), windows.length) for part in parts.train)
        count *= windows.copies
        if windows.batch_size > count:
            message = (
                f"must be at most {count}, the number of windows in the training part, got "
                f"{windows.batch_size}; decrease it, or set windows.order=random"
            )
            yield Conflict(("windows.batch_size", "windows.length", *_SIZES), message)
    if windows.washout >= windows.length:
        message = (
            f"must be less than windows.length ({windows.length}), otherwise no step counts, got "
            f"{windows.washout}"
        )
        yield Conflict(("windows.washout", "windows.length"), message)
    elif windows.washout and windows.order == "random" and windows.carry_state:
        message = (
            "applies to the first update only, since random windows with a carried state never "
            "reset it; set windows.carry_state=false, or use 0"
        )
        yield Conflict(("windows.washout", "windows.order", "windows.carry_state"), message)


def _validation(config: Config, parts: Parts) -> Iterator[Conflict]:
    longest, warmup = max(map(len, parts.validation)), config.evaluation.warmup
    if config.training.evaluate_every is None or longest > warmup:
        return
    advice = "increase it, or set training.evaluate_every=null"
    if longest == 0:
        settings = ("split.validation", "training.evaluate_every")
        yield Conflict(settings, f"the validation part is empty; {advice}")
    else:
        message = (
            f"the validation part ({_samples(parts.validation)}) is not longer than "
            f"evaluation.warmup ({warmup}); {advice}"
        )
        yield Conflict(("split.validation", "evaluation.warmup", "signal.length"), message)


def _evaluation(config: Config, parts: Parts) -> Iterator[Conflict]:
    evaluation, part = config.evaluation, parts.named(config.evaluation.part)
    sizes = ("split.train", "split.validation", "signal.length")
    longest = max(map(len, part))
    if longest == 0:
        if evaluation.part != "train":  # an empty training part is reported by `_windows`
            message = "the test part is empty; decrease split.train, or use train"
            yield Conflict(("evaluation.part", *sizes), message)
        return
    count = sum(count_origins(part, warmup=evaluation.warmup, horizon=evaluation.horizon))
    left = longest - evaluation.warmup
    if count == 0:
        message = (
            f"the {evaluation.part} part ({_samples(part)}) leaves {max(left, 0)} after "
            f"evaluation.warmup ({evaluation.warmup}), got {evaluation.horizon}"
        )
        message += f"; use at most {left}" if left > 0 else "; decrease evaluation.warmup"
        yield Conflict(("evaluation.horizon", "evaluation.warmup", *sizes), message)
    elif evaluation.origins > count:
        message = (
            f"must be at most {count}, as many as fit into the {evaluation.part} part, got "
            f"{evaluation.origins}"
        )
        settings = ("evaluation.origins", "evaluation.horizon", "evaluation.warmup", *sizes)
        yield Conflict(settings, message)


def _device(config: Config) -> Iterator[Conflict]:
    if config.device == "mps" and config.dtype == "float64":
        message = "mps does not support float64; use float32, or set device=cpu"
        yield Conflict(("dtype", "device"), message)
    if config.engine == "fused" and config.device not in ("auto", "cpu"):
        message = (
            f"the fused engine runs on the CPU, got {config.device}; use cpu, or set engine=torch"
        )
        yield Conflict(("device", "engine"), message)


def _refine(config: Config, extent: Extent, parts: Parts) -> Iterator[Conflict]:
    if config.refine is None:
        return
    off = "set refine=null"
    if config.model.num_layers > 1:
        message = f"refine supports one layer, got {config.model.num_layers}; use 1, or {off}"
        yield Conflict(("model.num_layers", "refine"), message)
    elif (count := config.network(extent).parameter_count) > MAX_REFINED_PARAMETERS:
        message = (
            f"the network has {count} parameters, and refine supports at most "
            f"{MAX_REFINED_PARAMETERS}, since its time and memory grow with their square; decrease "
            f"it, or {off}"
        )
        yield Conflict(("model.hidden_size", "model.cell", "refine"), message)
    if config.dtype != "float64":
        message = f"refine needs the precision of float64; use it, or {off}"
        yield Conflict(("dtype", "refine"), message)
    if config.evaluation.initial_state == "carried":
        message = (
            "refine starts its sequences from a zero state, and a carried state does not fit the "
            f"refined network; use zero, or {off}"
        )
        yield Conflict(("evaluation.initial_state", "refine"), message)
    warmup = config.evaluation.warmup
    longest = max(map(len, parts.validation))
    if longest <= warmup:
        message = (
            f"refine needs forecasts on the validation part, and its {_samples(parts.validation)} "
            f"leave nothing after evaluation.warmup ({warmup}); increase it, or {off}"
        )
        yield Conflict(("split.validation", "evaluation.warmup", "refine"), message)
    elif config.refine.origins is not None:
        steps = config.refine.forecast_steps or config.evaluation.horizon
        horizon = min(steps, longest - warmup)
        count = sum(count_origins(parts.validation, warmup=warmup, horizon=horizon))
        if config.refine.origins > count:
            message = (
                f"must be at most {count}, as many as fit into the validation part, got "
                f"{config.refine.origins}"
            )
            sizes = ("evaluation.horizon", "evaluation.warmup", "split.validation", "signal.length")
            yield Conflict(("refine.origins", "refine.forecast_steps", *sizes), message)
    yield from _stages(config.refine, config.model.cell, parts)


def _stages(refine: Refine, cell: str, parts: Parts) -> Iterator[Conflict]:
    longest = max(map(len, parts.train))
    for number, stage in enumerate(refine.stages):
        here = f"refine.stages.{number}"
        if stage.warmup + stage.horizon > longest:
            message = (
                f"the training part ({_samples(parts.train)}) leaves "
                f"{max(longest - stage.warmup, 0)} after the stage's warm-up ({stage.warmup}), got "
                f"{stage.horizon}"
            )
            yield Conflict((f"{here}.horizon", f"{here}.warmup", "refine", *_SIZES), message)
        if stage.stride > stage.horizon:
            message = (
                f"must be at most the stage's horizon ({stage.horizon}), where it already counts "
                f"only the last step, got {stage.stride}"
            )
            yield Conflict((f"{here}.stride", f"{here}.horizon"), message)
        for setting, off in (("measure_every", "null"), ("redraw_every", "null"), ("batches", "1")):
            count = getattr(stage, setting)
            if count is not None and count > stage.iterations:
                message = (
                    f"must be at most the stage's iterations ({stage.iterations}), got {count}; "
                    f"decrease it, or use {off}"
                )
                yield Conflict((f"{here}.{setting}", f"{here}.iterations"), message)
        if stage.lift and cell != "rnn_relu":
            message = f"only rnn_relu has a kink to lift units from, got {cell}; use 0"
            yield Conflict((f"{here}.lift", "model.cell"), message)
        if stage.redraw_every is not None and stage.warmup_noise == 0:
            message = "there is no noise to redraw; use null, or set warmup_noise above 0"
            yield Conflict((f"{here}.redraw_every", f"{here}.warmup_noise"), message)


def _memory(config: Config, extent: Extent) -> Iterator[Conflict]:
    sizes = estimate_memory_gb(config, extent)
    total, largest = sum(sizes.values()), max(sizes, key=lambda setting: sizes[setting])
    limit = config.limits.memory_gb
    if total <= limit:
        return
    advice = "decrease it"
    if isinstance(config.signal, File) and largest == "signal.length":
        largest, advice = "signal.downsample", "use fewer samples"
    message = (
        f"the run needs about {_rounded(total)} GB of memory, most of it for this, and the limit "
        f"is {limit:g} GB; {advice}"
    )
    if 1.2 * total < MAX_MEMORY_GB:
        message += f", or set limits.memory_gb={_rounded(1.2 * total)}"
    yield Conflict((largest, *_CAUSES.get(largest, ())), message)


_CAUSES = {
    "signal.length": ("signal.starts",),
    "windows.batch_size": ("windows.length", "model.hidden_size"),
    "training.log_every": ("training.steps",),
    "evaluation.part": ("signal.length", "model.hidden_size"),
    "refine.stages": ("refine", "model.hidden_size"),
    "refine.origins": ("refine.forecast_steps", "evaluation.origins", "evaluation.horizon"),
    "refine.climate_steps": ("refine.origins", "evaluation.origins"),
}
"""Other settings on which the same memory depends."""


def _samples(part: Sequence[range]) -> str:
    """Describe the size of a part."""
    lengths = {len(stretch) for stretch in part}
    size = f"{max(lengths)} samples"
    if len(part) == 1:
        return size
    return f"{size} per segment" if len(lengths) == 1 else f"at most {size} per segment"


def _rounded(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"
