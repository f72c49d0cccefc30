"""Create and find run directories, which are named by time."""

import contextlib
import secrets
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sinernn.errors import RunFileError, RunNotFoundError, command_line
from sinernn.runs import Run
from sinernn.runs.files import (
    read_bytes,
    reporting_errors,
    safe_name,
    sync_directory,
    temporary_path,
    write_atomically,
)

LATEST = "latest"
MAX_NAME = 1000  # bytes of a text file with the name of the latest run


def create_run(
    runs_dir: Path,
    name: str,
    *,
    now: datetime,
    files: Mapping[str, bytes],
    publish_latest: bool = True,
) -> Run:
    """Make a new directory `<UTC time>-<name>` that contains `files`, and point `latest` to it.

    It is made under a temporary name and renamed when complete, so that no other process sees an
    incomplete one; two runs of the same second get two directories. `publish_latest=False` leaves
    `latest` unchanged.

    Raises:
        RunFileError: The directory cannot be made.
    """
    latest = runs_dir / LATEST
    stem = f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{safe_name(name)}"
    made = Run(runs_dir / f".{stem}.{secrets.token_hex(4)}")
    with reporting_errors(runs_dir, "cannot hold a run directory", "; choose another --runs-dir"):
        if publish_latest and latest.is_dir() and not latest.is_symlink():
            raise RunFileError(f"{latest}: is a folder, but a link needs this name; rename it")
        runs_dir.mkdir(parents=True, exist_ok=True)
        made.path.mkdir()
        try:
            for file, content in files.items():
                made.write(file, content)
            run = Run(_publish(made.path, runs_dir / stem))
        except BaseException:
            shutil.rmtree(made.path, ignore_errors=True)
            raise
    if publish_latest:
        _point_latest(runs_dir, run.path.name)
    return run


def open_run(run: Run | Path | str, *, runs_dir: Path | str = "runs") -> Run:
    """Find a run by its folder, its name in `runs_dir`, or `latest`, even if that link is lost.

    A `Run` is returned unchanged.

    Raises:
        RunNotFoundError: There is no such run.
    """
    if isinstance(run, Run):
        return run
    path = Path(run)
    if len(path.parts) == 1 and not is_run(path):
        path = Path(runs_dir) / path
    found = _latest(path) if path.name == LATEST else path
    if found is not None and is_run(found):
        return Run(found)
    what = "no such run"
    with contextlib.suppress(OSError):  # an impossible file name
        if found is not None and path.is_dir():
            if inside := _newest(path):
                raise RunNotFoundError(f"{path}: is a folder of runs; name one, such as {inside}")
            what = "is not a run directory: it has no run.json"
    newest = _newest(Path(runs_dir))
    way_out = (
        f"the newest in {runs_dir} is {newest.name}" if newest else f"there are none in {runs_dir}"
    )
    raise RunNotFoundError(f"{path}: {what}; {way_out}")


def remove_run(run: Run) -> None:
    """Remove a run directory; `latest` next to it then leads to the newest run left, if any.

    Without its run.json, which is removed first, no other process takes the folder for a run.

    Raises:
        RunBusyError: Another process is training it.
        RunFileError: It is a link, or cannot be removed.
    """
    if run.path.is_symlink():
        raise RunFileError(f"{run.path}: is a link; remove the link itself, or name its target")
    path = run.path.resolve()  # a name even for the working folder
    latest = path.with_name(LATEST)
    with run.held():
        run.remove("run.json")
    with reporting_errors(run.path, "cannot be removed completely"):
        shutil.rmtree(path)
        if _named_by(latest) == path.name:
            if newest := _newest(path.parent):
                _point_latest(path.parent, newest.name)
            else:
                latest.unlink()


def lost_file(run: Run, path: Path) -> RunFileError:
    """Return the error of a missing file of a run, without which its training cannot continue."""
    again = command_line("train", run.config_path)
    return RunFileError(
        f"{path}: is missing, but was written before; restore it, or start again with: {again}"
    )


def _publish(made: Path, path: Path) -> Path:
    """Rename a complete folder to a free name: `path`, with a number appended if needed."""
    stem, number = path.name, 1
    while True:
        try:
            made.rename(path)
        except OSError:
            if not path.exists():
                raise
            number += 1
            path = path.with_name(f"{stem}-{number}")
        else:
            sync_directory(path.parent)
            return path


def _point_latest(runs_dir: Path, name: str) -> None:
    latest = runs_dir / LATEST
    try:
        with temporary_path(latest) as temporary:
            temporary.symlink_to(name, target_is_directory=True)
            temporary.replace(latest)
    except OSError:  # no links on this file system: write the name to a text file
        write_atomically(latest, f"{name}\n".encode())


def _latest(path: Path) -> Path | None:
    """Return the run that the link or text file `path` names, or the newest if there is none."""
    if (name := _named_by(path)) is None and is_run(path):
        return path
    named = path.with_name(name) if name not in (None, "", "..", LATEST) else None
    return named if named and is_run(named) else _newest(path.parent)


def _named_by(latest: Path) -> str | None:
    """Return the name in a link or text file; None if there is neither."""
    if latest.is_symlink():
        return latest.readlink().name
    if latest.is_file():
        return Path(read_bytes(latest, most=MAX_NAME).decode(errors="replace").strip()).name
    return None


def _newest(runs_dir: Path) -> Path | None:
    known = [path for path in runs_dir.glob("[!.]*") if path.name != LATEST and is_run(path)]
    return max(known, default=None, key=lambda path: path.name)


def is_run(path: Path) -> bool:
    """Whether a folder is a run directory."""
    try:
        return (path / "run.json").is_file()
    except OSError:  # an impossible file name
        return False
