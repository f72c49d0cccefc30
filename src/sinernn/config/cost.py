"""What a run will take, told before it starts: time and memory, by the setting that causes it.

Plain formulas, whose constants were measured; they hold to a factor of about three, which is
enough to tell an hour from a month.
"""

from dataclasses import dataclass

from sinernn.network import GATES, Network
from sinernn.refine.stages import Refine, Stage

GIGABYTE = 1e9


@dataclass(frozen=True)
class Rates:
    """How fast an engine is on one core, in seconds."""

    update: float
    """For an update, whatever its size."""

    step: dict[str, float]
    """For a time step of a window in one layer, by cell, whatever its size."""

    parameter: float
    """For a parameter in an update: the optimiser, and reading the weights."""

    activation: dict[str, float]
    """For a value that a gate takes on, forward and backward, by dtype."""

    operation: dict[str, float]
    """For a floating-point operation in a matrix product, by dtype."""

    free_step: float
    """For a step of a free run in one layer, whatever its size."""

    free_parameter: float
    """For a parameter in a step of a free run: reading the weights."""


RATES = {
    "torch": Rates(
        update=1e-3,
        step={"rnn_tanh": 4e-5, "rnn_relu": 4e-5, "gru": 1.5e-4, "lstm": 3e-6},
        parameter=5e-8,
        activation={"float32": 1.5e-8, "float64": 1.5e-8},
        operation={"float32": 1 / 30e9, "float64": 1 / 15e9},
        free_step=1e-4,
        free_parameter=2e-9,
    ),
    "fused": Rates(
        update=5e-7,
        step=dict.fromkeys(GATES, 3e-8),
        parameter=4e-9,
        activation={"float32": 1e-9, "float64": 8e-9},
        operation={"float32": 1 / 70e9, "float64": 1 / 35e9},
        free_step=3e-7,
        free_parameter=0.0,
    ),
}
"""Of each engine.

Source: `advance` and `closed_loop` timed on one core of a small cloud machine. On torch four cells,
H 16 to 4096, L 1 to 4, T 10 to 1000, B 1 to 4096: of 96 timings the formula was within a factor of
2 of 87, and of 3.4 of all. Fused: the 112 timings of benchmarks/engines.md. `tests/unit/
test_cost.py` keeps some of them.
"""


def seconds(
    network: Network,
    rates: Rates,
    *,
    steps: int,
    batch_size: int,
    length: int,
    evaluations: int,
    checkpoints: int,
    rows: int,
    free_steps: int,
    origins: int,
    refine: Refine | None = None,
) -> dict[str, float]:
    """Return the time of a run, by setting.

    Args:
        network: Architecture.
        rates: Of the engine.
        steps: Updates.
        batch_size: Windows B in an update.
        length: Steps T in a window.
        evaluations: Closed-loop evaluations on the validation part.
        checkpoints: How often the state is saved, and the metrics with it.
        rows: Rows of the metrics at the end.
        free_steps: Warm-up and horizon of a forecast.
        origins: Forecasts side by side.
        refine: What follows the updates.
    """
    layers, parameters = network.num_layers, network.parameter_count
    operation = rates.operation[network.dtype]
    values = layers * length * batch_size * network.hidden_size * GATES[network.cell]
    # A product and a sum for every weight and step, and twice that again for the gradients.
    products = 6 * parameters * length * batch_size
    update = (
        rates.update
        + rates.step[network.cell] * layers * length
        + rates.parameter * parameters
        + rates.activation[network.dtype] * values
        + operation * products
    )
    free_step = rates.free_step * layers + parameters * (
        rates.free_parameter + 2 * operation * origins
    )
    state_bytes = 3 * parameters * _width(network)
    save = 0.02 + state_bytes / 200e6 + 5e-6 * rows / 2  # metrics.csv is written whole each time
    return {
        "training.steps": steps * update,
        "training.evaluate_every": evaluations * free_steps * free_step,
        "training.checkpoint_every": checkpoints * save,
        "evaluation.horizon": free_steps * free_step,
        "refine.stages": _refine_seconds(network, refine, free_steps, origins) if refine else 0.0,
    }


def gigabytes(
    network: Network,
    *,
    samples: int,
    judged: int,
    batch_size: int,
    length: int,
    steps: int,
    rows: int,
    free_steps: int,
    origins: int,
    refine: Refine | None = None,
) -> dict[str, float]:
    """Return the peak memory of a run beside the program itself (about 0.4 GB), by setting.

    Args:
        network: Architecture.
        samples: Of the whole series.
        judged: Samples of the judged part, all segments together, run at once in open loop.
        batch_size: Windows B in an update.
        length: Steps T in a window.
        steps: Updates.
        rows: Rows of the metrics at the end.
        free_steps: Warm-up and horizon of a forecast.
        origins: Forecasts side by side.
        refine: What follows the updates.
    """
    width, gates = _width(network), GATES[network.cell]
    units = network.num_layers * network.hidden_size
    taken = {
        # Time, clean and observed samples stay; making, scaling and judging them takes the rest.
        "signal.length": 16 * 8 * network.channels * samples,
        # What the backward pass needs of every step: gates, states, and their gradients.
        "windows.batch_size": batch_size * length * units * (4 * gates + 2) * width,
        # Weights, gradients, two moments, and two copies of the state on its way to a file.
        "model.hidden_size": 12 * network.parameter_count * width,
        "training.steps": 16 * steps,  # losses are kept, and copied once
        "training.log_every": 1000 * rows,
        "evaluation.part": judged * (units + (gates + 1) * network.hidden_size) * width,
        "evaluation.origins": 16 * 8 * network.channels * origins * free_steps,
        "refine.stages": max(_jacobian_bytes(network, stage) for stage in refine.stages)
        if refine
        else 0,
        # Samples, forecasts, and these scaled and subtracted; the network is run for one at a time.
        "refine.origins": 8 * 8 * network.channels * (refine.origins or origins) * free_steps
        if refine
        else 0,
    }
    return {setting: count / GIGABYTE for setting, count in taken.items()}


REFINE_OPERATION = 1 / 4e9
"""Seconds for a multiply-add of refinement's kernels: `Problem.linearise`, `gauss_newton` and
`factorise` timed on one core of a small cloud machine."""


def _refine_seconds(network: Network, refine: Refine, free_steps: int, origins: int) -> float:
    parameters, total = network.parameter_count, 0.0
    for stage in refine.stages:
        residuals, steps = _residuals(stage, network), stage.warmup + stage.horizon
        sweep = 2 * parameters * residuals * (stage.warmup + stage.horizon / 2)
        solve = parameters**2 * (residuals / 2 + parameters / 3)
        runs = 3 * parameters * stage.sequences * steps
        measured = 1 if stage.measure_every is None else stage.iterations / stage.measure_every + 1
        total += stage.iterations * (sweep + solve + runs)
        total += measured * parameters * (refine.origins or origins) * free_steps
    return REFINE_OPERATION * total


def _jacobian_bytes(network: Network, stage: Stage) -> int:
    # Three matrices of P by P beside it.
    parameters = network.parameter_count
    return 8 * parameters * (_residuals(stage, network) + 3 * parameters)


def _residuals(stage: Stage, network: Network) -> int:
    return stage.sequences * -(-stage.horizon // stage.stride) * network.channels


def _width(network: Network) -> int:
    return 8 if network.dtype == "float64" else 4  # bytes in a number
