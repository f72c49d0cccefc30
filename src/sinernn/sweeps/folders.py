"""A sweep's folder and its run directories: find it; publish one, read its result, trim it."""

import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from sinernn.errors import RunFileError, command_line
from sinernn.provenance import Environment, differences, environment
from sinernn.runs import Run
from sinernn.runs.facts import RESULT
from sinernn.runs.files import (
    FORMAT,
    damaged,
    flush_tree,
    reporting_errors,
    require_format,
    sync_directory,
    to_json,
    validated,
)
from sinernn.runs.listing import SWEEP
from sinernn.sweeps.executor import Trained
from sinernn.sweeps.results import RunResult
from sinernn.sweeps.settings import BASE

ENVIRONMENT = "sweep.json"

HIDDEN = re.compile(r"\..+\.[0-9a-f]{8}")
"""Name of the folder in which a worker trains a run."""

KEPT = frozenset({"config.yaml", "run.json", "evaluation.json", RESULT})
"""Files of a run that does not keep its network."""


def find_sweep(path: Path | str, runs_dir: Path | str = "runs") -> Path | None:
    """Return the folder of a sweep, given it or its name in `runs_dir`; None if it is none."""
    for each in (Path(path), Path(runs_dir) / path):
        with suppress(OSError):  # an impossible file name
            if (each / SWEEP).is_file() and (each / BASE).is_file():
                return each
    return None


def read_environment(path: Path) -> Environment:
    """Return the environment in which a sweep began.

    Raises:
        RunFileError: Its file is missing or damaged.
    """
    try:
        found = validated(path / ENVIRONMENT, Environment, Run(path).read_json(ENVIRONMENT))
        if not found.versions:
            raise damaged(path / ENVIRONMENT, "versions are missing")
        return found
    except RunFileError as error:
        again = command_line("resume", path)
        raise RunFileError(f"{error}; written again by: {again}") from error


def environment_file() -> dict[str, bytes]:
    """Return the file that says in which environment a sweep began: that of this process."""
    return {ENVIRONMENT: to_json(environment().model_dump()).encode()}


def environment_changes(path: Path) -> list[str]:
    """Return in words what differs from the environment in which a sweep began.

    If that is not known any more, the present one is written down.
    """
    try:
        then = read_environment(path)
    except RunFileError:
        for name, content in environment_file().items():
            Run(path).write(name, content)
        return [f"{ENVIRONMENT} is written again; whether versions differ is not known"]
    return [
        f"{name} was {before} and is {after}: the results may differ"
        for name, (before, after) in differences(then, environment()).items()
    ]


def publish(trained: Trained, path: Path, is_kept: bool) -> None:
    """Put a run into a sweep's folder, complete and on the disk.

    Args:
        trained: The run.
        path: The sweep's folder.
        is_kept: Whether it keeps its network.
    """
    target = path / trained.task.run
    (made,) = (each for each in trained.folder.iterdir() if (each / RESULT).exists())
    if not is_kept:
        trim(made)
    flush_tree(made)
    with reporting_errors(target, "cannot be written"):
        if target.exists():  # it failed before
            shutil.rmtree(target)
        made.rename(target)
        sync_directory(path)
        shutil.rmtree(trained.folder)


def read_result(path: Path) -> RunResult | None:
    """Return what a run came to; None if it left nothing.

    Raises:
        RunFileError: It cannot be read, is damaged, or from a future version.
    """
    if not (path / RESULT).exists():
        if os.path.lexists(path) and not path.is_dir():
            raise RunFileError(f"{path}: is not a folder, but a run needs this name; remove it")
        return None
    with _way_out_of_damage(path):
        content = Run(path).read_json(RESULT)
    require_format(path / RESULT, content.get("format", FORMAT))
    with _way_out_of_damage(path):
        return validated(path / RESULT, RunResult, content)


@contextmanager
def _way_out_of_damage(path: Path) -> Generator[None]:
    """Add to an error of a run's file that a sweep can train the run again."""
    try:
        yield
    except RunFileError as error:
        again = command_line("resume", path.parent)
        raise RunFileError(f"{error}, or remove {path} and train it again with: {again}") from error


def trim(run: Path) -> None:
    """Remove what only a run with a network needs."""
    with reporting_errors(run, "cannot be made smaller"):
        for path in run.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in KEPT:
                path.unlink()


def remove_hidden(path: Path) -> None:
    """Remove what killed workers have left."""
    for each in path.glob(".*/"):
        if HIDDEN.fullmatch(each.name):
            shutil.rmtree(each, ignore_errors=True)
