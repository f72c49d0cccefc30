"""A sweep on a Ray cluster equals one of this machine, whatever happens to nodes and the driver."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from campaign import times
from commands import COMMAND, run, started, wait_until
from examples import TINY
from sinernn.errors import UsageError
from sinernn.sweeps.driver import sweep
from sinernn.sweeps.ray_executor import connected_to_ray
from sweeping import FEW, InProcess, contents

cluster_utils = pytest.importorskip("ray.cluster_utils", reason="make campaign installs ray")

SEED = 20261128  # of the instants
AT_MOST = 5  # kills of one sweep
NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}
WORDS = (TINY, *FEW, "model.hidden_size=2,3", "seeds=8")
QUIET = ("--quiet", "--no-figures")


@pytest.fixture(scope="module")
def cluster() -> Generator[Any]:
    """Three nodes of one core, which all are processes of this machine."""
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=NODE)
    for _ in range(2):
        cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the sweep comes to on this machine."""
    place = tmp_path_factory.mktemp("whole")
    ended = run(COMMAND, "sweep", *WORDS, *QUIET, "--jobs", 2, cwd=place)
    assert ended.code == 0, ended.err
    return contents(sweep_in(place))


def sweep_in(place: Path) -> Path:
    (path,) = place.glob("runs/[!.]*/sweep.yaml")
    return path.parent


def command(place: Path, address: str) -> list[object]:
    """Return the next command of a user who sees what is there."""
    options = [*QUIET, "--executor", "ray", "--ray-address", address]
    if list(place.glob("runs/[!.]*/sweep.yaml")):
        return [COMMAND, "resume", sweep_in(place), *options]
    return [COMMAND, "sweep", *WORDS, *options]


def ended_runs(place: Path) -> int:
    return len(list(place.glob("runs/*/*/result.json")))


def wait_for_runs(process: "subprocess.Popen[bytes]", place: Path, count: int) -> None:
    """Return once so many runs have ended, or the driver has."""
    wait_until(lambda: process.poll() is not None or ended_runs(place) >= count)


def kill_process_of(node: Any) -> bool:
    """Kill a process of a node that trains a run at this moment; return whether there was one."""
    (raylet,) = node.all_processes["raylet"]
    for path in Path(f"/proc/{raylet.process.pid}/task").glob("*/children"):
        for pid in path.read_text().split():
            with suppress(OSError):  # it has ended
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::_train_on_node"):
                    os.kill(int(pid), signal.SIGKILL)
                    return True
    return False


def test_sweep_that_loses_a_node(cluster: Any, whole: dict[str, bytes], tmp_path: Path):
    """And a process before: it trains again what they trained, and ends like one of this machine."""
    with started(*command(tmp_path, cluster.address), cwd=tmp_path) as process:
        wait_until(lambda: process.poll() is not None or kill_process_of(cluster.head_node))
        wait_for_runs(process, tmp_path, 3)
        lost = next(node for node in cluster.list_all_nodes() if not node.head)
        cluster.remove_node(lost, allow_graceful=False)
        assert process.poll() is None
    cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    assert process.returncode == 0
    assert contents(sweep_in(tmp_path)) == whole


def test_killed_driver_on_a_cluster(cluster: Any, whole: dict[str, bytes], tmp_path: Path):
    """Killed at random instants and resumed, the sweep equals an undisturbed one."""
    random, left, sweeps = np.random.default_rng(SEED), times(10), 0
    while left > 0:
        place = tmp_path / str(sweeps)
        place.mkdir()
        sweeps += 1
        for _ in range(min(left, AT_MOST)):
            left -= 1
            target = ended_runs(place) + int(random.integers(4))
            with started(*command(place, cluster.address), cwd=place) as process:
                wait_for_runs(process, place, target)
                time.sleep(random.uniform(0, 0.5))
                process.kill()
        ended = run(*command(place, cluster.address), cwd=place)
        assert ended.code == 0, ended.err
        assert contents(sweep_in(place)) == whole
        assert not list(sweep_in(place).glob(".*/"))


def test_file_on_a_cluster(cluster: Any, here: Path):
    """It travels to the nodes, configs have its path here, and nothing is imported beside it."""
    data = here / "wave.csv"
    (here / "numpy.py").write_text("raise SystemExit('imported')")
    np.savetxt(data, np.sin(np.arange(1000) / 5), header="x", comments="")
    settings = [f"signal={{kind: file, path: {data}}}", "seeds=2"]
    local = sweep(
        TINY, [*FEW, *settings], runs_dir=here / "local", executor=InProcess, figures=False
    )
    options = ["--ray-address", cluster.address, "--executor", "ray", "--json", *QUIET]
    ended = run(COMMAND, "sweep", TINY, *FEW, *settings, *options, cwd=here)
    assert ended.code == 0, ended.err
    assert [each["status"] for each in json.loads(ended.out)["runs"]] == ["finished"] * 2
    remote = sweep_in(here)
    assert contents(remote) == contents(local.path)
    for name in ("config.yaml", "result.json", "evaluation.json"):
        paths = [place / f"tiny-1/{name}" for place in (local.path, remote)]
        assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.0.0.1", "must be auto or HOST:PORT of a head node, as 10.0.0.1:6379"),
        ("ray://10.0.0.1:10001", "must be auto or HOST:PORT of a head node, as 10.0.0.1:6379"),
        ("127.0.0.1:1", "cannot be reached: Connection refused; start one with: ray start --head"),
        ("127.0.0.1:70000", "cannot be reached: .*; start one with: ray start --head"),
        ("{web}", "is not the port of a head node, by default 6379; start one with: ray .*"),
    ],
)
def test_wrong_address(address: str, message: str):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = address.format(web=f"127.0.0.1:{server.server_port}")
        with (
            pytest.raises(UsageError, match=f"^Ray cluster {address}: {message}$"),
            connected_to_ray(address),
        ):
            pass
        server.shutdown()


def test_versions_that_differ(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They are reported before the first task, and before a folder is made."""
    found = tmp_path / "numpy-1.0.dist-info" / "METADATA"
    found.parent.mkdir()
    found.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        node = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    ended = run(*command(tmp_path, cluster.address), cwd=tmp_path)
    cluster.remove_node(node)
    expected = (
        rf"Ray cluster .*: numpy is 1.0, and here {np.__version__} \(on [0-9.]+\); install .*"
    )
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(f"{expected}\n", ended.err)
    assert not (tmp_path / "runs").exists()


def test_version_of_ray_that_differs(cluster: Any, tmp_path: Path):
    """So does Ray itself, and Python."""
    code = "import ray; ray.__version__ = '2.0.0'; from sinernn import cli; cli.main()"
    ended = run(sys.executable, "-c", code, *command(tmp_path, cluster.address)[1:], cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(r"Ray cluster .*: Version mismatch: .* 2.0.0.*all nodes\n", ended.err)
    assert not (tmp_path / "runs").exists()
