"""When a setting explains a poor score: what is wrong with it, and the override to try.

A hint is one function from a `Setting` to its words or None, registered in `HINTS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sinernn.evaluation.results import Hint

POOR = 0.1
"""A free run is poor if its error exceeds this fraction of the standard deviation."""


@dataclass(frozen=True)
class Setting:
    """What a network was trained with, as far as it can explain a poor score."""

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
    """Of the signal it was trained on, in time units; None if that has none."""

    time_step: float
    """Spacing of its samples, in time units."""

    largest: float
    """Largest sample of the training part, in signal units and without sign."""

    losses: Float[np.ndarray, " row"]
    """Rows of metrics.csv, at even distances."""


def strange_state(setting: Setting) -> Hint | None:
    """Hidden state carried between windows that are not neighbours."""
    if setting.order != "random" or not setting.carry_state:
        return None
    return Hint(
        override="windows.order=contiguous",
        because="windows were drawn at random, but the hidden state was carried on as if they were "
        "neighbours: at the start of every window it contradicts the data",
    )


def no_decay(setting: Setting) -> Hint | None:
    """A learning rate that stays up, and a loss that stays where it is."""
    losses, quarter = setting.losses, len(setting.losses) // 4
    if setting.schedule != "constant" or quarter < 2:
        return None
    third, fourth = losses[-2 * quarter : -quarter], losses[-quarter:]
    if np.median(fourth) < 0.5 * np.median(third):
        return None  # it was still learning
    return Hint(
        override="training.schedule=cosine",
        because="the loss came to a plateau, and the learning rate never decayed: steps that large "
        "cannot settle",
    )


def short_window(setting: Setting) -> Hint | None:
    """A window in which no whole period fits."""
    if setting.period is None or setting.length >= setting.period / setting.time_step:
        return None
    samples = setting.period / setting.time_step
    return Hint(
        override=f"windows.length={math.ceil(2 * samples)}",
        because=f"a window of {setting.length} samples is shorter than a period of {samples:.3g}: "
        "gradients never saw a whole one",
    )


def coarse_sampling(setting: Setting) -> Hint | None:
    """Two samples a period, or nearly so: what lies between is lost."""
    if setting.period is None or setting.period / setting.time_step > 3:
        return None
    return Hint(
        override=f"signal.time_step={setting.period / 20:.6g}",
        because=f"there are {setting.period / setting.time_step:.3g} samples in a period: at 2 "
        "and below the waveform cannot be distinguished from a slower one",
    )


def no_scaling(setting: Setting) -> Hint | None:
    """Samples far beyond what the units are made for."""
    if setting.normalize or setting.largest <= 5:
        return None
    return Hint(
        override="windows.normalize=true",
        because=f"samples go up to {setting.largest:.3g}, which drives the units into saturation",
    )


def spikes(setting: Setting) -> Hint | None:
    """Losses that jump, long after the beginning."""
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
"""Every hint there is, the likeliest cause first."""


def find_hints(setting: Setting, *, relative_error: float) -> list[Hint]:
    """Return what may explain a poor score; nothing for a good one.

    Args:
        setting: What the network was trained with.
        relative_error: Closed-loop RMSE by the series' standard deviation.
    """
    if relative_error <= POOR:
        return []
    return [found for hint in HINTS if (found := hint(setting))]
