"""Plot a run from its files alone."""

from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from sinernn.config import load_config
from sinernn.errors import RunFileError, UsageError, command_line, printable
from sinernn.evaluation.forecasts import Evidence
from sinernn.evaluation.metrics import rmse
from sinernn.runs import Run
from sinernn.runs.directory import open_run


def plot(
    run: Run | Path | str,
    *,
    format: str = "png",
    names: Sequence[str] | None = None,
    evaluation: str | None = None,
    runs_dir: Path | str = "runs",
) -> list[Path]:
    """Draw figures of a run from its files; before any evaluation, only those of the training.

    Args:
        run: The run: itself, its folder, its name in `runs_dir`, or `latest`.
        format: png, svg or pdf.
        names: The figures to draw; default: all that can be drawn.
        evaluation: Name of the evaluation to draw, beside its scores; default: the run's own.
        runs_dir: Folder of the run directories.

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
    run = open_run(run, runs_dir=runs_dir)
    if evaluation is not None:
        run.require_evaluation(evaluation)
    folder = run.evaluation_folder(evaluation)
    facts, evidence = run.read_facts(), None
    name = facts.name or run.path.name
    title = printable(name, 80)
    if (run.path / folder / "evaluation.json").exists():
        config = run.read_scores(evaluation).config or name
        changed = config.removeprefix(name)
        is_own = not changed or changed.startswith(" with ")
        title += printable(changed if is_own else f" on {config}", 64)
        evidence = read_evidence(run, evaluation)
    if facts.diverged_at is not None:
        title += f", diverged at update {facts.diverged_at}"
    story = plotting.Story(
        title=title.replace("$", r"\$"),
        metrics=run.read_metrics(),
        evidence=evidence,
        refinement=run.read_metrics("refine"),
        diverged_at=facts.diverged_at,
        **_read_settings(run),
    )
    drawable = plotting.FIGURES if evidence else plotting.WITHOUT_EVIDENCE
    wanted = list(drawable if names is None else names)
    for name in wanted:
        if name not in plotting.FIGURES:
            raise UsageError(f"no figure is called {name}; there are {', '.join(plotting.FIGURES)}")
        if name not in drawable:
            way_out = command_line("eval", run.path)
            raise UsageError(f"{name} shows an evaluation, and there is none; run {way_out}")
    return [
        run.write(f"{folder}figures/{name}.{format}", plotting.draw(name, story, format))
        for name in wanted
    ]


def _read_settings(run: Run) -> dict[str, Any]:
    """Return what a story has from config and checkpoint; figures are drawn without them, too."""
    found = dict[str, Any]()
    if any(run.has_checkpoint(name) for name in ("best", "last")):
        found["scale"] = rmse(run.best_checkpoint()[1].scale.std)
    if run.config_path.exists():
        config = load_config(run.config_path)
        found["noise"] = config.signal.noise_std
        stages = config.refine.stages if config.refine else ()
        found["loops"] = tuple(stage.loop for stage in stages)
    return found


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


def preload_quietly() -> None:
    """Do so in a thread that could not handle an error, which `plot` raises again."""
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
    try:
        return Evidence.from_arrays(run.read_arrays(name))
    except ValueError as error:
        message = f"{run.path / name}: is damaged or of another version: {error}"
        way_out = f"run {command_line('eval', run.path)}"
        if evaluation is not None:
            way_out += f" --name {evaluation}, with the settings it had"
        raise RunFileError(f"{message}; {way_out}") from error
