"""The configuration: groups of choices (Hydra), overrides, and the models that check them before anything is built."""

from multiscale.config.errors import ConfigError, ConfigProblem
from multiscale.config.groups import groups
from multiscale.config.loading import compose_config, load_config
from multiscale.config.models import StudyConfig

__all__ = ["ConfigError", "ConfigProblem", "StudyConfig", "compose_config", "groups", "load_config"]
