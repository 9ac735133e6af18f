"""Where systems come from: SimBench, any pandapower network, a folder of tables, the built-in tiny case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from multiscale.settings import Entry, kind_name, registry
from multiscale.sources.folder import FolderSettings, folder_source, folder_system, write_folder
from multiscale.sources.generation_costs import CO2_PRICE, generation_costs, priced
from multiscale.sources.pandapower_net import PandapowerSettings, pandapower_source, pandapower_system
from multiscale.sources.prices import day_ahead_price, reinforcement_costs
from multiscale.sources.settings import SystemSettings
from multiscale.sources.simbench import SimbenchSettings, simbench_source, simbench_system
from multiscale.sources.tiny import TinySettings, tiny_source, tiny_system
from multiscale.system.system import System

SOURCES: Mapping[str, Entry[Callable[[Any, float], System]]] = registry(
    Entry(SimbenchSettings, simbench_source),
    Entry(TinySettings, tiny_source),
    Entry(PandapowerSettings, pandapower_source),
    Entry(FolderSettings, folder_source),
)
"""Kind of source -> its settings, and the function ``(settings, price of carbon dioxide [EUR/t]) -> System``. A new source is one line here."""


def load_system(kind: str | SystemSettings, co2_price: float = CO2_PRICE, **options: Any) -> System:
    """The system of a source, whole and as it is.

    Args:
        kind: key of SOURCES, or the settings of a source.
        co2_price: for the marginal costs of wholesale generators [EUR/t], where the source does not state them.
        options: settings of the source, e.g. ``code="1-MVLV-rural-all-0-sw"`` or ``path="my_network"``.

    Raises:
        ValueError: an unknown kind of source, or settings that are not valid.
    """
    if isinstance(kind, SystemSettings):
        return SOURCES[kind_name(type(kind))].function(kind, co2_price)
    if kind not in SOURCES:
        raise ValueError(f"source {kind!r} does not exist; choose from {', '.join(SOURCES)}")
    entry = SOURCES[kind]
    return entry.function(entry.settings(**options), co2_price)


__all__ = [
    "SOURCES",
    "FolderSettings",
    "PandapowerSettings",
    "SimbenchSettings",
    "SystemSettings",
    "TinySettings",
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
