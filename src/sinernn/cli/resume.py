"""`sinernn resume`."""

from pathlib import Path

from sinernn.cli.parsing import AsJson, Figures, Overrides, Quiet, RunArgument, RunsDir


def resume_command(
    run: RunArgument,
    overrides: Overrides = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    figures: Figures = True,
    as_json: AsJson = False,
) -> None:
    """Continue a run from its last checkpoint, as if it had never stopped.

    Example: sinernn resume latest training.steps=40000
    """
    from sinernn import experiment
    from sinernn.cli.progress import training_progress
    from sinernn.cli.terminal import print_summary
    from sinernn.config import load_config
    from sinernn.runs.directory import open_run

    opened = open_run(run, runs_dir=runs_dir)
    settings = load_config(opened.config_path, overrides or [])
    with training_progress(settings, quiet=quiet) as observers:
        summary = experiment.resume(opened, overrides or [], figures=figures, observers=observers)
    print_summary(summary, as_json=as_json)
