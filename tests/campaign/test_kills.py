"""Real processes are killed, resumed, and end in the bytes of a run that nothing interrupted."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import kills
from campaign import LENGTH, stride, times
from commands import COMMAND, started, wait_until
from examples import TINY
from sinernn.runs.directory import LATEST

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="trainings are forked")

SEED = 20261124  # of the instants; tests/campaign/kills.py takes another with --seed


@pytest.mark.parametrize("series", kills.SERIES)
@pytest.mark.parametrize("case", kills.CASES)
def test_killed_at_random_instants(bench: kills.Bench, case: str, series: str):
    """Resumed, the run ends in the bytes of one that nothing interrupted."""
    tally = kills.kill_at_random(bench, case + series, times(4), SEED)
    assert tally.failures == []
    assert tally.kills.total() == times(4)


@pytest.mark.parametrize("series", kills.SERIES)
@pytest.mark.parametrize("case", kills.SHORT_CASES)
def test_killed_before_a_call(bench: kills.Bench, case: str, series: str):
    """Resumed, the run ends in the bytes of one that nothing interrupted.

    One call in 58 here; `tests/campaign/kills.py --every-call` takes them all.
    """
    tally = kills.meet_every_call(bench, case + series, "kill", stride=stride(58))
    assert tally.failures == []
    assert tally.kills.total() == tally.runs > 2 * min(1, LENGTH)


def test_installed_command_killed(bench: kills.Bench, tmp_path: Path):
    """Killed three times and resumed, the installed command ends in the same bytes."""
    bench.expect("fused")
    random, delays = np.random.default_rng(SEED), []
    for _ in range(3):
        words = [COMMAND, *map(str, bench.command("fused", tmp_path))]
        with started(*words, cwd=tmp_path) as process:
            # Before it holds a run there is nothing to lose.
            wait_until(lambda: process.poll() is not None or list(tmp_path.glob("runs/*/.lock")))
            delays.append(random.uniform(0, bench.seconds["fused"]))
            time.sleep(delays[-1])
            process.kill()
    tally = kills.Tally()
    bench.finish("fused", tmp_path, tally, f"killed after {delays} s")
    assert tally.failures == []


def test_two_processes_on_one_run(bench: kills.Bench, tmp_path: Path):
    """The second is refused until the first is dead."""
    bench.expect("fused")
    first = bench.nursery.start(*bench.command("fused", tmp_path), cwd=tmp_path)
    wait_until(lambda: list(tmp_path.glob("runs/*/checkpoints/last.safetensors")))
    os.kill(first.pid, signal.SIGSTOP)  # it holds the run for as long as this takes
    second = bench.nursery.run(*bench.command("fused", tmp_path), cwd=tmp_path)
    (run,) = kills.runs_in(tmp_path)
    assert second.code == 1
    assert second.err == (
        f"runs/{run.name}: another process is training this run; wait until it ends\n"
    )
    first.kill()
    assert first.wait().code == -signal.SIGKILL
    tally = kills.Tally()
    bench.finish("fused", tmp_path, tally, "resumed after the holder was killed")
    assert tally.failures == []


def test_twenty_trainings_at_once(bench: kills.Bench, tmp_path: Path):
    """Each gets a whole run directory, and `latest` is one of them whenever it is looked at."""
    bench.expect("whole")
    words = ("train", TINY, "--quiet", "--no-figures")
    trainings = [bench.nursery.start(*words, cwd=tmp_path) for _ in range(20)]
    latest, seen = tmp_path / "runs" / LATEST, set()
    while len(kills.runs_in(tmp_path)) < 20:
        if latest.exists():  # no wait: any look at it must find a whole run
            seen.add(latest.resolve().name)
            assert {path.name for path in latest.iterdir()} >= {"config.yaml", "run.json"}
    assert [training.wait().code for training in trainings] == [0] * 20
    runs = kills.runs_in(tmp_path)
    assert all(bench.agrees("whole", run) for run in runs)
    assert len(runs) == 20
    assert latest.resolve() in runs
    assert seen <= {run.name for run in runs}
    assert list(tmp_path.glob("runs/.*")) == []
