"""List runs: what each of them is, how it ended and how well it does, from two small files of each.

Nothing here reads weights or arrays: a thousand runs are listed in a second.
"""

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sinernn.display import duration_text, error_text, steps_text
from sinernn.errors import ConfigError, RunFileError, RunNotFoundError, UsageError, nearest
from sinernn.evaluation.parts import HorizonScore
from sinernn.evaluation.results import Scores
from sinernn.runs import Run
from sinernn.runs.directory import LATEST, is_run, open_run

SWEEP = "sweep.yaml"
"""File of a sweep: a folder that holds it is one, even if it keeps no runs."""


REPORT = "report.html"
"""Page of a run, or of a sweep, if it is given no other name."""


@dataclass(frozen=True)
class RunRow:
    """A run in a table of runs; a value that a run does not have is None.

    Example:
        >>> [row.status for row in sinernn.runs_table()]
        ['finished']
    """

    run: str
    """Path of the run directory."""

    name: str = ""
    """Name of its config."""

    changed: str = ""
    """Settings that were changed on the command line, as in `hidden_size=24, seed=3`."""

    cell: str | None = None
    units: str | None = None
    """Hidden units, as in `16`, or `2x16` of two layers."""

    seed: int | None = None
    status: str = "broken"
    """`running`, `finished`, `interrupted` (`resume` continues it), `diverged`, `failed` or
    `broken`."""

    part: str | None = None
    """Part of the series that it was evaluated on."""

    horizon: int | None = None
    """Steps of its free runs."""

    closed_loop_rmse: float | None = None
    """Error of the free run up to the horizon, median over the origins."""

    worst_rmse: float | None = None
    """The same, of the worst origin."""

    unit: str | None = None
    """Unit of these errors; empty if the series has none."""

    valid_steps: float | None = None
    """Valid time in steps, median over the origins."""

    outlasts_horizon: bool | None = None
    """Whether the valid time is at least the horizon."""

    valid_lyapunov_times: float | None = None
    """The same in Lyapunov times, of a chaotic series."""

    seconds: float | None = None
    """Training time."""

    started: str | None = None
    """Time in ISO 8601."""

    problem: str = ""
    """Why it is broken."""

    settings: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """Every setting by its dotted name."""

    ladder: Sequence[HorizonScore] = field(default=(), repr=False)
    """Errors of the free run at growing horizons."""

    def value(self, name: str) -> Any:
        """Return a column's or a setting's value; None if the run does not have it."""
        return getattr(self, name) if name in COLUMNS else self.settings.get(name)

    def columns(self) -> dict[str, Any]:
        """Return the values of all `COLUMNS`."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = tuple(each.name for each in fields(RunRow) if each.name not in ("settings", "ladder"))
"""Names of a row's values that are text or numbers."""

COLUMN_TEXTS: Mapping[str, Callable[[RunRow], str]] = {
    "changed": lambda row: row.changed,
    "cell": lambda row: row.cell or "",
    "units": lambda row: row.units or "",
    "seed": lambda row: "" if row.seed is None else str(row.seed),
    "status": lambda row: row.status,
    "RMSE": lambda row: "" if row.horizon is None else error_text(row.closed_loop_rmse),
    "horizon": lambda row: str(row.horizon or ""),
    "valid time": lambda row: steps_text(row.valid_steps, is_bound=bool(row.outlasts_horizon)),
    "took": lambda row: duration_text(row.seconds),
}
"""What tables of runs show, by heading, as text."""


def runs_table(
    runs: Sequence[Run | Path | str] = (),
    *,
    where: Sequence[str] = (),
    sort: str = "run",
    reverse: bool = False,
    runs_dir: Path | str = "runs",
) -> list[RunRow]:
    """Return a row for each run.

    Args:
        runs: See `find_runs`; default: all in `runs_dir`.
        where: Conditions `key=value` that all must hold; a key is one of `COLUMNS` or a setting.
        sort: One of `COLUMNS`, or a setting; runs that do not have it come last.
        reverse: Whether the largest come first.
        runs_dir: Folder of the run directories.

    Raises:
        ConfigError: A condition is not `key=value`, or names no setting.
        UsageError: There is no such run, or nothing to sort by of this name.

    Example:
        >>> [row.horizon for row in sinernn.runs_table(where=["model.cell=rnn_tanh"])]
        [60]
    """
    wanted = _conditions(where)
    _require_name(sort)
    found = find_runs(runs, runs_dir=runs_dir) if runs else runs_in(Path(runs_dir))
    rows = [read_row(run) for run in found]
    rows = [row for row in rows if all(row.value(key) == value for key, value in wanted.items())]
    known = [row for row in rows if row.value(sort) is not None]
    known.sort(key=lambda row: _sortable(row.value(sort)), reverse=reverse)
    return known + [row for row in rows if row.value(sort) is None]


def find_runs(words: Sequence[Run | Path | str], *, runs_dir: Path | str = "runs") -> list[Run]:
    """Find runs, each once and in the order given.

    Args:
        words: Runs: themselves, their folders, their names in `runs_dir` or `latest`; folders of
            runs, such as sweeps, and their names; patterns of any of these, as in `*-tiny-*`.
        runs_dir: Folder of the run directories.

    Raises:
        RunNotFoundError: One of them matches no run.
    """
    found = dict[Path, Run]()
    for folder in find_folders(words, runs_dir=runs_dir):
        for run in [Run(folder)] if is_run(folder) else runs_in(folder):
            found.setdefault(run.path.resolve(), run)
    return list(found.values())


def find_folders(
    words: Sequence[Run | Path | str], *, runs_dir: Path | str = "runs"
) -> Iterator[Path]:
    """Yield the run directories and folders of runs that words name; see `find_runs`."""
    for word in words:
        if isinstance(word, Run) or Path(word).name == LATEST:
            yield open_run(word, runs_dir=runs_dir).path
            continue
        for place in (str(word), str(runs_dir / Path(word))):
            is_pattern = glob.has_magic(place)
            paths = map(Path, sorted(glob.glob(place)) if is_pattern else [place])  # noqa: PTH207
            if found := [path for path in paths if path.name != LATEST and _holds_runs(path)]:
                yield from found
                break
        else:
            if not glob.has_magic(str(word)):
                open_run(word, runs_dir=runs_dir)  # raises an error that names the newest
            message = f"{word}: matches no run, neither here nor in {runs_dir}; see: sinernn runs"
            raise RunNotFoundError(message)


def find_removable(words: Sequence[str], *, runs_dir: Path | str = "runs") -> list[Run]:
    """Find runs and, after its runs, each sweep that is named as a whole; see `find_runs`."""
    found = dict[Path, Run]()
    for folder in find_folders(words, runs_dir=runs_dir):
        sweeps = [folder] if (folder / SWEEP).is_file() else []
        runs = [folder] if is_run(folder) else [run.path for run in runs_in(folder)]
        found |= {path.resolve(): Run(path) for path in [*runs, *sweeps]}
    return list(found.values())


def runs_in(folder: Path) -> list[Run]:
    """Return the runs of a folder by name, hence by time."""
    return [Run(path) for path in _folders_in(folder) if is_run(path)]


def sweeps_in(folder: Path) -> list[Path]:
    """Return the folders of runs in a folder of runs."""
    return [path for path in _folders_in(folder) if not is_run(path) and _holds_runs(path)]


def _holds_runs(path: Path) -> bool:
    """Whether a folder is a run, a sweep or a folder of runs."""
    return is_run(path) or (path / SWEEP).is_file() or any(map(is_run, _folders_in(path)))


def _folders_in(folder: Path) -> list[Path]:
    """Return what may be runs, sorted by name."""
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:  # not a folder, or one that cannot be read
        return []
    return sorted(path for path in paths if path.name != LATEST)


def read_row(run: Run) -> RunRow:
    """Read the row of a run; one whose files are missing or damaged is `broken`."""
    try:
        facts = run.read_facts()
        scores = run.read_scores() if (run.path / "evaluation.json").exists() else None
        settings = facts.settings or _settings_in_yaml(run)
    except (RunFileError, ConfigError) as error:
        return RunRow(str(run.path), problem=str(error))
    status, (name, *changed) = facts.status, facts.name.split(", ")
    if status == "running" or (status == "finished" and scores is None):
        status = "running" if run.is_held() else "interrupted"
    return RunRow(
        run=str(run.path),
        name=name,
        changed=", ".join(changed),
        cell=str(settings["model.cell"]) if "model.cell" in settings else None,
        units=_units(settings),
        seed=facts.seed,
        status=status,
        seconds=facts.seconds,
        started=facts.started,
        settings=settings,
        **({} if scores is None else _scores(scores)),
    )


def _settings_in_yaml(run: Run) -> dict[str, Any]:
    """Return the settings of a run whose run.json is of an older version."""
    from sinernn.config import load_config

    return load_config(run.config_path).flat()


def _units(settings: Mapping[str, Any]) -> str | None:
    layers, units = (settings.get(f"model.{name}") for name in ("num_layers", "hidden_size"))
    if units is None:
        return None
    return f"{units}" if layers == 1 else f"{layers}x{units}"


def _scores(scores: Scores) -> dict[str, Any]:
    valid, lyapunov, ladder = (
        scores.valid_time,
        scores.valid_lyapunov_times,
        scores.closed_loop_rmse,
    )
    last = ladder[-1] if ladder else HorizonScore()
    return {
        "part": scores.part,
        "horizon": last.horizon,
        "closed_loop_rmse": last.median,
        "worst_rmse": last.worst,
        "unit": scores.error_unit,
        "valid_steps": valid.steps.median if valid else None,
        "outlasts_horizon": scores.outlasts_horizon("median"),
        "valid_lyapunov_times": lyapunov.median if lyapunov else None,
        "ladder": ladder,
    }


def _conditions(texts: Sequence[str]) -> dict[str, Any]:
    """Return the values that rows must have, by column or setting."""
    if not texts:
        return {}
    from sinernn.config import load_config
    from sinernn.config.overrides import parse_overrides

    parsed = {".".join(map(str, each.path)): each for each in parse_overrides(texts)}
    found = {name: each.value for name, each in parsed.items() if name in COLUMNS}
    others = [each.places.top.source for name, each in parsed.items() if name not in COLUMNS]
    settings = load_config({}, others).flat()  # its types, and its messages
    for name in parsed.keys() - found.keys():
        if name not in settings:
            raise UsageError(f"{name}: is a section; name a setting in it, as in model.cell=gru")
        found[name] = settings[name]
    return found


def _require_name(name: str) -> None:
    if name in COLUMNS:
        return
    from sinernn.config import Config, setting_names

    known = list(setting_names(Config))
    if name not in known:
        longer = [each for each in (*COLUMNS, *known) if name in each]
        guess = next(iter(longer), None) or nearest(name, [*COLUMNS, *known])
        advice = f"did you mean {guess}?" if guess else f"use a setting or {', '.join(COLUMNS)}"
        raise UsageError(f"{name}: is neither a column nor a setting; {advice}")


def _sortable(value: Any) -> tuple[bool, Any]:
    """Return a key that orders numbers, then text."""
    is_number = isinstance(value, int | float)
    return (not is_number, value if is_number else str(value))
