"""The settings of a sweep: from a file with the key `base`, or from the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from sinernn.config import Config, setting_names, validate
from sinernn.config.load import read_document
from sinernn.config.messages import to_error
from sinernn.config.overrides import (
    MAX_NAME,
    Override,
    add_to_name,
    apply_overrides,
    parse_overrides,
    split_values,
)
from sinernn.config.places import Document, Places
from sinernn.config.sections import Root
from sinernn.config.yaml import describe, dump_yaml
from sinernn.errors import ConfigError, Place, Problem, UsageError, collect_problems
from sinernn.evaluation.metrics import counted
from sinernn.runs.listing import SWEEP
from sinernn.schema import Section, Whole
from sinernn.sweeps.parameters import Parameter, is_range, plain_values, read_parameters, text_of

BASE = "base.yaml"
"""The config that a sweep varies, in the sweep's folder."""

MOVED = "signal.path"
"""Setting that changes no result: where a data file is."""

MAX_SEEDS = 1_000_000


def _check_seeds(value: Any) -> Any:
    """Check a number of seeds, or a list of them."""
    if value is None or (type(value) is int and 1 <= value <= MAX_SEEDS):
        return value
    seeds = cast("list[Any]", value if isinstance(value, list) else [])
    is_seeds = all(type(seed) is int and 0 <= seed < 2**63 for seed in seeds)
    if seeds and is_seeds and len(set(seeds)) == len(seeds):
        return seeds
    message = "must be a number of seeds, 1 to {most}, or a list of different seeds from 0"
    raise PydanticCustomError("seeds", message, {"most": MAX_SEEDS})


class Metric(Section):
    """The score by which points are compared, never that of the test part."""

    name: Literal["closed_loop_rmse", "open_loop_rmse", "valid_time"] = "closed_loop_rmse"
    """closed_loop_rmse and valid_time: median over the forecasts; open_loop_rmse: one step
    ahead."""

    part: Literal["validation", "train"] | None = None
    """Part of the series; null: validation, or train if that is empty."""

    horizon: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Steps that a forecast runs; null: evaluation.horizon, or as many as fit into the part."""

    goal: Literal["minimize", "maximize"] | None = None
    """null: minimize an error, maximize a valid time."""

    @property
    def sign(self) -> int:
        """1 if less is better, -1 if more is."""
        goal = self.goal or ("maximize" if self.name == "valid_time" else "minimize")
        return 1 if goal == "minimize" else -1

    @property
    def words(self) -> str:
        """The score in words, with its part and unit."""
        names = {
            "closed_loop_rmse": "closed-loop RMSE",
            "open_loop_rmse": "one-step RMSE",
            "valid_time": "valid time in steps",
        }
        horizon = ""
        if self.horizon is not None and self.name == "closed_loop_rmse":
            horizon = f" over {counted(self.horizon)}"
        part = {"validation": "validation", "train": "training"}[self.part or "validation"]
        return f"{names[self.name]}{horizon} ({part} part)"

    @property
    def label(self) -> str:
        """Name of the score, with its part."""
        return f"{self.part or 'validation'}_{self.name}"


class Sweep(Root):
    """A sweep: which settings of a base config vary, and with which seeds each point is trained."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] = "sweep"
    """Name of the sweep's folder; default: the file's stem."""

    base: str = ""
    """Config that is varied; a path from the folder of the sweep's file."""

    method: Literal["grid", "random", "tpe"] = "grid"
    """grid: every combination; random: `trials` draws; tpe: draws that follow from the results of
    earlier ones, with the package optuna."""

    parameters: dict[str, Any] = Field(default={})
    """Values of each setting, by its dotted name: a list, or a range `{min: 1, max: 9}`."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Number of draws of random and tpe."""

    batch: Annotated[int, Field(ge=1, le=1000)] = 8
    """Points that tpe draws at once, from the results of all batches before."""

    prune: bool = False
    """Whether tpe stops training further seeds of a point that is worse than half of the others."""

    draw_seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of the draws, which are functions of it and the trial; it is none of a training."""

    seeds: Annotated[Any, BeforeValidator(_check_seeds)] = None
    """Each point is trained with every one: 0 to n - 1, or a list; null: the config's own."""

    metric: Metric = Metric()
    keep: Literal["all", "best", "scores"] = "all"
    """Runs that keep their networks: all, the best seed of each point, or none."""

    skip_invalid: bool = False
    """Leave out points whose settings contradict each other, instead of refusing the sweep."""


@dataclass(frozen=True)
class SweepFile:
    """A sweep as it was read: its settings, its parameters, and the config that they vary."""

    settings: Sweep
    parameters: tuple[Parameter, ...]
    base: Document

    @property
    def seeds(self) -> Sequence[int]:
        """Seeds of each point."""
        given = self.settings.seeds
        if given is None:
            own = self.base.tree.get("seed", 0)
            return (own,)
        return range(given) if isinstance(given, int) else given

    def files(self) -> dict[str, bytes]:
        """Return the files that the same sweep is read from again, wherever they are."""
        tree = self.settings.model_dump(mode="json", exclude={"parameters"}, exclude_none=True)
        tree = {
            name: value
            for name, value in tree.items()
            if name not in _foreign(self.settings.method)
        }
        tree["metric"] = self.settings.metric.model_dump(exclude_none=True)
        tree |= {
            "base": BASE,
            "parameters": {each.key: plain_values(each) for each in self.parameters},
        }
        note = "# Resolved: the same sweep of the config next to it.\n"
        base = "# The config that the sweep varies.\n" + dump_yaml(self.base.tree)
        return {SWEEP: (note + dump_yaml(tree)).encode(), BASE: base.encode()}


def read_sweep(
    source: Path | str | Mapping[str, Any] | Config, overrides: Sequence[str] = ()
) -> SweepFile:
    """Read a sweep.

    Args:
        source: A sweep's file or mapping, with the key `base`; or a config, of which `overrides`
            vary settings.
        overrides: `key=value` texts: of the sweep itself, as in `seeds=20`; of the config, where
            several values, as in `model.hidden_size=8,16`, are a parameter.

    Raises:
        ConfigError: With every problem of the text, or else of keys, types and bounds, and its
            place.
    """
    if isinstance(source, Config):
        source = source.model_dump(mode="json", exclude_unset=True)
    problems: list[Problem] = []
    own, fixed, varied = list[str](), list[str](), list[list[Override]]()
    for text in overrides:
        key, _, value = text.partition("=")
        values = split_values(value)
        with collect_problems(problems):
            if key.strip() == "seeds" and len(values) > 1:
                own.append(f"seeds=[{value}]")
            elif key.strip() == "base":
                message = "is set in a sweep's file only; to vary another config, name it instead"
                raise ConfigError([Problem(Place(text), ("base",), message)])
            elif key.strip().split(".")[0] in Sweep.model_fields:
                own.append(text)
            elif len(values) > 1 or is_range(text):
                varied.append([parse_overrides([f"{key}={each}"])[0] for each in values])
            else:
                fixed.append(text)
    document = Document({}, Places(Place("sweep")))
    with collect_problems(problems):
        document = read_document(source, allow_sweep=True)
    if problems:
        raise to_error(problems)
    folder = Path() if isinstance(source, Mapping) else Path(source).parent
    base: Any = source
    if "base" in document.tree:
        base, place = document.tree["base"], document.places.find(("base",))
        if isinstance(base, str):
            base = folder / base
        elif not isinstance(base, dict):
            message = f"must be the path of a config, got {describe(base)}"
            raise ConfigError([Problem(place, ("base",), message)])
    else:
        document = Document({"name": document.tree.get("name", "run")}, Places(document.places.top))
    apply_overrides(document, parse_overrides(own))
    if not isinstance(document.tree.get("base", ""), str):
        document.tree["base"] = ""  # a mapping, as a program may pass
    settings = validate(document, Sweep)
    with collect_problems(problems):
        parameters = read_parameters(settings.parameters, settings.places, varied, fixed, folder)
    with collect_problems(problems):
        config = read_document(cast("Path | dict[str, Any]", base), fixed, allow_sweep=True)
        if "base" in config.tree:
            message = "must be a config, not a sweep; name the config that the sweep varies"
            raise ConfigError([Problem(document.places.find(("base",)), ("base",), message)])
        config.tree["name"] = add_to_name(
            str(config.tree.get("name", "run")), fixed, setting_names(Config)
        )
    if problems:
        raise to_error(problems)
    settings, parameters = _without_seed(settings, parameters, config)
    _check_method(settings, parameters)
    return SweepFile(settings, parameters, config)


def _without_seed(
    settings: Sweep, parameters: tuple[Parameter, ...], base: Document
) -> tuple[Sweep, tuple[Parameter, ...]]:
    """Return the settings with the values of a parameter `seed` as their seeds.

    Raises:
        ConfigError: There are seeds already.
    """
    fixed = base.places.values.get(("seed",))
    if settings.seeds is not None and fixed is not None and str(fixed).startswith("seed="):
        message = f"is given beside seeds ({text_of(settings.seeds)}); keep one"
        raise ConfigError([Problem(fixed, ("seed",), message)])
    found = next((each for each in parameters if each.path == ("seed",)), None)
    if found is None:
        return settings, parameters
    if settings.seeds is not None:
        message = f"is given beside seeds ({text_of(settings.seeds)}); keep one"
        raise ConfigError([Problem(found.place, ("seed",), message)])
    if found.range is not None:
        raise ConfigError([Problem(found.place, ("seed",), "is not drawn; use seeds, as in 20")])
    tree = {"seeds": [choice.overrides[0].value for choice in found.choices]}
    seeds = validate(Document(tree, Places(found.place)), Sweep).seeds
    rest = tuple(each for each in parameters if each is not found)
    return settings.model_copy(update={"seeds": seeds}), rest


def _foreign(method: str) -> set[str]:
    """Return the settings that have no effect with a method."""
    return {"grid": {"batch", "prune", "draw_seed"}, "random": {"batch", "prune"}}.get(
        method, set()
    )


def _check_method(settings: Sweep, parameters: Sequence[Parameter]) -> None:
    """Check that the method can vary the parameters.

    Raises:
        ConfigError: It cannot.
    """
    problems: list[Problem] = []
    places = settings.places
    for name in sorted(settings.model_fields_set & _foreign(settings.method)):
        message = f"has no effect with method {settings.method}; remove it"
        problems.append(Problem(places.find((name,)), (name,), message))
    if settings.metric.name == "open_loop_rmse" and settings.metric.horizon is not None:
        path = ("metric", "horizon")
        message = "has no effect on open_loop_rmse, one step ahead; remove it"
        problems.append(Problem(places.find(path), path, message))
    if settings.method == "grid":
        for each in parameters:
            if each.range is not None:
                low, high = each.range.min, each.range.max
                message = (
                    f"a range ({low:g} to {high:g}) has no values for a grid; list some, as in "
                    f"[{low:g}, {high:g}], or set method=random and trials=20"
                )
                problems.append(Problem(each.place, each.path, message))
        if settings.trials is not None:
            message = "belongs to random and tpe; remove it, since a grid has all combinations"
            problems.append(Problem(places.find(("trials",)), ("trials",), message))
    else:
        if settings.trials is None:
            message = f"is required by method {settings.method}, as in trials=20"
            problems.append(Problem(places.find(("method",)), ("trials",), message))
        if not parameters:
            message = "must name a setting to draw, as in model.hidden_size: [8, 16]"
            problems.append(Problem(places.find(("method",)), ("parameters",), message))
    if problems:
        raise to_error(problems)


def require_same(path: Path, before: SweepFile, now: SweepFile, overrides: Sequence[str]) -> None:
    """Check that overrides only add runs.

    Raises:
        UsageError: They do not.
    """
    free = ("seeds", "trials", MOVED)
    wrong = [text for text in overrides if text.partition("=")[0].strip() not in free]
    if wrong:
        message = f"{' '.join(wrong)}: would make {path} a different sweep"
        way_out = "only seeds=N and trials=N add to it, and signal.path=FILE names its data file"
        raise UsageError(f"{message}; {way_out}")
    if before.settings.method == "tpe" and list(before.seeds) != list(now.seeds):
        message = "its points follow from the results over all seeds, which cannot be changed"
        raise UsageError(f"{path}: {message}; add trials=N")
    if missing := set(before.seeds) - set(now.seeds):
        some = ", ".join(map(str, sorted(missing)[:3]))
        raise UsageError(f"{path}: has runs of seeds that seeds would leave out, as {some}")
    if (now.settings.trials or 0) < (before.settings.trials or 0):
        raise UsageError(f"{path}: trials is already {before.settings.trials}, more than requested")
