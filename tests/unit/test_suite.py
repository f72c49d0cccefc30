"""The tests depend on the code alone: they read no clock and no memory of the process."""

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from examples import REPOSITORY
from sinernn.evaluation.metrics import errors_by_horizon, finite, r_squared

TESTS = REPOSITORY / "tests"
SOURCES = sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py"))
CLOCKS = {
    "perf_counter", "perf_counter_ns", "process_time", "process_time_ns", "monotonic",
    "monotonic_ns", "thread_time", "time_ns", "timeit", "times",
}  # fmt: skip
MEMORY = {"tracemalloc", "resource", "getrusage", "ru_maxrss", "psutil", "memory_info"}
ALLOWED = {
    "campaign/nursery.py": "waits for the instant at which a training is killed",
    "campaign/kills.py": "draws these instants over the length of a training",
    "campaign/sweep_kills.py": "draws such instants over the length of a sweep",
    "campaign/fuzz.py": "prints what readings took, and asserts nothing on it",
}


def names(path: str) -> set[str]:
    """Every name that a file imports, calls or reads; `time.time` as `time.time`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((TESTS / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {alias.name for alias in node.names if node.module in ("time", "os")}
        elif isinstance(node, ast.Attribute):
            found.add(f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else "")
            found.add(node.attr if node.attr != "times" else "")
    return found


@pytest.mark.parametrize("path", [path for path in SOURCES if path not in ALLOWED])
def test_no_clock_is_read(path: str):
    """Nor the process's memory: what a test bounds it counts, seconds are for benchmarks/."""
    read = names(path) & (CLOCKS | MEMORY | {"time.time", "os.times", "time.thread_time"})
    assert not read


@pytest.mark.parametrize("path", ALLOWED)
def test_what_is_allowed_is_there(path: str):
    assert names(path) & (CLOCKS | MEMORY)
    assert not Path(path).name.startswith("test_")


@pytest.mark.parametrize("path", SOURCES)
def test_processes_have_one_guard(path: str):
    """Against hanging: `commands` is the one place that starts processes with a timeout."""
    if path not in ("support/commands.py", "campaign/nursery.py"):
        starts = {"subprocess.run", "subprocess.Popen", "subprocess.check_output", "signal.alarm"}
        assert not names(path) & starts


@pytest.mark.parametrize("path", [path for path in SOURCES if Path(path).name.startswith("test_")])
def test_names_are_short(path: str):
    """The fact stands in the docstring, the name is for `-k`."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    tests = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert [name for name in tests if name.startswith("test_") and len(name) > 45] == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: errors_by_horizon(np.zeros(3)),  # a dimension is missing
        lambda: r_squared(np.zeros((4, 1)), np.zeros((4, 2))),  # one dimension has two sizes
        lambda: finite("3"),  # no array is involved  # pyright: ignore[reportArgumentType]
    ],
)
def test_annotations_are_checked(call: Callable[[], object]):
    """By both ways of `type_checks`."""
    with pytest.raises((TypeCheckError, BeartypeCallHintViolation)):
        call()
