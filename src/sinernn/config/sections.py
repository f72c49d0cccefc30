"""The whole experiment on one page: every setting with its unit, its bound and its reason."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

from pydantic import Field, PrivateAttr, StringConstraints

from sinernn.errors import KeyPath, Place, Problem
from sinernn.places import Places
from sinernn.refine.stages import Refine
from sinernn.schema import Section, Whole, whole
from sinernn.signals import Signal, Sine
from sinernn.windows import Parts, split_by_time

HIGHEST_LIMIT = 100_000  # GB and hours


class Windows(Section):
    """How the series is cut into what one update sees."""

    length: Whole = Field(default=49, ge=1, le=100_000)
    """Input samples in a window, which is also how far gradients reach back in time; the backward
    pass keeps them all in memory."""

    batch_size: Whole = Field(default=1, ge=1, le=65_536)
    """Windows in one update; the backward pass keeps them all in memory."""

    order: Literal["contiguous", "random"] = "contiguous"
    """Laid end to end along each segment, or drawn at random."""

    carry_state: bool = True
    """Whether a window starts from the hidden state that the last one left behind; with random
    order the two are no neighbours, and the state contradicts the data."""

    washout: Whole = Field(default=0, ge=0, le=100_000)
    """First steps after a reset of the hidden state that do not count in the loss; no window is
    longer."""

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
    """Recurrent layers, each reading the one below; time and memory grow with them."""


class Training(Section):
    """First-order training: Adam on the mean squared one-step error."""

    steps: Whole = Field(default=20_000, ge=1, le=1_000_000_000)
    """Updates; a billion take an hour on the fused engine, months on torch."""

    learning_rate: float = Field(default=0.003, gt=0, le=10)
    """Adam's step size at the first update; the weights themselves start below 1."""

    schedule: Literal["constant", "cosine"] = "cosine"
    """How the learning rate goes on: unchanged, or along half a cosine to nearly 0."""

    gradient_clip: Annotated[float, Field(gt=0, le=1e12)] | None = 1.0
    """Largest global norm of the gradient, whose square must fit into float32; null: off."""

    log_every: Whole = Field(default=100, ge=1, le=1_000_000_000)
    """Updates between rows of metrics.csv; no run is longer than the bound."""

    evaluate_every: Annotated[int, Field(ge=1, le=1_000_000_000), whole] | None = 2000
    """Updates between closed-loop evaluations on the validation part, and one at the end;
    null: never; no run is longer than the bound."""

    checkpoint_every: Annotated[int, Field(ge=1, le=1_000_000_000), whole] | None = 2000
    """Updates between checkpoints, and one at the end; null: at the end alone; no run is
    longer than the bound."""


class Evaluation(Section):
    """How the trained network is judged: far ahead, in closed loop."""

    warmup: Whole = Field(default=50, ge=1, le=1_000_000)
    """True samples that a forecast reads first; memory grows with them."""

    horizon: Whole = Field(default=2000, ge=1, le=1_000_000)
    """Steps that a forecast runs freely; memory and time grow with them."""

    origins: Whole = Field(default=8, ge=1, le=10_000)
    """Forecasts, spread evenly over the judged part; memory grows with them."""

    attractor_steps: Whole = Field(default=2000, ge=10, le=1_000_000)
    """Steps of a free run that are left out before it is measured where it settles, and as many
    that are measured; time grows with them."""

    initial_state: Literal["zero", "carried"] = "zero"
    """Hidden state before the warm-up: at rest, or what training left behind in the first row of
    its batch."""

    part: Literal["test", "train"] = "test"
    """Which part is judged; the tutorial judges itself on its training data."""


class Limits(Section):
    """What a run may take; one that is estimated above is refused before it starts.

    The estimate holds to a factor of about three. It is made for one core of a CPU; time on an
    accelerator is not estimated.
    """

    memory_gb: float = Field(default=8.0, gt=0, le=HIGHEST_LIMIT)
    """Memory, in GB; no machine has more than the bound."""

    hours: float = Field(default=24.0, gt=0, le=HIGHEST_LIMIT)
    """Time, in hours; the bound is eleven years."""


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
    refine: Refine | None = None
    """Second-order training that follows; null: off. `{}` takes the defaults."""

    evaluation: Evaluation = Evaluation()
    limits: Limits = Limits()

    _places: Places = PrivateAttr(default_factory=lambda: Places(Place("config")))

    def flat(self) -> dict[str, Any]:
        """Return every setting by its key, as in `model.hidden_size`; lists are values."""

        def walk(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
            for key, value in tree.items():
                if isinstance(value, dict):
                    yield from walk(cast("dict[str, Any]", value), f"{prefix}{key}.")
                else:
                    yield f"{prefix}{key}", value

        return dict(walk(self.model_dump(mode="json"), ""))

    @property
    def places(self) -> Places:
        """Where each setting was written."""
        return self._places

    def problem(self, setting: str, *others: str, message: str) -> Problem:
        """Return what is wrong with a setting, at the most telling place of it and `others`."""
        paths: list[KeyPath] = [
            tuple(int(part) if part.isdecimal() else part for part in name.split("."))
            for name in (setting, *others)
        ]
        return Problem(self.places.most_telling(paths), paths[0], message)

    @property
    def parts(self) -> Parts:
        """How many samples of each segment belong to which part."""
        return split_by_time(
            self.signal.length, train=self.split.train, validation=self.split.validation
        )
