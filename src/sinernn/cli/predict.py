"""`sinernn predict`."""

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sinernn.cli.completion import complete_run
from sinernn.cli.output import csv_text, print_json, print_line, print_prose
from sinernn.cli.parsing import AsJson, RunsDir
from sinernn.cli.writing import check_outputs
from sinernn.errors import UsageError

if TYPE_CHECKING:
    from sinernn.predicting import Forecaster


def predict_command(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Run directories, their names, or latest; and signal.path=FILE, if their data "
            "file is elsewhere, or signal.missing or signal.gaps, to read --data by.",
            metavar="RUN...",
            autocompletion=complete_run,
        ),
    ],
    steps: Annotated[int, typer.Option(help="Samples to forecast.", min=1, max=1_000_000)],
    data: Annotated[
        str | None,
        typer.Option(
            help="File to continue instead of the run's own series; - for rows from standard "
            "input, with a forecast after each."
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(help="File with the inputs of the coming samples, for a driven series."),
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(help="Read only so many of the last samples.", min=1)
    ] = None,
    interval: Annotated[
        str, typer.Option(help="Probabilities of the intervals, separated by commas.")
    ] = "0.8,0.95",
    to: Annotated[
        Path | None, typer.Option(help="CSV file to write; default: standard output.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Also draw the forecast: a png, svg or pdf file.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Forecast beyond the end of a series, with intervals; of several runs the mean.

    Example: sinernn predict latest --steps 100 --to forecast.csv
    """
    from sinernn import predicting
    from sinernn.cli.stderr import compiling
    from sinernn.runs.directory import open_run
    from sinernn.runs.files import write_atomically

    levels, to = _levels(interval), None if to == Path("-") else to
    settings = [word for word in runs if word.startswith("signal.")]
    words = [word for word in runs if word not in settings]
    if not words:
        raise UsageError("name a run to predict with, as in sinernn predict latest")
    for word in filter(os.path.isfile, words):
        advice = f"sinernn predict RUN --data {shlex.quote(word)} --steps {steps}"
        raise UsageError(f"{word}: is a file, not a run; to continue its series use {advice}")
    opened = [open_run(word, runs_dir=runs_dir) for word in words]
    check_outputs(to, figure, sources=[data, inputs], runs=[run.path for run in opened])
    forecaster = predicting.Forecaster(
        opened, steps, levels=levels, overrides=settings, on_compile=compiling
    )
    check_outputs(to, figure, sources=forecaster.data_files)
    if data == "-":
        options = {"--inputs": inputs, "--warmup": warmup, "--to": to, "--figure": figure}
        if unused := [name for name, value in options.items() if value is not None]:
            raise UsageError(f"{', '.join(unused)}: cannot be used with --data -; leave it out")
        _follow(forecaster, as_json=as_json)
        return
    prediction = forecaster.predict(data, inputs=inputs, warmup=warmup)
    if to is not None:
        write_atomically(to.resolve(), csv_text(prediction.columns()).encode())
    if figure is not None:
        from sinernn.plot_run import forecast_figure_of, image

        title = ", ".join(run.read_facts().name or run.path.name for run in opened)
        content = image(forecast_figure_of(prediction, title), figure.suffix[1:].lower())
        write_atomically(figure.resolve(), content)
    if as_json:
        print_json({"notes": prediction.notes, "columns": _plain(prediction.columns())})
    elif to is None:
        typer.echo(csv_text(prediction.columns()), nl=False)
    for note in prediction.notes:
        print_prose(note, err=as_json or to is None)
    for path in filter(None, (to, figure)):
        if not as_json:
            print_line(path)


def _levels(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        message = f"--interval {text}: must be numbers between 0 and 1, as in 0.8,0.95"
        raise UsageError(message) from error


def _plain(columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return columns as JSON has them: without NaN."""
    return {
        name: [None if value != value else value for value in values]
        for name, values in columns.items()
    }


def _follow(forecaster: "Forecaster", *, as_json: bool) -> None:
    """Read rows from standard input, and print a forecast after each once the warm-up is read."""
    from sinernn.data.streams import MAX_LINE

    say, is_first = partial(print_prose, err=True), True
    text = open(sys.stdin.fileno(), encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    lines = iter(lambda: text.readline(MAX_LINE), "")  # a longer line is read in pieces
    for prediction in forecaster.follow(lines, remark=say):
        columns, extent = prediction.columns(), prediction.extent
        origin = extent.written(prediction.time[:1] - extent.time_step)[0]
        for note in prediction.notes:
            say(note)
        if as_json:
            typer.echo(json.dumps({"origin": origin, "columns": _plain(columns)}, allow_nan=False))
        else:
            table = {"origin": [origin] * forecaster.steps, **columns}
            typer.echo(csv_text(table, header=is_first), nl=False)
        sys.stdout.flush()
        is_first = False
