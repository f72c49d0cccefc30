"""Compare both engines over cell, hidden size, window and batch: the basis of the rule of `auto`.

Prints a Markdown table, which is stored as engines.md: processor time of the torch engine divided
by that of the fused engine for the same updates, and the fused engine's time in microseconds. Both
compute on one thread, so processor time is a fair measure, and other load has little effect. Where
the ratio is below 1, torch is faster; `auto` selects torch in the cells marked with t.

    python benchmarks/engines.py

With --device, the torch engine computes on an accelerator, both are measured in wall-clock time,
and there is a larger batch:

    python benchmarks/engines.py --device cuda --cells rnn_tanh,lstm --sizes 64,256,512
"""

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import numba
import numpy as np
import torch
import typer

from sinernn import engines, provenance
from sinernn.engines import Engine, EngineChoice, Objective
from sinernn.model.network import Network

CELLS = ("rnn_tanh", "rnn_relu", "gru", "lstm")
HIDDEN_SIZES = (8, 16, 32, 64, 128, 256, 512)
SHAPES = ((49, 1), (49, 8), (49, 64), (490, 1))  # window, batch
LARGE = (49, 512)
ROUNDS = 3


def plan(updates: int, batch: int, samples: int, length: int) -> tuple[np.ndarray, ...]:
    """Return a plan of random windows with carried state, as in the tutorial."""
    starts = np.random.default_rng(0).integers(0, samples - length, (updates, batch))
    return starts, np.zeros((updates, batch), bool), np.full(updates, 1e-3)


def seconds_an_update(
    engine: Engine, rows: tuple[np.ndarray, ...], clock: Callable[[], float]
) -> float:
    """Return the time of one update of a plan."""
    began = clock()
    engine.advance(*rows)
    return (clock() - began) / len(rows[0])


def compare(network: Network, length: int, batch: int, device: str) -> tuple[float, float]:
    """Return the median time of an update, in seconds, of the fused and of the torch engine.

    Raises:
        AssertionError: The losses disagree.
    """
    samples = np.sin(np.arange(4 * length) * 10 / 49)[:, None].astype(network.dtype)
    state = network.initial_state(0, batch_size=batch)
    made = [
        engines.build(EngineChoice(*choice), network, state, Objective(samples, length, 0, None))
        for choice in (("fused", "cpu"), ("torch", device))
    ]
    clock = time.process_time if device == "cpu" else time.perf_counter
    first = plan(2, batch, len(samples), length)
    # float32 rounding: the two engines add in a different order.
    np.testing.assert_allclose(made[0].advance(*first), made[1].advance(*first), rtol=2e-3)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for engine, found in zip(made, times, strict=True):
            once = seconds_an_update(engine, plan(1, batch, len(samples), length), clock)
            count = int(np.clip(0.05 / once, 2, 2000))
            rows = plan(count, batch, len(samples), length)
            found.append(seconds_an_update(engine, rows, clock))
    return statistics.median(times[0]), statistics.median(times[1])


def main(
    cells: Annotated[str, typer.Option(help="Which cells.")] = ",".join(CELLS),
    sizes: Annotated[str, typer.Option(help="Which hidden sizes.")] = ",".join(
        map(str, HIDDEN_SIZES)
    ),
    device: Annotated[str, typer.Option(help="Where the torch engine computes.")] = "cpu",
) -> None:
    """Print the table."""
    processor = provenance.environment().processor
    versions = f"torch {torch.__version__}, numba {numba.__version__}"
    name = f", torch on {torch.cuda.get_device_name(device)}" if "cuda" in device else ""
    print(f"{versions}, float32, one layer, {processor}{name}\n")
    shapes = SHAPES if device == "cpu" else (*SHAPES, LARGE)
    print("| cell | H | " + " | ".join(f"T={t} B={b}" for t, b in shapes) + " |")
    print("| --- " * (2 + len(shapes)) + "|")
    for cell in cells.split(","):
        for hidden_size in map(int, sizes.split(",")):
            network = Network(cell, 1, hidden_size, 1, "float32")
            found: list[str] = []
            for length, batch in shapes:
                fused, reference = compare(network, length, batch, device)
                mark = "" if engines.is_faster_fused(network) else " t"
                found.append(f"{reference / fused:.1f} ({fused * 1e6:.0f}){mark}")
            print(f"| {cell} | {hidden_size} | " + " | ".join(found) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
