"""Settings: their sections, reading them from YAML, and checking them against each other."""

from sinernn.config.checks import check
from sinernn.config.load import json_schema, load_config, to_yaml, validate
from sinernn.config.messages import setting_names
from sinernn.config.sections import Config

__all__ = ["Config", "check", "json_schema", "load_config", "setting_names", "to_yaml", "validate"]
