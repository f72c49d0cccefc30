"""Measure how long many runs take to list and to compare, as whole commands.

Prints a Markdown table of medians, beside the shortest command there is: importing Python's modules
for it is most of the time of a short listing.

    python benchmarks/listing.py --runs 1000
"""

import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

import sinernn
from sinernn import provenance

REPOSITORY = Path(__file__).parents[1]
COMMANDS = (
    ("--version",),
    ("runs", "latest"),
    ("runs",),
    ("runs", "--where", "model.hidden_size=4", "--sort", "closed_loop_rmse"),
    ("runs", "--json"),
    ("compare", "runs"),
)


def make_runs(count: int) -> None:
    """Train one run in the working folder, and copy it under other seeds."""
    run = sinernn.train(REPOSITORY / "configs" / "tiny.yaml", figures=False).run
    facts = run.read_json("run.json")
    for seed in range(1, count):
        copy = sinernn.Run(run.path.with_name(f"{run.path.name}-seed={seed}"))
        shutil.copytree(run.path, copy.path, ignore=shutil.ignore_patterns("*.safetensors"))
        copy.write_json("run.json", facts | {"settings": facts["settings"] | {"seed": seed}})


def seconds(words: tuple[str, ...]) -> float:
    """Return how long a command takes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "sinernn", *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main(
    runs: Annotated[int, typer.Option(help="Runs in the folder.", min=2)] = 1000,
    rounds: Annotated[int, typer.Option(help="Rounds; medians are printed.", min=1)] = 5,
) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        make_runs(runs)
        small = Path("runs/latest/run.json"), Path("runs/latest/evaluation.json")
        size = sum(path.stat().st_size for path in small)
        print(f"{provenance.environment().processor}; {runs} runs, {size} bytes read of each\n")
        found = {words: [seconds(words) for _ in range(rounds)] for words in COMMANDS}
        table = sinernn.runs_table()
        began = time.perf_counter()
        assert len(sinernn.runs_table()) == len(table) == runs
        inside = time.perf_counter() - began
    print("| command | s |\n| --- | --- |")
    for words, times in found.items():
        print(f"| `sinernn {' '.join(words)}` | {statistics.median(times):.2f} |")
    print(f"| `sinernn.runs_table()` in a process that has called it | {inside:.2f} |")


if __name__ == "__main__":
    typer.run(main)
