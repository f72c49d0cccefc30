"""A real MLflow server with an SQLite store shows runs and sweeps, and may be killed at any time."""

import logging
import os
import signal
import socket
import urllib.request
from collections.abc import Generator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest

import sinernn as library
from commands import no_hang, started, wait_until
from examples import TINY, Watching, refined
from sinernn.runs import Run
from sinernn.verification import COMPARED
from sweeping import FEW, InProcess

SERVER = "MLFLOW_SERVER"
"""Environment variable with the command: a server's 900 MB of packages have other pins than ours."""

pytestmark = [
    pytest.mark.skipif(
        find_spec("mlflow") is None or not os.environ.get(SERVER),
        reason=f"needs the extra mlflow, and in {SERVER} the command mlflow of another environment",
    ),
    pytest.mark.filterwarnings("ignore"),  # MLflow's own
]


@pytest.fixture
def server(here: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Any]:
    """The process of a server, to whose address the environment leads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    words = [os.environ[SERVER], "server", "--workers", "1"]
    words += ["--host", "127.0.0.1", "--port", port]
    words += ["--backend-store-uri", f"sqlite:///{here}/mlflow.db"]
    words += ["--artifacts-destination", here / "artifacts"]

    def is_up() -> bool:
        assert process.poll() is None
        with suppress(OSError), urllib.request.urlopen(f"{address}/health") as answer:
            return answer.status == 200
        return False

    options = {"stdout": DEVNULL, "stderr": DEVNULL, "start_new_session": True}
    with started(*words, **options) as process:
        try:
            wait_until(is_up)
            yield process
        finally:
            kill(process)


def kill(process: Any) -> None:
    """Kill a server with its workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def shown() -> dict[str, Any]:
    """What the server shows, by the names of runs."""
    from mlflow import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("sinernn")
    assert experiment is not None
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def losses(run_id: str) -> dict[int, float]:
    from mlflow import MlflowClient

    history = MlflowClient().get_metric_history(run_id, "training/loss")
    assert len({each.step for each in history}) == len(history)
    return {each.step: each.value for each in history}


def artifacts(run_id: str) -> set[str]:
    from mlflow import MlflowClient

    return {each.path for each in MlflowClient().list_artifacts(run_id)}


def test_mlflow_shows_runs_and_sweeps(server: Any):
    """Parameters, metrics and artifacts of a run, and once more changes nothing; a nested sweep."""
    with library.tracking(["mlflow"], patience=600.0) as observers:
        run = library.train(refined(), observers=observers).run
    for _ in range(2):
        (found,) = shown().values()
        assert (found.info.run_name, found.info.status) == (run.path.name, "FINISHED")
        assert found.data.params["model.cell"] == "rnn_tanh"
        median = run.read_scores().closed_loop_rmse[-1].median
        assert found.data.metrics["scores/closed_loop_rmse"] == median
        metrics = run.read_metrics()
        expected = dict(zip(metrics["step"].tolist(), metrics["loss"].tolist(), strict=True))
        assert losses(found.info.run_id) == expected
        files = {"config.yaml", "model.safetensors", "evaluation.json", "figures"}
        assert artifacts(found.info.run_id) == files
        library.track(run, "mlflow")

    with library.sweep_tracking(["mlflow"], patience=600.0) as observers:
        table = library.sweep(TINY, ["seeds=2", *FEW], executor=InProcess, observers=observers)
    now = shown()
    parent = now[table.path.name].info
    assert (parent.status, artifacts(parent.run_id)) == (
        "FINISHED", {"sweep.yaml", "results.csv", "points.csv", "figures"},
    )  # fmt: skip
    for row in table:
        child = now[row["run"]]
        assert child.data.tags["mlflow.parentRunId"] == parent.run_id
        assert child.data.metrics["scores/closed_loop_rmse"] == row["closed_loop_rmse"]


def test_mlflow_replaces_a_changed_run(server: Any):
    """A run that was trained for more steps is there once, with its settings of now."""
    run = library.train(refined("refine=null", "training.schedule=constant"), figures=False).run
    library.track(run, "mlflow")
    library.resume(run, ["training.steps=30"], figures=False)
    library.track(run, "mlflow")
    (found,) = shown().values()
    assert found.data.params["training.steps"] == "30"
    assert max(losses(found.info.run_id)) == 30


def test_mlflow_killed_in_mid_run(server: Any, caplog: pytest.LogCaptureFixture):
    """It costs one warning, and no bit."""

    def bits(run: Run) -> list[bytes]:
        return [(run.path / name).read_bytes() for name in COMPARED]

    expected = bits(library.train(refined(), figures=False).run)
    killing = Watching(record=lambda _: kill(server))
    with (
        no_hang(),
        caplog.at_level(logging.WARNING, "sinernn"),
        library.tracking(["mlflow"], patience=600.0) as observers,
    ):
        run = library.train(refined(), figures=False, observers=[killing, *observers]).run
    assert bits(run) == expected
    messages = [each.getMessage() for each in caplog.records if each.name == "sinernn"]
    assert len(messages) == 1
    assert messages[0].startswith("tracker mlflow failed: ")
    assert f"sinernn track {run.path} --with mlflow" in messages[0]
