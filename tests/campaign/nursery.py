"""A warm process from which trainings are forked: each starts in milliseconds, and can be killed.

The process has imported and compiled everything, and has one thread; a child that it forks is the
command line as it stands, in a folder of its own.
"""

import json
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PHASES = ("around", "updates", "validation", "refinement", "saving", "evaluation", "plotting")
"""What a child may be at when it is killed."""


@dataclass(frozen=True)
class Ended:
    """What a child left behind."""

    code: int
    """Exit code, or minus the signal that ended it."""

    out: str
    err: str
    phase: str
    """What it was at."""

    calls: list[str]
    """Calls that concern its folder, where they were counted and it was not killed."""


@dataclass
class Child:
    """A command that runs."""

    nursery: "Nursery"
    pid: int
    notes: Path
    started: float = field(default_factory=time.perf_counter)

    def kill(self, *, after: float = 0.0) -> None:
        """Send SIGKILL, so many seconds after the start."""
        time.sleep(max(0.0, self.started + after - time.perf_counter()))
        os.kill(
            self.pid, signal.SIGKILL
        )  # of a child that has ended the number is still taken: nobody waited

    def wait(self) -> Ended:
        """Wait for the end."""
        code = self.nursery.ask(wait=self.pid)
        calls = self.notes / "calls"
        return Ended(
            code=code,
            out=(self.notes / "out").read_text(encoding="utf-8"),
            err=(self.notes / "err").read_text(encoding="utf-8"),
            phase=PHASES[(self.notes / "phase").read_bytes()[0]],
            calls=json.loads(calls.read_text()) if calls.exists() else [],
        )


class Nursery:
    """The warm process, seen from the one that wants children of it."""

    def __init__(self, folder: Path) -> None:
        """Start the process, which writes to a folder."""
        self._folder, self._started = folder, 0
        inherited = {n: v for n, v in os.environ.items() if not n.startswith(("COV_", "COVERAGE_"))}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=inherited | {"OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"},
        )

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()  # it ends where its input does

    def ask(self, **request: Any) -> Any:
        """Send a request, and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def warm(self, *arguments: object) -> None:
        """Run `sinernn ARGUMENTS` in the process, so that all the command needs is loaded."""
        self._started += 1
        words = [*map(str, arguments), "--runs-dir", str(self._folder / f"warm-{self._started}")]
        if code := self.ask(warm=words):
            raise RuntimeError(f"sinernn {' '.join(words)}: ended with {code}")

    def start(
        self,
        *arguments: object,
        cwd: Path,
        count: Path | None = None,
        at: int | None = None,
        fault: str = "kill",
    ) -> Child:
        """Start `sinernn ARGUMENTS`.

        Args:
            arguments: Words of the command line.
            cwd: Its working folder.
            count: Folder whose calls are counted.
            at: Number of the one that goes wrong.
            fault: How, a key of `faults.FAULTS`.
        """
        self._started += 1
        notes = self._folder / f"child-{self._started}"
        notes.mkdir()
        for name, content in {"out": b"", "err": b"", "phase": b"\0"}.items():
            (notes / name).write_bytes(content)  # a kill may come before the child does anything
        pid = self.ask(
            start=[str(each) for each in arguments],
            cwd=str(cwd),
            notes=str(notes),
            count=None if count is None else str(count),
            at=at,
            fault=fault,
        )
        return Child(self, pid, notes)

    def run(self, *arguments: object, **options: Any) -> Ended:
        """Run `sinernn ARGUMENTS` to its end: see `start`."""
        return self.start(*arguments, **options).wait()


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    _redirect(Path(os.devnull), 1)
    living: set[int] = set()
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        if "warm" in request:
            answer = _command(request["warm"])
        elif "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
            living.remove(request["wait"])
        elif (answer := os.fork()) == 0:
            os.close(answers.fileno())  # or who reads the answers would wait for its end as well
            _be_a_child(request)
        else:
            living.add(answer)
        print(json.dumps(answer), file=answers, flush=True)
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def _be_a_child(request: dict[str, Any]) -> None:
    """Run one command, and end."""
    from faults import Calls

    code = 70  # of a child that could not even begin
    try:
        os.chdir(request["cwd"])
        notes = Path(request["notes"])
        _redirect(Path(os.devnull), 0)
        _redirect(notes / "out", 1)
        _redirect(notes / "err", 2)
        _tell_phases(notes / "phase")
        if request["count"] is None:
            code = _command(request["start"])
        else:
            with Calls(Path(request["count"]), at=request["at"], fault=request["fault"]) as calls:
                code = _command(request["start"])
            (notes / "calls").write_text(json.dumps(calls.names))
    finally:
        os._exit(code)


def _command(arguments: Sequence[str]) -> int:
    """Run the command line; a traceback goes to stderr, as it would."""
    import traceback

    from sinernn import cli

    sys.argv = ["sinernn", *arguments]
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _redirect(path: Path, descriptor: int) -> None:
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    os.dup2(opened, descriptor)
    os.close(opened)


def _tell_phases(path: Path) -> None:
    """Keep in a file, which outlives the process, what it is at."""
    with path.open("r+b") as file:
        board = mmap.mmap(file.fileno(), 1)

    def during(phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def told(*arguments: Any, **options: Any) -> Any:
            before, board[0] = board[0], PHASES.index(phase)
            try:
                return function(*arguments, **options)
            finally:
                board[0] = before

        return told

    def while_iterating(phase: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
        def told(*arguments: Any, **options: Any) -> Iterator[Any]:
            before, board[0] = board[0], PHASES.index(phase)
            yield from function(*arguments, **options)
            board[0] = before

        return told

    from sinernn import evaluating, experiment, forecasting, plot_run
    from sinernn.refine import loop
    from sinernn.runs import Run

    # Their functions change type.
    modules: Any = (Run, forecasting, evaluating, experiment, plot_run, loop)
    run, forecast, evaluate, main, draw, refinement = modules
    run.write = during("saving", run.write)
    forecast.validation_rmse = during("validation", forecast.validation_rmse)
    evaluate.evaluate = during("evaluation", evaluate.evaluate)
    draw.plot = during("plotting", draw.plot)
    main.run_updates = while_iterating("updates", main.run_updates)
    refinement.refine = while_iterating("refinement", refinement.refine)


if __name__ == "__main__":
    _serve()
