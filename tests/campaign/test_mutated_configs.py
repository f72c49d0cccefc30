"""Whatever is done to a config, it is read or refused: no traceback, no hang, no flood of memory."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import CONFIGS
from fuzzing import Mutation, config_mutations, empty_folder, fuzzed, read, tokens
from sinernn.config import Config, check, load_config, setting_names, to_yaml
from sinernn.errors import ConfigError
from sinernn.preparation import prepare

FILE = empty_folder() / "a.yaml"
DATA = FILE.parent / "data"
shutil.copytree(CONFIGS[0].parent / "data", DATA)
TEXTS = [to_yaml(Config()), *(path.read_text(encoding="utf-8") for path in CONFIGS)]
KEYS = list(setting_names(Config))
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
@given(
    st.sampled_from(TEXTS), st.lists(config_mutations, max_size=4), st.lists(overrides, max_size=2)
)
def test_a_mutated_config_is_read_or_refused(text: str, changes: list[Mutation], texts: list[str]):
    data = text.encode()
    for change in changes:
        data = change(data)
    FILE.write_bytes(data)

    def load() -> tuple[Config, str]:
        config = load_config(FILE, texts)
        check(config)
        if config.signal.extent().samples <= 100_000:
            prepare(config)
        return config, to_yaml(config)

    found, refused = read(load, ConfigError)
    if refused is not None:
        for problem in refused.problems:
            source = problem.place.source
            assert source in (str(FILE), *texts) or source.startswith(str(DATA))
    else:
        config, again = found
        FILE.write_text(again, encoding="utf-8")
        assert load_config(FILE) == config


@pytest.mark.parametrize("text", TEXTS, ids=["default", *(path.stem for path in CONFIGS)])
def test_what_is_mutated_is_valid_before(text: str):
    FILE.write_text(text, encoding="utf-8")
    load_config(FILE)
