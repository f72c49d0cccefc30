"""Modules import only from those before them, and the command line starts without heavy ones."""

import ast
import importlib
from collections import Counter
from pathlib import Path

import pytest

from commands import run_python
from examples import REPOSITORY, TINY

SOURCE = REPOSITORY / "src" / "sinernn"
MODULES_IN_ORDER = (
    "arrays", "errors", "display", "shipped", "randomness", "schema", "data", "data.series", "data.synthetic", "data.waves", "data.exponents", "data.delays", "data.systems", "data.flows", "data.maps",
    "data.tables", "data.text_files", "data.array_files", "data.times", "data.recordings", "data.files", "data.frames", "data.continuation", "data.survey", "data.streams", "data.windows",
    "blas", "cores", "model", "model.functions", "model.cells", "model.network", "engines", "refine", "refine.stages", "refine.records",
    "config.places", "config.yaml", "config.overrides", "config.sections", "config.messages", "config.memory",
    "config.checks", "config.load", "config.suggest", "config.detection", "config.template", "config",
    *(f"engines.fused{name}" for name in (
        "", ".shape", ".compile_time", ".cache", ".jit", ".native", ".simd", ".matrices", ".gemm",
        ".elementwise", ".buffers", ".slices", ".forward", ".backward", ".kernels", ".layout", ".runs",
        ".linearization", ".engine",
    )),
    *(f"refine.{name}" for name in ("jacobian", "kernels", "solver", "problem", "lift", "loop")),
    "compilation", "engines.torch_engine", "interrupts", "training",
    "evaluation", "evaluation.metrics", "evaluation.parts", "evaluation.results", "evaluation.periodic", "evaluation.dynamics", "evaluation.climate", "evaluation.forecasts", "evaluation.predictions",
    "evaluation.baselines", "evaluation.skill", "evaluation.hints", "evaluation.scores",
    "plotting.style", "plotting.layout", "plotting.training", "plotting.waveforms", "plotting.comparisons",
    "plotting.dynamics", "plotting.chaos", "plotting.predictions", "plotting.sweeps", "plotting.snapshots", "plotting.animation", "plotting", "provenance", "runs.files", "runs.facts", "runs.checkpoints", "runs", "runs.snapshots",
    "runs.directory", "runs.listing", "preparation", "forecasting", "evaluating", "ensemble", "predicting",
    "exporters.portable", "exporters.formulas", "exporters.numpy", "exporters.c", "exporters.torch", "exporters.graph", "exporters.onnx", "exporters", "snapshotting", "resuming", "checkpointing", "observers", "progress",
    "comparing", "plotting_import", "plot_run", "experiment", "verification", "diagnosis",
    *(f"sweeps{name}" for name in ("", ".parameters", ".settings", ".points", ".results", ".tpe", ".observing", ".progress", ".worker", ".executor", ".ray_executor", ".folders", ".table", ".driver")), "figures",
    "reports.live", "reports.views", "reports.figures", "reports.page", "reports.run_page", "reports.runs_page", "reports",
    "trackers.tracker", "trackers.background", "trackers.tensorboard", "trackers.mlflow", "trackers", "user_settings",
    *(f"cli.{name}" for name in ("output", "completion", "parsing", "stderr", "terminal", "init", "config", "eval", "export", "plot", "writing", "compare", "predict", "sweeping", "sweep", "report", "resume", "rm", "run_table", "runs", "track", "train", "verify", "doctor")),
    "cli",
    "__main__",
)  # fmt: skip
"""From the lowest layer to the highest."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    module_name(path): path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py"
}


SHARED_NAMES = {
    "choose", "forward", "free_run", "loop", "refine", "zeros",  # of the fused engine and refinement
}  # fmt: skip
"""Names that two public functions, or a function and a module, still share."""


def public_functions(name: str) -> list[str]:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if not function.startswith("_")]


def test_public_functions_have_unique_names():
    """No two public functions share a name, nor a function and a module.

    A command has the name of the function that it calls, so the command line is left out.
    """
    library = [name for name in MODULES if name.split(".")[0] != "cli"]
    names = [function for module in library for function in public_functions(module)]
    names += {name.split(".")[-1] for name in library}
    assert {name for name, count in Counter(names).items() if count > 1} <= SHARED_NAMES


def imported_modules(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("sinernn")}
        if isinstance(node, ast.ImportFrom) and node.level:
            names.add(f"a relative import in line {node.lineno}")  # one way of importing is enough
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sinernn":
            module = (node.module or "").removeprefix("sinernn").removeprefix(".")
            for alias in node.names:
                inner = f"{module}.{alias.name}".removeprefix(".")
                names.add(inner if inner in MODULES else module)
    return names


def test_every_module_is_in_the_list():
    assert set(MODULES) == set(MODULES_IN_ORDER)


@pytest.mark.parametrize("name", [name for name in MODULES_IN_ORDER if name != "__main__"])
def test_module_has_its_name_alone(name: str):
    """No function of a package hides one of its modules."""
    module = importlib.import_module(f"sinernn.{name}")
    parent, _, last = f"sinernn.{name}".rpartition(".")
    assert getattr(importlib.import_module(parent), last) is module


@pytest.mark.parametrize("name", MODULES_IN_ORDER)
def test_module_imports_only_lower_ones(name: str):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    lower = set(MODULES_IN_ORDER[: MODULES_IN_ORDER.index(name)])
    # The choice of an engine imports the chosen one when it is called, and not before.
    allowed = lower | (
        {"engines.fused.engine", "engines.torch_engine"} if name == "engines" else set()
    )
    assert imported_modules(tree) <= allowed


def loaded_after(code: str) -> set[str]:
    code += "; import sys; print(*sys.modules)"
    return {name.split(".")[0] for name in run_python(code).splitlines()[-1].split()}


HELP = (
    "import sys, sinernn.cli; sys.argv = ['sinernn', '--help']\n"
    "try: sinernn.cli.main()\n"
    "except SystemExit: pass\n"
    "print()"
)


def test_help_loads_nothing_heavy():
    loaded = loaded_after(HELP)
    assert "typer" in loaded
    assert not loaded & {"torch", "numba", "matplotlib", "numpy", "pydantic", "yaml"}


@pytest.mark.parametrize(
    "words",
    [
        "plot ",
        "train t",
        "train tiny.yaml model.",
        "runs --where s",
        "plot --figure l",
        "export --format o",
        "plot a --evaluation h",
        "init s",
    ],
)
def test_completion_loads_nothing_heavy(here: Path, monkeypatch: pytest.MonkeyPatch, words: str):
    monkeypatch.setenv("_SINERNN_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"sinernn {words}")
    loaded = loaded_after(HELP)
    assert "typer" in loaded
    assert not loaded & {"torch", "numba", "matplotlib", "numpy", "pydantic", "yaml"}


def test_fused_training_imports(here: Path):
    """Training and evaluation on the fused engine import neither torch nor matplotlib."""
    train = f"sinernn.cli.train.train_command({str(TINY)!r}, figures=False)"
    evaluate = "sinernn.cli.eval.eval_command('latest', as_json=True)"
    loaded = loaded_after(f"import sinernn.cli; {train}; {evaluate}; print()")
    assert "llvmlite" in loaded
    assert not loaded & {"torch", "matplotlib"}


def test_doctor_loads_no_torch(here: Path):
    code = "import sinernn.cli; sinernn.cli.doctor.doctor_command(); print()"
    assert not loaded_after(code) & {"torch", "matplotlib", "scipy"}


def test_plot_and_config_load_nothing_heavy():
    loaded = loaded_after(
        "import sinernn.experiment, sinernn.plotting, sinernn.config, sinernn.exporters"
    )
    assert not loaded & {"torch", "onnx", "llvmlite"}
