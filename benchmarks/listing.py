"""Measure how long it takes to list, compare and complete the names of many runs.

Prints a Markdown table of medians: wall-clock and processor seconds, and peak memory. The first row
is the shortest command there is; on a busy machine processor seconds vary less.

    python benchmarks/listing.py --runs 1000
"""

import contextlib
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

import sinernn
from commands import Cost, run
from sinernn import provenance

REPOSITORY = Path(__file__).parents[1]
EMPTY = "import typer; app = typer.Typer(); app.command()(lambda: None); app()"
COMMANDS = (
    ("--version",),
    ("runs", "latest"),
    ("runs",),
    ("runs", "--where", "model.hidden_size=4", "--sort", "closed_loop_rmse"),
    ("runs", "--json"),
    ("compare", "runs"),
)


def completed(words: str) -> tuple[list[str], dict[str, str]]:
    """Return the command of a press of the tab key after these words, and its environment."""
    environment = {"_SINERNN_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"sinernn {words}"}
    return [sys.executable, "-m", "sinernn"], environment


COMPLETIONS = {
    "an empty Typer app": ([sys.executable, "-c", EMPTY], {}),
    "completion of a run": completed("plot 2"),
    "completion of a value": completed("train tiny.yaml model.cell="),
}


def make_runs(count: int) -> None:
    """Train one run in the working folder, and copy it under other seeds."""
    trained = sinernn.train(REPOSITORY / "configs" / "tiny.yaml", figures=False).run
    facts = trained.read_json("run.json")
    for seed in range(1, count):
        copy = sinernn.Run(trained.path.with_name(f"{trained.path.name}-seed={seed}"))
        shutil.copytree(trained.path, copy.path, ignore=shutil.ignore_patterns("*.safetensors"))
        copy.write_json("run.json", facts | {"settings": facts["settings"] | {"seed": seed}})


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
        print("| command | s | processor s | MiB |\n| --- | --- | --- | --- |")
        for words in COMMANDS:
            command = [sys.executable, "-m", "sinernn", *words]
            cost = Cost.median([run(command, Path(folder), {}) for _ in range(rounds)])
            print(f"| `sinernn {' '.join(words)}` | {cost.cells()} |", flush=True)
        for name, (command, environment) in COMPLETIONS.items():
            costs = [run(command, Path(folder), environment) for _ in range(rounds)]
            print(f"| {name} | {Cost.median(costs).cells()} |", flush=True)
        sinernn.runs_table()
        began = time.process_time()
        assert len(sinernn.runs_table()) == runs
        inside = time.process_time() - began
    print(f"\nThe call `sinernn.runs_table()`, not its first: {inside:.2f} processor seconds")


if __name__ == "__main__":
    typer.run(main)
