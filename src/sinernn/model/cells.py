# pyright: basic
# Formulas take numpy arrays, torch tensors or LLVM vectors, which have no common type.
"""Each cell once: what one step does to one hidden unit, and the derivative of that.

The fused engine, refinement, the linearization of a trained network and, for a cell that PyTorch
has not, the torch engine derive theirs from it. A new cell is a subclass of `Cell` and a line in
`CELLS`.

A step's pre-activations lie in *slots*, one for each sum that a hidden unit keeps apart. The input
weights feed the first `gates` slots, the recurrent weights the last `gates`:

    cell        slots        input weights feed   recurrent weights feed
    rnn_*       a            a                    a
    lstm        i f g o      all                  all
    gru         m r z k      m r z                r z k

(The GRU multiplies k, the recurrent part of its candidate, by r before it joins m.)

Source: the equations are those in the documentation of torch.nn.RNN, torch.nn.LSTM and
torch.nn.GRU.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sinernn.model.functions import relu, sigmoid, tanh, where_positive


class Cell:
    """One kind of cell: a step of one unit, forward and backward, element by element."""

    slots: ClassVar[int] = 1
    """Sums kept apart for each hidden unit."""

    input_order: ClassVar[tuple[int, ...]] = (0,)
    """For each slot that the input weights feed, the index of torch's gate."""

    hidden_order: ClassVar[tuple[int, ...]] = (0,)
    """The same for the last slots and the recurrent weights."""

    states: ClassVar[int] = 1
    """1 (h) or 2 (h and c)."""

    @property
    def gates(self) -> int:
        """Blocks of H rows that torch stacks in a weight matrix."""
        return len(self.input_order)

    @staticmethod
    def forward(slots: Any, h: Any, c: Any) -> Any:
        """Take one step.

        Args:
            slots: Pre-activations.
            h: State before the step.
            c: The same; without meaning for a cell that has no c.

        Returns:
            (slots that `backward` needs, or () for none; h after the step; c after it).
        """
        raise NotImplementedError

    @staticmethod
    def backward(slots: Any, h: Any, after: Any, c: Any, c_after: Any, dh: Any, dc: Any) -> Any:
        """Propagate gradients through one step; linear in (dh, dc).

        Args:
            slots: What `forward` returned.
            h: State before the step.
            after: h after it.
            c: c before it.
            c_after: c after it.
            dh: Gradient by `after`.
            dc: Gradient by `c_after`.

        Returns:
            (gradients of the slots, of h without what flows through the recurrent weights, of c).
        """
        raise NotImplementedError

    def slopes(
        self, slots: Any, h: Any, after: Any, c: Any, c_after: Any, one: Any, zero: Any
    ) -> list[tuple[Any, ...]]:
        """Return the derivatives of h and of c by every slot, and by h and c before the step.

        They serve to propagate gradients back as well as to push small changes forward. For the
        arguments see `backward`; `one` and `zero` are of the type of the states.
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
    """Long short-term memory; torch orders its gates i f g o."""

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
    """A gated recurrent unit; torch orders its gates r z n."""

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
