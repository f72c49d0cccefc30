"""Compare reading a data file with numpy's own reader, on one column of a million numbers.

Prints the median time of several rounds of each, taken in turn, and their ratio; and the peak of
the memory that Python and numpy allocate, which is traced in a round of its own.

    python benchmarks/reading.py
"""

import os
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from sinernn.data.files import File


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def peak_megabytes(call: Callable[[], object]) -> float:
    """Return the peak of the memory that a call allocates."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main(
    rows: Annotated[int, typer.Option(help="Rows of the file.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(help="Readings of which the median is taken.")] = 5,
) -> None:
    """Write a file of random numbers, and read it."""
    samples = np.random.default_rng(0).standard_normal(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "one.csv")
        np.savetxt(path, samples, header="x", comments="")
        file = File(kind="file", path=str(path))

        def read() -> np.ndarray:
            os.utime(path)  # a file that stays the same is read once in a process
            return file.read().observed[:, 0]

        def load() -> np.ndarray:
            return np.loadtxt(path, skiprows=1)

        np.testing.assert_array_equal(read(), load())
        times = [(seconds(read), seconds(load)) for _ in range(rounds)]
        ours, numpys = (statistics.median(each) for each in zip(*times, strict=True))
        size = path.stat().st_size / 1e6
        print(f"{rows} rows, {size:.0f} MB, numpy {np.__version__}")
        print(f"sinernn {ours:.2f} s, np.loadtxt {numpys:.2f} s: {ours / numpys:.2f} times")
        peaks = peak_megabytes(read), peak_megabytes(load)
        print(f"peak memory: sinernn {peaks[0]:.0f} MB, np.loadtxt {peaks[1]:.0f} MB")


if __name__ == "__main__":
    typer.run(main)
