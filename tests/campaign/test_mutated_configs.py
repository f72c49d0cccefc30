"""Whatever is done to a config, it is read or refused: no traceback, no hang, no flood of memory."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import CONFIGS
from fuzzing import Mutation, config_mutations, empty_folder, fuzzed, read, tokens
from sinernn.config import Config, check, load_config, setting_names, to_yaml
from sinernn.data import systems
from sinernn.errors import ConfigError, UsageError
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
    """A system whose state grows without limit is refused when it is generated, without a place."""
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

    with pytest.MonkeyPatch.context() as patch:
        # Some 3 calls each: configs/lorenz.yaml needs 400,000.
        patch.setattr(systems, "MAX_EVALUATIONS", 1_000_000)
        found, refused = read(load, UsageError)
    if isinstance(refused, ConfigError):
        for problem in refused.problems:
            source = problem.place.source
            assert source in (str(FILE), *texts) or source.startswith(str(DATA))
    elif refused is not None:
        assert str(refused).startswith("signal: ")
    else:
        config, again = found
        FILE.write_text(again, encoding="utf-8")
        assert load_config(FILE) == config


@pytest.mark.parametrize("text", TEXTS, ids=["default", *(path.stem for path in CONFIGS)])
def test_what_is_mutated_is_valid_before(text: str):
    FILE.write_text(text, encoding="utf-8")
    load_config(FILE)
