"""What a piece of code costs, counted instead of timed: the same on any machine, busy or not."""

import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

CREATORS = (
    "arange", "array", "asarray", "ascontiguousarray", "broadcast_to", "concatenate", "empty",
    "empty_like", "frombuffer", "full", "full_like", "linspace", "ones", "repeat", "stack", "tile",
    "zeros", "zeros_like",
)  # fmt: skip
"""Functions of numpy that make an array of a size of their own."""


@dataclass
class Cost:
    """What was counted."""

    calls: int = 0
    """Of functions, in Python and in C: Python has no other way to spend long, nor to make objects,
    than loops that call."""

    array_bytes: int = 0
    """Asked of numpy's `CREATORS`."""


@contextmanager
def counted() -> Generator[Cost]:
    """Count what the body costs."""
    cost = Cost()

    def count(_frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            cost.calls += 1

    def making(create: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        def make(*arguments: Any, **options: Any) -> np.ndarray:
            made = create(*arguments, **options)
            cost.array_bytes += made.nbytes
            return made

        return make

    replaced = {name: making(getattr(np, name)) for name in CREATORS}
    with patch.multiple(np, **replaced):
        sys.setprofile(count)
        try:
            yield cost
        finally:
            sys.setprofile(None)


def bytes_of(value: object) -> int:
    """Return what a tree of dicts, lists and scalars takes, each object counted once."""
    seen: set[int] = set()
    left, total = [value], 0
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        if isinstance(each, Mapping):
            left += [*each.keys(), *each.values()]
        elif isinstance(each, Iterable) and not isinstance(each, str | bytes | np.ndarray):
            left += each
    return total
