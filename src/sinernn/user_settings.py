"""Settings of the user, for all experiments: never those of a config, which may be a stranger's."""

import os
from pathlib import Path

from platformdirs import user_config_path
from pydantic import Field

from sinernn.config import validate
from sinernn.config.places import Document
from sinernn.config.sections import Root
from sinernn.config.yaml import read_yaml


class UserSettings(Root):
    """Content of the user's settings file."""

    tracking: list[str] = Field(default=[])
    """Trackers that `train` and `sweep` show runs in, unless `--track` names others."""


def settings_path() -> Path:
    """Return the user's settings file, which need not exist.

    It is in SINERNN_CONFIG_DIR if this is set, otherwise in the user's config folder.
    """
    named = os.environ.get("SINERNN_CONFIG_DIR")
    folder = Path(named).absolute() if named else user_config_path("sinernn", appauthor=False)
    return folder / "settings.yaml"


def read_user_settings() -> UserSettings:
    """Read the user's settings file; without one, all settings have their defaults.

    Raises:
        ConfigError: It is not YAML, or has unknown keys or wrong values.
    """
    path = settings_path()
    # A relative path (of an account without a home directory) would be a stranger's folder.
    if not path.is_absolute() or not path.exists():
        return UserSettings()
    document = read_yaml(path)
    return validate(Document(document.tree, document.places), UserSettings)


def chosen_trackers(named: list[str] | None, *, use_settings: bool = True) -> list[str]:
    """Return the trackers that a command is to use.

    Args:
        named: Values of `--track`; `none` is no tracker.
        use_settings: Whether to use those of the user's settings if none are named.

    Raises:
        ConfigError: See `read_user_settings`.
    """
    if named is None:
        return read_user_settings().tracking if use_settings else []
    return [name for name in named if name != "none"]
