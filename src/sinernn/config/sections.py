"""Every setting on one page, with its unit, its bound and the reason for it."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import Field, PrivateAttr, StringConstraints

from sinernn.config.overrides import MAX_NAME, add_to_name
from sinernn.config.places import Places
from sinernn.data import flows, maps, waves
from sinernn.data.delays import MackeyGlass
from sinernn.data.files import File
from sinernn.data.series import Extent
from sinernn.data.synthetic import Sine, SumOfSines
from sinernn.data.windows import Parts, split_by_time
from sinernn.errors import KeyPath, Place, Problem
from sinernn.model.cells import CellName
from sinernn.model.network import Network
from sinernn.refine.stages import Refine
from sinernn.schema import Conflict, Section, Whole, default_kind, whole

Signal = Annotated[
    Sine
    | SumOfSines
    | waves.Square
    | waves.Triangle
    | waves.Sawtooth
    | waves.ImpulseTrain
    | waves.Chirp
    | waves.AmplitudeModulated
    | waves.Damped
    | MackeyGlass
    | flows.Lorenz
    | flows.Rossler
    | flows.Lorenz96
    | flows.Duffing
    | flows.VanDerPol
    | maps.Henon
    | maps.Logistic
    | flows.NamedSystem
    | File,
    Field(discriminator="kind"),
    default_kind("sine"),
]
"""Every kind of signal: a `Source` of a series."""

MAX_MEMORY_GB = 100_000
MAX_SNAPSHOT_BYTES = 20_000_000  # of all snapshots of a run

REMOVED: dict[KeyPath, str] = {("limits", "hours"): "run time is no longer estimated"}
"""Settings of earlier versions, and why they were removed: ignored in the config of a run, an error
elsewhere."""

ADDED: dict[tuple[str, str], Any] = {("training", "snapshots"): 0}
"""Settings that earlier versions lacked, and what their runs did: value in the config of a run that
does not set it."""


class Windows(Section):
    """Windows of the series that updates train on.

    Example:
        >>> sinernn.Windows(length=20, batch_size=4).order
        'contiguous'
    """

    length: Whole = Field(default=49, ge=1, le=100_000)
    """Input samples in a window, and how many steps gradients reach back in time; the backward pass
    keeps all of them in memory."""

    batch_size: Whole = Field(default=1, ge=1, le=65_536)
    """Windows in one update; the backward pass keeps them all in memory."""

    order: Literal["contiguous", "random"] = "contiguous"
    """contiguous: end to end along each segment; random: drawn at random."""

    carry_state: bool = True
    """Start a window from the final hidden state of the window before; in random order that is
    another place of the series, so the state contradicts the data."""

    washout: Whole = Field(default=0, ge=0, le=100_000)
    """First steps after a reset of the hidden state that do not count in the loss; shorter than a
    window."""

    normalize: bool = True
    """Scale by the training part's mean and standard deviation."""

    noise_std: float = Field(default=0.0, ge=0, le=10)
    """Standard deviation of Gaussian noise added to what the updates train on, in standard
    deviations of the training part (scaled units): so that a network does not learn a short series
    by heart. There are then 16 copies of the training part, each with other noise. More than the
    bound hides the signal."""

    @property
    def copies(self) -> int:
        """How many copies of the training part there are to train on."""
        return 16 if self.noise_std else 1


class Split(Section):
    """Parts of every segment in time order, never shuffled; the rest is the test part.

    Example:
        >>> sinernn.Split(train=0.6, validation=0.2).parts([100]).test
        (range(80, 100),)
    """

    train: float = Field(default=0.7, gt=0, le=1)
    """Fraction to train on, rounded to whole samples."""

    validation: float = Field(default=0.15, ge=0, lt=1)
    """Fraction to choose the best checkpoint on, rounded to whole samples."""

    def parts(self, lengths: Sequence[int]) -> Parts:
        """Split segments of these lengths."""
        return split_by_time(lengths, train=self.train, validation=self.validation)


class Model(Section):
    """Network: recurrent layers and a linear readout at every step.

    Example:
        >>> sinernn.Model(cell="gru", hidden_size=8).num_layers
        1
    """

    cell: CellName = "rnn_tanh"
    """Kind of recurrent unit; rnn_* are Elman networks."""

    hidden_size: Whole = Field(default=16, ge=1, le=4096)
    """Units in a layer; time and memory grow with the square."""

    num_layers: Whole = Field(default=1, ge=1, le=16)
    """Recurrent layers, each reads the one below; time and memory grow with them."""


class Training(Section):
    """First-order training: Adam on the mean squared one-step error.

    Example:
        >>> sinernn.Training(steps=500, schedule="cosine").steps
        500
    """

    steps: Whole = Field(default=20_000, ge=1, le=1_000_000_000)
    """Updates; a billion take an hour on the fused engine, months on torch."""

    learning_rate: float = Field(default=0.003, gt=0, le=10)
    """Adam's step size at the first update; the weights themselves start below 1."""

    schedule: Literal["constant", "cosine"] = "cosine"
    """Course of the learning rate: constant, or half a cosine down to nearly 0."""

    gradient_clip: Annotated[float, Field(gt=0, le=1e12)] | None = 1.0
    """Largest global norm of the gradient, whose square must fit into float32; null: off."""

    log_every: Whole = Field(default=100, ge=1, le=1_000_000_000)
    """Updates between rows of metrics.csv; the bound is the longest run."""

    evaluate_every: Annotated[int, Field(ge=1, le=1_000_000_000), whole] | None = 2000
    """Updates between closed-loop evaluations on the validation part, with one more at the end;
    null: never. The bound is the longest run."""

    checkpoint_every: Annotated[int, Field(ge=1, le=1_000_000_000), whole] | None = 2000
    """Updates between checkpoints, with one more at the end; null: only at the end. The bound is
    the longest run."""

    snapshots: Whole = Field(default=60, ge=0, le=1000)
    """How often, at most, the weights are kept to look back at the training: the initial ones, from
    update 10 to 10 million more and more rarely, and the best after each stage of `refine`. They
    take at most 20 MB, so of a large network there are fewer. More would not be looked at."""


class Evaluation(Section):
    """Evaluation of the trained network: far ahead, in closed loop.

    Example:
        >>> sinernn.Evaluation(horizon=500).part
        'test'
    """

    warmup: Whole = Field(default=50, ge=1, le=1_000_000)
    """True samples that a forecast reads before it starts; memory grows with them."""

    horizon: Whole = Field(default=2000, ge=1, le=1_000_000)
    """Steps that a forecast runs; memory and time grow with them."""

    origins: Whole = Field(default=8, ge=1, le=10_000)
    """Number of forecasts, spread evenly over the evaluated part; memory grows with them."""

    attractor_steps: Whole = Field(default=2000, ge=10, le=1_000_000)
    """Steps of a free run to discard before its attractor is analyzed, and steps to analyze; time
    grows with them. With inputs, at most half of the horizon each: further ones are not known."""

    valid_threshold: float = Field(default=0.4, gt=0, le=10)
    """A forecast is valid while its error, over all outputs, is below so many standard deviations;
    more is beyond any guess. 0.4: Pathak et al. 2018; 0.5: Vlachas et al. 2020; 0.3: a mean square
    of 0.09."""

    measure: Literal["rmse", "nrmse", "smape"] = "rmse"
    """Errors of the table of forecasts. rmse: up to a horizon, median of the forecasts; nrmse: at
    that step alone, over all forecasts, in standard deviations, as the NRMSE84 of the literature
    (at the 84th step); smape: up to a horizon, symmetric and in percent, 0 to 200."""

    initial_state: Literal["zero", "carried"] = "zero"
    """Hidden state before the warm-up: zero, or the last one of training (first row of the
    batch)."""

    part: Literal["test", "train"] = "test"
    """Part of the series to evaluate on; the tutorial evaluates on its training data."""


class Limits(Section):
    """Limits of a run; one that is estimated to exceed them is refused before it starts.

    Example:
        >>> sinernn.Limits(memory_gb=2.5).memory_gb
        2.5
    """

    memory_gb: float = Field(default=8.0, gt=0, le=MAX_MEMORY_GB)
    """Memory in GB, estimated to a factor of about three; no machine has more than the bound."""


class Root(Section):
    """The settings of a whole file, with the places where they are written."""

    _places: Places = PrivateAttr(default_factory=lambda: Places(Place("config")))

    @property
    def places(self) -> Places:
        """Where each setting was written."""
        return self._places

    def problem(self, conflict: Conflict) -> Problem:
        """Return a conflict with its place: that of an override, if one is involved."""
        paths: list[KeyPath] = [
            tuple(int(part) if part.isdecimal() else part for part in name.split("."))
            for name in conflict.settings
        ]
        return Problem(self.places.find_first(paths), paths[0], conflict.message)


class Config(Root):
    """One experiment.

    Example:
        >>> config = sinernn.Config(model=sinernn.Model(hidden_size=8), seed=3)
        >>> config.model.hidden_size
        8
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] = "run"
    """Name of the run; default: the config file's stem."""

    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of the initial weights and of random windows."""

    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d{1,3})?|mps)$")] = "auto"
    """auto (cpu, or CUDA where it is faster; for the torch engine the best present), cpu, cuda,
    cuda:N or mps."""

    engine: Literal["auto", "fused", "torch"] = "auto"
    """fused (compiled loops on the CPU), torch, or auto (the faster of the two)."""

    dtype: Literal["float32", "float64"] = "float32"
    """Precision of the network."""

    signal: Signal = Sine()
    """Series that the network learns to continue."""

    windows: Windows = Windows()
    split: Split = Split()
    model: Model = Model()
    training: Training = Training()
    refine: Refine | None = None
    """Second-order training after the updates; null: off, {}: its defaults."""

    evaluation: Evaluation = Evaluation()
    limits: Limits = Limits()

    def network(self, extent: Extent) -> Network:
        """Return the architecture for the channels of a series."""
        outputs, inputs = len(extent.outputs), len(extent.inputs)
        return Network(outputs=outputs, inputs=inputs, dtype=self.dtype, **self.model.model_dump())

    def named(self) -> "Config":
        """Return the config with its overrides in its name."""
        name = add_to_name(self.name, self.places.overrides, self.flat())
        return self.model_copy(update={"name": name})

    def flat(self, *, only_changed: bool = False) -> dict[str, Any]:
        """Return settings by their dotted names, as in `model.hidden_size`; lists are values.

        Args:
            only_changed: Leave out those that have their default.
        """

        def walk(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
            for key, value in tree.items():
                if isinstance(value, dict) and (value or not only_changed):
                    yield from walk(cast("dict[str, Any]", value), f"{prefix}{key}.")
                else:
                    yield f"{prefix}{key}", value

        return dict(walk(self.model_dump(mode="json", exclude_defaults=only_changed), ""))
