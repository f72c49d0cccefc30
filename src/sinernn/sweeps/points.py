"""The points of a sweep: combinations or draws of settings, each a config that is checked."""

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sinernn.config import Config, setting_names, validate
from sinernn.config.messages import to_error
from sinernn.config.overrides import Override, add_to_name, apply_overrides, short_names
from sinernn.config.places import Document, Places
from sinernn.errors import ConfigError, Place, Problem
from sinernn.preparation import with_stages
from sinernn.randomness import Purpose, stream
from sinernn.runs.files import safe_name
from sinernn.sweeps.parameters import Choice, Parameter, Range, drawn, text_of
from sinernn.sweeps.settings import Metric, SweepFile


@dataclass(frozen=True)
class Point:
    """Settings that are trained with every seed."""

    index: int
    label: str
    """What differs from other points, as in `hidden_size=8, length=49`."""

    name: str
    """Of its runs' folders, before the seed."""

    values: dict[str, Any]
    """Value of each parameter, by its dotted name; text of one that changes several settings."""

    overrides: tuple[Override, ...]

    def run_name(self, seed: int) -> str:
        """Return the name of the folder of a run."""
        return f"{self.name}-{seed}"


class Points:
    """Every point of a sweep; each is made when it is asked for, so that any number fits."""

    def __init__(self, sweep: SweepFile) -> None:
        self.sweep = sweep
        self._short = short_names(setting_names(Config))
        self.proposed: list[list[Choice]] = []
        """Choices of the points of method tpe, which follow from results."""

    @property
    def keys(self) -> list[str]:
        """Dotted names of the settings in which points differ."""
        return [each.key for each in self.sweep.parameters if not each.is_fixed]

    def short_name(self, key: str) -> str:
        """Return the last part of a setting's name, or all of it if others end like it."""
        return self._short.get(key, key)

    def __len__(self) -> int:
        settings = self.sweep.settings
        if settings.method == "grid":
            return math.prod(len(each.choices) for each in self.sweep.parameters)
        return settings.trials or 0

    def __getitem__(self, index: int) -> Point:
        if not 0 <= index < len(self):
            raise IndexError(index)
        method = self.sweep.settings.method
        if method == "tpe":
            choices = self.proposed[index]
        elif method == "grid":
            choices, rest = list[Choice](), index
            for each in reversed(self.sweep.parameters):  # the last varies fastest
                rest, at = divmod(rest, len(each.choices))
                choices = [each.choices[at], *choices]
        else:
            random = stream(self.sweep.settings.draw_seed, Purpose.SWEEP, index)
            choices = [_draw(each, random) for each in self.sweep.parameters]
        return self.point_of(index, choices)

    def __iter__(self) -> Iterator[Point]:
        is_tpe = self.sweep.settings.method == "tpe"
        return map(self.__getitem__, range(len(self.proposed) if is_tpe else len(self)))

    def point_of(self, index: int, choices: Sequence[Choice]) -> Point:
        """Return the point of a choice for each parameter."""
        differing = [
            (parameter, choice)
            for parameter, choice in zip(self.sweep.parameters, choices, strict=True)
            if not parameter.is_fixed
        ]
        label = ", ".join(
            choice.text if choice.is_mapping else f"{self.short_name(parameter.key)}={choice.text}"
            for parameter, choice in differing
        )
        label = label or self.sweep.settings.name
        is_grid = self.sweep.settings.method == "grid"
        return Point(
            index,
            label,
            safe_name(label) if is_grid else f"trial-{index}",
            {parameter.key: _value(parameter, choice) for parameter, choice in differing},
            tuple(each for choice in choices for each in choice.overrides),
        )

    def config(self, point: Point, seed: int) -> Config:
        """Return the config of a run.

        Raises:
            ConfigError: Keys, types or bounds are wrong.
        """
        base = self.sweep.base
        places = Places(base.places.top, dict(base.places.keys), dict(base.places.values))
        document = Document(copy.deepcopy(base.tree), places)
        place = Place(f"seed={seed}")
        of_seed = Override(("seed",), seed, Places(place, {("seed",): place}, {("seed",): place}))
        apply_overrides(document, [*point.overrides, of_seed])
        config = validate(document, Config)
        changed = [*point.overrides, *([] if self.sweep.settings.seeds is None else [of_seed])]
        texts = [f"{'.'.join(map(str, each.path))}={text_of(each.value)}" for each in changed]
        name = add_to_name(config.name, texts, self._short)
        return config.model_copy(update={"name": name})

    @cached_property
    def metric(self) -> Metric:
        """The metric of every point, on the training part if there is no validation part."""
        metric = self.sweep.settings.metric
        if metric.part is not None:
            return metric
        has_validation = True
        for point in self:
            try:
                has_validation = _room(self.config(point, self.sweep.seeds[0]), "validation") > 0
            except ConfigError:
                continue  # reported when points are checked
            break
        return metric.model_copy(update={"part": "validation" if has_validation else "train"})

    def find_invalid(self, points: Iterable[Point] | None = None) -> set[int]:
        """Check points.

        Args:
            points: Some points; default: all that are known.

        Returns:
            The points that cannot be trained, if the sweep leaves them out.

        Raises:
            ConfigError: With the problems of all points, if it does not; or if none is left.
        """
        found: dict[Problem, list[Point]] = {}
        invalid: set[int] = set()
        labels: dict[str, str] = {}
        for point in self if points is None else points:
            try:
                self._check(point)
                if (other := labels.setdefault(point.name, point.label)) != point.label:
                    message = f"{other} and {point.label} would have the same folder; rename one"
                    raise ConfigError([Problem(self.sweep.settings.places.top, (), message)])
            except ConfigError as error:
                invalid.add(point.index)
                for problem in error.problems:
                    found.setdefault(problem, []).append(point)
        if not invalid or (self.sweep.settings.skip_invalid and len(invalid) < len(self)):
            return invalid
        raise to_error([self._explained(problem, points) for problem, points in found.items()])

    def _check(self, point: Point) -> None:
        config = with_stages(self.config(point, self.sweep.seeds[0]))
        metric = self.metric
        part = metric.part or "validation"
        room = _room(config, part)
        if room > 0 and (metric.horizon is None or metric.horizon <= room):
            return
        places = self.sweep.settings.places
        if room <= 0:
            message = (
                f"the {part} part leaves no sample after evaluation.warmup "
                f"({config.evaluation.warmup}) to compare points on; increase split.validation, "
                "or set metric.part=train"
            )
            problem = Problem(places.find(("metric", "part")), ("metric", "part"), message)
        else:
            message = (
                f"the {part} part leaves {room} steps after evaluation.warmup "
                f"({config.evaluation.warmup}), got {metric.horizon}; use at most {room}"
            )
            path = ("metric", "horizon")
            problem = Problem(places.find(path), path, message)
        raise ConfigError([problem])

    def _explained(self, problem: Problem, points: Sequence[Point]) -> Problem:
        """Return a problem that names the points which have it, if others do not."""
        if len(points) == len(self):
            return problem
        where = f"in {points[0].label}"
        if len(points) > 1:
            where += f" and {len(points) - 1} more of {len(self)} points"
        return Problem(problem.place, problem.path, f"{problem.message} ({where})")


def _room(config: Config, part: str) -> int:
    """Return the longest forecast that fits into a part."""
    parts = config.split.parts(config.signal.extent().lengths).named(part)
    return max(map(len, parts)) - config.evaluation.warmup


def _value(parameter: Parameter, choice: Choice) -> Any:
    if [each.path for each in choice.overrides] == [parameter.path]:
        value = choice.overrides[0].value
        if not isinstance(value, list):
            return value
    return choice.text


def _draw(parameter: Parameter, random: np.random.Generator) -> Choice:
    if parameter.range is None:
        return parameter.choices[int(random.integers(len(parameter.choices)))]
    return drawn(parameter, between(parameter.range, float(random.random())))


def between(bounds: Range, share: float) -> float | int:
    """Return the value at a share, 0 to 1, of a range."""
    low, high = bounds.min, bounds.max
    if isinstance(low, int) and isinstance(high, int):
        high += 1  # each whole number has the same room
    if bounds.scale == "log":
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    return min(int(value), bounds.max) if isinstance(low, int) else value
