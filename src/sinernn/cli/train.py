"""`sinernn train`."""

from pathlib import Path
from typing import Annotated

import typer

from sinernn.cli.completion import complete_run
from sinernn.cli.parsing import AsJson, ConfigArgument, Figures, Overrides, Quiet, RunsDir, Track


def train_command(
    config: ConfigArgument,
    overrides: Overrides = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from", help="Run whose best weights to start from.", autocompletion=complete_run
        ),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    figures: Figures = True,
    track: Track = None,
    as_json: AsJson = False,
) -> None:
    """Train a network, evaluate it and draw it, in a new run directory.

    Example: sinernn train configs/default.yaml model.hidden_size=32
    """
    from sinernn import experiment
    from sinernn.cli.stderr import ClosedPipe
    from sinernn.cli.terminal import print_summary
    from sinernn.config import load_config
    from sinernn.trackers import tracking
    from sinernn.user_settings import chosen_trackers

    settings = load_config(config, overrides or [])
    with tracking(chosen_trackers(track)) as trackers:
        summary = experiment.train(
            settings,
            runs_dir=runs_dir,
            start_from=start_from,
            figures=figures,
            progress=not quiet,
            observers=[ClosedPipe(), *trackers],
        )
        print_summary(summary, as_json=as_json)
