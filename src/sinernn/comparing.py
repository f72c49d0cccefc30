"""Compare runs: the settings that differ, and the errors of free runs at growing horizons."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import median
from typing import Any, cast

from sinernn.config.overrides import short_names
from sinernn.display import Table, as_html, as_text, error_text, steps_text
from sinernn.errors import UsageError, printable
from sinernn.evaluation.metrics import counted, finite
from sinernn.evaluation.parts import HorizonScore
from sinernn.runs import Run
from sinernn.runs.listing import RunRow, find_runs, read_row

_WITHOUT_EFFECT = ("name", "limits.memory_gb")
"""Settings that change no result."""

_EVALUATED_ON = (
    "signal.", "split.", "evaluation.part", "evaluation.warmup", "evaluation.origins",
    "evaluation.initial_state",
)  # fmt: skip
"""How settings begin that set what a network is evaluated on."""

_MOST_COLUMNS = 8
"""Lines of a comparison that are columns of its table, at most; of more, each is a row."""

_MAX_LABEL = 60  # characters
_MAX_NOTES = 10  # on runs without scores


@dataclass(frozen=True)
class ComparedRuns:
    """One line of a comparison: a run, or several that differ in their seed alone.

    Example:
        >>> config = sinernn.load_config("tiny.yaml", ["seed=1"])
        >>> run = sinernn.train(config, figures=False).run
        >>> [len(line.runs) for line in sinernn.compare_runs(["*-tiny*"], each=True).lines]
        [1, 1]
    """

    label: str
    """The settings that differ, as in `hidden_size=8, cell=gru`, or the name of its first run."""

    runs: tuple[str, ...]
    """Paths of the run directories."""

    scored: int
    """How many of them have scores; the others diverged, failed or are not finished."""

    settings: Mapping[str, Any]
    """Those that differ between lines, by their dotted names; without those that it lacks."""

    closed_loop_rmse: tuple[HorizonScore, ...]
    """At the horizons that all scored runs have: the median of the runs' medians, and the worst
    origin of all; None if that diverged."""

    valid_steps: float | None
    """Valid time in steps, median of the runs' medians."""


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Example:
        >>> config = sinernn.load_config("tiny.yaml", ["seed=1"])
        >>> run = sinernn.train(config, figures=False).run
        >>> sinernn.compare_runs(["*-tiny*"]).horizons[-1]
        60
    """

    lines: tuple[ComparedRuns, ...]

    differing: tuple[str, ...]
    """Dotted names of the settings that differ."""

    unit: str
    """Unit of the errors; empty if the series have none, or several."""

    notes: tuple[str, ...]
    """What to know when reading it."""

    @property
    def title(self) -> str:
        """How many runs are compared, and what differs."""
        count = sum(len(line.runs) for line in self.lines)
        names = ", ".join(short_names(self.differing).values())
        lines = "" if count == len(self.lines) else f" in {counted(len(self.lines), 'line')}"
        return f"{count} runs{lines}" + (f" that differ in {names}" if names else "")

    def report(self) -> dict[str, Any]:
        """Return the comparison as JSON-compatible values."""
        errors = [[each.model_dump() for each in line.closed_loop_rmse] for line in self.lines]
        lines = [
            {**vars(line), "closed_loop_rmse": rows}
            for line, rows in zip(self.lines, errors, strict=True)
        ]
        return {**vars(self), "lines": lines}

    def columns(self) -> dict[str, list[Any]]:
        """Return the columns of a table with a row for each line and horizon."""
        rows = [
            {
                "line": number,
                "label": line.label,
                "runs": len(line.runs),
                "scored": line.scored,
                **{name: value_text(line.settings.get(name, "")) for name in self.differing},
                "horizon": each.horizon,
                "closed_loop_rmse": each.median,
                "worst_rmse": each.worst,
            }
            for number, line in enumerate(self.lines, start=1)
            for each in line.closed_loop_rmse
        ]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def cells(self) -> dict[str, list[str]]:
        """Return a list of the lines' values, as texts, for each setting and score."""
        cells = {"": [str(number) for number in range(1, len(self.lines) + 1)]}
        for name, short in short_names(self.differing).items():
            cells[short] = [
                value_text(line.settings[name]) if name in line.settings else ""
                for line in self.lines
            ]
        ladders = [{each.horizon: each for each in line.closed_loop_rmse} for line in self.lines]
        for horizon in self.horizons:
            cells[counted(horizon)] = [
                error_text(ladder[horizon].median) if horizon in ladder else ""
                for ladder in ladders
            ]
        worst = [error_text(ladder[max(ladder)].worst) if ladder else "" for ladder in ladders]
        cells["worst origin"] = worst
        cells["valid time"] = [
            steps_text(line.valid_steps, is_bound=(line.valid_steps or 0) >= max(ladder, default=0))
            for line, ladder in zip(self.lines, ladders, strict=True)
        ]
        return cells

    @property
    def caption(self) -> str:
        """What the errors in `cells` are."""
        unit = self.unit or "signal units"
        return f"RMSE of free runs up to a horizon, median of the origins, in {unit}"

    def describe(self, width: int | None = None) -> Iterator[str | Table]:
        """Yield which runs are compared, settings and scores side by side, and remarks.

        Args:
            width: Characters of a line, for tables of several lines; default: no limit.
        """
        yield self.title
        cells, runs = self.cells(), [_names(line) for line in self.lines]
        if len(runs) > _MOST_COLUMNS:
            yield Table({**cells, "runs": runs}, left=("runs",))
        else:
            yield from map("{}: {}".format, cells[""], runs)
            yield ""
            yield from _transposed(cells, width or 1000)
        yield self.caption
        for note in self.notes:
            yield f"note: {note}"

    def __str__(self) -> str:
        """Return what `compare` prints."""
        return as_text(self.describe())

    def _repr_html_(self) -> str:
        return as_html(self.describe())

    @property
    def horizons(self) -> list[int]:
        """All horizons at which a line has an error."""
        return sorted({each.horizon for line in self.lines for each in line.closed_loop_rmse})


def _names(line: ComparedRuns) -> str:
    first = printable(line.runs[0], 300)
    if len(line.runs) == 1:
        return first
    failed = len(line.runs) - line.scored
    without = f", {failed} of them without scores" if failed else ""
    return f"{len(line.runs)} runs, as {first}{without}"


def _transposed(cells: Mapping[str, Sequence[str]], width: int) -> Iterator[Table]:
    """Yield a column for each line, in as many tables as they need to fit the width."""
    names, *columns = zip(*([name, *cells[name]] for name in cells), strict=True)
    widest = 2 + max(len(text) for column in columns for text in column)
    count = max(1, (width - max(map(len, names))) // widest)
    for first in range(0, len(columns), count):
        parts = (names, *columns[first : first + count])
        yield Table({heading: rest for heading, *rest in parts}, left=("",))


def compare_runs(
    runs: Sequence[Run | Path | str], *, each: bool = False, runs_dir: Path | str = "runs"
) -> Comparison:
    """Compare runs by the scores in their directories; nothing is computed again.

    Runs that differ in their seed alone are one line, unless all do.

    Args:
        runs: Two or more; see `find_runs`.
        each: Whether every run is a line of its own.
        runs_dir: Folder of the run directories.

    Raises:
        UsageError: There is no such run, or fewer than two; or none has scores.

    Example:
        >>> config = sinernn.load_config("tiny.yaml", ["model.hidden_size=2"])
        >>> smaller = sinernn.train(config, figures=False).run
        >>> comparison = sinernn.compare_runs(["*-tiny*"])
        >>> [line.settings["model.hidden_size"] for line in comparison.lines]
        [4, 2]
    """
    return compare_rows([read_row(run) for run in find_runs(runs, runs_dir=runs_dir)], each=each)


def compare_rows(rows: Sequence[RunRow], *, each: bool = False) -> Comparison:
    """Compare runs whose rows have been read: see `compare_runs`."""
    if len(rows) < 2:
        raise UsageError(f"a comparison needs two runs or more, got {len(rows)}")
    known = [row for row in rows if row.status != "broken"]
    if not any(row.ladder for row in known):
        states = Counter(printable(row.status, 20) for row in rows)
        found = ", ".join(f"{count} {status}" for status, count in states.items())
        raise UsageError(f"no run has scores to compare ({found}); see: sinernn runs")
    settings = _comparable([row.settings for row in known])
    points = [{**one, "seed": None} for one in settings]
    keys = [json.dumps(point, sort_keys=True) for point in points]
    if each or len(set(keys)) == 1:
        keys, points = [str(number) for number in range(len(known))], settings
    groups = dict[str, list[int]]()
    for number, key in enumerate(keys):
        groups.setdefault(key, []).append(number)
    shown = [points[group[0]] for group in groups.values()]
    differing = _differing(shown)
    members = [[known[number] for number in group] for group in groups.values()]
    labels = _labels(members, shown, differing)
    units = {row.unit or "" for row in known if row.ladder}
    return Comparison(
        lines=tuple(
            _line(label, rows_of, {name: point[name] for name in differing if name in point})
            for label, rows_of, point in zip(labels, members, shown, strict=True)
        ),
        differing=tuple(differing),
        unit=units.pop() if len(units) == 1 else "",
        notes=tuple(_notes(rows, differing)),
    )


def _comparable(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return settings that can be compared one by one, those of items of lists, too.

    A section that is null in one run is `set` in another.
    """
    found = [dict(_each_setting(settings)) for settings in runs]
    nulls = {name for settings in found for name, value in settings.items() if value is None}
    for settings in found:
        for name in nulls - settings.keys():
            if any(key.startswith(f"{name}.") for key in settings):
                settings[name] = "set"
    return found


def _each_setting(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        items = cast("list[Any]", value) if isinstance(value, list) else []
        if items and all(isinstance(item, dict) for item in items):
            yield name, counted(len(items), "item")
            for number, item in enumerate(cast("list[dict[str, Any]]", items)):
                yield from ((f"{name}.{number}.{key}", inner) for key, inner in item.items())
        elif name not in _WITHOUT_EFFECT:
            yield name, value


def _differing(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the settings that have several values, among the points that have the setting."""
    names = dict.fromkeys(name for point in points for name in point)
    return [
        name
        for name in names
        if len({json.dumps(point[name], sort_keys=True) for point in points if name in point}) > 1
    ]


def value_text(value: Any) -> str:
    """Return a setting's value as tables and figures show it: short."""
    return printable(value if isinstance(value, str) else json.dumps(value), 24)


def _labels(
    members: Sequence[Sequence[RunRow]],
    points: Sequence[Mapping[str, Any]],
    differing: Sequence[str],
) -> list[str]:
    """Return what differs in each line, where it is short; otherwise the names of the runs."""
    short, labels = short_names(differing), list[str]()
    for point in points:
        parts = (f"{short[name]}={value_text(point[name])}" for name in differing if name in point)
        labels.append(", ".join(parts))
    if max(map(len, labels)) > _MAX_LABEL or len(set(labels)) < len(labels):
        labels = [printable(Path(rows[0].run).name, _MAX_LABEL) for rows in members]
    return labels


def _line(label: str, rows: Sequence[RunRow], settings: Mapping[str, Any]) -> ComparedRuns:
    """Take the scores of runs together."""
    scored = [row for row in rows if row.ladder]
    ladders = [{each.horizon: each for each in row.ladder} for row in scored]
    errors = list[HorizonScore]()
    for horizon in ladders[0] if ladders else ():
        if all(horizon in ladder for ladder in ladders):
            at = [ladder[horizon] for ladder in ladders]
            middle = median(inf if each.median is None else each.median for each in at)
            worst = max(inf if each.worst is None else each.worst for each in at)
            errors.append(HorizonScore(horizon=horizon, median=finite(middle), worst=finite(worst)))
    valid = [row.valid_steps for row in scored if row.valid_steps is not None]
    return ComparedRuns(
        label=label,
        runs=tuple(row.run for row in rows),
        scored=len(scored),
        settings=settings,
        closed_loop_rmse=tuple(errors),
        valid_steps=float(median(valid)) if valid else None,
    )


def _notes(rows: Sequence[RunRow], differing: Sequence[str]) -> Iterator[str]:
    without = [row for row in rows if not row.ladder]
    for row in without[:_MAX_NOTES]:
        yield row.problem or f"{row.run}: has no scores, its status is {row.status}"
    if len(without) > _MAX_NOTES:
        yield f"{len(without) - _MAX_NOTES} more runs have no scores; see: sinernn runs"
    if data := [name for name in differing if name.startswith(_EVALUATED_ON)]:
        yield f"the runs are evaluated on different data ({', '.join(data)}): compare with care"
    units = {row.unit or "none" for row in rows if row.ladder}
    if len(units) > 1:
        yield f"their errors are in different units: {', '.join(sorted(units))}"
