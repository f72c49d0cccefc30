"""Train, run and honestly evaluate small recurrent networks: the command line as a library.

Example:
    summary = sinernn.train(sinernn.load_config("configs/default.yaml", ["seed=1"]))
    scores = sinernn.evaluate(summary.run)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sinernn.config import load_config as load_config
    from sinernn.evaluating import evaluate as evaluate
    from sinernn.experiment import resume as resume
    from sinernn.experiment import train as train
    from sinernn.observers import Observer as Observer
    from sinernn.plot_run import plot as plot
    from sinernn.verification import verify as verify

_HOMES = {
    "Observer": "sinernn.observers",
    "load_config": "sinernn.config",
    "train": "sinernn.experiment",
    "resume": "sinernn.experiment",
    "evaluate": "sinernn.evaluating",
    "plot": "sinernn.plot_run",
    "verify": "sinernn.verification",
}
__all__ = ["Observer", "evaluate", "load_config", "plot", "resume", "train", "verify"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `sinernn --help` must not wait for numpy and pydantic.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
