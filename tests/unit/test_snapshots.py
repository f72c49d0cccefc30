import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from examples import make_checkpoint, make_run, refining, tiny
from sinernn.config import Config, load_config
from sinernn.errors import RunFileError
from sinernn.model.network import Network
from sinernn.refine.stages import Refine, Stage
from sinernn.runs import Run
from sinernn.runs.snapshots import (
    METADATA_KEY,
    SNAPSHOTS,
    Snapshot,
    load_snapshots,
    read_snapshots,
    snapshots_bytes,
)
from sinernn.snapshotting import plan_snapshots

NETWORK = make_checkpoint().network


def network(hidden_size: int = 16, dtype: str = "float32") -> Network:
    return Network("rnn_tanh", 1, hidden_size, num_layers=1, dtype=dtype)


def with_stages(count: int, snapshots: int = 60) -> Config:
    refine = Refine(stages=(Stage(),) * count)
    return load_config({"refine": refine}, [f"training.snapshots={snapshots}"])


def snapshots() -> list[Snapshot]:
    """Two of the updates, and one before and after the only stage of refinement."""
    params = [make_checkpoint(seed=seed).state.params for seed in range(4)]
    return [
        Snapshot(params[0], 0), Snapshot(params[1], 10),
        Snapshot(params[2], 12, 0, 1), Snapshot(params[3], 12, 1, 1),
    ]  # fmt: skip


def test_ladder_of_updates():
    """It rises by a constant factor, to 10 million, and has as many as are set with the first."""
    updates = np.array(plan_snapshots(tiny("training.log_every=1"), network()).updates)
    assert (updates[0], updates[1], updates[-1], len(updates)) == (0, 10, 10_000_000, 60)
    ratios = updates[2:] / updates[1:-1]
    np.testing.assert_allclose(ratios[10:], ratios[-1], rtol=0.01)  # smaller ones are rounded


def test_ladder_at_rows_of_metrics():
    """From the first row on it is at rows, where training pauses anyway."""
    updates = plan_snapshots(tiny("training.log_every=100"), network()).updates
    assert updates[:14] == (0, 10, 13, 16, 20, 26, 33, 42, 53, 67, 85, 100, 200, 300)
    assert all(n % 100 == 0 for n in updates[11:])


def test_ladder_of_longer_runs():
    """It is the same for runs of any length, since a run can be extended."""
    short, long = (
        plan_snapshots(tiny(f"training.steps={steps}"), network()) for steps in (5, 10**9)
    )
    assert short == long


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 60, 1000])
@pytest.mark.parametrize("stages", [1, 7, 100])
def test_no_more_than_set(count: int, stages: int):
    plan = plan_snapshots(with_stages(stages, count), network())
    assert len(plan.updates) + len(plan.stages) <= count
    assert len(plan.stages) == len(set(plan.stages)) <= count / 2


def test_every_stage_of_refinement():
    """There is a snapshot before and after each, and of too many the last is kept."""
    assert plan_snapshots(with_stages(7), network()).stages == tuple(range(8))
    assert plan_snapshots(with_stages(100, 9), network()).stages == (0, 33, 67, 100)


@pytest.mark.parametrize(
    ("hidden_size", "count"),
    [(16, 60), (1000, 4), (2500, 0)],  # 1.3 kB, 4 MB and 25 MB
)
def test_at_most_20_megabytes(hidden_size: int, count: int):
    """Of a large network there are fewer, and none of one that exceeds it."""
    config = tiny("training.log_every=1")
    assert len(plan_snapshots(config, network(hidden_size)).updates) == count


def test_half_as_many_in_float64():
    plan = plan_snapshots(tiny(), network(1000, "float64"))
    assert len(plan.updates) == 2


def test_snapshots_round_trip(here: Path):
    """What is written is read, label by label and bit by bit."""
    path = make_run().write(SNAPSHOTS, snapshots_bytes(NETWORK, snapshots()))
    found_network, found = load_snapshots(path)
    assert found_network == NETWORK
    assert [each.label for each in found] == [
        "initial weights", "update 10", "before refinement", "refinement, stage 1 of 1",
    ]  # fmt: skip
    assert snapshots_bytes(NETWORK, found) == path.read_bytes()


def test_arrays_are_stacked(here: Path):
    """Those of a parameter are one array under torch's name."""
    arrays = load(snapshots_bytes(NETWORK, snapshots()))
    assert {name: array.shape for name, array in arrays.items()} == {
        name: (4, *shape) for name, shape in NETWORK.shapes.items()
    }


def test_no_file_no_snapshots(here: Path):
    assert read_snapshots(make_run()) == []


@pytest.fixture
def run(here: Path) -> Run:
    run = make_run()
    run.write(SNAPSHOTS, snapshots_bytes(NETWORK, snapshots()))
    return run


def test_best_network_is_the_last(run: Run):
    """The network that is evaluated ends the list, but not twice."""
    run.save_checkpoint("best", make_checkpoint(seed=3))
    assert read_snapshots(run)[-1].label == "refinement, stage 1 of 1"
    run.save_checkpoint("best", make_checkpoint(seed=4))
    assert [each.label for each in read_snapshots(run)][-2:] == [
        "refinement, stage 1 of 1", "best network, update 17",
    ]  # fmt: skip


def test_snapshots_before_a_checkpoint(run: Run):
    """A training that diverged early has snapshots, and no checkpoint."""
    assert len(read_snapshots(run)) == 4


def test_snapshots_of_another_network(run: Run):
    run.save_checkpoint("last", make_checkpoint("gru"))
    with pytest.raises(RunFileError, match=r"is of another network than the checkpoints"):
        read_snapshots(run)


def with_metadata(**changes: object) -> bytes:
    content = snapshots_bytes(NETWORK, snapshots())
    length = int.from_bytes(content[:8], "little")
    facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][METADATA_KEY])
    return save(load(content), {METADATA_KEY: json.dumps(facts | changes)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged"),
        (snapshots_bytes(NETWORK, snapshots())[:-7], "is damaged"),
        (save(load(snapshots_bytes(NETWORK, snapshots()))), "is not a file of snapshots of"),
        (with_metadata(format=9), "has format 9, this sinernn reads 1; upgrade it"),
        (with_metadata(updates=[]), "is damaged: updates: List should have at least 1 item"),
        (with_metadata(updates=[0, 10, 12]), "is damaged: its arrays are not 3 times those of"),
        (with_metadata(stages_done=[0] * 5), "is damaged: it labels more snapshots of the"),
        (
            snapshots_bytes(NETWORK, [replace(snapshots()[0], params={
                name: np.full(shape, np.nan, "float32") for name, shape in NETWORK.shapes.items()
            })]),
            "is damaged: it holds NaN or infinity",
        ),
    ],
)  # fmt: skip
def test_damaged_snapshots(here: Path, content: bytes, message: str):
    path = make_run().write(SNAPSHOTS, content)
    with pytest.raises(RunFileError, match=rf"snapshots.safetensors: {message}"):
        load_snapshots(path)


def test_snapshots_until_a_state():
    """Those of the updates up to it, and of the stages that are over."""
    plan = plan_snapshots(with_stages(2), network())
    state = refining(np.zeros(NETWORK.parameter_count)).state  # update 17, after stage 1
    assert plan.until(state)[-2:] == [(17, 0), (17, 1)]
    assert plan.until(replace(state, refine=None))[-2:] == [(13, None), (17, None)]
    assert plan.until(replace(state, refine=None, updates=16))[-1] == (13, None)
