from dataclasses import replace

import numpy as np
import pytest

from sinernn.evaluation.hints import HINTS, Setting, find_hints

GOOD = Setting(
    order="contiguous",
    carry_state=True,
    length=49,
    normalize=True,
    schedule="cosine",
    gradient_clip=1.0,
    period=2 * np.pi,
    time_step=10 / 49,
    largest=1.0,
    losses=np.geomspace(1, 1e-8, 100),
)
PLATEAU = np.concatenate([np.geomspace(1, 1e-4, 50), np.full(50, 1e-4)])


def overrides(relative_error: float = 1.0, **changes: object) -> list[str]:
    found = find_hints(replace(GOOD, **changes), relative_error=relative_error)
    return [hint.override for hint in found]


def test_no_hint_for_good_settings():
    """However poor the score."""
    assert overrides() == []


@pytest.mark.parametrize(
    ("changes", "override"),
    [
        ({"order": "random"}, "windows.order=contiguous"),
        ({"schedule": "constant", "losses": PLATEAU}, "training.schedule=cosine"),
        ({"length": 30}, "windows.length=62"),
        ({"time_step": 2.5}, "signal.time_step=0.314159"),
        ({"normalize": False, "largest": 30.0}, "windows.normalize=true"),
        (
            {"gradient_clip": None, "losses": np.where(np.arange(100) == 70, 1.0, 1e-3)},
            "training.gradient_clip=1.0",
        ),
    ],
)
def test_hints(changes: dict[str, object], override: str):
    """Each setting that explains a poor score is named with its override."""
    assert overrides(**changes) == [override]
    assert overrides(relative_error=0.05, **changes) == []


def test_a_score_that_diverged_is_poor():
    assert overrides(relative_error=np.inf, order="random") == ["windows.order=contiguous"]


@pytest.mark.parametrize(
    "changes",
    [
        {"order": "random", "carry_state": False},
        {"schedule": "constant"},  # still learning at the end
        {"schedule": "constant", "losses": np.ones(5)},  # too few to tell
        {"period": None, "length": 3},
        {"normalize": False},  # samples within reach
        {"gradient_clip": None},
        {"losses": np.where(np.arange(100) == 70, 1.0, 1e-3)},  # clipped already
        {"gradient_clip": None, "losses": np.array([1.0])},
    ],
)
def test_what_explains_nothing_is_not_named(changes: dict[str, object]):
    assert overrides(**changes) == []


def test_every_hint_says_why():
    bad = Setting("random", True, 2, False, "constant", None, 1.0, 0.4, 99.0, PLATEAU)
    found = find_hints(
        replace(bad, losses=PLATEAU + np.where(np.arange(100) == 60, 1, 0)), relative_error=9.0
    )
    assert len(found) == len(HINTS)
    assert all(len(hint.because) > 40 for hint in found)
