"""`sinernn plot`."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sinernn.cli.completion import complete_evaluation, complete_registered
from sinernn.cli.output import open_file, print_json, print_line, terminal_width, wrapped
from sinernn.cli.parsing import AsJson, RunArgument, RunsDir
from sinernn.errors import UsageError


class FigureFormat(StrEnum):
    """File types of figures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


class PlotFormat(StrEnum):
    """File types of figures and animations."""

    png = "png"
    svg = "svg"
    pdf = "pdf"
    gif = "gif"
    mp4 = "mp4"


def plot_command(
    run: RunArgument = "latest",
    figure: Annotated[
        list[str] | None,
        typer.Option(
            help="Draw only this figure; repeatable.",
            autocompletion=complete_registered("plotting/__init__.py", "FIGURES"),
        ),
    ] = None,
    evaluation: Annotated[
        str | None,
        typer.Option(
            help="Draw this evaluation, by its name; default: the run's own.",
            autocompletion=complete_evaluation,
        ),
    ] = None,
    format: Annotated[
        PlotFormat, typer.Option(help="File type; gif and mp4 with --figure learning.")
    ] = PlotFormat.png,
    width: Annotated[
        float | None, typer.Option(help="Width in inches; default: each figure's own.")
    ] = None,
    height: Annotated[
        float | None, typer.Option(help="Height in inches; default: each figure's own.")
    ] = None,
    dpi: Annotated[
        float | None, typer.Option(help="Pixels in an inch; default: 150, of an animation 100.")
    ] = None,
    no_title: Annotated[
        bool, typer.Option("--no-title", help="Omit the run's name and the small print below it.")
    ] = False,
    only_list: Annotated[
        bool, typer.Option("--list", help="List the figures without drawing any.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Open the first file in the system's viewer.")
    ] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Draw a run's figures from its files, or the figure of a sweep.

    Example: sinernn plot runs/latest --format svg
    """
    if only_list:
        _list_figures(as_json)
        return
    from sinernn import plot_run
    from sinernn.runs.directory import open_run
    from sinernn.sweeps.driver import read_sweep_table
    from sinernn.sweeps.folders import find_sweep

    size: dict[str, Any] = {"width": width, "height": height, "dpi": dpi}
    if (sweep := find_sweep(run, runs_dir)) is not None:
        if figure or evaluation or no_title:
            message = "a sweep has one figure, with a title, and no evaluation of its own"
            raise UsageError(f"{sweep}: {message}; leave out --figure, --evaluation and --no-title")
        if format not in list(FigureFormat):
            known = ", ".join(FigureFormat)
            raise UsageError(f"{sweep}: has no animation; choose a --format of {known}")
        paths = [read_sweep_table(sweep).draw(format.value, **size)]
    else:
        with _frames_shown(format) as on_frame:
            paths = plot_run.plot(
                open_run(run, runs_dir=runs_dir),
                format=format.value,
                names=figure,
                evaluation=evaluation,
                title=not no_title,
                on_frame=on_frame,
                **size,
            )
    if as_json:
        print_json({"figures": [str(path) for path in paths]})
    else:
        for path in paths:
            print_line(path)
    if show:
        open_file(paths[0])


@contextmanager
def _frames_shown(format: PlotFormat) -> Generator[Callable[[int, int], None]]:
    """Show how many frames of an animation are drawn, if stderr is a terminal."""
    if format in list(FigureFormat):  # not an animation; rich takes long to import
        yield lambda done, count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("drawing"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", visible=False)
        yield lambda done, count: bar.update(task, completed=done, total=count, visible=True)


def _list_figures(as_json: bool) -> None:
    from sinernn.plotting import figure_descriptions

    figures = figure_descriptions()
    if as_json:
        print_json({"figures": figures})
        return
    for name, description in figures.items():
        typer.echo(wrapped(f"{name:12} {description}", terminal_width(), indent=" " * 13))
