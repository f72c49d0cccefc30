"""Estimate the memory of a run before it starts, by the setting that causes it.

Plain formulas whose constants were measured; they hold to a factor of about three.
"""

from sinernn.config.sections import MAX_SNAPSHOT_BYTES, Config
from sinernn.data.files import File
from sinernn.data.series import Extent
from sinernn.model.cells import CELLS
from sinernn.model.network import Network
from sinernn.refine.stages import Stage

GIGABYTE = 1e9


def estimate_memory_gb(config: Config, extent: Extent) -> dict[str, float]:
    """Return the peak memory of a run in GB, by setting, besides the program itself (0.4 GB)."""
    training, evaluation, refine = config.training, config.evaluation, config.refine
    network = config.network(extent)
    gates, units = CELLS[network.cell].gates, network.num_layers * network.hidden_size
    width = 8 if network.dtype == "float64" else 4  # bytes of a number
    steps_in_batch = config.windows.batch_size * config.windows.length
    intervals = (training.log_every, training.evaluate_every, training.checkpoint_every)
    rows = sum(-(-training.steps // every) for every in intervals if every is not None)
    evaluated = sum(map(len, config.split.parts(extent.lengths).named(evaluation.part)))
    # Samples of a forecast, in all channels.
    forecast = network.channels * (evaluation.warmup + evaluation.horizon)
    snapshots = training.snapshots * network.parameter_count * width
    # At most 8 free runs, in scaled and in signal units, and copies to write; then a fit of 41
    # columns to one of them.
    free_run_numbers = 4 * 8 * network.channels + 3 * 41  # for each step
    sizes = {
        # Times, clean and observed samples are kept; generating and scaling them takes the rest.
        "signal.length": 16 * 8 * network.channels * extent.samples,
        # Noise, and copies of the training part in two types.
        "windows.noise_std": 40 * network.channels * extent.samples * (config.windows.copies - 1),
        # What the backward pass needs of every step: gates, states, and their gradients.
        "windows.batch_size": steps_in_batch * units * (4 * gates + 2) * width,
        # Weights, gradients, two moments, and two copies of the state while it is saved.
        "model.hidden_size": 12 * network.parameter_count * width,
        "training.steps": 16 * training.steps,  # losses are kept, and copied once
        "training.log_every": 1000 * rows,
        "training.snapshots": 3 * min(snapshots, MAX_SNAPSHOT_BYTES),  # kept, stacked and written
        # The open loop runs over the whole part at once.
        "evaluation.part": evaluated * (units + (gates + 1) * network.hidden_size) * width,
        "evaluation.origins": 16 * 8 * evaluation.origins * forecast,
        "evaluation.attractor_steps": free_run_numbers * 8 * evaluation.attractor_steps,
    }
    if refine:
        sizes["refine.stages"] = max(
            (_stage_bytes(network, stage) for stage in refine.stages), default=0
        )
        # Samples, forecasts, and their differences.
        origins = refine.origins or evaluation.origins
        steps = evaluation.warmup + (refine.forecast_steps or evaluation.horizon)
        sizes["refine.origins"] = 8 * 8 * origins * network.channels * steps
        # All free runs in scaled and signal units; of one a spectrum of overlapping stretches.
        free_runs = network.channels * (refine.climate_steps or 0)
        sizes["refine.climate_steps"] = 8 * (3 * origins + 16) * free_runs
    return {setting: size / GIGABYTE for setting, size in sizes.items()}


def estimate_reading_gb(file: File) -> float:
    """Return the peak memory of reading a data file in GB, from its first part and its size."""
    reader = file.open()
    outputs, inputs = file.roles(reader)
    # Rows and cells, as blocks, joined, side by side and cut into recordings.
    return 6 * 8 * reader.rows * (1 + len(outputs) + len(inputs)) / GIGABYTE


def _stage_bytes(network: Network, stage: Stage) -> int:
    residuals = stage.sequences * -(-stage.horizon // stage.stride) * network.outputs
    parameters, size = network.parameter_count, min(residuals, network.parameter_count)
    copies = 2 if residuals < parameters else 1
    samples = stage.batches * stage.sequences * (stage.warmup + stage.horizon) * network.channels
    # The Jacobian, the smaller matrix, and in two threads its damped copy and two for the factor;
    # the sequences and, with noise, a copy.
    return 8 * (copies * parameters * residuals + 7 * size**2 + 2 * samples)
