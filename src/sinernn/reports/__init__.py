"""A page of a run, of several or of a sweep: one HTML file to keep, to mail and to open offline.

`run_page.py` and `runs_page.py` collect what the templates `run.html` and `runs.html` show;
`page.py` makes one file of it.
"""

from collections.abc import Sequence
from pathlib import Path

from sinernn.errors import UsageError, command_line
from sinernn.reports.page import MARK
from sinernn.reports.run_page import page_of_run
from sinernn.reports.runs_page import page_of_runs, page_of_sweep
from sinernn.runs import Run
from sinernn.runs.files import check_output, require_replaceable, write_atomically
from sinernn.runs.listing import REPORT, find_folders, find_runs
from sinernn.sweeps.folders import find_sweep


def report(
    runs: Run | Path | str | Sequence[Run | Path | str] = "latest",
    *,
    to: Path | str | None = None,
    runs_dir: Path | str = "runs",
) -> Path:
    """Write the page of a run, of several runs side by side, or of a sweep.

    Args:
        runs: A run: itself, its folder, its name in `runs_dir`, or `latest`; a sweep's folder; or
            several, as `find_runs` finds them.
        to: The file to write, an .html; default: `report.html` in the folder of the run or the
            sweep, and of several runs in the working folder.
        runs_dir: Folder of the run directories.

    Returns:
        The file.

    Raises:
        SinernnError: A run cannot be read, or the file cannot be written. A file that is not an
            earlier page is not replaced.

    Example:
        >>> sinernn.report("latest", to="wave.html").name
        'wave.html'
    """
    words = [runs] if isinstance(runs, Run | Path | str) else runs
    folders = list(find_folders(words, runs_dir=runs_dir))
    if not folders:
        raise UsageError("a page shows at least one run, and none is named; latest is the newest")
    sweep = find_sweep(folders[0]) if len(folders) == 1 else None
    found = find_runs(folders)
    folder = sweep or (found[0].path if len(found) == 1 else Path())
    if sweep and not found:
        way_out = f"train them with: {command_line('resume', sweep)}"
        raise UsageError(f"{sweep}: has no runs yet; {way_out}")
    path = folder / REPORT if to is None else Path(to)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path}: the name of a page must end in .html, as in wave.html")
    check_output(path, otherwise="choose another name with --to")
    require_replaceable(path, MARK, "a page of sinernn report")
    if sweep:
        content = page_of_sweep(sweep, found)
    else:
        content = page_of_run(found[0]) if len(found) == 1 else page_of_runs(found)
    if to is None and folder.parts:
        return Run(folder).write(REPORT, content)  # refuses links out of the run
    write_atomically(path.resolve(), content)
    return path
