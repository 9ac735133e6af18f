"""From overrides to a checked configuration; all problems are collected, nothing is built before the list is empty."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiscale.config.checking import checked, close_matches
from multiscale.config.errors import ConfigError, ConfigProblem
from multiscale.config.groups import groups, shipped_folder
from multiscale.config.models import StudyConfig
from multiscale.settings import holds_names, inner_settings

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

    Composed = tuple[DictConfig, dict[str, str]]
    """Composed groups, and where their values come from."""


def load_config(overrides: Sequence[str] = (), private: Path | None = None) -> StudyConfig:
    """Compose the groups, apply the overrides, check everything.

    Args:
        overrides: Hydra overrides: ``group=choice`` or ``group.key=value``; numbers may carry a unit (``tariff.levy='8 ct/kWh'``).
        private: a folder of the user's own choices, laid out like ``conf``; its files win.

    Raises:
        ConfigError: with every problem there is.
    """
    return _loaded(overrides, private, {})


def load_configs(jobs: Sequence[Sequence[str]], private: Path | None = None) -> list[StudyConfig]:
    """The configurations of several jobs; choices of groups that come again are composed once.

    Args:
        jobs: overrides of each.
        private: see ``load_config``.

    Raises:
        ConfigError: with the problems of all jobs, each once.
    """
    known: dict[tuple[str, ...], Composed] = {}
    configs: list[StudyConfig] = []
    problems: dict[ConfigProblem, None] = {}
    for overrides in jobs:
        try:
            configs.append(_loaded(overrides, private, known))
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError(problems)
    return configs


def _loaded(overrides: Sequence[str], private: Path | None, known: dict[tuple[str, ...], Composed]) -> StudyConfig:
    values, problems, origins = compose_config(overrides, private, known)
    config, more = checked(values, {problem.key for problem in problems})
    problems += [ConfigProblem(p.key, p.value, p.message, _origin(p.key, origins)) for p in more]
    if problems or config is None:
        raise ConfigError(problems, values)
    return config.asked_by(overrides)


def compose_config(
    overrides: Sequence[str] = (), private: Path | None = None, known: dict[tuple[str, ...], Composed] | None = None
) -> tuple[dict[str, Any], list[ConfigProblem], dict[str, str]]:
    """Compose without checking against the models.

    Args:
        overrides: see ``load_config``.
        private: see ``load_config``.
        known: what chosen groups were composed to before with these private files; what is composed here is added.

    Returns:
        The composed values without those that cannot be read, the problems met so far, and where values come from (key -> origin).
    """
    problems: list[ConfigProblem] = []
    choices = groups(private)
    chosen, settings = [], []
    for override in _parsed(overrides, problems):
        if override.key_or_group in choices and not override.is_sweep_override():
            value = override.value()
            if not isinstance(value, str) or value not in choices[override.key_or_group]:
                message = f"no such choice; group {override.key_or_group} has {', '.join(choices[override.key_or_group])}"
                problems.append(ConfigProblem(override.key_or_group, str(value), message, "command line"))
            else:
                chosen.append(f"{override.key_or_group}={value}")
        elif override.is_sweep_override():
            problems.append(ConfigProblem(override.key_or_group, override.get_value_string(), "several values make a sweep; add -m", "command line"))
        else:
            settings.append(override)
    asked = tuple(chosen)
    if private is None:
        found = _composed_of_shipped(asked)
    else:
        known = {} if known is None else known
        if asked not in known:
            known[asked] = _composed(asked, private)
        found = known[asked]
    composed, origins = copy.deepcopy(found)
    for override in settings:
        _apply(composed, override, problems)
        origins[override.key_or_group] = "command line"
    values: dict[str, Any] = {}
    for key, value in _leaves(composed, "", problems, origins):
        _put(values, key, value)
    return values, problems, origins


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Overrides as Hydra reads them.

    Raises:
        ConfigError: naming those that cannot be read.
    """
    problems: list[ConfigProblem] = []
    parsed = _parsed(overrides, problems)
    if problems:
        raise ConfigError(problems)
    return parsed


def _parsed(overrides: Sequence[str], problems: list[ConfigProblem]) -> list[Override]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    parsed = []
    for text in overrides:
        try:
            parsed.append(parser.parse_override(text))
        except HydraException:
            problems.append(ConfigProblem("", "", f"{text!r} cannot be read; write group=choice or group.key=value", "command line"))
    return parsed


@cache
def _composed_of_shipped(chosen: tuple[str, ...]) -> Composed:
    """The shipped files do not change while a process runs: what of them is chosen together is composed once."""
    return _composed(chosen, None)


def _composed(chosen: tuple[str, ...], private: Path | None) -> Composed:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    search = [f"hydra.searchpath=[file://{private.resolve()}]"] if private else []
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(shipped_folder("conf")), version_base="1.3"):
            composed = compose("config", overrides=[*chosen, *search], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError([ConfigProblem("", "", f"the configuration files do not fit together: {str(error).splitlines()[0]}")]) from None
    runtime = OmegaConf.to_container(composed.hydra.runtime.choices)
    OmegaConf.set_readonly(composed, False)
    OmegaConf.set_struct(composed, False)
    composed.pop("hydra")
    assert isinstance(runtime, dict)
    return composed, {str(group): f"conf/{group!s}/{choice!s}.yaml" for group, choice in runtime.items() if "/" not in str(group)}


def _apply(composed: DictConfig, override: Override, problems: list[ConfigProblem]) -> None:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    key = override.key_or_group
    if override.is_delete():
        parent, _, last = key.rpartition(".")
        node = OmegaConf.select(composed, parent) if parent else composed
        if OmegaConf.is_dict(node) and last in node:
            del node[last]
        else:
            problems.append(ConfigProblem(key, "", "there is nothing to delete", "command line"))
        return
    value = override.value()
    if "." not in key and not isinstance(value, dict):
        known = list(StudyConfig.model_fields)
        message = (
            f"is no group{close_matches(key, known)}"
            if key not in known
            else "is a group; name one of its keys, e.g. " + f"{key}.{_first_field(key)}=..."
        )
        problems.append(ConfigProblem(key, str(value), message, "command line"))
        return
    try:
        OmegaConf.update(composed, key, value, merge=True, force_add=True)
    except (OmegaConfBaseException, TypeError, AttributeError):
        problems.append(ConfigProblem(key, str(value), "no such key: what stands above it is a value, not a group", "command line"))


def _first_field(group: str) -> str:
    field = StudyConfig.model_fields[group]
    if holds_names(field):
        return str(next(iter(field.get_default(call_default_factory=True))))
    for model in inner_settings(field).values():
        return next(iter(model.model_fields))
    return ""


def _leaves(node: Any, prefix: str, problems: list[ConfigProblem], origins: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Values that can be read; those left open or pointing nowhere become problems."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for name in list(node):
        key = f"{prefix}.{name}" if prefix else str(name)
        if OmegaConf.is_missing(node, name):
            problems.append(ConfigProblem(key, "???", "must be given; add it to the command line", _origin(key, origins)))
            continue
        raw = node._get_node(name)
        if OmegaConf.is_interpolation(node, name):
            text = raw._value()
            try:
                value = node[name]
            except OmegaConfBaseException:
                problems.append(
                    ConfigProblem(key, str(text), "points to a key that does not exist; correct the name in ${...}", _origin(key, origins))
                )
                continue
        else:
            value = node[name]
        if OmegaConf.is_dict(value):
            yield key, {}
            yield from _leaves(value, key, problems, origins)
        else:
            yield key, OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *above, last = key.split(".")
    for name in above:
        values = values.setdefault(name, {})
    values[last] = value


def _origin(key: str, origins: dict[str, str]) -> str:
    if key in origins:
        return origins[key]
    for given, origin in origins.items():
        if origin == "command line" and (key.startswith(f"{given}.") or given.startswith(f"{key}.")):
            return origin
    return origins.get(key.split(".", maxsplit=1)[0], "")
