"""Hints at settings that may explain a poor score, each with an override to try.

A hint is one function from a `Setting` to a `Hint` or None, registered in `HINTS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sinernn.arrays import Float
from sinernn.evaluation.parts import Hint

POOR = 0.1
"""A free run is poor if its error exceeds this fraction of the standard deviation."""


@dataclass(frozen=True)
class Setting:
    """Settings and results of a training that may explain a poor score."""

    order: str
    """`contiguous` or `random` windows."""

    carry_state: bool
    length: int
    """Inputs in a window."""

    normalize: bool
    schedule: str
    """`constant` or `cosine`."""

    gradient_clip: float | None
    period: float | None
    """Length of one oscillation of the signal, in time units; None if it has none."""

    time_step: float
    """Spacing of the samples, in time units."""

    largest: float
    """Largest absolute value in the training part, in signal units."""

    losses: Float[np.ndarray, " row"]
    """Losses in metrics.csv, evenly spaced over the updates."""


def strange_state(setting: Setting) -> Hint | None:
    """Hidden state carried between windows that are not adjacent."""
    if setting.order != "random" or not setting.carry_state:
        return None
    return Hint(
        override="windows.order=contiguous",
        because="windows were drawn at random, but the hidden state was carried over as if they "
        "were adjacent: at the start of every window it contradicts the data",
    )


def no_decay(setting: Setting) -> Hint | None:
    """A constant learning rate, and a loss that no longer falls."""
    losses, quarter = setting.losses, len(setting.losses) // 4
    if setting.schedule != "constant" or quarter < 2:
        return None
    third, fourth = losses[-2 * quarter : -quarter], losses[-quarter:]
    if np.median(fourth) < 0.5 * np.median(third):
        return None  # the loss was still falling
    return Hint(
        override="training.schedule=cosine",
        because="the loss reached a plateau, and the learning rate never decayed: steps that large "
        "cannot converge",
    )


def short_window(setting: Setting) -> Hint | None:
    """A window shorter than a period."""
    if setting.period is None or setting.length >= setting.period / setting.time_step:
        return None
    samples = setting.period / setting.time_step
    return Hint(
        override=f"windows.length={math.ceil(2 * samples)}",
        because=f"a window of {setting.length} samples is shorter than a period of {samples:.3g}: "
        "no gradient covers a whole one",
    )


def coarse_sampling(setting: Setting) -> Hint | None:
    """About two samples a period, or fewer: the waveform between them is lost."""
    if setting.period is None or setting.period / setting.time_step > 3:
        return None
    return Hint(
        override=f"signal.time_step={setting.period / 20:.6g}",
        because=f"there are {setting.period / setting.time_step:.3g} samples in a period: at 2 "
        "and below the waveform cannot be distinguished from a slower one",
    )


def no_scaling(setting: Setting) -> Hint | None:
    """Samples far outside the units' range."""
    if setting.normalize or setting.largest <= 5:
        return None
    return Hint(
        override="windows.normalize=true",
        because=f"samples go up to {setting.largest:.3g}, which drives the units into saturation",
    )


def spikes(setting: Setting) -> Hint | None:
    """Losses that jump late in training."""
    later = setting.losses[len(setting.losses) // 4 :]
    if setting.gradient_clip is not None or len(later) < 4:
        return None
    jumps = later[1:] / np.maximum(later[:-1], np.finfo(float).tiny)
    if jumps.max() < 10:
        return None
    return Hint(
        override="training.gradient_clip=1.0",
        because=f"the loss jumped by {jumps.max():.2g} x between two rows of the metrics, "
        "late in training",
    )


HINTS: tuple[Callable[[Setting], Hint | None], ...] = (
    strange_state,
    no_decay,
    short_window,
    coarse_sampling,
    no_scaling,
    spikes,
)
"""Every hint, the likeliest cause first."""


def find_hints(setting: Setting, *, relative_error: float) -> list[Hint]:
    """Return hints for a poor score; none for a good one.

    Args:
        setting: What the network was trained with.
        relative_error: Closed-loop RMSE divided by the series' standard deviation.
    """
    if relative_error <= POOR:
        return []
    return [found for hint in HINTS if (found := hint(setting))]
