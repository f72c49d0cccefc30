# pyright: basic, reportMissingImports=false
# mlflow is an extra.
"""Show runs in MLflow: on the server of `MLFLOW_TRACKING_URI`, by MLflow's client."""

import os
import time
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from sinernn.errors import UsageError
from sinernn.runs.listing import REPORT
from sinernn.trackers.tracker import Scalars, TrackedRun, Tracker

ADDRESS = "MLFLOW_TRACKING_URI"
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default of 7 takes minutes
}
"""Environment variables of MLflow that we set where the user has not."""

KEY = "sinernn.run"
"""Tag by which a run or a sweep is found again."""

STATUS = {"running": "RUNNING", "finished": "FINISHED", "interrupted": "KILLED"}
"""MLflow's status of ours; all others are failures."""

MOST_PARAMS, MOST_METRICS = 100, 1000  # in one request
FLUSH_SECONDS = 2.0


class MLflow(Tracker):
    """Shows a run as a run of MLflow, and a sweep as one with its runs nested in it."""

    package, extra = "mlflow", "mlflow"

    @classmethod
    def require(cls) -> None:
        """Check that the client is installed and has an address.

        Raises:
            UsageError: It is not, or has none.
        """
        super().require()
        if not os.environ.get(ADDRESS):
            example = f"export {ADDRESS}=http://127.0.0.1:5000"
            raise UsageError(f"tracker mlflow: {ADDRESS} is not set; set it, as in {example}")

    def start(self, run: TrackedRun) -> None:
        """Find the run or create it, and log its settings.

        If settings have changed, as of a run that was resumed for more steps, the MLflow run is
        replaced: its parameters cannot be changed.
        """
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = MlflowClient()
        params = {name: str(value)[:6000] for name, value in run.settings.items()}
        parent = {} if run.sweep is None else {"mlflow.parentRunId": self._sweep(run.sweep)}
        found = self._find(run.key)
        if found and any(params.get(name, "") != found[name] for name in found):
            self._client.delete_run(self._id)
            found = None
        if found is None:
            self._create(run.key, run.name, run.started, parent)
        new = [Param(*item) for item in params.items() if item[0] not in (found or {})]
        for first in range(0, len(new), MOST_PARAMS):
            self._client.log_batch(self._id, params=new[first : first + MOST_PARAMS])
        self._client.update_run(self._id, status="RUNNING")
        self._waiting: list[Any] = []
        self._flushed = time.monotonic()
        self._is_new = found is None
        self._logged: dict[str, set[tuple[int, float]]] = defaultdict(set)

    def record(self, scalars: Scalars, time: float) -> None:
        """Log numbers, some seconds' at once; those that are there already are left out."""
        from mlflow.entities import Metric

        for name, value in scalars.values.items():
            if not self._is_new and name not in self._logged:
                there = self._client.get_metric_history(self._id, name)
                self._logged[name] = {(each.step, each.value) for each in there}
            if (scalars.step, value) not in self._logged[name]:
                self._logged[name].add((scalars.step, value))
                self._waiting.append(Metric(name, value, int(1000 * time), scalars.step))
        self._flush()

    def finish(self, run: TrackedRun) -> None:
        """Log scores, figures, config and model, and the status."""
        self.record(Scalars(run.facts.updates, run.scores()), run.ended)
        self._flush(at_once=True)
        for path in run.files():
            self._client.log_artifact(self._id, str(path))
        for path in run.figures():
            self._client.log_artifact(self._id, str(path), "figures")
        status = STATUS.get(run.facts.status, "FAILED")
        if run.facts.ended:
            self._client.set_terminated(self._id, status, int(1000 * run.ended))
        else:
            self._client.update_run(self._id, status=status)

    def finish_sweep(self, sweep: Path) -> None:
        """Log tables and figures of a sweep, and end it."""
        self._id = self._sweep(sweep)
        for name in ("sweep.yaml", "results.csv", "points.csv", REPORT):
            if (path := sweep / name).exists():
                self._client.log_artifact(self._id, str(path))
        for path in sorted((sweep / "figures").glob("*.png")):
            self._client.log_artifact(self._id, str(path), "figures")
        self._client.set_terminated(self._id)

    def _flush(self, *, at_once: bool = False) -> None:
        """Send what waits, if it is much, or some seconds old."""
        if at_once or time.monotonic() - self._flushed > FLUSH_SECONDS:
            for first in range(0, len(self._waiting), MOST_METRICS):
                self._client.log_batch(self._id, self._waiting[first : first + MOST_METRICS])
            self._waiting.clear()
            self._flushed = time.monotonic()

    def _sweep(self, sweep: Path) -> str:
        """Return the MLflow run of a sweep, which is created if needed."""
        if self._find(sweep.name) is None:
            self._create(sweep.name, sweep.name, time.time(), {})
        return self._id

    def _find(self, key: str) -> dict[str, str] | None:
        """Find a run by its key; return its parameters, or None if there is no such run."""
        self._experiment = self._experiment_id()
        wanted = f"tags.`{KEY}` = '{_tag(key)}'"
        found = self._client.search_runs([self._experiment], wanted, max_results=1)
        if not found:
            return None
        self._id: str = found[0].info.run_id
        return dict(found[0].data.params)

    def _create(self, key: str, name: str, started: float, tags: dict[str, str]) -> None:
        tags = {KEY: _tag(key), "mlflow.source.name": "sinernn", **tags}
        made = self._client.create_run(self._experiment, int(1000 * started), tags, name)
        self._id = made.info.run_id

    def _experiment_id(self) -> str:
        """Return the experiment that MLflow's environment variables name, `sinernn` by default."""
        if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return given
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "sinernn"
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name)


def _tag(key: str) -> str:
    """Return a key as one that needs no quotes in a search."""
    return sha256(key.encode()).hexdigest()[:32]
