"""Which PyTorch the Makefile installs."""

import os
import shutil
from pathlib import Path

import pytest

from commands import Outcome, run
from examples import REPOSITORY

INDEX = "https://example.org/cpu"
PYTHON = """#!/bin/sh
# Stands for python -m venv FOLDER: its pip only records how it is called.
mkdir -p $3/bin
printf '#!/bin/sh\\necho "$@" >> calls\\ncase "$@" in *%s*) exit %s;; esac\\n' > $3/bin/pip
chmod +x $3/bin/pip
"""

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or Path("/proc/driver/nvidia/version").exists(),
    reason="needs make, and a machine without an NVIDIA driver",
)


def install(status: int = 0, *settings: str, tool: str = "") -> tuple[Outcome, list[str]]:
    """Build the environment; return what pip was called with.

    Args:
        status: Exit code of an installation from the index.
        settings: Variables of make.
        tool: A program that is present.
    """
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, ".")
    programs = Path("programs")
    programs.mkdir()
    needed = ["sh", "mkdir", "chmod", "uname", "touch"]
    for name in needed:
        (programs / name).symlink_to(str(shutil.which(name)))
    for name, text in {"python3": PYTHON % (INDEX, status), tool: "#!/bin/sh\n"}.items():
        if name:
            (programs / name).write_text(text, encoding="utf-8")
            (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": str(programs.absolute())}
    words = [shutil.which("make"), ".venv/.installed", f"TORCH_INDEX={INDEX}", *settings]
    return run(*words, env=environment), Path("calls").read_text(encoding="utf-8").splitlines()


def test_make_installs_torch_without_cuda(here: Path):
    """In the pinned version, before what depends on it."""
    done, (first, second) = install()
    assert done.code == 0
    assert first == (
        "install --constraint constraints.txt --no-deps --timeout 10 --retries 0 "
        f"--index-url {INDEX} torch"
    )
    assert second == "install --constraint constraints.txt --editable .[dev]"


def test_make_goes_on_without_the_index(here: Path):
    done, calls = install(1)
    assert (done.code, len(calls)) == (0, 2)
    assert f"no PyTorch from {INDEX}; installing the default build" in done.out


@pytest.mark.parametrize("case", [{"tool": "nvidia-smi"}, {"settings": ("TORCH_INDEX=",)}])
def test_make_installs_the_default_torch(here: Path, case):
    """Where there is an NVIDIA driver, or if the index is empty."""
    done, calls = install(0, *case.get("settings", ()), tool=case.get("tool", ""))
    assert (done.code, len(calls)) == (0, 1)
