"""The folder of shipped configs."""

from pathlib import Path


def configs_folder() -> Path:
    """Return the folder of the shipped configs: of the installed package, or next to `src`."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"
