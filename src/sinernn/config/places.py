"""A config before validation: plain values, and where each of them was written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sinernn.errors import KeyPath, Place


@dataclass(slots=True)
class Places:
    """Where the keys and values of a config were written; anything missing here is a default."""

    top: Place
    keys: dict[KeyPath, Place] = field(default_factory=dict[KeyPath, Place])
    values: dict[KeyPath, Place] = field(default_factory=dict[KeyPath, Place])

    def __eq__(self, other: object) -> bool:
        """Always true, since equal configs may be written in different places."""
        return isinstance(other, Places)

    @property
    def overrides(self) -> list[str]:
        """The `key=value` texts that values were set by, in the order of the settings."""
        places = (place for place in self.values.values() if place.line is None)
        return list(dict.fromkeys(place.source for place in places if place != self.top))

    def find(self, path: KeyPath, *, of_key: bool = False) -> Place:
        """Return the place of `path`, or of the innermost section around it that has one."""
        first, second = (self.keys, self.values) if of_key else (self.values, self.keys)
        for end in range(len(path), 0, -1):
            for places in (first, second):
                if path[:end] in places:
                    return places[path[:end]]
            first, second = self.keys, self.values  # a section is shown at its key
        return self.top

    def find_first(self, paths: Sequence[KeyPath]) -> Place:
        """Return the place of the first override among `paths`, or of the first in the file."""
        written = [self.values[path] for path in paths if path in self.values]
        overrides = [place for place in written if place.line is None]
        return next(iter([*overrides, *written]), self.find(paths[0]))


@dataclass
class Document:
    """A tree of dicts, lists and scalars, and where they were written."""

    tree: dict[str, Any]
    places: Places

    def remove(self, path: KeyPath) -> None:
        """Remove the value at `path`, if there is one, and every place in it."""
        for places in (self.places.keys, self.places.values):
            for known in [known for known in places if known[: len(path)] == path]:
                del places[known]
        section: Any = self.tree
        for part in path[:-1]:
            inner = section.get(part)
            section = cast("dict[Any, Any]", inner) if isinstance(inner, dict) else {}
        section.pop(path[-1], None)
