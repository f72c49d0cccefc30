"""Whatever is done to a config, it is read or refused: no traceback, no hang, no flood of memory."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import CONFIGS
from fuzzing import Mutation, fuzzed, in_any_bytes, in_tokens, positions, read
from sinernn.config import Config, load_config, setting_paths, to_yaml
from sinernn.errors import ConfigError
from sinernn.preparation import prepare

FILE = Path(tempfile.mkdtemp(prefix="sinernn-fuzzed-")) / "a.yaml"
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


mutations = st.one_of(
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


@fuzzed
@given(st.sampled_from(TEXTS), st.lists(mutations, max_size=4), st.lists(overrides, max_size=2))
def test_a_mutated_config_is_read_or_refused(text: str, changes: list[Mutation], texts: list[str]):
    data = text.encode()
    for change in changes:
        data = change(data)
    FILE.write_bytes(data)

    def load() -> tuple[Config, str]:
        config = load_config(FILE, texts)
        if config.signal.length * len(config.signal.starts) <= 100_000:
            prepare(config)
        return config, to_yaml(config)

    found, refused = read(load, ConfigError)
    if refused is not None:
        for problem in refused.problems:
            assert problem.place.source == str(FILE) or problem.place.source in texts
    else:
        config, again = found
        FILE.write_text(again, encoding="utf-8")
        assert load_config(FILE) == config


@pytest.mark.parametrize("text", TEXTS, ids=["default", *(path.stem for path in CONFIGS)])
def test_what_is_mutated_is_valid_before(text: str):
    FILE.write_text(text, encoding="utf-8")
    load_config(FILE)
