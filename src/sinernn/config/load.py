"""Read configs, write them, and describe them as a JSON Schema.

Reading has two stages, each of which reports all of its problems at once: YAML and overrides, then
keys, types and bounds. Settings are compared with each other and with the data in `checks`, when
an experiment is prepared.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from sinernn.config.messages import to_error, to_problem
from sinernn.config.overrides import apply_overrides, parse_overrides
from sinernn.config.places import Document, Places
from sinernn.config.sections import ADDED, REMOVED, Config, Root
from sinernn.config.yaml import dump_yaml, read_yaml
from sinernn.data.files import ARRAYS, TEXT
from sinernn.errors import (
    MAX_PROBLEMS,
    ConfigError,
    KeyPath,
    Place,
    Problem,
    collect_problems,
    command_line,
    printable,
)
from sinernn.shipped import configs_folder

RootT = TypeVar("RootT", bound=Root)


def load_config(source: Path | str | Mapping[str, Any], overrides: Sequence[str] = ()) -> Config:
    """Read a config and apply `key=value` overrides to it.

    Args:
        source: YAML file, or a mapping such as `{"training": {"steps": 10}}`.
        overrides: `key=value` texts.

    Raises:
        ConfigError: With every problem of the text, or else of keys, types and bounds. `check`
            compares settings with each other.

    Example:
        >>> sinernn.load_config("tiny.yaml", ["training.steps=20"]).training.steps
        20
        >>> sinernn.load_config({"model": {"hidden_size": 8}}).model.hidden_size
        8
    """
    return validate(read_document(source, overrides), Config)


def read_document(
    source: Path | str | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    allow_sweep: bool = False,
) -> Document:
    """Read a config and apply overrides, without checking keys, types and bounds.

    Args:
        source: YAML file, or a mapping.
        overrides: `key=value` texts.
        allow_sweep: Whether it may be a sweep's file, which has the key `base`.

    Raises:
        ConfigError: With every problem of the text.
    """
    problems: list[Problem] = []
    with collect_problems(problems):
        document = _read(source)
        if "base" in document.tree and not allow_sweep:
            way_out = "use sinernn sweep"
            if not isinstance(source, Mapping):
                way_out = f"train its runs with: {command_line('sweep', Path(source))}"
            place = document.places.find(("base",), of_key=True)
            problems.append(Problem(place, ("base",), f"is a key of sweeps; {way_out}"))
    with collect_problems(problems):
        parsed = parse_overrides(overrides)
    if problems:
        raise to_error(problems)
    apply_overrides(document, parsed)
    locate_data(document, Path() if isinstance(source, Mapping) else Path(source).parent)
    return document


def validate(document: Document, kind: type[RootT]) -> RootT:
    """Turn a document into settings.

    Raises:
        ConfigError: With every wrong key and value, and its place.
    """
    places = document.places
    try:
        config = kind.model_validate(document.tree)
    except ValidationError as error:
        # Pydantic calls a list empty if none of its items is valid.
        errors = [e for e in error.errors() if e["type"] != "too_short" or not e["input"]]
        problems = [to_problem(e, places, kind) for e in errors[: MAX_PROBLEMS + 1]]
        raise to_error(problems) from None
    config._places = places  # pyright: ignore[reportPrivateUsage]
    return config


def to_yaml(config: Config, *, sources: bool = False) -> str:
    """Return the config as YAML text, with every default written out.

    Args:
        config: What to write.
        sources: Add a comment to each value: where it is set, or `default`.
    """

    def source(path: KeyPath) -> str:
        place = config.places.values.get(path)
        return "default" if place is None else str(place)

    return dump_yaml(config.model_dump(mode="json"), source if sources else None)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of configs, for editors."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **Config.model_json_schema(), "title": "sinernn config"}


def _read(source: Path | str | Mapping[str, Any]) -> Document:
    if isinstance(source, Mapping):
        places = Places(Place("config"))
        return Document(_plain(source, (), places), places)
    path = Path(source)
    if path.suffix.lower() in (*TEXT, *ARRAYS) and path.is_file():
        message = f"is a data file; write a config for it with: {command_line('init', path)}"
        raise ConfigError([Problem(Place(str(path)), (), message)])
    try:
        document = read_yaml(path)
    except ConfigError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            problem = Problem(Place(str(path)), (), f"no such file; {_way_out(path)}")
            raise ConfigError([problem]) from error
        raise
    document.tree.setdefault("name", printable(path.stem, 200))
    if path.name == "config.yaml" and path.with_name("run.json").exists():  # of a run directory
        for key_path in REMOVED:
            document.remove(key_path)
        for (section, key), value in ADDED.items():
            if isinstance(settings := document.tree.get(section), dict):
                cast("dict[str, Any]", settings).setdefault(key, value)
    return document


def locate_data(document: Document, folder: Path) -> None:
    """Make the path of a data file absolute: from the config's folder, or from here in an override.

    So it can be found from any folder.
    """
    signal = document.tree.get("signal")
    path = cast("dict[str, Any]", signal).get("path") if isinstance(signal, dict) else None
    if isinstance(path, str) and path:
        is_override = document.places.values[("signal", "path")].line is None
        located = Path() if is_override else folder
        cast("dict[str, Any]", signal)["path"] = os.path.abspath(located / path)  # noqa: PTH100


def _way_out(path: Path) -> str:
    """Return what to do about a config that is not there."""
    is_in_folder, here = path.parent.is_dir(), Path(f"{path.stem}.yaml")
    other = here
    if is_in_folder:
        other = path.with_suffix(".yml" if path.suffix == ".yaml" else ".yaml")
    if other.exists():
        return f"did you mean {other}?"
    if path.stem in shipped_configs():
        target = path if is_in_folder and path.suffix else here
        to = "" if target == here else f" --to {shlex.quote(str(target))}"
        use = "" if target == path else f"to use {target} instead, "
        return f"{use}write it with: sinernn init {path.stem}{to}"
    return "write one to start from with: sinernn init"


def shipped_configs() -> dict[str, Path]:
    """Return the shipped configs by name."""
    return {path.stem: path for path in sorted(configs_folder().glob("*.yaml"))}


def _plain(value: Any, path: KeyPath, places: Places) -> Any:
    """Return a copy made of dicts, lists and scalars, and record their places."""
    places.keys[path] = places.values[path] = places.top
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {key: _plain(inner, (*path, key), places) for key, inner in items}
    if isinstance(value, list | tuple):
        items = enumerate(cast("Sequence[Any]", value))
        return [_plain(inner, (*path, index), places) for index, inner in items]
    return value
