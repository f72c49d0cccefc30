"""What `import sinernn` offers: every name is there, and every example runs."""

import doctest
import shutil

import pytest

import sinernn
from examples import TINY
from sinernn import Run


@pytest.mark.parametrize("name", sinernn.__all__)
def test_public_name(name: str):
    """It is imported on first use, and documented."""
    assert getattr(sinernn, name).__doc__


@pytest.mark.parametrize("name", ["", *sinernn.__all__])
def test_examples_run(trained: Run, name: str):
    """Every docstring has an example, which runs where the smoke test's config was trained."""
    if name == "__version__":
        return  # a text, which cannot have one
    shutil.copy(TINY, "tiny.yaml")
    documented = getattr(sinernn, name) if name else sinernn
    text = documented.__doc__ or ""
    example = doctest.DocTestParser().get_doctest(text, {"sinernn": sinernn}, name, None, None)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
