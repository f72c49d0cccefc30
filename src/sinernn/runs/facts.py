"""The facts of a run: content of run.json, typed and versioned."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sinernn.provenance import Environment
from sinernn.schema import JsonModel

RESULT = "result.json"
"""What a run of a sweep came to, in its folder: written last."""

Count = Annotated[int, Field(ge=0, lt=2**63)]


class Origin(JsonModel):
    """The network that a run started from, if not from random weights."""

    run: str | None = None
    """Path of its run; None if it was given as a checkpoint."""

    checkpoint: str
    updates: Count | None = None


class Resumption(JsonModel):
    """When a run was resumed."""

    at: str = ""
    changed: dict[str, Annotated[tuple[Any, Any], Field(strict=False)]] = Field(default={})
    """Differences in the environment: then, now."""


class DataFacts(JsonModel):
    """The data file that a run was trained on."""

    sha256: str
    bytes: Count
    rows: Count
    """Rows of data."""

    columns: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Those that the network reads, inputs last."""


class TrainingFacts(JsonModel):
    """What was trained, and how far."""

    format: Literal[1] = 1
    """Version of the keys; version 0.1 wrote the same keys without it."""

    name: str = ""
    status: str = "unknown"
    """`running`, `finished`, `interrupted`, `diverged` or `failed`."""

    seed: int | None = None
    engine: str = "unknown"
    device: str = "unknown"
    start: Origin | None = None
    data: DataFacts | None = None
    """None for a generated signal."""

    settings: dict[str, Any] = Field(default={})
    """Every setting of config.yaml by its dotted name, as JSON: it is read a hundred times faster
    than YAML. Empty in runs of older versions."""

    parameters: Count | None = None
    """Number of trained values."""

    steps: Count | None = None
    """Number of updates in the config."""

    updates: Count = 0
    diverged_at: Count | None = None
    """The update at which training diverged."""

    refine_iterations: Count = 0
    started: str | None = None
    resumed: list[Resumption] = Field(default=[])
    ended: str | None = None
    seconds: Annotated[float, Field(ge=0, le=1e12)] | None = None
    """Training time, summed over interruptions; None before the first one or the end."""


class RunFacts(Environment, TrainingFacts):
    """Content of run.json: facts of the training first, then where it was made."""
