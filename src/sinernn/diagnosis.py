"""What a bug report needs to state about an installation, without personal data."""

import os
import re
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from getpass import getuser
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from sinernn.cores import usable_cores
from sinernn.engines import load_torch_engine
from sinernn.errors import SinernnError
from sinernn.provenance import environment
from sinernn.runs.listing import runs_in

VARIABLES = re.compile(r"(SINERNN|NUMBA|OMP|MKL|OPENBLAS|CUDA|PYTORCH|CUBLAS)_\w+")
"""Environment variables that change results, speed, or which devices are used."""


@dataclass
class Kernels:
    """The compiled kernels on disk."""

    folder: str | None
    """None if no folder is usable: every process then compiles its kernels again."""

    count: int = 0
    megabytes: float = 0.0


@dataclass
class RunsFolder:
    """A folder of runs."""

    folder: str
    count: int
    is_writable: bool
    free_gigabytes: float | None


@dataclass
class Diagnosis:
    """An installation: paths begin with ~ in the home directory, and USER stands for its name."""

    versions: dict[str, str | None]
    """By package; None for a dependency that is not installed."""

    system: str
    processor: str
    cores: int
    """That this process may use."""

    kernels: Kernels
    runs: RunsFolder
    package: str
    """Folder of the installed code."""

    python: str
    """Folder of the environment."""

    has_nvidia_driver: bool
    devices: list[str] | None = None
    """What PyTorch can use; None if it was not asked, which takes a second."""

    variables: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[str] = field(default_factory=list[str])
    """Each with its remedy."""


def diagnose(runs_dir: Path | str = "runs", *, devices: bool = False) -> Diagnosis:
    """Return what a bug report needs to state about this installation.

    Args:
        runs_dir: Folder of the run directories.
        devices: Also load PyTorch, and list the devices that it can use.
    """
    now, problems, packages = environment(), list[str](), _package_versions()
    versions = {"sinernn": packages["sinernn"], "python": now.versions["python"], **packages}
    missing = [name for name, number in versions.items() if number is None and name != "torch"]
    if missing:
        problems.append(f"not installed: {', '.join(missing)}; reinstall sinernn with pip")
    if versions.get("torch") is None and not devices:
        problems.append(
            "not installed: torch, which engine: torch and accelerators need; pip install torch"
        )
    found = None
    if devices:
        try:
            found = _devices()
        except SinernnError as error:
            problems.append(str(error))
    return Diagnosis(
        versions=versions,
        system=str(now.platform),
        processor=str(now.processor),
        cores=usable_cores(),
        kernels=_kernels(problems),
        runs=_runs_folder(Path(runs_dir), problems),
        package=anonymous(Path(__file__).parent),
        python=anonymous(Path(sys.prefix)),
        has_nvidia_driver=Path("/proc/driver/nvidia/version").exists()
        or shutil.which("nvidia-smi") is not None,
        devices=found,
        variables={
            name: anonymous(value)
            for name, value in sorted(os.environ.items())
            if VARIABLES.fullmatch(name)
        },
        problems=[anonymous(problem) for problem in problems],
    )


def anonymous(text: Path | str) -> str:
    """Return a text with ~ for the home directory, and USER for the user's name in paths."""
    text = str(text)
    with suppress(RuntimeError):  # an account without a home directory
        home = str(Path.home())
        if len(home) > 1:
            text = re.sub(rf"{re.escape(home)}(?![^\s/\\:;,'\"])", "~", text)
    with suppress(KeyError, OSError, ImportError):  # an account without a name
        text = re.sub(rf"(?<=[/\\]){re.escape(getuser())}(?![^\s/\\:;,'\"])", "USER", text)
    return text


def _package_versions() -> dict[str, str | None]:
    """Return the versions of sinernn, its dependencies, and the installed ones of its extras."""
    found, requirements = dict[str, str | None](), list[str]()
    with suppress(PackageNotFoundError):  # run from a bare source tree
        requirements += requires("sinernn") or ()
    for requirement in ["sinernn", *requirements]:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"](\w+)", requirement)
        if extra is None:
            found[name] = None
        elif extra[1] == "dev":
            continue
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _devices() -> list[str]:
    """Return the devices that PyTorch can use, with the names of GPUs.

    Raises:
        DeviceError: PyTorch is not installed, or cannot be loaded.
    """
    present = load_torch_engine().present_devices()
    import torch

    return [
        f"{name} ({torch.cuda.get_device_name(name)})" if name.startswith("cuda") else name
        for name in present
    ]


def _kernels(problems: list[str]) -> Kernels:
    try:
        from sinernn.engines.fused.cache import cache_folder
    except (ImportError, OSError) as error:  # a library of LLVM that does not load
        problems.append(f"llvmlite cannot be loaded: {error}; reinstall numba")
        return Kernels(None)
    folder = cache_folder()
    if folder is None:
        problems.append(
            "the folder of compiled kernels is not writable, or others can write to it: every run "
            "compiles for seconds; set SINERNN_CACHE_DIR to a folder of your own"
        )
        return Kernels(None)
    sizes = [path.stat().st_size for path in folder.glob("*.kernel")]
    return Kernels(anonymous(folder), len(sizes), round(sum(sizes) / 1e6, 1))


def _runs_folder(folder: Path, problems: list[str]) -> RunsFolder:
    """Describe a folder of runs; if it is missing, the one in which it would be created."""
    candidates = (folder, *folder.absolute().parents)
    existing = next(path for path in candidates if os.access(path, os.F_OK))
    is_writable = existing.is_dir() and os.access(existing, os.W_OK)
    if not is_writable:
        problems.append(f"{folder}: runs cannot be written there; choose another with --runs-dir")
    free = None
    with suppress(OSError):
        free = round(shutil.disk_usage(existing).free / 1e9, 1)
    return RunsFolder(anonymous(folder), len(runs_in(folder)), is_writable, free)
