"""Train and evaluate small recurrent networks on time series: the command line as a library.

Example:
    >>> import sinernn
    >>> config = sinernn.load_config("tiny.yaml", ["seed=1"])
    >>> summary = sinernn.train(config, figures=False)
    >>> scores = sinernn.evaluate(summary.run, ["evaluation.horizon=40"])
    >>> scores.closed_loop_rmse[-1].horizon
    40
    >>> sinernn.predict(summary.run, steps=3).values.shape
    (3, 1)
    >>> [path.name for path in sinernn.plot("latest", names=["loss"])]
    ['loss.png']
    >>> sinernn.resume("latest", figures=False).facts.status
    'finished'
    >>> sinernn.verify("latest").agrees
    True
"""

TYPE_CHECKING = False  # type checkers take it for true; `typing` itself is slow to import

if TYPE_CHECKING:
    from typing import Any

    from sinernn.comparing import ComparedRuns, Comparison, compare_runs
    from sinernn.config import load_config
    from sinernn.config.sections import Config, Evaluation, Limits, Model, Split, Training, Windows
    from sinernn.data.delays import MackeyGlass
    from sinernn.data.files import File
    from sinernn.data.series import Series
    from sinernn.data.synthetic import Sine, SumOfSines
    from sinernn.errors import (
        ConfigError,
        DeviceError,
        InterruptedRunError,
        RunBusyError,
        RunFileError,
        RunNotFoundError,
        SinernnError,
        TrainingDivergedError,
        UsageError,
    )
    from sinernn.evaluating import evaluate
    from sinernn.evaluation.predictions import Prediction
    from sinernn.experiment import resume, train
    from sinernn.exporters import export
    from sinernn.figures import figure
    from sinernn.observers import Observer, Summary
    from sinernn.plot_run import plot
    from sinernn.predicting import predict
    from sinernn.refine.stages import Refine
    from sinernn.reports import report
    from sinernn.runs import Run
    from sinernn.runs.listing import RunRow, runs_table
    from sinernn.sweeps.driver import resume_sweep, sweep
    from sinernn.trackers import sweep_tracking, track, tracking
    from sinernn.verification import verify

    __version__: str

_MODULES = {
    **dict.fromkeys(
        ("Config", "Windows", "Split", "Model", "Training", "Evaluation", "Limits"),
        "sinernn.config.sections",
    ),
    **dict.fromkeys(("Sine", "SumOfSines"), "sinernn.data.synthetic"),
    "MackeyGlass": "sinernn.data.delays",
    **dict.fromkeys(
        (
            "ConfigError",
            "DeviceError",
            "InterruptedRunError",
            "RunBusyError",
            "RunFileError",
            "RunNotFoundError",
            "SinernnError",
            "TrainingDivergedError",
            "UsageError",
        ),
        "sinernn.errors",
    ),
    "File": "sinernn.data.files",
    **dict.fromkeys(("Observer", "Summary"), "sinernn.observers"),
    "Refine": "sinernn.refine.stages",
    "Series": "sinernn.data.series",
    "Run": "sinernn.runs",
    "RunRow": "sinernn.runs.listing",
    "runs_table": "sinernn.runs.listing",
    "load_config": "sinernn.config",
    **dict.fromkeys(("ComparedRuns", "Comparison", "compare_runs"), "sinernn.comparing"),
    "train": "sinernn.experiment",
    "resume": "sinernn.experiment",
    "evaluate": "sinernn.evaluating",
    "plot": "sinernn.plot_run",
    "predict": "sinernn.predicting",
    "export": "sinernn.exporters",
    "report": "sinernn.reports",
    "figure": "sinernn.figures",
    "Prediction": "sinernn.evaluation.predictions",
    "sweep": "sinernn.sweeps.driver",
    "resume_sweep": "sinernn.sweeps.driver",
    **dict.fromkeys(("sweep_tracking", "track", "tracking"), "sinernn.trackers"),
    "verify": "sinernn.verification",
}
__all__ = [
    "ComparedRuns", "Comparison", "Config", "ConfigError", "DeviceError", "Evaluation", "File",
    "InterruptedRunError", "Limits", "MackeyGlass", "Model", "Observer", "Prediction", "Refine",
    "Run", "RunBusyError", "RunFileError", "RunNotFoundError", "RunRow", "Series", "Sine",
    "SinernnError", "Split", "SumOfSines", "Summary", "Training", "TrainingDivergedError",
    "UsageError", "Windows", "__version__", "compare_runs", "evaluate", "export", "figure",
    "load_config", "plot", "predict", "report", "resume", "resume_sweep", "runs_table", "sweep",
    "sweep_tracking", "track", "tracking", "train", "verify",
]  # fmt: skip


def __getattr__(name: str) -> "Any":
    # Imported on first use: `sinernn --help` must not wait for numpy and pydantic, and `__main__`
    # guards against Ctrl-C only what is imported after this module.
    if name == "__version__":
        from importlib.metadata import version

        return version("sinernn")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
