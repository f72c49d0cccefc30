"""Return figures as objects of matplotlib, for notebooks and for programs that draw into them."""

from pathlib import Path
from typing import TYPE_CHECKING

from sinernn.comparing import Comparison
from sinernn.errors import UsageError
from sinernn.evaluation.predictions import Prediction
from sinernn.plot_run import comparison_figure_of, forecast_figure_of, run_figure
from sinernn.runs import Run
from sinernn.runs.directory import open_run
from sinernn.sweeps.driver import read_sweep_table
from sinernn.sweeps.folders import find_sweep
from sinernn.sweeps.table import SweepTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(
    shown: Run | Path | str | SweepTable | Comparison | Prediction,
    name: str | None = None,
    *,
    evaluation: str | None = None,
    runs_dir: Path | str = "runs",
    width: float | None = None,
    height: float | None = None,
    dpi: float | None = None,
    title: bool = True,
) -> "Figure":
    """Return the figure that `plot` draws, without writing a file; a notebook shows it.

    Args:
        shown: A run: itself, its folder, its name in `runs_dir`, or `latest`; a sweep: its table or
            its folder; a comparison or a forecast.
        name: Which figure of a run; default: `overview`. The others have one.
        evaluation: Name of the run's evaluation to draw; default: the run's own.
        runs_dir: Folder of the run directories.
        width: In inches; default: the figure's own.
        height: In inches; default: the figure's own.
        dpi: Pixels in an inch; default: 150.
        title: Whether to write a heading, with small print below it.

    Raises:
        SinernnError: The run cannot be read, or the figure cannot be drawn.

    Example:
        >>> figure = sinernn.figure("latest", "horizon", width=6.0)
        >>> [axes.get_yscale() for axes in figure.axes]
        ['log']
    """
    size = {"width": width, "height": height, "dpi": dpi}
    if isinstance(shown, Path | str) and (folder := find_sweep(shown, runs_dir)) is not None:
        shown = read_sweep_table(folder)
    if isinstance(shown, Run | Path | str):
        run = open_run(shown, runs_dir=runs_dir)
        return run_figure(run, name or "overview", evaluation=evaluation, title=title, **size)
    if name is not None or evaluation is not None:
        kind = type(shown).__name__
        raise UsageError(
            f"a {kind} has one figure; leave out name and evaluation, which are of runs"
        )
    if isinstance(shown, SweepTable):
        return shown.figure(title=title, **size)
    if isinstance(shown, Comparison):
        return comparison_figure_of(shown, title=title, **size)
    return forecast_figure_of(shown, "forecast" if title else "", **size)
