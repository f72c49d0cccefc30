"""Commands that tests run, what these leave behind, and the one guard against those that hang."""

import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("sinernn")

HANG_SECONDS = 900
"""After so long a process hangs, on however busy a machine; nothing is measured by it."""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(*words: object, **options: Any) -> Outcome:
    """Run a command to its end."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
        **options,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def run_shell(script: str, **options: Any) -> Outcome:
    """Run a script of bash to its end."""
    return run("bash", "-c", script, **options)


def run_python(code: str, *arguments: object, **options: Any) -> str:
    """Run Python code in a process of its own, which must succeed; return what it printed."""
    outcome = run(sys.executable, "-c", code, *arguments, **options)
    assert outcome.code == 0, outcome.err
    return outcome.out


def next_commands(printed: str) -> list[list[str]]:
    """Return the arguments of the commands that a command names at its end."""
    (line,) = [line for line in printed.splitlines() if line.startswith("next: ")]
    return [shlex.split(words) for words in re.findall(r"sinernn ([^;]+)", line)]


@contextmanager
def started(*words: object, **options: Any) -> Generator["subprocess.Popen[Any]"]:
    """A process that runs beside the test, and has ended after it."""
    with subprocess.Popen([str(word) for word in words], **options) as process:
        guard = threading.Timer(HANG_SECONDS, process.kill)
        guard.start()
        try:
            yield process
            process.wait()
        finally:
            guard.cancel()


def wait_until(condition: Callable[[], object]) -> None:
    """Return once something has come true."""
    for _ in range(1000 * HANG_SECONDS):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("it never came true")


@contextmanager
def no_hang() -> Generator[None]:
    """End the test with an error if its body, in this very process, waits for ever."""
    signal.alarm(HANG_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


def folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """A folder for which no disk is waited, if there is memory to mount: a kill loses none of it."""
    shared = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None)
