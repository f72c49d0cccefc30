"""Measure whole commands: the time to a first result, and the tutorial's 6000 updates.

Prints Markdown tables of medians: wall-clock seconds, processor seconds (all threads and
child processes), and peak memory. With --against, another checkout of the project runs the same
commands in the same rounds, in turn, so that other load on the machine affects both equally. On a
busy machine the ratio of processor seconds varies less.

    python benchmarks/commands.py --against ../sinernn-0.1
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sinernn import provenance

REPOSITORY = Path(__file__).parents[1]

COMMANDS = {
    "`sinernn train configs/default.yaml`": ("train", "configs/default.yaml"),
    "the same, no compiled kernels": ("train", "configs/default.yaml"),
    "`sinernn eval latest`": ("eval", "latest"),
    "`sinernn eval latest evaluation.origins=500`": ("eval", "latest", "evaluation.origins=500"),
    "`sinernn plot latest`": ("plot", "latest"),
    "`sinernn train configs/default.yaml model.cell=gru`, no compiled kernels": (
        "train", "configs/default.yaml", "model.cell=gru",
    ),
}  # fmt: skip
TUTORIAL = {
    "`sinernn train configs/tutorial.yaml --no-figures`": (
        "train", "configs/tutorial.yaml", "--no-figures",
    ),
}  # fmt: skip

SCRIPT = """
import sys; sys.path.insert(0, sys.argv[1])
import torch, numpy, reference_script
torch.manual_seed(0)
net = reference_script.Net(16)
weights = {name: value.numpy() for name, value in net.state_dict().items()}
starts = numpy.random.default_rng(0).integers(0, 3, 6000).tolist()
reference_script.run(weights, starts, torch.float32)
"""

LAUNCHER = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


@dataclass(frozen=True)
class Cost:
    """Time and peak memory of one process."""

    seconds: float
    processor_seconds: float
    mib: float

    @classmethod
    def median(cls, costs: list["Cost"]) -> "Cost":
        """Return the median of each value separately."""
        names = ("seconds", "processor_seconds", "mib")
        return cls(*(statistics.median(getattr(cost, name) for cost in costs) for name in names))

    def cells(self) -> str:
        """Return three cells of a table."""
        return f"{self.seconds:.2f} | {self.processor_seconds:.2f} | {self.mib:.0f}"


def run(command: list[str], folder: Path, environment: dict[str, str]) -> Cost:
    """Run a command in a folder and wait for it."""
    # As for users: the sources are compiled to bytecode once.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    # Started by a small process: a child's peak memory includes that of the process it forked from.
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *command],
        cwd=folder, env=inherited | environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    seconds, processor_seconds, peak = map(float, done.stdout.split())
    return Cost(seconds, processor_seconds, peak / (2**20 if sys.platform == "darwin" else 2**10))


@dataclass(frozen=True)
class Checkout:
    """A version of the project, with its own folder for runs and kernels."""

    sources: Path
    folder: Path

    def sinernn(self, arguments: tuple[str, ...], *, is_cold: bool = False) -> Cost:
        """Run the program; if `is_cold`, with an empty folder of kernels."""
        words = [
            str(self.sources / word) if word.startswith("configs/") else word for word in arguments
        ]
        with tempfile.TemporaryDirectory(dir=self.folder) as empty:
            kernels = empty if is_cold else str(self.folder)
            environment = {
                "PYTHONPATH": str(self.sources / "src"), "SINERNN_CACHE_DIR": kernels,
            }  # fmt: skip
            return run([sys.executable, "-m", "sinernn", *words], self.folder, environment)


def rounds_of(checkouts: list[Checkout], rounds: int) -> Iterator[tuple[str, list[Cost]]]:
    """Yield each command and its medians, one for each checkout."""
    for checkout in checkouts:  # warm up: kernels, bytecode and caches of other libraries
        checkout.sinernn(next(iter(COMMANDS.values())))
    found: dict[str, list[list[Cost]]] = {name: [[] for _ in checkouts] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            for checkout, costs in zip(checkouts, found[name], strict=True):
                costs.append(checkout.sinernn(arguments, is_cold="no compiled kernels" in name))
    for name, each in found.items():
        yield name, [Cost.median(costs) for costs in each]


def first_results(checkouts: list[Checkout], rounds: int) -> None:
    """Print how long a user waits."""
    before = " s before | ratio | processor ratio |" if len(checkouts) > 1 else ""
    print("| time to a first result | s | processor s | MiB |" + before)
    print("| --- " * (before.count("|") + 4) + "|")
    for name, (now, *others) in rounds_of(checkouts, rounds):
        extra = "".join(
            f" {old.seconds:.2f} | {now.seconds / old.seconds:.2f} |"
            f" {now.processor_seconds / old.processor_seconds:.2f} |"
            for old in others
        )
        print(f"| {name} | {now.cells()} |{extra}", flush=True)


def tutorial(checkout: Checkout, rounds: int) -> None:
    """Print the cost of 6000 updates as a whole process, and that of the tutorial's script."""
    script = [sys.executable, "-c", SCRIPT, str(REPOSITORY / "tests" / "support")]
    ((name, arguments),) = TUTORIAL.items()
    checkout.sinernn(arguments)  # warm up: compile missing kernels
    found: dict[str, list[Cost]] = {name: [], "the tutorial's script": []}
    for _ in range(rounds):
        found[name].append(checkout.sinernn(arguments))
        found["the tutorial's script"].append(run(script, checkout.folder, {}))
    print("| 6000 updates as a whole process | s | processor s | MiB |")
    print("| --- " * 4 + "|")
    for command, costs in found.items():
        print(f"| {command} | {Cost.median(costs).cells()} |")


def main(
    rounds: Annotated[int, typer.Option(help="Rounds; medians are printed.", min=1)] = 5,
    against: Annotated[
        Path | None, typer.Option(help="Another checkout to compare with.", exists=True)
    ] = None,
) -> None:
    """Print the tables."""
    print(f"{provenance.environment().processor}, {os.cpu_count()} processors\n")
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        checkouts = [Checkout(REPOSITORY, Path(ours))]
        if against is not None:
            checkouts.append(Checkout(against.resolve(), Path(theirs)))
        first_results(checkouts, rounds)
        print()
        tutorial(checkouts[0], rounds)


if __name__ == "__main__":
    typer.run(main)
