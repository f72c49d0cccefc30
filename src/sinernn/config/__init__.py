"""Reading a config, stage by stage; each stage tells all of its problems at once.

1. The file and the overrides as YAML.
2. Keys, types and bounds.
3. Settings against each other.

The fourth stage, settings against the data, is `preparation.prepare`'s.
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

__all__ = ["Config", "json_schema", "load_config", "setting_paths", "to_yaml", "validate"]

MAX_TOLD = 50  # problems; what has more is no config

ConfigT = TypeVar("ConfigT", bound=Config)


def load_config(
    path: Path | str, overrides: Sequence[str] = (), *, to_judge: bool = False
) -> Config:
    """Read a config file and lay `key=value` overrides over it.

    Args:
        path: YAML file.
        overrides: `key=value` texts.
        to_judge: It is to judge a network on, not to train one: what only training needs may
            contradict it.

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
    return validate(document, Config, to_judge=to_judge)


def validate(document: Document, kind: type[ConfigT], *, to_judge: bool = False) -> ConfigT:
    """Turn a document into a config of a kind.

    Raises:
        ConfigError: With every wrong key and value, or else every contradiction, and its place.
    """
    places = document.places
    try:
        config = kind.model_validate(document.tree)
    except ValidationError as error:
        # A list whose items are wrong is not empty, whatever pydantic makes of what is left.
        errors = [e for e in error.errors() if e["type"] != "too_short" or not e["input"]]
        raise _told([to_problem(e, places, kind) for e in errors[: MAX_TOLD + 1]]) from None
    config._places = places  # pyright: ignore[reportPrivateUsage]
    if problems := [
        config.problem(*found.settings, message=found.message)
        for found in find_contradictions(config, to_judge=to_judge)
    ]:
        raise _told(problems)
    return config


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
