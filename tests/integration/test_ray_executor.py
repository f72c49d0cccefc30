"""What the Ray executor does with runs that are lost, seen with a stand-in for Ray.

`tests/campaign/test_ray_sweep.py` has the cluster.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from examples import TINY
from sinernn.errors import UsageError
from sinernn.sweeps import ray_executor
from sinernn.sweeps.driver import sweep
from sinernn.sweeps.ray_executor import RayExecutor
from sinernn.sweeps.worker import Task
from sweeping import FEW, InProcess, contents


class RayError(Exception):
    """Of Ray: a task was lost, or has raised `cause`."""

    cause: Exception | None = None


class StandIn:
    """Runs a task at once; the first ones are lost, as with a node."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, *losses: Exception) -> None:
        self.losses = list(losses)
        self.submitted: list[str] = []
        self.cancelled = 0

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def put(self, value: Any) -> Any:
        return value

    def remote(self, **_: Any) -> Callable[..., Any]:
        return lambda function: SimpleNamespace(remote=partial(self.submit, function))

    def submit(self, function: Callable[..., Any], task: Any, *arguments: Any) -> Any:
        self.submitted.append(task.run)
        futures: list[Future[Any]] = [Future(), Future()]
        try:
            if self.losses:
                raise self.losses.pop(0)
            for future, value in zip(futures, function(task, *arguments), strict=True):
                future.set_result(value)
        except Exception as cause:
            error = RayError(str(cause))
            error.cause = cause
            futures[0].set_exception(error)
        return [SimpleNamespace(future=lambda future=future: future) for future in futures]

    def cancel(self, _: Any, *, force: bool) -> None:
        self.cancelled += 1


def sweep_by(ray: StandIn, *overrides: str, runs_dir: str = "runs", jobs: int | None = 1) -> Any:
    executor = partial(RayExecutor, ray=ray, jobs=jobs)
    return sweep(TINY, [*FEW, *overrides], runs_dir=runs_dir, executor=executor, figures=False)


def test_lost_run_is_trained_again(here: Path):
    """The sweep ends like one that lost nothing."""
    ray = StandIn(RayError("its node died"), RayError("its node died"))
    table = sweep_by(ray, "seeds=2")
    assert ray.submitted == ["tiny-0", "tiny-0", "tiny-0", "tiny-1"]
    local = sweep(TINY, [*FEW, "seeds=2"], runs_dir="local", executor=InProcess, figures=False)
    assert contents(table.path) == contents(local.path)


def test_run_that_is_lost_again_and_again_fails(here: Path):
    """It fails alone, with the reason, and the others are trained."""
    table = sweep_by(StandIn(*[RayError("its worker died\nlogs")] * 3), "seeds=2")
    assert [row["status"] for row in table] == ["failed", "finished"]
    assert table[0]["reason"] == "was lost 3 times: RayError: its worker died"


@pytest.mark.parametrize(("jobs", "ahead"), [(1, 1), (3, 3), (None, 4)])
def test_runs_in_flight(here: Path, jobs: int | None, ahead: int):
    """As many as asked for, or two for each core; the rest of the tasks are not even made."""
    taken: list[int] = []

    def tasks() -> Iterator[Any]:
        for number in range(6):
            taken.append(number)
            yield Task(str(number), "", {"signal": {"kind": "sine"}}, {})

    ray = StandIn(*[UsageError("stop")] * 6)
    with RayExecutor(here, ray=ray, jobs=jobs) as executor, pytest.raises(UsageError, match="stop"):
        next(executor.train(tasks()))
    assert (len(taken), ray.cancelled) == (ahead, ahead - 1)


def test_node_that_joins_with_other_versions(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Its first task ends the sweep, which says why."""
    ours = ray_executor._versions()
    answers = [ours, {**ours, "numpy": "1.0"}]  # here, then there
    monkeypatch.setattr(ray_executor, "_versions", lambda: answers.pop(0) if answers else ours)
    with pytest.raises(UsageError, match=r"Ray node .*: has other versions: .* install the same"):
        sweep_by(StandIn(), "seeds=1")
