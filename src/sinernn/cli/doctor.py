"""`sinernn doctor`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sinernn.cli.output import print_json, print_line, print_prose
from sinernn.cli.parsing import AsJson, RunsDir

if TYPE_CHECKING:
    from sinernn.diagnosis import Diagnosis


def doctor_command(
    devices: Annotated[
        bool, typer.Option("--devices", help="Load PyTorch, and list the devices it can use.")
    ] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Describe this installation, to paste into a bug report: versions, machine, folders.

    Example: sinernn doctor --devices
    """
    from sinernn.diagnosis import diagnose

    found = diagnose(runs_dir, devices=devices)
    if as_json:
        print_json(asdict(found))
    else:
        print_diagnosis(found)


def print_diagnosis(found: "Diagnosis") -> None:
    """Print a diagnosis as lines of a name and a text."""
    from sinernn.evaluation.metrics import counted

    kernels, runs = found.kernels, found.runs
    stored = f"{kernels.count} in {kernels.folder}, {kernels.megabytes} MB"
    free = "" if runs.free_gigabytes is None else f", {runs.free_gigabytes} GB free"
    rights = "" if runs.is_writable else ", not writable"
    devices = "not asked (see --devices)" if found.devices is None else ", ".join(found.devices)
    driver = "with" if found.has_nvidia_driver else "without"
    lines = {
        **{name: number or "not installed" for name, number in found.versions.items()},
        "system": found.system,
        "processor": f"{found.processor}, {counted(found.cores, 'usable core')}",
        "devices": f"{devices}; {driver} NVIDIA driver",
        "kernels": "no usable folder" if kernels.folder is None else stored,
        "runs": f"{runs.count} in {runs.folder}{free}{rights}",
        "package": found.package,
        "environment": found.python,
        **found.variables,
    }
    width = max(map(len, lines))
    for name, text in lines.items():
        print_line(f"{name:{width}}  {text}")
    for problem in found.problems:
        print_prose(f"problem: {problem}")
    if not found.problems:
        print_prose("no problem found")
