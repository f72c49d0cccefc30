"""Estimate the memory of a run before it starts, by the setting that causes it.

Plain formulas whose constants were measured; they hold to a factor of about three.
"""

from sinernn.model.cells import CELLS
from sinernn.model.network import Network
from sinernn.refine.stages import Refine, Stage

GIGABYTE = 1e9


def estimate_memory_gb(
    network: Network,
    *,
    samples: int,
    evaluated: int,
    batch_size: int,
    length: int,
    steps: int,
    rows: int,
    forecast_steps: int,
    origins: int,
    attractor_steps: int,
    refine: Refine | None = None,
) -> dict[str, float]:
    """Return the peak memory of a run in GB, by setting, beside the program itself (about 0.4 GB).

    Args:
        network: Architecture.
        samples: Samples of the whole series.
        evaluated: Samples of the evaluated part, all segments together.
        batch_size: Windows B in an update.
        length: Steps T in a window.
        steps: Updates.
        rows: Rows of the metrics at the end.
        forecast_steps: Warm-up and horizon of a forecast.
        origins: Forecasts side by side.
        attractor_steps: Steps over which a free run is measured where it settles.
        refine: Refinement after the updates.
    """
    width, gates = _bytes_per_number(network), CELLS[network.cell].gates
    units = network.num_layers * network.hidden_size
    sizes = {
        # Times, clean and observed samples are kept; generating and scaling them takes the rest.
        "signal.length": 16 * 8 * network.channels * samples,
        # What the backward pass needs of every step: gates, states, and their gradients.
        "windows.batch_size": batch_size * length * units * (4 * gates + 2) * width,
        # Weights, gradients, two moments, and two copies of the state while it is saved.
        "model.hidden_size": 12 * network.parameter_count * width,
        "training.steps": 16 * steps,  # losses are kept, and copied once
        "training.log_every": 1000 * rows,
        # The open loop runs over the whole part at once.
        "evaluation.part": evaluated * (units + (gates + 1) * network.hidden_size) * width,
        "evaluation.origins": 16 * 8 * network.channels * origins * forecast_steps,
        # At most 8 free runs, in scaled and in signal units, and copies to write; then a fit of 41
        # columns to one of them.
        "evaluation.attractor_steps": (4 * 8 * network.channels + 3 * 41) * 8 * attractor_steps,
        "refine.stages": max(_jacobian_bytes(network, stage) for stage in refine.stages)
        if refine
        else 0,
        # Samples, forecasts, and their differences.
        "refine.origins": 8 * 8 * network.channels * (refine.origins or origins) * forecast_steps
        if refine
        else 0,
    }
    return {setting: size / GIGABYTE for setting, size in sizes.items()}


def _jacobian_bytes(network: Network, stage: Stage) -> int:
    residuals = stage.sequences * -(-stage.horizon // stage.stride) * network.channels
    parameters = network.parameter_count
    return 8 * parameters * (residuals + 3 * parameters)  # and three matrices of P by P


def _bytes_per_number(network: Network) -> int:
    return 8 if network.dtype == "float64" else 4
