"""The system of a study: load, grow, and keep what is studied in detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from multiscale.sources import load_system
from multiscale.system import Growth, InvalidSystemError, System, grow, validate


def study_system(
    kind: str,
    *,
    dsos: str | Sequence[str] = "all",
    platforms: int | str | Sequence[str] = "all",
    growth: Growth | None = None,
    name: str = "",
    **source: Any,
) -> System:
    """Load a system, let it grow, and cut it to what is studied.

    Growth comes first and reaches every prosumer of the chosen DSOs, also those whose platform is not studied in detail: they
    become passive demand with the new devices.

    Args:
        kind: source, see ``load_system``; ``source`` holds its options.
        dsos: names, or ``all``.
        platforms: names, a number per DSO (evenly spread over its list), or ``all``.
        growth: scenario; None for the system as it is.
        name: title.

    Raises:
        KeyError: an unknown DSO or platform, with those there are.
        InvalidSystemError: the data has problems; all are listed.
    """
    system = load_system(kind, **source)
    problems = validate(system)
    if problems:
        raise InvalidSystemError(problems)
    chosen = system.at_level("dso") if dsos == "all" else _known(system, "dso", dsos)
    below = [child for dso in chosen for child in system.children(dso)]
    system = system.cut([*chosen, *below], name or system.name)
    if growth is not None:
        system = grow(system, growth)
    if platforms == "all":
        return system
    if isinstance(platforms, int):
        kept = [name for dso in chosen for name in _spread(system.children(dso), platforms)]
    else:
        kept = _known(system, "platform", platforms)
    return system.cut([*chosen, *kept])


def _known(system: System, level: str, names: str | Sequence[str]) -> list[str]:
    wanted = [names] if isinstance(names, str) else list(names)
    there = system.at_level(level)
    unknown = [n for n in wanted if n not in there]
    if unknown:
        raise KeyError(
            f"system {system.name!r} has no {level} {', '.join(unknown)}; there are {', '.join(there[:20])}{' ...' if len(there) > 20 else ''}"
        )
    return wanted


def _spread(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, evenly spaced."""
    if count >= len(names):
        return list(names)
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, count).round().astype(int))]
