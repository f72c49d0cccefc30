"""Where the parts of a config were written: in a file's lines, or in an override."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sinernn.errors import KeyPath, Place


@dataclass
class Places:
    """Where the keys and values of a config were written; what is missing here is a default."""

    top: Place
    keys: dict[KeyPath, Place] = field(default_factory=dict[KeyPath, Place])
    values: dict[KeyPath, Place] = field(default_factory=dict[KeyPath, Place])

    def __eq__(self, other: object) -> bool:
        """Where a config was written is no part of what it says."""
        return isinstance(other, Places)

    def find(self, path: KeyPath, *, of_key: bool = False) -> Place:
        """Return where `path` stands; for a key that is not there, where its section stands."""
        first, second = (self.keys, self.values) if of_key else (self.values, self.keys)
        for end in range(len(path), 0, -1):
            for places in (first, second):
                if path[:end] in places:
                    return places[path[:end]]
            first, second = self.keys, self.values  # a section is named by its key
        return self.top

    def most_telling(self, paths: Sequence[KeyPath]) -> Place:
        """Return the place of the first override among `paths`, else of the first in the file."""
        written = [self.values[path] for path in paths if path in self.values]
        overrides = [place for place in written if place.line is None]
        return next(iter([*overrides, *written]), self.find(paths[0]))
