"""What fuzzed readers may take, and how bytes are mutated: shared by tests and `benchmarks/fuzz.py`."""

import math
import re
import time
import tracemalloc
from collections.abc import Callable, Generator
from copy import deepcopy
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = 300
"""Of each kind of file, in every run of the tests; `benchmarks/fuzz.py` runs as many as are asked for."""

SECONDS, MEGABYTES = 1, 50
"""Processor time and memory that one reading may take."""

T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=Exception)
Mutation = Callable[[bytes], bytes]

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,  # the time that counts is the processor's: the machine may be busy
    suppress_health_check=[HealthCheck.too_slow],
)


class Tally:
    """What readings took so far, and how they ended."""

    is_traced = True
    """Whether the memory of every reading is measured, which makes it four times slower."""

    slowest = 0.0
    read = refused = 0

    @classmethod
    def clear(cls) -> None:
        cls.slowest, cls.read, cls.refused = 0.0, 0, 0


def read(reader: Callable[[], T], refusal: type[ErrorT]) -> tuple[T | None, ErrorT | None]:
    """Return what a reader returned or how it refused, which took little time and memory.

    A refusal is one short line, or one for each problem, harmless to a terminal.
    """
    result = refused = None
    began = time.process_time()
    if Tally.is_traced:
        tracemalloc.start()
    try:
        result = reader()
    except refusal as error:
        refused = error
    finally:
        peak = tracemalloc.get_traced_memory()[1]  # 0 if nothing is traced
        tracemalloc.stop()
    spent = time.process_time() - began
    Tally.slowest = max(Tally.slowest, spent)
    assert peak < MEGABYTES * 1e6
    assert spent < SECONDS
    if refused is None:
        Tally.read += 1
    else:
        Tally.refused += 1
        for line in str(refused).split("\n"):
            assert line.isprintable()
            assert 10 < len(line) < 1500
    return result, refused


def in_bytes(at: int, count: int, new: bytes) -> Mutation:
    return lambda data: data[: at % (len(data) + 1)] + new + data[at % (len(data) + 1) + count :]


def flipped(at: int, bit: int) -> Mutation:
    def mutate(data: bytes) -> bytes:
        if not data:
            return data
        changed = bytearray(data)
        changed[at % len(data)] ^= 1 << bit
        return bytes(changed)

    return mutate


def in_tokens(at: int, new: str) -> Mutation:
    def mutate(data: bytes) -> bytes:
        words = re.findall(rb"\w+|\s+|[^\w\s]+", data) or [b""]
        words[at % len(words)] = new.encode(errors="surrogatepass")
        return b"".join(words)

    return mutate


positions = st.integers(0, 2**16)
in_any_bytes = st.one_of(
    st.builds(in_bytes, positions, st.integers(0, 5), st.binary(max_size=5)),
    st.builds(in_bytes, positions, st.just(2**30), st.just(b"")),  # cut off
    st.builds(flipped, positions, st.integers(0, 7)),
)
JSON_VALUES = [
    None, True, False, 0, 1, 2, 3, -1, 1.5, -0.0, math.nan, math.inf, 1e308, 2**31, 2**53, 2**63,
    2**64, 10**9, 10**18, 10**400, "", "x", "float16", "lstm", "\ud800", "\x1b[31m", "9" * 400,
    "x" * 3000, [], [[]], [1, 1], [0.0, 0.0], [math.nan, 1.0], [1e-320, 1.0], {}, {"a": 1},
]  # fmt: skip


def in_json(at: int, new: object, how: str) -> Callable[[object], object]:
    """Change, remove or add one of the values within a value."""

    def places(value: object) -> Generator[tuple[object, object]]:
        items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        for key, inner in items:
            yield value, key
            if isinstance(inner, dict | list):
                yield from places(inner)

    def mutate(value: object) -> object:
        found = list(places(value))
        if not found:
            return deepcopy(new)
        within, key = found[at % len(found)]
        changed = deepcopy(new)
        if how == "remove":
            del within[key]
        elif how == "add" and isinstance(within, dict):
            within["\x1b[31mnew"] = changed
        elif how == "rename" and isinstance(within, dict):
            within[f"{key}x"] = within.pop(key)
        else:
            within[key] = changed
        return value

    return mutate


json_changes = st.builds(
    in_json,
    positions,
    st.sampled_from(JSON_VALUES),
    st.sampled_from(["change", "change", "change", "remove", "add", "rename"]),
)
