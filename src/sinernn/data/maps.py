"""Maps: systems in discrete time."""

from typing import ClassVar, Literal

from pydantic import Field

from sinernn.data.systems import Map, State


class Henon(Map):
    """A chaotic map of the plane: x becomes 1 - a x² + y, and y becomes b x.

    Source:
        Hénon (1976), "A two-dimensional mapping with a strange attractor", Communications in
        Mathematical Physics 50, 69-77.
    """

    kind: Literal["henon"]
    """Kind of signal."""

    a: float = Field(default=1.4, ge=0, le=2)
    """Strength of the fold; beyond the bound every state grows without limit."""

    b: float = Field(default=0.3, ge=-1, le=1)
    """Contraction of areas in an iteration; beyond the bounds they grow."""

    variables: ClassVar[tuple[str, ...]] = ("x", "y")
    default_state: ClassVar[tuple[float, ...]] = (0.0, 0.0)

    def step(self, state: State) -> State:
        """Return the state after an iteration."""
        x, y = state
        return 1 - self.a * x * x + y, self.b * x


class Logistic(Map):
    """Growth with limited resources, the simplest chaotic map: x becomes rate x (1 - x).

    Source:
        May (1976), "Simple mathematical models with very complicated dynamics", Nature 261,
        459-467.
    """

    kind: Literal["logistic"]
    """Kind of signal."""

    rate: float = Field(default=3.9, gt=0, le=4)
    """Growth in an iteration; chaotic for most values above 3.57, a fixed point up to 3. Beyond the
    bound the state grows without limit."""

    variables: ClassVar[tuple[str, ...]] = ("x",)
    default_state: ClassVar[tuple[float, ...]] = (0.3,)

    def step(self, state: State) -> State:
        """Return the state after an iteration."""
        (x,) = state
        return (self.rate * x * (1 - x),)
