"""`sinernn resume`."""

from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.completion import complete_run
from sinernn.cli.parsing import AsJson, Figures, Overrides, Quiet, RunsDir
from sinernn.cli.sweep import ExecutorName, Jobs, RayAddress, resume_and_print


def resume_command(
    run: Annotated[
        str,
        typer.Argument(
            help="Run directory, its name, or latest; or a sweep's folder.",
            autocompletion=complete_run,
        ),
    ],
    overrides: Overrides = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    figures: Figures = True,
    jobs: Jobs = None,
    executor: ExecutorName = "local",
    ray_address: RayAddress = None,
    as_json: AsJson = False,
) -> None:
    """Continue a run from its last checkpoint, or a sweep, as if it had never stopped.

    Example: sinernn resume latest training.steps=40000
    """
    from sinernn import experiment
    from sinernn.cli.progress import training_progress
    from sinernn.cli.terminal import print_summary
    from sinernn.config import load_config
    from sinernn.errors import UsageError
    from sinernn.runs.directory import open_run
    from sinernn.sweeps.driver import find_sweep

    if (sweep := find_sweep(run, runs_dir)) is not None:
        resume_and_print(
            sweep,
            overrides or [],
            jobs=jobs,
            executor=executor,
            ray_address=ray_address,
            figures=figures,
            quiet=quiet,
            as_json=as_json,
        )
        return
    opened = open_run(run, runs_dir=runs_dir)
    if jobs is not None or executor != "local" or ray_address is not None:
        message = "--jobs, --executor and --ray-address are for sweeps"
        raise UsageError(f"{opened.path}: is a run, and not a sweep's folder; {message}")
    settings = load_config(opened.config_path, overrides or [])
    with training_progress(settings, quiet=quiet) as observers:
        summary = experiment.resume(opened, overrides or [], figures=figures, observers=observers)
    print_summary(summary, as_json=as_json)
