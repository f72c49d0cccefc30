"""Show runs in programs such as TensorBoard and MLflow: read `tracker.py` first.

A tracker is a subclass of `Tracker` in a module of its own; it is registered as an entry point
`sinernn.trackers` in pyproject.toml, that of sinernn or of any other installed package.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

from sinernn.errors import SinernnError, UsageError, command_line, nearest
from sinernn.observers import Observer
from sinernn.runs import Run
from sinernn.runs.directory import open_run
from sinernn.sweeps.folders import find_sweep
from sinernn.sweeps.observing import SweepObserver
from sinernn.trackers.background import (
    PATIENCE,
    Background,
    RunTracking,
    SweepTracking,
    reason,
    replay_sweep,
)
from sinernn.trackers.tracker import Tracker, replay

GROUP = "sinernn.trackers"


def make_tracker(name: str) -> Tracker:
    """Return a new tracker, which contacts nothing yet.

    Raises:
        UsageError: There is none of this name, or it cannot be used here.
    """
    known = {each.name: each for each in entry_points(group=GROUP)}
    if name not in known:
        guess = nearest(name, list(known))
        advice = f"did you mean {guess}?" if guess else f"there are {', '.join(sorted(known))}"
        raise UsageError(f"{name}: no such tracker; {advice}")
    try:
        kind = known[name].load()
    except Exception as error:  # of a package that is not ours
        raise UsageError(f"tracker {name}: cannot be imported: {reason(error)}") from error
    kind.require()
    return kind()


@contextmanager
def _backgrounds(names: Sequence[str], patience: float) -> Generator[list[Background]]:
    found = [Background(name, make_tracker(name)) for name in dict.fromkeys(names)]
    try:
        yield found
    finally:
        for each in found:
            each.close(patience)


@contextmanager
def tracking(names: Sequence[str], *, patience: float = PATIENCE) -> Generator[list[Observer]]:
    """Yield observers that show a training in trackers, such as `tensorboard` or `mlflow`.

    They work on threads of their own: one that fails, hangs or is slow changes nothing of the run,
    and is warned of once. Addresses come from the environment.

    Args:
        names: The trackers.
        patience: Seconds to wait for each at the end of the block.

    Raises:
        UsageError: There is no such tracker, or it cannot be used here.

    Example:
        >>> with sinernn.tracking(["tensorboard"]) as observers:
        ...     summary = sinernn.train("tiny.yaml", figures=False, observers=observers)
        >>> folder = summary.run.path.parent / "tensorboard" / summary.run.path.name
        >>> len(list(folder.glob("events.*")))
        1
    """
    with _backgrounds(names, patience) as found:
        yield [RunTracking(each) for each in found]


@contextmanager
def sweep_tracking(
    names: Sequence[str], *, patience: float = PATIENCE
) -> Generator[list[SweepObserver]]:
    """Yield observers that show the runs of a sweep in trackers: see `tracking`.

    Example:
        >>> with sinernn.sweep_tracking(["tensorboard"]) as observers:
        ...     table = sinernn.sweep("tiny.yaml", ["seeds=2"], observers=observers)
        >>> len(list((table.path / "tensorboard").iterdir()))
        2
    """
    with _backgrounds(names, patience) as found:
        yield [SweepTracking(each) for each in found]


def track(run: Run | Path | str, name: str, *, runs_dir: Path | str = "runs") -> Path:
    """Show a run or a sweep in a tracker from its files; what is there already is replaced.

    Args:
        run: The run: itself, its folder, its name in `runs_dir`, or `latest`; or a sweep's folder.
        name: The tracker.
        runs_dir: Folder of the run directories.

    Returns:
        Folder of the run or sweep.

    Raises:
        SinernnError: It cannot be read, there is no such tracker, or it failed.

    Example:
        >>> sinernn.track("latest", "tensorboard").parent.name
        'runs'
    """
    tracker = make_tracker(name)
    sweep = None if isinstance(run, Run) else find_sweep(run, runs_dir)
    path = sweep or open_run(run, runs_dir=runs_dir).path
    try:
        if sweep:
            replay_sweep(tracker, sweep)
        else:
            replay(tracker, Run(path))
    except SinernnError:
        raise
    except Exception as error:
        again = f"{command_line('track', path)} --with {name}"
        raise SinernnError(
            f"tracker {name} failed: {reason(error)}; repeat with: {again}"
        ) from error
    return path
