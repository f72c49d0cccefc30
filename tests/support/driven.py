"""A series with inputs: a damped oscillator that an input pushes, in recordings of many lengths."""

from pathlib import Path

import numpy as np
import pytest

from sinernn.data.series import Channel, Extent, Series
from sinernn.data.synthetic import Synthetic

LENGTHS = (600, 340, 600, 30)
OUTPUTS = (Channel("position", "mm"), Channel("speed", "mm/s"))
INPUTS = (Channel("force", "N"),)
SETTINGS = ("windows.length=20", "windows.batch_size=2", "evaluation.origins=8")
"""Of a config whose windows and forecasts fit."""

_TURN = 0.97 * np.array([[np.cos(0.2), np.sin(0.2)], [-np.sin(0.2), np.cos(0.2)]])
_PUSH = np.array([0.02, 0.2])
_UNITS = np.array([1.0, 1000.0, 5.0])  # of very different sizes


def recording(length: int, seed: int) -> np.ndarray:
    """x[n+1] = A x[n] + b u[n], of an input u that jumps every ten samples."""
    force = np.random.default_rng(seed).normal(size=-(-length // 10)).repeat(10)[:length]
    samples = np.zeros((length, 3))
    samples[:, 2] = force
    for n in range(length - 1):
        samples[n + 1, :2] = _TURN @ samples[n, :2] + _PUSH * force[n]
    return samples * _UNITS


def driven_series() -> Series:
    """Four recordings, end to end."""
    samples = np.concatenate([recording(length, seed) for seed, length in enumerate(LENGTHS)])
    time = np.concatenate([0.1 * np.arange(length) for length in LENGTHS])
    extent = Extent(LENGTHS, 0.1, OUTPUTS, INPUTS, time_unit="s")
    return Series(samples, samples, time, extent)


def read_driven_series(monkeypatch: pytest.MonkeyPatch) -> Series:
    """Let every signal of a config be that series."""
    series = driven_series()
    monkeypatch.setattr(Synthetic, "extent", lambda _: series.extent)
    monkeypatch.setattr(Synthetic, "read", lambda _: series)
    return series


def write_driven_series(path: Path) -> tuple[str, ...]:
    """Write that series as a CSV file, and return settings of a config that reads it."""
    series = driven_series()
    names = ["recording", "time", *(each.name for each in (*OUTPUTS, *INPUTS))]
    recordings = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    rows = np.column_stack([recordings, series.time, series.observed])
    np.savetxt(path, rows, delimiter=",", header=",".join(names), comments="")
    columns = "segment_column: recording, time_column: time, inputs: [force]"
    return f"signal={{kind: file, path: '{path}', {columns}}}", *SETTINGS
