"""Where systems come from: SimBench, any pandapower network, a folder of tables, the built-in tiny case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from multiscale.sources.folder import folder_system, write_folder
from multiscale.sources.generation_costs import generation_costs, priced
from multiscale.sources.pandapower_net import pandapower_system
from multiscale.sources.prices import day_ahead_price, reinforcement_costs
from multiscale.sources.simbench import simbench_system
from multiscale.sources.tiny import tiny_system
from multiscale.system.system import System

SOURCES: Mapping[str, Callable[..., System]] = {
    "simbench": simbench_system,
    "tiny": tiny_system,
    "pandapower": pandapower_system,
    "folder": folder_system,
}
"""Kind of source -> function that reads it. A new source is one line here."""


def load_system(kind: str, **options: Any) -> System:
    """The system of a source.

    Args:
        kind: key of SOURCES.
        options: arguments of its function, e.g. ``code="1-MVLV-rural-all-0-sw"`` or ``path="my_network"``.

    Raises:
        ValueError: an unknown kind of source.
    """
    if kind not in SOURCES:
        raise ValueError(f"source {kind!r} does not exist; choose from {', '.join(SOURCES)}")
    return SOURCES[kind](**options)


__all__ = [
    "SOURCES",
    "day_ahead_price",
    "folder_system",
    "generation_costs",
    "load_system",
    "pandapower_system",
    "priced",
    "reinforcement_costs",
    "simbench_system",
    "tiny_system",
    "write_folder",
]
