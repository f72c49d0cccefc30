"""What `import sinernn` offers: every name is there, and every example runs."""

import doctest
import shutil
from pathlib import Path

import pytest

import sinernn
from examples import TINY


@pytest.mark.parametrize("name", sinernn.__all__)
def test_public_name(name: str):
    """It is imported on first use, and documented."""
    assert getattr(sinernn, name).__doc__


@pytest.mark.parametrize("name", ["", *sinernn.__all__])
def test_examples_run(here: Path, name: str):
    """The examples of a docstring run in a folder that holds the smoke test's config."""
    shutil.copy(TINY, "tiny.yaml")
    documented = getattr(sinernn, name) if name else sinernn
    text = documented.__doc__ or ""
    example = doctest.DocTestParser().get_doctest(text, {"sinernn": sinernn}, name, None, None)
    assert doctest.DocTestRunner().run(example).failed == 0
