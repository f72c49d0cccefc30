"""Plot a run from its files alone."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, cast

from sinernn.comparing import Comparison
from sinernn.config import Config, load_config
from sinernn.cores import compute
from sinernn.data.series import Channel
from sinernn.data.synthetic import Synthetic
from sinernn.errors import RunFileError, UsageError, command_line, printable
from sinernn.evaluation.forecasts import Evidence
from sinernn.evaluation.metrics import counted, rmse
from sinernn.evaluation.predictions import Prediction
from sinernn.evaluation.results import Scores
from sinernn.runs import Run
from sinernn.runs.directory import open_run
from sinernn.runs.facts import RunFacts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sinernn.plotting import Story


def plot(
    run: Run | Path | str,
    *,
    format: str = "png",
    names: Sequence[str] | None = None,
    evaluation: str | None = None,
    runs_dir: Path | str = "runs",
    width: float | None = None,
    height: float | None = None,
    dpi: float | None = None,
    title: bool = True,
    config: Config | None = None,
) -> list[Path]:
    """Draw figures of a run from its files; before any evaluation, only those of the training.

    Args:
        run: The run: itself, its folder, its name in `runs_dir`, or `latest`.
        format: png, svg or pdf.
        names: The figures to draw; default: all that can be drawn.
        evaluation: Name of the evaluation to draw, beside its scores; default: the run's own.
        runs_dir: Folder of the run directories.
        width: Width of a figure in inches; default: each figure's own.
        height: Its height in inches.
        dpi: Pixels in an inch of a PNG; default: 150.
        title: Whether to write the run's name, and its network and score in small print.
        config: The run's config, where it has been read; default: it is read from the directory.

    Returns:
        The files written.

    Raises:
        SinernnError: The run cannot be read, or a figure cannot be drawn from it.

    Example:
        >>> [path.name for path in sinernn.plot("latest", names=["horizon"])]
        ['horizon.png']
    """
    preload()
    from sinernn import plotting

    if format not in plotting.FORMATS:
        known = ", ".join(plotting.FORMATS)
        raise UsageError(f"figures cannot be saved as {format}; choose one of {known}")
    size = checked_size(width=width, height=height, dpi=dpi)
    run = open_run(run, runs_dir=runs_dir)
    story = _story(run, evaluation, title=title, config=config)
    drawable = plotting.FIGURES if story.evidence else plotting.WITHOUT_EVIDENCE
    wanted = list(drawable if names is None else names)
    for name in wanted:
        _require_drawable(name, story, run)
    contents = compute(wanted, lambda name: plotting.draw(name, story, format, **size))
    folder = run.evaluation_folder(evaluation)
    return [
        run.write(f"{folder}figures/{name}.{format}", content)
        for name, content in zip(wanted, contents, strict=True)
    ]


def run_figure(
    run: Run, name: str, *, evaluation: str | None, title: bool, **size: float | None
) -> "Figure":
    """Return a figure of a run as an object; see `plot`."""
    preload()
    from sinernn import plotting

    checked = checked_size(**size)
    story = _story(run, evaluation, title=title)
    _require_drawable(name, story, run)
    return plotting.compose(name, story, **checked)


def checked_size(**size: float | None) -> dict[str, float | None]:
    """Return width, height and dpi of a figure.

    Raises:
        UsageError: It would be too small or too large.
    """
    for name, value in size.items():
        least, most, unit = _BOUNDS[name]
        if value is not None and not least <= value <= most:
            raise UsageError(f"{name}: must be from {least} to {most} {unit}, got {value:g}")
    return size


def _require_drawable(name: str, story: "Story", run: Run) -> None:
    """Check that there is such a figure, and an evaluation if it shows one."""
    from sinernn import plotting

    if name not in plotting.FIGURES:
        raise UsageError(f"no figure is called {name}; there are {', '.join(plotting.FIGURES)}")
    if story.evidence is None and name not in plotting.WITHOUT_EVIDENCE:
        way_out = command_line("eval", run.path)
        raise UsageError(f"{name} shows an evaluation, and there is none; run {way_out}")


def _story(
    run: Run, evaluation: str | None, *, title: bool, config: Config | None = None
) -> "Story":
    """Read the data of a run's figures from its files."""
    from sinernn import plotting

    if evaluation is not None:
        run.require_evaluation(evaluation)
    facts, evidence = run.read_facts(), None
    name = facts.name or run.path.name
    heading, note = printable(name, 120), _small_print(facts)
    settings = _settings(run, config)
    if (run.path / run.evaluation_folder(evaluation) / "evaluation.json").exists():
        scores = run.read_scores(evaluation)
        note = _small_print(facts, scores)
        settings |= _units(scores.judged.get("signal")) | _channels(scores)
        evaluated = scores.config or name
        changed = evaluated.removeprefix(name)
        is_own = not changed or changed.startswith(" with ")
        heading += printable(changed if is_own else f" on {evaluated}", 64)
        times = scores.valid_lyapunov_times
        exponent = times.exponent_per_time_unit if times else None
        evidence = replace(read_evidence(run, evaluation), exponent=exponent)
    if facts.diverged_at is not None:
        heading += f", diverged at update {facts.diverged_at}"
    return plotting.Story(
        title=plain_text(heading, 400) if title else "",
        note=plain_text(note, 400) if title else "",
        metrics=run.read_metrics(),
        evidence=evidence,
        refinement=run.read_metrics("refine"),
        diverged_at=facts.diverged_at,
        **settings,
    )


def forecast_figure_of(prediction: Prediction, title: str, **size: float | None) -> "Figure":
    """Return the figure of a forecast beyond the end of a series.

    Args:
        prediction: The forecast.
        title: Heading.
        size: See `plot`.

    Raises:
        UsageError: Matplotlib cannot be imported.
    """
    preload()
    from sinernn import plotting

    return plotting.lay_out(
        lambda: plotting.forecast_figure(prediction),
        "the forecast",
        title=plain_text(title, 400),
        note=plain_text("; ".join(prediction.notes), 600) if title else "",
        **checked_size(**size),
    )


def comparison_figure_of(
    comparison: Comparison, *, title: bool = True, **size: float | None
) -> "Figure":
    """Return the figure of a comparison of runs: error against horizon, a line each.

    Args:
        comparison: The comparison.
        title: Whether to write what is compared.
        size: See `plot`.

    Raises:
        UsageError: Matplotlib cannot be imported.
    """
    preload()
    from sinernn import plotting

    lines = {
        plain_text(f"{number}: {line.label}", 100): line.closed_loop_rmse
        for number, line in enumerate(comparison.lines, start=1)
    }
    return plotting.lay_out(
        lambda: plotting.comparison_figure(lines, plain_text(comparison.unit, 40)),
        "the comparison",
        title=plain_text(comparison.title, 400) if title else "",
        note=plain_text("; ".join(comparison.notes), 600) if title else "",
        **checked_size(**size),
    )


def image(figure: "Figure", format: str) -> bytes:
    """Return a figure as the content of a png, svg or pdf file."""
    from sinernn import plotting

    return plotting.save(figure, format)


_BOUNDS = {"width": (1, 20, "inches"), "height": (1, 20, "inches"), "dpi": (20, 600, "per inch")}
"""Sizes of a figure whose pixels fit into the memory of a laptop."""


def _small_print(facts: RunFacts, scores: Scores | None = None) -> str:
    """Return cell, size, seed and headline score, as far as they are known."""
    parts = [f"{facts.parameters} parameters", f"seed {facts.seed}"]
    if scores and scores.cell:
        layers, units = counted(scores.num_layers, "layer"), counted(scores.hidden_size, "unit")
        parts.insert(0, f"{printable(scores.cell, 20)}, {layers} of {units}")
    if scores and scores.closed_loop_rmse:
        last = scores.closed_loop_rmse[-1]
        error = "diverged" if last.median is None else f"RMSE {last.median:.2g}"
        if last.median is not None and sum(not each.is_input for each in scores.channels) > 1:
            error += " standard deviations"
        count = counted(len(scores.origins), "free run")
        parts.append(f"{error} over {counted(last.horizon)}, median of {count}")
    return ", ".join(parts)


def _settings(run: Run, config: Config | None) -> dict[str, Any]:
    """Return what a story has from config and checkpoint; figures are drawn without them, too."""
    found = dict[str, Any]()
    if any(run.has_checkpoint(name) for name in ("best", "last")):
        checkpoint = run.best_checkpoint()[1]
        std = checkpoint.scale.std[: checkpoint.network.outputs]
        # Errors of several outputs are in standard deviations: those in scaled units, if scaled.
        found["scale"] = rmse(std) if len(std) == 1 else None if (std == 1).all() else 1.0
    if config is None and run.config_path.exists():
        config = load_config(run.config_path)
    if config is not None:
        found |= _units(config.signal.model_dump())
        if isinstance(config.signal, Synthetic):
            found["noise"] = config.signal.noise_std
        stages = config.refine.stages if config.refine else ()
        found["loops"] = tuple(stage.loop for stage in stages)
    return found


def _units(signal: object) -> dict[str, str]:
    """Return the units that a signal's settings name."""
    given = cast("dict[str, object]", signal) if isinstance(signal, dict) else {}
    texts = {name: given.get(name, "") for name in ("unit", "time_unit")}
    return {name: plain_text(str(text), 20) for name, text in texts.items()}


def _channels(scores: Scores) -> dict[str, Any]:
    """Return the names and units of the channels that were evaluated; none of older evaluations."""
    if not scores.channels:
        return {}
    outputs, inputs = (
        tuple(
            Channel(plain_text(each.name, 30), plain_text(each.unit, 20))
            for each in scores.channels
            if each.is_input is is_input
        )
        for is_input in (False, True)
    )
    found = {"outputs": outputs, "inputs": inputs, "time_unit": plain_text(scores.time_unit, 20)}
    if len(outputs) == 1:
        return {**found, "signal": outputs[0].name, "unit": outputs[0].unit}
    return {**found, "unit": "standard deviations"}


def plain_text(text: str, limit: int) -> str:
    """Return a text as one line that matplotlib draws as it is."""
    return printable(text, limit).replace("$", r"\$")


_PRELOADING = Lock()  # a thread may see modules that another one has only imported in part


def preload() -> None:
    """Import the modules that plots need, in any thread.

    Raises:
        UsageError: Matplotlib cannot be imported, as with a wrong MPLBACKEND.
    """
    with _PRELOADING:
        try:
            import_module("sinernn.plotting")
            import_module("PIL.PngImagePlugin")
        except (ImportError, ValueError, OSError) as error:
            raise UsageError(
                f"matplotlib cannot be imported: {error}; fix that, or use --no-figures"
            ) from error


@contextmanager
def preloading() -> Generator[None]:
    """Do so while kernels compute, releasing the interpreter lock; `plot` raises errors again."""
    interval = sys.getswitchinterval()
    thread = Thread(target=_preload_quietly, name="preload", daemon=True)
    sys.setswitchinterval(1e-4)  # seconds: a kernel returns before the usual 5 ms are over
    thread.start()
    try:
        yield
    finally:
        thread.join()
        sys.setswitchinterval(interval)


def _preload_quietly() -> None:
    with suppress(UsageError):
        preload()


def erase(run: Run) -> None:
    """Remove the figures of a run's evaluations, but no other files in their folders."""
    for folder in run.evaluation_folders():
        paths = list((run.path / folder / "figures").glob("*"))
        if paths:
            from sinernn import plotting

            for path in paths:
                if path.stem in plotting.FIGURES and not path.is_dir():
                    run.remove(f"{folder}figures/{path.name}")


def read_evidence(run: Run, evaluation: str | None = None) -> Evidence:
    """Read the arrays of a run's own evaluation, or of another one.

    Raises:
        RunFileError: It is missing or damaged.
    """
    name = f"{run.evaluation_folder(evaluation)}evaluation.safetensors"
    way_out = f"run {command_line('eval', run.path)}"
    if evaluation is not None:
        way_out = f"with the settings it had, {way_out} --name {evaluation}"
    if not (run.path / name).exists():
        raise RunFileError(f"{run.path / name}: is missing; {way_out}")
    try:
        return Evidence.from_arrays(run.read_arrays(name))
    except ValueError as error:
        message = f"{run.path / name}: is damaged or of another version: {error}"
        raise RunFileError(f"{message}; {way_out}") from error
