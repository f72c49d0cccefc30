"""Whether a run can be had again: its recorded config trained anew, and compared to the bit."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sinernn import experiment, judging, provenance
from sinernn.config import load_config
from sinernn.errors import (
    InterruptedRunError,
    RunFileError,
    TrainingDivergedError,
    UsageError,
    command_line,
)
from sinernn.experiment import Watch
from sinernn.runs import Run
from sinernn.runs.directory import open_run
from sinernn.runs.files import read_bytes

COMPARED = (
    "metrics.csv", "model.safetensors", "checkpoints/best.safetensors",
    "checkpoints/last.safetensors",
)  # fmt: skip
"""All that training leaves behind but its time stamps."""


@dataclass(frozen=True)
class Verification:
    """How a run and the training of its config again compare."""

    run: str
    files: dict[str, bool]
    """Whether the bytes of each file agree."""

    environment: dict[str, tuple[Any, Any]]
    """What of the environment was otherwise: then, now."""

    scores: dict[str, tuple[float | None, float | None]]
    """Scores of both networks, where the bits differ: then, now."""

    @property
    def agrees(self) -> bool:
        """Whether every bit does."""
        return all(self.files.values())

    def report(self) -> dict[str, Any]:
        """Return it all, for other programs."""
        return {**asdict(self), "agrees": self.agrees}


def verify(
    run: Run | Path | str,
    *,
    runs_dir: Path | str = "runs",
    watch: Watch = Watch(),  # noqa: B008 (it is frozen)
) -> Verification:
    """Train the recorded config of a finished run again, elsewhere, and compare what comes out.

    Args:
        run: The run: itself, its folder, its name in `runs_dir`, or `latest`.
        runs_dir: Folder of the run directories.
        watch: Who is told of the training.

    Raises:
        SinernnError: The run is not finished or cannot be read, or training fails.
    """
    run = run if isinstance(run, Run) else open_run(run, runs_dir=runs_dir)
    facts = run.read_facts()
    if facts["status"] != "finished":
        raise UsageError(
            f"{run.path}: is not finished, its status is {facts['status']}; "
            f"{_way_out(run, facts['status'])}"
        )
    config = load_config(run.config_path)
    start = experiment.recorded_start(run, facts)
    with tempfile.TemporaryDirectory(prefix="sinernn-") as folder:
        with _telling_of(run):
            again = experiment.train(
                config, runs_dir=folder, start_from=start, figures=False, watch=watch
            )
        files = {name: _content(run, name) == _content(again.run, name) for name in COMPARED}
        return Verification(
            run=str(run.path),
            files=files,
            environment=provenance.differences(facts, again.facts),
            scores={} if all(files.values()) else _scores(run, again.scores),
        )


def _way_out(run: Run, status: str) -> str:
    if status == TrainingDivergedError.run_status:
        return "only a run that ended well can be had again"
    return f"finish it with: {command_line('resume', run.path)}"


@contextmanager
def _telling_of(run: Run) -> Generator[None]:
    """Tell what ends a training of the run it was for, not of its folder that is gone then."""
    try:
        yield
    except InterruptedRunError as error:
        raise InterruptedRunError(
            f"interrupted; begin again with: {command_line('verify', run.path)}",
            signal_number=error.exit_code - 128,
        ) from error
    except TrainingDivergedError as error:
        raise TrainingDivergedError(f"{run.path}: diverged when trained again") from error
    except RunFileError as error:
        cause = error.__cause__ if isinstance(error.__cause__, RunFileError) else error
        raise RunFileError(f"{cause}; set TMPDIR to a folder with more room") from error


def _content(run: Run, name: str) -> bytes | None:
    path = run.path / name
    return read_bytes(path) if path.exists() else None


def _scores(run: Run, again: dict[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    """Return the scores that are told first, of a run as it is and of its config trained again."""
    then = judging.judge(run).scores
    return {
        "open_loop.rmse": (then["open_loop"]["rmse"], again["open_loop"]["rmse"]),
        "closed_loop_rmse": (_median(then), _median(again)),
    }


def _median(scores: dict[str, Any]) -> float | None:
    return scores["closed_loop_rmse"][-1]["median"]
