"""Export the network of a run for programs without sinernn.

An exporter is a function of a `Portable` that returns the content of its files by the ends of their
names, in a module of its own; it is registered in `EXPORTERS`. `MARK`, in the first bytes of every
file, lets a later export replace it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from sinernn.errors import UsageError, nearest
from sinernn.exporters.c import c_files
from sinernn.exporters.numpy import numpy_files
from sinernn.exporters.onnx import onnx_files
from sinernn.exporters.portable import MARK, Portable, read_portable
from sinernn.exporters.torch import torch_files
from sinernn.runs import Run
from sinernn.runs.directory import open_run
from sinernn.runs.files import check_output, require_replaceable, write_atomically

EXPORTERS: dict[str, Callable[[Portable], Mapping[str, bytes]]] = {
    "numpy": numpy_files,
    "c": c_files,
    "torch": torch_files,
    "onnx": onnx_files,
}
"""Every format, by its name on the command line."""


def export(
    run: Run | Path | str,
    *,
    format: str,
    to: Path | str | None = None,
    runs_dir: Path | str = "runs",
) -> list[Path]:
    """Write the best network of a run as code or as a file for other programs, scaling included.

    Args:
        run: The run: itself, its folder, its name in `runs_dir`, or `latest`.
        format: `numpy`, `c`, `torch` or `onnx`.
        to: The file to write; default: in the working folder, called as run and format. The second
            file of a format is beside it, under the same name with another end.
        runs_dir: Folder of the run directories.

    Returns:
        The files, the one named first.

    Raises:
        SinernnError: The run cannot be read, the format cannot hold its network, or a file cannot
            be written. A file that is not an earlier export is not replaced.

    Example:
        >>> [path.name for path in sinernn.export("latest", format="numpy", to="wave.py")]
        ['wave.py']
    """
    if format not in EXPORTERS:
        guess = nearest(format, list(EXPORTERS))
        advice = f"did you mean {guess}?" if guess else f"there are {', '.join(EXPORTERS)}"
        raise UsageError(f"{format}: no such format; {advice}")
    run = open_run(run, runs_dir=runs_dir)
    portable = read_portable(run, None if to is None else Path(to).stem)
    contents = EXPORTERS[format](portable)
    suffix = next(iter(contents))
    path = Path(f"{portable.name}_{format}{suffix}" if to is None else to)
    if path.suffix != suffix:
        raise UsageError(f"{path}: the name of this file must end in {suffix}, as in wave{suffix}")
    files = {path.with_suffix(end): content for end, content in contents.items()}
    for each in files:
        check_output(each, [run.path])
        require_replaceable(each, MARK, "an export")
    for each, content in reversed(files.items()):  # the one that reads the others last
        write_atomically(each.resolve(), content)
    return list(files)
