"""What a user may configure: the schema, and how it is read from YAML, TOML or a Mapping."""

from steersman.config.errors import ConfigError
from steersman.config.layers import Layer
from steersman.config.reading import read
from steersman.config.schema import Config, Use

__all__ = ["Config", "ConfigError", "Layer", "Use", "read"]
