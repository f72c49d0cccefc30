"""What fuzzed readers may take, and how bytes are mutated: shared by tests and `tests/campaign/fuzz.py`."""

import atexit
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Generator
from copy import deepcopy
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from campaign import times
from counting import counted

EXAMPLES = times(300)
"""Of each kind of file in a campaign; `tests/campaign/fuzz.py` runs as many as are asked for."""

CALLS, MEGABYTES = 5_000_000, 100
"""Calls of functions that one reading may make, and megabytes that it may ask numpy for.

The longest Mackey-Glass series that a config may ask for takes most of both; anything else takes a
hundredth.
"""

T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=Exception)
Mutation = Callable[[bytes], bytes]

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,  # what counts is counted: the machine may be busy
    suppress_health_check=[HealthCheck.too_slow],
)


def empty_folder() -> Path:
    """A folder for the files of one process, which cases share: a fixture would make one for each."""
    path = Path(tempfile.mkdtemp(prefix="sinernn-fuzzed-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


class Tally:
    """What readings took so far, and how they ended."""

    most_calls = most_bytes = 0
    read = refused = 0

    @classmethod
    def clear(cls) -> None:
        cls.most_calls = cls.most_bytes = cls.read = cls.refused = 0


def read(reader: Callable[[], T], refusal: type[ErrorT]) -> tuple[T | None, ErrorT | None]:
    """Return what a reader returned or how it refused, which took few calls and little memory.

    A refusal is one short line, or one for each problem, harmless to a terminal.
    """
    result = refused = None
    with counted() as cost:
        try:
            result = reader()
        except refusal as error:
            refused = error
    Tally.most_calls = max(Tally.most_calls, cost.calls)
    Tally.most_bytes = max(Tally.most_bytes, cost.array_bytes)
    assert cost.calls < CALLS
    assert cost.array_bytes < MEGABYTES * 1e6
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
TOKENS = [
    "", " ", "\n", "\t", ":", ": ", "-", "- ", "? ", "[", "]", "{", "}", ",", "#", "&a ", "*a", "!", "!!int ", "!x ",
    "|", ">", "'", '"', "%", "@", "`", "\\", "---\n", "...\n", "%YAML 1.1\n", "<<", "~", "\x00", "\x07", "\x85", "\u2028",
    "\ufeff", "\r", "\r\n", "\U0001f600", "null", "true", "yes", "no", "None", "1e-3", "1e999", "-1", "0", ".inf", ".nan", "012",
    "0o8", "0x", "0xfg", "1:30", "1_000", "1,5", "''", "[]", "{}", "[[[]]]", "{a: {b: c}}", "9" * 400, "x" * 3000, "[" * 60,
    "{" * 60, "- " * 60, "1e12", "1e-12", "4096", "10000000", "1000000000", "9223372036854775807", "float64", "random", "lstm",
    "kind", "signal", "seed", "hidden_size", "steps",
]  # fmt: skip
tokens = st.sampled_from(TOKENS)


def in_values(at: int, new: str) -> Mutation:
    def mutate(data: bytes) -> bytes:
        parts = re.split(rb"(?<=: )([^\s{}\[\],]+)", data)  # every second one is a value
        if len(parts) > 1:
            parts[2 * (at % (len(parts) // 2)) + 1] = new.encode()
        return b"".join(parts)

    return mutate


def in_structure(at: int, to: int, how: str) -> Mutation:
    def mutate(data: bytes) -> bytes:
        lines = data.split(b"\n")
        line = lines.pop(at % len(lines))
        changed = {
            "move": line,
            "indent": b"  " + line,
            "dedent": line[1:],
            "empty": b"",
            "nest": b"a: {" + line,
        }
        lines.insert(
            (to if how == "move" else at) % (len(lines) + 1), changed.get(how, line + b"\n" + line)
        )
        return b"\n".join(lines)

    return mutate  # fmt: skip


config_mutations = st.one_of(
    in_any_bytes,
    st.builds(in_tokens, positions, tokens),
    st.builds(in_values, positions, tokens),
    st.builds(
        in_structure,
        positions,
        positions,
        st.sampled_from(["move", "indent", "dedent", "empty", "nest", "twice"]),
    ),
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
