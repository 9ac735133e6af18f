"""Futures: what may come with which probability, read from a file.

futures:
low:  {probability: 0.3, overrides: [system.growth.ev_share=0.2]}
high: {probability: 0.7, overrides: [system.growth.ev_share=0.8]}
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from multiscale.config import ConfigError
from multiscale.config.errors import ConfigProblem

UNCERTAIN = ("system.growth.", "costs.co2_price=")
"""Beginnings of the overrides in which futures may differ: what exists, what may be built and how it is operated are those of the study."""

ONE = 1e-6
"""Largest distance of the sum of probabilities from one."""


@dataclass(frozen=True)
class Future:
    """One way things may come.

    Attributes:
        name: of it.
        probability: of it [1].
        overrides: of the study's configuration in it.
    """

    name: str
    probability: float
    overrides: tuple[str, ...]


class _UniqueKeys(yaml.SafeLoader):
    """Safe loader that refuses a key that stands twice."""


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [str(loader.construct_object(key)) for key, _ in node.value]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} stands twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_futures(path: Path) -> tuple[Future, ...]:
    """The futures of a file.

    Raises:
        ConfigError: the file has problems; all are listed.
    """
    origin = str(path)
    try:
        # Of what stands twice the loader would keep the last in silence.
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError([ConfigProblem("futures", origin, f"cannot be read ({error}); give a YAML file of futures", origin)]) from error
    rows = content.get("futures") if isinstance(content, dict) else None
    if not isinstance(rows, dict) or len(rows) < 2:
        raise ConfigError([ConfigProblem("futures", "", "are missing; name two or more under the key 'futures'", origin)])
    unknown = [str(key) for key in content if key != "futures"]
    problems = [ConfigProblem(key, "", "is not read; the only key is 'futures'", origin) for key in unknown]
    futures = [_future(str(name), row, origin, problems) for name, row in rows.items()]
    total = sum(future.probability for future in futures)
    if not problems and abs(total - 1.0) > ONE:
        problems.append(ConfigProblem("futures", f"{total:g}", "is the sum of the probabilities; they have to sum to one", origin))
    if problems:
        raise ConfigError(problems)
    return tuple(futures)


def _future(name: str, row: Any, origin: str, problems: list[ConfigProblem]) -> Future:
    """A future; what is wrong with it is added to the problems."""
    key = f"futures.{name}"
    if not isinstance(row, dict) or set(row) - {"probability", "overrides"}:
        problems.append(ConfigProblem(key, str(row), "is no future; give it a probability and overrides and nothing else", origin))
        return Future(name, 0.0, ())
    probability, overrides = row.get("probability"), row.get("overrides", [])
    if isinstance(probability, bool) or not isinstance(probability, (int, float)) or not 0.0 < probability <= 1.0:
        problems.append(ConfigProblem(f"{key}.probability", str(probability), "is no number above 0 and at most 1", origin))
        probability = 0.0
    if not isinstance(overrides, list) or not all(isinstance(o, str) for o in overrides):
        problems.append(ConfigProblem(f"{key}.overrides", str(overrides), "is no list of overrides such as system.growth.ev_share=0.5", origin))
        overrides = []
    for override in overrides:
        if not override.startswith(UNCERTAIN):
            message = f"cannot differ between futures; only {' and '.join(u.rstrip('.=') for u in UNCERTAIN)} can"
            problems.append(ConfigProblem(f"{key}.overrides", override, message, origin))
    return Future(name, float(probability), tuple(overrides))
