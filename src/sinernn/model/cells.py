# pyright: basic
# Formulas take numpy arrays, torch tensors or LLVM vectors, which have no common type.
"""One definition of each cell: one step of one hidden unit, and its derivative.

The fused engine, refinement and the linearization of a trained network use this definition; so does
the torch engine for a cell that PyTorch lacks. A new cell is a subclass of `Cell` and a line in
`CELLS`.

The pre-activations of a step are stored in *slots*, one for each separate sum of a hidden unit. The
input weights feed the first `gates` slots, the recurrent weights feed the last `gates`:

    cell        slots        input weights feed   recurrent weights feed
    rnn_*       a            a                    a
    lstm        i f g o      all                  all
    gru         m r z k      m r z                r z k

(The GRU multiplies k, the recurrent part of its candidate, by r before adding it to m.)

Source: the equations in the documentation of torch.nn.RNN, torch.nn.LSTM and torch.nn.GRU.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sinernn.model.functions import relu, sigmoid, tanh, where_positive


class Cell:
    """One kind of cell: a step of one unit, forward and backward, element by element."""

    slots: ClassVar[int] = 1
    """Number of separate sums of each hidden unit."""

    input_order: ClassVar[tuple[int, ...]] = (0,)
    """For each slot that the input weights feed, the index of torch's gate."""

    hidden_order: ClassVar[tuple[int, ...]] = (0,)
    """The same for the last slots and the recurrent weights."""

    states: ClassVar[int] = 1
    """Number of states: 1 (h) or 2 (h and c)."""

    @property
    def gates(self) -> int:
        """Number of blocks of H rows that torch stacks in a weight matrix."""
        return len(self.input_order)

    @staticmethod
    def forward(slots: Any, h: Any, c: Any) -> Any:
        """Take one step.

        Args:
            slots: Pre-activations.
            h: State before the step.
            c: The same; ignored by a cell without c.

        Returns:
            (slots that `backward` needs, or () for none; h after the step; c after the step).
        """
        raise NotImplementedError

    @staticmethod
    def backward(slots: Any, h: Any, after: Any, c: Any, c_after: Any, dh: Any, dc: Any) -> Any:
        """Propagate gradients through one step; linear in (dh, dc).

        Args:
            slots: The slots that `forward` returned.
            h: h before the step.
            after: h after the step.
            c: c before the step.
            c_after: c after the step.
            dh: Gradient with respect to `after`.
            dc: Gradient with respect to `c_after`.

        Returns:
            (gradients of the slots; of h, without the part through the recurrent weights; of c).
        """
        raise NotImplementedError

    def slopes(
        self, slots: Any, h: Any, after: Any, c: Any, c_after: Any, one: Any, zero: Any
    ) -> list[tuple[Any, ...]]:
        """Return the derivatives of the new h and c by every slot, and by h and c before the step.

        They are used to propagate gradients backward and small changes forward. See `backward` for
        the arguments; `one` and `zero` have the type of the states.
        """
        both = [
            self.backward(slots, h, after, c, c_after, *by) for by in ((one, zero), (zero, one))
        ]
        return [(*by_slots, by_h, by_c) for by_slots, by_h, by_c in both]


class Tanh(Cell):
    """An Elman network with tanh units."""

    @staticmethod
    def forward(slots, h, c):
        """See `Cell.forward`."""
        after = tanh(slots[0])
        return (), after, c

    @staticmethod
    def backward(slots, h, after, c, c_after, dh, dc):
        """See `Cell.backward`."""
        # tanh' = 1 - h*h, so the stored state saves a second tanh
        return (dh * (1.0 - after * after),), 0.0, dc


class Relu(Cell):
    """An Elman network with rectified linear units."""

    @staticmethod
    def forward(slots, h, c):
        """See `Cell.forward`."""
        after = relu(slots[0])
        return (), after, c

    @staticmethod
    def backward(slots, h, after, c, c_after, dh, dc):
        """See `Cell.backward`."""
        return (where_positive(after, dh),), 0.0, dc


class Lstm(Cell):
    """Long short-term memory; torch's order of gates is i f g o."""

    slots = 4
    input_order = hidden_order = (0, 1, 2, 3)
    states = 2

    @staticmethod
    def forward(slots, h, c):
        """See `Cell.forward`."""
        i, f, g, o = sigmoid(slots[0]), sigmoid(slots[1]), tanh(slots[2]), sigmoid(slots[3])
        c = f * c + i * g
        return (i, f, g, o), o * tanh(c), c

    @staticmethod
    def backward(slots, h, after, c, c_after, dh, dc):
        """See `Cell.backward`."""
        i, f, g, o = slots
        s = tanh(c_after)
        dc = dc + dh * o * (1.0 - s * s)
        gradients = (
            dc * g * i * (1.0 - i),
            dc * c * f * (1.0 - f),
            dc * i * (1.0 - g * g),
            dh * s * o * (1.0 - o),
        )
        return gradients, 0.0, dc * f


class Gru(Cell):
    """A gated recurrent unit; torch's order of gates is r z n."""

    slots = 4
    input_order = (2, 0, 1)
    hidden_order = (0, 1, 2)

    @staticmethod
    def forward(slots, h, c):
        """See `Cell.forward`."""
        r, z, k = sigmoid(slots[1]), sigmoid(slots[2]), slots[3]
        n = tanh(slots[0] + r * k)
        return (n, r, z, k), n + z * (h - n), c

    @staticmethod
    def backward(slots, h, after, c, c_after, dh, dc):
        """See `Cell.backward`."""
        n, r, z, k = slots
        dn = dh * (1.0 - z) * (1.0 - n * n)
        return (dn, dn * k * r * (1.0 - r), dh * (h - n) * z * (1.0 - z), dn * r), dh * z, dc


CELLS: dict[str, Cell] = {"rnn_tanh": Tanh(), "rnn_relu": Relu(), "gru": Gru(), "lstm": Lstm()}
"""Every cell, by its name in a config."""

if TYPE_CHECKING:
    CellName = str
else:
    CellName = Literal[tuple(CELLS)]
