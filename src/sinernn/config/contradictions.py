"""What no single setting shows: settings against each other, and what a run will cost."""

from dataclasses import dataclass

from sinernn.config.cost import RATES, gigabytes, seconds
from sinernn.config.sections import HIGHEST_LIMIT, Config
from sinernn.engines import is_faster_fused
from sinernn.model.network import Network
from sinernn.signals import MackeyGlass
from sinernn.windows import room_for_origins, whole_windows


@dataclass(frozen=True)
class Contradiction:
    """Settings that do not go together."""

    settings: tuple[str, ...]
    """The one to change first, then the others; all by their dotted names."""

    message: str


def find_contradictions(config: Config, *, to_judge: bool = False) -> list[Contradiction]:
    """Return everything about the settings together that keeps a run from making sense.

    Args:
        config: The settings.
        to_judge: Leave out what only training needs.
    """
    both = config.split.train + config.split.validation
    if both > 1 + 1e-12:
        message = f"train and validation must not exceed 1, they sum to {both:g}"
        return [Contradiction(("split.validation", "split.train"), message)]
    found = _signal(config)
    if not to_judge:
        found += [*_windows(config), *_validation(config), *_refine(config)]
    found += _judged(config)
    if config.device == "mps" and config.dtype == "float64":
        message = "mps cannot compute in float64; set dtype=float32 or device=cpu"
        found.append(Contradiction(("dtype", "device"), message))
    if config.engine == "fused" and config.device not in ("auto", "cpu"):
        message = "the fused engine computes on the CPU; set device=cpu or engine=torch"
        found.append(Contradiction(("device", "engine"), f"{message}, got {config.device}"))
    return found or _cost(config)


def _signal(config: Config) -> list[Contradiction]:
    signal = config.signal
    if isinstance(signal, MackeyGlass) and (found := _integration(signal)):
        return found
    latest = max(map(abs, signal.starts)) + signal.length * signal.time_step
    resolution = latest * 2.0**-52  # spacing of floats there, at most
    if signal.time_step > 1000 * resolution:
        return []
    message = (
        f"at time {latest:g} a computer's numbers are {resolution:.1g} apart, too coarse for "
        f"signal.time_step, {signal.time_step:g}; start nearer to 0"
    )
    return [Contradiction(("signal.starts", "signal.time_step"), message)]


MAX_INTEGRATION_STEPS = 3_000_000  # a second or so, and the memory of a small laptop
MAX_STRETCHES = 100_000  # of integration steps taken at once: a few seconds


def _integration(signal: MackeyGlass) -> list[Contradiction]:
    step = signal.integration_step
    found: list[Contradiction] = []
    for setting, times in {
        "delay": (signal.delay,),
        "time_step": (signal.time_step,),
        "transient": (signal.transient,),
        "starts": signal.starts,
    }.items():
        for time in times:
            steps = time / step
            if abs(steps - round(steps)) > 1e-6 * max(1.0, abs(steps)):
                message = f"must be whole steps of signal.integration_step, {step:g}; got {time:g}"
                settings = (f"signal.{setting}", "signal.integration_step")
                found.append(Contradiction(settings, message))
    if found:
        return found
    if signal.steps(signal.delay) < 4:
        message = f"must be at least 4 steps of signal.integration_step, {step:g}"
        settings = ("signal.delay", "signal.integration_step")
        return [Contradiction(settings, f"{message}; got {signal.delay:g}")]
    if signal.transient + min(signal.starts) < 0:
        message = f"must not be before signal.transient, {signal.transient:g}, is over"
        settings = ("signal.starts", "signal.transient")
        return [Contradiction(settings, f"{message}; got {min(signal.starts):g}")]
    length = signal.transient + max(signal.starts) + signal.length * signal.time_step
    if length / step > MAX_INTEGRATION_STEPS:
        message = (
            f"the series would take {length / step:.3g} integration steps, at most "
            f"{MAX_INTEGRATION_STEPS:,}; choose a longer one, or a shorter series"
        )
        settings = ("signal.integration_step", "signal.length", "signal.time_step")
        others = ("signal.starts", "signal.transient")
        return [Contradiction((*settings, *others), message)]
    stretches = length / step / signal.stretch
    if stretches > MAX_STRETCHES:
        message = (
            f"with so short a delay only {signal.stretch} integration steps are taken at once, and "
            f"the series would take {stretches:.3g} such stretches, at most {MAX_STRETCHES:,}; "
            "choose a longer one, or a shorter series"
        )
        settings = ("signal.delay", "signal.length", "signal.time_step", "signal.integration_step")
        return [Contradiction((*settings, "signal.starts", "signal.transient"), message)]
    return []


def _windows(config: Config) -> list[Contradiction]:
    windows, samples, segments = config.windows, config.parts.train, len(config.signal.starts)
    found: list[Contradiction] = []
    if windows.length + 1 > samples:
        message = (
            f"a window is {windows.length} inputs and one target more, but the training part has "
            f"{samples} samples a segment; at most {max(samples - 1, 0)} here"
        )
        settings = ("windows.length", "split.train", "signal.length")
        found.append(Contradiction(settings, message))
    elif windows.order == "contiguous":
        count = segments * whole_windows(samples, windows.length)
        if windows.batch_size > count:
            message = (
                f"the training part has {count} windows, got {windows.batch_size}; lower it, "
                "or set windows.order=random"
            )
            settings = ("windows.batch_size", "windows.length", "split.train", "signal.length")
            found.append(Contradiction(settings, message))
    if windows.washout >= windows.length:
        message = (
            f"must be less than windows.length, {windows.length}, or no step counts; "
            f"got {windows.washout}"
        )
        found.append(Contradiction(("windows.washout", "windows.length"), message))
    elif windows.washout and windows.order == "random" and windows.carry_state:
        message = (
            "would hold for the first update alone, since random windows that carry the state "
            "never reset it again; set windows.carry_state=false, or windows.washout=0"
        )
        settings = ("windows.washout", "windows.order", "windows.carry_state")
        found.append(Contradiction(settings, message))
    return found


def _validation(config: Config) -> list[Contradiction]:
    samples, warmup = config.parts.validation, config.evaluation.warmup
    if config.training.evaluate_every is None or samples > warmup:
        return []
    way_out = "set training.evaluate_every=null"
    if samples == 0:
        message = f"there is no validation part to evaluate on; enlarge it, or {way_out}"
        return [Contradiction(("split.validation", "training.evaluate_every"), message)]
    message = (
        f"the validation part has {samples} samples a segment, which leaves nothing after "
        f"evaluation.warmup, {warmup}; enlarge it, or {way_out}"
    )
    return [Contradiction(("split.validation", "evaluation.warmup", "signal.length"), message)]


def _judged(config: Config) -> list[Contradiction]:
    evaluation, segments = config.evaluation, len(config.signal.starts)
    begin, end = config.parts.bounds(evaluation.part)
    sizes = ("split.train", "split.validation", "signal.length")
    if begin == end:
        if evaluation.part == "train":
            return []  # no window fits either, and that is told
        message = "there is no test part; lower split.train, or set evaluation.part=train"
        return [Contradiction(("evaluation.part", *sizes), message)]
    room = room_for_origins((begin, end), warmup=evaluation.warmup, horizon=evaluation.horizon)
    if room == 0:
        left = max(end - begin - evaluation.warmup, 0)
        message = (
            f"the {evaluation.part} part has {end - begin} samples a segment, which leaves "
            f"{left} after evaluation.warmup, {evaluation.warmup}; got {evaluation.horizon}"
        )
        return [Contradiction(("evaluation.horizon", "evaluation.warmup", *sizes), message)]
    if evaluation.origins > room * segments:
        message = (
            f"the {evaluation.part} part has room for {room * segments}, got {evaluation.origins}"
        )
        settings = ("evaluation.origins", "evaluation.horizon", "evaluation.warmup", *sizes)
        return [Contradiction(settings, message)]
    return []


MAX_REFINED_PARAMETERS = 1500  # an iteration's time and memory grow with their square


def _refine(config: Config) -> list[Contradiction]:
    if config.refine is None:
        return []
    found: list[Contradiction] = []

    def tell(message: str, *settings: str) -> None:
        found.append(Contradiction(settings, message))

    way_out, samples = "set refine=null", config.parts.train
    if config.model.num_layers > 1:
        message = f"refine is for networks of one layer, got {config.model.num_layers}"
        tell(f"{message}; lower it, or {way_out}", "model.num_layers", "refine")
    elif (parameters := _network(config).parameter_count) > MAX_REFINED_PARAMETERS:
        message = (
            f"the network has {parameters} parameters, and refine takes at most "
            f"{MAX_REFINED_PARAMETERS}, since its time and memory grow with their square"
        )
        settings = ("model.hidden_size", "model.cell", "refine")
        tell(f"{message}; lower it, or {way_out}", *settings)
    if config.dtype != "float64":
        message = "refine gains digits that float32 has not"
        tell(f"{message}; set dtype=float64, or {way_out}", "dtype", "refine")
    if config.evaluation.initial_state == "carried":
        message = "refine reads its sequences from rest, and what training left behind goes stale"
        settings = ("evaluation.initial_state", "refine")
        tell(f"{message}; set evaluation.initial_state=zero, or {way_out}", *settings)
    if config.parts.validation <= config.evaluation.warmup:
        message = (
            f"refine keeps what is best on the validation part, whose {config.parts.validation} "
            f"samples a segment leave nothing after evaluation.warmup, {config.evaluation.warmup}"
        )
        settings = ("split.validation", "evaluation.warmup", "refine")
        tell(f"{message}; enlarge it, or {way_out}", *settings)
    elif config.refine.origins is not None:
        room = _validation_room(config)
        if config.refine.origins > room:
            message = f"the validation part has room for {room}, got {config.refine.origins}"
            sizes = ("evaluation.horizon", "evaluation.warmup", "split.validation", "signal.length")
            tell(message, "refine.origins", *sizes)
    for number, stage in enumerate(config.refine.stages):
        here = f"refine.stages.{number}"
        if stage.warmup + stage.horizon > samples:
            message = (
                f"the training part has {samples} samples a segment, which leaves "
                f"{max(samples - stage.warmup, 0)} after the stage's warm-up, {stage.warmup}; "
                f"got {stage.horizon}"
            )
            settings = (f"{here}.horizon", f"{here}.warmup", "refine", *_SIZES)
            tell(message, *settings)
        if stage.stride > stage.horizon:
            message = (
                f"must not exceed the stage's horizon, {stage.horizon}, whose last step alone "
                f"counts then; got {stage.stride}"
            )
            tell(message, f"{here}.stride", f"{here}.horizon")
        for setting in ("measure_every", "redraw_every"):
            every = getattr(stage, setting)
            if every is not None and every > stage.iterations:
                message = (
                    f"the stage has {stage.iterations} iterations, got {every}; set it to null"
                )
                tell(message, f"{here}.{setting}", f"{here}.iterations")
        if stage.lift and config.model.cell != "rnn_relu":
            message = f"only rnn_relu has a kink to be lifted from, and this is {config.model.cell}"
            tell(f"{message}; set it to 0", f"{here}.lift", "model.cell")
        if stage.redraw_every is not None and stage.warmup_noise == 0:
            message = "there is no noise to draw anew; set it to null, or warmup_noise above 0"
            tell(message, f"{here}.redraw_every", f"{here}.warmup_noise")
    return found


def _validation_room(config: Config) -> int:
    """Return how many forecasts refinement can be judged by."""
    settings, (begin, end) = config.evaluation, config.parts.bounds("validation")
    horizon = min(settings.horizon, end - begin - settings.warmup)
    room = room_for_origins((begin, end), warmup=settings.warmup, horizon=horizon)
    return room * len(config.signal.starts)


_SIZES = ("split.train", "signal.length")


def _cost(config: Config) -> list[Contradiction]:
    found: list[Contradiction] = []
    hours = {setting: spent / 3600 for setting, spent in _seconds(config).items()}
    for amounts, limit, unit, setting in (
        (_gigabytes(config), config.limits.memory_gb, "GB of memory", "limits.memory_gb"),
        (hours, config.limits.hours, "hours on one core", "limits.hours"),
    ):
        total, largest = sum(amounts.values()), max(amounts, key=lambda name: amounts[name])
        if total > limit:
            raised = 1.2 * total
            message = (
                f"the run would take about {_rounded(total)} {unit}, most of it here, and the "
                f"limit is {limit:g}; choose less"
            )
            if raised < HIGHEST_LIMIT:
                message += f", or set {setting}={_rounded(raised)}"
            found.append(Contradiction((largest, *_CAUSES.get(largest, ())), message))
    return found


_CAUSES = {
    "signal.length": ("signal.starts",),
    "windows.batch_size": ("windows.length", "model.hidden_size"),
    "training.log_every": ("training.steps",),
    "training.evaluate_every": ("training.steps", "evaluation.horizon"),
    "training.checkpoint_every": ("training.steps", "training.log_every"),
    "training.steps": ("model.hidden_size", "windows.length", "windows.batch_size"),
    "evaluation.part": ("signal.length", "model.hidden_size"),
    "refine.stages": ("refine", "model.hidden_size"),
    "refine.origins": ("evaluation.origins", "evaluation.horizon"),
}
"""Other settings that make the same thing large."""


def _seconds(config: Config) -> dict[str, float]:
    settings, judged, network = config.training, config.evaluation, _network(config)
    engine = config.engine
    if engine == "auto":
        engine = "fused" if is_faster_fused(network) else "torch"
    spent = seconds(
        network,
        RATES[engine],
        steps=settings.steps,
        batch_size=config.windows.batch_size,
        length=config.windows.length,
        evaluations=_times(settings.steps, settings.evaluate_every),
        checkpoints=max(1, _times(settings.steps, settings.checkpoint_every)),
        rows=_rows(config),
        free_steps=judged.warmup + judged.horizon,
        origins=judged.origins,
        refine=config.refine,
    )
    if config.device not in ("auto", "cpu"):  # nobody has measured an accelerator
        return {"refine.stages": spent["refine.stages"]}  # is computed on the CPU all the same
    return spent


def _gigabytes(config: Config) -> dict[str, float]:
    segments, judged = len(config.signal.starts), config.evaluation
    begin, end = config.parts.bounds(judged.part)
    return gigabytes(
        _network(config),
        samples=segments * config.signal.length,
        judged=segments * (end - begin),
        batch_size=config.windows.batch_size,
        length=config.windows.length,
        steps=config.training.steps,
        rows=_rows(config),
        free_steps=judged.warmup + judged.horizon,
        origins=judged.origins,
        refine=config.refine,
    )


def _network(config: Config) -> Network:
    model = config.model
    return Network(
        cell=model.cell,
        channels=1,
        hidden_size=model.hidden_size,
        num_layers=model.num_layers,
        dtype=config.dtype,
    )


def _rows(config: Config) -> int:
    settings = config.training
    every = (settings.log_every, settings.evaluate_every, settings.checkpoint_every)
    return sum(_times(settings.steps, gap) for gap in every)  # at most: some coincide


def _times(steps: int, every: int | None) -> int:
    return 0 if every is None else -(-steps // every)


def _rounded(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"
