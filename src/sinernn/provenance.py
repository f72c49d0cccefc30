"""Versions, machine and commit of a run, recorded so that it can be reproduced."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

PACKAGES = ("sinernn", "torch", "numba", "numpy", "matplotlib", "pydantic", "pyyaml", "safetensors")

WITHOUT_EFFECT = ("matplotlib", "pydantic", "pyyaml", "safetensors")
"""What of them changes no bit of a training."""


def environment() -> dict[str, Any]:
    """Return versions, machine and the commit of the working folder's repository."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": _threads(),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_status": _git("status", "--porcelain", "--untracked-files=no"),
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what of two environments may change the bits of a run, where it is not the same."""
    flat_then, flat_now = _flat(then), _flat(now)
    return {
        name: (flat_then.get(name), flat_now.get(name))
        for name in flat_now
        if name in flat_then and flat_then[name] != flat_now.get(name)
    }


def _flat(facts: Mapping[str, Any]) -> dict[str, Any]:
    names = ("engine", "device", "platform", "processor")
    found = {name: facts[name] for name in names if name in facts}
    for group in ("versions", "threads"):
        value: Any = facts.get(group)
        if isinstance(value, dict):
            within = cast("dict[str, Any]", value)
            found |= {
                f"{group}.{name}": each
                for name, each in within.items()
                if name not in WITHOUT_EFFECT
            }
    return found


def _threads() -> dict[str, Any]:
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
