"""Which engine does the work of the platforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from multiscale.coordination.engine.dask_engine import DaskEngine
from multiscale.coordination.engine.serial_engine import SerialEngine
from multiscale.coordination.engine.settings import AddressSettings, EngineSettings, LocalSettings, SerialSettings
from multiscale.programs.limits import SolverSettings
from multiscale.programs.limits import limits as limits_here
from multiscale.settings import Entry, kind_name, registry

ENGINES: Mapping[str, Entry[Callable[[Any, SolverSettings], SerialEngine | DaskEngine]]] = registry(
    Entry(SerialSettings, lambda _, limits: SerialEngine(limits)),
    Entry(
        LocalSettings, lambda chosen, limits: DaskEngine(chosen.workers, threads_per_worker=chosen.threads_per_worker, limits=limits, waits=chosen)
    ),
    Entry(AddressSettings, lambda chosen, limits: DaskEngine(address=chosen.address, limits=limits, waits=chosen)),
)
"""Kind of engine -> its settings and what makes it. A new engine is one line here."""


def make_engine(chosen: EngineSettings, limits: SolverSettings | None = None) -> SerialEngine | DaskEngine:
    """The engine that the settings choose.

    Args:
        chosen: settings of one kind of engine.
        limits: limits of every solve within its tasks; default: those in force here.
    """
    return ENGINES[kind_name(type(chosen))].function(chosen, limits or limits_here())
