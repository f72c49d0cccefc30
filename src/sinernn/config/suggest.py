"""Choose settings that suit a series, each with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

from sinernn.data.series import Extent
from sinernn.data.survey import Survey
from sinernn.data.windows import count_origins, split_by_time, whole_windows

FEWEST = 40
"""Samples that the longest segment needs."""

SHORT = 600  # samples of the longest segment below which validation and test take more of it
_STEPS = 6000  # take a second; refinement does the rest
_MOST_WEIGHTS = 2000  # more take minutes to refine


@dataclass(frozen=True)
class Choice:
    """A setting's value, and why."""

    value: Any
    reason: str = ""  # none if the value says it


def fractions(lengths: Sequence[int]) -> tuple[float, float]:
    """Return the parts of a series to train on and to choose on."""
    return (0.6, 0.2) if max(lengths) < SHORT else (0.7, 0.15)


def suggest_settings(extent: Extent, survey: Survey) -> dict[str, Choice]:
    """Choose settings for a series, by their dotted names.

    Args:
        extent: The series; its longest segment has at least `FEWEST` samples.
        survey: What it is like.
    """
    kind, cycle = survey.kind, survey.cycle
    train, validation = fractions(extent.lengths)
    parts = split_by_time(extent.lengths, train=train, validation=validation)
    trained = [len(part) for part in parts.train]
    room = min(max(map(len, part)) for part in (parts.validation, parts.test))
    warmup = min(max(2, round(cycle * (10 if kind == "irregular" else 2))), 500, room // 2)
    cycles = 65 if kind == "regular" and survey.noise < 1e-4 else 1 if kind == "noisy" else 2
    horizon = min(max(1, round(cycles * cycle)), 2000, max(1, (room - warmup) * 2 // 3))
    fitting = [
        sum(count_origins(part, warmup=warmup, horizon=horizon))
        for part in (parts.validation, parts.test)
    ]
    length = min(max(20, round(1.6 * cycle)), 200, max(trained) // 2)
    windows = sum(whole_windows(samples, length) for samples in trained)
    units = _hidden_size(sum(trained) * len(extent.outputs), extent.channels, kind)
    choices = {
        "dtype": Choice("float64", "refine needs its precision"),
        "windows.length": Choice(length, "1.6 oscillations, as far as they fit: 20 to 200 samples"),
        "windows.batch_size": Choice(
            min(8, ceil(windows / _STEPS)),
            "windows in an update; more for a long series, so that updates see all of it",
        ),
        "windows.washout": Choice(
            min(round(cycle), length * 2 // 3),
            "samples that the network reads from its zero state before errors count: about one "
            "oscillation",
        ),
        "split.train": Choice(
            train,
            "of each segment"
            if train == 0.7
            else "a short series: more is left to choose and test",
        ),
        "split.validation": Choice(validation, "the rest is the test part"),
        "model.cell": Choice("rnn_tanh", "refine needs few iterations with it; try gru, too"),
        "model.hidden_size": Choice(
            units, "at most one weight for every few values in the training part"
        ),
        "training.steps": Choice(_STEPS, "a second or two; refine does the rest"),
        "training.learning_rate": Choice(0.003, "suits networks of this size"),
        "training.schedule": Choice("cosine", "ends in small steps"),
        "training.evaluate_every": Choice(
            500, "the network with the lowest error on the validation part is kept"
        ),
        "refine.stages": Choice(
            "auto", f"{_STAGES[kind]}; print them with: sinernn config show CONFIG"
        ),
        "refine.origins": Choice(
            min(32, fitting[0]), "with noise, many forecasts choose better than a few"
        ),
        "evaluation.warmup": Choice(
            warmup, f"{_oscillations(warmup / cycle)} that a forecast reads before it starts"
        ),
        "evaluation.horizon": Choice(
            horizon, f"{_oscillations(horizon / cycle)} ahead{_HORIZONS[kind]}"
        ),
        "evaluation.origins": Choice(
            min(24 if kind != "regular" else 8, fitting[1]), "forecasts, spread over the test part"
        ),
    }
    if kind == "regular":
        del choices["refine.origins"]  # as many as in the evaluation
    return choices


_STAGES = {
    "regular": "for an oscillation: errors of free runs over growing horizons",
    "irregular": "for an irregular series: horizons grow in small steps",
    "noisy": "for a noisy series: noise on the warm-ups teaches the network to filter",
}
_HORIZONS = {
    "regular": "",
    "irregular": "; an irregular series cannot be forecast much further",
    "noisy": "; noise hides what lies further ahead",
}


def _hidden_size(values: int, channels: int, kind: str) -> int:
    """Return how many units so many values in the training part can determine."""
    most = 28 if kind == "irregular" else 16
    weights = min(values / 2, _MOST_WEIGHTS) - channels
    of_unit = 2 * channels + 2  # besides its weights from other units
    fits = (sqrt(of_unit**2 + 4 * max(weights, 0)) - of_unit) / 2
    return max(2, min(most, int(fits)))


def _oscillations(number: float) -> str:
    text = f"{number:.2g}"
    return f"{text} oscillation{'' if text == '1' else 's'}"
