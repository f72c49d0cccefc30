"""Drivers and workers of sweeps are killed; resumed, a sweep equals one that nothing stopped."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from campaign import times
from commands import COMMAND, run, started, wait_until
from examples import TINY
from sweeping import FEW, contents

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")

SEED = 20261128  # of the instants
AT_MOST = 5  # kills of one sweep
WORDS = (TINY, *FEW, "model.hidden_size=2,3", "seeds=8", "--jobs", 2, "--quiet", "--no-figures")


def sweeps_in(place: Path) -> list[Path]:
    return [path.parent for path in place.glob("runs/[!.]*/sweep.yaml")]


def command(place: Path) -> list[object]:
    """Return the next command of a user who sees what is there."""
    found = sweeps_in(place)
    if not found:
        return [COMMAND, "sweep", *WORDS]
    return [COMMAND, "resume", found[0], "--jobs", 2, "--quiet", "--no-figures"]


def workers_of(process: "subprocess.Popen[bytes]") -> list[int]:
    """Return the children of a process, of any of its threads."""
    found: list[int] = []
    for path in Path(f"/proc/{process.pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            found += map(int, path.read_text().split())
    return found


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    """What a sweep comes to that nothing stops, and how long it takes."""
    place = tmp_path_factory.mktemp("whole")
    run(COMMAND, "train", TINY, *FEW, "--no-figures", cwd=place / "..")  # compiles kernels
    began = time.perf_counter()
    ended = run(*command(place), cwd=place)
    assert ended.code == 0, ended.err
    return contents(sweeps_in(place)[0]), time.perf_counter() - began


@pytest.mark.parametrize("target", ["driver", "workers", "both"])
def test_killed_sweep_equals_an_undisturbed_one(
    whole: tuple[dict[str, bytes], float], tmp_path: Path, target: str
):
    """Killed at random instants, again and again, then resumed."""
    expected, seconds = whole
    random, left, sweeps = np.random.default_rng(SEED), times(10), 0
    while left > 0:
        place = tmp_path / str(sweeps)
        place.mkdir()
        sweeps += 1
        for _ in range(min(left, AT_MOST)):
            left -= 1
            with started(*command(place), cwd=place, stderr=subprocess.DEVNULL) as process:
                wait_until(lambda: process.poll() is not None or workers_of(process))
                time.sleep(random.uniform(0, 0.7 * seconds))
                if target != "driver":
                    workers = workers_of(process)
                    kill(workers[int(random.integers(len(workers)))] if workers else process.pid)
                if target != "workers":
                    process.kill()
        ended = run(*command(place), cwd=place)
        assert ended.code == 0, ended.err
        (sweep,) = sweeps_in(place)
        assert contents(sweep) == expected
        assert not list(sweep.glob(".*/"))
        assert not list(place.glob("runs/.*"))
