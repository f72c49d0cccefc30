"""A trained network with all that a program without sinernn needs to run it."""

import re
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from sinernn.config import Config, load_config
from sinernn.data.files import File
from sinernn.data.series import Extent
from sinernn.data.windows import Scale
from sinernn.errors import UsageError
from sinernn.forecasting import hidden_before
from sinernn.model.cells import CELLS, Cell
from sinernn.model.network import Hidden, Network, Params
from sinernn.preparation import require_data
from sinernn.runs import Run
from sinernn.runs.facts import DataFacts
from sinernn.runs.files import is_there, read_bytes, safe_name

MARK = "sinernn export"
"""Text at the beginning of every exported file, by which a later export knows it may replace it."""

SCORES = {"part", "open_loop", "closed_loop_rmse", "valid_time"}
"""Scores that an export keeps."""


@dataclass(frozen=True)
class Portable:
    """The best network of a run, with its scaling."""

    name: str
    """What the exported code is called: letters, digits and `_`, not beginning with a digit."""

    network: Network
    params: Params
    scale: Scale
    """Between signal units and those of the network."""

    start: Hidden
    """State before any sample is read, of one row: [S, L, 1, H]."""

    metadata: dict[str, Any]
    """What the network is, was trained on and scored: values of JSON."""

    @property
    def cell(self) -> Cell:
        """The cell."""
        return CELLS[self.network.cell]


def read_portable(run: Run, name: str | None = None) -> Portable:
    """Read the best network of a run.

    Args:
        run: The run; its data file need not be there.
        name: What the exported code is called; default: as the run.

    Raises:
        SinernnError: A file of the run is missing or damaged, or no network is saved.
    """
    config, facts = load_config(run.config_path), run.read_facts()
    which, checkpoint = run.best_checkpoint()
    network, state = checkpoint.network, checkpoint.state
    title = facts.name or run.path.name
    metadata = {
        "run": title,
        "sinernn": version("sinernn"),
        "config_sha256": sha256(read_bytes(run.config_path)).hexdigest(),
        "checkpoint": which,
        "updates": state.updates,
        "parameters": network.parameter_count,
        **asdict(network),
        **_channels(run, config, network),
        "warmup": config.evaluation.warmup,
        **_data(config, facts.data),
        "scores": _scores(run),
    }
    return Portable(
        name=to_identifier(name or safe_name(title)),
        network=network,
        params=state.params,
        scale=checkpoint.scale,
        start=hidden_before(config.evaluation.initial_state, state, 1),
        metadata=metadata,
    )


def to_identifier(name: str) -> str:
    """Return a name as an identifier of Python and C."""
    safe = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "network"
    return f"n{safe}" if safe[0].isdigit() else safe


def _channels(run: Run, config: Config, network: Network) -> dict[str, Any]:
    """Return labels of the channels, and the time between samples if it is known.

    A generated series is known from its config; one from a file only if the file is there.
    """
    extent: Extent | None = None
    try:
        require_data(run, config, "export")
        extent = config.signal.extent()
        labels = [channel.label for channel in (*extent.outputs, *extent.inputs)]
    except UsageError:
        data = run.read_facts().data
        labels = list(data.columns) if data else []
    outputs = network.outputs
    return {
        "output_channels": labels[:outputs],
        "input_channels": labels[outputs:],
        "time_step": extent.time_step if extent else None,
        "time_unit": extent.time_unit if extent else None,
    }


def _data(config: Config, facts: DataFacts | None) -> dict[str, Any]:
    """Return what the network was trained on."""
    signal = config.signal
    if not isinstance(signal, File):
        return {"signal": signal.kind}
    return {
        "signal": signal.kind,
        "data_sha256": facts.sha256 if facts else None,
        "data_licence": signal.licence or None,
        "downsample": signal.downsample.model_dump() if signal.downsample else None,
    }


def _scores(run: Run) -> dict[str, Any] | None:
    if not is_there(run.path / "evaluation.json"):  # it was interrupted, or its training continues
        return None
    return run.read_scores().model_dump(mode="json", include=SCORES)
