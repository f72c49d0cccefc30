"""What a run needs to tell about where it was made, so that it can be made again."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("sinernn", "torch", "numba", "numpy", "matplotlib", "pydantic", "pyyaml", "safetensors")


def environment() -> dict[str, Any]:
    """Return versions, machine and the commit of the working folder's repository."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "platform": platform.platform(),
        "processor": _processor(),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_status": _git("status", "--porcelain", "--untracked-files=no"),
    }


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a bare source tree
            continue
    return found


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            models = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
        return models[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    """Return what git prints, or None outside a repository or without git."""
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
