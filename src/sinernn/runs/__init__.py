"""The files of a run directory: written whole, read without running any code."""

import contextlib
import csv
import io
import json
import os
from array import array
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pydantic_core
from safetensors.numpy import save

from sinernn.arrays import Float
from sinernn.errors import (
    RunBusyError,
    RunFileError,
    TrainingDivergedError,
    UsageError,
    command_line,
)
from sinernn.evaluation.results import Scores
from sinernn.refine.records import MetricsRow
from sinernn.runs.checkpoints import (
    Checkpoint,
    checkpoint_bytes,
    load_checkpoint,
    model_bytes,
)
from sinernn.runs.facts import RESULT, RunFacts
from sinernn.runs.files import (
    FORMAT,
    ArraysFile,
    contiguous,
    damaged,
    is_temporary_of,
    is_there,
    read_bytes,
    reporting_errors,
    require_file,
    require_format,
    safe_name,
    sync_directory,
    to_json,
    validated,
    write_atomically,
)
from sinernn.schema import JsonModel

MAX_JSON_BYTES = 4_000_000  # 10,000 origins, the maximum, take a quarter of it
LOCK_SECONDS = 0.2  # to wait for the lock of a run, which `is_held` takes for an instant
MAX_LINE = 1000  # characters in a row of the metrics, which has at most 7 numbers
METRICS_COLUMNS = (
    "phase", "step", "loss", "learning_rate", "closed_loop_rmse", "stage", "damping",
)  # fmt: skip

TRAINED = (
    "config.yaml", "run.json", "metrics.csv", "model.safetensors",
    "checkpoints/last.safetensors", "checkpoints/best.safetensors",
    "checkpoints/best_before_end.safetensors", "snapshots.safetensors",
)  # fmt: skip
"""Files that training writes, always in the one process that holds the run."""

EVALUATED = ("evaluation.json", "evaluation.safetensors")  # files that an evaluation writes

DATA = "data.npz"
"""Copy of the data that a run was given, not in a file."""

EVALUATIONS = "evaluations"
"""Folder of the evaluations that are not the run's own, each in one of its name."""

JsonModelT = TypeVar("JsonModelT", bound=JsonModel)


@dataclass(frozen=True)
class Run:
    """A run directory.

    Example:
        >>> from pathlib import Path
        >>> run = sinernn.Run(Path("runs/latest"))
        >>> run.read_facts().status
        'finished'
    """

    path: Path

    @property
    def config_path(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def data_path(self) -> Path:
        """The copy of the data, absolute as in a config that was read."""
        return Path(os.path.abspath(self.path / DATA))  # noqa: PTH100

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """Keep other processes from training this run; the lock ends with the process.

        Raises:
            RunBusyError: Another process is training it.
            RunFileError: The directory cannot be written to.
        """
        from filelock import FileLock, Timeout

        for name in ("checkpoints", "figures", EVALUATIONS, ".lock"):
            self._require_own(self.path / name)
        lock = FileLock(self.path / ".lock", timeout=LOCK_SECONDS)
        with reporting_errors(self.path / ".lock", "cannot be locked"):
            try:
                held = lock.acquire()
            except Timeout as error:
                raise RunBusyError(
                    f"{self.path}: another process is training this run; wait until it ends"
                ) from error
        with held:
            self._sweep()
            yield

    def is_held(self) -> bool:
        """Whether another process is training this run; true if the system does not say."""
        from filelock import FileLock

        lock = self.path / ".lock"
        try:
            if lock.is_file() and not lock.is_symlink():
                with FileLock(lock, timeout=0):
                    pass
        except OSError:  # of which filelock's Timeout is one
            return True
        return False

    def _sweep(self) -> None:
        """Remove temporary files left behind by a training that was killed."""
        for name in TRAINED:
            path = self.path / name
            for leftover in path.parent.glob(".*"):
                if is_temporary_of(leftover, path.name):
                    with contextlib.suppress(OSError):
                        leftover.unlink()

    def evaluations(self) -> list[str]:
        """Return the names of the evaluations that are not the run's own."""
        scores = self.path.glob(f"{EVALUATIONS}/*/evaluation.json")
        names = sorted(path.parent.name for path in scores)
        return [name for name in names if safe_name(name) == name]

    def evaluation_folder(self, evaluation: str | None) -> str:
        """Return where an evaluation is in the run directory, with a slash; "" for the run's own.

        Raises:
            UsageError: It is not a name that `safe_name` returns.
        """
        if evaluation is None:
            return ""
        if (safe := safe_name(evaluation)) != evaluation:
            raise UsageError(
                f"{evaluation}: cannot be the name of an evaluation; use letters, digits and "
                f"_.=+- as in {safe}; {self._known_evaluations()}"
            )
        return f"{EVALUATIONS}/{evaluation}/"

    def require_evaluation(self, evaluation: str) -> None:
        """Check that there is an evaluation of this name.

        Raises:
            UsageError: There is none.
        """
        if evaluation not in self.evaluations():
            raise UsageError(
                f"{self.path}: has no evaluation called {evaluation}; {self._known_evaluations()}"
            )

    def _known_evaluations(self) -> str:
        names = self.evaluations()
        return f"there are {', '.join(names)}" if names else "there are none but the run's own"

    def remove_evaluations(self) -> None:
        """Remove all scores, which are out of date once training continues."""
        for folder in self.evaluation_folders():
            for name in (*EVALUATED, RESULT):
                self.remove(f"{folder}{name}")

    def evaluation_folders(self) -> list[str]:
        """Return where evaluations may be, the run's own first, whatever they contain."""
        folders = self.path.glob(f"{EVALUATIONS}/*/")
        return ["", *(f"{EVALUATIONS}/{each.name}/" for each in folders)]

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        path = self.path / name
        self._require_own(path.parent)
        with reporting_errors(path, "cannot be removed"):
            path.unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> Path:
        """Write a file whole or not at all, in subfolders that are made if needed."""
        path = self.path / name
        self._require_own(path.parent)
        for folder in self._folders(path.parent):
            if not is_there(folder):
                with reporting_errors(path, "cannot be written"):
                    folder.mkdir(exist_ok=True)
                    sync_directory(folder.parent)
        write_atomically(path, content)
        return path

    def _require_own(self, path: Path) -> None:
        """Check that no file is written or removed outside the run directory through a link."""
        for each in self._folders(path):
            with reporting_errors(each, "cannot be read"):
                is_link = each.is_symlink()
            if is_link:
                raise RunFileError(f"{each}: is a link out of the run directory; remove it")

    def _folders(self, path: Path) -> list[Path]:
        """Return a path and the folders above it, from the outermost in the run directory."""
        parts = path.relative_to(self.path).parts
        return [self.path.joinpath(*parts[:end]) for end in range(1, len(parts) + 1)]

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file whole or not at all; NaN and infinity are not JSON."""
        self.write(name, to_json(value).encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of at most `MAX_JSON_BYTES`.

        Raises:
            RunFileError: It is missing or too large, or not a JSON object of finite numbers.
        """
        path = self.path / name
        content = read_bytes(path, most=MAX_JSON_BYTES)
        try:
            value = pydantic_core.from_json(
                content, allow_inf_nan=False
            )  # nor surrogates, nor deep nesting
            if b"Infinity" in pydantic_core.to_json(value, inf_nan_mode="constants"):
                json.dumps(value, allow_nan=False)  # 1e999 is JSON, and infinite
        except ValueError as error:
            raise damaged(path, f"not JSON: {error}") from error
        if not isinstance(value, dict):
            raise damaged(path, "not a JSON object")
        return cast("dict[str, Any]", value)

    def read_facts(self) -> RunFacts:
        """Read run.json.

        Raises:
            RunFileError: It is missing, damaged or from a future version.
        """
        return self._read_model("run.json", RunFacts)

    def write_facts(self, facts: RunFacts) -> None:
        """Write run.json."""
        self.write_json("run.json", facts.model_dump())

    def read_scores(self, evaluation: str | None = None) -> Scores:
        """Read the evaluation.json of the run's own evaluation, or of another one.

        Raises:
            RunFileError: It is missing, damaged or from a future version.
        """
        return self._read_model(f"{self.evaluation_folder(evaluation)}evaluation.json", Scores)

    def _read_model(self, name: str, kind: type[JsonModelT]) -> JsonModelT:
        content, path = self.read_json(name), self.path / name
        require_format(path, content.get("format", FORMAT))  # version 0.1 wrote none
        return validated(path, kind, content)

    def write_metrics(self, rows: Iterable[MetricsRow]) -> None:
        """Write metrics.csv; a missing value is an empty cell, floats are exact when read."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(METRICS_COLUMNS)
        writer.writerows([row.get(name) for name in METRICS_COLUMNS] for row in rows)
        self.write("metrics.csv", text.getvalue().encode())

    def metrics_rows(self) -> Generator[dict[str, str]]:
        """Read metrics.csv, row by row, as text.

        Raises:
            RunFileError: It is missing or damaged.
        """
        path, names = self.path / "metrics.csv", set(METRICS_COLUMNS)
        require_file(path)
        with (
            reporting_errors(path, "cannot be read"),
            path.open(encoding="utf-8", errors="replace", newline="") as file,
        ):
            lines = iter(lambda: file.readline(MAX_LINE), "")  # a longer line is read in pieces
            try:
                for row in csv.DictReader(lines):
                    if row.keys() != names or None in row.values():
                        raise damaged(path, "its columns are not those of metrics")
                    yield row
            except csv.Error as error:
                raise damaged(path, error) from error

    def read_metrics(self, phase: str = "training") -> dict[str, Float[np.ndarray, " row"]]:
        """Read the numeric columns of a phase, `training` or `refine`; NaN where a cell is empty.

        Raises:
            RunFileError: They are missing or damaged.
        """
        path, is_empty = self.path / "metrics.csv", True
        columns = {name: array("d") for name in METRICS_COLUMNS[1:]}
        for row in self.metrics_rows():
            is_empty = False
            if row["phase"] == phase:
                for name, column in columns.items():
                    try:
                        column.append(float(row[name] or "nan"))
                    except ValueError as error:
                        raise damaged(path, f"{name}: {error}") from error
        if is_empty:
            facts = self.read_facts()
            update = facts.diverged_at
            what = "ended" if update is None else f"diverged at update {update}"
            way_out = f"continue with: {command_line('resume', self.path)}"
            if facts.status == TrainingDivergedError.run_status:
                again = command_line("train", self.config_path)
                way_out = f"for a row of every update: {again} training.log_every=1"
            message = f"{path}: has no rows, since the run {what} before its first"
            raise RunFileError(message if update == 1 else f"{message}; {way_out}")
        return {name: np.array(column) for name, column in columns.items()}

    def write_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write arrays as a safetensors file."""
        self.write(name, save(contiguous(arrays)))

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """Read a safetensors file.

        Raises:
            RunFileError: It is missing or damaged.
        """
        return ArraysFile(self.path / name).read()

    def save_checkpoint(self, name: str, checkpoint: Checkpoint) -> None:
        """Write `checkpoints/NAME.safetensors`."""
        self.write(f"checkpoints/{name}.safetensors", checkpoint_bytes(checkpoint))

    def save_model(self, checkpoint: Checkpoint) -> None:
        """Write model.safetensors: the weights alone, which torch loads as they are."""
        self.write("model.safetensors", model_bytes(checkpoint))

    def load_checkpoint(self, name: str) -> Checkpoint:
        """Read `checkpoints/NAME.safetensors`.

        Raises:
            RunFileError: It is missing, damaged, or from a future version.
        """
        path = self.checkpoint_path(name)
        with reporting_errors(path, "cannot be read"):
            return load_checkpoint(path)

    def checkpoint_path(self, name: str) -> Path:
        """Return the path of `checkpoints/NAME.safetensors`, which may not exist."""
        return self.path / "checkpoints" / f"{name}.safetensors"

    def has_checkpoint(self, name: str) -> bool:
        """Whether `checkpoints/NAME.safetensors` exists."""
        return is_there(self.checkpoint_path(name))

    def set_aside(self, name: str, aside: str) -> None:
        """Copy a checkpoint; if there is none, remove an earlier copy."""
        if self.has_checkpoint(name):
            content = read_bytes(self.checkpoint_path(name))
            write_atomically(self.checkpoint_path(aside), content)
        else:
            self.remove(f"checkpoints/{aside}.safetensors")

    def put_back(self, aside: str, name: str) -> None:
        """Undo `set_aside`: restore the copy, or remove the checkpoint if there is no copy."""
        if not self.has_checkpoint(aside):
            self.remove(f"checkpoints/{name}.safetensors")
            return
        with reporting_errors(self.checkpoint_path(name), "cannot be replaced"):
            self.checkpoint_path(aside).replace(self.checkpoint_path(name))
            sync_directory(self.checkpoint_path(name).parent)

    def best_checkpoint(self) -> tuple[str, Checkpoint]:
        """Read the best checkpoint, or the last if none was selected as best; and its name.

        Raises:
            RunFileError: There is none, or it is damaged.
        """
        for name in ("best", "last"):
            if self.has_checkpoint(name):
                return name, self.load_checkpoint(name)
        status = self.read_facts().status
        again = f"train it again with: {command_line('resume', self.path)}"  # only scores were kept
        way_out = again if status == "finished" else "choose another run"
        raise RunFileError(f"{self.path}: has saved no network, its status is {status}; {way_out}")
