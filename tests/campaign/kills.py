"""Kill trainings, or let calls of the system fail, resume them, and compare what comes out.

A killed run that is resumed must end in the bytes of a run that nothing interrupted: weights,
metrics, scores, figures. Prints a table of what a training was at when it was killed.

    python tests/campaign/kills.py --kills 500
    python tests/campaign/kills.py --every-call

The first draws the instants of SIGKILL evenly over the length of an uninterrupted run. The second
draws nothing: it meets every call of the operating system with every fault of `faults.FAULTS`.
"""

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from driven import write_driven_series
from faults import FAULTS
from nursery import PHASES, Ended, Nursery
from sinernn.runs import TRAINED, files

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
COMPARED = (
    "metrics.csv", "model.safetensors", "checkpoints/best.safetensors",
    "checkpoints/last.safetensors", "snapshots.safetensors", "evaluation.json",
    "evaluation.safetensors", "figures/overview.png",
)  # fmt: skip


def updates(steps: int, engine: str = "fused") -> tuple[str, ...]:
    """Return settings of a training with a checkpoint every few updates."""
    return (
        "refine=null", "training.log_every=5", "training.evaluate_every=10",
        "training.checkpoint_every=5", "training.schedule=constant",
        f"engine={engine}", f"training.steps={steps}",
    )  # fmt: skip


STAGE = (
    "{sequences: 32, warmup: 20, horizon: 60, warmup_noise: 0.03, redraw_every: 1,"
    " measure_every: 1, iterations: 8}"
)
STAGES = f"refine.stages=[{', '.join([STAGE] * 8)}]"


@dataclass(frozen=True)
class Case:
    """A training that is to be interrupted."""

    settings: tuple[str, ...]
    begun: tuple[str, ...] = ()
    """Settings of a finished run of fewer updates, where it goes on with one."""

    figures: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """Options of every command."""
        return ("--quiet",) if self.figures else ("--quiet", "--no-figures")


CASES = {
    "fused": Case(updates(1000)),
    "torch": Case(updates(150, "torch")),
    "refined": Case((STAGES,)),
    "drawn": Case(updates(20), figures=True),
    "longer": Case(updates(600), begun=updates(85)),
}
SHORT_CASES = {
    "whole": Case(()),
    "further": Case(updates(20), begun=updates(13)),
}
"""With few calls, so that each can be met."""

SERIES = ("", ", driven")
"""Ends of names of cases: of a sine, and of recordings in a file, with two outputs and an input."""


def on_both_series(cases: dict[str, Case], folder: Path) -> dict[str, Case]:
    """Return each case on a sine, and on a driven series from a file that is written to a folder."""
    driven = write_driven_series(folder / "driven.csv")
    return cases | {
        name + SERIES[1]: replace(
            case, settings=(*case.settings, *driven), begun=case.begun and (*case.begun, *driven)
        )
        for name, case in cases.items()
    }


@dataclass
class Tally:
    """What became of the interrupted trainings of a case."""

    kills: Counter[str] = field(default_factory=Counter[str])
    """By what the training was at; `told` and `survived` of calls that only failed."""

    runs: int = 0
    """Resumed to the end and compared."""

    failures: list[str] = field(default_factory=list[str])
    """Where the bytes were others, or a message was none."""


class Bench:
    """A warm process, and what each case must come to."""

    def __init__(self, folder: Path, nursery: Nursery, cases: dict[str, Case]) -> None:
        self.folder, self.nursery, self.cases = folder, nursery, cases
        self._made = 0
        self._expected: dict[str, dict[str, bytes]] = {}
        self.seconds: dict[str, float] = {}
        """Length of an uninterrupted training."""

    @contextmanager
    def place(self, begun: Path | None = None) -> Iterator[Path]:
        """A folder for one run; a copy of one in which it has begun."""
        self._made += 1
        place = self.folder / f"case-{self._made}"
        if begun is None:
            place.mkdir()
        else:
            shutil.copytree(begun, place, symlinks=True)
        yield place
        shutil.rmtree(place)

    def expect(self, name: str) -> None:
        """Run a case to its end, as nothing interrupts it."""
        if name in self._expected:
            return
        with self.place() as place:
            command = self.command(name, place)
            self.nursery.warm(*command)
            began = time.perf_counter()
            ended = self.nursery.run(*command, cwd=place)
            self.seconds[name] = time.perf_counter() - began
            _require(ended)
            (run,) = runs_in(place)
            self._expected[name] = contents(run)

    def begin(self, name: str) -> Path | None:
        """Return a folder in which the run has begun that a case goes on with."""
        case = self.cases[name]
        if not case.begun:
            return None
        place = self.folder / f"begun-{name}"
        if place.exists():
            return place
        place.mkdir()
        _require(self.nursery.run("train", TINY, *case.begun, "--quiet", cwd=place))
        return place

    def calls(self, name: str, begun: Path | None) -> list[str]:
        """Return the calls of the system that a case makes."""
        with self.place(begun) as place:
            command = self.command(name, place)
            return self.nursery.run(*command, cwd=place, count=place / "runs").calls

    def command(self, name: str, place: Path) -> tuple[object, ...]:
        """Return the next command of a user who sees what is there."""
        case = self.cases[name]
        if not runs_in(place):
            return ("train", TINY, *case.settings, *case.options)
        more = [each for each in case.settings if each.startswith("training.steps")]
        return ("resume", "latest", *(more if case.begun else ()), *case.options)

    def finish(self, name: str, place: Path, tally: Tally, told: str) -> None:
        """Go on to the end, and compare."""
        ended = self.nursery.run(*self.command(name, place), cwd=place)
        runs, tally.runs = runs_in(place), tally.runs + 1
        if ended.code or len(runs) != 1 or not self.agrees(name, runs[0]):
            tally.failures.append(f"{told}: ended with {ended.code} {ended.err[-200:]} {runs}")
        if left := [path for run in runs for path in leftovers(run)]:
            tally.failures.append(f"{told}: left {left}")

    def agrees(self, name: str, run: Path) -> bool:
        """Whether a run has the bytes of an uninterrupted one."""
        return contents(run) == self._expected[name]


def contents(run: Path) -> dict[str, bytes]:
    """Return what is compared of a run."""
    return {name: (run / name).read_bytes() for name in COMPARED if (run / name).exists()}


def runs_in(place: Path) -> list[Path]:
    """Return the run directories in a folder."""
    return [path for path in place.glob("runs/[!.]*") if path.name != "latest"]


def leftovers(run: Path) -> list[Path]:
    """Return temporary files that training left in a run."""
    return [
        path
        for name in TRAINED
        for path in (run / name).parent.glob(".*")
        if files.is_temporary_of(path, Path(name).name)
    ]


def _require(ended: Ended) -> None:
    if ended.code:
        raise RuntimeError(f"sinernn ended with {ended.code}: {ended.err}")


def kill_at_random(bench: Bench, name: str, kills: int, seed: int) -> Tally:
    """Kill trainings of a case at instants drawn evenly over their length, so many times in all."""
    bench.expect(name)
    begun, tally, chain = bench.begin(name), Tally(), 0
    while (left := kills - tally.kills.total()) > 0:
        chain += 1
        random = np.random.default_rng([seed, chain])
        with bench.place(begun) as place:
            told = f"{name}, seed {seed}, chain {chain}"
            for _ in range(min(left, int(random.integers(1, 5)))):
                child = bench.nursery.start(*bench.command(name, place), cwd=place)
                after = random.uniform(0, bench.seconds[name])
                child.kill(after=after)
                ended = child.wait()
                told += f", {ended.phase} after {after:.4f} s"
                if ended.code != -9:  # it was faster than the one that was measured
                    break
                tally.kills[ended.phase] += 1
            bench.finish(name, place, tally, told)
    return tally


def meet_every_call(bench: Bench, name: str, fault: str, stride: int = 1) -> Tally:
    """Let every `stride`-th call of a case meet a fault; what it does not concern is left out.

    The calls of a driven series are those half-way between the calls of the other.
    """
    bench.expect(name)
    begun, tally = bench.begin(name), Tally()
    calls = [
        (at, call)
        for at, call in enumerate(bench.calls(name, begun))
        if fault != "short" or call == "write"
    ]
    stride = min(stride, len(calls))
    for at, call in calls[stride // 2 if name.endswith(SERIES[1]) else 0 :: stride]:
        with bench.place(begun) as place:
            command, runs = bench.command(name, place), place / "runs"
            ended = bench.nursery.run(*command, cwd=place, count=runs, at=at, fault=fault)
            told = f"{name}, {fault} at call {at}, {call}: {ended.err[-200:]}"
            if ended.code == -9:
                tally.kills[ended.phase] += 1
            else:
                tally.kills["told" if ended.code else "survived"] += 1
                lines = ended.err.splitlines()
                if (ended.code, len(lines)) not in ((0, 0), (1, 1), (2, 1)):
                    tally.failures.append(f"{told}: {ended.code}")
            bench.finish(name, place, tally, told)
    return tally


def main(
    kills: Annotated[int, typer.Option(help="SIGKILLs at random instants.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the instants.")] = 0,
    every_call: Annotated[bool, typer.Option(help="Meet every call with every fault.")] = False,
    stride: Annotated[int, typer.Option(help="Meet one in so many calls.")] = 1,
    fault: Annotated[list[str] | None, typer.Option(help="Only this one; repeatable.")] = None,
    case: Annotated[list[str] | None, typer.Option(help="Only this one; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Interrupt trainings, resume them, and compare."""
    shared = Path("/dev/shm")  # a kill loses nothing that was written, so memory will do
    base = shared if shared.is_dir() else None
    cases = SHORT_CASES if every_call else CASES
    with tempfile.TemporaryDirectory(prefix="sinernn-kills-", dir=base) as folder:
        cases = on_both_series(cases, Path(folder))
        cases = {name: each for name, each in cases.items() if not case or name in case}
        with Nursery(Path(folder)) as nursery:
            bench = Bench(Path(folder), nursery, cases)
            tallies = (
                {
                    f"{name}, {each}": meet_every_call(bench, name, each, stride)
                    for name in cases
                    for each in fault or FAULTS
                }
                if every_call
                else {
                    name: kill_at_random(bench, name, -(-kills // len(cases)), seed)
                    for name in cases
                }
            )
    if as_json:
        print(json.dumps({name: vars(tally) for name, tally in tallies.items()}, indent=2))
    else:
        _print_table(tallies)
    if any(tally.failures for tally in tallies.values()):
        raise typer.Exit(1)


def _print_table(tallies: dict[str, Tally]) -> None:
    columns = [
        each
        for each in (*PHASES, "told", "survived")
        if any(t.kills[each] for t in tallies.values())
    ]
    print(f"| case | {' | '.join(columns)} | all | runs compared | failures |")
    print("|---" * (len(columns) + 4) + "|")
    for name, tally in tallies.items():
        counts = [tally.kills[each] for each in columns]
        cells = [name, *counts, sum(counts), tally.runs, len(tally.failures)]
        print("| " + " | ".join(str(each) for each in cells) + " |")
    for tally in tallies.values():
        for failure in tally.failures:
            print(failure)


if __name__ == "__main__":
    typer.run(main)
