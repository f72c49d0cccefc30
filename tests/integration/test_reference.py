"""The reference of the commands says what the code says."""

import shutil
from pathlib import Path

import pytest

import reference
from commands import run
from sinernn.errors import SinernnError


@pytest.mark.parametrize("path", reference.PAGES, ids=lambda path: path.name)
def test_reference_is_current(path: Path):
    """If not, `make docs` or `python docs/reference.py` writes it."""
    assert path.read_text(encoding="utf-8") == reference.PAGES[path]()


def test_every_option_is_described():
    """Every command has a summary and an example, every argument and option a text."""
    _, *commands = reference.references()
    assert {"sinernn train", "sinernn config show"} < {each.name for each in commands}
    for each in commands:
        assert each.summary.endswith("."), each.name
        assert each.example.startswith(each.name) or each.name == "sinernn config"
        assert all(text for _, text in (*each.arguments, *each.options)), each.name


def test_exit_codes_are_documented():
    """Those of all errors; a signal's is 128 and its number."""

    def codes(error: type[SinernnError]) -> set[int]:
        inner = (codes(each) for each in error.__subclasses__())
        return {vars(error).get("exit_code", 0)}.union(*inner)

    assert codes(SinernnError) == {0, 1, 2, 3}
    assert set(reference.EXIT_CODES) == codes(SinernnError) | {130, 143}


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_manual_page_is_roff():
    """Groff formats it without a warning; no text is lost in a request or an escape."""
    shown = run("groff", "-man", "-ww", "-Tutf8", "-P-cbou", reference.DOCS / "sinernn.1")
    assert (shown.code, shown.err) == (0, "")
    text = " ".join(shown.out.split())
    for each in reference.references():
        assert each.summary[:40] in text
        assert each.example in text
