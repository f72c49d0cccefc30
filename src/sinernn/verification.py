"""Reproduce a run and compare it bit for bit."""

import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sinernn import evaluating, experiment, provenance
from sinernn.config import load_config
from sinernn.errors import (
    InterruptedRunError,
    RunFileError,
    TrainingDivergedError,
    UsageError,
    command_line,
)
from sinernn.evaluation.results import Scores
from sinernn.observers import Observer
from sinernn.preparation import require_data
from sinernn.runs import Run
from sinernn.runs.directory import open_run
from sinernn.runs.files import read_bytes

COMPARED = (
    "metrics.csv", "model.safetensors", "checkpoints/best.safetensors",
    "checkpoints/last.safetensors",
)  # fmt: skip
"""All files that training writes, without those that contain times."""


@dataclass(frozen=True)
class Verification:
    """How a run and a second training of its config compare."""

    run: str
    files: dict[str, bool]
    """Whether each file has the same bytes."""

    environment: dict[str, tuple[Any, Any]]
    """Differences in the environment: then, now."""

    scores: dict[str, tuple[float | None, float | None]]
    """Scores of both networks, if the files differ: then, now."""

    @property
    def agrees(self) -> bool:
        """Whether all files are identical."""
        return all(self.files.values())

    def report(self) -> dict[str, Any]:
        """Return the result as JSON-compatible values."""
        return {**asdict(self), "agrees": self.agrees}


def verify(
    run: Run | Path | str,
    overrides: Sequence[str] = (),
    *,
    runs_dir: Path | str = "runs",
    progress: bool | None = None,
    observers: Sequence[Observer] = (),
) -> Verification:
    """Train a finished run's config again, in a temporary folder, and compare the files.

    Args:
        run: The run: itself, its folder, its name in `runs_dir`, or `latest`.
        overrides: `signal.path=FILE`, if its data file is elsewhere.
        runs_dir: Folder of the run directories.
        progress: See `train`.
        observers: Receive the events of the second training.

    Raises:
        SinernnError: The run is not finished or cannot be read, or training fails.

    Example:
        >>> sinernn.verify("latest").agrees
        True
    """
    run = open_run(run, runs_dir=runs_dir)
    facts = run.read_facts()
    if facts.status != "finished":
        way_out = f"finish it with: {command_line('resume', run.path)}"
        if facts.status == TrainingDivergedError.run_status:
            way_out = "only a finished run can be reproduced"
        raise UsageError(f"{run.path}: is not finished, its status is {facts.status}; {way_out}")
    if wrong := [text for text in overrides if not text.startswith("signal.path=")]:
        message = f"{' '.join(wrong)}: would train a different run; only signal.path can be changed"
        raise UsageError(f"{message}, where the run's data file is elsewhere")
    config = load_config(run.config_path, overrides)
    require_data(run, config, "verify")
    start = experiment.recorded_start(run, facts)
    with tempfile.TemporaryDirectory(prefix="sinernn-") as folder:
        with _errors_naming(run):
            again = experiment.train(
                config,
                runs_dir=folder,
                start_from=start,
                figures=False,
                progress=progress,
                observers=observers,
                publish_latest=False,
            )
        files = {name: _content(run, name) == _content(again.run, name) for name in COMPARED}
        return Verification(
            run=str(run.path),
            files=files,
            environment=provenance.differences(facts, again.facts),
            scores={} if all(files.values()) else _scores(run, again.scores),
        )


@contextmanager
def _errors_naming(run: Run) -> Generator[None]:
    """Make errors of the second training name the run instead of the temporary folder."""
    try:
        yield
    except InterruptedRunError as error:
        raise InterruptedRunError(
            f"interrupted; start again with: {command_line('verify', run.path)}",
            signal_number=error.exit_code - 128,
        ) from error
    except TrainingDivergedError as error:
        raise TrainingDivergedError(f"{run.path}: diverged when trained again") from error
    except RunFileError as error:
        cause = error.__cause__ if isinstance(error.__cause__, RunFileError) else error
        raise RunFileError(f"{cause}; set TMPDIR to a folder with more space") from error


def _content(run: Run, name: str) -> bytes | None:
    path = run.path / name
    return read_bytes(path) if path.exists() else None


def _scores(run: Run, again: Scores) -> dict[str, tuple[float | None, float | None]]:
    """Return the main scores of a run and of its second training."""
    then = evaluating.compute_evaluation(run).scores
    closed_loop = (then.closed_loop_rmse[-1].median, again.closed_loop_rmse[-1].median)
    return {
        "open_loop.rmse": (then.open_loop.rmse, again.open_loop.rmse),
        "closed_loop_rmse": closed_loop,
    }
