"""`sinernn verify`."""

from pathlib import Path

import typer

from sinernn.cli.output import print_json
from sinernn.cli.parsing import AsJson, Overrides, Quiet, RunArgument, RunsDir


def verify_command(
    run: RunArgument = "latest",
    overrides: Overrides = None,
    runs_dir: RunsDir = Path("runs"),
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a finished run's config again and compare the results bit for bit.

    Example: sinernn verify latest
    """
    from sinernn.cli.stderr import ClosedPipe
    from sinernn.cli.terminal import print_verification
    from sinernn.verification import verify

    verification = verify(
        run,
        overrides or [],
        runs_dir=runs_dir,
        progress=not quiet,
        observers=[ClosedPipe()],
    )
    if as_json:
        print_json(verification.report())
    else:
        print_verification(verification)
    if not verification.agrees:
        raise typer.Exit(1)
