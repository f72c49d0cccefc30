"""Who trains the runs of a sweep: the seam between the driver and what it computes on."""

import json
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sinernn.config import load_config
from sinernn.cores import can_fork, usable_cores
from sinernn.errors import RunFileError, printable
from sinernn.interrupts import STOP_SIGNALS
from sinernn.runs.files import unflushed
from sinernn.sweeps.results import RunResult
from sinernn.sweeps.worker import Task, serve_in_fork, write_result

# -P: never import from the working folder, which may contain untrusted files.
WORKER = (sys.executable, "-P", "-m", "sinernn.sweeps.worker")
TRIES = 3
"""A run that ends so many workers has failed: the next would run out of memory, too."""

MOST_WAITING = 16
"""Runs that have ended and are not taken yet: where the disk is slow, workers wait for it."""


@dataclass(frozen=True)
class Trained:
    """A run that has ended, well or not, but is not published yet."""

    task: Task
    result: RunResult
    folder: Path
    """A hidden folder in the sweep's, which contains its run directory and nothing else."""


@runtime_checkable
class Executor(Protocol):
    """Trains runs, several at once; which worker does, and in what order, changes no bit of them.

    An executor is a context manager: at the end it stops, whatever is still trained.
    """

    def __enter__(self) -> "Executor": ...

    def __exit__(self, *_: object) -> None: ...

    def train(self, tasks: Iterable[Task]) -> Iterator[Trained]:
        """Yield runs as they end, in any order; a task is taken when a worker has time for it."""
        ...


def hidden_folder(sweep: Path, task: Task) -> Path:
    """Return a new hidden folder in a sweep's, for a run that is not complete yet."""
    return sweep / f".{task.run}.{secrets.token_hex(4)}"


def given_up(task: Task, sweep: Path, reason: str) -> Trained:
    """Return a run that has failed, since whatever trained it ended before it did."""
    config, folder = load_config(task.config), hidden_folder(sweep, task)
    result = RunResult(run=task.run, point=task.point, seed=config.seed, reason=reason)
    with unflushed():
        write_result(folder, config, result)
    return Trained(task, result, folder)


class LocalExecutor:
    """Trains in processes of this machine.

    Processes, since the part of a run that is not a kernel holds the interpreter's lock. Each has
    a thread here, which waits for it, and starts another one if it is killed.
    """

    def __init__(self, folder: Path, jobs: int | None = None) -> None:
        """Prepare; the first process starts with the first task.

        Args:
            folder: Of the sweep.
            jobs: Processes; default: one for each core.
        """
        self._folder = folder
        self.jobs = jobs or usable_cores()
        self._workers: list[_Worker] = []
        self._ended: queue.Queue[Trained | BaseException | None] = queue.Queue(MOST_WAITING)
        self._is_stopping = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "LocalExecutor":
        self._workers = [_Worker(max(1, usable_cores() // self.jobs)) for _ in range(self.jobs)]
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping = True
        for worker in self._workers:
            worker.stop()
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.close()

    def train(self, tasks: Iterable[Task]) -> Iterator[Trained]:
        """Start as many processes as there are tasks for, and yield runs as they end.

        Raises:
            RunFileError: No process can be started, or a file cannot be written.
        """
        rest = iter(tasks)
        first = list(islice(rest, self.jobs))
        workers, source, lock = self._workers[: len(first)], chain(first, rest), threading.Lock()
        self._fork(workers)
        for worker in workers:
            thread = threading.Thread(target=self._serve, args=(worker, source, lock), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self._collect(len(workers))

    @staticmethod
    def _fork(workers: Sequence["_Worker"]) -> None:
        """Fork the workers that have not begun, if this process may be forked.

        A fork has everything loaded, which takes another process as long as several runs.
        """
        new = [worker for worker in workers if not worker.has_begun]
        if not new or not can_fork() or "torch" in sys.modules:  # its threads hang in a fork
            return
        # Python ignores the exceptions of handlers that run while it forks.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            for worker in new:
                worker.fork()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _collect(self, left: int) -> Iterator[Trained]:
        """Yield what so many threads put into the queue."""
        while left:
            match self._ended.get():
                case None:
                    left -= 1
                case BaseException() as error:
                    raise error
                case trained:
                    yield trained

    def _serve(self, worker: "_Worker", source: Iterator[Task], lock: threading.Lock) -> None:
        """Let a worker train tasks until none is left."""
        try:
            while not self._is_stopping:
                with lock:
                    task = next(source, None)
                if task is None:
                    break
                if trained := self._train(worker, task):
                    self._put(trained)
        except BaseException as error:  # raised again by the thread that waits
            self._put(error)
        self._put(None)

    def _put(self, ended: Trained | BaseException | None) -> None:
        """Pass something on to the thread that waits, if any still does."""
        while not self._is_stopping:
            with suppress(queue.Full):
                self._ended.put(ended, timeout=0.1)
                return

    def _train(self, worker: "_Worker", task: Task) -> Trained | None:
        """Let a worker train a task, more than once if it is killed; None if all are to stop."""
        reason = ""
        for _ in range(TRIES):
            folder = hidden_folder(self._folder, task)
            answer = worker.ask({"task": vars(task), "folder": str(folder)})
            if answer is not None:
                return Trained(task, RunResult.model_validate(answer), folder)
            reason = worker.epitaph()
            shutil.rmtree(folder, ignore_errors=True)
            if self._is_stopping:
                return None
        return given_up(task, self._folder, f"ended {TRIES} worker processes: {reason}")


class _Fork:
    """A fork of this process that serves; has what is used of `subprocess.Popen`."""

    def __init__(self, requests: int, answers: int, errors: int) -> None:
        fork = import_module("multiprocessing").get_context("fork").Process
        self._process = fork(target=serve_in_fork, args=(requests, answers, errors), daemon=True)
        self._process.start()
        self._waiting = threading.Lock()  # only one of several threads would get its code
        self._code: int | None = None

    def poll(self) -> int | None:
        return self._process.exitcode if self._code is None else self._code

    def wait(self) -> int:
        with self._waiting:
            self._process.join()
            # There is none if this process ignores SIGCHLD.
            self._code = code = self._process.exitcode or 0
            return code

    def kill(self) -> None:
        self._process.kill()


def _command(requests: int, answers: int, errors: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        WORKER,
        stdin=requests, stdout=answers, stderr=errors,
        start_new_session=True,  # Ctrl-C reaches only this process, which then ends it
        env=os.environ | {"PYDANTIC_DISABLE_PLUGINS": "__all__"},
    )  # fmt: skip


class _Worker:
    """A process that trains, which is started for its first task, and again if it was killed."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._process: subprocess.Popen[bytes] | _Fork | None = None
        self._files: list[Any] = []  # requests, answers, errors
        self._is_stopped = False
        self._lock = threading.Lock()  # no process is started after `stop`

    @property
    def has_begun(self) -> bool:
        """Whether its process was started."""
        return self._process is not None

    def fork(self) -> None:
        """Start the process now as a fork of this one; if that fails, it is started as others."""
        with suppress(RunFileError):
            self._start(_Fork)

    def ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer to a request; None if the process ended first."""
        with self._lock:
            if self._is_stopped:
                return None
            if self._process is None or self._process.poll() is not None:
                self._start(_command)
        self._write(request)
        line = self._files[1].readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def _start(self, start: Callable[[int, int, int], "subprocess.Popen[bytes] | _Fork"]) -> None:
        """Start a process, which keeps what it prints for `epitaph`.

        Raises:
            RunFileError: None can be started.
        """
        self.close()
        try:
            with ExitStack() as theirs:
                requests, written = map(os.fdopen, os.pipe(), ("rb", "wb"))
                self._files = [written]
                theirs.enter_context(requests)
                read, answers = map(os.fdopen, os.pipe(), ("rb", "wb"))
                self._files.append(read)
                theirs.enter_context(answers)
                self._files.append(tempfile.TemporaryFile())  # noqa: SIM115
                self._process = start(requests.fileno(), answers.fileno(), self._files[2].fileno())
        except OSError as error:
            raise RunFileError(f"{sys.executable}: cannot be started: {error.strerror}") from error
        self._write({"cores": self._cores})

    def _write(self, request: dict[str, Any]) -> None:
        with suppress(OSError):  # of a pipe whose reader is dead
            self._files[0].write(json.dumps(request).encode() + b"\n")
            self._files[0].flush()

    def epitaph(self) -> str:
        """Return in words how the process ended."""
        if self._process is None:
            return "none could be started"
        code = self._process.wait()
        self._files[2].seek(0, os.SEEK_SET)
        lines = self._files[2].read()[-4000:].decode(errors="replace").strip().splitlines()
        said = f": {printable(lines[-1], 300)}" if lines else ""
        if code == -9:
            return f"killed by signal 9, as the system does when memory runs out{said}"
        return (f"killed by signal {-code}" if code < 0 else f"exit code {code}") + said

    def stop(self) -> None:
        """End the process, whatever it trains."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def close(self) -> None:
        """Close the files of a process that has ended."""
        for file in self._files:
            with suppress(OSError):  # of a pipe whose reader is dead
                file.close()
        self._files = []
