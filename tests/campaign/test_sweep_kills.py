"""Drivers and workers of sweeps are killed; resumed, a sweep equals one that nothing stopped."""

import sys
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from campaign import times
from commands import folder_in_memory
from nursery import Nursery
from sweep_kills import Bench, sweeps_in
from sweeping import contents

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")

SEED = 20261128  # of the instants
AT_MOST = 5  # kills of one sweep


@pytest.fixture(scope="module")
def sweeps() -> Generator[Bench]:
    with folder_in_memory() as folder, Nursery(Path(folder)) as nursery:
        yield Bench(nursery, Path(folder))


@pytest.mark.parametrize("target", ["driver", "workers", "both"])
def test_killed_sweep_equals_an_undisturbed_one(sweeps: Bench, target: str):
    """Killed at random instants, again and again, then resumed."""
    random, left = np.random.default_rng(SEED), times(10)
    while left > 0:
        place = sweeps.place(f"{target}-{left}")
        for _ in range(min(left, AT_MOST)):
            left -= 1
            sweeps.kill(place, target, random.uniform())
        sweeps.finish(place)
        (sweep,) = sweeps_in(place)
        assert contents(sweep) == sweeps.expected
        assert not list(sweep.glob(".*/"))
        assert not list(place.glob("runs/.*"))
