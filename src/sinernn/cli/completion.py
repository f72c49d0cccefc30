"""Shell completion of runs, config files, settings and their values, and of names in lists.

It runs at every press of a key, so it imports nothing heavy: settings are read from the JSON Schema
that is shipped with the configs, names of figures and export formats from the source.
"""

import ast
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sinernn.shipped import configs_folder

_CONFIGS = (".yaml", ".yml")
DATA_FILES = (".csv", ".dat", ".npy", ".npz", ".parquet", ".tsv", ".txt", ".wav")
"""Usual ends of the names of data files."""


def complete_run(ctx: Any, incomplete: str) -> list[str]:
    """Return the names of runs and sweeps in `--runs-dir`, newest first, or folders at a path."""
    if "/" in incomplete:
        return _paths(incomplete)
    runs_dir = Path(ctx.params.get("runs_dir") or "runs")
    names = sorted((path.name for path in _entries(runs_dir) if path.is_dir()), reverse=True)
    found = [name for name in names if name.startswith(incomplete)]
    return found or _paths(incomplete)


def complete_config(incomplete: str) -> list[str]:
    """Return the YAML files and folders at a path."""
    return _paths(incomplete, _CONFIGS)


def complete_setting(ctx: Any, incomplete: str) -> list[str]:
    """Return settings with an equals sign, and values after it.

    Bash takes the sign for a word of its own, so a key without one may be the word before.
    """
    words: list[str] = ctx.params.get("overrides") or ctx.params.get("where") or []
    before = [word for word in words[-2:] if word != "="]
    settings = known_settings()
    if before and before[-1] in settings:
        return [value for value in settings[before[-1]] if value.startswith(incomplete)]
    key, equals, _ = incomplete.partition("=")
    keys = [key] if equals else [each for each in settings if each.startswith(key)]
    if len(keys) > 1:
        return [f"{each}=" for each in keys]
    # Of one candidate the shell would complete it all, with a space after it.
    full = [f"{each}={value}" for each in keys for value in ("", *settings.get(each, ()))]
    return [text for text in full if text.startswith(incomplete)]


def complete_source(incomplete: str) -> list[str]:
    """Return the shipped configs that `init` copies, then data files and folders at a path."""
    names = sorted(path.stem for path in configs_folder().glob("*.yaml"))
    return complete_name(*names)(incomplete) + _paths(incomplete, DATA_FILES)


def complete_evaluation(ctx: Any, incomplete: str) -> list[str]:
    """Return the evaluations of a run, except its own, which needs no name."""
    runs_dir = ctx.params.get("runs_dir") or "runs"
    # Words before an option without its value are not assigned to arguments.
    word = (ctx.args or [ctx.params.get("run") or "latest"])[0]
    found = _entries(Path(runs_dir, word, "evaluations")) or _entries(Path(word, "evaluations"))
    return sorted(path.name for path in found if path.name.startswith(incomplete))


def complete_name(*names: str) -> Callable[[str], list[str]]:
    """Return a completion that offers names of a list."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def complete_registered(module: str, table: str) -> Callable[[str], list[str]]:
    """Return a completion that offers the keys of a dictionary.

    Args:
        module: Path of the module below `sinernn`, as in `plotting/__init__.py`. It is parsed, not
            imported, which would take too long.
        table: Name of the dictionary, which is written out in the module.
    """

    def complete(incomplete: str) -> list[str]:
        text = (Path(__file__).parents[1] / module).read_text(encoding="utf-8")
        tables = (
            node.value
            for node in ast.parse(text).body
            if isinstance(node, ast.AnnAssign)
            and ast.unparse(node.target) == table
            and isinstance(node.value, ast.Dict)
        )
        names = [ast.literal_eval(key) for each in tables for key in each.keys if key]
        return complete_name(*names)(incomplete)

    return complete


def _entries(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []


def _paths(incomplete: str, suffixes: tuple[str, ...] = ()) -> list[str]:
    """Return the folders, with a slash, and files at an incomplete path."""
    folder, _, beginning = incomplete.rpartition("/")
    at = f"{folder}/" if "/" in incomplete else ""
    return sorted(
        f"{at}{path.name}{'/' if path.is_dir() else ''}"
        for path in _entries(Path(at or "."))
        if path.name.startswith(beginning) and (path.is_dir() or path.suffix in suffixes)
    )


def known_settings() -> dict[str, list[str]]:
    """Return every setting by its dotted name, with the values to choose from and its default."""
    schema = json.loads((configs_folder() / "schema.json").read_text(encoding="utf-8"))
    found = defaultdict[str, list[str]](list)
    for name, value in _walk(schema, schema["$defs"], ""):
        text = value if isinstance(value, str) else json.dumps(value)
        found[name] += [text] if text and text not in found[name] else []
    return found


def _walk(
    node: dict[str, Any], definitions: dict[str, Any], name: str
) -> Iterator[tuple[str, Any]]:
    """Yield the settings in a part of the schema, each with its values; "" for none."""
    inner = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    if "$ref" in node:
        inner.append(definitions[node["$ref"].rpartition("/")[2]])
    for each in inner:
        yield from _walk(each, definitions, name)
    for key, each in node.get("properties", {}).items():
        yield from _walk(each, definitions, f"{name}.{key}".lstrip("."))
    if not inner and "properties" not in node:
        yield name, node.get("const", "")
        choices = {"boolean": (True, False), "null": (None,)}.get(node.get("type", ""), ())
        yield from ((name, choice) for choice in (*node.get("enum", ()), *choices))
    if isinstance(node.get("default"), str | int | float):
        yield name, node["default"]
