"""Whatever is done to a config, it is read or refused: no traceback, no hang, no flood of memory."""

import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import CONFIGS
from sinernn.config import Config, load_config, setting_paths, to_yaml
from sinernn.errors import ConfigError
from sinernn.preparation import prepare

SECONDS, MEGABYTES = 2, 50
"""What one reading may take."""

TEXTS = [to_yaml(Config()), *(path.read_text(encoding="utf-8") for path in CONFIGS)]
TOKENS = [
    "", " ", "\n", "\t", ":", ": ", "-", "- ", "? ", "[", "]", "{", "}", ",", "#", "&a ", "*a", "!", "!!int ", "!x ",
    "|", ">", "'", '"', "%", "@", "`", "\\", "---\n", "...\n", "%YAML 1.1\n", "<<", "~", "\x00", "\x07", "\x85", "\u2028",
    "\ufeff", "\r", "\r\n", "\U0001f600", "null", "true", "yes", "no", "None", "1e-3", "1e999", "-1", "0", ".inf", ".nan", "012",
    "0o8", "0x", "0xfg", "1:30", "1_000", "1,5", "''", "[]", "{}", "[[[]]]", "{a: {b: c}}", "9" * 400, "x" * 3000, "[" * 60,
    "{" * 60, "- " * 60, "1e12", "1e-12", "4096", "10000000", "1000000000", "9223372036854775807", "float64", "random", "lstm",
    "kind", "signal", "seed", "hidden_size", "steps",
]  # fmt: skip
tokens = st.sampled_from(TOKENS)
Mutation = Callable[[bytes], bytes]


def in_bytes(at: int, count: int, new: bytes) -> Mutation:
    return lambda data: data[: at % (len(data) + 1)] + new + data[at % (len(data) + 1) + count :]


def in_tokens(at: int, new: str) -> Mutation:
    def mutate(data: bytes) -> bytes:
        words = re.findall(rb"\w+|\s+|[^\w\s]+", data) or [b""]
        words[at % len(words)] = new.encode()
        return b"".join(words)

    return mutate


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


positions = st.integers(0, 2000)
mutations = st.one_of(
    st.builds(in_bytes, positions, st.integers(0, 5), st.binary(max_size=5)),
    st.builds(in_tokens, positions, tokens),
    st.builds(in_values, positions, tokens),
    st.builds(
        in_structure,
        positions,
        positions,
        st.sampled_from(["move", "indent", "dedent", "empty", "nest", "twice"]),
    ),
)
KEYS = [".".join(map(str, path)) for path in setting_paths(Config)]
overrides = st.one_of(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(KEYS) | tokens,
        st.sampled_from(["=", "=", "=", "", "==", ".x="]),
        tokens,
    ),
    st.text(max_size=20),
)


@settings(
    max_examples=300,
    deadline=None,  # the time that counts is the processor's: the machine may be busy
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(TEXTS),
    st.lists(mutations, max_size=4),
    st.lists(overrides, max_size=2),
)
def test_a_mutated_config_is_read_or_refused(
    here: Path, text: str, changes: list[Mutation], texts: list[str]
):
    data = text.encode()
    for change in changes:
        data = change(data)
    Path("a.yaml").write_bytes(data)
    began = time.process_time()
    tracemalloc.start()
    try:
        config = load_config("a.yaml", texts)
        again = to_yaml(config)
        if config.signal.length * len(config.signal.starts) <= 100_000:
            prepare(config)
    except ConfigError as error:
        for problem in error.problems:
            assert str(problem).isprintable()
            assert len(str(problem)) < 1000
            assert problem.place.source == "a.yaml" or problem.place.source in texts
    else:
        Path("again.yaml").write_text(again, encoding="utf-8")
        assert load_config("again.yaml") == config
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < MEGABYTES * 1e6
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize("text", TEXTS, ids=["default", *(path.stem for path in CONFIGS)])
def test_what_is_mutated_is_valid_before(here: Path, text: str):
    Path("a.yaml").write_text(text, encoding="utf-8")
    load_config("a.yaml")
