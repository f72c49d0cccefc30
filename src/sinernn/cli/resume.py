"""`sinernn resume`."""

from functools import partial
from pathlib import Path

from sinernn.cli.parsing import (
    AsJson,
    ExecutorName,
    Figures,
    Jobs,
    KeepGoing,
    Overrides,
    Quiet,
    RayAddress,
    RunOrSweepArgument,
    RunsDir,
    Track,
)
from sinernn.cli.sweep import run_sweep


def resume_command(
    run: RunOrSweepArgument,
    overrides: Overrides = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    figures: Figures = True,
    jobs: Jobs = None,
    executor: ExecutorName = "local",
    ray_address: RayAddress = None,
    keep_going: KeepGoing = True,
    track: Track = None,
    as_json: AsJson = False,
) -> None:
    """Continue a run from its last checkpoint, or a sweep, as if it had never stopped.

    Example: sinernn resume latest training.steps=40000
    """
    from sinernn import experiment
    from sinernn.cli.stderr import ClosedPipe
    from sinernn.cli.terminal import print_summary
    from sinernn.errors import UsageError
    from sinernn.runs.directory import open_run
    from sinernn.sweeps.driver import resume_sweep
    from sinernn.sweeps.folders import find_sweep
    from sinernn.trackers import tracking
    from sinernn.user_settings import chosen_trackers

    trackers = chosen_trackers(track, use_settings=False)
    if (sweep := find_sweep(run, runs_dir)) is not None:
        run_sweep(
            partial(resume_sweep, sweep, overrides or [], figures=figures),
            trackers=trackers,
            jobs=jobs,
            executor=executor,
            ray_address=ray_address,
            keep_going=keep_going,
            quiet=quiet,
            as_json=as_json,
        )
        return
    opened = open_run(run, runs_dir=runs_dir)
    if jobs is not None or executor != "local" or ray_address is not None or not keep_going:
        message = "--jobs, --executor, --ray-address and --no-keep-going are for sweeps"
        raise UsageError(f"{opened.path}: is a run, and not a sweep's folder; {message}")
    with tracking(trackers) as trackings:
        summary = experiment.resume(
            opened,
            overrides or [],
            figures=figures,
            progress=not quiet,
            observers=[ClosedPipe(), *trackings],
        )
        print_summary(summary, as_json=as_json)
