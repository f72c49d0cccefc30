"""The rooms import only from the rooms above them, and the command line starts without the heavy ones."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY, TINY

SOURCE = REPOSITORY / "src" / "sinernn"
ROOMS = (
    "errors", "randomness", "schema", "places", "yamlwords", "yamlfile", "overrides", "signals", "windows", "network",
    "engines", "refine", "refine.stages", "refine.records",
    "config.sections", "config.messages", "config.cost", "config.contradictions", "config",
    *(f"engines.fused{room}" for room in (
        "", ".lanes", ".cells", ".constants", ".shape", ".views", ".cache", ".products", ".elementwise", ".memory",
        ".forward", ".backward", ".kernels", ".layout", ".engine",
    )),
    *(f"refine.{room}" for room in ("cells", "jacobian", "algebra", "solver", "problem", "lift", "loop")),
    "engines.torch_engine", "interrupts", "training", "recurrence",
    "evaluation.metrics", "evaluation.periodic", "evaluation.dynamics", "evaluation.evidence",
    "evaluation.baselines", "evaluation.skill", "evaluation.hints", "evaluation",
    "plotting.style", "plotting.layout", "plotting.training", "plotting.waveforms", "plotting.comparisons",
    "plotting.dynamics", "plotting", "provenance", "runs.files", "runs.checkpoints", "runs",
    "runs.directory", "preparation", "judging", "standing", "saving",
    "drawing", "experiment", "verification", "reporting", "commands", "cli",
    "__main__",
)  # fmt: skip
"""From the top of the house to its bottom."""


def room(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {room(path): path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py"}


def imported_rooms(tree: ast.AST) -> set[str]:
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


def test_the_list_of_rooms_is_complete():
    assert set(MODULES) == set(ROOMS)


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_only_from_rooms_above(name: str):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    above = set(ROOMS[: ROOMS.index(name)])
    # The choice of an engine imports the chosen one when it is called, and not before.
    allowed = above | (
        {"engines.fused.engine", "engines.torch_engine"} if name == "engines" else set()
    )
    assert imported_rooms(tree) <= allowed


def loaded_after(code: str) -> set[str]:
    code += "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


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


def test_training_on_the_fused_engine_and_judging_it_load_neither_torch_nor_what_draws(here: Path):
    train = f"sinernn.cli.train({str(TINY)!r}, figures=False)"
    evaluate = "sinernn.cli.evaluate('latest', as_json=True)"
    loaded = loaded_after(f"import sinernn.cli; {train}; {evaluate}; print()")
    assert "numba" in loaded
    assert not loaded & {"torch", "matplotlib"}


def test_plot_and_config_do_without_torch():
    assert "torch" not in loaded_after(
        "import sinernn.experiment, sinernn.plotting, sinernn.config"
    )
