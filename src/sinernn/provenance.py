"""Versions, machine and commit of a run, recorded so that it can be reproduced."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import Field

from sinernn.schema import JsonModel

PACKAGES = ("sinernn", "torch", "numba", "numpy", "matplotlib", "pydantic", "pyyaml", "safetensors")

WITHOUT_EFFECT = ("matplotlib", "pydantic", "pyyaml", "safetensors")
"""What of them changes no bit of a training."""


Value = str | int | None


class Environment(JsonModel):
    """Versions, machine and the commit of the working folder's repository."""

    versions: dict[str, str] = Field(default={})
    platform: str | None = None
    processor: str | None = None
    threads: dict[str, Value] = Field(default={})
    git_commit: str | None = None
    git_status: str | None = None


def environment() -> Environment:
    """Return the environment of this process."""
    return Environment(
        versions={"python": platform.python_version(), **_versions()},
        platform=platform.platform(),
        processor=_processor(),
        threads=_threads(),
        git_commit=_git("rev-parse", "HEAD"),
        git_status=_git("status", "--porcelain", "--untracked-files=no"),
    )


def differences(then: Environment, now: Environment) -> dict[str, tuple[Value, Value]]:
    """Return what of two environments may change the bits of a run, where it is not the same."""
    flat_then, flat_now = _flat(then), _flat(now)
    return {
        name: (flat_then.get(name), flat_now.get(name))
        for name in flat_now
        if name in flat_then and flat_then[name] != flat_now.get(name)
    }


def _flat(environment: Environment) -> dict[str, Value]:
    found: dict[str, Value] = {
        "platform": environment.platform,
        "processor": environment.processor,
    }
    found = {name: value for name, value in found.items() if value is not None}
    for group, values in (("versions", environment.versions), ("threads", environment.threads)):
        within = {name: value for name, value in values.items() if name not in WITHOUT_EFFECT}
        found |= {f"{group}.{name}": value for name, value in within.items()}
    return found


def _threads() -> dict[str, Value]:
    """Return what limits the threads of the libraries that compute."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # of BLAS `blas` leaves one
    torch = sys.modules.get("torch")  # if it is not loaded, it computes nothing
    return {name: os.environ.get(name) for name in names} | {
        "processors": os.cpu_count(),
        **({"torch": torch.get_num_threads()} if torch else {}),
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
