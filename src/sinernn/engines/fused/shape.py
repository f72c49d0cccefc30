"""What a kernel is compiled for: a cell and a width."""

from dataclasses import dataclass

import numpy as np

from sinernn.model.cells import CELLS

PADDED_BYTES = 64  # rows are padded to this: the widest vector in use


def _step(columns: int) -> int:
    """Row step of a matrix: rows a power of two apart would crowd into a few cache sets."""
    return columns + (PADDED_BYTES // 4 if columns % 256 == 0 else 0)


@dataclass(frozen=True)
class Shape:
    """A cell and its width; each attribute is a constant in compiled code.

    Sizes that are not here (channels, layers, batch, steps) are plain numbers, so that one
    compiled kernel serves them all.
    """

    cell: str
    """Name in `CELLS`."""

    hidden: int
    """Hidden units, padded to whole vectors."""

    @classmethod
    def of(cls, cell: str, hidden_size: int, dtype: str) -> "Shape":
        """The shape that holds `hidden_size` units."""
        lanes = PADDED_BYTES // np.dtype(dtype).itemsize
        # a narrow network takes a narrow vector: the power of two above it, at least 4
        multiple = min(lanes, max(4, 1 << (hidden_size - 1).bit_length()))
        return cls(cell, -(-hidden_size // multiple) * multiple)

    @property
    def gates(self) -> int:
        """Columns of a weight matrix."""
        return CELLS[self.cell].gates * self.hidden

    @property
    def gates_step(self) -> int:
        """From one row of a weight matrix to the next."""
        return _step(self.gates)

    @property
    def hidden_step(self) -> int:
        """From one row of a transposed weight matrix to the next."""
        return _step(self.hidden)

    @property
    def slots(self) -> int:
        """Columns of a step's pre-activations."""
        return CELLS[self.cell].slots * self.hidden

    @property
    def recurrent(self) -> int:
        """First of the slots' columns that the recurrent weights feed."""
        return self.slots - self.gates

    @property
    def slopes(self) -> int:
        """Columns of a step's derivatives: of h and c, by every slot and by h and c."""
        return 2 * (self.slots + 2 * self.hidden)

    @property
    def states(self) -> int:
        """1 (h) or 2 (h and c)."""
        return CELLS[self.cell].states
