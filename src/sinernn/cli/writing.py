"""Checks of `--to` and `--figure`."""

from collections.abc import Sequence
from pathlib import Path

from sinernn.cli.plot import FigureFormat
from sinernn.errors import UsageError


def check_outputs(
    to: Path | None, figure: Path | None, *, sources: Sequence[object], runs: Sequence[Path] = ()
) -> None:
    """Check where a table and a figure are written, before anything is computed.

    Args:
        to: File of the table.
        figure: File of the figure.
        sources: Files that are read.
        runs: Run directories, into which neither is written.

    Raises:
        UsageError: One of the two cannot be written there.
    """
    from sinernn.runs.files import check_output

    formats = [f".{each}" for each in FigureFormat]
    if figure is not None and figure.suffix.lower() not in formats:
        raise UsageError(f"--figure {figure}: must end in {' or '.join(formats)}")
    for path in filter(None, (to, figure)):
        way_out = "leave out --to to print to standard output" if path == to else "use another"
        check_output(path, runs, otherwise=way_out)
        for source in sources:
            if source is not None and _is_same(path, Path(str(source))):
                raise UsageError(f"{path}: is the file that is read; choose another name")

    if to is not None and figure is not None and to.resolve() == figure.resolve():
        raise UsageError(f"{figure}: is both --to and --figure; choose another name for one")


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)
