"""What a user may configure: the schema, and how it is read from YAML, TOML or a Mapping."""

from steersman.config.errors import ConfigError
from steersman.config.reading import read
from steersman.config.schema import Config, Use

__all__ = ["Config", "ConfigError", "Use", "read"]
