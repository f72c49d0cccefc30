"""Exceptions for failures that a user can cause, and the problems of a config."""

import shlex
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

MAX_PROBLEMS = 50  # in one error

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a config down to a value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written: a file's line and column (from 1), or an override."""

    source: str
    line: int | None = None
    column: int | None = None
    text: str = field(default="", compare=False, repr=False)
    """The line itself, for a terminal to show."""

    def __str__(self) -> str:
        source = printable(self.source, 300)
        return ":".join(str(part) for part in (source, self.line, self.column) if part is not None)


@dataclass(frozen=True)
class Problem:
    """An error in a config, and its place."""

    place: Place
    path: KeyPath
    message: str

    def __str__(self) -> str:
        key = printable(".".join(str(part) for part in self.path), 100)
        if self.place.line is None and str(self.place).startswith(f"{key}="):
            key = ""  # an override shows its key itself
        return ": ".join(filter(None, (str(self.place), key, printable(self.message, 600))))


def printable(text: str, limit: int) -> str:
    """Return a user's text as one harmless line: cut to `limit`, its control codes escaped."""
    if len(text) <= limit and text.isprintable():  # nearly all are
        return text
    harmless = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text[: limit + 1]
    )
    return harmless if len(harmless) <= limit else harmless[: limit - 3] + "..."


def nearest(word: str, known: Sequence[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word most similar to `word`, or one that it abbreviates, or None."""
    word = word[:100].lower()
    similar = get_close_matches(word, known, n=1, cutoff=cutoff)
    longer = [each for each in known if len(word) > 2 and each.startswith(word)]
    return next(iter([*similar, *longer]), None)


def command_line(name: str, path: Path) -> str:
    """Return a command for a path, quoted so that it can be copied into a shell."""
    return f"sinernn {name} {shlex.quote(str(path))}"


class SinernnError(Exception):
    """An error that a user can cause; the command line prints its message without a traceback.

    Example:
        >>> try:
        ...     sinernn.evaluate("no-such-run")
        ... except sinernn.SinernnError as error:
        ...     error.exit_code
        2
    """

    exit_code = 1

    def __str__(self) -> str:
        """Return the message as one line, with control codes in names and values escaped."""
        return printable(super().__str__(), 5000)


class UsageError(SinernnError):
    """The request itself is wrong: its arguments, its config or what it refers to.

    Example:
        >>> try:
        ...     sinernn.plot("latest", names=["sine"])
        ... except sinernn.UsageError as error:
        ...     print(str(error).split(";")[0])
        no figure is called sine
    """

    exit_code = 2


class ConfigError(UsageError):
    """A config or an override is invalid; contains every problem found.

    Example:
        >>> try:
        ...     sinernn.load_config({"seed": -1})
        ... except sinernn.ConfigError as error:
        ...     print(error.problems[0].message)
        must be at least 0, got -1
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        """Return one line for each problem."""
        return "\n".join(str(problem) for problem in self.problems)


@contextmanager
def collect_problems(problems: list[Problem]) -> Generator[None]:
    """Append the problems of a `ConfigError` to a list instead of raising it."""
    try:
        yield
    except ConfigError as error:
        problems += error.problems


class DeviceError(UsageError):
    """The requested device is not available, or does not support the config.

    Example:
        >>> config = sinernn.load_config("tiny.yaml", ["device=cuda:99"])
        >>> try:
        ...     sinernn.train(config)
        ... except sinernn.DeviceError as error:
        ...     print(str(error).split(";")[0])
        device: cuda:99 is not present
    """


class RunNotFoundError(UsageError):
    """No run directory has this name.

    Example:
        >>> try:
        ...     sinernn.plot("no-such-run")
        ... except sinernn.RunNotFoundError as error:
        ...     print(str(error).split(";")[0])
        runs/no-such-run: no such run
    """


class RunFileError(SinernnError):
    """A file of a run is missing, damaged, from a newer version, or cannot be written.

    Example:
        >>> from pathlib import Path
        >>> try:
        ...     sinernn.Run(Path("runs/latest")).read_arrays("nothing.safetensors")
        ... except sinernn.RunFileError as error:
        ...     print(str(error).split(":")[0])
        runs/latest/nothing.safetensors
    """


class RunBusyError(SinernnError):
    """Another process is training this run.

    Example:
        >>> from pathlib import Path
        >>> run = sinernn.Run(Path("runs/latest"))
        >>> with run.held():
        ...     try:
        ...         sinernn.resume(run)
        ...     except sinernn.RunBusyError as error:
        ...         print(str(error).split(";")[0])
        runs/latest: another process is training this run
    """


class TrainingDivergedError(SinernnError):
    """The loss or a weight is no longer finite, or the loss is far above that of the start.

    Example:
        >>> settings = ["signal.amplitude=1e6", "windows.normalize=false", "model.cell=rnn_relu"]
        >>> settings += ["training.learning_rate=10", "training.gradient_clip=null"]
        >>> config = sinernn.load_config("tiny.yaml", [*settings, "training.steps=2000"])
        >>> try:
        ...     sinernn.train(config)
        ... except sinernn.TrainingDivergedError as error:
        ...     error.exit_code
        3
    """

    exit_code = 3
    run_status = "diverged"

    def __init__(self, message: str, *, update: int | None = None) -> None:
        super().__init__(message)
        self.update = update


class InterruptedRunError(SinernnError):
    """A signal stopped the training, after a checkpoint was saved.

    Example:
        >>> config = sinernn.load_config("tiny.yaml")
        >>> try:
        ...     summary = sinernn.train(config, figures=False)
        ... except sinernn.InterruptedRunError as error:
        ...     print(error)  # with the command that resumes the run
    """

    run_status = "interrupted"

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number  # the shell's convention: SIGINT 130, SIGTERM 143
