"""Versions, machine and commit of a run, recorded so that it can be reproduced."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import Field

from sinernn.schema import JsonModel

PACKAGES = ("sinernn", "torch", "numba", "numpy", "matplotlib", "pydantic", "pyyaml", "safetensors")

WITHOUT_EFFECT = {
    f"versions.{name}" for name in ("matplotlib", "pydantic", "pyyaml", "safetensors")
}
"""Facts that change no bit of a training."""

Value = str | int | None


class Environment(JsonModel):
    """Versions, machine, and the commit of the repository in the working folder."""

    versions: dict[str, str] = Field(default={})
    platform: str | None = None
    processor: str | None = None
    threads: dict[str, Value] = Field(default={})
    git_commit: str | None = None
    git_status: str | None = None


def environment() -> Environment:
    """Return the environment of this process."""
    return Environment(
        versions=_versions(),
        platform=platform.platform(),
        processor=_processor(),
        threads=_threads(),
        **(_KEPT[0] if _KEPT else _repository()),
    )


_KEPT: list[dict[str, str | None]] = []


def keep_repository() -> None:
    """Report the present commit from now on: a worker's code is that of its start."""
    if not _KEPT:
        _KEPT.append(_repository())


def _repository() -> dict[str, str | None]:
    commands = ("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no")
    with ThreadPoolExecutor(len(commands)) as threads:  # they take longer than anything here
        commit, status = threads.map(_git, commands)
    return {"git_commit": commit, "git_status": status}


def differences(then: Environment, now: Environment) -> dict[str, tuple[Value, Value]]:
    """Return the differences between two environments that may change the bits of a run."""
    flat = _flat(then)
    return {
        name: (flat[name], value)
        for name, value in _flat(now).items()
        if name in flat and flat[name] != value
    }


def _flat(environment: Environment) -> dict[str, Value]:
    flat: dict[str, Value] = {
        **environment.model_dump(include={"platform", "processor"}, exclude_none=True),
        **{f"versions.{name}": value for name, value in environment.versions.items()},
        **{f"threads.{name}": value for name, value in environment.threads.items()},
    }
    return {name: value for name, value in flat.items() if name not in WITHOUT_EFFECT}


def _threads() -> dict[str, Value]:
    """Return what limits the threads of the libraries that compute."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # BLAS always has one: see `blas`
    limits: dict[str, Value] = {name: os.environ.get(name) for name in names}
    limits["processors"] = os.cpu_count()
    if torch := sys.modules.get("torch"):  # if it is not loaded, it computes nothing
        limits["torch"] = torch.get_num_threads()
    return limits


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):  # run from a bare source tree
            found[package] = version(package)
    return found


@cache
def _processor() -> str:
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        if found := re.search(r"^model name\s*:(.+)$", text, re.MULTILINE):
            return found[1].strip()
    return platform.processor() or platform.machine()


def _git(arguments: Sequence[str]) -> str | None:
    """Return what git prints, or None outside a repository or without git."""
    command = ["git", "--no-optional-locks", *arguments]  # a killed one would leave its lock
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
