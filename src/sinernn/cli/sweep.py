"""`sinernn sweep`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sinernn.cli.completion import complete_config, complete_name
from sinernn.cli.parsing import (
    AsJson,
    ExecutorName,
    Figures,
    Jobs,
    KeepGoing,
    Overrides,
    Quiet,
    RayAddress,
    RunsDir,
    Track,
)

if TYPE_CHECKING:
    from sinernn.sweeps.table import SweepTable


def sweep_command(
    config: Annotated[
        Path,
        typer.Argument(
            help="YAML file of a sweep, with the key base; or of an experiment.",
            autocompletion=complete_config,
        ),
    ],
    overrides: Overrides = None,
    seeds: Annotated[
        int | None, typer.Option(help="Train each point with the seeds 0 to N - 1.", min=1)
    ] = None,
    jobs: Jobs = None,
    executor: ExecutorName = "local",
    ray_address: RayAddress = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="Runs that keep their networks: all, best (of each point) or scores.",
            autocompletion=complete_name("all", "best", "scores"),
        ),
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out points that cannot be trained.")
    ] = False,
    keep_going: KeepGoing = True,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    figures: Figures = True,
    track: Track = None,
    as_json: AsJson = False,
) -> None:
    """Train every combination of some settings, or draws of them, with several seeds each.

    Several values of a setting are separated by commas, as in model.hidden_size=8,16,32.

    Example: sinernn sweep configs/default.yaml model.hidden_size=8,16,32 --seeds 20
    """
    from sinernn.sweeps.driver import sweep
    from sinernn.user_settings import chosen_trackers

    given = {"seeds": seeds, "keep": keep, "skip_invalid": "true" if skip_invalid else None}
    options = [f"{name}={value}" for name, value in given.items() if value is not None]
    settings = [*(overrides or []), *options]
    started = partial(sweep, config, settings, runs_dir=runs_dir, figures=figures)
    run_sweep(
        started,
        trackers=chosen_trackers(track),
        jobs=jobs,
        executor=executor,
        ray_address=ray_address,
        keep_going=keep_going,
        quiet=quiet,
        as_json=as_json,
    )


def run_sweep(
    start: "Callable[..., SweepTable]",
    *,
    trackers: list[str],
    jobs: int | None,
    executor: str,
    ray_address: str | None,
    keep_going: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run a new or an interrupted sweep with progress and trackers, and print its results."""
    from sinernn.cli.sweeping import Remarks, chosen_executor, print_sweep
    from sinernn.trackers import sweep_tracking

    with sweep_tracking(trackers) as trackings:
        with chosen_executor(executor, ray_address, jobs) as make_executor:
            table = start(
                progress=not quiet,
                observers=[*trackings, Remarks()] if quiet else trackings,
                executor=make_executor,
                keep_going=keep_going,
            )
        print_sweep(table, as_json=as_json)
    if table.failed:
        raise typer.Exit(1)
