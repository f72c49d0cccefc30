"""The compile-time constants of a kernel: cell and width."""

from dataclasses import dataclass

import numpy as np

from sinernn.model.cells import CELLS

PADDED_BYTES = 64  # rows are padded to a multiple of this: the widest vector in use


def _step(columns: int) -> int:
    """Return a matrix's row step: rows a power of two apart would compete for few cache sets."""
    return columns + (PADDED_BYTES // 4 if columns % 256 == 0 else 0)


@dataclass(frozen=True)
class Shape:
    """A cell and its width; each attribute is a constant in compiled code.

    Other sizes (channels, layers, batch, steps) are run-time values, so one compiled kernel
    supports all of them.
    """

    cell: str
    """Name in `CELLS`."""

    hidden: int
    """Hidden units, padded to whole vectors."""

    @classmethod
    def of(cls, cell: str, hidden_size: int, dtype: str) -> "Shape":
        """Return the shape for `hidden_size` units."""
        lanes = PADDED_BYTES // np.dtype(dtype).itemsize
        # A narrow network uses a narrow vector: `hidden_size` rounded up to a power of two, >= 4.
        multiple = min(lanes, max(4, 1 << (hidden_size - 1).bit_length()))
        return cls(cell, -(-hidden_size // multiple) * multiple)

    @property
    def gates(self) -> int:
        """Number of columns of a weight matrix."""
        return CELLS[self.cell].gates * self.hidden

    @property
    def gates_step(self) -> int:
        """Row step of a weight matrix."""
        return _step(self.gates)

    @property
    def hidden_step(self) -> int:
        """Row step of a transposed weight matrix."""
        return _step(self.hidden)

    @property
    def slots(self) -> int:
        """Number of columns of a step's pre-activations."""
        return CELLS[self.cell].slots * self.hidden

    @property
    def recurrent(self) -> int:
        """First slot column that the recurrent weights feed."""
        return self.slots - self.gates

    @property
    def slopes(self) -> int:
        """Columns of a step's derivatives: of h and c, with respect to every slot, h and c."""
        return 2 * (self.slots + 2 * self.hidden)

    @property
    def states(self) -> int:
        """Number of states: 1 (h) or 2 (h and c)."""
        return CELLS[self.cell].states
