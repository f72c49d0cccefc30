"""The whole experiment on one page: every setting with its unit, its bound and its reason."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from sinernn.errors import ConfigError, KeyPath, Problem
from sinernn.schema import Section, Whole
from sinernn.signals import Signal, Sine
from sinernn.windows import Parts, room_for_origins, split_by_time, whole_windows
from sinernn.yamlfile import (
    Document,
    apply_overrides,
    describe,
    dump_yaml,
    nearest,
    read_yaml,
)


class Windows(Section):
    """How the series is cut into what one update sees."""

    length: Whole = Field(default=49, ge=1, le=100_000)
    """Input samples in a window, which is also how far gradients reach back in time."""

    batch_size: Whole = Field(default=1, ge=1, le=65_536)
    """Windows in one update."""

    order: Literal["contiguous", "random"] = "contiguous"
    """Laid end to end along each segment, or drawn at random."""

    carry_state: bool = True
    """Whether a window starts from the hidden state that the last one left behind; with random
    order the two are no neighbours, and the state contradicts the data."""

    washout: Whole = Field(default=0, ge=0, le=100_000)
    """First steps after a reset of the hidden state that do not count in the loss."""

    normalize: bool = True
    """Scale by the training part's mean and standard deviation."""


class Split(Section):
    """Parts of every segment, in time order and never shuffled; the rest is the test part."""

    train: float = Field(default=0.7, gt=0, le=1)
    """Fraction to train on, rounded to whole samples."""

    validation: float = Field(default=0.15, ge=0, lt=1)
    """Fraction to choose the best checkpoint on, rounded to whole samples."""


class Model(Section):
    """The network: recurrent layers and a linear read-out at every step."""

    cell: Literal["rnn_tanh", "rnn_relu", "gru", "lstm"] = "rnn_tanh"
    """Kind of recurrent unit; rnn_* are Elman networks."""

    hidden_size: Whole = Field(default=16, ge=1, le=4096)
    """Units in a layer; time and memory grow with the square."""

    num_layers: Whole = Field(default=1, ge=1, le=16)
    """Recurrent layers, each reading the one below."""


class Training(Section):
    """First-order training: Adam on the mean squared one-step error."""

    steps: Whole = Field(default=20_000, ge=1, le=1_000_000_000)
    """Updates."""

    learning_rate: float = Field(default=0.003, gt=0, le=10)
    """Adam's step size at the first update."""

    schedule: Literal["constant", "cosine"] = "cosine"
    """How the learning rate goes on: unchanged, or along half a cosine to nearly 0."""

    gradient_clip: Annotated[float, Field(gt=0, le=1e12)] | None = 1.0
    """Largest global norm of the gradient; null: off."""

    log_every: Whole = Field(default=100, ge=1, le=1_000_000_000)
    """Updates between rows of metrics.csv."""

    evaluate_every: Annotated[Whole, Field(ge=1, le=1_000_000_000)] | None = 2000
    """Updates between closed-loop evaluations on the validation part, and one at the end;
    null: never."""

    checkpoint_every: Annotated[Whole, Field(ge=1, le=1_000_000_000)] | None = 2000
    """Updates between checkpoints, and one at the end; null: at the end alone."""


class Evaluation(Section):
    """How the trained network is judged: far ahead, in closed loop."""

    warmup: Whole = Field(default=50, ge=1, le=1_000_000)
    """True samples that a forecast reads first."""

    horizon: Whole = Field(default=2000, ge=1, le=1_000_000)
    """Steps that a forecast runs freely."""

    origins: Whole = Field(default=8, ge=1, le=10_000)
    """Forecasts, spread evenly over the judged part."""

    initial_state: Literal["zero", "carried"] = "zero"
    """Hidden state before the warm-up: at rest, or what training left behind in the first row of
    its batch."""

    part: Literal["test", "train"] = "test"
    """Which part is judged; the tutorial judges itself on its training data."""


class Config(Section):
    """One experiment."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "run"
    """Name of the run; default: the config file's stem."""

    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of the initial weights and of random windows."""

    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d{1,3})?|mps)$")] = "auto"
    """auto (the best that the engine can use), cpu, cuda, cuda:N or mps."""

    engine: Literal["auto", "fused", "torch"] = "auto"
    """What computes: fused (compiled loops on the CPU), torch, or auto (the faster of the two)."""

    dtype: Literal["float32", "float64"] = "float32"
    """Precision of the network."""

    signal: Signal = Sine()
    """What the network learns to continue."""

    windows: Windows = Windows()
    split: Split = Split()
    model: Model = Model()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()

    @property
    def parts(self) -> Parts:
        """How many samples of each segment belong to which part."""
        return split_by_time(
            self.signal.length, train=self.split.train, validation=self.split.validation
        )


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and lay `key=value` overrides over it.

    Raises:
        ConfigError: With every problem of the first stage that has any: YAML, overrides, values,
            settings that contradict each other.
    """
    path = Path(path)
    document = read_yaml(path)
    apply_overrides(document, overrides, replaces_section=frozenset({("signal", "kind")}))
    document.tree.setdefault("name", path.stem)
    return validate(document)


def validate(document: Document) -> Config:
    """Turn a document into a config.

    Raises:
        ConfigError: With every wrong key and value, or else every contradiction, and its place.
    """
    try:
        config = Config.model_validate(document.tree)
    except ValidationError as error:
        raise ConfigError([_problem(document, details) for details in error.errors()]) from None
    if found := contradictions(config):
        problems = [Problem(document.place(path), path, message) for path, message in found]
        raise ConfigError(problems)
    return config


def to_yaml(config: Config) -> str:
    """Return the config as YAML text, every setting written out."""
    return dump_yaml(config.model_dump(mode="json"))


def contradictions(config: Config) -> list[tuple[KeyPath, str]]:
    """Return what no single setting shows: the path of a setting to change, and why."""
    if config.split.train + config.split.validation > 1 + 1e-12:
        both = config.split.train + config.split.validation
        return [
            (
                ("split", "validation"),
                f"train and validation must not exceed 1, they sum to {both:g}",
            )
        ]
    return [
        *_window_contradictions(config),
        *_validation_contradictions(config),
        *_evaluation_contradictions(config),
        *_device_contradictions(config),
    ]


def _window_contradictions(config: Config) -> list[tuple[KeyPath, str]]:
    windows, samples, segments = config.windows, config.parts.train, len(config.signal.starts)
    found: list[tuple[KeyPath, str]] = []
    if windows.length + 1 > samples:
        message = (
            f"a window is {windows.length} inputs and one target more, but the training part has "
            f"{samples} samples a segment; at most {max(samples - 1, 0)} here"
        )
        found.append((("windows", "length"), message))
    elif windows.order == "contiguous":
        count = segments * whole_windows(samples, windows.length)
        if windows.batch_size > count:
            message = (
                f"the training part has {count} windows, got {windows.batch_size}; lower it, "
                "or set windows.order=random"
            )
            found.append((("windows", "batch_size"), message))
    if windows.washout >= windows.length:
        message = f"must be less than windows.length, {windows.length}, or no step counts"
        found.append((("windows", "washout"), f"{message}; got {windows.washout}"))
    return found


def _validation_contradictions(config: Config) -> list[tuple[KeyPath, str]]:
    samples, warmup = config.parts.validation, config.evaluation.warmup
    if config.training.evaluate_every is None or samples > warmup:
        return []
    way_out = "set training.evaluate_every=null"
    if samples == 0:
        message = f"there is no validation part to evaluate on; {way_out}"
        return [(("training", "evaluate_every"), message)]
    message = (
        f"the validation part has {samples} samples a segment, which leaves nothing after "
        f"evaluation.warmup, {warmup}; enlarge it, or {way_out}"
    )
    return [(("split", "validation"), message)]


def _evaluation_contradictions(config: Config) -> list[tuple[KeyPath, str]]:
    evaluation, segments = config.evaluation, len(config.signal.starts)
    begin, end = config.parts.bounds(evaluation.part)
    if begin == end:
        message = "there is no test part; lower split.train, or set evaluation.part=train"
        return [(("evaluation", "part"), message)]
    room = room_for_origins((begin, end), warmup=evaluation.warmup, horizon=evaluation.horizon)
    if room == 0:
        left = end - begin - evaluation.warmup
        message = (
            f"the {evaluation.part} part has {end - begin} samples a segment, which leaves "
            f"{max(left, 0)} after evaluation.warmup, {evaluation.warmup}; got {evaluation.horizon}"
        )
        return [(("evaluation", "horizon"), message)]
    if evaluation.origins > room * segments:
        message = (
            f"the {evaluation.part} part has room for {room * segments}, got {evaluation.origins}"
        )
        return [(("evaluation", "origins"), message)]
    return []


def _device_contradictions(config: Config) -> list[tuple[KeyPath, str]]:
    if config.device == "mps" and config.dtype == "float64":
        return [(("dtype",), "mps cannot compute in float64; set dtype=float32 or device=cpu")]
    if config.engine == "fused" and config.device not in ("auto", "cpu"):
        message = f"the fused engine computes on the CPU, got {config.device}; set engine=torch"
        return [(("device",), f"{message}, or device=cpu")]
    return []


def _problem(document: Document, details: Any) -> Problem:
    """Turn one of pydantic's errors into our words, with the place in the file."""
    path: KeyPath = tuple(details["loc"])
    given, context = details["input"], details.get("ctx", {})
    if details["type"] == "extra_forbidden":
        known = list(_fields(path[:-1]))
        guess = nearest(str(path[-1]), known)
        way_out = f"did you mean {guess}?" if guess else f"known here: {', '.join(known)}"
        return Problem(document.place(path, of_key=True), path, f"unknown key; {way_out}")
    match details["type"]:
        case "greater_than":
            expected = f"must be greater than {context['gt']:g}"
        case "greater_than_equal":
            expected = f"must be at least {context['ge']:g}"
        case "less_than":
            expected = f"must be less than {context['lt']:g}"
        case "less_than_equal":
            expected = f"must be at most {context['le']:g}"
        case "literal_error":
            expected = f"must be {context['expected'].replace(chr(39), '')}"
        case "int_type" | "int_from_float" | "int_parsing":
            expected = "must be a whole number"
        case "float_type" | "float_parsing":
            expected = "must be a number"
        case "finite_number":
            expected = "must be finite"
        case "bool_type":
            expected = "must be true or false"
        case "string_type":
            expected = "must be text"
        case "string_pattern_mismatch" if path == ("device",):
            expected = "must be auto, cpu, cuda, cuda:N or mps"
        case "string_too_short" | "too_short":
            expected = "must not be empty"
        case "string_too_long":
            expected = f"must be at most {context['max_length']} characters"
        case "too_long":
            expected = f"must have at most {context['max_length']} entries"
        case "tuple_type":
            expected = "must be a list, such as [0, 1]"
        case "model_type":
            expected = f"must be a section with the keys {', '.join(_fields(path))}"
        case _:
            expected = details["msg"]
    return Problem(document.place(path), path, f"{expected}, got {describe(given)}")


def _fields(path: KeyPath) -> list[str]:
    """Return the keys of the section at `path`."""
    section: Any = Config
    for part in path:
        section = section.model_fields[part].annotation
    return list(section.model_fields)
