"""The configuration: groups of choices (Hydra), overrides, and the models that check them before anything is built."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from multiscale.config.errors import ConfigError, ConfigProblem
from multiscale.config.groups import groups

if TYPE_CHECKING:
    from multiscale.config.loading import compose_config, load_config
    from multiscale.config.models import StudyConfig

_HOME = {
    "StudyConfig": "models",
    "compose_config": "loading",
    "load_config": "loading",
}

__all__ = ["ConfigError", "ConfigProblem", "StudyConfig", "compose_config", "groups", "load_config"]


def __getattr__(name: str) -> Any:
    # The models import every part that has settings; help and the list of groups must not wait for them.
    if name in _HOME:
        return getattr(import_module(f"multiscale.config.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
