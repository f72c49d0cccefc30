"""Read configs stage by stage; each stage reports all of its problems at once.

1. The file and the overrides as YAML.
2. Keys, types and bounds.

The third stage, settings against each other and against the data, runs when an experiment is
prepared, whoever made its config: see `check` and `preparation.prepare`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sinernn.config.contradictions import find_contradictions
from sinernn.config.messages import setting_paths, to_problem
from sinernn.config.sections import Config
from sinernn.errors import ConfigError, KeyPath, Problem, printable
from sinernn.overrides import apply_overrides, parse_overrides
from sinernn.yamlfile import Document, dump_yaml, read_yaml

__all__ = ["Config", "check", "json_schema", "load_config", "setting_paths", "to_yaml", "validate"]

MAX_TOLD = 50  # problems; what has more is no config

ConfigT = TypeVar("ConfigT", bound=Config)


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and apply `key=value` overrides to it.

    Args:
        path: YAML file.
        overrides: `key=value` texts.

    Raises:
        ConfigError: With every problem of the first stage that has any.
    """
    path = Path(path)
    problems: list[Problem] = []
    document = _collected(lambda: read_yaml(path), problems)
    parsed = _collected(lambda: parse_overrides(overrides), problems)
    if document is None or parsed is None:
        raise _told(problems)
    apply_overrides(document, parsed, replaces_section=frozenset({("signal", "kind")}))
    document.tree.setdefault("name", printable(path.stem, 200))
    return validate(document, Config)


def validate(document: Document, kind: type[ConfigT]) -> ConfigT:
    """Turn a document into a config of a kind.

    Raises:
        ConfigError: With every wrong key and value, and its place.
    """
    places = document.places
    try:
        config = kind.model_validate(document.tree)
    except ValidationError as error:
        # A list whose items are wrong is not empty, whatever pydantic makes of what is left.
        errors = [e for e in error.errors() if e["type"] != "too_short" or not e["input"]]
        raise _told([to_problem(e, places, kind) for e in errors[: MAX_TOLD + 1]]) from None
    config._places = places  # pyright: ignore[reportPrivateUsage]
    return config


def check(config: Config, *, training: bool = True) -> None:
    """Make sure that the settings go together.

    Args:
        config: From a file, or made by a program.
        training: Check what training needs, too; without it, only what evaluation needs.

    Raises:
        ConfigError: With every contradiction between settings, and its place.
    """
    if problems := [
        config.problem(*found.settings, message=found.message)
        for found in find_contradictions(config, to_judge=not training)
    ]:
        raise _told(problems)


def to_yaml(config: Config, *, sources: bool = False) -> str:
    """Return the config as YAML text, every setting written out.

    Args:
        config: What to write.
        sources: Put behind each value where it was written, or that it is a default.
    """

    def source(path: KeyPath) -> str:
        place = config.places.values.get(path)
        return "default" if place is None else str(place)

    return dump_yaml(config.model_dump(mode="json"), source if sources else None)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of configs, for editors."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **Config.model_json_schema(), "title": "sinernn config"}


def _told(problems: list[Problem]) -> ConfigError:
    """Return the error: a file's problems from its top to its bottom, then those of overrides."""

    def reading_order(problem: Problem) -> tuple[int, int, int]:
        place = problem.place
        return (place.line is None, place.line or 0, place.column or 0)

    told = sorted(problems, key=reading_order)[:MAX_TOLD]
    if len(problems) > MAX_TOLD:
        told.append(Problem(told[-1].place, (), "there is more; mend this first"))
    return ConfigError(told)


def _collected(read: Callable[[], Any], problems: list[Problem]) -> Any:
    try:
        return read()
    except ConfigError as error:
        problems += error.problems
        return None
